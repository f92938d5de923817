//! Building and sending one mutation.

use std::time::Duration;

use bytes::Bytes;
use db3_primitives::limits::MUTATION_BYTES_MAX;
use db3_primitives::{
    Mutation, MutationId, Namespace, Nonce, Operation, RecordKey, Rejection, SignedEnvelope, TableName, Tai, Write,
};
use db3_proto::{encode_body, envelope_bytes, v1};

use crate::client::Client;
use crate::error::{ClientError, Refusal};
use crate::nonces::HeldNonce;
use crate::receipt::{Receipt, WaitMode};
use crate::signer::Signer;
use crate::submit::{Signed, submit};
use crate::wire::{shard, timed};

/// How long a mutation may wait for a block unless told otherwise.
const EXPIRY_DEFAULT: Duration = Duration::from_secs(600);
/// How often a mutation is signed anew, with another nonce or expiry, before its refusal is passed on.
const SIGN_ATTEMPTS: u32 = 12;
/// A fee limit of the length that real ones have, to price a body before its limit is known.
const FEE_LIMIT_OF_USUAL_LENGTH: Tai = Tai::new(99_999_999_999);

/// A mutation being put together.
#[must_use = "a mutation does nothing until it is signed and sent"]
pub struct MutationBuilder<'c> {
    client: &'c Client,
    namespace: Result<Namespace, Rejection>,
    operations: Result<Vec<Operation>, Rejection>,
    max_fee: Option<Tai>,
    expires_in: Option<Duration>,
    nonce: Option<Nonce>,
}

/// A mutation with somebody to sign it. It is signed when it is sent, with a nonce that nobody else holds.
#[must_use = "a mutation does nothing until it is sent"]
pub struct PreparedMutation<'c, S: ?Sized> {
    draft: MutationBuilder<'c>,
    signer: &'c S,
    wait: WaitMode,
    observer: Option<&'c Observer<'c>>,
}

/// Is told what is about to be sent.
type Observer<'a> = dyn Fn(MutationId, &SignedEnvelope) + Sync + 'a;

/// What a mutation would cost.
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

