//! Ceilings: raised, cut, renewed, and cuts confirmed. DESIGN.md, point 8; the letters are its own.

use db3_primitives::limits::{BLOCK_CUTS_MAX, CEILING_TAI_MAX};
use db3_primitives::{Address, CreditEntry, Cut, CutLeaf, LineEntry, LineLeaf, ShardId, Tai, key};
use db3_state_tree::Tree;

use crate::fatal::{damaged, fatal};
use crate::ledger::Ledger;
use crate::rules::Rules;

/// The account's limit: ⌊factor · collateral⌋ + trust.
pub(crate) fn limit(ledger: &Ledger, account: Address) -> Tai {
    let leaf = ledger.balance(account).unwrap_or_default();
    ledger.chain.limit(leaf.collateral, leaf.trust)
}

/// Moves a line's ceiling towards `target`: down to it, or up as far as the limit lets it.
pub(crate) fn set_ceiling(ledger: &mut Ledger, account: Address, shard: ShardId, target: Tai) {
    let Some(line) = ledger.line(account, shard) else { return };
    let target = target.min(CEILING_TAI_MAX);
    if target < line.ceiling {
        cut(ledger, account, shard, line, target);
    } else if target > line.ceiling {
        raise(ledger, account, shard, line, target);
    }
}

/// K := v, remembered as a cut until the shard confirms it; H stays. A cut that was pending is forgotten: its
/// confirmation would come before this one's.
fn cut(ledger: &mut Ledger, account: Address, shard: ShardId, line: LineLeaf, ceiling: Tai) {
    if let Some(pending) = line.cut {
        ledger.set_cut(shard, pending.index, None);
    }
    let lease = (ledger.rules.remembered_lease)(ledger.shard(shard).lease);
    let index = ledger.send(shard, CreditEntry::Line(LineEntry { account, ceiling }));
    ledger.set_cut(shard, index, Some(CutLeaf { account, lease }));
    ledger.set_line(account, shard, LineLeaf { ceiling, cut: Some(Cut { index, lease }), ..line });
    ledger.credited.insert(account);
}

/// The largest K ≤ v that keeps `held` ≤ limit counting H := max(H, K); a pending cut stays. An account that holds more
/// than its limit gets nothing, and neither does a shard whose channel is frozen: it could never tell of the cut again.
fn raise(ledger: &mut Ledger, account: Address, shard: ShardId, line: LineLeaf, target: Tai) {
    if ledger.shard(shard).fault.is_some() {
        return;
    }
    let Some(room) = room(ledger, account, shard, &line) else { return };
    let ceiling = target.min(room);
    if ceiling <= line.ceiling {
        return;
    }
    let held = (ledger.rules.held_after_raise)(&line, ceiling);
    ledger.send(shard, CreditEntry::Line(LineEntry { account, ceiling }));
    ledger.set_line(account, shard, LineLeaf { ceiling, held, ..line });
    ledger.credited.insert(account);
}

/// What H may become on this line, all others as they stand; none where H is above that already.
fn room(ledger: &Ledger, account: Address, shard: ShardId, line: &LineLeaf) -> Option<Tai> {
    let Rules { counted, .. } = ledger.rules;
    let others = ledger.lines_of(account).into_iter().filter(|(other, _)| *other != shard);
    let others =
        others.fold(0u128, |sum, (_, line)| sum.saturating_add(counted(&line).saturating_sub(line.covered()).get()));
    let free = limit(ledger, account).checked_sub(Tai::new(others))?;
    let room = Tai::new(free.get().saturating_add(line.covered().get()));
    (counted(line) <= room).then_some(room)
}

/// Brings every line back to P + W + want where it has fallen short by a quarter of want, or lies above. Where nothing is
/// wanted nothing is given, so a shard is not told what changes nothing.
pub(crate) fn renew(ledger: &mut Ledger, account: Address) {
    for (shard, line) in ledger.lines_of(account) {
        let target = wanted(&line);
        let quarter = line.want.get().div_euclid(4).max(1);
        let short = target.saturating_sub(line.ceiling).get();
        if (short >= quarter && !line.want.is_zero()) || line.ceiling > target {
            set_ceiling(ledger, account, shard, target);
        }
    }
}

/// P + W + want.
pub(crate) fn wanted(line: &LineLeaf) -> Tai {
    Tai::new(line.covered().get().saturating_add(line.want.get()))
}

/// Cuts every line of a delinquent account to what is used: min(K, R).
pub(crate) fn cut_to_used(ledger: &mut Ledger, account: Address) {
    for (shard, line) in ledger.lines_of(account) {
        set_ceiling(ledger, account, shard, line.ceiling.min(line.reported));
    }
}

/// Confirms the cuts of which the shards' closes tell, at most [`BLOCK_CUTS_MAX`] in a block, in order of shard and of
/// their index in the log. What they free can be given again: their accounts are due at the next round.
pub(crate) fn confirm_cuts(ledger: &mut Ledger) {
    let mut left = BLOCK_CUTS_MAX;
    for shard in (0..ledger.chain.shard_map.shards()).map(ShardId::new) {
        let base = ledger.base.clone();
        for (index, leaf) in confirmable(&base, ledger, shard).take(left).collect::<Vec<_>>() {
            confirm(ledger, shard, index, leaf);
            left = left.saturating_sub(1);
        }
    }
}

/// Whether a version has a cut that a block would confirm.
pub(crate) fn cuts_are_confirmable(ledger: &Ledger) -> bool {
    let mut shards = (0..ledger.chain.shard_map.shards()).map(ShardId::new);
    shards.any(|shard| confirmable(&ledger.base, ledger, shard).next().is_some())
}

/// The pending cuts of a shard up to the first that is not confirmed. Indexes grow and leases do not fall, so none after
/// that one is.
fn confirmable<'t>(base: &'t Tree, ledger: &Ledger, shard: ShardId) -> impl Iterator<Item = (u64, CutLeaf)> + use<'t> {
    let known = ledger.shard(shard);
    let is_confirmed = ledger.rules.is_confirmed;
    base.prefix(&key::cut_prefix(shard))
        .map(|(key, leaf)| match (key::split_cut(key), CutLeaf::from_bytes(leaf)) {
            (Some((_, index)), Ok(leaf)) => (index, leaf),
            _ => damaged(key),
        })
        .take_while(move |(index, leaf)| {
            is_confirmed(Cut { index: *index, lease: leaf.lease }, known.inbox_cursor, known.last_close)
        })
}

/// H := max(R, K), and nothing is pending any more.
fn confirm(ledger: &mut Ledger, shard: ShardId, index: u64, leaf: CutLeaf) {
    let CutLeaf { account, lease } = leaf;
    match ledger.line(account, shard) {
        Some(line) if line.cut == Some(Cut { index, lease }) => {
            let held = (ledger.rules.held_after_cut)(&line);
            ledger.set_line(account, shard, LineLeaf { held, cut: None, ..line });
        }
        line => fatal("I8: a cut is its line's", format_args!("{account} on shard {shard}: {index}, {line:?}")),
    }
    ledger.set_cut(shard, index, None);
    ledger.credited.insert(account);
    ledger.mark_due(account);
}
