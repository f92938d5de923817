//! The network in one process, on a virtual clock: the chains, those who carry between them, and the people. Every block is
//! compared with the model and held against the rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use db3_carry::Delivered;
use db3_primitives::{Address, BlockTime, PriceTable, Rejection, ShardMap, VerifiedMutation, VerifiedTransaction};
use db3_settlement_state::{GenesisAccount, SettlementState};
use db3_shard_state::ShardState;

use crate::checks::Checks;
use crate::decide::decision_of;
use crate::genesis::{accounts, chains, params};
use crate::machine::{Chain, Done, Paper, Parcel};
use crate::model::{Books, ShardBooks};
use crate::record::Record;
use crate::relayer::{Direction, FAULTY, HONEST, Habits, Relayer};
use crate::rng::Rng;
use crate::users::Users;

/// 2026-01-01T00:00:00Z, where an epoch begins whatever its length.
pub const GENESIS_SECS: u64 = 1_767_225_600;

/// How large a history is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub shards: u32,
    pub users: usize,
    pub epoch_secs: u64,
    /// Mutations that a shard's block holds at most.
    pub block_mutations: u64,
    /// It ends after so many bills.
    pub bills: u64,
    /// Headers are trusted for so many epochs; 0: for ever.
    pub trusting_epochs: u64,
}

/// See the module's text.
pub struct Network {
    pub size: Size,
    pub rng: Rng,
    pub now_millis: u64,
    pub settlement: Chain<SettlementState>,
    pub shards: Vec<Chain<ShardState>>,
    /// Until this second a shard makes no block.
    pub stopped_until: Vec<u64>,
    /// Until this second nothing is relayed at all.
    cut_off_until: u64,
    /// How often something fresh was refused, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// How often governance decided something.
    pub decisions: u64,
    /// The shard that lies when most of the history is over, if one does.
    liar: Option<usize>,
    pub users: Users,
    relayers: Vec<Relayer>,
    pub record: Record,
    pub books: Books,
    pub shard_books: Vec<ShardBooks>,
    pub checks: Checks,
    pub bills: u64,
    /// Whether people still do something.
    pub busy: bool,
}

impl Network {
    /// One whose people and parameters are chance.
    pub fn new(seed: u64, size: Size) -> Self {
        let mut rng = Rng::new(seed);
        let (users, map) = Self::people(&mut rng, size);
        let params = params(&mut rng, size, &users, &map);
        let mut books = Books::new(params, GENESIS_SECS);
        let accounts = accounts(&mut rng, &users, size, &mut books);
        let liar = rng.index(size.shards.try_into().unwrap());
        Self { liar: Some(liar), ..Self::of(rng, size, users, books, accounts) }
    }

    /// Who takes part, and which namespaces are where.
    pub fn people(rng: &mut Rng, size: Size) -> (Users, ShardMap) {
        let map = ShardMap::new(1, size.shards).unwrap();
        (Users::new(rng.fork(), &"devnet".parse().unwrap(), &map, size.users), map)
    }

    /// One in which accounts have what they are given.
    pub fn of(mut rng: Rng, size: Size, users: Users, books: Books, accounts: Vec<GenesisAccount>) -> Self {
        let (settlement, shards) = chains(size, &books.params, accounts);
        let habits = |number: usize| if number == 0 { Habits { works: 60, ..FAULTY } } else { FAULTY };
        Self {
            relayers: (0..4).map(|number| Relayer::new(rng.fork(), habits(number))).collect(),
            stopped_until: vec![0; shards.len()],
            cut_off_until: 0,
            refused: BTreeMap::new(),
            decisions: 0,
            liar: None,
            record: Record::default(),
            shard_books: shards.iter().map(|_| ShardBooks::new(size.epoch_secs, GENESIS_SECS)).collect(),
            checks: Checks::of(&settlement.state),
            settlement,
            shards,
            size,
            rng,
            now_millis: GENESIS_SECS * 1_000,
            users,
            books,
            bills: 0,
            busy: true,
        }
    }

