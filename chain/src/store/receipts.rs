//! Receipts: what a block holds about each of its mutations, by place and by identifier.
//!
//! A mutation that a block holds without effect and without charge (which only a faulty proposer puts there) has a row
//! by place, and none by identifier: the same mutation may still be applied.

use db3_primitives::{Address, BlockTime, Epoch, Height, MutationId, Namespace, Nonce, ReceiptOutcome, Tai};
use db3_proto::{status, v1};
use db3_shard_state::Receipt;
use prost::Message as _;
use rocksdb::{Direction, IteratorMode, WriteBatch};

use super::{Family, Row, Store, StoreError};
use crate::machine::At;

/// What a block holds about one mutation.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredReceipt {
    /// Identifier of the mutation.
    pub id: MutationId,
    /// Block.
    pub height: Height,
    /// Its time.
    pub time: BlockTime,
    /// Position in the block's order, where what was refused counts, deliveries without effect first.
    pub index: u32,
    /// Epoch that its bill belongs to.
    pub epoch: Epoch,
    /// Who pays.
    pub account: Address,
    /// Who signed.
    pub signer: Address,
    /// Where it wrote; none on the settlement chain.
    pub namespace: Option<Namespace>,
    /// Its nonce.
    pub nonce: Nonce,
    /// Why it had no effect; none if it was applied.
    pub rejection: Option<v1::Rejection>,
    /// What was charged.
    pub fee: Tai,
    /// Whether it paid.
    pub charged: bool,
    /// Number of its bill among the account's; none if it has none, as on the settlement chain.
    pub bill_seq: Option<u64>,
    /// For every operation the version that it wrote.
    pub versions: Vec<u64>,
}

impl StoredReceipt {
    /// From what execution of a mutation says.
    pub(crate) fn of_mutation(receipt: Receipt, at: At, epoch: Epoch) -> Self {
        let rejection = match receipt.outcome {
            ReceiptOutcome::Applied => None,
            ReceiptOutcome::Failed(rejection) | ReceiptOutcome::Refused(rejection) => {
                Some(status::to_message(&rejection, Some(&receipt.id)))
            }
        };
        Self {
            id: receipt.id,
            height: at.height,
            time: at.time,
            index: receipt.index,
            epoch,
            account: receipt.account,
            signer: receipt.signer,
            namespace: Some(receipt.namespace),
            nonce: receipt.nonce,
            rejection,
            fee: receipt.fee,
            charged: receipt.bill_seq.is_some(),
            bill_seq: receipt.bill_seq,
            versions: receipt.versions,
        }
    }

    /// From what execution of a transaction says.
    pub(crate) fn of_transaction(receipt: db3_settlement_state::Receipt, at: At, epoch: Epoch) -> Self {
        let (rejection, charged) = match receipt.outcome {
            ReceiptOutcome::Applied => (None, true),
            ReceiptOutcome::Failed(rejection) => (Some(rejection), true),
            ReceiptOutcome::Refused(rejection) => (Some(rejection), false),
        };
        Self {
            id: receipt.id,
            height: at.height,
            time: at.time,
            index: receipt.index,
            epoch,
            account: receipt.account,
            signer: receipt.signer,
            namespace: None,
            nonce: receipt.nonce,
            rejection: rejection.map(|rejection| status::to_message(&rejection, Some(&receipt.id))),
            fee: receipt.fee,
            charged,
            bill_seq: None,
            versions: Vec::new(),
        }
    }

    /// Whether it was applied or failed: then it is charged, its nonce is used, and this is final.
    #[must_use]
    pub fn is_charged(&self) -> bool {
        self.charged
    }

    /// The height at and above which reads see its effects, once it is provable: that of its block.
    #[must_use]
    pub fn provable_height(&self) -> Height {
        self.height
    }

    /// As it travels. `provable`: whether the header that carries the root after its block exists.
    #[must_use]
    pub fn to_message(&self, chain_id: &str, provable: bool) -> v1::Receipt {
        let state = if self.rejection.is_none() { v1::ReceiptState::Applied } else { v1::ReceiptState::Failed };
        v1::Receipt {
            id: bytes::Bytes::copy_from_slice(self.id.as_bytes()),
            state: state.into(),
            chain_id: chain_id.to_owned(),
            height: self.height.get(),
            index: self.index,
            block_time: Some(timestamp(self.time)),
            account: bytes::Bytes::copy_from_slice(self.account.as_bytes()),
            signer: bytes::Bytes::copy_from_slice(self.signer.as_bytes()),
            namespace: self.namespace.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
            nonce: self.nonce.get(),
            fee_tai: if self.is_charged() { self.fee.to_string() } else { String::new() },
            bill_seq: self.bill_seq.unwrap_or_default(),
            rejection: self.rejection.clone(),
            results: self.versions.iter().map(|version| v1::OperationResult { version: *version }).collect(),
            provable_height: if provable { self.height.get() } else { 0 },
            epoch: self.epoch.get(),
            history_from_height: 0,
        }
    }

