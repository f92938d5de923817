//! What a history had in it.

/// How often what happened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) charges: u64,
    pub(super) refusals: u64,
    pub(super) statements: u64,
    pub(super) rounds: u64,
    pub(super) applied: u64,
    pub(super) failed: u64,
    pub(super) outstanding: u64,
    pub(super) seized: u64,
    pub(super) written_off: u64,
    pub(super) cuts: u64,
    pub(super) decisions: u64,
}

impl Count {
    fn all(&mut self) -> [&mut u64; 11] {
        let Self {
            charges,
            refusals,
            statements,
            rounds,
            applied,
            failed,
            outstanding,
            seized,
            written_off,
            cuts,
            decisions,
        } = self;
        [charges, refusals, statements, rounds, applied, failed, outstanding, seized, written_off, cuts, decisions]
    }

    pub(super) fn add(&mut self, mut other: Self) {
        for (sum, more) in self.all().into_iter().zip(other.all()) {
            *sum += *more;
        }
    }

    pub(super) fn all_positive(mut self) -> bool {
        self.all().into_iter().all(|count| *count > 0)
    }
}
