//! What a client prices, signs and sends: a mutation on a shard, a transaction on the settlement chain. One loop serves
//! both, because both are envelopes with a nonce, an expiry and a fee limit.

use std::time::Duration;

use bytes::Bytes;
use db3_primitives::limits::{MUTATION_BYTES_MAX, TRANSACTION_BYTES_MAX};
use db3_primitives::{
    Body, Identifier, Mutation, Namespace, Nonce, Rejection, SignedEnvelope, Tai, Transaction, identifier,
};
use db3_proto::{encode_body, encode_transaction_body, envelope_bytes, v1};

use crate::client::Client;
use crate::error::{ClientError, Refusal};
use crate::nonces::HeldNonce;
use crate::receipt::{Receipt, WaitMode};
use crate::signer::Signer;
use crate::submit::{Signed, submit};
use crate::wire::{settlement, shard, timed};

/// How long an order may wait for a block unless told otherwise.
const EXPIRY_DEFAULT: Duration = Duration::from_secs(600);
/// How often an order is signed anew, with another nonce or expiry, before its refusal is passed on.
const SIGN_ATTEMPTS: u32 = 12;
/// A fee limit of the length that real ones have, to price a body before its limit is known.
const FEE_LIMIT_OF_USUAL_LENGTH: Tai = Tai::new(99_999_999_999);
/// The nonce of a body that is only priced.
const NONCE_OF_A_DRAFT: Nonce = Nonce::new(1);

/// Where an account's nonces are counted.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Lane {
    /// Of the account's mutations on a namespace.
    Namespace(Namespace),
    /// Of the account's transactions on the settlement chain.
    Money,
}

/// What can be priced, signed and sent.
pub trait Order: Body {
    /// Longest envelope that a chain takes.
    const ENVELOPE_BYTES_MAX: usize;
    /// What people call it.
    const NOUN: &'static str;

    /// Where its nonce is counted, which also says which chain it is for.
    fn lane(&self) -> Lane;
    /// The rules that need no state.
    fn validate(&self) -> Result<(), Rejection>;
    /// The canonical encoding.
    fn encode(&self) -> Vec<u8>;
    /// Fills in what is known only when it is signed.
    fn complete(&mut self, nonce: Nonce, expire_unix_secs: u64, max_fee: Tai);
    /// Has it signed; `body` is its encoding.
    fn signed_by<S: Signer + ?Sized>(&self, signer: &S, body: Vec<u8>) -> Result<SignedEnvelope, ClientError>;
}

impl Order for Mutation {
    const ENVELOPE_BYTES_MAX: usize = MUTATION_BYTES_MAX;
    const NOUN: &'static str = "mutation";

    fn lane(&self) -> Lane {
        Lane::Namespace(self.namespace.clone())
    }

    fn validate(&self) -> Result<(), Rejection> {
        Self::validate(self)
    }

    fn encode(&self) -> Vec<u8> {
        encode_body(self)
    }

    fn complete(&mut self, nonce: Nonce, expire_unix_secs: u64, max_fee: Tai) {
        (self.nonce, self.expire_unix_secs, self.max_fee) = (nonce, expire_unix_secs, max_fee);
    }

    fn signed_by<S: Signer + ?Sized>(&self, signer: &S, body: Vec<u8>) -> Result<SignedEnvelope, ClientError> {
        signer.sign(self, body)
    }
}

impl Order for Transaction {
    const ENVELOPE_BYTES_MAX: usize = TRANSACTION_BYTES_MAX;
    const NOUN: &'static str = "transaction";

    fn lane(&self) -> Lane {
        Lane::Money
    }

    fn validate(&self) -> Result<(), Rejection> {
        Self::validate(self)
    }

    fn encode(&self) -> Vec<u8> {
        encode_transaction_body(self)
    }

    fn complete(&mut self, nonce: Nonce, expire_unix_secs: u64, max_fee: Tai) {
        (self.nonce, self.expire_unix_secs, self.max_fee) = (nonce, expire_unix_secs, max_fee);
    }

    fn signed_by<S: Signer + ?Sized>(&self, signer: &S, body: Vec<u8>) -> Result<SignedEnvelope, ClientError> {
        signer.sign_transaction(self, body)
    }
}

/// What the sender may say of an order, and else is chosen.
#[derive(Clone, Copy, Debug, Default)]
struct Terms {
    max_fee: Option<Tai>,
    expires_in: Option<Duration>,
    nonce: Option<Nonce>,
}

/// An order with somebody to sign it. It is signed when it is sent, with a nonce that nobody else holds.
#[must_use = "nothing happens until it is sent"]
pub struct Prepared<'c, S: ?Sized, O> {
    client: &'c Client,
    draft: Result<O, Rejection>,
    terms: Terms,
    signer: &'c S,
    wait: WaitMode,
    observer: Option<&'c Observer<'c>>,
}

