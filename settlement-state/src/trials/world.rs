//! One history: shards, accounts and the product, driven by chance.

use std::num::NonZeroU64;

use db3_carry::Peer;
use db3_light_client::{Options, TrustRoot, UnixTime};
use db3_primitives::{
    Address, BlockTime, CreditEntry, Epoch, Height, LogEntry, Namespace, Nonce, PriceTable, Scheme, SecretKey, ShardId,
    ShardMap, SignedEnvelope, SignedTransaction, Stage, Tai, Transaction, TransactionOperation, VerifiedTransaction,
    signing_digest,
};

use super::chance::Chance;
use super::count::Count;
use super::decisions::{self, Decision};
use super::oracle::{self, Oracle, Terms};
use super::shards::Shard;
use super::slips::Slip;
use super::truth;
use crate::effects::{Outcome, RoundDone};
use crate::rules::Rules;
use crate::{Effects, Executor, Genesis, GenesisAccount, SettlementState};

const EPOCH_SECS: u64 = 10;
const BEGIN: u64 = 1_000;

/// What a history is about.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    pub(super) rules: Rules,
    pub(super) overspent_epochs: u64,
    pub(super) round_accounts_max: u32,
    /// Whether the oracle goes along; it knows no rounds that spread over blocks, and no broken rules.
    pub(super) predicted: bool,
    /// What goes wrong at the end of every block.
    pub(super) slip: Option<Slip>,
}

pub(super) struct World {
    seed: u64,
    chance: Chance,
    setting: Setting,
    keys: Vec<SecretKey>,
    addresses: Vec<Address>,
    nonces: Vec<u64>,
    state: SettlementState,
    oracle: Oracle,
    shards: Vec<Shard>,
    /// What the settlement chain wrote for each shard.
    logs: Vec<Vec<CreditEntry>>,
    /// How much of each shard's log the settlement chain has applied.
    cursors: Vec<usize>,
    /// What the next block accepts.
    decision: Option<Decision>,
    height: u64,
    now: u64,
    pub(super) count: Count,
}

fn peer(network: &str, shard: usize) -> Peer {
    let chain_id = format!("{network}-shard-{shard}");
    let key = db3_light_client::build::ValidatorKey::from_seed([shard as u8; 32]).public_key();
    let time = UnixTime::new(BEGIN as i64, 0).unwrap();
    let root = TrustRoot::of_genesis(&chain_id, 1, time, &[(key, 1)]).unwrap();
    Peer { root, options: Options::never_expires() }
}

impl World {
    pub(super) fn new(seed: u64, setting: Setting) -> Self {
        let mut chance = Chance::new(seed);
        let (shards, accounts) = (3usize, 4usize);
        let mut keys: Vec<SecretKey> =
            (1..=accounts as u8).map(|byte| SecretKey::from_bytes([byte; 32]).unwrap()).collect();
        keys.sort_by_key(SecretKey::address);
        let addresses: Vec<Address> = keys.iter().map(SecretKey::address).collect();
        let factor = chance.pick(&[(1, 1), (1, 2), (2, 1), (3, 2)]);
        let terms = Terms {
            factor: (i128::from(factor.0), i128::from(factor.1)),
            epoch_secs: EPOCH_SECS,
            lease_epochs: 1 + chance.below(3),
            deadline_secs: chance.below(15),
            grace: chance.below(3),
            seize: 3,
            write_off: 5,
        };
        let given: Vec<oracle::Account> = (0..accounts)
            .map(|_| oracle::Account {
                balance: i128::from(chance.below(400)),
                collateral: i128::from(chance.below(200)),
                trust: i128::from(chance.pick(&[0, 0, 30])),
                lines: (0..shards)
                    .map(|_| {
                        let want = i128::from(chance.pick(&[0, 20, 60]));
                        (want > 0).then(|| oracle::Line { want, ..oracle::Line::default() })
                    })
                    .collect(),
                ..oracle::Account::default()
            })
            .collect();
        let genesis = genesis(&addresses, &given, &terms, setting.round_accounts_max);
        let map = ShardMap::new(1, shards as u32).unwrap();
        let own = addresses.iter().map(|address| map.shard_of_namespace(&Namespace::own(address)).get() as usize);
        let epoch = BEGIN / EPOCH_SECS;
        Self {
            seed,
            chance,
            setting,
            nonces: vec![0; accounts],
            state: SettlementState::genesis(&genesis).unwrap(),
            oracle: Oracle::new(terms, addresses.clone(), own.collect(), given, shards, epoch),
            shards: (0..shards as u32).map(|s| Shard::new(s, accounts, epoch, setting.overspent_epochs)).collect(),
            logs: vec![Vec::new(); shards],
            cursors: vec![0; shards],
            decision: None,
            height: 0,
            now: BEGIN,
            count: Count::default(),
            keys,
            addresses,
        }
    }

