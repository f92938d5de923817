//! What validators were proven to have done.
//!
//! Leaf of evidence, `evid/<address>`, 87 bytes: format 1 (1) ‖ kind: 1 duplicate vote, 2 light client attack (1) ‖ its
//! height (8) ‖ its time in Unix seconds (8) ‖ height of the block that recorded it (8) ‖ ed25519 key (32) ‖ power (8) ‖
//! operator (20) ‖ 1 if its power was taken, 0 if it was the last validator (1).

use db3_primitives::decode::Reader;
use db3_primitives::{Address, BlockTime, DecodeError, Height};
use sha2::{Digest, Sha256};

use crate::leaf::FORMAT;

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
    /// What it did.
    pub kind: MisbehaviourKind,
    /// At which height.
    pub height: Height,
    /// When, in Unix seconds.
    pub time_secs: u64,
    /// The block that recorded it.
    pub recorded: Height,
    /// The validator's key.
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
    /// The validator's Tendermint address.
    #[must_use]
    pub fn validator(&self) -> [u8; 20] {
        validator_address(&self.key)
    }

    /// The encoding; the layout is at the top of this module.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [
            [FORMAT, self.kind.number()].as_slice(),
            &self.height.get().to_be_bytes(),
            &self.time_secs.to_be_bytes(),
            &self.recorded.get().to_be_bytes(),
            &self.key,
            &self.power.to_be_bytes(),
            self.operator.as_bytes(),
            &[u8::from(self.removed)],
        ]
        .concat()
    }

    /// Reads the encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("evidence", bytes);
        reader.format(FORMAT)?;
        let evidence = Self {
            kind: {
                let number = reader.u8()?;
                MisbehaviourKind::from_number(i32::from(number)).ok_or_else(|| reader.invalid("kind"))?
            },
            height: Height::new(reader.u64()?),
            time_secs: reader.u64()?,
            recorded: Height::new(reader.u64()?),
            key: reader.array()?,
            power: reader.u64()?,
            operator: reader.address()?,
            removed: match reader.u8()? {
                0 => false,
                1 => true,
                _ => return Err(reader.invalid("removed")),
            },
        };
        reader.end()?;
        Ok(evidence)
    }
}
