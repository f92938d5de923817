//! The rules of DESIGN.md, checked at every block from the states themselves, and the comparison with the model. What stands on
//! the right-hand side comes from bills, postings and payees' income, never from the difference of what is checked.

use std::collections::BTreeMap;

use db3_primitives::{Address, CreditEntry, Epoch, Hash32, PostingKind, ShardId, Tai};
use db3_settlement_state::SettlementState;
use db3_shard_state::ShardState;

use crate::exposure::{above_limit, involuntary, most_spendable};
use crate::machine::{Chain, Done, Ran};
use crate::model::{Account, Books, Credit, Line, Posted, ShardBooks};
use crate::timeline::Timeline;

/// What was seen so far.
pub struct Checks {
    /// All money.
    supply: u128,
    /// Per account and shard: what postings debited, and what they covered.
    posted: BTreeMap<(Address, ShardId), (u128, u128)>,
    /// Per shard: what postings paid to its pool, and what payouts took from it.
    income: BTreeMap<ShardId, (u128, u128)>,
    /// Per shard: the epoch that its next close begins with, and the hash of the newest close.
    pub closed: BTreeMap<ShardId, (Epoch, Hash32)>,
    /// The newest epoch settled.
    settled: Option<u64>,
    /// Per account: what it may come to owe above its limit, as far as seizures, write-offs and governance explain that.
    excess: BTreeMap<Address, i128>,
    /// The shard that lied, and the one that was found at fault for it.
    pub lied: Option<u32>,
    pub liar: Option<u32>,
    /// How often each kind of posting was seen.
    pub kinds: BTreeMap<PostingKind, u64>,
    pub rounds: u64,
    pub closes: u64,
}

impl Checks {
    pub fn of(state: &SettlementState) -> Self {
        Self {
            supply: money(state),
            posted: BTreeMap::new(),
            income: BTreeMap::new(),
            closed: BTreeMap::new(),
            settled: None,
            excess: BTreeMap::new(),
            lied: None,
            liar: None,
            kinds: BTreeMap::new(),
            rounds: 0,
            closes: 0,
        }
    }

    /// A shard's block.
    pub fn shard_block(&mut self, books: &ShardBooks, before: &ShardState, ran: &Ran<ShardState>) {
        let effects = &ran.effects;
        // I1: one bill for each mutation executed, with its fee; I2: the bills are what the sums grew by.
        let executed: Vec<_> = ran
            .items
            .iter()
            .filter_map(|done| match done {
                Done::Executed(receipt) => Some((receipt.id, receipt.account, receipt.fee)),
                Done::Refused(_) | Done::Accepted => None,
            })
            .collect();
        let bills: Vec<_> = effects
            .bills
            .iter()
            .map(|bill| (db3_primitives::Identifier(bill.reference), bill.account, bill.fee))
            .collect();
        assert_eq!(executed, bills, "I1: every executed mutation writes one bill");
        let spent = |state: &ShardState| state.accounts().map(|(_, leaf)| leaf.spent.get()).sum::<u128>();
        let billed: u128 = bills.iter().map(|(_, _, fee)| fee.get()).sum();
        assert_eq!(spent(before) + billed, spent(&ran.state), "I2: new bills are the change of the sums");
        self.epochs(before, ran);
        // The model: who may spend what, who spent what, which epoch is open.
        let leaves: BTreeMap<_, _> = ran.state.accounts().map(|(account, leaf)| (account, leaf.spent.get())).collect();
        assert_eq!(leaves, books.spent, "the model predicts every account's sum");
        let ceilings: BTreeMap<_, _> =
            ran.state.accounts().map(|(account, leaf)| (account, leaf.ceiling.get())).collect();
        assert_eq!(ceilings, books.ceilings, "the model predicts every ceiling");
        assert_eq!((ran.state.open_epoch().0.get(), ran.state.chain().lease_epoch), (books.open, books.lease));
        let acknowledged = ran.state.acknowledged_by(&ran.state.settlement());
        assert_eq!(acknowledged, books.acknowledged, "the model predicts what the settlement chain has applied");
    }