impl<'c> MutationBuilder<'c> {
    pub(crate) fn new(client: &'c Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.parse(),
            operations: Ok(Vec::new()),
            max_fee: None,
            expires_in: None,
            nonce: None,
        }
    }

    /// Writes a record, whether or not it exists.
    pub fn put(self, table: &str, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) -> Self {
        self.write(table, key.as_ref(), value.into(), Operation::Put)
    }

    /// Writes a record that must not exist.
    pub fn insert(self, table: &str, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) -> Self {
        self.write(table, key.as_ref(), value.into(), Operation::Insert)
    }

    /// Writes a record that must exist.
    pub fn update(self, table: &str, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) -> Self {
        self.write(table, key.as_ref(), value.into(), Operation::Update)
    }

    /// Removes a record that must exist.
    pub fn delete(self, table: &str, key: impl AsRef<[u8]>) -> Self {
        let operation = || {
            let (table, key) = (table.parse()?, RecordKey::new(key.as_ref().to_vec())?);
            Ok(Operation::Delete { table, key, if_version: None })
        };
        self.push(operation())
    }

    /// Registers the namespace for the signer; only as the first operation.
    pub fn create_namespace(self) -> Self {
        self.push(Ok(Operation::CreateNamespace))
    }

    /// Creates a table. In one's own namespace the first write does that.
    pub fn create_table(self, table: &str) -> Self {
        self.push(table.parse().map(|table| Operation::CreateTable { table }))
    }

    /// The operation before this applies only if its record stands at this version; 0: only if there is none.
    pub fn if_version(mut self, version: u64) -> Self {
        if let Ok(operations) = &mut self.operations {
            match operations.last_mut() {
                Some(Operation::Put(write) | Operation::Insert(write) | Operation::Update(write)) => {
                    write.if_version = Some(version);
                }
                Some(Operation::Delete { if_version, .. }) => *if_version = Some(version),
                Some(Operation::CreateNamespace | Operation::CreateTable { .. }) | None => {
                    let detail = "if_version stands after no write or delete".to_owned();
                    self.operations = Err(Rejection::RequestInvalid { field: "if_version".to_owned(), detail });
                }
            }
        }
        self
    }

    /// The most that it may cost. Left out: twice what the chain estimates, and at least the bound that it asks for.
    pub fn max_fee(mut self, max_fee: Tai) -> Self {
        self.max_fee = Some(max_fee);
        self
    }

    /// How long it may wait for a block; ten minutes if left out. Then it is void.
    pub fn expires_in(mut self, expires_in: Duration) -> Self {
        self.expires_in = Some(expires_in);
        self
    }

    /// Its nonce. Left out, the client hands one out.
    pub fn nonce(mut self, nonce: u64) -> Self {
        self.nonce = Some(Nonce::new(nonce));
        self
    }

    /// Any operations, in order.
    pub fn operations(mut self, operations: Vec<Operation>) -> Self {
        if let Ok(known) = &mut self.operations {
            known.extend(operations);
        }
        self
    }

    /// Names who signs, and pays.
    pub fn sign<S: Signer + ?Sized>(self, signer: &'c S) -> PreparedMutation<'c, S> {
        PreparedMutation { draft: self, signer, wait: WaitMode::Provable, observer: None }
    }

    fn write(self, table: &str, key: &[u8], value: Vec<u8>, kind: impl FnOnce(Write) -> Operation) -> Self {
        let write = || {
            let (table, key): (TableName, _) = (table.parse()?, RecordKey::new(key.to_vec())?);
            Ok(kind(Write { table, key, value, if_version: None }))
        };
        self.push(write())
    }

    fn push(mut self, operation: Result<Operation, Rejection>) -> Self {
        self.operations = match (self.operations, operation) {
            (Ok(mut operations), Ok(operation)) => {
                operations.push(operation);
                Ok(operations)
            }
            (Ok(operations), Err(rejection)) => {
                Err(rejection.at_operation(u32::try_from(operations.len()).unwrap_or(u32::MAX)))
            }
            (Err(rejection), _) => Err(rejection),
        };
        self
    }
}

impl<'c, S: Signer + ?Sized> PreparedMutation<'c, S> {
    /// What to wait for; until its effects are provable if left out.
    pub fn wait(mut self, wait: WaitMode) -> Self {
        self.wait = wait;
        self
    }

    /// Is told the identifier and the signed bytes before anything is sent, each time it is signed.
    pub fn observe(mut self, observer: &'c (dyn Fn(MutationId, &SignedEnvelope) + Sync)) -> Self {
        self.observer = Some(observer);
        self
    }

    /// What it would cost now. Nothing is sent.
    pub async fn estimate(&self) -> Result<Estimate, ClientError> {
        let mut mutation = self.mutation(Nonce::new(1))?;
        if self.draft.max_fee.is_none() {
            // The limit's own length is paid for, so that the fee is known exactly once the limit is.
            mutation.max_fee = FEE_LIMIT_OF_USUAL_LENGTH;
            mutation.max_fee = self.draft.client.estimate(&mutation).await?.limit();
        }
        self.draft.client.estimate(&mutation).await
    }

