//! Bills by account and by epoch, and the inner nodes of each epoch's log of bills. They are never removed.
//!
//! Row of `bills`: bill (159) ‖ block time (12) ‖ epoch (8) ‖ index in the epoch's log (8) ‖ namespace.

use db3_merkle_log::{Hash, NodeSource, ProofError, inclusion_proof, leaf_hash};
use db3_primitives::{Address, Bill, BlockTime, Epoch, Height, Namespace};
use db3_shard_state::Effects;
use rocksdb::{Direction, IteratorMode, WriteBatch};

use super::row::time_bytes;
use super::{Family, Row, Store, StoreError};

/// A bill and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillRow {
    /// The bill.
    pub bill: Bill,
    /// Time of its block.
    pub time: BlockTime,
    /// Epoch that it belongs to.
    pub epoch: Epoch,
    /// Position in the epoch's log of bills.
    pub log_index: u64,
    /// Where the mutation wrote.
    pub namespace: Namespace,
}

/// Which bills are wanted. Everything that is set has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BillFilter {
    /// Of this account.
    pub account: Option<Address>,
    /// Of these epochs, both included.
    pub epochs: Option<(Epoch, Epoch)>,
    /// In blocks at or after this time.
    pub since: Option<BlockTime>,
    /// In blocks before this time.
    pub until: Option<BlockTime>,
    /// Of this namespace.
    pub namespace: Option<Namespace>,
    /// In blocks up to this height.
    pub height_max: Option<Height>,
}

/// Where a list of bills goes on: with this bill and those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillCursor {
    /// Of one account: this number and below.
    Seq(u64),
    /// Of all accounts: this place in an epoch's log and below.
    Place(Epoch, u64),
}

impl BillFilter {
    fn accepts(&self, row: &BillRow) -> bool {
        self.account.is_none_or(|account| account == row.bill.account)
            && self.epochs.is_none_or(|(first, last)| first <= row.epoch && row.epoch <= last)
            && self.since.is_none_or(|since| since <= row.time)
            && self.until.is_none_or(|until| row.time < until)
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == row.namespace)
            && self.height_max.is_none_or(|height| row.bill.height <= height)
    }

    /// Whether every bill before this one, in the chain's order, is out of the filter's range.
    fn is_past(&self, row: &BillRow) -> bool {
        self.epochs.is_some_and(|(first, _)| row.epoch < first) || self.since.is_some_and(|since| row.time < since)
    }
}

impl BillRow {
    fn to_bytes(&self) -> Vec<u8> {
        [
            self.bill.to_bytes().as_slice(),
            &time_bytes(self.time),
            &self.epoch.get().to_be_bytes(),
            &self.log_index.to_be_bytes(),
            self.namespace.as_str().as_bytes(),
        ]
        .concat()
    }

    fn from_bytes(key: &[u8], bytes: &[u8]) -> Result<Self, StoreError> {
        let mut row = Row::new("bill", key, bytes);
        let bill = Bill::from_bytes(row.slice(Bill::BYTES)?).map_err(|error| row.damaged(error))?;
        let (time, epoch, log_index) = (row.time()?, Epoch::new(row.u64()?), row.u64()?);
        let damaged = row.damaged("names no namespace");
        let namespace = std::str::from_utf8(row.rest()).ok().and_then(|text| text.parse().ok()).ok_or(damaged)?;
        Ok(Self { bill, time, epoch, log_index, namespace })
    }
}