    fn from_bytes(key: &[u8], bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = |detail: &str| StoreError::damaged("receipt", key, detail);
        let message = v1::Receipt::decode(bytes).map_err(|error| damaged(&error.to_string()))?;
        let time = message.block_time.ok_or_else(|| damaged("has no time"))?;
        let time = u64::try_from(time.seconds)
            .ok()
            .zip(u32::try_from(time.nanos).ok())
            .and_then(|(secs, nanos)| BlockTime::new(secs, nanos))
            .ok_or_else(|| damaged("has a time that is none"))?;
        let address = |bytes: &[u8]| Address::from_slice(bytes).map_err(|error| damaged(&error.to_string()));
        let id: [u8; 32] = message.id.as_ref().try_into().map_err(|_| damaged("has no identifier"))?;
        Ok(Self {
            id: MutationId(id),
            height: Height::new(message.height),
            time,
            index: message.index,
            epoch: Epoch::new(message.epoch),
            account: address(&message.account)?,
            signer: address(&message.signer)?,
            namespace: match message.namespace.as_str() {
                "" => None,
                name => Some(name.parse().map_err(|_| damaged("names no namespace"))?),
            },
            nonce: Nonce::new(message.nonce),
            rejection: message.rejection,
            fee: if message.fee_tai.is_empty() {
                Tai::ZERO
            } else {
                message.fee_tai.parse().map_err(|_| damaged("has a fee that is none"))?
            },
            charged: !message.fee_tai.is_empty(),
            bill_seq: (message.bill_seq > 0).then_some(message.bill_seq),
            versions: message.results.iter().map(|result| result.version).collect(),
        })
    }
}

impl Store {
    pub(crate) fn add_receipt(&self, batch: &mut WriteBatch, receipt: &StoredReceipt) -> Result<(), StoreError> {
        let place = place_key(receipt.height, receipt.index);
        batch.put_cf(self.family(Family::Receipts)?, place, receipt.to_message("", false).encode_to_vec());
        if receipt.is_charged() {
            batch.put_cf(self.family(Family::ReceiptIds)?, receipt.id.as_bytes(), place);
        }
        Ok(())
    }

    /// The receipt of a mutation that was applied or failed.
    pub fn receipt(&self, id: &MutationId) -> Result<Option<StoredReceipt>, StoreError> {
        let Some(place) = self.get(Family::ReceiptIds, id.as_bytes())? else { return Ok(None) };
        self.receipt_at(&place).map(Some)
    }

    /// The receipt at a place.
    pub(super) fn receipt_at(&self, place: &[u8]) -> Result<StoredReceipt, StoreError> {
        let row = self.get(Family::Receipts, place)?;
        let row = row.ok_or_else(|| StoreError::missing("receipt", format!("0x{}", hex::encode(place))))?;
        StoredReceipt::from_bytes(place, &row)
    }

    /// At most `limit` receipts of a block from position `from`, refused ones included.
    pub fn receipts(&self, height: Height, from: u32, limit: usize) -> Result<Vec<StoredReceipt>, StoreError> {
        let first = place_key(height, from);
        let rows = self.rows(Family::Receipts, IteratorMode::From(&first, Direction::Forward))?;
        let mut found = Vec::new();
        for row in rows.take(limit) {
            let (key, value) = row?;
            if !key.starts_with(&height.get().to_be_bytes()) {
                break;
            }
            found.push(StoredReceipt::from_bytes(&key, &value)?);
        }
        Ok(found)
    }

    /// Where in the chain a mutation stands that was applied or failed.
    pub fn place(&self, id: &MutationId) -> Result<Option<(Height, u32)>, StoreError> {
        let row = self.get(Family::ReceiptIds, id.as_bytes())?;
        row.map(|bytes| {
            Row::new("receipt place", id.as_bytes(), &bytes).only(|row| Ok((Height::new(row.u64()?), row.u32()?)))
        })
        .transpose()
    }
}

pub(super) fn place_key(height: Height, index: u32) -> [u8; 12] {
    let mut key = [0; 12];
    let (first, second) = key.split_at_mut(8);
    first.copy_from_slice(&height.get().to_be_bytes());
    second.copy_from_slice(&index.to_be_bytes());
    key
}

/// A time as protobuf writes it.
#[must_use]
pub(crate) fn timestamp(time: BlockTime) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(time.secs).unwrap_or(i64::MAX),
        nanos: i32::try_from(time.nanos).unwrap_or_default(),
    }
}
