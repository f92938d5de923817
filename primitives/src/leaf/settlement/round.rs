//! Leaf of the rounds, 91 bytes: format 1 (1) ‖ 1 if an epoch was settled, else 0 (1) ‖ that epoch (8) ‖ rounds (8) ‖
//! phase of the running one (1) ‖ its epoch (8) ‖ the account that it visited last (20) ‖ the shard that is next (4) ‖ its
//! postings (8) ‖ what it debited (16) ‖ what was paid (16). What is missing is written as zeros.
//! Phases: 0 no round runs, 1 at the first account, 2 after an account, 3 at the shards.

use super::{epoch_bytes, read_epoch};
use crate::decode::{DecodeError, Reader};
use crate::leaf::FORMAT;
use crate::{Address, Epoch, ShardId, Tai};

const NONE: u8 = 0;
const FIRST_ACCOUNTS: u8 = 1;
const ACCOUNTS_AFTER: u8 = 2;
const SHARDS: u8 = 3;

/// How far a running round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundPhase {
    /// It visits the accounts that are due, in order of address.
    Accounts {
        /// The last one that it visited; none before the first.
        after: Option<Address>,
    },
    /// It pays out the pools and renews the leases, in order of shard.
    Shards {
        /// The next shard.
        next: ShardId,
    },
}

/// A round that has begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// The newest epoch that it settles.
    pub epoch: Epoch,
    /// How far it is.
    pub phase: RoundPhase,
    /// Postings that it has written.
    pub postings: u64,
    /// What it has debited.
    pub debited: Tai,
    /// What was paid of that and of older debits.
    pub paid: Tai,
}

/// The rounds of the settlement chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundLeaf {
    /// The newest epoch that a finished round has settled.
    pub settled: Option<Epoch>,
    /// How many rounds have finished.
    pub rounds: u64,
    /// The one that runs, if one does.
    pub running: Option<Running>,
}

impl RoundLeaf {
    /// Bytes of the encoding.
    pub const BYTES: usize = 91;

    /// The 91-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (phase, account, shard) = match self.running.map(|running| running.phase) {
            None => (NONE, None, ShardId::new(0)),
            Some(RoundPhase::Accounts { after: None }) => (FIRST_ACCOUNTS, None, ShardId::new(0)),
            Some(RoundPhase::Accounts { after }) => (ACCOUNTS_AFTER, after, ShardId::new(0)),
            Some(RoundPhase::Shards { next }) => (SHARDS, None, next),
        };
        let (epoch, postings, debited, paid) = self.running.map_or((0, 0, Tai::ZERO, Tai::ZERO), |running| {
            (running.epoch.get(), running.postings, running.debited, running.paid)
        });
        [
            [FORMAT].as_slice(),
            &epoch_bytes(self.settled),
            &self.rounds.to_be_bytes(),
            &[phase],
            &epoch.to_be_bytes(),
            &account.map_or([0; 20], Address::to_bytes),
            &shard.get().to_be_bytes(),
            &postings.to_be_bytes(),
            &debited.to_be_bytes(),
            &paid.to_be_bytes(),
        ]
        .concat()
    }

    /// Reads the 91-byte encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("rounds", bytes);
        reader.format(FORMAT)?;
        let (settled, rounds) = (read_epoch(&mut reader, "settled")?, reader.u64()?);
        let (phase, epoch) = (reader.u8()?, Epoch::new(reader.u64()?));
        let (account, shard) = (reader.array::<20>()?, reader.u32()?);
        let (postings, debited, paid) = (reader.u64()?, reader.tai()?, reader.tai()?);
        let phase = match (phase, account, shard) {
            (NONE, account, 0) if account == [0; 20] => None,
            (FIRST_ACCOUNTS, account, 0) if account == [0; 20] => Some(RoundPhase::Accounts { after: None }),
            (ACCOUNTS_AFTER, account, 0) => Some(RoundPhase::Accounts { after: Some(Address::new(account)) }),
            (SHARDS, account, next) if account == [0; 20] => Some(RoundPhase::Shards { next: ShardId::new(next) }),
            _ => return Err(reader.invalid("phase")),
        };
        let idle = (Epoch::new(0), 0, Tai::ZERO, Tai::ZERO);
        if phase.is_none() && (epoch, postings, debited, paid) != idle {
            return Err(reader.invalid("running"));
        }
        reader.end()?;
        let running = phase.map(|phase| Running { epoch, phase, postings, debited, paid });
        Ok(Self { settled, rounds, running })
    }
}
