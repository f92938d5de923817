//! A validator set: who signs, and with what power.
//!
//! Its hash is Tendermint's: an RFC 6962 tree over `SimpleValidator { pub_key, voting_power }` in the set's order, which is by
//! power, largest first, then by address. It never holds a set that Tendermint would not.

use std::collections::BTreeSet;

use prost::Message;
use tendermint::{PublicKey, account, validator, vote};
use tendermint_proto::v0_38::types::ValidatorSet as RawSet;

use crate::decode::Envelope;
use crate::error::LightClientError;
use crate::limits::{VALIDATOR_SET_BYTES_MAX, VALIDATORS_MAX};

/// One to [`VALIDATORS_MAX`] validators with ed25519 keys, all different, each with some power.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatorSet {
    set: validator::Set,
    hash: [u8; 32],
}

/// Why keys and powers are no validator set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidatorSetError {
    /// Nobody could sign.
    #[error("a validator set has at least one validator")]
    Empty,
    /// Too many to check.
    #[error("a validator set has at most {VALIDATORS_MAX} validators, not {validators}")]
    TooMany {
        /// Validators given.
        validators: usize,
    },
    /// 32 bytes that are no point of the curve.
    #[error("validator {index} has no valid ed25519 key")]
    InvalidKey {
        /// Position in the list.
        index: usize,
    },
    /// A validator that counts for nothing.
    #[error("validator {index} has no voting power")]
    NoPower {
        /// Position in the list.
        index: usize,
    },
    /// The same key twice.
    #[error("validator {index} has a key that stands before it already")]
    Duplicate {
        /// Position in the list.
        index: usize,
    },
    /// Tendermint allows an eighth of 2^63.
    #[error("the voting power of all validators is above {}", validator::Set::MAX_TOTAL_VOTING_POWER)]
    TooMuchPower,
}

impl ValidatorSet {
    /// From public keys and powers, in any order.
    pub fn new(validators: &[([u8; 32], u64)]) -> Result<Self, ValidatorSetError> {
        if validators.is_empty() {
            return Err(ValidatorSetError::Empty);
        }
        if validators.len() > VALIDATORS_MAX {
            return Err(ValidatorSetError::TooMany { validators: validators.len() });
        }
        let (mut infos, mut total) = (Vec::<validator::Info>::with_capacity(validators.len()), 0_u64);
        let mut known = BTreeSet::new();
        for (index, (bytes, power)) in validators.iter().enumerate() {
            let invalid = ValidatorSetError::InvalidKey { index };
            ed25519_consensus::VerificationKey::try_from(*bytes).map_err(|_| invalid.clone())?;
            let key = PublicKey::from_raw_ed25519(bytes).ok_or(invalid)?;
            if *power == 0 {
                return Err(ValidatorSetError::NoPower { index });
            }
            total = total.checked_add(*power).ok_or(ValidatorSetError::TooMuchPower)?;
            if total > validator::Set::MAX_TOTAL_VOTING_POWER {
                return Err(ValidatorSetError::TooMuchPower);
            }
            if !known.insert(bytes) {
                return Err(ValidatorSetError::Duplicate { index });
            }
            let power = vote::Power::try_from(*power).map_err(|_| ValidatorSetError::TooMuchPower)?;
            infos.push(validator::Info::new(key, power));
        }
        // `Set::new` panics above the total that was checked here, and only there.
        Ok(Self::from_tendermint(validator::Set::new(infos, None)))
    }

    /// Public keys and powers, in the set's order.
    #[must_use]
    pub fn validators(&self) -> Vec<([u8; 32], u64)> {
        let pair = |info: &validator::Info| Some((info.pub_key.to_bytes().try_into().ok()?, info.power()));
        self.set.validators().iter().filter_map(pair).collect()
    }

    /// Addresses (the first 20 bytes of SHA-256 of the key), in the set's order.
    #[must_use]
    pub fn addresses(&self) -> Vec<[u8; 20]> {
        self.set.validators().iter().filter_map(|info| info.address.as_bytes().try_into().ok()).collect()
    }

    /// Tendermint's hash of the set, as it stands in headers.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Power of all validators.
    #[must_use]
    pub fn total_power(&self) -> u64 {
        self.set.total_voting_power().value()
    }

    /// `tendermint.types.ValidatorSet`.
    #[must_use]
    pub fn to_proto_bytes(&self) -> Vec<u8> {
        RawSet::from(self.set.clone()).encode_to_vec()
    }

    /// From `tendermint.types.ValidatorSet`, of at most [`VALIDATOR_SET_BYTES_MAX`] bytes.
    pub fn from_proto_bytes(bytes: &[u8]) -> Result<Self, LightClientError> {
        if bytes.len() > VALIDATOR_SET_BYTES_MAX {
            return Err(LightClientError::malformed(format!(
                "a validator set has at most {VALIDATOR_SET_BYTES_MAX} bytes, not {}",
                bytes.len()
            )));
        }
        let raw = RawSet::decode(bytes).map_err(|e| LightClientError::malformed(format!("validator set: {e}")))?;
        Self::from_raw(raw)
    }

    /// The set in a `tendermint.types.LightBlock`: as that says, nothing is verified.
    pub fn of_light_block(light_block: &[u8]) -> Result<Self, LightClientError> {
        Envelope::decode(light_block)?.into_validators()
    }

    /// From the decoded message, whose hash the caller compares with a trusted one before it believes anything of it.
    pub(crate) fn from_raw(raw: RawSet) -> Result<Self, LightClientError> {
        if raw.validators.is_empty() || raw.validators.len() > VALIDATORS_MAX {
            return Err(LightClientError::malformed(format!(
                "a validator set has 1 to {VALIDATORS_MAX} validators, not {}",
                raw.validators.len()
            )));
        }
        let set = validator::Set::try_from(raw)
            .map_err(|e| LightClientError::malformed(format!("validator set: {}", e.detail())))?;
        Ok(Self::from_tendermint(set))
    }

    pub(crate) fn tendermint(&self) -> &validator::Set {
        &self.set
    }

    /// Address of the first validator, who proposes where there is only one.
    pub(crate) fn first_address(&self) -> Option<account::Id> {
        self.set.validators().first().map(|info| info.address)
    }

    fn from_tendermint(set: validator::Set) -> Self {
        let hash = match set.hash() {
            tendermint::Hash::Sha256(hash) => hash,
            // The tree hash of a set is never the empty hash; this value equals no hash of anything.
            tendermint::Hash::None => [0; 32],
        };
        Self { set, hash }
    }
}
