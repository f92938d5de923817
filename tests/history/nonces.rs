//! Nonces of an account in its namespace: one after the other, but first those that were left unused. Nothing is accepted
//! that is more than a window above an unused one, so a recording that lost many writes would come to its end.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use db3_proto::v1;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Nonces(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    highest: u64,
    /// Unused ones, and since when they are free.
    free: BTreeMap<u64, Instant>,
}

impl Nonces {
    /// Goes on where the account stands.
    pub fn begin(&self, window: &v1::NonceWindow) {
        let mut state = self.state();
        let now = Instant::now();
        for nonce in window.next.max(1)..window.highest {
            if !is_used(window, nonce) {
                state.free.entry(nonce).or_insert(now);
            }
        }
        state.highest = state.highest.max(window.highest);
    }

    /// One that nobody uses.
    pub fn take(&self) -> u64 {
        let mut state = self.state();
        let now = Instant::now();
        let free = state.free.iter().find(|(_, since)| **since <= now).map(|(nonce, _)| *nonce);
        if let Some(nonce) = free {
            state.free.remove(&nonce);
            return nonce;
        }
        state.highest = state.highest.saturating_add(1);
        state.highest
    }

    /// One that no block holds, or will hold after so long.
    pub fn give_back(&self, nonce: u64, after: Duration) {
        let now = Instant::now();
        self.state().free.insert(nonce, now.checked_add(after).unwrap_or(now));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bitmap begins above the base.
fn is_used(window: &v1::NonceWindow, nonce: u64) -> bool {
    let Some(at) = nonce.checked_sub(window.base).and_then(|above| above.checked_sub(1)) else { return true };
    let byte = usize::try_from(at / 8).ok().and_then(|at| window.seen.get(at));
    byte.is_some_and(|byte| byte & 1_u8.rotate_left(u32::try_from(at % 8).unwrap_or(0)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_nonces_are_taken_first_and_those_of_lost_writes_once_they_are_free() {
        let nonces = Nonces::default();
        // 4, 5 and 7 are used, 6 is not.
        let seen = vec![0b1011].into();
        nonces.begin(&v1::NonceWindow { base: 3, next: 6, highest: 7, seen, ..v1::NonceWindow::default() });
        assert_eq!([nonces.take(), nonces.take(), nonces.take()], [6, 8, 9]);
        nonces.give_back(8, Duration::ZERO);
        nonces.give_back(9, Duration::from_secs(3_600));
        assert_eq!([nonces.take(), nonces.take()], [8, 10]);
    }
}