    /// I3: what closes begins where the last close ended, once; nothing closes while a close is still being told.
    fn epochs(&mut self, before: &ShardState, ran: &Ran<ShardState>) {
        let shard = ran.state.chain().shard;
        let (opened, open) = (before.open_epoch().0, ran.state.open_epoch().0);
        let (next, previous) = self.closed.entry(shard).or_insert((opened, [0; 32]));
        let may_close = before.emission().is_none();
        assert!(
            open == opened || (open > opened && may_close),
            "I3: shard {shard} closes {opened} within another close"
        );
        let Some(close) = &ran.effects.closed else { return };
        assert_eq!((close.first, close.previous), (*next, *previous), "I3: shard {shard} closes once and contiguously");
        assert!(close.first <= close.last && close.last.next() == Some(open), "I3: shard {shard} closes what is past");
        assert!(ran.state.emission().is_none(), "I3: the close of shard {shard} is told to its end");
        assert_eq!(ran.state.epoch_hash(close.last).unwrap().1, close.hash(), "I3: shard {shard} keeps its close");
        (*next, *previous) = (open, close.hash());
        self.closes += 1;
    }

    /// A block of the settlement chain.
    pub fn settlement_block(
        &mut self,
        books: &Books,
        before: &SettlementState,
        ran: &Ran<SettlementState>,
        shards: &[Chain<ShardState>],
        timeline: &Timeline,
    ) {
        let (state, effects) = (&ran.state, &ran.effects);
        state.audit().unwrap();
        self.inbound(effects, shards, books);
        self.postings(effects, state);
        if let Some(done) = &effects.settled {
            if self.rounds > 0 {
                assert!(self.settled.is_none_or(|settled| done.epoch.get() > settled), "I4: an epoch settles once");
                self.settled = Some(done.epoch.get());
            }
            self.rounds += 1;
        }
        assert_eq!(money(state), self.supply, "I5: the supply is constant");
        self.credit(before, ran, books, shards, timeline);
        compare(books, state, effects, timeline, shards);
        if effects.entries.is_empty()
            && effects.deliveries.is_empty()
            && effects.receipts.is_empty()
            && effects.postings.is_empty()
            && effects.governance.applied.is_empty()
            && !ran.items.iter().any(|done| matches!(done, Done::Accepted))
        {
            let idle = !before.work_pending(timeline.time());
            assert!(!idle || before.root() == state.root(), "an empty block in which nothing is due changes no byte");
        }
    }

    /// I4: what was applied is what the shard wrote, entry by entry.
    fn inbound(&mut self, effects: &db3_settlement_state::Effects, shards: &[Chain<ShardState>], books: &Books) {
        for entry in &effects.inbound {
            let place = usize::try_from(entry.source.get()).unwrap();
            let settlement = shards[place].state.settlement();
            let written = &shards[place].timeline.log(&settlement)[usize::try_from(entry.index).unwrap()];
            assert_eq!(entry.bytes, *written, "I4: entry {} of shard {} is another", entry.index, entry.source);
        }
        for report in &effects.faults {
            assert!(self.liar.replace(report.source.get()).is_none(), "a fault is told once: {report:?}");
        }
        let frozen = (0..).zip(&books.shards).find(|(_, shard)| shard.frozen).map(|(number, _)| number);
        assert!(
            self.liar.is_none() || self.liar == self.lied,
            "an honest shard was found at fault: {:?}",
            effects.faults
        );
        assert_eq!(self.liar, frozen, "the shard that lies is found at fault, and no other: {:?}", effects.faults);
    }

