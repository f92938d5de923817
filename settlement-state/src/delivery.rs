//! Deliveries from shards: judged by `carry`, applied entry by entry. The first entry that is a fault of its shard stops
//! the channel: the cursor passes it, it has no effect, and later deliveries of that shard are refused. Nobody else's
//! channel knows of it.

use db3_carry::{Advanced, Channel, Delivered, Delivery, Received, RefusedEntry};
use db3_light_client::UnixTime;
use db3_merkle_log::CompletedNode;
use db3_primitives::name::ChainRole;
use db3_primitives::{BlockTime, ChainId, Epoch, Fault, Rejection, ShardFault, ShardId, ShardLeaf};

use crate::effects::{FaultReport, InboundEntry};
use crate::inbound::{Moments, Reading};
use crate::ledger::Ledger;
use crate::reads::Reads;
use db3_primitives::fatal::fatal;

/// What the deliveries of a block did.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    pub(crate) deliveries: Vec<Delivered>,
    pub(crate) entries: Vec<InboundEntry>,
    pub(crate) nodes: Vec<(ShardId, CompletedNode)>,
    pub(crate) faults: Vec<FaultReport>,
}

/// The shard whose log a delivery is a piece of.
pub(crate) fn shard_of(ledger: &Ledger, source: &ChainId) -> Result<ShardId, Rejection> {
    match source.parts() {
        Some((network, ChainRole::Shard(shard)))
            if network == ledger.chain.network && shard.get() < ledger.chain.shard_map.shards() =>
        {
            Ok(shard)
        }
        Some(_) | None => Err(Rejection::DeliverySourceUnknown { chain_id: source.clone() }),
    }
}

/// The channel of a chain as the block has it so far; none where this chain does not hear it.
pub(crate) fn channel(ledger: &Ledger, source: &ChainId) -> Option<Channel> {
    let get = |key: &[u8]| ledger.channels.get(key).map(Vec::as_slice).or_else(|| ledger.base.get(key));
    Channel::load(get, source).unwrap_or_else(|error| fatal("state: a channel is whole", error))
}

/// How far the log of a chain that is heard was applied.
pub(crate) fn cursor(ledger: &Ledger, source: &ChainId) -> Option<u64> {
    channel(ledger, source).map(|channel| channel.cursor())
}

/// Everything that speaks for or against a delivery, cheapest first; nothing is changed.
pub(crate) fn check<'d>(ledger: &Ledger, delivery: &'d Delivery) -> Result<(ShardId, Received<'d>), Rejection> {
    let source = &delivery.source;
    let shard = shard_of(ledger, source)?;
    if let Some(fault) = ledger.shard(shard).fault {
        return Err(Rejection::ChannelFrozen { chain_id: source.clone(), detail: describe(fault) });
    }
    let channel =
        channel(ledger, source).ok_or_else(|| Rejection::DeliverySourceUnknown { chain_id: source.clone() })?;
    let received = channel.receive(&ledger.chain.chain_id(), delivery, moment(ledger.at.time))?;
    Ok((shard, received))
}

/// A fault in words.
pub(crate) fn describe(fault: Fault) -> String {
    format!("entry {} of its log is {} (fault {})", fault.index, fault.code.text(), fault.code.number())
}

/// A block's time as the light client takes it; far beyond the year 9999 it is the last moment of that.
pub(crate) fn moment(time: BlockTime) -> UnixTime {
    let secs = i64::try_from(time.secs).ok();
    secs.and_then(|secs| UnixTime::new(secs, time.nanos)).unwrap_or(UnixTime::MAX)
}

/// Applies a delivery; a refused one changes nothing.
pub(crate) fn deliver(ledger: &mut Ledger, delivery: &Delivery, inbound: &mut Inbound) -> Result<Delivered, Rejection> {
    let (shard, received) = check(ledger, delivery)?;
    let first = received.first();
    let before = cursor(ledger, &delivery.source);
    let told = inbound.entries.len();
    let (taken, fault) = if received.is_frozen() {
        let fault = Fault { code: ShardFault::HeaderConflict, index: first };
        inbound.faults.push(FaultReport { source: shard, fault, bytes: Vec::new() });
        (0, Some(fault))
    } else {
        let moments = moments(ledger, &received);
        apply(ledger, shard, moments, first, received.entries(), inbound)
    };
    if let Some(fault) = fault {
        let leaf = ledger.shard(shard);
        ledger.set_shard(shard, ShardLeaf { fault: Some(fault), ..leaf });
    }
    let Advanced { channel, leaves, nodes } = received.advance(taken);
    ledger.channels.extend(leaves);
    inbound.nodes.extend(nodes.into_iter().map(|node| (shard, node)));
    let applied = u64::try_from(taken).unwrap_or(u64::MAX);
    assert!(
        before == Some(first) && cursor(ledger, &delivery.source) == first.checked_add(applied),
        "I4: the cursor moves by the entries taken: it was {before:?}, {applied} entries from {first} were taken, and it is {:?}",
        cursor(ledger, &delivery.source)
    );
    let indexes = inbound.entries.get(told..).unwrap_or_default().iter().map(|entry| entry.index);
    assert!(
        indexes.eq(first..first.saturating_add(applied).saturating_sub(u64::from(fault.is_some() && taken > 0))),
        "I4: every entry takes effect once, in order, and a fault has none"
    );
    let refused = fault.filter(|_| taken > 0).map(|fault| RefusedEntry { index: fault.index, detail: describe(fault) });
    let delivered = Delivered {
        source: delivery.source.clone(),
        first,
        applied,
        cursor: channel.cursor(),
        refused: refused.into_iter().collect(),
    };
    inbound.deliveries.push(delivered.clone());
    ledger.keep();
    Ok(delivered)
}

/// What a delivery's headers and the root of trust say of its shard's time. The root of a whole chain is of the second before
/// its first block; governance, which opens a channel anew, may give one of later.
fn moments(ledger: &Ledger, received: &Received<'_>) -> Moments {
    let secs = |time: UnixTime| u64::try_from(time.secs()).unwrap_or(0);
    let root = received.root();
    let began = Epoch::of(secs(root.time()).saturating_add(1), ledger.chain.epoch_secs);
    Moments { began: (root.height() == 0).then_some(began), trusted_secs: secs(received.trusted_time()) }
}

/// Applies entries up to the first that is a fault, and tells how many were taken, that one included.
pub(crate) fn apply(
    ledger: &mut Ledger,
    shard: ShardId,
    moments: Moments,
    first: u64,
    entries: &[Vec<u8>],
    inbound: &mut Inbound,
) -> (usize, Option<Fault>) {
    let mut reading = Reading::begin(ledger, shard, moments);
    let base = ledger.base.clone();
    let mut reads = Reads::of(&base);
    inbound.entries.reserve(entries.len());
    let mut found = None;
    let mut taken = 0usize;
    for (index, bytes) in (first..).zip(entries) {
        taken = taken.saturating_add(1);
        match reading.apply(ledger, &mut reads, index, bytes) {
            Ok((entry, previous)) => {
                inbound.entries.push(InboundEntry { source: shard, index, entry, bytes: bytes.clone(), previous });
            }
            Err(code) => {
                let fault = Fault { code, index };
                inbound.faults.push(FaultReport { source: shard, fault, bytes: bytes.clone() });
                found = Some(fault);
                break;
            }
        }
    }
    reading.end(ledger);
    (taken, found)
}
