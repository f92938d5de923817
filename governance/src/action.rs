//! What a governance transaction can do, one action at a time.

use db3_carry::ClaimedPeer;
use db3_merkle_log::Frontier;
use db3_primitives::{Address, Epoch, Hash32, PriceTable, ShardId, Tai};

use crate::leaf::Validator;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Adds a validator, or changes the power, the operator or the payout address of one.
    SetValidator(Validator),
    /// Takes a validator away; never the last.
    RemoveValidator {
        /// Its ed25519 key.
        key: [u8; 32],
    },
    /// Sets what things cost. The table's version must be above the present one.
    SetPrices(PriceTable),
    /// Sets a number among the chain's parameters.
    SetParameter {
        /// Which one.
        parameter: Parameter,
        /// Its value.
        value: u64,
    },
    /// Sets who gets what the division of a pool leaves over; settlement chain only.
    SetTreasury {
        /// The account.
        treasury: Address,
    },
    /// Sets an account's credit without collateral; settlement chain only.
    SetTrust {
        /// The account, which must have money there.
        account: Address,
        /// How much.
        trust: Tai,
    },
    /// Sets who shares in what a shard's validators earn; settlement chain only. (Who shares its own fees follows its
    /// validators.)
    SetPayouts {
        /// The shard.
        shard: ShardId,
        /// Accounts and powers.
        recipients: Vec<(Address, u64)>,
    },
    /// Begins anew with another chain: where trust in it begins, and how much of its log counts as applied.
    ReplaceChannel(Box<Replacement>),
    /// Takes back a change that waits for its height.
    Cancel {
        /// The number of its transaction.
        sequence: u64,
    },
}

/// What is believed of another chain from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The chain, its validators, height and time, and how long a header of it is trusted. Nobody has looked at the keys: that
    /// costs more than all else that is read, so it is done once operators have signed, where the change is tried.
    pub peer: ClaimedPeer,
    /// How many entries of its log count as applied, and their frontier; never fewer than were applied.
    pub inbox: Frontier,
    /// On the settlement chain, where entries are passed over: what they would have said.
    pub catch_up: Option<CatchUp>,
}

/// What a shard had stated and closed in the entries that are passed over. The inbox must end right after that close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatchUp {
    /// The last epoch of the close.
    pub last: Epoch,
    /// SHA-256 of its encoding.
    pub hash: Hash32,
    /// The newest cumulative sum of every account that was stated, in order of address.
    pub statements: Vec<(Address, Tai)>,
}

/// A number that governance sets. The number of the parameter is in encodings and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parameter {
    /// Most mutations in one block; shards only.
    BlockMutationsMax = 1,
    /// Accounts that a block visits while a close is emitted; shards only.
    CloseAccountsMax = 2,
    /// Furthest expiry after the block's time, in seconds.
    ExpiryMaxSecs = 3,
    /// Numerator of the factor between collateral and credit; settlement chain only, as all that follow.
    FactorNumerator = 4,
    /// Its denominator.
    FactorDenominator = 5,
    /// How many epochs a heartbeat lets a shard charge.
    LeaseEpochs = 6,
    /// How long a round waits for all shards, in seconds.
    DeadlineSecs = 7,
    /// Epochs until an account is delinquent.
    GraceEpochs = 8,
    /// Epochs until collateral pays.
    SeizeEpochs = 9,
    /// Epochs until the rest is written off.
    WriteOffEpochs = 10,
    /// Lines that a block visits during a round.
    RoundAccountsMax = 11,
}

impl Parameter {
    /// All parameters, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::BlockMutationsMax,
        Self::CloseAccountsMax,
        Self::ExpiryMaxSecs,
        Self::FactorNumerator,
        Self::FactorDenominator,
        Self::LeaseEpochs,
        Self::DeadlineSecs,
        Self::GraceEpochs,
        Self::SeizeEpochs,
        Self::WriteOffEpochs,
        Self::RoundAccountsMax,
    ];

    /// The number in encodings.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The parameter with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|parameter| parameter.number() == number)
    }

    /// Its name, as genesis documents write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BlockMutationsMax => "block_mutations_max",
            Self::CloseAccountsMax => "close_accounts_max",
            Self::ExpiryMaxSecs => "expiry_max_secs",
            Self::FactorNumerator => "factor_numerator",
            Self::FactorDenominator => "factor_denominator",
            Self::LeaseEpochs => "lease_epochs",
            Self::DeadlineSecs => "deadline_secs",
            Self::GraceEpochs => "grace_epochs",
            Self::SeizeEpochs => "seize_epochs",
            Self::WriteOffEpochs => "write_off_epochs",
            Self::RoundAccountsMax => "round_accounts_max",
        }
    }

    /// The parameter of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|parameter| parameter.name() == name)
    }
}

impl Action {
    /// Whether it changes who validates the chain.
    #[must_use]
    pub const fn is_of_validators(&self) -> bool {
        match self {
            Self::SetValidator(_) | Self::RemoveValidator { .. } => true,
            Self::SetPrices(_)
            | Self::SetParameter { .. }
            | Self::SetTreasury { .. }
            | Self::SetTrust { .. }
            | Self::SetPayouts { .. }
            | Self::ReplaceChannel(_)
            | Self::Cancel { .. } => false,
        }
    }
}
