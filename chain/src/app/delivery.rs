//! Deliveries of other chains' entries, on their way to a block: looked at cheaply first, then checked in full, one at a
//! time and off the way of blocks, so that false ones cost mutations nothing. The node's own relay always has a place, here
//! and on the way to `CometBFT`. What takes no part in what a delivery brings (headers that are known, entries that were
//! taken before) is left out, here and by whoever proposes a block; a proposal with such entries is refused.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use db3_carry::{Channel, Delivery};
use db3_light_client::{ClaimedHeader, UnixTime};
use db3_primitives::limits::DELIVERY_TX_BYTES_MAX;
use db3_primitives::{BlockTime, ChainId, Height, Rejection};
use db3_proto::{delivery_id, encode_delivery_tx};
use tokio::sync::Semaphore;

use super::Inner;
use super::allowance::Allowance;
use super::proposal::Placed;
use crate::error::SubmitError;
use crate::lock;
use crate::machine::Machine;
use crate::pool::{SubmittedDelivery, Worth};

/// Strangers' deliveries that may wait to be checked, the one that is being checked included.
const CHECKS_MAX: usize = 16;
/// One part in so many of its time the engine's thread may spend on false ones.
const CHECKS_PART: u32 = 20;

/// Who brings a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// The relay of this chain's own node. It brings one of each source at a time, and always has a place.
    Own,
    /// Anybody else.
    Stranger,
}

/// Lets one delivery through at a time, and a bounded number wait, in the order in which they came.
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    one: Arc<Semaphore>,
    /// Checks of the engine's thread, which waits for nobody.
    on_engine: Mutex<Allowance>,
}

impl Default for Gate {
    fn default() -> Self {
        let semaphore = |places| Arc::new(Semaphore::new(places));
        Self {
            places: semaphore(CHECKS_MAX),
            one: semaphore(1),
            on_engine: Mutex::new(Allowance::of(CHECKS_PART, Instant::now())),
        }
    }
}

#[cfg(test)]
impl Gate {
    /// Takes all places of strangers.
    pub(crate) fn fill(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        let places = u32::try_from(CHECKS_MAX).ok()?;
        Arc::clone(&self.places).try_acquire_many_owned(places).ok()
    }

    /// Uses up what false deliveries may cost the engine's thread, for long.
    pub(crate) fn exhaust(&self) {
        lock(&self.on_engine).spend(std::time::Duration::from_secs(3_600));
    }
}

