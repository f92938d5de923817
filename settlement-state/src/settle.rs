//! What a round does with one account, and what a payment by transaction does: debit, pay, and the stages of what cannot
//! be paid. Each step that moves something writes one posting over all shards.

use db3_primitives::{Address, BalanceLeaf, Epoch, LineLeaf, Posting, PostingKind, PostingLine, ShardId, Stage, Tai};

use crate::credit;
use crate::journal::Purse;
use crate::ledger::Ledger;
use crate::{portion, sums};

/// What a visit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Visited {
    pub(crate) lines: u32,
    pub(crate) postings: u64,
    pub(crate) debited: Tai,
    pub(crate) paid: Tai,
}

/// Settles what the shards stated of one account until now.
///
/// 1. Debit: D := R on every line. 2. The balance pays what it can of everything outstanding. 3. What is missing makes
///    the account outstanding, after the grace period delinquent. 4. A delinquent account's lines are cut to what is
///    used, then its collateral pays, and at last the rest is written off. 5. Other accounts' ceilings are renewed.
///
/// An account that still owes, or whose collateral paid in this round, is due again at the next.
pub(crate) fn visit(ledger: &mut Ledger, account: Address, epoch: Epoch) -> Visited {
    let before = ledger.lines_of(account);
    let mut visited = Visited { lines: u32::try_from(before.len()).unwrap_or(u32::MAX), ..Visited::default() };
    let debit = sums::unsettled(&before);
    for (shard, line) in before.iter().filter(|(_, line)| !line.unsettled().is_zero()) {
        ledger.set_line(account, *shard, LineLeaf { debited: line.reported, ..*line });
    }
    let owed = sums::outstanding(&ledger.lines_of(account));
    let balance = ledger.balance(account).unwrap_or_default().balance;
    let paid = pay(ledger, Purse::Balance(account), account, balance.min(owed));
    if !debit.is_zero() || !paid.is_zero() {
        post(ledger, PostingKind::Round, epoch, account, &before);
        visited.postings = 1;
    }
    visited.debited = debit;
    visited.paid = paid;
    let stage = advance_stage(ledger, account, epoch, owed.saturating_sub(paid));
    let seized = match stage {
        Stage::Clear | Stage::Outstanding => {
            credit::renew(ledger, account);
            Tai::ZERO
        }
        Stage::Delinquent => {
            credit::cut_to_used(ledger, account);
            dun(ledger, account, epoch, &mut visited)
        }
    };
    if ledger.balance(account).unwrap_or_default().stage == Stage::Clear && seized.is_zero() {
        ledger.clear_due(account);
    }
    visited
}

/// Pays `amount` of what is outstanding, in proportion over the lines, to each line's own payees; never more than is
/// outstanding. Tells what was paid.
pub(crate) fn pay(ledger: &mut Ledger, from: Purse, account: Address, amount: Tai) -> Tai {
    if amount.is_zero() {
        return amount;
    }
    let lines = ledger.lines_of(account);
    let outstanding: Vec<Tai> = lines.iter().map(|(_, line)| line.outstanding()).collect();
    for ((shard, line), share) in lines.into_iter().zip(portion::shares(amount, &outstanding)) {
        if !share.is_zero() {
            ledger.transfer(from, Purse::Pool(shard), share);
            ledger.set_line(account, shard, LineLeaf { paid: add(line.paid, share), ..line });
        }
    }
    amount
}

/// Writes down what changed on an account's lines since `before`.
pub(crate) fn post(
    ledger: &mut Ledger,
    kind: PostingKind,
    epoch: Epoch,
    account: Address,
    before: &[(ShardId, LineLeaf)],
) {
    let lines = ledger.lines_of(account);
    let changed: Vec<PostingLine> = before
        .iter()
        .zip(&lines)
        .map(|((shard, before), (_, now))| PostingLine {
            shard: *shard,
            debited_from: before.debited,
            debited_to: now.debited,
            covered_from: before.covered(),
            covered_to: now.covered(),
        })
        .filter(|line| !line.debit().is_zero() || !line.covered().is_zero())
        .collect();
    let sum = |of: fn(&PostingLine) -> Tai| changed.iter().fold(Tai::ZERO, |sum, line| add(sum, of(line)));
    let (debit, covered) = (sum(PostingLine::debit), sum(PostingLine::covered));
    let (paid, written_off) = match kind {
        PostingKind::WriteOff => (Tai::ZERO, covered),
        PostingKind::Round | PostingKind::Pay | PostingKind::Seize | PostingKind::Payout => (covered, Tai::ZERO),
    };
    append(ledger, kind, epoch, account, Amounts { debit, paid, written_off }, changed);
}

