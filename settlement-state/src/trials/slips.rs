//! Slips: at the end of a true block one figure is made wrong, as a mistake in execution would. The check of the block must
//! say which rule that breaks; what the block wrote otherwise stays as it was.

use db3_primitives::{Address, BalanceLeaf, LineLeaf, Posting, PostingKind, PostingLine, ShardId, Tai};

use crate::journal::Purse;
use crate::ledger::Ledger;

/// Makes the figure wrong if the block has one of its kind.
pub(super) type Slip = fn(&mut Ledger);

const ONE: Tai = Tai::new(1);

fn more(amount: Tai) -> Tai {
    amount.checked_add(ONE).unwrap()
}

/// A balance that the block wrote.
fn written_balance(ledger: &Ledger, wanted: impl Fn(&BalanceLeaf) -> bool) -> Option<(Address, BalanceLeaf)> {
    let mut written = ledger.balances.entries().filter_map(|(account, entry)| Some((account, entry.now?)));
    written.find(|(_, leaf)| wanted(leaf))
}

/// A posting that debited or paid, and the first of its lines.
fn posted(ledger: &mut Ledger, kind: PostingKind) -> Option<&mut Posting> {
    ledger.logs.postings_mut().find(|posting| posting.kind == kind && !posting.paid.is_zero())
}

fn first_line(ledger: &mut Ledger, kind: PostingKind, change: fn(&mut PostingLine)) -> Option<(Address, ShardId)> {
    let posting = posted(ledger, kind)?;
    change(&mut posting.lines[0]);
    Some((posting.account, posting.lines[0].shard))
}

fn make_money(ledger: &mut Ledger) {
    if let Some((account, leaf)) = written_balance(ledger, |_| true) {
        ledger.set_balance(account, BalanceLeaf { balance: more(leaf.balance), ..leaf });
    }
}

fn move_money_past_the_journal(ledger: &mut Ledger) {
    if let Some((account, leaf)) = written_balance(ledger, |leaf| !leaf.balance.is_zero()) {
        let balance = leaf.balance.checked_sub(ONE).unwrap();
        ledger.set_balance(account, BalanceLeaf { balance, collateral: more(leaf.collateral), ..leaf });
    }
}

fn add_up_wrong(ledger: &mut Ledger) {
    if let Some(posting) = posted(ledger, PostingKind::Round) {
        posting.debit = more(posting.debit);
    }
}

fn write_off_and_call_it_paid(ledger: &mut Ledger) {
    let mut postings = ledger.logs.postings_mut();
    if let Some(posting) = postings.find(|posting| posting.kind == PostingKind::WriteOff) {
        (posting.paid, posting.written_off) = (posting.written_off, Tai::ZERO);
    }
}

fn post_more_than_a_line_shows(ledger: &mut Ledger) {
    let grow = |line: &mut PostingLine| line.covered_to = more(line.covered_to);
    if first_line(ledger, PostingKind::Round, grow).is_some() {
        let posting = posted(ledger, PostingKind::Round).unwrap();
        posting.paid = more(posting.paid);
    }
}

fn post_from_the_wrong_place(ledger: &mut Ledger) {
    first_line(ledger, PostingKind::Round, |line| {
        (line.debited_from, line.debited_to) = (more(line.debited_from), more(line.debited_to));
    });
}

fn pay_a_line_past_its_payee(ledger: &mut Ledger) {
    let owes = |ledger: &Ledger, posting: &Posting| {
        let line = ledger.line(posting.account, posting.lines[0].shard).unwrap();
        posting.kind == PostingKind::Round && !posting.paid.is_zero() && !line.outstanding().is_zero()
    };
    let postings: Vec<Posting> = ledger.logs.postings().cloned().collect();
    let Some(at) = postings.iter().position(|posting| owes(ledger, posting)) else { return };
    let (account, shard) = (postings[at].account, postings[at].lines[0].shard);
    let line = ledger.line(account, shard).unwrap();
    ledger.set_line(account, shard, LineLeaf { paid: more(line.paid), ..line });
    let posting = ledger.logs.postings_mut().nth(at).unwrap();
    posting.paid = more(posting.paid);
    posting.lines[0].covered_to = more(posting.lines[0].covered_to);
}

fn pay_a_payee_twice(ledger: &mut Ledger) {
    let Some(posting) = posted(ledger, PostingKind::Round) else { return };
    let (shard, amount) = (posting.lines[0].shard, posting.lines[0].covered());
    if let Some((account, _)) = written_balance(ledger, |leaf| leaf.balance >= amount) {
        ledger.transfer(Purse::Balance(account), Purse::Pool(shard), amount);
    }
}

fn pay_out_another_stretch(ledger: &mut Ledger) {
    first_line(ledger, PostingKind::Payout, |line| {
        (line.covered_from, line.covered_to) = (more(line.covered_from), more(line.covered_to));
    });
}

/// Not through the functions that raise, so that nothing but the leaf tells of it.
fn raise_beyond_the_limit(ledger: &mut Ledger) {
    let written = ledger.lines.entries().find_map(|(key, entry)| Some((key, entry.now?)));
    if let Some(((account, shard), line)) = written {
        let ceiling = line.held.checked_add(Tai::new(1_000_000)).unwrap();
        ledger.set_line(account, shard, LineLeaf { ceiling, held: ceiling, ..line });
    }
}

fn let_collateral_go_that_is_in_use(ledger: &mut Ledger) {
    let in_use = |account: Address| ledger.lines_of(account).iter().any(|(_, line)| !line.bound().is_zero());
    let able = written_balance(ledger, |leaf| leaf.trust.is_zero() && !leaf.collateral.is_zero());
    if let Some((account, leaf)) = able.filter(|(account, _)| in_use(*account)) {
        ledger.transfer(Purse::Collateral(account), Purse::Balance(account), leaf.collateral);
    }
}

fn forget_who_paid(ledger: &mut Ledger) {
    let written = ledger.lines.entries().find(|(_, entry)| {
        let paid = |line: &Option<LineLeaf>| line.map_or(Tai::ZERO, |line| line.paid);
        paid(&entry.before) < paid(&entry.now)
    });
    if let Some(((account, shard), before)) = written.and_then(|(key, entry)| Some((key, entry.before?))) {
        let line = ledger.line(account, shard).unwrap();
        ledger.set_line(account, shard, LineLeaf { paid: before.paid, ..line });
    }
}

/// What slips, how, and the rule that is broken.
pub(super) const SLIPS: [(&str, Slip, &str); 12] = [
    ("a tai is made", make_money, "I5: the supply is constant"),
    ("money is moved past the journal", move_money_past_the_journal, "I5: a purse changes by"),
    ("a posting adds up wrong", add_up_wrong, "I5: a posting is the sum of its lines"),
    ("what is written off is called paid", write_off_and_call_it_paid, "I5: a posting is the sum of its lines"),
    ("a posting says more than its line", post_more_than_a_line_shows, "I5: debited, paid"),
    ("a posting begins in the wrong place", post_from_the_wrong_place, "I5: debited, paid"),
    ("a payment is posted that its line does not show", forget_who_paid, "I5: debited, paid"),
    ("a line and its posting show what no payee got", pay_a_line_past_its_payee, "I5: a payee's income"),
    ("a payee is paid twice", pay_a_payee_twice, "I5: a payee's income"),
    ("a payout takes another stretch", pay_out_another_stretch, "I5: payouts follow each other"),
    ("a raise goes beyond the limit", raise_beyond_the_limit, "I8: no voluntary step"),
    ("collateral goes that is in use", let_collateral_go_that_is_in_use, "I8: no voluntary step"),
];
