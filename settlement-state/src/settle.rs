//! What a round does with one account, and what a payment by transaction does: debit, pay, and the stages of what cannot
//! be paid. Each step that moves something writes one posting over all shards.

use db3_primitives::{
    BalanceLeaf, CreditEntry, Epoch, LineEntry, Posting, PostingKind, PostingLine, SettlementLeaf, Stage, Tai,
};

use crate::account::{Open, Wallet};
use crate::credit;
use crate::ledger::Ledger;
use crate::{portion, sums};

/// What a visit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Visited {
    pub(crate) lines: u32,
    pub(crate) postings: u64,
    pub(crate) debited: Tai,
    pub(crate) paid: Tai,
    /// The next round visits the account again.
    pub(crate) due: bool,
}

/// Settles what the shards stated of one account until now.
///
/// 1. Debit: D := R on every line. 2. The balance pays what it can of everything outstanding. 3. What is missing makes
///    the account outstanding, after the grace period delinquent. 4. A delinquent account's lines are cut to what is
///    used, then its collateral pays, and at last the rest is written off. 5. Other accounts' ceilings are renewed, and cut
///    where the limit fell below them.
///
/// An account that still owes, or whose collateral paid in this round, is due again at the next. A debt is not older for
/// `forgiven` of the epochs since the round before, those that no round settled by itself and the round's own where it comes
/// too late; so it ages by at most one with every round.
pub(crate) fn visit(ledger: &mut Ledger, mut open: Open, epoch: Epoch, forgiven: u64) -> Visited {
    if open.leaf.stage != Stage::Clear {
        open.leaf.since = Epoch::new(open.leaf.since.get().saturating_add(forgiven));
    }
    let mut visited = Visited { lines: u32::try_from(open.lines.len()).unwrap_or(u32::MAX), ..Visited::default() };
    let debit = sums::unsettled(&open.lines);
    for (shard, line) in &mut open.lines {
        open.moves.note(*shard, line, line.unsettled(), Tai::ZERO);
        line.debited = line.reported;
    }
    let owed = sums::outstanding(&open.lines);
    let paid = owed.min(open.leaf.balance);
    pay(ledger, &mut open, Wallet::Balance, paid);
    if !debit.is_zero() || !paid.is_zero() {
        post(ledger, PostingKind::Round, epoch, &mut open, Amounts { debit, paid, ..Amounts::default() });
        visited.postings = 1;
    }
    visited.debited = debit;
    visited.paid = paid;
    advance_stage(&ledger.chain, &mut open.leaf, epoch, owed.saturating_sub(paid));
    let seized = match open.leaf.stage {
        Stage::Clear | Stage::Outstanding => {
            credit::renew(ledger, &mut open);
            credit::cut_to_limit(ledger, &mut open);
            Tai::ZERO
        }
        Stage::Delinquent => {
            credit::cut_to_used(ledger, &mut open);
            dun(ledger, &mut open, epoch, &mut visited)
        }
    };
    visited.due = open.leaf.stage != Stage::Clear || !seized.is_zero();
    ledger.close(open);
    visited
}

/// Pays `amount`, which is at most what is outstanding, in proportion over the lines, to each line's own payees.
pub(crate) fn pay(ledger: &mut Ledger, open: &mut Open, wallet: Wallet, amount: Tai) {
    if amount.is_zero() {
        return;
    }
    // Most accounts have one line, which takes all of it.
    if let [(shard, line)] = open.lines.as_mut_slice() {
        open.moves.note(*shard, line, Tai::ZERO, amount);
        line.paid = add(line.paid, amount);
        let shard = *shard;
        ledger.pay_pool(open, wallet, shard, amount);
        return;
    }
    let outstanding: Vec<Tai> = open.lines.iter().map(|(_, line)| line.outstanding()).collect();
    for (at, share) in portion::shares(amount, &outstanding).into_iter().enumerate() {
        if let Some((shard, line)) = open.lines.get_mut(at).filter(|_| !share.is_zero()) {
            open.moves.note(*shard, line, Tai::ZERO, share);
            line.paid = add(line.paid, share);
            let shard = *shard;
            ledger.pay_pool(open, wallet, shard, share);
        }
    }
}

/// Writes down what was moved on an account's lines since its last posting: `amounts`, by what was to be moved.
pub(crate) fn post(ledger: &mut Ledger, kind: PostingKind, epoch: Epoch, open: &mut Open, amounts: Amounts) {
    let lines = open.moves.take();
    append(ledger, kind, epoch, open, amounts, lines);
}