    /// I5: what postings debit and pay is what lines and pools say.
    fn postings(&mut self, effects: &db3_settlement_state::Effects, state: &SettlementState) {
        for (_, posting) in &effects.postings {
            *self.kinds.entry(posting.kind).or_default() += 1;
            let (mut debit, mut covered) = (0, 0);
            for line in &posting.lines {
                let moved = line.covered_to.get() - line.covered_from.get();
                if posting.kind == PostingKind::Payout {
                    assert_eq!(posting.paid.get(), moved, "a payout is a stretch of its pool's income");
                    let (_, taken) = self.income.entry(line.shard).or_default();
                    assert_eq!(line.covered_from.get(), *taken, "the payouts of pool {} follow each other", line.shard);
                    *taken = line.covered_to.get();
                    continue;
                }
                let sums = self.posted.entry((posting.account, line.shard)).or_default();
                assert_eq!((line.debited_from.get(), line.covered_from.get()), *sums, "postings follow each other");
                *sums = (line.debited_to.get(), line.covered_to.get());
                debit += line.debited_to.get() - line.debited_from.get();
                covered += moved;
                if posting.kind != PostingKind::WriteOff {
                    self.income.entry(line.shard).or_default().0 += moved;
                }
            }
            if posting.kind != PostingKind::Payout {
                assert_eq!(posting.debit.get(), debit, "a posting's debit is that of its lines");
                assert_eq!(
                    posting.paid.get() + posting.written_off.get(),
                    covered,
                    "a posting covers what its lines say"
                );
            }
        }
        for (account, shard, line) in state.lines() {
            let sums = self.posted.get(&(account, shard)).copied().unwrap_or_default();
            assert_eq!(
                (line.debited.get(), line.paid.get() + line.written_off.get()),
                sums,
                "I5: debits and payments are postings"
            );
        }
        for shard in state.shards() {
            let leaf = state.shard(shard).unwrap().leaf;
            let (paid, taken) = self.income.get(&shard).copied().unwrap_or_default();
            assert_eq!(
                (leaf.income.get(), leaf.pool.get()),
                (paid, paid - taken),
                "I5: payees' income is what was paid"
            );
        }
    }

    /// I8 and I9, with what the shards may still do, undelivered entries included.
    fn credit(
        &mut self,
        before: &SettlementState,
        ran: &Ran<SettlementState>,
        books: &Books,
        shards: &[Chain<ShardState>],
        timeline: &Timeline,
    ) {
        let (state, effects) = (&ran.state, &ran.effects);
        // Per account: what it owes by its postings, and what the shards may still let it spend.
        let mut exposed: BTreeMap<Address, u128> = BTreeMap::new();
        for (account, shard, line) in state.lines() {
            let chain = &shards[usize::try_from(shard.get()).unwrap()];
            // A liar states what was never spent.
            let stated = if self.lied == Some(shard.get()) { line.reported.get() } else { 0 };
            let spent = chain.state.account(&account).map_or(0, |leaf| leaf.spent.get()).max(stated);
            let most = most_spendable(&account, chain, timeline).max(stated);
            let (debited, covered) = self.posted.get(&(account, shard)).copied().unwrap_or_default();
            *exposed.entry(account).or_default() += most - covered;
            assert!(
                covered <= debited
                    && debited <= line.reported.get()
                    && line.reported.get() <= spent
                    && most <= line.held.get(),
                "I9: {account} on shard {shard}: spent {spent}, may reach {most}, {line:?}"
            );
        }
        for (account, _) in state.accounts() {
            let view = state.account(&account);
            let (was, is) = (above_limit(before, &account), above_limit(state, &account));
            let own = effects.postings.iter().filter(|(_, posting)| posting.account == account);
            let mut explained: i128 = own.map(|(_, posting)| involuntary(before, state, books, posting)).sum();
            explained += books.fallen.get(&account).copied().unwrap_or(0);
            assert!(
                is <= (was + explained).max(0),
                "I8: {account} holds {is} above its limit, before {was}, and what was not its doing explains {explained}"
            );
            // What it may really come to owe, by postings and shards, whatever is held for it.
            let (exposed, limit) = (exposed.get(&account).copied().unwrap_or(0), view.limit.get());
            let above = i128::try_from(exposed).unwrap() - i128::try_from(limit).unwrap();
            let excess = self.excess.entry(account).or_default();
            let most = (*excess + explained).max(0);
            assert!(
                above <= most,
                "I8: {account} may come to owe {exposed}, its limit is {limit}, explained are {most}"
            );
            *excess = above.max(0);
        }
    }
}

