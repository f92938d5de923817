//! Commits: the precommits of a height, signed over their canonical form.

use tendermint::block::{self, Commit, CommitSig, Round};
use tendermint::vote::{self, ValidatorIndex, Vote};
use tendermint::{Signature, account};

use super::header::{BuildError, chain_id, height};
use super::key::ValidatorKey;
use crate::time::UnixTime;
use crate::validators::ValidatorSet;

/// Signs a block with the keys of those who vote for it. Every validator of the set without a key here is marked absent, and
/// keys of others are not used. `time` becomes the next block's time where all vote at the same one.
pub fn sign_commit(
    keys: &[ValidatorKey],
    validators: &ValidatorSet,
    chain: &str,
    block_height: u64,
    round: u16,
    block_id: block::Id,
    time: UnixTime,
) -> Result<Commit, BuildError> {
    let chain = chain_id(chain)?;
    let time = time.to_tendermint().map_err(|_| BuildError::OutOfRange { what: "the time" })?;
    let mut commit = Commit {
        height: height(block_height)?,
        round: Round::from(round),
        block_id,
        signatures: Vec::with_capacity(validators.addresses().len()),
    };
    for (index, address) in validators.addresses().into_iter().enumerate() {
        let Some(key) = keys.iter().find(|key| key.address() == address) else {
            commit.signatures.push(CommitSig::BlockIdFlagAbsent);
            continue;
        };
        let validator_address = account::Id::new(address);
        let vote = Vote {
            vote_type: vote::Type::Precommit,
            height: commit.height,
            round: commit.round,
            block_id: Some(block_id),
            timestamp: Some(time),
            validator_address,
            validator_index: ValidatorIndex::try_from(index)
                .map_err(|_| BuildError::OutOfRange { what: "the validator's index" })?,
            signature: None,
            extension: Vec::new(),
            extension_signature: None,
        };
        let signature = key.sign(&vote.into_signable_vec(chain.clone()));
        let signature =
            Signature::new(signature).map_err(|_| BuildError::OutOfRange { what: "the signature's length" })?;
        commit.signatures.push(CommitSig::BlockIdFlagCommit { validator_address, timestamp: time, signature });
    }
    Ok(commit)
}