impl Store {
    /// Adds a block's bills; `namespaces` are those of the mutations, in the order of the bills.
    pub(crate) fn add_bills<'a>(
        &self,
        batch: &mut WriteBatch,
        time: BlockTime,
        effects: &Effects,
        namespaces: impl Iterator<Item = &'a Namespace>,
    ) -> Result<(), StoreError> {
        let (bills, order) = (self.family(Family::Bills)?, self.family(Family::BillOrder)?);
        let epoch = effects.bill_epoch;
        for ((bill, namespace), log_index) in effects.bills.iter().zip(namespaces).zip(effects.first_bill_index..) {
            let key = bill_key(&bill.account, bill.seq);
            let row = BillRow { bill: bill.clone(), time, epoch, log_index, namespace: namespace.clone() };
            batch.put_cf(bills, key, row.to_bytes());
            batch.put_cf(order, order_key(epoch, log_index), key);
        }
        let nodes = self.family(Family::BillNodes)?;
        // Level 0 is made from the bill itself.
        for node in effects.bill_nodes.iter().filter(|node| node.level > 0) {
            batch.put_cf(nodes, node_key(epoch, node.level, node.index), node.hash);
        }
        Ok(())
    }

    /// An account's bill by its number.
    pub fn bill(&self, account: &Address, seq: u64) -> Result<Option<BillRow>, StoreError> {
        self.bill_at(&bill_key(account, seq))
    }

    fn bill_at(&self, key: &[u8]) -> Result<Option<BillRow>, StoreError> {
        let row = self.get(Family::Bills, key)?;
        row.map(|bytes| BillRow::from_bytes(key, &bytes)).transpose()
    }

    /// The bill at a place of an epoch's log.
    pub fn bill_in_epoch(&self, epoch: Epoch, log_index: u64) -> Result<Option<BillRow>, StoreError> {
        match self.get(Family::BillOrder, &order_key(epoch, log_index))? {
            Some(key) => self.bill_at(&key),
            None => Ok(None),
        }
    }

    /// At most `limit` bills that the filter accepts, newest first, from `cursor` (none: the newest), and where the
    /// list goes on. At most `visits` rows are looked at, so a page may be empty and yet not the last.
    pub fn bills(
        &self,
        filter: &BillFilter,
        cursor: Option<BillCursor>,
        limit: usize,
        visits: usize,
    ) -> Result<(Vec<BillRow>, Option<BillCursor>), StoreError> {
        let mut found = Vec::new();
        let rows: Box<dyn Iterator<Item = Result<BillRow, StoreError>>> = match filter.account {
            Some(account) => Box::new(self.bills_of_account(account, filter, cursor)?),
            None => Box::new(self.bills_of_all(filter, cursor)?),
        };
        for (visited, row) in rows.enumerate() {
            let row = row?;
            if filter.is_past(&row) {
                break;
            }
            if found.len() >= limit || visited >= visits {
                let next = match filter.account {
                    Some(_) => BillCursor::Seq(row.bill.seq),
                    None => BillCursor::Place(row.epoch, row.log_index),
                };
                return Ok((found, Some(next)));
            }
            if filter.accepts(&row) {
                found.push(row);
            }
        }
        Ok((found, None))
    }

    fn bills_of_account(
        &self,
        account: Address,
        filter: &BillFilter,
        cursor: Option<BillCursor>,
    ) -> Result<impl Iterator<Item = Result<BillRow, StoreError>> + use<'_>, StoreError> {
        let newest = match cursor {
            Some(BillCursor::Seq(seq)) => seq,
            _ => self.newest_seq(&account, filter)?,
        };
        let from = bill_key(&account, newest);
        let rows = self.rows(Family::Bills, IteratorMode::From(&from, Direction::Reverse))?;
        Ok(rows
            .take_while(move |row| row.as_ref().map_or(true, |(key, _)| key.starts_with(account.as_bytes())))
            .map(|row| row.and_then(|(key, value)| BillRow::from_bytes(&key, &value))))
    }

    /// The number of the newest bill that the filter's ends can accept. Time, height and epoch rise with the number,
    /// so it is found by halving. Rows that are missing are the oldest ones: a restored folder has none of them.
    fn newest_seq(&self, account: &Address, filter: &BillFilter) -> Result<u64, StoreError> {
        let last = bill_key(account, u64::MAX);
        let newest = self.rows(Family::Bills, IteratorMode::From(&last, Direction::Reverse))?.next().transpose()?;
        let Some((key, _)) = newest.filter(|(key, _)| key.starts_with(account.as_bytes())) else { return Ok(0) };
        let (mut low, mut high) = (0, Row::new("bill", &key, &key).only(|row| row.address().and(row.u64()))?);
        while low < high {
            // Rounds up, so that `low` moves.
            let middle = high.saturating_sub(high.saturating_sub(low).div_euclid(2));
            let beyond = self.bill(account, middle)?.is_some_and(|row| {
                filter.until.is_some_and(|until| row.time >= until)
                    || filter.epochs.is_some_and(|(_, end)| row.epoch > end)
                    || filter.height_max.is_some_and(|height| row.bill.height > height)
            });
            if beyond { high = middle.saturating_sub(1) } else { low = middle }
        }
        Ok(low)
    }

    fn bills_of_all(
        &self,
        filter: &BillFilter,
        cursor: Option<BillCursor>,
    ) -> Result<impl Iterator<Item = Result<BillRow, StoreError>> + use<'_>, StoreError> {
        let newest = match (cursor, filter.epochs) {
            (Some(BillCursor::Place(epoch, index)), _) => order_key(epoch, index),
            (_, Some((_, last))) => order_key(last, u64::MAX),
            _ => order_key(Epoch::new(u64::MAX), u64::MAX),
        };
        let rows = self.rows(Family::BillOrder, IteratorMode::From(&newest, Direction::Reverse))?;
        Ok(rows.map(|row| {
            let (_, key) = row?;
            self.bill_at(&key)?.ok_or_else(|| StoreError::missing("bill", format!("0x{}", hex::encode(&key))))
        }))
    }

    /// Siblings that lead from a bill to the root of its epoch's log at `size` entries; none where the log's nodes are
    /// not all here, as after a restore in the middle of an epoch.
    pub fn bill_proof(&self, row: &BillRow, size: u64) -> Result<Option<Vec<Hash>>, StoreError> {
        let log = BillLog { store: self, epoch: row.epoch };
        match inclusion_proof(&log, row.log_index, size) {
            Ok(hashes) => Ok(Some(hashes)),
            Err(ProofError::Source(error)) => Err(error),
            Err(error @ (ProofError::Missing { .. } | ProofError::OutOfRange { .. })) => {
                tracing::warn!(epoch = %row.epoch, index = row.log_index, size, %error, "store.bill_proof");
                Ok(None)
            }
        }
    }
}

