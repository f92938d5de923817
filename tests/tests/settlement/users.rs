//! People: they write on every shard, move money, run out of credit and of money.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use db3_primitives::{
    Address, Body, Mutation, Namespace, NetworkName, Nonce, Operation, RecordKey, Scheme, SecretKey, ShardId, ShardMap,
    Signed, Tai, Transaction, TransactionOperation, Verified, VerifiedMutation, VerifiedTransaction, Write, sign,
};

use crate::model::Decision;
use crate::rng::Rng;

/// How long what is signed is good, seconds.
pub const GOOD_SECS: u64 = 1_800;

/// One person.
struct User {
    key: SecretKey,
    address: Address,
    /// A namespace on every shard.
    spaces: Vec<Namespace>,
    /// Nonces on every shard, and last on the settlement chain.
    nonces: Vec<Nonces>,
}

/// Nonces that are not used yet: what was refused is signed again.
#[derive(Clone, Debug, Default)]
struct Nonces {
    returned: BTreeSet<u64>,
    given: u64,
}

impl Nonces {
    fn next(&mut self) -> Nonce {
        Nonce::new(self.returned.pop_first().unwrap_or_else(|| {
            self.given += 1;
            self.given
        }))
    }
}

/// See the module's text.
pub struct Users {
    rng: Rng,
    network: NetworkName,
    people: Vec<User>,
    /// Namespaces that exist.
    created: BTreeSet<Namespace>,
    by_address: BTreeMap<Address, usize>,
}

impl Users {
    pub fn new(mut rng: Rng, network: &NetworkName, map: &ShardMap, count: usize) -> Self {
        let people: Vec<User> = (0..count).map(|number| user(&mut rng, map, number)).collect();
        let by_address = people.iter().enumerate().map(|(place, user)| (user.address, place)).collect();
        Self { rng, network: network.clone(), people, created: BTreeSet::new(), by_address }
    }

    /// Whether nobody ever helps this one: it lives on trust until that is written off.
    pub fn is_lost(place: usize) -> bool {
        place % 8 == 7
    }

    pub fn addresses(&self) -> Vec<Address> {
        self.people.iter().map(|user| user.address).collect()
    }

    /// A mutation of somebody for a shard. `available` tells how much credit an account has there.
    pub fn mutation(
        &mut self,
        shard: usize,
        now_secs: u64,
        available: impl Fn(&Address) -> u128,
    ) -> Arc<VerifiedMutation> {
        // Who has no credit tries seldom.
        let place = (0..4)
            .map(|_| self.rng.index(self.people.len()))
            .find(|place| available(&self.people[*place].address) > 60_000);
        let place = place.unwrap_or_else(|| self.rng.index(self.people.len()));
        let namespace = self.people[place].spaces[shard].clone();
        let mut operations = Vec::new();
        if !self.created.contains(&namespace) {
            operations.push(Operation::CreateNamespace);
        }
        for _ in 0..=self.rng.below(2) {
            operations.push(self.operation());
        }
        self.signed_mutation(place, shard, now_secs, operations)
    }

    /// One record of the user in this place, in the namespace that it has on a shard.
    pub fn record(&mut self, place: usize, shard: usize, number: u64, now_secs: u64) -> Arc<VerifiedMutation> {
        let key = RecordKey::new(format!("record {number}").into_bytes()).unwrap();
        let write = Write { table: "t".parse().unwrap(), key, value: vec![b'v'; 100], if_version: None };
        let is_new = !self.created.contains(&self.people[place].spaces[shard]);
        let first = is_new.then_some(Operation::CreateNamespace);
        self.signed_mutation(place, shard, now_secs, first.into_iter().chain([Operation::Put(write)]).collect())
    }

    fn signed_mutation(
        &mut self,
        place: usize,
        shard: usize,
        now_secs: u64,
        operations: Vec<Operation>,
    ) -> Arc<VerifiedMutation> {
        let user = &mut self.people[place];
        let mutation = Mutation {
            network: self.network.clone(),
            account: user.address,
            namespace: user.spaces[shard].clone(),
            nonce: user.nonces[shard].next(),
            expire_unix_secs: now_secs + GOOD_SECS,
            max_fee: Tai::new(1 << 60),
            operations,
        };
        verified(&user.key, mutation, Scheme::Raw)
    }

    fn operation(&mut self) -> Operation {
        let key = RecordKey::new(format!("k{}", self.rng.below(40)).into_bytes()).unwrap();
        let table = "t".parse().unwrap();
        let value = vec![b'v'; self.rng.index(200)];
        let write = Write { table, key, value, if_version: None };
        match self.rng.below(20) {
            // These fail where the record is missing or there, and are charged all the same.
            0 => Operation::Update(write),
            1 => Operation::Insert(write),
            2 => Operation::Delete { table: write.table, key: write.key, if_version: None },
            _ => Operation::Put(write),
        }
    }

    /// A mutation was applied: its namespace may exist now.
    pub fn applied(&mut self, mutation: &Mutation) {
        if mutation.operations.first() == Some(&Operation::CreateNamespace) {
            self.created.insert(mutation.namespace.clone());
        }
    }

    /// What was signed was refused on a chain: its nonce may be used again.
    pub fn refused(&mut self, account: &Address, chain: usize, nonce: Nonce) {
        let place = self.by_address[account];
        self.people[place].nonces[chain].returned.insert(nonce.get());
    }