impl<M: Machine> Inner<M> {
    /// Takes a delivery: looked at, checked, put among what waits.
    pub(crate) async fn submit_delivery(
        self: &Arc<Self>,
        delivery: Delivery,
        bearer: Bearer,
    ) -> Result<SubmittedDelivery, SubmitError> {
        if *self.ended.borrow() {
            return Err(SubmitError::Stopping);
        }
        self.look_at(&delivery).map_err(|rejection| self.rejected(rejection, None))?;
        let place = match bearer {
            Bearer::Own => None,
            Bearer::Stranger => {
                let full =
                    |_| self.rejected(Rejection::Overloaded { what: "too many deliveries wait to be checked" }, None);
                Some(Arc::clone(&self.gate.places).try_acquire_owned().map_err(full)?)
            }
        };
        let turn = Arc::clone(&self.gate.one).acquire_owned().await.map_err(|_| SubmitError::Stopping)?;
        let inner = Arc::clone(self);
        let checked = tokio::task::spawn_blocking(move || {
            let taken = inner.take_delivery(inner.without_known(delivery));
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

    /// The delivery without headers that are known here and entries that were taken: they would take room in a block for
    /// nothing, and of such entries nobody knows what they say. Nobody signed it, so whoever takes it in may leave them out.
    pub(super) fn without_known(&self, delivery: Delivery) -> Delivery {
        let version = self.versions.committed();
        let Some(channel) = M::channel(&version.state, &delivery.source) else { return delivery };
        let is_known = |claim: ClaimedHeader| {
            channel.client().trusted(claim.height).is_some_and(|known| known.header_hash == claim.header_hash)
        };
        let mut lighter = delivery.clone();
        lighter.log.skip_to(channel.cursor());
        lighter.headers.retain(|header| !ClaimedHeader::read(&header.light_block).is_ok_and(is_known));
        // Headers alone that are all known bring nothing, and are told so.
        if lighter.headers.is_empty() && lighter.is_headers_alone() { delivery } else { lighter }
    }

    /// Checks a delivery in full and lets it wait for a block.
    pub(crate) fn take_delivery(&self, delivery: Delivery) -> Result<SubmittedDelivery, Rejection> {
        let id = delivery_id(&delivery);
        if let Some(waiting) = self.deliveries.watch(&delivery.source, &id) {
            return Ok(waiting);
        }
        let version = self.versions.committed();
        let worth = worth::<M>(&version.state, &delivery);
        let tx = Bytes::from(encode_delivery_tx(&delivery));
        if tx.len() > DELIVERY_TX_BYTES_MAX {
            let detail = format!("it has {} bytes, at most {DELIVERY_TX_BYTES_MAX} fit a block", tx.len());
            return Err(Rejection::DeliveryMalformed { detail });
        }
        self.deliveries.check_room(&delivery.source, worth, tx.len())?;
        let now = self.clock.now().max(version.time);
        M::check_delivery(&version.state, &delivery, now)?;
        self.deliveries.insert(id, worth, delivery, tx)
    }

    /// Whether `CometBFT` may keep a delivery in its mempool. New ones are checked on the engine's thread, so false ones may
    /// cost it no more than a share of its time; while that is used up, only those go on that this node found good before, as
    /// it did its own relay's.
    pub(super) fn check_delivery_tx(&self, delivery: Delivery, recheck: bool) -> Result<(), Rejection> {
        self.look_at(&delivery)?;
        let waits = || self.deliveries.watch(&delivery.source, &delivery_id(&delivery)).is_some();
        if waits() {
            return Ok(());
        }
        if recheck {
            // What waits here no more has made room for what brings more, or was judged by what was trusted before.
            return Err(self.stale(&delivery.source));
        }
        if !lock(&self.gate.on_engine).is_open(Instant::now()) {
            return Err(Rejection::Overloaded {
                what: "false deliveries cost too much time; none is checked for a while",
            });
        }
        let begun = Instant::now();
        let taken = self.take_delivery(delivery).map(|_| ());
        if taken.is_err() {
            lock(&self.gate.on_engine).spend(begun.elapsed());
        }
        taken
    }

    fn stale(&self, source: &ChainId) -> Rejection {
        let cursor = M::channel(&self.versions.committed().state, source).map_or(0, |channel| channel.cursor());
        Rejection::DeliveryStale { cursor }
    }
}

/// Whether a refusal may come after signatures were looked at: no honest relay earns it, and it costs the most. No other one
/// does. (That the header is missing, which a relay that was slow earns, is `DELIVERY_FALSE`.)
#[must_use]
pub fn cost_signatures(rejection: &Rejection) -> bool {
    matches!(rejection, Rejection::HeaderRefused { .. })
}

/// What a delivery is good for, if it is what it says.
fn worth<M: Machine>(state: &M::State, delivery: &Delivery) -> Worth {
    let channel = M::channel(state, &delivery.source);
    let claims = || delivery.headers.iter().filter_map(|header| ClaimedHeader::read(&header.light_block).ok());
    if channel.as_ref().is_some_and(|channel| claims().any(|claim| contradicts(channel, &claim))) {
        return Worth::Conflict;
    }
    if delivery.is_headers_alone() {
        let trusted = channel.map_or(0, |channel| channel.trusted_height());
        return Worth::Headers { to: claims().next_back().map_or(0, |claim| claim.height), trusted };
    }
    let cursor = channel.map_or(0, |channel| channel.cursor());
    Worth::Entries { end: delivery.log.start.saturating_add(delivery.log.entries.len() as u64), cursor }
}

/// The deliveries of a block to be, those of each source by what they are worth, the most first; sources stay in the order in
/// which they came first. So what a source has arrives as fast as the best delivery brings it, however many shorter ones of it
/// came before.
pub(super) fn worthiest_first<M: Machine>(state: &M::State, deliveries: Vec<Placed>) -> Vec<Placed> {
    let mut sources: Vec<ChainId> = Vec::new();
    let mut ranked = Vec::with_capacity(deliveries.len());
    for placed in deliveries {
        let known = sources.iter().position(|source| *source == placed.delivery.source);
        let turn = known.unwrap_or(sources.len());
        if known.is_none() {
            sources.push(placed.delivery.source.clone());
        }
        ranked.push(((turn, Reverse(worth::<M>(state, &placed.delivery))), placed));
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, placed)| placed).collect()
}

/// Whether a header says that its source has two at one height.
fn contradicts(channel: &Channel, claim: &ClaimedHeader) -> bool {
    channel.client().trusted(claim.height).is_some_and(|known| known.header_hash != claim.header_hash)
}

/// Why a delivery that waited is of no use any more. Headers alone were judged by what was trusted then.
pub(super) fn outlived<M: Machine>(
    state: &M::State,
    delivery: &Delivery,
    worth: Worth,
    now: BlockTime,
) -> Option<Rejection> {
    let moved = || match worth {
        Worth::Headers { trusted, .. } => {
            let channel = M::channel(state, &delivery.source)?;
            let cursor = channel.cursor();
            (channel.trusted_height() != trusted).then_some(Rejection::DeliveryStale { cursor })
        }
        Worth::Entries { .. } | Worth::Conflict => None,
    };
    useless::<M>(state, delivery, now).or_else(moved)
}

/// Why a delivery brings nothing to a state, as far as that is seen without its proofs. `now` is the time of the newest
/// block, or the clock's if that is later.
fn useless<M: Machine>(state: &M::State, delivery: &Delivery, now: BlockTime) -> Option<Rejection> {
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

/// The same of headers alone. Those that contradict one that is trusted are welcome at any time, and whether several are needed
/// before they are due only their signatures tell.
fn useless_headers(channel: &Channel, delivery: &Delivery, now: BlockTime) -> Option<Rejection> {
    let claims: Vec<_> =
        delivery.headers.iter().filter_map(|header| ClaimedHeader::read(&header.light_block).ok()).collect();
    if claims.iter().any(|claim| contradicts(channel, claim)) {
        return None;
    }
    let now = i64::try_from(now.secs).ok().and_then(|secs| UnixTime::new(secs, now.nanos)).unwrap_or(UnixTime::MAX);
    let new = claims.iter().filter(|claim| claim.height > channel.trusted_height()).count();
    if !channel.headers_due(now) && new < 2 {
        return Some(Rejection::HeadersNotDue { height: Height::new(channel.trusted_height()) });
    }
    (new == 0).then(|| Rejection::DeliveryStale { cursor: channel.cursor() })
}
