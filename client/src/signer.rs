//! Who signs: a key in memory, or anything else that can.

use db3_primitives::{Address, Mutation, Scheme, SecretKey, SignedEnvelope, Transaction, sign, sign_mutation};

use crate::ClientError;

/// Something that signs for one account.
pub trait Signer: Send + Sync {
    /// The account.
    fn address(&self) -> Address;

    /// Signs a mutation; `body` is its canonical encoding.
    fn sign(&self, mutation: &Mutation, body: Vec<u8>) -> Result<SignedEnvelope, ClientError>;

    /// Signs a transaction of the settlement chain; `body` is its canonical encoding.
    fn sign_transaction(&self, transaction: &Transaction, body: Vec<u8>) -> Result<SignedEnvelope, ClientError>;
}

/// A key signs by the raw scheme.
impl Signer for SecretKey {
    fn address(&self) -> Address {
        SecretKey::address(self)
    }

    fn sign(&self, mutation: &Mutation, body: Vec<u8>) -> Result<SignedEnvelope, ClientError> {
        Ok(sign_mutation(self, mutation, body, Scheme::Raw))
    }

    fn sign_transaction(&self, transaction: &Transaction, body: Vec<u8>) -> Result<SignedEnvelope, ClientError> {
        Ok(sign(self, transaction, body, Scheme::Raw))
    }
}

/// A key that signs as a wallet does: EIP-191, over the readable text.
pub struct WalletStyle(pub SecretKey);

impl Signer for WalletStyle {
    fn address(&self) -> Address {
        self.0.address()
    }

    fn sign(&self, mutation: &Mutation, body: Vec<u8>) -> Result<SignedEnvelope, ClientError> {
        Ok(sign_mutation(&self.0, mutation, body, Scheme::Eip191))
    }

    fn sign_transaction(&self, transaction: &Transaction, body: Vec<u8>) -> Result<SignedEnvelope, ClientError> {
        Ok(sign(&self.0, transaction, body, Scheme::Eip191))
    }
}
