//! What things cost: a versioned price table, and a fee that is a pure function of what was metered.
//!
//! Encodings: [`Metered`] 20 bytes, its five quantities in the order of [`Meter`], 4 bytes each. [`PriceTable`] 84 bytes,
//! version (4) and the five prices, 16 bytes each. All big endian.

use std::collections::BTreeSet;

use crate::decode::{DecodeError, Reader};
use crate::{Mutation, Operation, Tai, Transaction, TransactionOperation, stored};

/// What is metered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Meter {
    /// Mutations, or transactions on the settlement chain: one.
    Mutation,
    /// Bytes of the encoded `SignedEnvelope`.
    BytesIn,
    /// Operations.
    Operation,
    /// Bytes of the tree keys that the operations name.
    KeyBytes,
    /// Bytes that the state grew by, with overhead for each new leaf.
    BytesStored,
}

/// How much of each was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metered {
    /// Mutations: 1.
    pub mutations: u32,
    /// Bytes of the encoded `SignedEnvelope`.
    pub bytes_in: u32,
    /// Operations.
    pub operations: u32,
    /// Bytes of the tree keys that the operations name.
    pub key_bytes: u32,
    /// Bytes that the state grew by.
    pub bytes_stored: u32,
}

/// One line of a bill: quantity × unit price = amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What was metered.
    pub meter: Meter,
    /// How much of it.
    pub quantity: u64,
    /// What one costs.
    pub unit_price: Tai,
    /// The product.
    pub amount: Tai,
}

/// A version of the prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceTable {
    /// The version, which every bill names.
    pub version: u32,
    /// For a mutation as such: its signature and its bill.
    pub per_mutation: Tai,
    /// For a byte of the signed envelope: bandwidth and the blocks' disk.
    pub per_byte_in: Tai,
    /// For an operation: a descent of the tree and the rehash of the path.
    pub per_operation: Tai,
    /// For a byte of a tree key: the depth that a long key can force.
    pub per_key_byte: Tai,
    /// For a byte that the state grew by: memory on every validator.
    pub per_byte_stored: Tai,
}

impl Meter {
    /// All meters, in the order of the encoding and of a bill.
    pub const ALL: [Self; 5] = [Self::Mutation, Self::BytesIn, Self::Operation, Self::KeyBytes, Self::BytesStored];

    /// The name in bills.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mutation => "mutations",
            Self::BytesIn => "bytes_in",
            Self::Operation => "operations",
            Self::KeyBytes => "key_bytes",
            Self::BytesStored => "bytes_stored",
        }
    }
}

impl Metered {
    /// Bytes of the encoding.
    pub const BYTES: usize = 20;

    /// How much of `meter` was used.
    #[must_use]
    pub const fn quantity(&self, meter: Meter) -> u32 {
        match meter {
            Meter::Mutation => self.mutations,
            Meter::BytesIn => self.bytes_in,
            Meter::Operation => self.operations,
            Meter::KeyBytes => self.key_bytes,
            Meter::BytesStored => self.bytes_stored,
        }
    }

    /// Whether no quantity is above that of `bound`.
    #[must_use]
    pub fn is_within(&self, bound: &Self) -> bool {
        Meter::ALL.into_iter().all(|meter| self.quantity(meter) <= bound.quantity(meter))
    }

    /// The 20-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (to, meter) in bytes.chunks_exact_mut(4).zip(Meter::ALL) {
            to.copy_from_slice(&self.quantity(meter).to_be_bytes());
        }
        bytes
    }

    /// Reads the 20-byte encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("metered quantities", bytes);
        let metered = Self::read(&mut reader)?;
        reader.end()?;
        Ok(metered)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            mutations: reader.u32()?,
            bytes_in: reader.u32()?,
            operations: reader.u32()?,
            key_bytes: reader.u32()?,
            bytes_stored: reader.u32()?,
        })
    }
}

impl PriceTable {
    /// Bytes of the encoding.
    pub const BYTES: usize = 84;

    /// Version 1.
    #[must_use]
    pub const fn v1() -> Self {
        Self {
            version: 1,
            per_mutation: Tai::new(2_000),
            per_byte_in: Tai::new(5),
            per_operation: Tai::new(500),
            per_key_byte: Tai::new(20),
            per_byte_stored: Tai::new(20),
        }
    }

    /// What one unit of `meter` costs.
    #[must_use]
    pub const fn unit_price(&self, meter: Meter) -> Tai {
        match meter {
            Meter::Mutation => self.per_mutation,
            Meter::BytesIn => self.per_byte_in,
            Meter::Operation => self.per_operation,
            Meter::KeyBytes => self.per_key_byte,
            Meter::BytesStored => self.per_byte_stored,
        }
    }

