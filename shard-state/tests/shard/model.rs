//! The shard once more, simpler: plain maps, sums that are added up again whenever they are asked for, and a full copy
//! of them at every close. It shares the encodings and the price formula's inputs with execution, and none of its
//! code.
//!
//! It can render all leaves of the state, so that the test compares every byte of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::support::Genesis;
use db3_merkle_log::{EMPTY_ROOT, Frontier};
use db3_primitives::{
    Address, Bill, ChainLeaf, EmissionLeaf, Epoch, EpochClose, Height, LogEntry, Mutation, Namespace, Operation, Payee,
    Statement, Tai, Write,
};

type RecordName = (Namespace, db3_primitives::TableName, db3_primitives::RecordKey);

#[derive(Clone)]
pub struct Record {
    pub owner: Address,
    pub version: u64,
    pub height: u64,
    pub time: u64,
    pub value: Vec<u8>,
}

/// What can be taken back when a mutation fails.
#[derive(Clone, Default)]
pub struct World {
    pub namespaces: BTreeMap<Namespace, (Address, u64)>,
    pub tables: BTreeMap<(Namespace, db3_primitives::TableName), (u64, u64)>,
    pub records: BTreeMap<RecordName, Record>,
    stored: u128,
}

/// A close that is being emitted: copies of all sums at its moment.
pub struct Closing {
    pub leaf: EmissionLeaf,
    /// For every account, in order: its sum, and what the epoch added if it had a bill.
    waiting: VecDeque<(Address, u128, Option<u128>)>,
}

pub struct Model {
    pub chain: ChainLeaf,
    pub world: World,
    pub ceilings: BTreeMap<Address, u128>,
    /// Every bill ever, with the epoch it belongs to.
    pub bills: Vec<(u64, Bill)>,
    pub used: BTreeMap<(Address, Namespace), BTreeSet<u64>>,
    pub open: u64,
    pub open_first_height: u64,
    pub closing: Option<Closing>,
    pub entries: Vec<LogEntry>,
    pub closes: Vec<EpochClose>,
    // of the block under execution
    height: u64,
    time: u64,
    last_nonce: BTreeMap<(Address, Namespace), u64>,
}

/// What the model says of one mutation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub name: &'static str,
    pub fee: u128,
    pub versions: Vec<u64>,
}

fn refused(name: &'static str) -> Verdict {
    Verdict { name, fee: 0, versions: Vec::new() }
}

impl Model {
    pub fn new(genesis: &Genesis, chain: &ChainLeaf) -> Self {
        Self {
            chain: chain.clone(),
            world: World::default(),
            ceilings: genesis.lines.iter().map(|(account, ceiling)| (*account, ceiling.get())).collect(),
            bills: Vec::new(),
            used: BTreeMap::new(),
            open: genesis.genesis_time.secs / genesis.epoch_secs.get(),
            open_first_height: 1,
            closing: None,
            entries: Vec::new(),
            closes: Vec::new(),
            height: 0,
            time: 0,
            last_nonce: BTreeMap::new(),
        }
    }

    pub fn spent(&self, account: &Address) -> u128 {
        self.bills.iter().filter(|(_, bill)| bill.account == *account).map(|(_, bill)| bill.fee.get()).sum()
    }

    pub fn begin_block(&mut self, height: u64, time: u64) {
        (self.height, self.time) = (height, time);
        self.last_nonce.clear();
        let epoch = time / self.chain.epoch_secs;
        if self.closing.is_none() && epoch > self.open {
            self.close(epoch);
        }
        self.emit();
    }

    fn close(&mut self, epoch: u64) {
        let of_epoch: Vec<&Bill> = self.bills.iter().filter(|(of, _)| *of == self.open).map(|(_, bill)| bill).collect();
        let waiting = self
            .ceilings
            .keys()
            .map(|account| {
                let fees: Vec<u128> =
                    of_epoch.iter().filter(|bill| bill.account == *account).map(|bill| bill.fee.get()).collect();
                (*account, self.spent(account), (!fees.is_empty()).then(|| fees.iter().sum()))
            })
            .collect();
        let mut log = Frontier::new();
        for bill in &of_epoch {
            log.append(&bill.to_bytes());
        }
        let leaf = EmissionLeaf {
            first: Epoch::new(self.open),
            last: Epoch::new(epoch - 1),
            first_height: Height::new(self.open_first_height),
            last_height: Height::new(self.height - 1),
            bills_root: if of_epoch.is_empty() { EMPTY_ROOT } else { log.root() },
            bill_count: of_epoch.len() as u64,
            billed: Tai::new(of_epoch.iter().map(|bill| bill.fee.get()).sum()),
            cursor: None,
            statements: 0,
            total: Tai::ZERO,
            inbox_cursor: 0,
        };
        self.closing = Some(Closing { leaf, waiting });
        (self.open, self.open_first_height) = (epoch, self.height);
    }

