//! Follows the chain for headers: the header of a block carries the root of the version before it, which so becomes
//! provable. A node that is behind skips to the newest; what was skipped is read from `CometBFT` when somebody asks.

use std::sync::Arc;
use std::time::Duration;

use db3_comet::Rpc;
use db3_primitives::Height;
use tokio::sync::watch;

use crate::app::Inner;
use crate::error::FatalError;
use crate::machine::Machine;
use crate::store::StoreError;

/// Headers that are caught up with one by one; what is further behind skips to the newest.
const STEPS_MAX: u64 = 16;
/// Wait before asking again where no header was told.
const PAUSE: Duration = Duration::from_millis(50);
/// From so many unanswered questions in a row on the log says so, and the pauses are longer.
const UNANSWERED: u32 = 100;
const LONG_PAUSE: Duration = Duration::from_millis(500);

/// Follows until it is stopped.
pub(super) async fn follow<M: Machine>(inner: Arc<Inner<M>>, rpc: Rpc, mut stopped: watch::Receiver<bool>) {
    let mut committed = inner.versions.committed_height();
    let first = inner.genesis.initial_height();
    let mut known = Height::new(0);
    let mut unanswered = 0_u32;
    loop {
        let newest = *committed.borrow_and_update();
        let next = next(known, newest, first);
        let pause = match next {
            None => None,
            Some(height) => match header(&inner, &rpc, height).await {
                Ok(Some(light_block)) => {
                    inner.prove(height, light_block);
                    (known, unanswered) = (height, 0);
                    continue;
                }
                Ok(None) => {
                    unanswered = unanswered.saturating_add(1);
                    if unanswered == UNANSWERED {
                        tracing::warn!(%height, "comet.follow: CometBFT tells no header");
                    }
                    Some(if unanswered < UNANSWERED { PAUSE } else { LONG_PAUSE })
                }
                Err(error) => {
                    inner.fail(FatalError::Store(error));
                    return;
                }
            },
        };
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            changed = committed.changed(), if pause.is_none() => if changed.is_err() { return },
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }
}

/// The header to ask for next; none where all are known.
fn next(known: Height, newest: Height, first: Height) -> Option<Height> {
    if newest <= known || newest < first {
        return None;
    }
    let behind = newest.get().saturating_sub(known.get());
    if behind > STEPS_MAX { Some(newest) } else { known.next().map(|next| next.max(first)) }
}

/// The light block of a height, from the files if they have it; kept there if not.
async fn header<M: Machine>(inner: &Arc<Inner<M>>, rpc: &Rpc, height: Height) -> Result<Option<Arc<[u8]>>, StoreError> {
    if let Some(kept) = inner.store.light_block(height)? {
        return Ok(Some(kept.into()));
    }
    match rpc.light_block(height.get()).await {
        Ok(bytes) => {
            inner.store.put_light_block(height, &bytes)?;
            Ok(Some(bytes.into()))
        }
        Err(error) => {
            tracing::debug!(%height, %error, "comet.follow");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(known: u64, newest: u64) -> Option<u64> {
        next(Height::new(known), Height::new(newest), Height::new(3)).map(Height::get)
    }

    #[test]
    fn headers_are_asked_for_one_by_one_and_skipped_when_many_are_missing() {
        assert_eq!(asked(0, 2), None, "there is no block yet");
        assert_eq!(asked(0, 3), Some(3));
        assert_eq!(asked(7, 7), None);
        assert_eq!(asked(7, 9), Some(8));
        assert_eq!(asked(7, 23), Some(8));
        assert_eq!(asked(7, 24), Some(24));
    }
}