/// What a posting adds up to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Amounts {
    pub(crate) debit: Tai,
    pub(crate) paid: Tai,
    pub(crate) written_off: Tai,
}

/// Appends a posting with the account's next number.
pub(crate) fn append(
    ledger: &mut Ledger,
    kind: PostingKind,
    epoch: Epoch,
    open: &mut Open,
    amounts: Amounts,
    lines: Vec<PostingLine>,
) {
    open.leaf.postings = open.leaf.postings.saturating_add(1);
    let posting = Posting {
        kind,
        epoch,
        height: ledger.at.height,
        time_secs: ledger.at.time.secs,
        account: open.address,
        number: open.leaf.postings,
        debit: amounts.debit,
        paid: amounts.paid,
        written_off: amounts.written_off,
        outstanding: sums::outstanding(&open.lines),
        balance: open.leaf.balance,
        collateral: open.leaf.collateral,
        lines,
    };
    ledger.logs.post(&ledger.base, posting);
}

/// Clear where nothing is owed; else outstanding since this epoch, and delinquent after the grace period.
fn advance_stage(chain: &SettlementLeaf, leaf: &mut BalanceLeaf, epoch: Epoch, owed: Tai) {
    if owed.is_zero() {
        clear(leaf);
        return;
    }
    if leaf.stage == Stage::Clear {
        (leaf.stage, leaf.since) = (Stage::Outstanding, epoch);
    }
    if age(epoch, leaf.since) >= chain.grace_epochs {
        leaf.stage = Stage::Delinquent;
    }
}

/// Nothing is owed any more.
pub(crate) fn clear(leaf: &mut BalanceLeaf) {
    (leaf.stage, leaf.since) = (Stage::Clear, Epoch::new(0));
}

/// How many epochs something is outstanding.
fn age(epoch: Epoch, since: Epoch) -> u64 {
    epoch.get().saturating_sub(since.get())
}

/// Lets the collateral of a delinquent account pay, and writes off what is left when the time for that has come. Tells
/// what was seized.
fn dun(ledger: &mut Ledger, open: &mut Open, epoch: Epoch, visited: &mut Visited) -> Tai {
    let age = age(epoch, open.leaf.since);
    let mut seized = Tai::ZERO;
    if age >= ledger.chain.seize_epochs {
        seized = seize(ledger, open, epoch);
        if !seized.is_zero() {
            visited.postings = visited.postings.saturating_add(1);
            visited.paid = add(visited.paid, seized);
        }
    }
    let owed = sums::outstanding(&open.lines);
    if !owed.is_zero() && open.leaf.collateral.is_zero() && age >= ledger.chain.write_off_epochs {
        write_off(ledger, open, epoch);
        visited.postings = visited.postings.saturating_add(1);
    }
    let owed = sums::outstanding(&open.lines);
    advance_stage(&ledger.chain, &mut open.leaf, epoch, owed);
    seized
}

/// Collateral pays what it can. It issues no ceiling.
fn seize(ledger: &mut Ledger, open: &mut Open, epoch: Epoch) -> Tai {
    let seized = open.leaf.collateral.min(sums::outstanding(&open.lines));
    if seized.is_zero() {
        return seized;
    }
    pay(ledger, open, Wallet::Collateral, seized);
    post(ledger, PostingKind::Seize, epoch, open, Amounts { paid: seized, ..Amounts::default() });
    let renewed = (ledger.rules.renewed_by_seizure)(seized);
    if let Some((shard, line)) = open.lines.first_mut().filter(|_| !renewed.is_zero()) {
        line.ceiling = add(line.ceiling, renewed);
        line.held = line.held.max(line.ceiling);
        let entry = LineEntry { account: open.address, ceiling: line.ceiling };
        ledger.send(*shard, CreditEntry::Line(entry));
    }
    seized
}

/// What is left will never be paid: W takes it, and the account gets no credit any more unless it deposits anew.
fn write_off(ledger: &mut Ledger, open: &mut Open, epoch: Epoch) {
    let written_off = sums::outstanding(&open.lines);
    for (shard, line) in &mut open.lines {
        open.moves.note(*shard, line, Tai::ZERO, line.outstanding());
        line.written_off = add(line.written_off, line.outstanding());
        line.want = Tai::ZERO;
    }
    open.leaf.trust = Tai::ZERO;
    post(ledger, PostingKind::WriteOff, epoch, open, Amounts { written_off, ..Amounts::default() });
}

/// A sum of amounts of one account, which are far below 2^128.
fn add(left: Tai, right: Tai) -> Tai {
    Tai::new(left.get().saturating_add(right.get()))
}