/// Is told what is about to be sent.
type Observer<'a> = dyn Fn(Identifier, &SignedEnvelope) + Sync + 'a;

/// What an order would cost.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// Its fee on the newest state.
    pub fee: Tai,
    /// The most that it can cost, and the least fee limit that is accepted.
    pub bound: Tai,
    /// How the fee comes about: meter, quantity, unit price, amount.
    pub charges: Vec<v1::Charge>,
    /// What would happen instead of its application.
    pub rejection: Option<Refusal>,
    /// Version of the price table.
    pub price_version: u32,
}

impl Estimate {
    /// The fee limit that an order gets by default: twice the estimate, and at least the bound.
    #[must_use]
    pub fn limit(&self) -> Tai {
        self.fee.checked_mul(2).unwrap_or(Tai::MAX).max(self.bound)
    }
}

impl<'c, S: Signer + ?Sized, O: Order> Prepared<'c, S, O> {
    pub(crate) fn new(client: &'c Client, draft: Result<O, Rejection>, signer: &'c S) -> Self {
        Self { client, draft, terms: Terms::default(), signer, wait: WaitMode::Provable, observer: None }
    }

    /// How many operations it has; none where it cannot be made at all.
    #[must_use]
    pub fn operation_count(&self) -> usize {
        self.draft.as_ref().map_or(0, Body::operation_count)
    }

    /// The most that it may cost. Left out: twice what the chain estimates, and at least the bound that it asks for.
    pub fn max_fee(mut self, max_fee: Tai) -> Self {
        self.terms.max_fee = Some(max_fee);
        self
    }

    /// How long it may wait for a block; ten minutes if left out. Then it is void.
    pub fn expires_in(mut self, expires_in: Duration) -> Self {
        self.terms.expires_in = Some(expires_in);
        self
    }

    /// Its nonce. Left out, the client hands one out.
    pub fn nonce(mut self, nonce: u64) -> Self {
        self.terms.nonce = Some(Nonce::new(nonce));
        self
    }

    /// What to wait for; until its effects are provable if left out.
    pub fn wait(mut self, wait: WaitMode) -> Self {
        self.wait = wait;
        self
    }

    /// Is told the identifier and the signed bytes before anything is sent, each time it is signed.
    pub fn observe(mut self, observer: &'c (dyn Fn(Identifier, &SignedEnvelope) + Sync)) -> Self {
        self.observer = Some(observer);
        self
    }

    /// What it would cost now. Nothing is sent.
    pub async fn estimate(&self) -> Result<Estimate, ClientError> {
        let max_fee = match self.terms.max_fee {
            Some(max_fee) => max_fee,
            // The limit's own length is paid for, so that the fee is known exactly once the limit is.
            None => {
                self.client.estimate(&self.order(NONCE_OF_A_DRAFT, None, FEE_LIMIT_OF_USUAL_LENGTH)?).await?.limit()
            }
        };
        self.client.estimate(&self.order(NONCE_OF_A_DRAFT, None, max_fee)?).await
    }

    /// Signs and sends it, and waits. A refusal that another nonce or expiry mends is mended.
    pub async fn send(self) -> Result<Receipt, ClientError> {
        let draft = self.order(NONCE_OF_A_DRAFT, None, FEE_LIMIT_OF_USUAL_LENGTH)?;
        draft.validate()?;
        let max_fee = match self.terms.max_fee {
            Some(max_fee) => max_fee,
            None => self.client.estimate(&draft).await?.limit(),
        };
        let mut expire_at = None;
        let mut attempt = 0u32;
        loop {
            attempt = attempt.saturating_add(1);
            match self.attempt(max_fee, expire_at).await {
                Err(ClientError::Rejected(refusal)) if attempt < SIGN_ATTEMPTS => match self.mended(&refusal) {
                    Some(Mended::Nonce) => {}
                    Some(Mended::Expiry(secs)) => expire_at = Some(secs),
                    None => return Err(ClientError::Rejected(refusal)),
                },
                outcome => return outcome,
            }
        }
    }

    async fn attempt(&self, max_fee: Tai, expire_at: Option<u64>) -> Result<Receipt, ClientError> {
        let lane = self.draft.as_ref().map_err(Clone::clone)?.lane();
        let chain = self.client.chain_of_lane(&lane)?;
        let held = match self.terms.nonce {
            Some(_) => None,
            None => Some(self.client.nonce(self.signer.address(), &lane).await?),
        };
        let nonce = self.terms.nonce.or(held.as_ref().map(HeldNonce::nonce)).unwrap_or_default();
        let signed = sign(self.signer, &self.order(nonce, expire_at, max_fee)?)?;
        if let Some(observer) = self.observer {
            observer(signed.id, &signed.envelope);
        }
        let outcome = submit(&chain, &signed, self.wait).await;
        match (&outcome, held) {
            (_, None) | (Err(ClientError::OutcomeUnknown { .. }), Some(_)) => {}
            (Ok(_), Some(held)) => held.used(),
            (Err(ClientError::Rejected(refusal)), Some(held)) if is_about_nonce(refusal) => held.mistaken(),
            (Err(_), Some(held)) => held.give_back(),
        }
        outcome
    }

