//! Rounds: when one is due, and how it goes on over as many blocks as it takes.
//!
//! A round settles everything up to an epoch e: it is due when every shard that is heard has closed e, or when the
//! deadline after the end of e has passed; a late shard joins the next. It visits the accounts that are due, in order of
//! address, then the shards: each pool is paid out, and each shard that is heard gets a heartbeat with the lease that
//! the block's time gives, and with how far its log was applied. The last step pays out the fees. One round runs at a
//! time, and a block does a bounded part.
//!
//! Genesis leaves a round running, which issues the ceilings that genesis wants and the first heartbeats like any other.

use db3_primitives::leaf::settlement::FEE_POOL;
use db3_primitives::{
    Address, ChainId, CreditEntry, Epoch, Heartbeat, RoundLeaf, RoundPhase, Running, SettlementLeaf, ShardId,
    ShardLeaf, Tai,
};

use crate::dues::Walk;
use crate::effects::RoundDone;
use crate::ledger::Ledger;
use crate::reads::Reads;
use crate::{delivery, payout, settle};

/// Does this block's part of the running round, or begins the one that is due if it may; tells of one that ended. It may
/// not in a block that confirmed cuts, so that the round finds their accounts among those that are due.
pub(crate) fn work(ledger: &mut Ledger, may_begin: bool) -> Option<RoundDone> {
    let mut leaf = ledger.round();
    let mut running = match leaf.running {
        Some(running) => running,
        None if may_begin => begin(due_epoch(ledger, &leaf)?),
        None => return None,
    };
    // Epochs that no round settles by itself make nobody's debt older: while a network stands still, nobody can pay.
    let skipped = leaf.settled.map_or(0, |settled| running.epoch.get().saturating_sub(settled.get()).saturating_sub(1));
    let forgiven = skipped.saturating_add(u64::from(is_overdue(ledger, running.epoch)));
    let mut budget = ledger.chain.round_accounts_max;
    let ended = loop {
        if budget == 0 {
            break false;
        }
        match running.phase {
            RoundPhase::Accounts { after } => accounts(ledger, &mut running, forgiven, after, &mut budget),
            RoundPhase::Shards { next } if next.get() < ledger.chain.shard_map.shards() => {
                shard(ledger, &mut running, next, &mut budget);
            }
            RoundPhase::Shards { .. } => {
                let postings = payout::pay_out(ledger, FEE_POOL, running.epoch);
                running.postings = running.postings.saturating_add(postings);
                break true;
            }
        }
    };
    let done = if ended { Some(end(&mut leaf, &running)) } else { None };
    leaf.running = if ended { None } else { Some(running) };
    ledger.set_round(leaf);
    done
}

/// The epoch of the round that a block of this moment would begin, if it would.
pub(crate) fn due_epoch(ledger: &Ledger, leaf: &RoundLeaf) -> Option<Epoch> {
    let shards = (0..ledger.chain.shard_map.shards()).map(|shard| ledger.shard(ShardId::new(shard)));
    let epoch = epoch_closed_by_all(shards).max(epoch_past_deadline(&ledger.chain, ledger.at.time.secs))?;
    leaf.settled.is_none_or(|settled| epoch > settled).then_some(epoch)
}

/// The newest epoch that every shard which is heard has closed.
fn epoch_closed_by_all(shards: impl Iterator<Item = ShardLeaf>) -> Option<Epoch> {
    shards.filter(|shard| shard.fault.is_none()).map(|shard| shard.last_close).min().flatten()
}

/// The newest epoch whose round waits for nobody any more.
fn epoch_past_deadline(chain: &SettlementLeaf, now_secs: u64) -> Option<Epoch> {
    let of_deadline = Epoch::of(now_secs.checked_sub(chain.deadline_secs)?, chain.epoch_secs);
    of_deadline.get().checked_sub(1).map(Epoch::new)
}