    /// Something happens somewhere.
    pub(super) fn step(&mut self) {
        let shard = self.chance.below(self.shards.len() as u64) as usize;
        match self.chance.below(100) {
            0..40 => {
                let account = self.chance.below(self.addresses.len() as u64) as usize;
                let fee = 1 + u128::from(self.chance.below(11));
                if self.shards[shard].charge(account, fee) {
                    self.count.charges += 1;
                } else {
                    self.count.refusals += 1;
                }
            }
            40..47 => {
                let epochs = self.chance.pick(&[1, 1, 1, 3]);
                let next = (self.shards[shard].epoch + epochs).min(self.now / EPOCH_SECS + 1);
                self.shards[shard].close(next);
            }
            47..64 => self.shards[shard].emit(&self.addresses),
            64..76 => {
                for _ in 0..=self.chance.below(5) {
                    let heard = self.shards[shard].cursor;
                    if let Some(entry) = self.logs[shard].get(heard) {
                        self.shards[shard].hear(entry, &self.addresses);
                    }
                }
            }
            76..88 => {
                let from = self.cursors[shard];
                let to = (from + 1 + self.chance.below(5) as usize).min(self.shards[shard].log.len());
                self.block(Some((shard, from..to)), None);
                self.cursors[shard] = to;
            }
            88..90 => {
                self.now += self.chance.below(15);
                self.block(None, None);
            }
            90 => self.decide(),
            _ => {
                let account = self.chance.below(self.addresses.len() as u64) as usize;
                let operations = (0..=self.chance.below(2)).map(|_| self.operation(account)).collect();
                self.block(None, Some((account, operations)));
            }
        }
    }

    /// Governance changes something. The blocks around it have nothing else to do, not even a round to begin: of those whom it
    /// makes due, the oracle does not know which were due before.
    fn decide(&mut self) {
        let decision = Decision::any(&mut self.chance, self.addresses.len());
        self.block(None, None);
        self.decision = Some(decision);
        self.block(None, None);
        if self.setting.predicted {
            self.oracle.decide(decision);
        }
        self.block(None, None);
        self.count.decisions += 1;
    }

    fn operation(&mut self, account: usize) -> TransactionOperation {
        let view = self.state.account(&self.addresses[account]);
        let to = self.chance.pick(&self.addresses.clone());
        let part = |chance: &mut Chance, of: Tai| Tai::new(u128::from(1 + chance.below(of.get() as u64 + 10)));
        match self.chance.below(10) {
            0 => TransactionOperation::Transfer { to, amount: part(&mut self.chance, view.leaf.balance) },
            1 | 2 => TransactionOperation::Deposit { to, amount: part(&mut self.chance, view.leaf.balance) },
            3 | 4 => TransactionOperation::Withdraw { amount: part(&mut self.chance, view.leaf.collateral) },
            5..9 => TransactionOperation::Allocate {
                shard: ShardId::new(self.chance.below(self.shards.len() as u64) as u32),
                want: Tai::new(u128::from(self.chance.below(view.limit.get() as u64 + 20))),
            },
            _ => TransactionOperation::Pay { amount: Tai::new(u128::from(self.chance.below(20))) },
        }
    }

