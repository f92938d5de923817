//! Ceilings: raised, cut, renewed, and cuts confirmed. DESIGN.md, point 8; the letters are its own.

use db3_primitives::limits::{BLOCK_CUTS_MAX, CEILING_TAI_MAX};
use db3_primitives::{CreditEntry, Cut, CutLeaf, LineEntry, LineLeaf, ShardId, Tai, key};
use db3_state_tree::Tree;

use crate::account::Open;
use crate::ledger::Ledger;
use crate::portion;
use db3_primitives::fatal::{damaged, fatal};

/// The account's limit: ⌊factor · collateral⌋ + trust.
pub(crate) fn limit(ledger: &Ledger, open: &Open) -> Tai {
    ledger.chain.limit(open.leaf.collateral, open.leaf.trust)
}

/// Moves a line's ceiling towards `target`: down to it, or up as far as the limit lets it.
pub(crate) fn set_ceiling(ledger: &mut Ledger, open: &mut Open, shard: ShardId, target: Tai) {
    let mut bound = bound_by_all(ledger, open);
    move_ceiling(ledger, open, shard, target, &mut bound);
}

/// The same, where `bound` is what all lines count against the limit; it stays so.
fn move_ceiling(ledger: &mut Ledger, open: &mut Open, shard: ShardId, target: Tai, bound: &mut u128) {
    let Some(line) = open.line(shard) else { return };
    let own = bound_by(ledger, &line);
    let target = target.min(CEILING_TAI_MAX);
    if target < line.ceiling {
        cut(ledger, open, shard, line, target);
    } else if target > line.ceiling {
        raise(ledger, open, shard, line, target, bound.saturating_sub(own));
    }
    if let Some(line) = open.line(shard) {
        *bound = bound.saturating_sub(own).saturating_add(bound_by(ledger, &line));
    }
}

/// What a line counts against the limit: H − P − W.
fn bound_by(ledger: &Ledger, line: &LineLeaf) -> u128 {
    (ledger.rules.counted)(line).saturating_sub(line.covered()).get()
}

/// What all lines count against the limit.
fn bound_by_all(ledger: &Ledger, open: &Open) -> u128 {
    open.lines.iter().fold(0, |sum, (_, line)| sum.saturating_add(bound_by(ledger, line)))
}

/// K := v, remembered as a cut until the shard confirms it; H stays. A cut that was pending is forgotten: its
/// confirmation would come before this one's.
fn cut(ledger: &mut Ledger, open: &mut Open, shard: ShardId, line: LineLeaf, ceiling: Tai) {
    if let Some(pending) = line.cut {
        ledger.set_cut(shard, pending.index, None);
    }
    let account = open.address;
    let lease = (ledger.rules.remembered_lease)(ledger.shard(shard).lease);
    let index = ledger.send(shard, CreditEntry::Line(LineEntry { account, ceiling }));
    ledger.set_cut(shard, index, Some(CutLeaf { account, lease }));
    open.set_line(shard, LineLeaf { ceiling, cut: Some(Cut { index, lease }), ..line });
}

/// The largest K ≤ v that keeps `held` ≤ limit counting H := max(H, K); a pending cut stays. An account that holds more
/// than its limit gets nothing, and neither does a shard whose channel is frozen: it could never tell of the cut again.
fn raise(ledger: &mut Ledger, open: &mut Open, shard: ShardId, line: LineLeaf, target: Tai, others: u128) {
    if ledger.shard(shard).fault.is_some() {
        return;
    }
    let Some(room) = room(ledger, open, &line, others) else { return };
    let ceiling = target.min(room);
    if ceiling <= line.ceiling {
        return;
    }
    let held = (ledger.rules.held_after_raise)(&line, ceiling);
    ledger.send(shard, CreditEntry::Line(LineEntry { account: open.address, ceiling }));
    open.set_line(shard, LineLeaf { ceiling, held, ..line });
}

/// What H may become on this line, all others as they stand; none where H is above that already.
fn room(ledger: &Ledger, open: &Open, line: &LineLeaf, others: u128) -> Option<Tai> {
    let free = limit(ledger, open).checked_sub(Tai::new(others))?;
    let room = Tai::new(free.get().saturating_add(line.covered().get()));
    ((ledger.rules.counted)(line) <= room).then_some(room)
}

/// Brings every line back to P + W + want where it has fallen short by a quarter of want, or lies above. Where nothing is
/// wanted nothing is given, so a shard is not told what changes nothing.
pub(crate) fn renew(ledger: &mut Ledger, open: &mut Open) {
    let mut bound = bound_by_all(ledger, open);
    for at in 0..open.lines.len() {
        let Some((shard, line)) = open.lines.get(at).copied() else { return };
        let target = wanted(&line);
        let quarter = line.want.get().div_euclid(4).max(1);
        let short = target.saturating_sub(line.ceiling).get();
        if (short >= quarter && !line.want.is_zero()) || line.ceiling > target {
            move_ceiling(ledger, open, shard, target, &mut bound);
        }
    }
}

/// Takes back what an account may still spend beyond its limit, after governance lowered it: in proportion to what the
/// lines have left, so the shards can charge no more than the limit once they know of it. Nothing that was used can be
/// taken back, so an excess may stay until it is paid; a raise asks for less than that, and never undoes this.
pub(crate) fn cut_to_limit(ledger: &mut Ledger, open: &mut Open) {
    let counted = |line: &LineLeaf| line.ceiling.max(line.reported).saturating_sub(line.covered()).get();
    let given = open.lines.iter().fold(0u128, |sum, (_, line)| sum.saturating_add(counted(line)));
    let excess = given.saturating_sub(limit(ledger, open).get());
    if excess == 0 {
        return;
    }
    let left: Vec<Tai> = open.lines.iter().map(|(_, line)| line.ceiling.saturating_sub(line.reported)).collect();
    let all_left = left.iter().fold(0u128, |sum, left| sum.saturating_add(left.get()));
    let mut bound = bound_by_all(ledger, open);
    for (at, back) in portion::shares(Tai::new(excess.min(all_left)), &left).into_iter().enumerate() {
        if let Some((shard, line)) = open.lines.get(at).copied().filter(|_| !back.is_zero()) {
            move_ceiling(ledger, open, shard, line.ceiling.saturating_sub(back), &mut bound);
        }
    }
}

/// P + W + want.
pub(crate) fn wanted(line: &LineLeaf) -> Tai {
    Tai::new(line.covered().get().saturating_add(line.want.get()))
}

/// Cuts every line of a delinquent account to what is used: min(K, R).
pub(crate) fn cut_to_used(ledger: &mut Ledger, open: &mut Open) {
    let mut bound = bound_by_all(ledger, open);
    for (shard, line) in open.lines.clone() {
        move_ceiling(ledger, open, shard, line.ceiling.min(line.reported), &mut bound);
    }
}

/// Confirms the cuts of which the shards' closes tell, at most [`BLOCK_CUTS_MAX`] in a block, in order of shard and of
/// their index in the log. What they free can be given again: their accounts are due at the next round. Tells how many.
pub(crate) fn confirm_cuts(ledger: &mut Ledger) -> usize {
    let mut left = BLOCK_CUTS_MAX;
    for shard in (0..ledger.chain.shard_map.shards()).map(ShardId::new) {
        let base = ledger.base.clone();
        for (index, leaf) in confirmable(&base, ledger, shard).take(left).collect::<Vec<_>>() {
            confirm(ledger, shard, index, leaf);
            left = left.saturating_sub(1);
        }
    }
    BLOCK_CUTS_MAX.saturating_sub(left)
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
    ledger.mark_due(account);
}