    /// The fee for what was used, unless it overflows.
    #[must_use]
    pub fn fee(&self, metered: &Metered) -> Option<Tai> {
        Meter::ALL.into_iter().try_fold(Tai::ZERO, |sum, meter| {
            sum.checked_add(self.unit_price(meter).checked_mul(u64::from(metered.quantity(meter)))?)
        })
    }

    /// The lines of the bill, without those of quantity 0. Their amounts add up to [`PriceTable::fee`]; amounts that no
    /// [`Tai`] holds are shown as the largest, and then there is no fee.
    #[must_use]
    pub fn charges(&self, metered: &Metered) -> Vec<Charge> {
        Meter::ALL
            .into_iter()
            .map(|meter| {
                let (quantity, unit_price) = (u64::from(metered.quantity(meter)), self.unit_price(meter));
                Charge { meter, quantity, unit_price, amount: unit_price.checked_mul(quantity).unwrap_or(Tai::MAX) }
            })
            .filter(|charge| charge.quantity > 0)
            .collect()
    }

    /// The 84-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let prices = Meter::ALL.into_iter().flat_map(|meter| self.unit_price(meter).to_be_bytes());
        self.version.to_be_bytes().into_iter().chain(prices).collect()
    }

    /// Reads the 84-byte encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("price table", bytes);
        let table = Self::read(&mut reader)?;
        reader.end()?;
        Ok(table)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            version: reader.u32()?,
            per_mutation: reader.tai()?,
            per_byte_in: reader.tai()?,
            per_operation: reader.tai()?,
            per_key_byte: reader.tai()?,
            per_byte_stored: reader.tai()?,
        })
    }
}

/// The most that a mutation of `bytes` encoded bytes can use, from itself alone: as if every record and table that it
/// writes were new, the window were new and at its largest, and, where it creates the namespace or writes its account's
/// own one, the namespace were new.
#[must_use]
pub fn upper_bound(mutation: &Mutation, bytes: u32) -> Metered {
    let namespace = &mutation.namespace;
    let mut tables = BTreeSet::new();
    let mut key_bytes = 0u32;
    let mut bytes_stored = stored::window(namespace);
    let mut creates = namespace.own_address().is_some();
    for operation in &mutation.operations {
        key_bytes = key_bytes.saturating_add(stored::bytes(operation.tree_key_bytes(namespace)));
        match operation {
            Operation::Put(write) | Operation::Insert(write) | Operation::Update(write) => {
                bytes_stored =
                    bytes_stored.saturating_add(stored::record(namespace, &write.table, &write.key, &write.value));
                tables.insert(&write.table);
            }
            Operation::CreateTable { table } => {
                tables.insert(table);
            }
            Operation::CreateNamespace => creates = true,
            Operation::Delete { .. } => {}
        }
    }
    if creates {
        bytes_stored = bytes_stored.saturating_add(stored::namespace(namespace));
    }
    for table in tables {
        bytes_stored = bytes_stored.saturating_add(stored::table(namespace, table));
    }
    let operations = u32::try_from(mutation.operations.len()).unwrap_or(u32::MAX);
    Metered { mutations: 1, bytes_in: bytes, operations, key_bytes, bytes_stored }
}

/// The most that a transaction of `bytes` encoded bytes can use, from itself alone: as if the window, every account that
/// it pays or deposits for, and every line that it may open were new.
#[must_use]
pub fn transaction_upper_bound(transaction: &Transaction, bytes: u32) -> Metered {
    let mut accounts = BTreeSet::new();
    let mut shards = BTreeSet::new();
    let mut depositors = BTreeSet::new();
    let mut key_bytes = 0u32;
    for operation in &transaction.operations {
        key_bytes = key_bytes.saturating_add(stored::bytes(operation.tree_key_bytes()));
        match operation {
            TransactionOperation::Transfer { to, .. } => {
                accounts.insert(to);
            }
            TransactionOperation::Deposit { to, .. } => {
                accounts.insert(to);
                depositors.insert(to);
            }
            TransactionOperation::Allocate { shard, .. } => {
                shards.insert(shard);
            }
            TransactionOperation::Withdraw { .. } | TransactionOperation::Pay { .. } => {}
        }
    }
    let lines = stored::bytes(shards.len().saturating_add(depositors.len()));
    let bytes_stored = stored::own_window()
        .saturating_add(stored::balance().saturating_mul(stored::bytes(accounts.len())))
        .saturating_add(stored::line().saturating_mul(lines));
    let operations = u32::try_from(transaction.operations.len()).unwrap_or(u32::MAX);
    Metered { mutations: 1, bytes_in: bytes, operations, key_bytes, bytes_stored }
}
