//! The network in one process, on a virtual clock: the chains, those who carry between them, and the people. Every block is
//! compared with the model and held against the rules.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use db3_carry::Delivered;
use db3_light_client::Options;
use db3_primitives::{Address, BlockTime, ChainId, NetworkName, PriceTable, ShardId, ShardMap};
use db3_settlement_state::SettlementState;
use db3_shard_state::ShardState;

use crate::checks::Checks;
use crate::genesis::{accounts, params};
use crate::machine::{Chain, Done, Parcel};
use crate::model::{Books, ShardBooks};
use crate::relayer::{Direction, FAULTY, HONEST, Habits, Relayer};
use crate::rng::Rng;
use crate::timeline::Timeline;
use crate::users::Users;

/// 2026-01-01T00:00:00Z, where an epoch begins whatever its length.
const GENESIS_SECS: u64 = 1_767_225_600;

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
    stopped_until: Vec<u64>,
    /// Until this second nothing is relayed at all.
    cut_off_until: u64,
    /// How often shards refused a mutation, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    pub users: Users,
    relayers: Vec<Relayer>,
    pub books: Books,
    pub shard_books: Vec<ShardBooks>,
    pub checks: Checks,
    pub bills: u64,
    /// Whether people still do something.
    pub busy: bool,
}

impl Network {
    pub fn new(seed: u64, size: Size) -> Self {
        let mut rng = Rng::new(seed);
        let network: NetworkName = "devnet".parse().unwrap();
        let map = ShardMap::new(1, size.shards).unwrap();
        let users = Users::new(rng.fork(), &network, &map, size.users);
        let genesis = BlockTime::from_secs(GENESIS_SECS);
        let options = match size.trusting_epochs {
            0 => Options::never_expires(),
            epochs => Options::new(epochs * size.epoch_secs, 30).unwrap(),
        };
        let timelines: Vec<Timeline> = (0..size.shards)
            .map(|shard| {
                Timeline::new(ChainId::shard(&network, ShardId::new(shard)), u8::try_from(shard).unwrap() + 1, genesis)
            })
            .collect();
        let own = Timeline::new(ChainId::settlement(&network), 99, genesis);
        let params = params(&mut rng, size, &users, &map);
        let mut books = Books::new(params.clone(), GENESIS_SECS);
        let accounts = accounts(&mut rng, &users, size, &mut books);
        let epoch_secs = NonZeroU64::new(size.epoch_secs).unwrap();
        let settlement = SettlementState::genesis(&db3_settlement_state::Genesis {
            network: network.clone(),
            shards: size.shards,
            epoch_secs,
            genesis_time: genesis,
            prices: PriceTable::v1(),
            expiry_max_secs: 3_600,
            factor_num: u64::try_from(params.factor.0).unwrap(),
            factor_den: NonZeroU64::new(u64::try_from(params.factor.1).unwrap()).unwrap(),
            treasury: params.treasury,
            lease_epochs: params.lease_epochs,
            deadline_secs: params.deadline_secs,
            grace_epochs: params.grace_epochs,
            seize_epochs: params.seize_epochs,
            write_off_epochs: params.write_off_epochs,
            round_accounts_max: u32::try_from(params.lines_per_block).unwrap(),
            accounts,
            payouts: params.payouts[..params.payouts.len() - 1].to_vec(),
            own_payouts: params.payouts.last().unwrap().clone(),
            peers: timelines.iter().map(|timeline| timeline.peer(options)).collect(),
            validators: Vec::new(),
        })
        .unwrap();
        let shard_state = |shard: u32| {
            ShardState::genesis(&db3_shard_state::Genesis {
                network: network.clone(),
                shard: ShardId::new(shard),
                shards: size.shards,
                epoch_secs,
                genesis_time: genesis,
                prices: PriceTable::v1(),
                close_accounts_max: 7,
                expiry_max_secs: 3_600,
                settlement: own.peer(options),
                validators: Vec::new(),
            })
            .unwrap()
        };
        let shards: Vec<_> =
            (0..).zip(timelines).map(|(shard, timeline)| Chain::new(timeline, shard_state(shard))).collect();
        let habits = |number: usize| if number == 0 { Habits { works: 60, ..FAULTY } } else { FAULTY };
        Self {
            relayers: (0..4).map(|number| Relayer::new(rng.fork(), habits(number))).collect(),
            stopped_until: vec![0; shards.len()],
            cut_off_until: 0,
            refused: BTreeMap::new(),
            shard_books: shards.iter().map(|_| ShardBooks::new(size.epoch_secs, GENESIS_SECS)).collect(),
            checks: Checks::of(&settlement),
            settlement: Chain::new(own, settlement),
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
            if self.busy && self.rng.below(400) == 0 {
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

    fn relay(&mut self) {
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
        let before = self.shards[place].state.clone();
        let (_, time, ran) = self.shards[place].block(now, &items);
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
                    *self.refused.entry(rejection.name()).or_default() += 1;
                    self.users.refused(&mutation.account, place, mutation.nonce);
                }
                Done::Refused(_) => {}
            }
        }
        self.checks.shard_block(books, &before, &ran);
        self.maintain(place);
    }