    pub fn now(&self) -> BlockTime {
        BlockTime::new(self.now_millis / 1_000, u32::try_from(self.now_millis % 1_000).unwrap() * 1_000_000).unwrap()
    }

    pub fn epoch(&self) -> u64 {
        self.now_millis / 1_000 / self.size.epoch_secs
    }

    /// Time passes, relayers have an occasion, and most chains make a block.
    pub fn step(&mut self) {
        if let Some(liar) = self.liar.filter(|_| self.bills >= self.size.bills / 6 * 5) {
            self.lie(liar);
        }
        self.now_millis += 1 + self.rng.below(self.size.epoch_secs * 1_000 / 6);
        self.relay();
        let mut order: Vec<usize> = (0..=self.shards.len()).collect();
        while !order.is_empty() {
            let place = order.swap_remove(self.rng.index(order.len()));
            if self.rng.percent(80) {
                self.block(place);
            }
        }
    }

    /// One chain makes a block: a shard, or the settlement chain in the last place.
    fn block(&mut self, place: usize) {
        if place == self.shards.len() {
            self.settlement_block();
        } else if self.stopped_until[place] <= self.now().secs {
            self.shard_block(place);
            // A stop of up to three epochs, now and then.
            if self.busy && self.rng.below(400) == 0 && self.stopped_until[place] != u64::MAX {
                self.stopped_until[place] = self.now().secs + self.rng.below(3 * self.size.epoch_secs);
            }
        }
    }

    /// Everybody relays what there is, honestly and at once.
    pub fn relay_honestly(&mut self) {
        for relayer in &mut self.relayers {
            relayer.habits = HONEST;
        }
    }

    /// So many relayers from now on, all honest; those before are gone with what they had.
    pub fn relayed_by(&mut self, count: usize) {
        self.relayers = (0..count).map(|_| Relayer::new(self.rng.fork(), HONEST)).collect();
    }

    /// Those who carry have an occasion.
    pub fn relay(&mut self) {
        let now = self.now();
        if now.secs < self.cut_off_until {
            return;
        }
        // Once in some hundred steps the chains hear nothing of each other, for so long that leases may end.
        if self.busy && self.rng.below(250) == 0 {
            self.cut_off_until = now.secs + self.rng.below(6 * self.size.epoch_secs);
        }
        let mut brought: Vec<(usize, Parcel)> = Vec::new();
        let settlement_id = self.settlement.timeline.id.clone();
        let mut directions = Vec::new();
        for (place, shard) in self.shards.iter().enumerate() {
            let channel = shard.state.channel(&settlement_id).unwrap();
            directions.push(Direction {
                writer: &self.settlement.timeline,
                reader: &shard.timeline.id,
                place,
                channel,
                now,
            });
            let channel = self.settlement.state.channel(&shard.timeline.id).unwrap();
            let place = self.shards.len();
            directions.push(Direction { writer: &shard.timeline, reader: &settlement_id, place, channel, now });
        }
        for relayer in &mut self.relayers {
            brought.extend(relayer.act(&directions));
        }
        for (place, parcel) in brought {
            let pool =
                if place == self.shards.len() { &mut self.settlement.pool } else { &mut self.shards[place].pool };
            if pool.len() < 24 {
                pool.push(parcel);
            }
        }
    }

    fn shard_block(&mut self, place: usize) {
        let now = self.now();
        let mut items = Vec::new();
        if self.busy {
            for _ in 0..self.rng.below(self.size.block_mutations + 1) {
                let state = &self.shards[place].state;
                let available = |account: &Address| state.account(account).map_or(0, |leaf| leaf.available().get());
                items.push(self.users.mutation(place, now.secs, available));
            }
            items.sort_by_key(|item| (item.signer(), item.mutation().nonce));
        }
        let fresh = items.len();
        // And now and then one that was there before.
        if self.busy
            && let Some(old) = self.shards[place].items_taken.last().filter(|_| self.rng.percent(10))
        {
            items.push(old.clone());
        }
        self.shard_block_of(place, &items, fresh);
    }