    fn emit(&mut self) {
        let Some(closing) = &mut self.closing else { return };
        for _ in 0..self.chain.close_accounts_max {
            let Some((account, sum, amount)) = closing.waiting.pop_front() else { break };
            closing.leaf.cursor = Some(account);
            if let Some(amount) = amount {
                closing.leaf.statements += 1;
                closing.leaf.total = Tai::new(closing.leaf.total.get() + amount);
                let statement = Statement { account, payee: Payee::ValidatorPool, cumulative: Tai::new(sum) };
                self.entries.push(LogEntry::Statement(statement));
            }
        }
        if !closing.waiting.is_empty() {
            return;
        }
        let EmissionLeaf { first, last, first_height, last_height, bills_root, bill_count, statements, total, .. } =
            closing.leaf;
        assert_eq!(total, closing.leaf.billed, "I2: the statements of the model add up to its bills");
        let previous = self.closes.last().map_or([0; 32], EpochClose::hash);
        let close = EpochClose {
            shard: self.chain.shard,
            first,
            last,
            first_height,
            last_height,
            bills_root,
            bill_count,
            statements,
            total,
            inbox_cursor: 0,
            previous,
        };
        self.closes.push(close);
        self.entries.push(LogEntry::EpochClose(close));
        self.closing = None;
    }

    /// One mutation; `bill` is what execution wrote, kept after its figures were compared.
    pub fn apply(&mut self, mutation: &Mutation, bytes: u32) -> Verdict {
        if let Some(name) = self.refusal(mutation, bytes) {
            return refused(name);
        }
        let slot = (mutation.account, mutation.namespace.clone());
        let window_bytes = if self.used.contains_key(&slot) { 0 } else { Self::window_bytes(mutation) };
        let before = self.world.clone();
        self.world.stored = 0;
        let (name, operations, keys, versions) = match self.operations(mutation) {
            Ok(versions) => ("ok", mutation.operations.len() as u128, key_bytes(mutation), versions),
            Err(name) => {
                self.world = World { stored: 0, ..before };
                (name, 0, 0, Vec::new())
            }
        };
        self.used.entry(slot.clone()).or_default().insert(mutation.nonce.get());
        self.last_nonce.insert(slot, mutation.nonce.get());
        let stored = self.world.stored + window_bytes;
        let fee = 2_000 + 5 * u128::from(bytes) + 500 * operations + 20 * keys + 20 * stored;
        Verdict { name, fee, versions }
    }

    /// Keeps a bill that execution wrote for the open epoch.
    pub fn keep(&mut self, bill: Bill) {
        self.bills.push((self.open, bill));
    }

