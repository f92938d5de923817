//! Wakes the engine's thread: raised by whoever has something for it, lowered when it looks.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::lock;

/// A flag that a thread can wait for.
#[derive(Default)]
pub(crate) struct Signal {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    pub(crate) fn raise(&self) {
        *lock(&self.raised) = true;
        self.changed.notify_one();
    }

    /// Waits until the flag is raised, or for `at_most` (none: for ever), and lowers it.
    pub(crate) fn wait(&self, at_most: Option<Duration>) {
        let raised = lock(&self.raised);
        let mut raised = match at_most {
            Some(time) => {
                self.changed
                    .wait_timeout_while(raised, time, |raised| !*raised)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
            None => self.changed.wait_while(raised, |raised| !*raised).unwrap_or_else(PoisonError::into_inner),
        };
        *raised = false;
    }
}
