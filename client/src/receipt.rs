//! What became of a mutation, as callers get it.

use db3_primitives::{Address, BlockTime, MutationId, Tai};
use db3_proto::convert::block_time;
use db3_proto::v1;

use crate::error::{ClientError, Refusal};

pub use db3_proto::v1::{ReceiptState, WaitMode};

/// What is known of a mutation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// Its identifier.
    pub id: MutationId,
    /// How far it has come.
    pub state: ReceiptState,
    /// The chain.
    pub chain_id: String,
    /// Height of its block; 0 if it is in none.
    pub height: u64,
    /// Position among the mutations of its block, from 0.
    pub index: u32,
    /// Time of its block.
    pub block_time: Option<BlockTime>,
    /// Account that pays; none where the node knows nothing of it.
    pub account: Option<Address>,
    /// Account that signed.
    pub signer: Option<Address>,
    /// Namespace.
    pub namespace: String,
    /// Nonce.
    pub nonce: u64,
    /// What it cost.
    pub fee: Tai,
    /// Number of its bill among the account's on this shard; 0 if it has none.
    pub bill_seq: u64,
    /// Epoch that its bill belongs to.
    pub epoch: u64,
    /// Why it failed.
    pub rejection: Option<Refusal>,
    /// The version that each operation gave its record; 0 where it gave none.
    pub versions: Vec<u64>,
    /// A read at this height or above sees its effects; 0 until its header exists.
    pub provable_height: u64,
    /// In state unknown: chains whose nodes, as far as they were asked, came from snapshots, and the height from which on
    /// they have receipts. An older block may hold it.
    pub known_from: Vec<(String, u64)>,
}

impl Receipt {
    pub(crate) fn from_message(chain_id: &str, message: v1::Receipt) -> Result<Self, ClientError> {
        let malformed = |what: &str| ClientError::malformed(chain_id, format!("the receipt's {what} is malformed"));
        let id = message.id.as_ref().try_into().map(MutationId).map_err(|_| malformed("identifier"))?;
        let address = |bytes: &[u8], what| match bytes {
            [] => Ok(None),
            bytes => Address::from_slice(bytes).map(Some).map_err(|_| malformed(what)),
        };
        let fee = match message.fee_tai.as_str() {
            "" => Tai::ZERO,
            text => text.parse().map_err(|_| malformed("fee"))?,
        };
        let known_from = Some(message.history_from_height).filter(|from| *from > 0);
        Ok(Self {
            id,
            known_from: known_from.map(|from| (chain_id.to_owned(), from)).into_iter().collect(),
            state: message.state(),
            height: message.height,
            index: message.index,
            block_time: message.block_time.as_ref().and_then(block_time),
            account: address(&message.account, "account")?,
            signer: address(&message.signer, "signer")?,
            namespace: message.namespace,
            nonce: message.nonce,
            fee,
            bill_seq: message.bill_seq,
            epoch: message.epoch,
            rejection: message.rejection.map(Refusal::from),
            versions: message.results.iter().map(|result| result.version).collect(),
            provable_height: message.provable_height,
            chain_id: message.chain_id,
        })
    }

    /// Whether a block holds it, applied or failed.
    #[must_use]
    pub fn is_in_block(&self) -> bool {
        matches!(self.state, ReceiptState::Applied | ReceiptState::Failed)
    }

    /// The receipt, if the mutation was applied; else the rejection that it failed with.
    pub fn applied(self) -> Result<Self, ClientError> {
        match (self.state, self.rejection) {
            (ReceiptState::Failed, Some(refusal)) => {
                Err(ClientError::Rejected(Box::new(Refusal { mutation_id: Some(self.id), charged: true, ..refusal })))
            }
            (_, rejection) => Ok(Self { rejection, ..self }),
        }
    }
}
