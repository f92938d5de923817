//! The hashes that a header carries of the block's parts.
//!
//! All are RFC 6962 trees: of transaction hashes, of the commit's signatures, of the results. The parameters' hash is SHA-256 of
//! `HashedParams`.

use prost::Message;
use sha2::{Digest, Sha256};
use tendermint::block::{self, Commit};
use tendermint::crypto::default::Sha256 as TendermintSha256;
use tendermint::merkle::simple_hash_from_byte_vectors;
use tendermint_proto::v0_38::abci::ExecTxResult;
use tendermint_proto::v0_38::types::{CommitSig as RawCommitSig, HashedParams};

/// Root of an empty tree, SHA-256 of nothing: the hash of no transactions, no signatures, no results and no evidence.
pub const EMPTY_HASH: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// Hash of a block's transactions.
#[must_use]
pub fn data_hash(txs: &[impl AsRef<[u8]>]) -> [u8; 32] {
    let hashes: Vec<[u8; 32]> = txs.iter().map(|tx| Sha256::digest(tx.as_ref()).into()).collect();
    merkle_root(&hashes)
}

/// Hash of a commit's signatures.
#[must_use]
pub fn commit_hash(commit: &Commit) -> [u8; 32] {
    let signatures: Vec<Vec<u8>> =
        commit.signatures.iter().map(|signature| RawCommitSig::from(signature.clone()).encode_to_vec()).collect();
    merkle_root(&signatures)
}

/// Hash of a block's results, which the next header carries; of each only code, data and gas count.
#[must_use]
pub fn results_hash(results: &[ExecTxResult]) -> [u8; 32] {
    let deterministic = |result: &ExecTxResult| ExecTxResult {
        code: result.code,
        data: result.data.clone(),
        gas_wanted: result.gas_wanted,
        gas_used: result.gas_used,
        ..ExecTxResult::default()
    };
    let results: Vec<Vec<u8>> = results.iter().map(|result| deterministic(result).encode_to_vec()).collect();
    merkle_root(&results)
}

/// Hash of the consensus parameters; only the block's size limits count. None where the size does not fit 63 bits.
#[must_use]
pub fn consensus_params_hash(size: &block::Size) -> Option<[u8; 32]> {
    let params = HashedParams { block_max_bytes: i64::try_from(size.max_bytes).ok()?, block_max_gas: size.max_gas };
    Some(Sha256::digest(params.encode_to_vec()).into())
}

pub(super) fn merkle_root(leaves: &[impl AsRef<[u8]>]) -> [u8; 32] {
    simple_hash_from_byte_vectors::<TendermintSha256>(leaves)
}
