//! The signed envelope: what is signed, by which scheme, and what its identifier is. One envelope serves every kind of
//! [`Body`]: mutations on a shard, transactions on the settlement chain.
//!
//! Identifier: SHA-256 of the kind's id tag (`"db3.v1.Mutation/id"` ‖ 0x00) ‖ body. It needs no signature, so a second
//! signature of the same body is not a second mutation.
//! Scheme 1, raw: Keccak-256 of the kind's raw tag (0x19 ‖ `"db3.v1.Mutation/raw"` ‖ 0x00) ‖ body.
//! Scheme 2, EIP-191: `personal_sign` of the readable text of [`Body::signing_text`].
//! Every kind of body and every scheme has its own tag, so that no signature serves twice. EIP-191 hashes 0x19 ‖ `E`,
//! the raw scheme 0x19 ‖ `d`; EIP-712 (0x19 ‖ 0x01) will be scheme 3.

mod text;

use std::fmt;

use crate::hash::{keccak256, sha256};
use crate::signature::{Claim, KnownKeys, SecretKey, SignatureError, eip191_digest, verify, verify_all};
use crate::{Address, Hash32, Identifier, Mutation, NetworkName, Nonce, Rejection, Tai, Transaction};

/// What an account can sign: the fields that every kind has, and what keeps the kinds apart.
pub trait Body: Clone + fmt::Debug + PartialEq + Eq + Send + Sync + 'static {
    /// What is hashed before the body to give the identifier.
    const ID_TAG: &'static [u8];
    /// What is hashed before the body to give the digest of the raw scheme.
    const RAW_TAG: &'static [u8];

    /// The account that pays, and signs.
    fn account(&self) -> Address;
    /// The network that it is for.
    fn network(&self) -> &NetworkName;
    /// Its number within its nonce window, from 1.
    fn nonce(&self) -> Nonce;
    /// It may stand in a block whose time is before this Unix second.
    fn expire_unix_secs(&self) -> u64;
    /// The most that it may cost.
    fn max_fee(&self) -> Tai;
    /// How many operations it has.
    fn operation_count(&self) -> usize;
    /// The text that scheme 2 signs. `body` is the canonical encoding of `self`.
    fn signing_text(&self, body: &[u8]) -> String;
}

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

/// The identifier of the `B` with this body.
#[must_use]
pub fn identifier<B: Body>(body: &[u8]) -> Identifier {
    Identifier(sha256(&[B::ID_TAG, body]))
}

/// The identifier of the mutation with this body.
#[must_use]
pub fn mutation_id(body: &[u8]) -> Identifier {
    identifier::<Mutation>(body)
}

/// The identifier of the transaction with this body.
#[must_use]
pub fn transaction_id(body: &[u8]) -> Identifier {
    identifier::<Transaction>(body)
}

/// The text that scheme 2 signs. `body` is the canonical encoding of `content`.
#[must_use]
pub fn signing_text<B: Body>(content: &B, body: &[u8]) -> String {
    content.signing_text(body)
}

/// The digest that is signed. `body` is the canonical encoding of `content`.
#[must_use]
pub fn signing_digest<B: Body>(content: &B, body: &[u8], scheme: Scheme) -> Hash32 {
    match scheme {
        Scheme::Raw => keccak256(&[B::RAW_TAG, body]),
        Scheme::Eip191 => eip191_digest(&content.signing_text(body)),
    }
}

/// Signs a mutation, a transaction or any other body. `body` is the canonical encoding of `content`.
#[must_use]
pub fn sign<B: Body>(key: &SecretKey, content: &B, body: Vec<u8>, scheme: Scheme) -> SignedEnvelope {
    let signature = key.sign(&signing_digest(content, &body, scheme));
    SignedEnvelope { body, scheme, signature }
}

/// Signs a mutation. `body` is the canonical encoding of `mutation`.
#[must_use]
pub fn sign_mutation(key: &SecretKey, mutation: &Mutation, body: Vec<u8>, scheme: Scheme) -> SignedEnvelope {
    sign(key, mutation, body, scheme)
}

