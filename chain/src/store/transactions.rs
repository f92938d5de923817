//! On the settlement chain: the transactions that a block holds, and whom they concern. Nothing is removed.
//!
//! Row of `transactions`, by height (8) ‖ index (4): the encoded `SignedEnvelope`. Key of `account_transactions`: account
//! (20) ‖ height (8) ‖ index (4); its value is one 0. A transaction concerns who signed it and, if it was applied, whom its
//! transfers and deposits name.

use std::collections::BTreeSet;

use db3_primitives::{Address, Height, TransactionOperation, VerifiedTransaction};
use db3_proto::encode_envelope;
use rocksdb::{Direction, IteratorMode, WriteBatch};

use super::receipts::{StoredReceipt, place_key};
use super::{Family, Row, Store, StoreError};

/// A transaction as a block holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactionRow {
    /// What became of it.
    pub receipt: StoredReceipt,
    /// The encoded `SignedEnvelope`.
    pub envelope: Vec<u8>,
}

/// Where a list of an account's transactions goes on: at this place, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionCursor {
    /// Height of the block.
    pub height: Height,
    /// Position in it.
    pub index: u32,
}

impl Store {
    /// Keeps a transaction that was applied or failed; of what was refused nothing is kept.
    pub(crate) fn add_transaction(
        &self,
        batch: &mut WriteBatch,
        receipt: &StoredReceipt,
        verified: &VerifiedTransaction,
    ) -> Result<(), StoreError> {
        if !receipt.is_charged() {
            return Ok(());
        }
        let place = place_key(receipt.height, receipt.index);
        batch.put_cf(self.family(Family::Transactions)?, place, encode_envelope(verified.envelope()));
        let family = self.family(Family::AccountTransactions)?;
        for account in concerned(receipt, verified) {
            batch.put_cf(family, account_key(&account, &place), [0]);
        }
        Ok(())
    }

    /// At most `limit` transactions that concern an account in blocks up to `height_max`, and at most about `bytes_max` of
    /// them but at least one, newest first, from the cursor (none: the newest); and where the list goes on.
    pub fn transactions_of(
        &self,
        account: &Address,
        cursor: Option<TransactionCursor>,
        height_max: Height,
        limit: usize,
        bytes_max: usize,
    ) -> Result<(Vec<TransactionRow>, Option<TransactionCursor>), StoreError> {
        let newest = TransactionCursor { height: height_max, index: u32::MAX };
        let from = cursor.unwrap_or(newest);
        let from = account_key(account, &place_key(from.height, from.index));
        let mut found: Vec<TransactionRow> = Vec::new();
        let mut bytes = 0_usize;
        for row in self.rows(Family::AccountTransactions, IteratorMode::From(&from, Direction::Reverse))? {
            let (key, _) = row?;
            let Some(place) = key.strip_prefix(account.as_bytes().as_slice()) else { break };
            if found.len() >= limit || (bytes >= bytes_max && !found.is_empty()) {
                let cursor = Row::new("transaction's place", &key, place)
                    .only(|row| Ok(TransactionCursor { height: Height::new(row.u64()?), index: row.u32()? }))?;
                return Ok((found, Some(cursor)));
            }
            let envelope = self.get(Family::Transactions, place)?;
            let envelope =
                envelope.ok_or_else(|| StoreError::missing("transaction", format!("0x{}", hex::encode(place))))?;
            bytes = bytes.saturating_add(envelope.len());
            found.push(TransactionRow { receipt: self.receipt_at(place)?, envelope });
        }
        Ok((found, None))
    }

    /// Height of the oldest block whose transactions are kept: the first of the chain, or the first after the snapshot
    /// that the folder came from.
    pub fn transactions_from(&self) -> Result<Option<Height>, StoreError> {
        self.first_summary()
    }
}

fn concerned(receipt: &StoredReceipt, verified: &VerifiedTransaction) -> BTreeSet<Address> {
    let transaction = verified.content();
    let mut accounts = BTreeSet::from([transaction.account]);
    if receipt.rejection.is_none() {
        accounts.extend(transaction.operations.iter().filter_map(|operation| match *operation {
            TransactionOperation::Transfer { to, .. } | TransactionOperation::Deposit { to, .. } => Some(to),
            TransactionOperation::Withdraw { .. }
            | TransactionOperation::Allocate { .. }
            | TransactionOperation::Pay { .. } => None,
        }));
    }
    accounts
}

fn account_key(account: &Address, place: &[u8]) -> Vec<u8> {
    [account.as_bytes().as_slice(), place].concat()
}
