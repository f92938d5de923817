//! Nonces for concurrent senders: each number is held by one sender at a time, and no two are the same.
//!
//! Per account and namespace, and per account on the settlement chain, a lane keeps the window as it is known. A sender takes a nonce, and says what became of it:
//! used, free again, or unknown. Numbers that came back are handed out first, then new ones, then holes that others
//! left. Where the window is full, senders wait for one another; where nobody holds anything, it is asked for anew.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use db3_primitives::{Address, Nonce, NonceWindow};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use crate::ClientError;
use crate::order::Lane as LaneName;

/// The lanes of one client.
#[derive(Default)]
pub(crate) struct Nonces {
    lanes: Mutex<HashMap<(Address, LaneName), Arc<Lane>>>,
}

/// One account's numbers in one window.
#[derive(Default)]
pub(crate) struct Lane {
    state: Mutex<LaneState>,
    /// Held while the window is asked for, so that it is asked for once.
    loading: AsyncMutex<()>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct LaneState {
    /// None until it was asked for, or after it proved wrong.
    window: Option<NonceWindow>,
    /// The lowest number never handed out.
    next: u64,
    returned: BTreeSet<u64>,
    held: BTreeSet<u64>,
}

/// What a lane has to give.
#[derive(Debug, Eq, PartialEq)]
enum Take {
    Nonce(u64),
    /// All that the window allows is held or used.
    Full,
    /// The window must be asked for first.
    Unknown,
}

/// A nonce in a sender's hands.
pub(crate) struct HeldNonce {
    lane: Arc<Lane>,
    nonce: u64,
    settled: bool,
}

impl Nonces {
    /// The lane of an account.
    pub fn lane(&self, account: Address, name: &LaneName) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lanes.entry((account, name.clone())).or_default())
    }
}

impl Lane {
    /// Takes a nonce; `fetch` asks for the window where that is needed.
    pub async fn take<F>(self: &Arc<Self>, fetch: impl Fn() -> F) -> Result<HeldNonce, ClientError>
    where
        F: Future<Output = Result<NonceWindow, ClientError>>,
    {
        loop {
            let changed = self.changed.notified();
            let (taken, idle) = {
                let mut state = self.state();
                let taken = state.take();
                (taken, state.held.is_empty())
            };
            match taken {
                Take::Nonce(nonce) => return Ok(HeldNonce { lane: Arc::clone(self), nonce, settled: false }),
                Take::Full if !idle => changed.await,
                Take::Full | Take::Unknown => self.load(&fetch, taken == Take::Full).await?,
            }
        }
    }