    fn settlement_block(&mut self) {
        let now = self.now();
        let mut items = Vec::new();
        if self.busy && self.rng.percent(60) {
            for _ in 0..=self.rng.below(2) {
                let state = &self.settlement.state;
                let balance = |account: &Address| state.balance(account).map_or(0, |leaf| leaf.balance.get());
                let owes = |account: &Address| !state.account(account).outstanding.is_zero();
                items.push(self.users.transaction(self.size.shards, now.secs, balance, owes));
            }
            items.sort_by_key(|item| (item.signer(), item.transaction().nonce));
        }
        let fresh = items.len();
        if self.busy
            && let Some(old) = self.settlement.items_taken.last().filter(|_| self.rng.percent(10))
        {
            items.push(old.clone());
        }
        let before = self.settlement.state.clone();
        let (_, time, ran) = self.settlement.block(now, &items);
        self.books.begin_block(time.secs);
        for delivered in ran.delivered.iter().flatten() {
            let place = self.shards.iter().position(|shard| shard.timeline.id == delivered.source).unwrap();
            let taken = self.books.shards[place].taken;
            let said = self.shard_books[place].log[range(delivered, taken)].to_vec();
            self.books.heard(u32::try_from(place).unwrap(), &said);
        }
        let prices = PriceTable::v1();
        let last = self.shards.len();
        for (number, (item, done)) in items.iter().zip(&ran.items).enumerate() {
            let transaction = item.transaction();
            match done {
                Done::Executed(receipt) => {
                    assert!(number < fresh, "nothing is executed twice");
                    let bound =
                        prices.fee(&db3_primitives::transaction_upper_bound(transaction, item.bytes())).unwrap();
                    let applied = self.books.transaction(transaction, receipt.fee.get(), bound.get());
                    assert_eq!(applied, receipt.outcome.code() == 0, "{transaction:?}: {:?}", receipt.outcome);
                }
                Done::Refused(_) if number < fresh => self.users.refused(&transaction.account, last, transaction.nonce),
                Done::Refused(_) => {}
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
        self.stopped_until.fill(0);
        self.cut_off_until = 0;
        let settled = |network: &Self| {
            let lines = network.settlement.state.lines().all(|(_, _, line)| line.unsettled().is_zero());
            let reported = network.shard_books.iter().zip(0..).all(|(books, shard)| {
                books.spent.iter().all(|(account, spent)| {
                    network.books.lines.get(&(*account, shard)).map_or(0, |line| line.r) == *spent
                })
            });
            network.epoch() > last + 2 && lines && reported && !network.books.is_running()
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
        chain.snapshot();
    }
}

/// What a delivery moved, in a log of which `taken` entries were there.
fn range(delivered: &Delivered, taken: u64) -> std::ops::Range<usize> {
    assert_eq!(delivered.first, taken, "I4: entries are taken in order, each once");
    assert_eq!(delivered.cursor, delivered.first + delivered.applied, "I4: the cursor is what was taken");
    usize::try_from(delivered.first).unwrap()..usize::try_from(delivered.cursor).unwrap()
}