    fn block(
        &mut self,
        delivery: Option<(usize, std::ops::Range<usize>)>,
        transaction: Option<(usize, Vec<TransactionOperation>)>,
    ) {
        self.height += 1;
        let time = BlockTime::from_secs(self.now);
        let mut executor =
            Executor::on(self.state.ledger_under(self.setting.rules, Height::new(self.height), time), &[]);
        if self.setting.predicted {
            self.oracle.block(self.now);
        }
        if let Some(decision) = self.decision.take() {
            let _ = executor.govern(&decision.signed(&self.state, &self.addresses, self.now)).unwrap();
        }
        if let Some((shard, range)) = delivery {
            let entries = self.shards[shard].log[range.clone()].to_vec();
            self.count.statements += entries.len() as u64;
            let first = range.start as u64;
            let (shard_id, began) = (ShardId::new(shard as u32), Epoch::new(BEGIN / EPOCH_SECS));
            executor.deliver_entries(shard_id, began, first, &entries).expect("an honest shard is at fault");
            for entry in entries.iter().filter(|_| self.setting.predicted) {
                match LogEntry::from_bytes(entry).unwrap() {
                    LogEntry::Statement(statement) => self.oracle.statement(shard, &statement),
                    LogEntry::EpochClose(close) => self.oracle.close(shard, &close),
                }
            }
        }
        if let Some((account, operations)) = transaction {
            self.nonces[account] += 1;
            let verified = self.sign(account, operations.clone());
            let outcome = executor.apply(&verified);
            let applied = matches!(outcome, Outcome::Applied(_));
            assert!(!matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
            if applied {
                self.count.applied += 1;
            } else {
                self.count.failed += 1;
            }
            if self.setting.predicted {
                let expected = self.oracle.transact(account, &operations);
                assert_eq!(applied, expected, "seed {}: {operations:?} {outcome:?}", self.seed);
            }
        }
        if let Some(slip) = self.setting.slip {
            slip(executor.ledger_mut());
        }
        let (state, effects) = executor.finish();
        self.state = state;
        self.take(&effects);
        truth::check(&self.state, &self.addresses, &self.shards, &self.logs);
        if self.setting.predicted {
            self.compare();
        }
    }

    fn sign(&self, account: usize, operations: Vec<TransactionOperation>) -> VerifiedTransaction {
        let content = Transaction {
            network: "trial".parse().unwrap(),
            account: self.addresses[account],
            nonce: Nonce::new(self.nonces[account]),
            expire_unix_secs: self.now + 100,
            max_fee: Tai::ZERO,
            operations,
        };
        let body = self.height.to_be_bytes().to_vec();
        let signature = self.keys[account].sign(&signing_digest(&content, &body, Scheme::Raw));
        let envelope = SignedEnvelope { body, scheme: Scheme::Raw, signature };
        SignedTransaction::new(content, envelope, 200).verify().unwrap()
    }

    fn take(&mut self, effects: &Effects) {
        for entry in &effects.entries {
            let shard = (0..self.logs.len())
                .find(|shard| entry.destination.as_str().ends_with(&format!("-shard-{shard}")))
                .unwrap();
            assert_eq!(entry.index, self.logs[shard].len() as u64);
            self.logs[shard].push(CreditEntry::from_bytes(&entry.bytes).unwrap());
        }
        for (_, posting) in &effects.postings {
            match posting.kind {
                db3_primitives::PostingKind::Seize => self.count.seized += 1,
                db3_primitives::PostingKind::WriteOff => self.count.written_off += 1,
                _ => self.count.outstanding += u64::from(!posting.outstanding.is_zero()),
            }
        }
        self.count.cuts += self.state.lines().filter(|(_, _, line)| line.cut.is_some()).count() as u64;
        if let Some(RoundDone { number, .. }) = effects.settled {
            self.count.rounds = number;
        }
    }

    /// Everything that the model says of the settlement chain.
    fn compare(&self) {
        let tai = |tai: Tai| tai.get() as i128;
        for (expected, address) in self.oracle.accounts.iter().zip(&self.addresses) {
            let view = self.state.account(address);
            let mut lines = vec![None; self.shards.len()];
            for (shard, line) in &view.lines {
                lines[shard.get() as usize] = Some(oracle::Line {
                    want: tai(line.want),
                    k: tai(line.ceiling),
                    h: tai(line.held),
                    cut: line.cut.map(|cut| (cut.index as usize, cut.lease.get())),
                    r: tai(line.reported),
                    d: tai(line.debited),
                    p: tai(line.paid),
                    w: tai(line.written_off),
                });
            }
            let found = oracle::Account {
                balance: tai(view.leaf.balance),
                collateral: tai(view.leaf.collateral),
                trust: tai(view.leaf.trust),
                since: (view.leaf.stage != Stage::Clear).then(|| view.leaf.since.get()),
                delinquent: view.leaf.stage == Stage::Delinquent,
                lines,
            };
            assert_eq!(found, *expected, "seed {} height {}: {address}", self.seed, self.height);
        }
        for (number, shard) in self.oracle.shards.iter().enumerate() {
            assert_eq!(self.logs[number], shard.log, "seed {} height {}: shard {number}", self.seed, self.height);
            let income = self.state.shard(ShardId::new(number as u32)).unwrap().leaf.income;
            assert_eq!(tai(income), shard.income, "seed {} height {}", self.seed, self.height);
        }
    }
}

fn genesis(addresses: &[Address], given: &[oracle::Account], terms: &Terms, round_accounts_max: u32) -> Genesis {
    let tai = |tai: i128| Tai::new(tai as u128);
    let shards = given[0].lines.len();
    let accounts = addresses.iter().zip(given).map(|(account, given)| GenesisAccount {
        account: *account,
        balance: tai(given.balance),
        collateral: tai(given.collateral),
        trust: tai(given.trust),
        wants: (0..)
            .zip(&given.lines)
            .filter_map(|(shard, line)| line.as_ref().map(|line| (ShardId::new(shard), tai(line.want))))
            .collect(),
    });
    let free = PriceTable {
        version: 1,
        per_mutation: Tai::ZERO,
        per_byte_in: Tai::ZERO,
        per_operation: Tai::ZERO,
        per_key_byte: Tai::ZERO,
        per_byte_stored: Tai::ZERO,
    };
    Genesis {
        network: "trial".parse().unwrap(),
        shards: shards as u32,
        epoch_secs: NonZeroU64::new(EPOCH_SECS).unwrap(),
        genesis_time: BlockTime::from_secs(BEGIN),
        prices: free,
        expiry_max_secs: 3_600,
        factor_num: terms.factor.0 as u64,
        factor_den: NonZeroU64::new(terms.factor.1 as u64).unwrap(),
        treasury: Address::new([0xee; 20]),
        lease_epochs: terms.lease_epochs,
        deadline_secs: terms.deadline_secs,
        grace_epochs: terms.grace,
        seize_epochs: terms.seize,
        write_off_epochs: terms.write_off,
        round_accounts_max,
        accounts: accounts.collect(),
        payouts: vec![vec![(Address::new([0xdd; 20]), 1)]; shards],
        own_payouts: Vec::new(),
        peers: (0..shards).map(|shard| peer("trial", shard)).collect(),
        validators: vec![decisions::validator()],
    }
}