    fn mended(&self, refusal: &Refusal) -> Option<Mended> {
        const EXPIRED: u32 = 201;
        const EXPIRY_TOO_FAR: u32 = 202;
        match (refusal.code, refusal.expiry) {
            _ if is_about_nonce(refusal) && self.terms.nonce.is_none() => Some(Mended::Nonce),
            (EXPIRED, Some((block_time, _))) if self.terms.expires_in.is_none() && block_time > 0 => {
                Some(Mended::Expiry(block_time.saturating_add(EXPIRY_DEFAULT.as_secs())))
            }
            (EXPIRY_TOO_FAR, Some((_, latest))) if self.terms.expires_in.is_none() && latest > 0 => {
                Some(Mended::Expiry(latest))
            }
            _ => None,
        }
    }

    fn order(&self, nonce: Nonce, expire_at: Option<u64>, max_fee: Tai) -> Result<O, ClientError> {
        let mut order = self.draft.clone()?;
        let now = self.client.chain_of_lane(&order.lane())?.now_secs();
        let expires_in = self.terms.expires_in.unwrap_or(EXPIRY_DEFAULT);
        let expire = expire_at.unwrap_or(now.saturating_add(expires_in.as_secs()));
        order.complete(nonce, expire, max_fee);
        Ok(order)
    }
}

enum Mended {
    Nonce,
    Expiry(u64),
}

/// `NONCE_USED`, `NONCE_TOO_FAR`, `NONCE_ORDER`.
fn is_about_nonce(refusal: &Refusal) -> bool {
    matches!(refusal.code, 207..=209)
}

/// Whether a chain would take an envelope around this body: known here, so nothing is sent to learn it.
fn fits<O: Order>(body: &[u8]) -> Result<(), ClientError> {
    let bytes = envelope_bytes(body.len());
    if bytes > O::ENVELOPE_BYTES_MAX {
        let (bytes, max) = (bytes as u64, O::ENVELOPE_BYTES_MAX as u64);
        return Err(Rejection::MutationTooLarge { bytes, max }.into());
    }
    Ok(())
}

fn sign<S: Signer + ?Sized, O: Order>(signer: &S, order: &O) -> Result<Signed, ClientError> {
    let body = order.encode();
    fits::<O>(&body)?;
    let id = identifier::<O>(&body);
    let envelope = order.signed_by(signer, body)?;
    Ok(Signed {
        id,
        account: order.account(),
        lane: order.lane(),
        nonce: order.nonce(),
        expire_unix_secs: order.expire_unix_secs(),
        envelope,
    })
}

impl Client {
    /// Asks the chain what an order would cost.
    pub async fn estimate<O: Order>(&self, order: &O) -> Result<Estimate, ClientError> {
        let lane = order.lane();
        let chain = self.chain_of_lane(&lane)?;
        let body = Bytes::from(order.encode());
        fits::<O>(&body)?;
        let answer = match lane {
            Lane::Namespace(_) => {
                chain
                    .call(|channel, limit| {
                        let subject = Some(v1::estimate_fee_request::Subject::Body(body.clone()));
                        let request = timed(v1::EstimateFeeRequest { subject }, limit);
                        async move { shard(channel).estimate_fee(request).await }
                    })
                    .await?
            }
            Lane::Money => {
                let answer = chain
                    .call(|channel, limit| {
                        let subject = Some(v1::estimate_transaction_fee_request::Subject::Body(body.clone()));
                        let request = timed(v1::EstimateTransactionFeeRequest { subject }, limit);
                        async move { settlement(channel).estimate_transaction_fee(request).await }
                    })
                    .await?;
                v1::EstimateFeeResponse {
                    fee_tai: answer.fee_tai,
                    bound_tai: answer.bound_tai,
                    charges: answer.charges,
                    bound_charges: answer.bound_charges,
                    price_version: answer.price_version,
                    height: answer.height,
                    rejection: answer.rejection,
                }
            }
        };
        let tai = |text: &str| {
            text.parse::<Tai>().map_err(|error| ClientError::malformed(&chain.id, format!("the estimate: {error}")))
        };
        Ok(Estimate {
            fee: tai(&answer.fee_tai)?,
            bound: tai(&answer.bound_tai)?,
            charges: answer.charges,
            rejection: answer.rejection.map(Refusal::from),
            price_version: answer.price_version,
        })
    }
}