    async fn load<F>(&self, fetch: impl Fn() -> F, again: bool) -> Result<(), ClientError>
    where
        F: Future<Output = Result<NonceWindow, ClientError>>,
    {
        let _loading = self.loading.lock().await;
        if !again && self.state().window.is_some() {
            return Ok(());
        }
        let window = fetch().await?;
        self.state().load(window);
        self.changed.notify_waiters();
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LaneState {
    fn load(&mut self, window: NonceWindow) {
        self.next = self.next.max(window.highest().get().saturating_add(1));
        self.returned.retain(|nonce| !window.is_used(Nonce::new(*nonce)));
        self.window = Some(window);
    }

    fn take(&mut self) -> Take {
        let Some(window) = &self.window else { return Take::Unknown };
        let highest = window.highest_allowed().get();
        let nonce = if let Some(nonce) = self.returned.pop_first() {
            nonce
        } else if self.next <= highest {
            let nonce = self.next;
            self.next = nonce.saturating_add(1);
            nonce
        } else {
            let lowest = window.base().saturating_add(1);
            let hole =
                (lowest..=highest).find(|nonce| !window.is_used(Nonce::new(*nonce)) && !self.held.contains(nonce));
            let Some(hole) = hole else { return Take::Full };
            hole
        };
        self.held.insert(nonce);
        Take::Nonce(nonce)
    }
}

impl HeldNonce {
    /// The number.
    pub fn nonce(&self) -> Nonce {
        Nonce::new(self.nonce)
    }

    /// A block holds it.
    pub fn used(mut self) {
        self.settle(|state, nonce| {
            if let Some(window) = &mut state.window {
                // A number that lies below or above the known window changes nothing in it.
                let _known = window.use_nonce(Nonce::new(nonce));
            }
        });
    }

    /// Nobody has it: the next sender may take it.
    pub fn give_back(mut self) {
        self.settle(|state, nonce| {
            state.returned.insert(nonce);
        });
    }

    /// The chain says that it is used or out of reach: the window is not what was thought.
    pub fn mistaken(mut self) {
        self.settle(|state, _| state.window = None);
    }

    fn settle(&mut self, change: impl FnOnce(&mut LaneState, u64)) {
        self.settled = true;
        let mut state = self.lane.state();
        state.held.remove(&self.nonce);
        change(&mut state, self.nonce);
        drop(state);
        self.lane.changed.notify_waiters();
    }
}

impl Drop for HeldNonce {
    /// A sender that was cancelled or does not know: the number is neither free nor known to be used.
    fn drop(&mut self) {
        if !self.settled {
            self.settle(|_, _| {});
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]
    use db3_primitives::limits::NONCE_WINDOW;
    use proptest::prelude::*;

    use super::*;

    fn loaded(window: NonceWindow) -> LaneState {
        let mut state = LaneState::default();
        state.load(window);
        state
    }

    #[test]
    fn numbers_that_came_back_go_out_first() {
        let mut state = loaded(NonceWindow::new());
        assert_eq!((state.take(), state.take(), state.take()), (Take::Nonce(1), Take::Nonce(2), Take::Nonce(3)));
        state.held.remove(&2);
        state.returned.insert(2);
        assert_eq!((state.take(), state.take()), (Take::Nonce(2), Take::Nonce(4)));
    }

    #[test]
    fn a_full_window_waits_and_holes_of_others_are_filled_last() {
        let mut window = NonceWindow::new();
        window.use_nonce(Nonce::new(NONCE_WINDOW)).unwrap();
        let mut state = loaded(window);
        for nonce in 1..NONCE_WINDOW {
            assert_eq!(state.take(), Take::Nonce(nonce));
        }
        assert_eq!(state.take(), Take::Full);
    }

    #[tokio::test]
    async fn concurrent_senders_ask_for_the_window_once_and_never_share_a_number() {
        let nonces = Arc::new(Nonces::default());
        let account = Address::new([7; 20]);
        let namespace = LaneName::Namespace(db3_primitives::Namespace::own(&account));
        let asked = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let senders = (0..200).map(|_| {
            let (lane, asked) = (nonces.lane(account, &namespace), Arc::clone(&asked));
            tokio::spawn(async move {
                let fetch = || async {
                    asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    Ok(NonceWindow::new())
                };
                let held = lane.take(fetch).await.unwrap();
                let nonce = held.nonce().get();
                held.used();
                nonce
            })
        });
        let mut seen = BTreeSet::new();
        for sender in senders.collect::<Vec<_>>() {
            assert!(seen.insert(sender.await.unwrap()));
        }
        assert_eq!(seen.len(), 200);
        assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1);
    }

    proptest! {
        #[test]
        fn no_number_is_held_twice_used_twice_or_out_of_the_window(steps in proptest::collection::vec((0u8..4, any::<prop::sample::Index>()), 1..300)) {
            let mut chain = NonceWindow::new();
            let mut state = loaded(chain.clone());
            let mut held: Vec<u64> = Vec::new();
            for (step, index) in steps {
                if step == 0 || held.is_empty() {
                    match state.take() {
                        Take::Nonce(nonce) => {
                            prop_assert!(!held.contains(&nonce));
                            prop_assert!(chain.check(Nonce::new(nonce)).is_ok());
                            held.push(nonce);
                        }
                        Take::Full => prop_assert!(held.len() as u64 >= NONCE_WINDOW),
                        Take::Unknown => state.load(chain.clone()),
                    }
                    continue;
                }
                let nonce = held.swap_remove(index.index(held.len()));
                state.held.remove(&nonce);
                match step {
                    1 => {
                        chain.use_nonce(Nonce::new(nonce)).unwrap();
                        state.window.as_mut().map(|window| window.use_nonce(Nonce::new(nonce)));
                    }
                    2 => { state.returned.insert(nonce); }
                    _ => { chain.use_nonce(Nonce::new(nonce)).unwrap(); state.window = None; }
                }
            }
        }
    }
}