/// Whether the epoch in which even the deadline would have begun the round of `epoch` is over. That is so after a halt, and
/// then the round of a newer epoch follows before anybody could pay: so this one makes no debt older. (Of a round that itself
/// runs into the next epoch, the rest of the accounts is spared.)
fn is_overdue(ledger: &Ledger, epoch: Epoch) -> bool {
    let end = epoch.next().and_then(|next| next.start_secs(ledger.chain.epoch_secs));
    let deadline = end.and_then(|end| end.checked_add(ledger.chain.deadline_secs));
    deadline.is_some_and(|deadline| ledger.at.epoch > Epoch::of(deadline, ledger.chain.epoch_secs))
}

/// When the round after this one begins by the deadline alone; none where no time is that late.
pub(crate) fn deadline_secs(chain: &SettlementLeaf, leaf: &RoundLeaf) -> Option<u64> {
    let epoch = leaf.settled.map_or(Some(Epoch::new(0)), Epoch::next)?;
    epoch.next()?.start_secs(chain.epoch_secs)?.checked_add(chain.deadline_secs)
}

/// A round that has done nothing yet.
pub(crate) fn begin(epoch: Epoch) -> Running {
    let phase = RoundPhase::Accounts { after: None };
    Running { epoch, phase, postings: 0, debited: Tai::ZERO, paid: Tai::ZERO }
}

/// Visits the next accounts that are due. An account counts as many times as it has lines, and so do its places in lists, of
/// which each shard gives it at most one.
fn accounts(ledger: &mut Ledger, running: &mut Running, forgiven: u64, after: Option<Address>, budget: &mut u32) {
    let base = ledger.base.clone();
    let mut reads = Reads::of(&base);
    let mut walk = Walk::after(&base, after);
    if walk.head().is_some() {
        ledger.logs.expect(usize::try_from(*budget).unwrap_or(0));
    }
    while let Some(account) = walk.head() {
        if *budget == 0 {
            ledger.shorten_lists(walk.end());
            return;
        }
        let marked = walk.take(account);
        let open = ledger.open_near(&mut reads, account);
        let visited = settle::visit(ledger, open, running.epoch, forgiven);
        ledger.set_due(account, marked, visited.due);
        running.phase = RoundPhase::Accounts { after: Some(account) };
        running.postings = running.postings.saturating_add(visited.postings);
        running.debited = Tai::new(running.debited.get().saturating_add(visited.debited.get()));
        running.paid = Tai::new(running.paid.get().saturating_add(visited.paid.get()));
        *budget = budget.saturating_sub(visited.lines.max(1));
    }
    ledger.shorten_lists(walk.end());
    running.phase = RoundPhase::Shards { next: ShardId::new(0) };
}

/// Pays out a shard's pool, and lets it charge on if it is heard.
fn shard(ledger: &mut Ledger, running: &mut Running, shard: ShardId, budget: &mut u32) {
    let postings = payout::pay_out(ledger, shard, running.epoch);
    running.postings = running.postings.saturating_add(postings);
    let leaf = ledger.shard(shard);
    if leaf.fault.is_none() {
        let lease = Epoch::new(ledger.at.epoch.get().saturating_add(ledger.chain.lease_epochs)).max(leaf.lease);
        let inbox_cursor = delivery::cursor(ledger, &ChainId::shard(&ledger.chain.network, shard)).unwrap_or(0);
        ledger.send(shard, CreditEntry::Heartbeat(Heartbeat { epoch: running.epoch, lease, inbox_cursor }));
        ledger.set_shard(shard, ShardLeaf { lease, ..leaf });
    }
    running.phase = RoundPhase::Shards { next: ShardId::new(shard.get().saturating_add(1)) };
    *budget = budget.saturating_sub(u32::try_from(postings).unwrap_or(u32::MAX).max(1));
}

/// Records that a round ended. The one that genesis began settles no epoch.
fn end(leaf: &mut RoundLeaf, running: &Running) -> RoundDone {
    if leaf.rounds > 0 {
        assert!(
            leaf.settled.is_none_or(|settled| running.epoch > settled),
            "I4: an epoch settles once, in order: {} after {:?}",
            running.epoch,
            leaf.settled
        );
        leaf.settled = Some(running.epoch);
    }
    leaf.rounds = leaf.rounds.saturating_add(1);
    let Running { epoch, postings, debited, paid, .. } = *running;
    RoundDone { number: leaf.rounds, epoch, postings, debited, paid }
}
