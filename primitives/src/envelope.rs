//! The signed envelope: what is signed, by which scheme, and what its identifier is.
//!
//! Identifier: SHA-256 of `"db3.v1.Mutation/id"` ‖ 0x00 ‖ body. It needs no signature, so a second signature of the
//! same body is not a second mutation.
//! Scheme 1, raw: Keccak-256 of 0x19 ‖ `"db3.v1.Mutation/raw"` ‖ 0x00 ‖ body.
//! Scheme 2, EIP-191: `personal_sign` of the readable text of [`signing_text`].
//! Every kind of body and every scheme has its own tag, so that no signature serves twice. EIP-191 hashes 0x19 ‖ `E`,
//! the raw scheme 0x19 ‖ `d`; EIP-712 (0x19 ‖ 0x01) will be scheme 3.

mod text;

use std::fmt;
use std::str::FromStr;

pub use text::signing_text;

use crate::hash::{HashTextError, hex_text, keccak256, parse_hash, sha256};
use crate::signature::{SecretKey, eip191_digest, verify};
use crate::{Address, Hash32, Mutation, Rejection};

/// What is hashed before a mutation's body to give its identifier.
pub const MUTATION_ID_TAG: &[u8] = b"db3.v1.Mutation/id\0";
/// What is hashed before a mutation's body to give the digest of the raw scheme.
pub const MUTATION_RAW_TAG: &[u8] = b"\x19db3.v1.Mutation/raw\0";

/// How a body is turned into the digest that is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Keccak-256 of a tag and the body.
    Raw = 1,
    /// A readable text, as wallets sign it.
    Eip191 = 2,
}

impl Scheme {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The scheme with this number.
    pub const fn from_number(scheme: i32) -> Result<Self, Rejection> {
        match scheme {
            1 => Ok(Self::Raw),
            2 => Ok(Self::Eip191),
            _ => Err(Rejection::SchemeUnknown { scheme }),
        }
    }
}

/// A body and a signature over it, not yet checked against each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedEnvelope {
    /// The canonical encoding of what is signed.
    pub body: Vec<u8>,
    /// How it was signed.
    pub scheme: Scheme,
    /// r ‖ s ‖ v
    pub signature: [u8; 65],
}

/// The identifier of a mutation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MutationId(pub Hash32);

impl MutationId {
    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &Hash32 {
        &self.0
    }
}

impl fmt::Display for MutationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex_text(&self.0))
    }
}

impl fmt::Debug for MutationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MutationId {
    type Err = HashTextError;

    fn from_str(text: &str) -> Result<Self, HashTextError> {
        parse_hash(text).map(Self)
    }
}

/// The identifier of the mutation with this body.
#[must_use]
pub fn mutation_id(body: &[u8]) -> MutationId {
    MutationId(sha256(&[MUTATION_ID_TAG, body]))
}

/// The digest that is signed. `body` is the canonical encoding of `mutation`.
#[must_use]
pub fn signing_digest(mutation: &Mutation, body: &[u8], scheme: Scheme) -> Hash32 {
    match scheme {
        Scheme::Raw => keccak256(&[MUTATION_RAW_TAG, body]),
        Scheme::Eip191 => eip191_digest(&signing_text(mutation, body)),
    }
}

/// Signs a mutation. `body` is the canonical encoding of `mutation`.
#[must_use]
pub fn sign_mutation(key: &SecretKey, mutation: &Mutation, body: Vec<u8>, scheme: Scheme) -> SignedEnvelope {
    let signature = key.sign(&signing_digest(mutation, &body, scheme));
    SignedEnvelope { body, scheme, signature }
}

/// A decoded mutation and its envelope; the signature is not yet checked. Whoever makes one has proven that the
/// envelope's body is the canonical encoding of the mutation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedMutation {
    /// What the body says.
    pub mutation: Mutation,
    /// What was signed, and how.
    pub envelope: SignedEnvelope,
    /// The identifier.
    pub id: MutationId,
    /// Length of the encoded `SignedEnvelope`.
    pub bytes: u32,
}

impl SignedMutation {
    /// Puts together what was decoded; `encoded_len` is the length of the encoded `SignedEnvelope`.
    #[must_use]
    pub fn new(mutation: Mutation, envelope: SignedEnvelope, encoded_len: u32) -> Self {
        let id = mutation_id(&envelope.body);
        Self { mutation, envelope, id, bytes: encoded_len }
    }

    /// Checks the signature: it must be whole, and by the account that the body names. Gives the mutation back with
    /// the reason if it is not.
    pub fn verify(self) -> Result<VerifiedMutation, (Box<Self>, Rejection)> {
        match self.check_signature() {
            Ok(()) => Ok(VerifiedMutation(self)),
            Err(rejection) => Err((Box::new(self), rejection)),
        }
    }

    fn check_signature(&self) -> Result<(), Rejection> {
        let digest = signing_digest(&self.mutation, &self.envelope.body, self.envelope.scheme);
        let recovered = verify(&digest, &self.envelope.signature)
            .map_err(|error| Rejection::SignatureMalformed { detail: error.to_string() })?;
        let account = self.mutation.account;
        if recovered == account { Ok(()) } else { Err(Rejection::SignerMismatch { account, recovered, digest }) }
    }
}

/// A mutation whose signature holds. Only [`SignedMutation::verify`] makes one, so execution need not ask again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedMutation(SignedMutation);

impl VerifiedMutation {
    /// What the body says.
    #[must_use]
    pub const fn mutation(&self) -> &Mutation {
        &self.0.mutation
    }

    /// What was signed, and how.
    #[must_use]
    pub const fn envelope(&self) -> &SignedEnvelope {
        &self.0.envelope
    }

    /// The identifier.
    #[must_use]
    pub const fn id(&self) -> MutationId {
        self.0.id
    }

    /// Length of the encoded `SignedEnvelope`.
    #[must_use]
    pub const fn bytes(&self) -> u32 {
        self.0.bytes
    }

    /// Who signed: the account that pays.
    #[must_use]
    pub const fn signer(&self) -> Address {
        self.0.mutation.account
    }
}