/// A decoded body and its envelope; the signature is not yet checked. Whoever makes one has proven that the envelope's
/// body is the canonical encoding of the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<B> {
    /// What the body says.
    pub content: B,
    /// What was signed, and how.
    pub envelope: SignedEnvelope,
    /// The identifier.
    pub id: Identifier,
    /// Length of the encoded `SignedEnvelope`.
    pub bytes: u32,
}

/// A mutation and its envelope, not yet checked.
pub type SignedMutation = Signed<Mutation>;
/// A transaction and its envelope, not yet checked.
pub type SignedTransaction = Signed<Transaction>;

impl<B: Body> Signed<B> {
    /// Puts together what was decoded; `encoded_len` is the length of the encoded `SignedEnvelope`.
    #[must_use]
    pub fn new(content: B, envelope: SignedEnvelope, encoded_len: u32) -> Self {
        let id = identifier::<B>(&envelope.body);
        Self { content, envelope, id, bytes: encoded_len }
    }

    /// Checks the signature: it must be whole, and by the account that the body names. Gives everything back with the
    /// reason if it is not.
    pub fn verify(self) -> Checked<B> {
        let digest = self.digest();
        let recovered = verify(&digest, &self.envelope.signature);
        self.checked(digest, recovered)
    }

    /// The same of each, in order; faster than one by one where accounts have signed before.
    #[must_use]
    pub fn verify_all(all: Vec<Self>, known: &KnownKeys) -> Vec<Checked<B>> {
        let digests: Vec<Hash32> = all.iter().map(Self::digest).collect();
        let claims = all.iter().zip(&digests).map(|(signed, digest)| Claim {
            digest: *digest,
            signature: &signed.envelope.signature,
            signer: signed.content.account(),
        });
        let claims: Vec<Claim<'_>> = claims.collect();
        let recovered = verify_all(&claims, known);
        let answers = digests.into_iter().zip(recovered);
        all.into_iter().zip(answers).map(|(signed, (digest, recovered))| signed.checked(digest, recovered)).collect()
    }

    fn digest(&self) -> Hash32 {
        signing_digest(&self.content, &self.envelope.body, self.envelope.scheme)
    }

    fn checked(self, digest: Hash32, recovered: Result<Address, SignatureError>) -> Checked<B> {
        let account = self.content.account();
        let rejection = match recovered {
            Ok(recovered) if recovered == account => return Ok(Verified(self)),
            Ok(recovered) => Rejection::SignerMismatch { account, recovered, digest },
            Err(error) => Rejection::SignatureMalformed { detail: error.to_string() },
        };
        Err((Box::new(self), rejection))
    }
}

/// What came out of a check: the body whose signature holds, or everything back with the reason why it does not.
pub type Checked<B> = Result<Verified<B>, (Box<Signed<B>>, Rejection)>;

/// A body whose signature holds. Only [`Signed::verify`] and [`Signed::verify_all`] make one, so execution need not ask again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<B>(Signed<B>);

/// A mutation whose signature holds.
pub type VerifiedMutation = Verified<Mutation>;
/// A transaction whose signature holds.
pub type VerifiedTransaction = Verified<Transaction>;

impl<B: Body> Verified<B> {
    /// What the body says.
    #[must_use]
    pub const fn content(&self) -> &B {
        &self.0.content
    }

    /// What was signed, and how.
    #[must_use]
    pub const fn envelope(&self) -> &SignedEnvelope {
        &self.0.envelope
    }

    /// The identifier.
    #[must_use]
    pub const fn id(&self) -> Identifier {
        self.0.id
    }

    /// Length of the encoded `SignedEnvelope`.
    #[must_use]
    pub const fn bytes(&self) -> u32 {
        self.0.bytes
    }

    /// Who signed: the account that pays.
    #[must_use]
    pub fn signer(&self) -> Address {
        self.0.content.account()
    }
}

impl Verified<Mutation> {
    /// What the body says.
    #[must_use]
    pub const fn mutation(&self) -> &Mutation {
        self.content()
    }
}

impl Verified<Transaction> {
    /// What the body says.
    #[must_use]
    pub const fn transaction(&self) -> &Transaction {
        self.content()
    }
}