    /// A block of a shard with these mutations, of which so many have not been there before.
    pub fn shard_block_of(&mut self, place: usize, items: &[Arc<VerifiedMutation>], fresh: usize) {
        let now = self.now();
        let before = self.shards[place].state.clone();
        let (_, time, ran) = self.shards[place].block(now, items);
        self.record.shard_block(&ran.effects);
        let books = &mut self.shard_books[place];
        books.begin_block(time.secs);
        let said: Vec<Vec<u8>> = ran.effects.entries.iter().map(|entry| entry.bytes.clone()).collect();
        books.said(&said);
        for delivered in ran.delivered.iter().flatten() {
            assert!(delivered.refused.is_empty(), "an honest entry was refused: {delivered:?}");
            books.heard(&self.books.shards[place].sent[range(delivered, books.cursor)]);
        }
        let prices = PriceTable::v1();
        for (number, (item, done)) in items.iter().zip(&ran.items).enumerate() {
            let mutation = item.mutation();
            match done {
                Done::Executed(receipt) => {
                    assert!(number < fresh, "nothing is executed twice");
                    let bound = prices.fee(&db3_primitives::upper_bound(mutation, item.bytes())).unwrap();
                    books.bill(mutation.account, receipt.fee.get(), bound.get());
                    if receipt.outcome.code() == 0 {
                        self.users.applied(mutation);
                    }
                    self.bills += 1;
                }
                Done::Refused(rejection) if number < fresh => {
                    let bound = prices.fee(&db3_primitives::upper_bound(mutation, item.bytes())).unwrap();
                    let expected = books.refusal(&mutation.account, bound.get());
                    assert_eq!(Some(rejection.name()), expected, "the model predicts what is refused: {rejection}");
                    *self.refused.entry(rejection.name()).or_default() += 1;
                    self.users.refused(&mutation.account, place, mutation.nonce);
                }
                Done::Refused(_) => {}
                Done::Accepted => panic!("nobody decides on a shard"),
            }
        }
        self.checks.shard_block(books, &before, &ran);
        self.maintain(place);
    }

    fn settlement_block(&mut self) {
        let now = self.now();
        let mut items: Vec<Arc<VerifiedTransaction>> = Vec::new();
        if self.busy && self.rng.percent(60) {
            for _ in 0..=self.rng.below(2) {
                let state = &self.settlement.state;
                let balance = |account: &Address| state.balance(account).map_or(0, |leaf| leaf.balance.get());
                let owes = |account: &Address| !state.account(account).outstanding.is_zero();
                items.push(self.users.transaction(self.size.shards, now.secs, balance, owes));
            }
            items.sort_by_key(|item| (item.signer(), item.transaction().nonce));
        }
        let mut papers: Vec<Paper> = Vec::new();
        // Before the transactions, as in every block.
        if self.busy && self.rng.percent(4) {
            let decision = self.users.decision();
            papers.push(self.signed_decision(decision));
        }
        papers.extend(items.into_iter().map(Paper::Transaction));
        let fresh = papers.len();
        if self.busy
            && let Some(old) = self.settlement.items_taken.last().filter(|_| self.rng.percent(10))
        {
            papers.push(old.clone());
        }
        self.settlement_block_of(&papers, fresh);
    }

