//! What validators were proven to have done.
//!
//! Leaf of evidence, `evid/<address>`, 87 bytes: format 1 (1) ‖ kind: 1 duplicate vote, 2 light client attack (1) ‖ its
//! height (8) ‖ its time in Unix seconds (8) ‖ height of the block that recorded it (8) ‖ ed25519 key (32) ‖ power (8) ‖
//! operator (20) ‖ 1 if its power was taken, 0 if it was the last validator, 2 if it had left before (1). Of one that had
//! left the address is all that is known: key, power and operator are zeros.

use db3_primitives::decode::Reader;
use db3_primitives::{Address, BlockTime, DecodeError, Height};
use sha2::{Digest, Sha256};

use crate::leaf::FORMAT;

/// The last byte where the validator had left before.
const LEFT: u8 = 2;

/// How a validator misbehaved. The number is Tendermint's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MisbehaviourKind {
    /// It signed two votes of one height, round and type.
    DuplicateVote = 1,
    /// It signed a header that the chain does not have.
    LightClientAttack = 2,
}

/// What consensus reports of a validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misbehaviour {
    /// Its Tendermint address.
    pub validator: [u8; 20],
    /// What it did.
    pub kind: MisbehaviourKind,
    /// At which height.
    pub height: Height,
    /// Time of the block of that height.
    pub time: BlockTime,
}

/// What the state keeps of it, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The validator's Tendermint address.
    pub validator: [u8; 20],
    /// What it did.
    pub kind: MisbehaviourKind,
    /// At which height.
    pub height: Height,
    /// When, in Unix seconds.
    pub time_secs: u64,
    /// The block that recorded it.
    pub recorded: Height,
    /// Who it was; none if it had left before its deed was known.
    pub known: Option<Known>,
}

/// A validator that misbehaved while it was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its key.
    pub key: [u8; 32],
    /// The power that it had.
    pub power: u64,
    /// Who operated it.
    pub operator: Address,
    /// Whether its power was taken; the last validator keeps it, because a chain without one ends.
    pub removed: bool,
}

/// The Tendermint address of a validator: the first 20 bytes of SHA-256 of its key.
#[must_use]
pub fn validator_address(key: &[u8; 32]) -> [u8; 20] {
    let hash: [u8; 32] = Sha256::digest(key).into();
    let mut address = [0; 20];
    address.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    address
}

impl MisbehaviourKind {
    /// Tendermint's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The kind with Tendermint's number.
    #[must_use]
    pub const fn from_number(number: i32) -> Option<Self> {
        match number {
            1 => Some(Self::DuplicateVote),
            2 => Some(Self::LightClientAttack),
            _ => None,
        }
    }

    /// What was done, in a few words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::DuplicateVote => "duplicate vote",
            Self::LightClientAttack => "light client attack",
        }
    }
}

impl Evidence {
    /// Whether the validator has no power any more.
    #[must_use]
    pub fn removed(&self) -> bool {
        self.known.is_none_or(|known| known.removed)
    }

    /// The encoding; the layout is at the top of this module.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let left = Known { key: [0; 32], power: 0, operator: Address::new([0; 20]), removed: true };
        let Known { key, power, operator, removed } = self.known.unwrap_or(left);
        let end = if self.known.is_some() { u8::from(removed) } else { LEFT };
        [
            [FORMAT, self.kind.number()].as_slice(),
            &self.height.get().to_be_bytes(),
            &self.time_secs.to_be_bytes(),
            &self.recorded.get().to_be_bytes(),
            &key,
            &power.to_be_bytes(),
            operator.as_bytes(),
            &[end],
        ]
        .concat()
    }

    /// Reads the encoding of what is kept of a validator.
    pub fn from_bytes(validator: [u8; 20], bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("evidence", bytes);
        reader.format(FORMAT)?;
        let evidence = Self {
            validator,
            kind: {
                let number = reader.u8()?;
                MisbehaviourKind::from_number(i32::from(number)).ok_or_else(|| reader.invalid("kind"))?
            },
            height: Height::new(reader.u64()?),
            time_secs: reader.u64()?,
            recorded: Height::new(reader.u64()?),
            known: {
                let (key, power, operator) = (reader.array()?, reader.u64()?, reader.address()?);
                let known = |removed| Some(Known { key, power, operator, removed });
                match reader.u8()? {
                    0 => known(false),
                    1 => known(true),
                    LEFT => None,
                    _ => return Err(reader.invalid("removed")),
                }
            },
        };
        let fits =
            evidence.known.map_or(evidence.to_bytes() == bytes, |known| validator_address(&known.key) == validator);
        if !fits {
            return Err(reader.invalid("validator"));
        }
        reader.end()?;
        Ok(evidence)
    }
}
