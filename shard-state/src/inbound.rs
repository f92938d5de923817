//! What a shard hears of the settlement chain: how much each account may spend, how long the shard may charge, and how far
//! the shard was heard itself.
//!
//! [`db3_carry`] decides whether a delivery is what it says; here its entries take effect. Every proven entry is taken,
//! in order (rule I4). One that no honest settlement chain writes, because it does not decode, its ceiling is above
//! [`CEILING_TAI_MAX`] or it names more entries than this shard has written, has no effect; it is recorded, and the cursor
//! passes it. Nothing here ever touches a sum.

use db3_carry::{Channel, Delivered, Delivery, Received, RefusedEntry};
use db3_light_client::UnixTime;
use db3_merkle_log::Outbox;
use db3_primitives::limits::CEILING_TAI_MAX;
use db3_primitives::{AcknowledgedLeaf, BlockTime, ChainId, CreditEntry, Rejection, key};
use db3_state_tree::Tree;

use crate::ledger::Ledger;
use db3_primitives::fatal::damaged;

/// What is kept of a chain that is heard; none where nothing is heard from it.
pub(crate) fn channel<'t>(get: impl Fn(&[u8]) -> Option<&'t [u8]>, source: &ChainId) -> Option<Channel> {
    Channel::load(get, source).unwrap_or_else(|_| damaged(&key::peer(source)))
}

/// What a delivery brings to the chain whose leaves `get` reads, or why it is refused.
pub(crate) fn judge<'t, 'd>(
    get: impl Fn(&[u8]) -> Option<&'t [u8]>,
    own: &ChainId,
    delivery: &'d Delivery,
    now: BlockTime,
) -> Result<Received<'d>, Rejection> {
    let unknown = || Rejection::DeliverySourceUnknown { chain_id: delivery.source.clone() };
    channel(get, &delivery.source).ok_or_else(unknown)?.receive(own, delivery, unix_time(now))
}

/// Applies a delivery to a working version.
pub(crate) fn deliver(ledger: &mut Ledger, delivery: &Delivery, now: BlockTime) -> Result<Delivered, Rejection> {
    let own = ledger.chain.chain_id();
    let received = judge(|key| ledger.overlay.get(key), &own, delivery, now)?;
    let (first, entries) = (received.first(), received.entries());
    let mut refused = Vec::new();
    for (index, entry) in (first..).zip(entries) {
        if let Err(detail) = apply(ledger, entry) {
            refused.push(RefusedEntry { index, detail });
        }
    }
    let applied = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    let after = received.advance(entries.len());
    let cursor = after.channel.cursor();
    for (key, leaf) in after.leaves {
        ledger.overlay.put(key, leaf);
    }
    assert!(
        first.checked_add(applied) == Some(cursor),
        "I4: the cursor moves by the entries applied: {first} and {applied} entries, and it is {cursor}"
    );
    Ok(Delivered { source: delivery.source.clone(), first, applied, cursor, refused })
}

/// The effect of one entry; why it has none.
fn apply(ledger: &mut Ledger, entry: &[u8]) -> Result<(), String> {
    match CreditEntry::from_bytes(entry).map_err(|error| error.to_string())? {
        CreditEntry::Line(line) if line.ceiling > CEILING_TAI_MAX => Err(format!(
            "the ceiling of {} is {} tai, and the highest is {CEILING_TAI_MAX}",
            line.account, line.ceiling
        )),
        CreditEntry::Line(line) => {
            ledger.set_ceiling(&line.account, line.ceiling);
            Ok(())
        }
        CreditEntry::Heartbeat(heartbeat) => {
            acknowledge(ledger, heartbeat.inbox_cursor)?;
            ledger.extend_lease(heartbeat.lease);
            Ok(())
        }
    }
}

/// Takes note that the settlement chain has applied so many of this shard's entries. One that names fewer than an earlier one
/// takes nothing back: what was acknowledged may be gone from nodes.
fn acknowledge(ledger: &mut Ledger, entries: u64) -> Result<(), String> {
    let settlement = ChainId::settlement(&ledger.chain.network);
    let written = outbox(|key| ledger.overlay.get(key), &settlement).frontier().size();
    if entries > written {
        return Err(format!("it says that {entries} entries were applied, and this shard has written {written}"));
    }
    if entries > acknowledged(|key| ledger.overlay.get(key), &settlement) {
        ledger.overlay.put(key::acknowledged(&settlement), AcknowledgedLeaf { entries }.to_bytes());
    }
    Ok(())
}

/// The log towards another chain; an empty one where nothing was ever written to it.
pub(crate) fn outbox<'t>(get: impl Fn(&[u8]) -> Option<&'t [u8]>, destination: &ChainId) -> Outbox {
    let key = key::outbox(destination);
    get(&key).map_or_else(Outbox::new, |leaf| Outbox::from_bytes(leaf).unwrap_or_else(|_| damaged(&key)))
}

/// How much of that log the other chain has applied, by its word.
pub(crate) fn acknowledged<'t>(get: impl Fn(&[u8]) -> Option<&'t [u8]>, destination: &ChainId) -> u64 {
    let key = key::acknowledged(destination);
    let leaf = get(&key).map(|leaf| AcknowledgedLeaf::from_bytes(leaf).unwrap_or_else(|_| damaged(&key)));
    leaf.unwrap_or_default().entries
}

/// The first key of a channel in a restored tree that cannot be read, or whose peer is not there.
pub(crate) fn undecodable(tree: &Tree) -> Option<Vec<u8>> {
    let sources = [key::peer_prefix(), key::client_prefix(), key::inbox_prefix()];
    sources.iter().flat_map(|prefix| tree.prefix(prefix)).find_map(|(key, _)| {
        let source = key::split_peer(key).or_else(|| key::split_client(key)).or_else(|| key::split_inbox(key));
        match source.map(|source| Channel::load(|key| tree.get(key), &source)) {
            Some(Ok(Some(_))) => None,
            Some(Ok(None) | Err(_)) | None => Some(key.to_vec()),
        }
    })
}

/// Block time as the light client counts it. A time that it cannot tell is after every header's.
fn unix_time(time: BlockTime) -> UnixTime {
    let secs = i64::try_from(time.secs).ok();
    secs.and_then(|secs| UnixTime::new(secs, time.nanos)).unwrap_or(UnixTime::MAX)
}
