//! One change of an account's money: why, where it stands in the chain, and what it did to balance and collateral.

use db3_primitives::{Address, BlockTime, Posting, PostingKind, Tai, TransactionId};

/// Why money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovementKind {
    /// Balance went to another account.
    TransferOut,
    /// Balance came from another account.
    TransferIn,
    /// Balance became collateral, its own.
    Deposit,
    /// Balance became another account's collateral.
    DepositOut,
    /// Another account's balance became collateral of this one.
    DepositIn,
    /// Collateral became balance.
    Withdraw,
    /// What a transaction cost.
    Fee,
    /// A posting: a round, a payment, a seizure, a write-off or a payout.
    Posting(PostingKind),
}

impl MovementKind {
    /// Its name, as lists print it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TransferOut => "transfer_out",
            Self::TransferIn => "transfer_in",
            Self::Deposit => "deposit",
            Self::DepositOut => "deposit_out",
            Self::DepositIn => "deposit_in",
            Self::Withdraw => "withdraw",
            Self::Fee => "fee",
            Self::Posting(kind) => kind.name(),
        }
    }
}

/// Where a movement stands in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovementSource {
    /// A transaction.
    Transaction(TransactionId),
    /// A posting, by its index in the log.
    Posting(u64),
}

/// What went into a sum, and what went out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// In.
    pub into: Tai,
    /// Out.
    pub out: Tai,
}

impl Moved {
    pub(crate) fn into(amount: Tai) -> Self {
        Self { into: amount, out: Tai::ZERO }
    }

    pub(crate) fn out(amount: Tai) -> Self {
        Self { into: Tai::ZERO, out: amount }
    }

    /// The sum before, where it was this after.
    pub(crate) fn before(self, after: Tai) -> Option<Tai> {
        after.checked_add(self.out)?.checked_sub(self.into)
    }
}

/// One change of an account's money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// Why.
    pub kind: MovementKind,
    /// Where it stands.
    pub source: MovementSource,
    /// Height of its block.
    pub height: u64,
    /// Time of its block.
    pub time: BlockTime,
    /// The other account, where there is one.
    pub other: Option<Address>,
    /// What it did to the balance.
    pub balance: Moved,
    /// What it did to the collateral.
    pub collateral: Moved,
    /// The balance after it.
    pub balance_after: Tai,
    /// The collateral after it.
    pub collateral_after: Tai,
}

/// What a posting did to balance and collateral.
pub(crate) fn moved_by(posting: &Posting) -> (Moved, Moved) {
    match posting.kind {
        PostingKind::Round | PostingKind::Pay => (Moved::out(posting.paid), Moved::default()),
        PostingKind::Seize => (Moved::default(), Moved::out(posting.paid)),
        PostingKind::WriteOff => (Moved::default(), Moved::default()),
        PostingKind::Payout => (Moved::into(posting.paid), Moved::default()),
    }
}
