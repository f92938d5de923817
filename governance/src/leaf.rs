//! Leaf of governance, `gov`: format 1 (1) ‖ number of the last accepted transaction, 0 before the first (8) ‖ number of
//! validators (2) ‖ for each, in ascending order of key: ed25519 key (32) ‖ power (8) ‖ operator (20) ‖ payout address
//! (20). Integers big endian.

use db3_light_client::limits::VALIDATORS_MAX;
use db3_light_client::{ValidatorSet, ValidatorSetError};
use db3_primitives::decode::Reader;
use db3_primitives::{Address, DecodeError, key};

use crate::evidence::Evidence;
use crate::proposal::Proposal;

/// The first byte of every leaf of this crate.
pub(crate) const FORMAT: u8 = 1;

/// A validator of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Validator {
    /// Its ed25519 key.
    pub key: [u8; 32],
    /// Its voting power, at least 1.
    pub power: u64,
    /// The account that signs governance for it. One account may operate several.
    pub operator: Address,
    /// The account that its share of fees is paid to.
    pub payout: Address,
}

/// Who validates a chain, and how many governance transactions it has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GovernanceLeaf {
    pub(crate) sequence: u64,
    pub(crate) validators: Vec<Validator>,
}

/// Validators that no chain can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct ValidatorError(#[from] ValidatorSetError);

impl GovernanceLeaf {
    /// The leaf of a chain that begins with these validators, in any order.
    pub fn new(validators: &[Validator]) -> Result<Self, ValidatorError> {
        let mut validators = validators.to_vec();
        validators.sort_unstable_by_key(|validator| validator.key);
        let leaf = Self { sequence: 0, validators };
        leaf.check()?;
        Ok(leaf)
    }

    /// Whether these can be the validators of a chain: one to 1 000, all different, each with a valid key and power, and
    /// together not more power than Tendermint allows.
    pub fn check(&self) -> Result<(), ValidatorError> {
        ValidatorSet::new(&self.powers()).map(|_| ()).map_err(ValidatorError)
    }

    /// The number of the last accepted transaction; 0 before the first.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The validators, in ascending order of key.
    #[must_use]
    pub fn validators(&self) -> &[Validator] {
        &self.validators
    }

    /// Keys and powers, in ascending order of key.
    #[must_use]
    pub fn powers(&self) -> Vec<([u8; 32], u64)> {
        self.validators.iter().map(|validator| (validator.key, validator.power)).collect()
    }

    /// Who shares what the validators earn, by power; an address may stand there more than once.
    #[must_use]
    pub fn payouts(&self) -> Vec<(Address, u64)> {
        self.validators.iter().map(|validator| (validator.payout, validator.power)).collect()
    }

    /// Power of all validators.
    #[must_use]
    pub fn total_power(&self) -> u64 {
        self.validators.iter().fold(0, |sum, validator| sum.saturating_add(validator.power))
    }

    /// Power of the validators that an account operates; none where it operates none.
    #[must_use]
    pub fn operated_by(&self, operator: &Address) -> Option<u64> {
        let operated = self.validators.iter().filter(|validator| validator.operator == *operator);
        operated.map(|validator| validator.power).reduce(u64::saturating_add)
    }

    pub(crate) fn set(&mut self, validator: Validator) {
        match self.validators.binary_search_by_key(&validator.key, |known| known.key) {
            Ok(at) => {
                if let Some(known) = self.validators.get_mut(at) {
                    *known = validator;
                }
            }
            Err(at) => self.validators.insert(at, validator),
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8; 32]) -> Option<Validator> {
        let at = self.validators.binary_search_by_key(key, |known| known.key).ok()?;
        Some(self.validators.remove(at))
    }

    /// The encoding; the layout is at the top of this module.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = u16::try_from(self.validators.len()).unwrap_or(u16::MAX);
        let mut bytes = vec![FORMAT];
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(count.to_be_bytes());
        for validator in &self.validators {
            validator.write(&mut bytes);
        }
        bytes
    }

    /// Reads the encoding: one validator to 1 000, each once, with power. A state holds no keys that are none, so they are not
    /// looked at each time that it is read: [`check`](Self::check) does.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("governance", bytes);
        reader.format(FORMAT)?;
        let sequence = reader.u64()?;
        let count = u16::from_be_bytes(reader.array()?);
        let validators = (0..count).map(|_| Validator::read(&mut reader)).collect::<Result<Vec<_>, _>>()?;
        let sorted = validators.is_sorted_by(|left, right| left.key < right.key);
        let powerless = validators.iter().any(|validator| validator.power == 0);
        if !sorted || powerless || !(1..=VALIDATORS_MAX).contains(&validators.len()) {
            return Err(reader.invalid("validators"));
        }
        reader.end()?;
        Ok(Self { sequence, validators })
    }
}

impl Validator {
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.key);
        bytes.extend(self.power.to_be_bytes());
        bytes.extend(self.operator.as_bytes());
        bytes.extend(self.payout.as_bytes());
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { key: reader.array()?, power: reader.u64()?, operator: reader.address()?, payout: reader.address()? })
    }
}

/// Whether a leaf decodes as what its key says; none where the key is not one of governance.
#[must_use]
pub fn decodes(tree_key: &[u8], leaf: &[u8]) -> Option<bool> {
    if tree_key == key::governance() {
        return Some(GovernanceLeaf::from_bytes(leaf).is_ok_and(|leaf| leaf.check().is_ok()));
    }
    if let Some((at_height, sequence)) = key::split_plan(tree_key) {
        let plan = leaf.strip_prefix(&[FORMAT]).and_then(|body| Proposal::from_bytes(body).ok());
        let is_good =
            |plan: Proposal| plan.sequence == sequence && plan.at_height <= at_height && plan.check_keys().is_ok();
        return Some(plan.is_some_and(is_good));
    }
    let validator = key::split_evidence(tree_key)?;
    Some(Evidence::from_bytes(validator, leaf).is_ok())
}