/// The log of one epoch's bills.
struct BillLog<'a> {
    store: &'a Store,
    epoch: Epoch,
}

impl NodeSource for BillLog<'_> {
    type Error = StoreError;

    fn node(&self, level: u8, index: u64) -> Result<Option<Hash>, StoreError> {
        if level == 0 {
            let row = self.store.bill_in_epoch(self.epoch, index)?;
            return Ok(row.map(|row| leaf_hash(&row.bill.to_bytes())));
        }
        let key = node_key(self.epoch, level, index);
        let hash = self.store.get(Family::BillNodes, &key)?;
        hash.map(|bytes| Row::new("node of a bill log", &key, &bytes).only(Row::hash)).transpose()
    }
}

fn bill_key(account: &Address, seq: u64) -> [u8; 28] {
    let mut key = [0; 28];
    let (first, second) = key.split_at_mut(20);
    first.copy_from_slice(account.as_bytes());
    second.copy_from_slice(&seq.to_be_bytes());
    key
}

fn order_key(epoch: Epoch, log_index: u64) -> [u8; 16] {
    let mut key = [0; 16];
    let (first, second) = key.split_at_mut(8);
    first.copy_from_slice(&epoch.get().to_be_bytes());
    second.copy_from_slice(&log_index.to_be_bytes());
    key
}

fn node_key(epoch: Epoch, level: u8, index: u64) -> Vec<u8> {
    [epoch.get().to_be_bytes().as_slice(), &[level], &index.to_be_bytes()].concat()
}