/// What a posting adds up to.
#[derive(Clone, Copy, Debug)]
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
    account: Address,
    amounts: Amounts,
    lines: Vec<PostingLine>,
) {
    let leaf = ledger.balance(account).unwrap_or_default();
    let number = leaf.postings.saturating_add(1);
    ledger.set_balance(account, BalanceLeaf { postings: number, ..leaf });
    let posting = Posting {
        kind,
        epoch,
        height: ledger.at.height,
        time_secs: ledger.at.time.secs,
        account,
        number,
        debit: amounts.debit,
        paid: amounts.paid,
        written_off: amounts.written_off,
        outstanding: sums::outstanding(&ledger.lines_of(account)),
        balance: leaf.balance,
        collateral: leaf.collateral,
        lines,
    };
    ledger.logs.post(posting);
}

/// Clear where nothing is owed; else outstanding since this epoch, and delinquent after the grace period.
fn advance_stage(ledger: &mut Ledger, account: Address, epoch: Epoch, owed: Tai) -> Stage {
    let leaf = ledger.balance(account).unwrap_or_default();
    if settled(ledger, account, owed) {
        return Stage::Clear;
    }
    let since = if leaf.stage == Stage::Clear { epoch } else { leaf.since };
    let overdue = age(epoch, since) >= ledger.chain.grace_epochs || leaf.stage == Stage::Delinquent;
    let stage = if overdue { Stage::Delinquent } else { Stage::Outstanding };
    ledger.set_balance(account, BalanceLeaf { stage, since, ..leaf });
    stage
}

/// Whether a payment has left nothing owed; then the account is clear.
pub(crate) fn settled(ledger: &mut Ledger, account: Address, owed: Tai) -> bool {
    if !owed.is_zero() {
        return false;
    }
    let leaf = ledger.balance(account).unwrap_or_default();
    ledger.set_balance(account, BalanceLeaf { stage: Stage::Clear, since: Epoch::new(0), ..leaf });
    true
}

/// How many epochs something is outstanding.
fn age(epoch: Epoch, since: Epoch) -> u64 {
    epoch.get().saturating_sub(since.get())
}

/// Lets the collateral of a delinquent account pay, and writes off what is left when the time for that has come. Tells
/// what was seized.
fn dun(ledger: &mut Ledger, account: Address, epoch: Epoch, visited: &mut Visited) -> Tai {
    let leaf = ledger.balance(account).unwrap_or_default();
    let age = age(epoch, leaf.since);
    let mut seized = Tai::ZERO;
    if age >= ledger.chain.seize_epochs {
        seized = seize(ledger, account, epoch, leaf.collateral);
        if !seized.is_zero() {
            visited.postings = visited.postings.saturating_add(1);
            visited.paid = add(visited.paid, seized);
        }
    }
    let owed = sums::outstanding(&ledger.lines_of(account));
    let left = ledger.balance(account).unwrap_or_default().collateral;
    if !owed.is_zero() && left.is_zero() && age >= ledger.chain.write_off_epochs {
        write_off(ledger, account, epoch);
        visited.postings = visited.postings.saturating_add(1);
    }
    let owed = sums::outstanding(&ledger.lines_of(account));
    advance_stage(ledger, account, epoch, owed);
    seized
}

/// Collateral pays what it can. It issues no ceiling.
fn seize(ledger: &mut Ledger, account: Address, epoch: Epoch, collateral: Tai) -> Tai {
    let before = ledger.lines_of(account);
    let seized = pay(ledger, Purse::Collateral(account), account, collateral.min(sums::outstanding(&before)));
    if seized.is_zero() {
        return seized;
    }
    post(ledger, PostingKind::Seize, epoch, account, &before);
    let renewed = (ledger.rules.renewed_by_seizure)(seized);
    if !renewed.is_zero() {
        for (shard, line) in ledger.lines_of(account).into_iter().take(1) {
            let ceiling = add(line.ceiling, renewed);
            ledger.set_line(account, shard, LineLeaf { ceiling, held: line.held.max(ceiling), ..line });
        }
    }
    seized
}

/// What is left will never be paid: W takes it, and the account gets no credit any more unless it deposits anew.
fn write_off(ledger: &mut Ledger, account: Address, epoch: Epoch) {
    let before = ledger.lines_of(account);
    for (shard, line) in &before {
        let written_off = add(line.written_off, line.outstanding());
        ledger.set_line(account, *shard, LineLeaf { written_off, want: Tai::ZERO, ..*line });
    }
    let leaf = ledger.balance(account).unwrap_or_default();
    ledger.set_balance(account, BalanceLeaf { trust: Tai::ZERO, ..leaf });
    ledger.credited.insert(account);
    post(ledger, PostingKind::WriteOff, epoch, account, &before);
}

/// A sum of amounts of one account, which are far below 2^128.
fn add(left: Tai, right: Tai) -> Tai {
    Tai::new(left.get().saturating_add(right.get()))
}
