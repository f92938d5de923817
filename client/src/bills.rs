//! One bill: asked for, and proven to stand in its epoch's log under a verified header. Lists are in `bill_pages`.

use bytes::Bytes;
use db3_merkle_log::Frontier;
use db3_primitives::leaf::epoch_leaf;
use db3_primitives::{
    Address, Bill, BlockTime, EmissionLeaf, EpochClose, Hash32, LogEntry, MutationId, OpenEpochLeaf, key,
};
use db3_proto::convert::{block_time, checked_bill};
use db3_proto::v1;

use crate::chain::{At, Chain, StatePoint};
use crate::client::Client;
use crate::error::ClientError;
use crate::log_proof::included;
use crate::prove;
use crate::wire::{shard, timed};

/// A bill whose shown fields agree with the bytes that are hashed.
#[derive(Clone, Debug)]
pub struct BillView {
    /// What is hashed.
    pub bill: Bill,
    /// Time of its block; the node's word.
    pub time: Option<BlockTime>,
    /// Epoch that was open in its block; the node's word until proven.
    pub epoch: u64,
    /// Who signed; the node's word.
    pub signer: Option<Address>,
    /// Namespace that the mutation concerned; the node's word.
    pub namespace: String,
    /// Quantity times unit price of each meter; they add up to the fee.
    pub charges: Vec<v1::Charge>,
    /// How far it has come.
    pub status: v1::BillStatus,
}

/// Which bill.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BillRef {
    /// By shard, account and number.
    Seq {
        /// Shard.
        shard: u32,
        /// Account.
        account: Address,
        /// Number, from 1.
        seq: u64,
    },
    /// By what it is for.
    Mutation(MutationId),
}

/// What proves a bill.
#[derive(Clone, Debug)]
pub struct BillProof {
    /// Position in the epoch's log, from 0.
    pub log_index: u64,
    /// Number of bills in the proven log.
    pub log_size: u64,
    /// Root of the log.
    pub log_root: Hash32,
    /// The close that holds the root; none while it is not written.
    pub close: Option<EpochClose>,
    /// First and last epoch that the log is of.
    pub epochs: (u64, u64),
    /// Whether that epoch is still open.
    pub is_open: bool,
    /// The state that holds the close's hash, or the log's frontier.
    pub at: StatePoint,
}

impl Client {
    /// One bill, and its proof if one is wanted.
    pub async fn bill(&self, which: BillRef, prove: bool) -> Result<(BillView, Option<BillProof>), ClientError> {
        match which {
            BillRef::Seq { shard, .. } => bill_on(self.shard(shard)?, which, prove).await,
            BillRef::Mutation(_) => {
                let mut last = None;
                for chain in self.shards() {
                    match bill_on(chain, which, prove).await {
                        // The shard that does not know it says so; another may.
                        Err(error) if error.code() == Some(BILL_NOT_FOUND) => last = last.or(Some(error)),
                        // Or it is older than what its nodes have, which says more.
                        Err(error) if error.history_from().is_some() => last = Some(error),
                        outcome => return outcome,
                    }
                }
                Err(last.unwrap_or_else(|| ClientError::input("the network has no shard", "choose another network")))
            }
        }
    }
}

const BILL_NOT_FOUND: u32 = 404;

