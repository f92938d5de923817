//! A transaction on the settlement chain as decoded from its signed body, and the rules that need no state.
//!
//! That the body's bytes are canonical is proven where protobuf is known, not here.

use crate::limits::{CEILING_TAI_MAX, TRANSACTION_OPERATIONS_MAX};
use crate::name::count;
use crate::{Address, NetworkName, Nonce, Rejection, ShardId, Tai, key};

/// An atomic batch of money operations of one account, paid from its balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The network that it is for.
    pub network: NetworkName,
    /// The account whose money it is, that pays the fee and signs.
    pub account: Address,
    /// Its number among the account's transactions, from 1.
    pub nonce: Nonce,
    /// It may stand in a block whose time is before this Unix second.
    pub expire_unix_secs: u64,
    /// The most that it may cost.
    pub max_fee: Tai,
    /// What it does, in order; all of it or nothing.
    pub operations: Vec<TransactionOperation>,
}

/// One step of a transaction. Amounts are in tai, from 1 to [`CEILING_TAI_MAX`] unless an operation says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionOperation {
    /// Moves balance to another account.
    Transfer {
        /// Who receives.
        to: Address,
        /// How much.
        amount: Tai,
    },
    /// Turns the signer's balance into an account's collateral.
    Deposit {
        /// Whose collateral it becomes; usually the signer's own.
        to: Address,
        /// How much.
        amount: Tai,
    },
    /// Turns collateral back into balance.
    Withdraw {
        /// How much.
        amount: Tai,
    },
    /// Says how much credit the account wants to have free on a shard.
    Allocate {
        /// The shard.
        shard: ShardId,
        /// How much it wants; 0 closes the line.
        want: Tai,
    },
    /// Pays what is outstanding, before the next round does.
    Pay {
        /// How much; 0: all that is owed.
        amount: Tai,
    },
}

impl TransactionOperation {
    /// The amount that it names, 0 included.
    #[must_use]
    pub const fn amount(&self) -> Tai {
        match self {
            Self::Transfer { amount, .. }
            | Self::Deposit { amount, .. }
            | Self::Withdraw { amount }
            | Self::Allocate { want: amount, .. }
            | Self::Pay { amount } => *amount,
        }
    }

    /// Bytes of the tree keys that it is charged for: the balances that it touches and the line that it may open.
    #[must_use]
    pub const fn tree_key_bytes(&self) -> usize {
        match self {
            Self::Transfer { .. } => key::BALANCE_BYTES + key::BALANCE_BYTES,
            Self::Deposit { .. } => key::BALANCE_BYTES + key::BALANCE_BYTES + key::LINE_BYTES,
            Self::Withdraw { .. } | Self::Pay { .. } => key::BALANCE_BYTES,
            Self::Allocate { .. } => key::BALANCE_BYTES + key::LINE_BYTES,
        }
    }

    fn validate(&self, operation: u32) -> Result<(), Rejection> {
        let amount = self.amount();
        let may_be_zero = matches!(self, Self::Allocate { .. } | Self::Pay { .. });
        if amount > CEILING_TAI_MAX || (amount.is_zero() && !may_be_zero) {
            return Err(Rejection::AmountInvalid { operation, text: amount.to_string() });
        }
        Ok(())
    }
}

impl Transaction {
    /// The rules that need no state, in this order: an empty batch, too many operations, nonce 0; then for each
    /// operation an amount that is 0 where it may not be, or above [`CEILING_TAI_MAX`].
    pub fn validate(&self) -> Result<(), Rejection> {
        let operations = self.operations.len();
        if operations == 0 {
            return Err(Rejection::BatchEmpty);
        }
        if operations > TRANSACTION_OPERATIONS_MAX {
            let max = count(TRANSACTION_OPERATIONS_MAX);
            return Err(Rejection::TooManyOperations { count: count(operations), max });
        }
        if self.nonce.get() == 0 {
            return Err(Rejection::NonceZero);
        }
        (0..).zip(&self.operations).try_for_each(|(index, operation)| operation.validate(index))
    }
}