    fn refusal(&self, mutation: &Mutation, bytes: u32) -> Option<&'static str> {
        let Mutation { account, namespace, nonce, .. } = mutation;
        let slot = (*account, namespace.clone());
        if mutation.network != self.chain.network {
            return Some("NETWORK_MISMATCH");
        }
        if mutation.expire_unix_secs <= self.time {
            return Some("EXPIRED");
        }
        if mutation.expire_unix_secs > self.time + self.chain.expiry_max_secs {
            return Some("EXPIRY_TOO_FAR");
        }
        let creates = mutation.operations[0] == Operation::CreateNamespace;
        let owner = namespace.own_address().or_else(|| self.world.namespaces.get(namespace).map(|(owner, _)| *owner));
        match owner {
            Some(owner) if owner == *account => {}
            Some(_) => return Some(if creates { "NAMESPACE_TAKEN" } else { "NOT_PERMITTED" }),
            None if creates => {}
            None => return Some("NAMESPACE_NOT_FOUND"),
        }
        let used = self.used.get(&slot).cloned().unwrap_or_default();
        let base = base(&used);
        if nonce.get() > base + 4_096 {
            return Some("NONCE_TOO_FAR");
        }
        if used.contains(&nonce.get()) {
            return Some("NONCE_USED");
        }
        if self.last_nonce.get(&slot).is_some_and(|last| *last > nonce.get()) {
            return Some("NONCE_ORDER");
        }
        let bound = Self::bound(mutation, bytes);
        if bound > mutation.max_fee.get() {
            return Some("FEE_OVER_LIMIT");
        }
        let Some(ceiling) = self.ceilings.get(account) else { return Some("LINE_MISSING") };
        if self.open > self.chain.lease_epoch {
            return Some("LEASE_ENDED");
        }
        (self.spent(account) + bound > *ceiling).then_some("CREDIT_EXHAUSTED")
    }

    fn window_bytes(mutation: &Mutation) -> u128 {
        (4 + 20 + mutation.namespace.as_str().len() + 8 + 512 + 250) as u128
    }

    /// As if everything that is written were new.
    fn bound(mutation: &Mutation, bytes: u32) -> u128 {
        let space = mutation.namespace.as_str().len() as u128;
        let mut stored = Self::window_bytes(mutation);
        let mut tables = BTreeSet::new();
        if mutation.operations[0] == Operation::CreateNamespace || mutation.namespace.own_address().is_some() {
            stored += 3 + space + 29 + 250 + 24 + space + 1 + 250;
        }
        for operation in &mutation.operations {
            if let Operation::Put(write) | Operation::Insert(write) | Operation::Update(write) = operation {
                stored += record_bytes(mutation, write) + (45 + write.value.len() + 250) as u128;
                tables.insert(&write.table);
            }
            if let Operation::CreateTable { table } = operation {
                tables.insert(table);
            }
        }
        for table in tables {
            stored += 5 + space + table.as_str().len() as u128 + 18 + 250;
        }
        2_000 + 5 * u128::from(bytes) + 500 * mutation.operations.len() as u128 + 20 * key_bytes(mutation) + 20 * stored
    }

    fn operations(&mut self, mutation: &Mutation) -> Result<Vec<u64>, &'static str> {
        mutation.operations.iter().map(|operation| self.operation(mutation, operation)).collect()
    }

    fn operation(&mut self, mutation: &Mutation, operation: &Operation) -> Result<u64, &'static str> {
        let space = mutation.namespace.clone();
        match operation {
            Operation::CreateNamespace => {
                if self.world.namespaces.contains_key(&space) {
                    return Err("NAMESPACE_EXISTS");
                }
                let name_bytes = space.as_str().len() as u128;
                self.world.stored += 3 + name_bytes + 29 + 250 + 24 + name_bytes + 1 + 250;
                self.world.namespaces.insert(space, (mutation.account, self.height));
                Ok(0)
            }
            Operation::CreateTable { table } => {
                if self.world.tables.contains_key(&(space.clone(), table.clone())) {
                    return Err("TABLE_EXISTS");
                }
                self.create_table(&space, table);
                Ok(0)
            }
            Operation::Put(write) => self.write(mutation, write, None),
            Operation::Insert(write) => self.write(mutation, write, Some(false)),
            Operation::Update(write) => self.write(mutation, write, Some(true)),
            Operation::Delete { table, key, if_version } => {
                let floor = self.world.tables.get_mut(&(space.clone(), table.clone()));
                if floor.is_none() && space.own_address().is_none() {
                    return Err("TABLE_NOT_FOUND");
                }
                let name = (space, table.clone(), key.clone());
                let Some(record) = self.world.records.get(&name) else { return Err("RECORD_NOT_FOUND") };
                if if_version.is_some_and(|version| version != record.version) {
                    return Err("VERSION_MISMATCH");
                }
                let floor = floor.expect("a record has a table");
                floor.1 = floor.1.max(record.version);
                self.world.records.remove(&name);
                Ok(0)
            }
        }
    }

    fn create_table(&mut self, space: &Namespace, table: &db3_primitives::TableName) {
        self.world.stored += (5 + space.as_str().len() + table.as_str().len() + 18 + 250) as u128;
        self.world.tables.insert((space.clone(), table.clone()), (self.height, 0));
    }

    fn write(&mut self, mutation: &Mutation, write: &Write, must_exist: Option<bool>) -> Result<u64, &'static str> {
        let space = &mutation.namespace;
        let table = (space.clone(), write.table.clone());
        let floor = match self.world.tables.get(&table) {
            Some((_, floor)) => Some(*floor),
            None if space.own_address().is_some() => None,
            None => return Err("TABLE_NOT_FOUND"),
        };
        let name = (space.clone(), write.table.clone(), write.key.clone());
        let present = self.world.records.get(&name).map(|record| (record.version, record.value.len()));
        match (must_exist, present) {
            (Some(true), None) => return Err("RECORD_NOT_FOUND"),
            (Some(false), Some(_)) => return Err("RECORD_EXISTS"),
            _ => {}
        }
        let actual = present.map_or(0, |(version, _)| version);
        if write.if_version.is_some_and(|expected| expected != actual) {
            return Err("VERSION_MISMATCH");
        }
        if floor.is_none() {
            self.create_table(&space.clone(), &write.table);
        }
        let version = present.map_or(floor.unwrap_or(0), |(version, _)| version) + 1;
        self.world.stored += match present {
            Some((_, value_bytes)) => write.value.len().saturating_sub(value_bytes) as u128,
            None => record_bytes(mutation, write) + (45 + write.value.len() + 250) as u128,
        };
        let record = Record {
            owner: mutation.account,
            version,
            height: self.height,
            time: self.time,
            value: write.value.clone(),
        };
        self.world.records.insert(name, record);
        Ok(version)
    }
}

fn record_bytes(mutation: &Mutation, write: &Write) -> u128 {
    (6 + mutation.namespace.as_str().len() + write.table.as_str().len() + write.key.as_bytes().len()) as u128
}

fn key_bytes(mutation: &Mutation) -> u128 {
    let space = mutation.namespace.as_str().len() as u128;
    mutation
        .operations
        .iter()
        .map(|operation| match operation {
            Operation::Put(write) | Operation::Insert(write) | Operation::Update(write) => {
                record_bytes(mutation, write)
            }
            Operation::Delete { table, key, .. } => {
                6 + space + table.as_str().len() as u128 + key.as_bytes().len() as u128
            }
            Operation::CreateNamespace => 3 + space + 24 + space,
            Operation::CreateTable { table } => 5 + space + table.as_str().len() as u128,
        })
        .sum()
}

/// The highest nonce up to which all are used.
pub fn base(used: &BTreeSet<u64>) -> u64 {
    let mut base = 0;
    while used.contains(&(base + 1)) {
        base += 1;
    }
    base
}