pub(crate) async fn bill_on(
    chain: &Chain,
    which: BillRef,
    prove: bool,
) -> Result<(BillView, Option<BillProof>), ClientError> {
    let by = match which {
        BillRef::Seq { account, seq, .. } => {
            v1::get_bill_request::By::Name(v1::BillName { account: Bytes::copy_from_slice(account.as_bytes()), seq })
        }
        BillRef::Mutation(id) => v1::get_bill_request::By::MutationId(Bytes::copy_from_slice(id.as_bytes())),
    };
    let asked = v1::ReadOptions { prove, ..chain.read_options(At::default()) };
    let request = v1::GetBillRequest { by: Some(by), read: Some(asked) };
    let answer = chain
        .call(|channel, limit| {
            let request = request.clone();
            async move { shard(channel).get_bill(timed(request, limit)).await }
        })
        .await?;
    let message = answer.bill.ok_or_else(|| ClientError::malformed(&chain.id, "the answer holds no bill"))?;
    let proof = message.proof.clone();
    let bill = view(chain, message)?;
    let is_asked_for = match which {
        BillRef::Seq { account, seq, .. } => bill.bill.account == account && bill.bill.seq == seq,
        BillRef::Mutation(id) => bill.bill.reference == id.0,
    };
    if !is_asked_for {
        return Err(ClientError::proof(&chain.id, "another bill came than was asked for"));
    }
    if !prove {
        return Ok((bill, None));
    }
    let proof = proof.ok_or_else(|| ClientError::proof(&chain.id, "the bill came without proof"))?;
    let at = chain.check(proof.context.as_ref(), &asked).await?;
    let proven = check_proof(&bill, &proof, at).map_err(|flaw| ClientError::proof(&chain.id, flaw))?;
    Ok((bill, Some(proven)))
}

pub(crate) fn view(chain: &Chain, message: v1::Bill) -> Result<BillView, ClientError> {
    let bill = checked_bill(&message).map_err(|error| ClientError::proof(&chain.id, error.to_string()))?;
    Ok(BillView {
        bill,
        time: message.block_time.as_ref().and_then(block_time),
        epoch: message.epoch,
        signer: Address::from_slice(&message.signer).ok(),
        status: message.status(),
        namespace: message.namespace,
        charges: message.charges,
    })
}

/// The bill's bytes lead to the log's root, and the state commits to that root.
fn check_proof(bill: &BillView, proof: &v1::LogProof, at: StatePoint) -> Result<BillProof, String> {
    let log_root = included(&bill.bill.to_bytes(), proof)?;
    let leaf = prove::existing(&at.root, &proof.root_ics23_proof)?;
    let log = committed(&leaf, proof, &log_root)?;
    let (first, last) = log.epochs;
    if log.close.is_some_and(|close| close.shard != bill.bill.shard) || bill.epoch < first || bill.epoch > last {
        return Err("the bill names another epoch than the log that holds it".to_owned());
    }
    let Log { close, epochs, is_open } = log;
    Ok(BillProof { log_index: proof.leaf_index, log_size: proof.tree_size, log_root, close, epochs, is_open, at })
}

/// What is known of a log of bills that the state commits to.
struct Log {
    close: Option<EpochClose>,
    epochs: (u64, u64),
    is_open: bool,
}

/// Checks that a proven leaf of the state commits to the log.
fn committed(leaf: &(Vec<u8>, Vec<u8>), proof: &v1::LogProof, log_root: &Hash32) -> Result<Log, String> {
    let (tree_key, value) = leaf;
    let log = if !proof.close_leaf.is_empty() {
        let Ok(LogEntry::EpochClose(close)) = LogEntry::from_bytes(&proof.close_leaf) else {
            return Err("the epoch's close is malformed".to_owned());
        };
        let holds = *tree_key == key::epoch(close.last)
            && *value == epoch_leaf(&close)
            && close.bills_root == *log_root
            && close.bill_count == proof.tree_size;
        let epochs = (close.first.get(), close.last.get());
        holds.then_some(Log { close: Some(close), epochs, is_open: false })
    } else if *tree_key == key::open_epoch() {
        let open = OpenEpochLeaf::from_bytes(value).map_err(|error| error.to_string())?;
        let frontier = Frontier::from_bytes(&open.bills).map_err(|error| error.to_string())?;
        let holds = frontier.root() == *log_root && frontier.size() == proof.tree_size;
        holds.then_some(Log { close: None, epochs: (open.open.get(), open.open.get()), is_open: true })
    } else if *tree_key == key::emission() {
        let emission = EmissionLeaf::from_bytes(value).map_err(|error| error.to_string())?;
        let holds = emission.bills_root == *log_root && emission.bill_count == proof.tree_size;
        let epochs = (emission.first.get(), emission.last.get());
        holds.then_some(Log { close: None, epochs, is_open: false })
    } else {
        None
    };
    log.ok_or_else(|| "the state commits to another log of bills".to_owned())
}