    /// A transaction of somebody, sensible or not. Some pay what they owe, some help those who owe.
    pub fn transaction(
        &mut self,
        shards: u32,
        now_secs: u64,
        balance: impl Fn(&Address) -> u128,
        owes: impl Fn(&Address) -> bool,
    ) -> Arc<VerifiedTransaction> {
        let places = (0..self.people.len()).filter(|place| !Self::is_lost(*place));
        let debtors: Vec<usize> = places.filter(|place| owes(&self.people[*place].address)).collect();
        let able = debtors.iter().copied().find(|place| balance(&self.people[*place].address) > 200_000);
        if let Some(place) = able.filter(|_| self.rng.percent(40)) {
            let amount = Tai::new(if self.rng.percent(50) { 0 } else { u128::from(1 + self.rng.below(100_000)) });
            return self.signed_transaction(place, now_secs, vec![TransactionOperation::Pay { amount }]);
        }
        let place = self.rng.index(self.people.len());
        if !debtors.is_empty() && self.rng.percent(20) {
            let to = self.people[*self.rng.pick(&debtors)].address;
            let amount = Tai::new(u128::from(200_000 + self.rng.below(600_000)));
            return self.signed_transaction(place, now_secs, vec![TransactionOperation::Transfer { to, amount }]);
        }
        let most = balance(&self.people[place].address);
        let operations = (0..=self.rng.below(3)).map(|_| self.money(shards, most)).collect();
        self.signed_transaction(place, now_secs, operations)
    }

    /// What the user in this place signs.
    pub fn signed_transaction(
        &mut self,
        place: usize,
        now_secs: u64,
        operations: Vec<TransactionOperation>,
    ) -> Arc<VerifiedTransaction> {
        let user = &mut self.people[place];
        let transaction = Transaction {
            network: self.network.clone(),
            account: user.address,
            nonce: user.nonces.last_mut().unwrap().next(),
            expire_unix_secs: now_secs + GOOD_SECS,
            max_fee: Tai::new(1 << 60),
            operations,
        };
        verified(&user.key, transaction, Scheme::Eip191)
    }

    /// What the operator decides now: somebody's trust, most often that of one who lost it, or the factor.
    pub fn decision(&mut self) -> Decision {
        if self.rng.percent(25) {
            let (num, den) = *self.rng.pick(&[(1, 1), (3, 2), (1, 2), (2, 1)]);
            return Decision::Factor(num, den);
        }
        let lost: Vec<usize> = (0..self.people.len()).filter(|place| Self::is_lost(*place)).collect();
        let place = if self.rng.percent(60) { *self.rng.pick(&lost) } else { self.rng.index(self.people.len()) };
        let trust = if self.rng.percent(20) { 0 } else { 200_000 + self.rng.below(600_000) };
        Decision::Trust(self.people[place].address, trust.into())
    }

    fn money(&mut self, shards: u32, balance: u128) -> TransactionOperation {
        let place = self.rng.index(self.people.len());
        let to = self.people[place].address;
        // Those whom nobody helps get so little that they can ask for credit again, and never pay it back.
        let most = u64::try_from(balance).unwrap() / 4;
        let most = if Self::is_lost(place) { most.min(60_000) } else { most };
        let amount = Tai::new(u128::from(1 + self.rng.below(most)));
        // Now and then one that there is not.
        let shard = if self.rng.percent(3) { shards } else { u32::try_from(self.rng.below(shards.into())).unwrap() };
        let shard = ShardId::new(shard);
        match self.rng.below(12) {
            0..3 => TransactionOperation::Transfer { to, amount },
            3..5 => TransactionOperation::Deposit { to, amount },
            5 => TransactionOperation::Withdraw { amount: Tai::new(amount.get() / 3 + 1) },
            6..10 => {
                let want = if self.rng.percent(15) { 0 } else { u128::from(self.rng.below(2_000_000)) };
                TransactionOperation::Allocate { shard, want: Tai::new(want) }
            }
            10 => TransactionOperation::Pay { amount: Tai::ZERO },
            _ => TransactionOperation::Pay { amount },
        }
    }
}

/// Really signed, over a body that says the same in another encoding: protobuf has no part in what is simulated.
fn verified<B: Body>(key: &SecretKey, content: B, scheme: Scheme) -> Arc<Verified<B>> {
    let body = format!("{content:?}").into_bytes();
    let bytes = u32::try_from(body.len()).unwrap() / 2;
    let envelope = sign(key, &content, body, scheme);
    Arc::new(Signed::new(content, envelope, bytes).verify().unwrap())
}

fn user(rng: &mut Rng, map: &ShardMap, number: usize) -> User {
    let mut seed = [0; 32];
    for part in seed.chunks_mut(8) {
        part.copy_from_slice(&rng.draw().to_be_bytes());
    }
    let key = SecretKey::from_bytes(seed).unwrap();
    let space = |shard: u32| {
        let mut names = (0..).map(|attempt| format!("n{number}-{attempt}").parse::<Namespace>().unwrap());
        names.find(|name| map.shard_of_namespace(name).get() == shard).unwrap()
    };
    let spaces: Vec<Namespace> = (0..map.shards()).map(space).collect();
    User { address: key.address(), key, nonces: vec![Nonces::default(); spaces.len() + 1], spaces }
}
