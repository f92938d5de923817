//! Blocks as bytes and their ids: the header's hash, and the root over the 64 KiB parts in which a block is passed on.

use prost::Message;
use tendermint::Hash;
use tendermint::block::{self, Commit, Header, parts};
use tendermint_proto::v0_38::types::{Block as RawBlock, Commit as RawCommit, Data as RawData, EvidenceList};

use super::hashes::merkle_root;
use super::header::{BuildError, empty_block_id, raw_header};

/// Bytes of each part but the last.
pub const BLOCK_PART_BYTES: usize = 65_536;

/// `tendermint.types.Block`: header, transactions, no evidence, and the commit of the block before it, none at the first height.
#[must_use]
pub fn block_bytes(header: &Header, txs: &[impl AsRef<[u8]>], last_commit: Option<&Commit>) -> Vec<u8> {
    // At the first height Go writes an empty commit, not none.
    let no_commit = || RawCommit { block_id: Some(empty_block_id()), ..RawCommit::default() };
    let block = RawBlock {
        header: Some(raw_header(header)),
        data: Some(RawData { txs: txs.iter().map(|tx| tx.as_ref().to_vec()).collect() }),
        evidence: Some(EvidenceList::default()),
        last_commit: Some(last_commit.cloned().map_or_else(no_commit, RawCommit::from)),
    };
    block.encode_to_vec()
}

/// The id of the block with that header, from its [`block_bytes`].
pub fn block_id(header: &Header, block_bytes: &[u8]) -> Result<block::Id, BuildError> {
    let block_parts: Vec<&[u8]> = block_bytes.chunks(BLOCK_PART_BYTES).collect();
    let too_many = BuildError::OutOfRange { what: "the number of block parts" };
    let total = u32::try_from(block_parts.len()).map_err(|_| too_many.clone())?;
    let part_set_header = parts::Header::new(total, Hash::Sha256(merkle_root(&block_parts))).map_err(|_| too_many)?;
    Ok(block::Id { hash: header.hash(), part_set_header })
}
