//! The moments at which a crash matters. In tests each is a place where the process can be made to end, so that every
//! one of them is tried; otherwise they are nothing.

/// A moment between two things that happen to the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A block is made, nothing of it is written.
    BeforeBlock,
    /// The block is written, not yet synced, its history is not.
    AfterBlock,
    /// Block and history are synced, nothing is visible.
    AfterHistory,
    /// A snapshot is about to be brought forward.
    BeforeSnapshot,
    /// The snapshot was brought forward.
    AfterSnapshot,
    /// Old blocks were removed.
    AfterPrune,
}

/// A step that a test asked for, and how often it still passes.
#[cfg(test)]
type Wanted = std::sync::OnceLock<Option<(String, std::sync::atomic::AtomicU64)>>;

impl Step {
    /// Ends the process here if the test asked for it, or panics: `DB3_TEST_ABORT_AT` or `DB3_TEST_PANIC_AT` names the step
    /// and how often it passes before (`AfterBlock:3`).
    #[cfg(test)]
    pub(crate) fn reached(self) {
        static ABORT: Wanted = Wanted::new();
        static PANIC: Wanted = Wanted::new();
        if self.is_wanted(&ABORT, "DB3_TEST_ABORT_AT") {
            std::process::abort();
        }
        assert!(!self.is_wanted(&PANIC, "DB3_TEST_PANIC_AT"), "a test lets {self:?} fail");
    }

    #[cfg(test)]
    fn is_wanted(self, wanted: &Wanted, variable: &str) -> bool {
        use std::sync::atomic::{AtomicU64, Ordering};
        let wanted = wanted.get_or_init(|| {
            let text = std::env::var(variable).ok()?;
            let (step, passes) = text.split_once(':')?;
            Some((step.to_owned(), AtomicU64::new(passes.parse().ok()?)))
        });
        wanted.as_ref().is_some_and(|(step, passes)| {
            *step == format!("{self:?}")
                && passes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err()
        })
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "a step only does something in tests")]
    pub(crate) const fn reached(self) {}
}
