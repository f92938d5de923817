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

impl Step {
    /// Ends the process here if the test asked for it: `DB3_TEST_ABORT_AT` names the step and how often it passes
    /// before (`AfterBlock:3`).
    #[cfg(test)]
    pub(crate) fn reached(self) {
        use std::sync::OnceLock;
        use std::sync::atomic::{AtomicU64, Ordering};
        static WANTED: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();
        let wanted = WANTED.get_or_init(|| {
            let text = std::env::var("DB3_TEST_ABORT_AT").ok()?;
            let (step, passes) = text.split_once(':')?;
            Some((step.to_owned(), AtomicU64::new(passes.parse().ok()?)))
        });
        if let Some((step, passes)) = wanted
            && *step == format!("{self:?}")
            && passes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err()
        {
            std::process::abort();
        }
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "a step only does something in tests")]
    pub(crate) const fn reached(self) {}
}
