//! Deliveries of other chains' entries, on their way to a block: looked at cheaply first, then checked in full, one at a
//! time and off the way of blocks, so that false ones cost mutations nothing.

use std::sync::Arc;

use bytes::Bytes;
use db3_carry::{Channel, Delivery};
use db3_light_client::{ClaimedHeader, UnixTime};
use db3_primitives::limits::DELIVERY_TX_BYTES_MAX;
use db3_primitives::{BlockTime, ChainId, Height, Rejection};
use db3_proto::{delivery_id, encode_delivery_tx};
use tokio::sync::Semaphore;

use super::Inner;
use crate::error::SubmitError;
use crate::machine::Machine;
use crate::pool::SubmittedDelivery;

/// Deliveries that may wait to be checked, the one that is being checked included.
const CHECKS_MAX: usize = 16;

/// Lets one delivery through at a time, and a bounded number wait.
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    one: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(CHECKS_MAX)), one: Arc::new(Semaphore::new(1)) }
    }
}

impl<M: Machine> Inner<M> {
    /// Takes a delivery: looked at, checked, put among what waits.
    pub(crate) async fn submit_delivery(
        self: &Arc<Self>,
        delivery: Delivery,
    ) -> Result<SubmittedDelivery, SubmitError> {
        if *self.ended.borrow() {
            return Err(SubmitError::Stopping);
        }
        self.look_at(&delivery).map_err(|rejection| self.rejected(rejection, None))?;
        let full = |_| self.rejected(Rejection::Overloaded { what: "too many deliveries wait to be checked" }, None);
        let place = Arc::clone(&self.gate.places).try_acquire_owned().map_err(full)?;
        let turn = Arc::clone(&self.gate.one).acquire_owned().await.map_err(|_| SubmitError::Stopping)?;
        let inner = Arc::clone(self);
        let checked = tokio::task::spawn_blocking(move || {
            let taken = inner.take_delivery(delivery);
            drop((turn, place));
            taken.map_err(|rejection| inner.rejected(rejection, None))
        });
        checked.await.unwrap_or(Err(SubmitError::Stopping))
    }

    /// Whether it can be of use at all: from a chain that this one hears, with something new. Cheap.
    fn look_at(&self, delivery: &Delivery) -> Result<(), Rejection> {
        let version = self.versions.committed();
        match useless::<M>(&version.state, delivery, self.clock.now().max(version.time)) {
            Some(rejection) => Err(rejection),
            None => Ok(()),
        }
    }

    /// Checks a delivery in full and lets it wait for a block.
    pub(super) fn take_delivery(&self, delivery: Delivery) -> Result<SubmittedDelivery, Rejection> {
        let id = delivery_id(&delivery);
        if let Some(waiting) = self.deliveries.watch(&delivery.source, &id) {
            return Ok(waiting);
        }
        self.deliveries.check_room(&delivery)?;
        let version = self.versions.committed();
        let now = self.clock.now().max(version.time);
        M::check_delivery(&version.state, &delivery, now)?;
        let tx = Bytes::from(encode_delivery_tx(&delivery));
        if tx.len() > DELIVERY_TX_BYTES_MAX {
            let detail = format!("it has {} bytes, at most {DELIVERY_TX_BYTES_MAX} fit a block", tx.len());
            return Err(Rejection::DeliveryMalformed { detail });
        }
        self.deliveries.insert(id, delivery, tx)
    }

    /// Whether `CometBFT` may keep a delivery in its mempool.
    pub(super) fn check_delivery_tx(&self, delivery: Delivery, recheck: bool) -> Result<(), Rejection> {
        self.look_at(&delivery)?;
        if recheck { Ok(()) } else { self.take_delivery(delivery).map(|_| ()) }
    }
}

/// Why a delivery brings nothing to a state, as far as that is seen without its proofs. `now` is the time of the newest
/// block, or the clock's if that is later.
pub(super) fn useless<M: Machine>(state: &M::State, delivery: &Delivery, now: BlockTime) -> Option<Rejection> {
    let source: &ChainId = &delivery.source;
    let Some(channel) = M::channel(state, source) else {
        return Some(Rejection::DeliverySourceUnknown { chain_id: source.clone() });
    };
    let frozen = |detail: String| Some(Rejection::ChannelFrozen { chain_id: source.clone(), detail });
    if let Some(fault) = M::fault(state, source) {
        return frozen(format!("its entry {} was at fault ({:?})", fault.index, fault.code));
    }
    if let Some(conflict) = channel.frozen() {
        return frozen(format!("it has two headers at height {}", conflict.height));
    }
    let entries = delivery.log.entries.len() as u64;
    let (start, cursor) = (delivery.log.start, channel.cursor());
    if entries == 0 {
        return useless_headers(&channel, delivery, now);
    }
    if start > cursor {
        return Some(Rejection::DeliveryGap { cursor, start });
    }
    (start.saturating_add(entries) <= cursor).then_some(Rejection::DeliveryStale { cursor })
}

/// The same of headers alone. Those that contradict one that is trusted are welcome at any time.
fn useless_headers(channel: &Channel, delivery: &Delivery, now: BlockTime) -> Option<Rejection> {
    let claims: Vec<_> =
        delivery.headers.iter().filter_map(|header| ClaimedHeader::read(&header.light_block).ok()).collect();
    let contradicts = |claim: &ClaimedHeader| {
        channel.client().trusted(claim.height).is_some_and(|known| known.header_hash != claim.header_hash)
    };
    if claims.iter().any(contradicts) {
        return None;
    }
    let now = i64::try_from(now.secs).ok().and_then(|secs| UnixTime::new(secs, now.nanos)).unwrap_or(UnixTime::MAX);
    if !channel.headers_due(now) {
        return Some(Rejection::HeadersNotDue { height: Height::new(channel.trusted_height()) });
    }
    let newest = claims.last().map_or(0, |claim| claim.height);
    (newest <= channel.trusted_height()).then(|| Rejection::DeliveryStale { cursor: channel.cursor() })
}
