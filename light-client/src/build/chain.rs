//! A chain that is nothing but headers: real commits by keys made from seeds, validators that change, and the fraud that a light
//! client must notice. For tests of whatever follows a chain.

use tendermint::block::{self, Commit};

use super::block_id::{block_bytes, block_id};
use super::commit::sign_commit;
use super::hashes::EMPTY_HASH;
use super::header::{BuildError, HeaderInput, make_header};
use super::key::ValidatorKey;
use super::light_block::light_block_bytes;
use crate::root::{TrustRoot, TrustRootError};
use crate::time::UnixTime;
use crate::validators::{ValidatorSet, ValidatorSetError};

/// Headers from height 1 on.
#[derive(Clone, Debug)]
pub struct HeaderChain {
    root: TrustRoot,
    /// Who signs the next header to be made, and who the one after it.
    signers: Signers,
    next_signers: Signers,
    made: Vec<Made>,
}

#[derive(Clone, Debug)]
struct Signers {
    keys: Vec<ValidatorKey>,
    set: ValidatorSet,
}

#[derive(Clone, Debug)]
struct Made {
    time: UnixTime,
    id: block::Id,
    commit: Commit,
    light_block: Vec<u8>,
    signers: Signers,
    next_signers: Signers,
}

impl HeaderChain {
    /// A chain whose validators have the keys of these seeds, with their power.
    pub fn new(chain_id: &str, validators: &[([u8; 32], u64)], genesis_time: UnixTime) -> Result<Self, TrustRootError> {
        let signers = Signers::new(validators)?;
        let root = TrustRoot::of_genesis(chain_id, 1, genesis_time, &signers.set.validators())?;
        Ok(Self { root, next_signers: signers.clone(), signers, made: Vec::new() })
    }

    /// Where trust in the chain begins.
    #[must_use]
    pub fn root(&self) -> &TrustRoot {
        &self.root
    }

    /// Height of the newest header; 0 before the first.
    #[must_use]
    pub fn height(&self) -> u64 {
        u64::try_from(self.made.len()).unwrap_or(u64::MAX)
    }

    /// Makes the next header and returns its height. Everyone signs.
    pub fn make(&mut self, app_hash: [u8; 32], time: UnixTime) -> Result<u64, BuildError> {
        let height = self.height().saturating_add(1);
        let made = self.sign(height, self.made.last(), &self.signers, &self.next_signers, app_hash, time)?;
        self.made.push(made);
        self.signers = self.next_signers.clone();
        Ok(height)
    }

    /// Names other validators in the next header: they sign from the height after it on.
    pub fn change_validators(&mut self, validators: &[([u8; 32], u64)]) -> Result<(), ValidatorSetError> {
        self.next_signers = Signers::new(validators)?;
        Ok(())
    }

    /// Time of a header.
    #[must_use]
    pub fn time(&self, height: u64) -> Option<UnixTime> {
        Some(self.at(height)?.time)
    }

    /// `tendermint.types.LightBlock` of a height.
    #[must_use]
    pub fn light_block(&self, height: u64) -> Option<&[u8]> {
        Some(&self.at(height)?.light_block)
    }

    /// The validators of a height.
    #[must_use]
    pub fn validators(&self, height: u64) -> Option<&ValidatorSet> {
        Some(&self.at(height)?.signers.set)
    }

    /// The validators of the height after this one; of the root's for 0.
    #[must_use]
    pub fn next_validators(&self, height: u64) -> Option<&ValidatorSet> {
        if height == 0 { Some(self.root.validators()) } else { Some(&self.at(height)?.next_signers.set) }
    }

    /// A second light block at a height, with another app hash and signed by the same validators: fraud. None at a height that
    /// was not made.
    pub fn fork(&self, height: u64, app_hash: [u8; 32]) -> Result<Option<Vec<u8>>, BuildError> {
        let Some(made) = self.at(height) else { return Ok(None) };
        let before = self.at(height.saturating_sub(1));
        let fork = self.sign(height, before, &made.signers, &made.next_signers, app_hash, made.time)?;
        Ok(Some(fork.light_block))
    }

    fn at(&self, height: u64) -> Option<&Made> {
        self.made.get(usize::try_from(height.checked_sub(1)?).ok()?)
    }

    fn sign(
        &self,
        height: u64,
        before: Option<&Made>,
        signers: &Signers,
        next_signers: &Signers,
        app_hash: [u8; 32],
        time: UnixTime,
    ) -> Result<Made, BuildError> {
        let txs: [&[u8]; 0] = [];
        let header = make_header(&HeaderInput {
            chain_id: self.root.chain_id(),
            app_version: 1,
            height,
            time,
            last_block_id: before.map(|before| before.id),
            last_commit: before.map(|before| &before.commit),
            txs: &txs,
            validators: &signers.set,
            next_validators: &next_signers.set,
            consensus_hash: EMPTY_HASH,
            app_hash: &app_hash,
            last_results_hash: EMPTY_HASH,
            proposer: None,
        })?;
        let id = block_id(&header, &block_bytes(&header, &txs, before.map(|before| &before.commit)))?;
        let commit = sign_commit(&signers.keys, &signers.set, self.root.chain_id(), height, 0, id, time)?;
        let light_block = light_block_bytes(&header, &commit, &signers.set);
        Ok(Made { time, id, commit, light_block, signers: signers.clone(), next_signers: next_signers.clone() })
    }
}

impl Signers {
    fn new(validators: &[([u8; 32], u64)]) -> Result<Self, ValidatorSetError> {
        let keys: Vec<ValidatorKey> = validators.iter().map(|(seed, _)| ValidatorKey::from_seed(*seed)).collect();
        let pairs: Vec<([u8; 32], u64)> =
            keys.iter().zip(validators).map(|(key, (_, power))| (key.public_key(), *power)).collect();
        Ok(Self { keys, set: ValidatorSet::new(&pairs)? })
    }
}
