//! Building a transaction: money operations of one account on the settlement chain, all or nothing.

use db3_primitives::{Address, Nonce, ShardId, Tai, Transaction, TransactionOperation};

use crate::client::Client;
use crate::order::Prepared;
use crate::signer::Signer;

/// A transaction being put together.
#[must_use = "a transaction does nothing until it is signed and sent"]
pub struct TransactionBuilder<'c> {
    client: &'c Client,
    operations: Vec<TransactionOperation>,
}

/// A transaction with somebody to sign it.
pub type PreparedTransaction<'c, S> = Prepared<'c, S, Transaction>;

impl Client {
    /// Begins a transaction.
    pub fn transaction(&self) -> TransactionBuilder<'_> {
        TransactionBuilder { client: self, operations: Vec::new() }
    }
}

impl<'c> TransactionBuilder<'c> {
    /// Moves balance to another account.
    pub fn transfer(self, to: Address, amount: Tai) -> Self {
        self.operations([TransactionOperation::Transfer { to, amount }])
    }

    /// Turns the signer's balance into an account's collateral.
    pub fn deposit(self, to: Address, amount: Tai) -> Self {
        self.operations([TransactionOperation::Deposit { to, amount }])
    }

    /// Turns the signer's collateral back into balance.
    pub fn withdraw(self, amount: Tai) -> Self {
        self.operations([TransactionOperation::Withdraw { amount }])
    }

    /// Says how much credit the signer wants to have free on a shard; zero closes the line.
    pub fn allocate(self, shard: u32, want: Tai) -> Self {
        self.operations([TransactionOperation::Allocate { shard: ShardId::new(shard), want }])
    }

    /// Pays what is outstanding; zero: all of it.
    pub fn pay(self, amount: Tai) -> Self {
        self.operations([TransactionOperation::Pay { amount }])
    }

    /// Any operations, in order.
    pub fn operations(mut self, operations: impl IntoIterator<Item = TransactionOperation>) -> Self {
        self.operations.extend(operations);
        self
    }

    /// Names who signs: whose money it is.
    pub fn sign<S: Signer + ?Sized>(self, signer: &'c S) -> PreparedTransaction<'c, S> {
        let draft = Transaction {
            network: self.client.network().name.clone(),
            account: signer.address(),
            nonce: Nonce::new(1),
            expire_unix_secs: 0,
            max_fee: Tai::ZERO,
            operations: self.operations,
        };
        Prepared::new(self.client, Ok(draft), signer)
    }
}
