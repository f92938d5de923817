//! Headers.

use tendermint::block::header::Version;
use tendermint::block::{self, Commit, Header, Height};
use tendermint::{AppHash, Hash, account, chain};
use tendermint_proto::v0_38::types::{BlockId as RawBlockId, Header as RawHeader, PartSetHeader as RawPartSetHeader};

use super::hashes::{EMPTY_HASH, commit_hash, data_hash};
use crate::limits::HEIGHT_MAX;
use crate::time::UnixTime;
use crate::validators::ValidatorSet;

/// Version of the block format of `CometBFT` v0.38.
const BLOCK_VERSION: u64 = 11;

/// What a header is made from.
#[derive(Clone, Debug)]
pub struct HeaderInput<'a, T> {
    /// Name of the chain.
    pub chain_id: &'a str,
    /// Version of the application.
    pub app_version: u64,
    /// Height of the block.
    pub height: u64,
    /// Block time: that of the genesis at the first height, later the median of the last commit's times.
    pub time: UnixTime,
    /// The block before it; none at the first height.
    pub last_block_id: Option<block::Id>,
    /// The commit of the block before it; none at the first height.
    pub last_commit: Option<&'a Commit>,
    /// The block's transactions.
    pub txs: &'a [T],
    /// Who signs this height.
    pub validators: &'a ValidatorSet,
    /// Who signs the next height.
    pub next_validators: &'a ValidatorSet,
    /// [`super::consensus_params_hash`].
    pub consensus_hash: [u8; 32],
    /// Root of the state after the block before it; empty where there is none.
    pub app_hash: &'a [u8],
    /// [`super::results_hash`] of the block before it; [`EMPTY_HASH`] at the first height.
    pub last_results_hash: [u8; 32],
    /// Address of the proposer; none: the first validator.
    pub proposer: Option<[u8; 20]>,
}

/// What Tendermint cannot express.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// See [`crate::TrustRootError::InvalidChainId`].
    #[error("{chain_id:?} is no chain id")]
    InvalidChainId {
        /// The name given.
        chain_id: String,
    },
    /// Heights are 1 to [`HEIGHT_MAX`].
    #[error("{height} is no height")]
    InvalidHeight {
        /// The height given.
        height: u64,
    },
    /// An app hash is at most 32 bytes long here.
    #[error("an app hash of {bytes} bytes")]
    InvalidAppHash {
        /// Bytes given.
        bytes: usize,
    },
    /// More parts than fit a part set header, or a round beyond 31 bits.
    #[error("{what} is out of range")]
    OutOfRange {
        /// What is.
        what: &'static str,
    },
}

/// The header of a block.
pub fn make_header<T: AsRef<[u8]>>(input: &HeaderInput<'_, T>) -> Result<Header, BuildError> {
    if !matches!(input.app_hash.len(), 0 | 32) {
        return Err(BuildError::InvalidAppHash { bytes: input.app_hash.len() });
    }
    let proposer = input.proposer.map(account::Id::new).or_else(|| input.validators.first_address());
    Ok(Header {
        version: Version { block: BLOCK_VERSION, app: input.app_version },
        chain_id: chain_id(input.chain_id)?,
        height: height(input.height)?,
        time: input.time.to_tendermint().map_err(|_| BuildError::OutOfRange { what: "the time" })?,
        last_block_id: input.last_block_id,
        last_commit_hash: Some(Hash::Sha256(input.last_commit.map_or(EMPTY_HASH, commit_hash))),
        data_hash: Some(Hash::Sha256(data_hash(input.txs))),
        validators_hash: Hash::Sha256(input.validators.hash()),
        next_validators_hash: Hash::Sha256(input.next_validators.hash()),
        consensus_hash: Hash::Sha256(input.consensus_hash),
        app_hash: AppHash::try_from(input.app_hash.to_vec())
            .map_err(|_| BuildError::InvalidAppHash { bytes: input.app_hash.len() })?,
        last_results_hash: Some(Hash::Sha256(input.last_results_hash)),
        evidence_hash: Some(Hash::Sha256(EMPTY_HASH)),
        proposer_address: proposer.ok_or(BuildError::OutOfRange { what: "the proposer" })?,
    })
}

pub(super) fn chain_id(name: &str) -> Result<chain::Id, BuildError> {
    chain::Id::try_from(name).map_err(|_| BuildError::InvalidChainId { chain_id: name.to_owned() })
}

pub(super) fn height(height: u64) -> Result<Height, BuildError> {
    let invalid = BuildError::InvalidHeight { height };
    if height == 0 || height > HEIGHT_MAX {
        return Err(invalid);
    }
    Height::try_from(height).map_err(|_| invalid)
}

/// The header as Go writes it: the block id before the first block is there, and empty.
pub(super) fn raw_header(header: &Header) -> RawHeader {
    let mut raw = RawHeader::from(header.clone());
    raw.last_block_id.get_or_insert_with(empty_block_id);
    raw
}

/// Go's zero block id on the wire.
pub(super) fn empty_block_id() -> RawBlockId {
    RawBlockId { hash: Vec::new(), part_set_header: Some(RawPartSetHeader::default()) }
}
