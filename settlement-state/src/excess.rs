//! Rule I8 at the end of a block, by account: what it holds above its limit may stay, and grows only by what it did not do
//! itself.
//!
//! Whom to look at is read from what changed: those whose lines bind more of their limit, those whose limit fell, and those
//! of whom something was seized or written off. For everybody else the excess is at most what it was.

use db3_primitives::{Address, BalanceLeaf, PostingKind, Tai};

use crate::conservation::LineKey;
use crate::ledger::Ledger;
use crate::objects::{Balances, Lines};
use crate::reads::Reads;
use crate::table::{Seen, stored, stored_near};
use crate::terms::{CreditTerm, LineTerm, signed};

/// The accounts to look at, in order of address, each with what it held above its limit and holds now.
pub(crate) fn terms(ledger: &Ledger, lines: &[(LineKey, LineTerm<'_>)]) -> Vec<(Address, CreditTerm)> {
    let mut reads = Reads::of(&ledger.base);
    let accounts = accounts(ledger, lines);
    let mut terms: Vec<_> = accounts.into_iter().map(|account| (account, term(ledger, &mut reads, account))).collect();
    for posting in ledger.logs.postings() {
        let fall = match posting.kind {
            PostingKind::Round | PostingKind::Pay | PostingKind::Payout => continue,
            // ⌊f · C⌋ − ⌊f · (C − y)⌋ is at most ⌊f · y⌋ + 1.
            PostingKind::Seize => ledger.chain.limit(posting.paid, Tai::ZERO).get().saturating_add(1),
            PostingKind::WriteOff => {
                let trust = stored::<Balances>(&ledger.base, posting.account).unwrap_or_default().trust;
                trust_before(ledger, &posting.account, trust).get()
            }
        };
        let place = terms.binary_search_by_key(&posting.account, |(account, _)| *account);
        let Some((_, term)) = place.ok().and_then(|at| terms.get_mut(at)) else { continue };
        let covered = posting.paid.get().saturating_add(posting.written_off.get());
        term.involuntary = term.involuntary.saturating_add(signed(fall)).saturating_sub(signed(covered));
    }
    terms
}

/// Whose excess may have grown.
fn accounts(ledger: &Ledger, lines: &[(LineKey, LineTerm<'_>)]) -> Vec<Address> {
    let mut accounts: Vec<Address> = lines
        .chunk_by(|((left, _), _), ((right, _), _)| left == right)
        .filter(|lines| lines.iter().fold(0i128, |sum, (_, term)| sum.saturating_add(term.bound_more())) > 0)
        .filter_map(|lines| lines.first().map(|((account, _), _)| *account))
        .collect();
    let by_lines = accounts.len();
    for (account, entry) in ledger.balances.entries() {
        let (before, now) = (entry.before.unwrap_or_default(), entry.now.unwrap_or_default());
        if now.collateral < before.collateral || now.trust < trust_before(ledger, &account, before.trust) {
            accounts.push(account);
        }
    }
    for posting in ledger.logs.postings() {
        if matches!(posting.kind, PostingKind::Seize | PostingKind::WriteOff) {
            accounts.push(posting.account);
        }
    }
    if accounts.len() > by_lines {
        accounts.sort_unstable();
        accounts.dedup();
    }
    accounts
}

fn term(ledger: &Ledger, reads: &mut Reads<'_>, account: Address) -> CreditTerm {
    // Governance changes trust before anything else in a block: no step of the block did.
    let before = stored_near::<Balances>(&mut reads.balances, account).unwrap_or_default();
    let before = BalanceLeaf { trust: trust_before(ledger, &account, before.trust), ..before };
    let now = ledger.balances.get_near(&mut reads.balances, account).unwrap_or_default();
    let over = |leaf: &BalanceLeaf, held: Tai| {
        signed(held.get()).saturating_sub(signed(ledger.chain.limit(leaf.collateral, leaf.trust).get()))
    };
    let stored = reads.lines_of(&account);
    let before = over(&before, held(&stored));
    CreditTerm { before, after: over(&now, held(&ledger.written_over(account, stored))), involuntary: 0 }
}

/// Σ (H − P − W).
fn held(lines: &[Seen<Lines>]) -> Tai {
    let bound = lines.iter().filter_map(Seen::leaf).map(|line| line.bound().get());
    Tai::new(bound.fold(0, u128::saturating_add))
}

/// An account's trust after governance and before everything else in the block.
fn trust_before(ledger: &Ledger, account: &Address, stored: Tai) -> Tai {
    ledger.trusted.get(account).copied().unwrap_or(stored)
}