/// All purses together.
fn money(state: &SettlementState) -> u128 {
    let accounts: u128 = state.accounts().map(|(_, leaf)| leaf.balance.get() + leaf.collateral.get()).sum();
    let pools: u128 = state.shards().map(|shard| state.shard(shard).unwrap().leaf.pool.get()).sum();
    accounts + pools + state.supply().fee_pool.get()
}

/// The model's books are the chain's, in every field.
fn compare(
    books: &Books,
    state: &SettlementState,
    effects: &db3_settlement_state::Effects,
    timeline: &Timeline,
    shards: &[Chain<ShardState>],
) {
    let posted: Vec<Posted> = effects
        .postings
        .iter()
        .map(|(_, posting)| {
            let amounts = [posting.debit, posting.paid, posting.written_off, posting.outstanding];
            let [debit, paid, written_off, owed] = amounts.map(Tai::get);
            Posted {
                kind: posting.kind,
                account: posting.account,
                number: posting.number,
                debit,
                paid,
                written_off,
                owed,
                balance: posting.balance.get(),
                collateral: posting.collateral.get(),
                epoch: posting.epoch.get(),
                height: posting.height.get(),
                secs: posting.time_secs,
            }
        })
        .collect();
    assert_eq!(posted, books.posted, "the model predicts every posting");
    let lines: BTreeMap<(Address, u32), Line> = state
        .lines()
        .map(|(account, shard, line)| {
            let cut = line.cut.map(|cut| (cut.index, cut.lease.get()));
            let found = Line {
                want: line.want.get(),
                k: line.ceiling.get(),
                h: line.held.get(),
                cut,
                r: line.reported.get(),
                d: line.debited.get(),
                p: line.paid.get(),
                w: line.written_off.get(),
            };
            ((account, shard.get()), found)
        })
        .collect();
    assert_eq!(lines, books.lines, "the model predicts every line");
    let accounts: BTreeMap<Address, Account> = state
        .accounts()
        .map(|(account, leaf)| {
            let found = Account {
                balance: leaf.balance.get(),
                collateral: leaf.collateral.get(),
                trust: leaf.trust.get(),
                stage: leaf.stage.number(),
                since: leaf.since.get(),
                postings: leaf.postings,
            };
            (account, found)
        })
        .collect();
    assert_eq!(accounts, books.accounts, "the model predicts every balance");
    for (number, (shard, chain)) in books.shards.iter().zip(shards).enumerate() {
        let view = state.shard(ShardId::new(u32::try_from(number).unwrap())).unwrap();
        let leaf = view.leaf;
        let predicted = (shard.pool, shard.income, shard.lease, shard.last_close, shard.cursor, shard.taken);
        let last_close = leaf.last_close.map(db3_primitives::Epoch::get);
        let found = (leaf.pool.get(), leaf.income.get(), leaf.lease.get(), last_close, leaf.inbox_cursor, view.cursor);
        assert_eq!(found, predicted, "the model predicts what is known of shard {number}");
        let log = timeline.log(&chain.timeline.id);
        assert_eq!(log.len(), shard.sent.len(), "the model predicts the log to shard {number}");
        let new = effects.entries.iter().filter(|entry| entry.destination == chain.timeline.id);
        for entry in new {
            let written = match CreditEntry::from_bytes(&entry.bytes).unwrap() {
                CreditEntry::Line(line) => Credit::Line(line.account, line.ceiling.get()),
                CreditEntry::Heartbeat(heartbeat) => Credit::Lease(heartbeat.lease.get(), heartbeat.inbox_cursor),
            };
            assert_eq!(written, shard.sent[usize::try_from(entry.index).unwrap()], "the model predicts every entry");
        }
    }
    let round = state.round();
    let found = (round.settled.map(db3_primitives::Epoch::get), round.rounds, round.running.is_some());
    assert_eq!(found, (books.settled, books.rounds, books.is_running()), "the model predicts the rounds");
    let supply = state.supply();
    assert_eq!((supply.fee_pool.get(), supply.fee_income.get()), (books.fee_pool, books.fee_income));
}