    /// The same on the settlement chain, with transactions.
    pub fn settlement_block_of(&mut self, items: &[Paper], fresh: usize) {
        let now = self.now();
        let before = self.settlement.state.clone();
        let (height, time, ran) = self.settlement.block(now, items);
        self.record.settlement_block(&ran.effects);
        assert!(
            ran.effects.governance.applied.iter().all(|applied| applied.failure.is_none()),
            "decisions can be done"
        );
        self.books.begin_block(height.get(), time.secs);
        for delivered in ran.delivered.iter().flatten() {
            let place = self.shards.iter().position(|shard| shard.timeline.id == delivered.source).unwrap();
            let taken = self.books.shards[place].taken;
            let said = self.shard_books[place].log[range(delivered, taken)].to_vec();
            self.books.heard(u32::try_from(place).unwrap(), &said);
        }
        let prices = PriceTable::v1();
        let last = self.shards.len();
        for (number, (item, done)) in items.iter().zip(&ran.items).enumerate() {
            let item = match item {
                Paper::Transaction(item) => item,
                Paper::Decision(signed) => {
                    assert_eq!(matches!(done, Done::Accepted), number < fresh, "a decision is accepted, and once");
                    if number < fresh {
                        self.books.decided = Some(decision_of(signed));
                        self.decisions += 1;
                    }
                    continue;
                }
            };
            let transaction = item.transaction();
            let bound = prices.fee(&db3_primitives::transaction_upper_bound(transaction, item.bytes())).unwrap();
            match done {
                Done::Executed(receipt) => {
                    assert!(number < fresh, "nothing is executed twice");
                    let applied = self.books.transaction(transaction, receipt.fee.get(), bound.get());
                    assert_eq!(applied, receipt.outcome.code() == 0, "{transaction:?}: {:?}", receipt.outcome);
                }
                Done::Refused(rejection) if number < fresh => {
                    let balance = self.books.accounts.get(&transaction.account).map_or(0, |account| account.balance);
                    assert!(bound.get() > balance, "the model predicts what is refused: {rejection}, {balance}");
                    assert!(matches!(rejection, Rejection::BalanceTooLowForFee { .. }), "{rejection}");
                    *self.refused.entry(rejection.name()).or_default() += 1;
                    self.users.refused(&transaction.account, last, transaction.nonce);
                }
                Done::Refused(_) => {}
                Done::Accepted => panic!("a transaction decides nothing"),
            }
        }
        self.checks.settlement_block(&self.books, &before, &ran, &self.shards, &self.settlement.timeline);
        self.maintain(self.shards.len());
    }

    /// Now and then a snapshot, and now and then a restart from the last one.
    fn maintain(&mut self, place: usize) {
        let restart = self.rng.below(100) < 2;
        if place == self.shards.len() {
            maintain(&mut self.settlement, restart);
        } else {
            maintain(&mut self.shards[place], restart);
        }
    }

    /// Ends the busy part and lets everything arrive: afterwards every tai that was spent is debited.
    pub fn settle_down(&mut self) {
        self.busy = false;
        self.relay_honestly();
        let last = self.epoch();
        // A liar makes no block any more.
        self.stopped_until.iter_mut().filter(|until| **until != u64::MAX).for_each(|until| *until = 0);
        self.cut_off_until = 0;
        let settled = |network: &Self| {
            let lines = network.settlement.state.lines().all(|(_, _, line)| line.unsettled().is_zero());
            let honest = network.shard_books.iter().zip(0..);
            let mut honest = honest.filter(|(_, shard)| network.checks.liar != Some(*shard));
            let reported = honest.all(|(books, shard)| {
                books.spent.iter().all(|(account, spent)| {
                    network.books.lines.get(&(*account, shard)).map_or(0, |line| line.r) == *spent
                })
            });
            let is_found = network.liar.is_none() || network.checks.liar.is_some();
            network.epoch() > last + 2 && is_found && lines && reported && !network.books.is_running()
        };
        for _ in 0..2_000 {
            if settled(self) {
                return;
            }
            self.step();
        }
        panic!("not everything that was spent was settled within 2 000 steps");
    }
}

fn maintain<M: crate::machine::Machine>(chain: &mut Chain<M>, restart: bool) {
    if restart {
        chain.restart();
    }
    if chain.blocks_since_snapshot() >= 40 {
        chain.resend_newest();
        chain.snapshot();
    }
}

/// What a delivery moved, in a log of which `taken` entries were there.
fn range(delivered: &Delivered, taken: u64) -> std::ops::Range<usize> {
    assert_eq!(delivered.first, taken, "I4: entries are taken in order, each once");
    assert_eq!(delivered.cursor, delivered.first + delivered.applied, "I4: the cursor is what was taken");
    usize::try_from(delivered.first).unwrap()..usize::try_from(delivered.cursor).unwrap()
}