    /// Signs and sends it, and waits. A refusal that another nonce or expiry mends is mended.
    pub async fn send(self) -> Result<Receipt, ClientError> {
        let mut checked = self.mutation(Nonce::new(1))?;
        checked.validate()?;
        let max_fee = if let Some(max_fee) = self.draft.max_fee {
            max_fee
        } else {
            checked.max_fee = FEE_LIMIT_OF_USUAL_LENGTH;
            self.draft.client.estimate(&checked).await?.limit()
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
        let client = self.draft.client;
        let namespace = self.draft.namespace.clone()?;
        let chain = client.chain_of(&namespace)?;
        let held = match self.draft.nonce {
            Some(_) => None,
            None => Some(client.nonce(self.signer.address(), &namespace).await?),
        };
        let nonce = self.draft.nonce.or(held.as_ref().map(HeldNonce::nonce)).unwrap_or_default();
        let mut mutation = self.mutation(nonce)?;
        mutation.max_fee = max_fee;
        mutation.expire_unix_secs = expire_at.unwrap_or(mutation.expire_unix_secs);
        let signed = sign(self.signer, &mutation)?;
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
            _ if is_about_nonce(refusal) && self.draft.nonce.is_none() => Some(Mended::Nonce),
            (EXPIRED, Some((block_time, _))) if self.draft.expires_in.is_none() && block_time > 0 => {
                Some(Mended::Expiry(block_time.saturating_add(EXPIRY_DEFAULT.as_secs())))
            }
            (EXPIRY_TOO_FAR, Some((_, latest))) if self.draft.expires_in.is_none() && latest > 0 => {
                Some(Mended::Expiry(latest))
            }
            _ => None,
        }
    }

    fn mutation(&self, nonce: Nonce) -> Result<Mutation, ClientError> {
        let namespace = self.draft.namespace.clone()?;
        let now = self.draft.client.chain_of(&namespace)?.now_secs();
        let expires_in = self.draft.expires_in.unwrap_or(EXPIRY_DEFAULT);
        Ok(Mutation {
            network: self.draft.client.network().name.clone(),
            account: self.signer.address(),
            nonce,
            expire_unix_secs: now.saturating_add(expires_in.as_secs()),
            max_fee: self.draft.max_fee.unwrap_or_default(),
            operations: self.draft.operations.clone()?,
            namespace,
        })
    }
}

enum Mended {
    Nonce,
    Expiry(u64),
}

impl Estimate {
    /// The fee limit that a mutation gets by default: twice the estimate, and at least the bound.
    #[must_use]
    pub fn limit(&self) -> Tai {
        self.fee.checked_mul(2).unwrap_or(Tai::MAX).max(self.bound)
    }
}

/// `NONCE_USED`, `NONCE_TOO_FAR`, `NONCE_ORDER`.
fn is_about_nonce(refusal: &Refusal) -> bool {
    matches!(refusal.code, 207..=209)
}

/// Whether a chain would take an envelope around this body: known here, so nothing is sent to learn it.
fn fits(body: &[u8]) -> Result<(), ClientError> {
    let bytes = envelope_bytes(body.len());
    if bytes > MUTATION_BYTES_MAX {
        let (bytes, max) = (bytes as u64, MUTATION_BYTES_MAX as u64);
        return Err(Rejection::MutationTooLarge { bytes, max }.into());
    }
    Ok(())
}

pub(crate) fn sign<S: Signer + ?Sized>(signer: &S, mutation: &Mutation) -> Result<Signed, ClientError> {
    let body = encode_body(mutation);
    fits(&body)?;
    let id: MutationId = db3_primitives::mutation_id(&body);
    let envelope = signer.sign(mutation, body)?;
    Ok(Signed {
        id,
        account: mutation.account,
        namespace: mutation.namespace.clone(),
        nonce: mutation.nonce,
        expire_unix_secs: mutation.expire_unix_secs,
        envelope,
    })
}

impl Client {
    /// Asks the chain what a mutation would cost.
    pub async fn estimate(&self, mutation: &Mutation) -> Result<Estimate, ClientError> {
        let chain = self.chain_of(&mutation.namespace)?;
        let body = Bytes::from(encode_body(mutation));
        fits(&body)?;
        let answer = chain
            .call(|channel, limit| {
                let request =
                    v1::EstimateFeeRequest { subject: Some(v1::estimate_fee_request::Subject::Body(body.clone())) };
                async move { shard(channel).estimate_fee(timed(request, limit)).await }
            })
            .await?;
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
