//! Verified mutations by the hash of their whole signed bytes, so that none is decoded or verified twice on its way
//! from admission to execution.
//!
//! Bounded in bytes by two generations: when the young one holds half of the maximum, the old one is forgotten. What
//! was forgotten is verified again; nothing depends on what is remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use db3_primitives::{Body as _, Hash32, MutationId, Rejection, Verified};

use crate::lock;
use crate::machine::Machine;

/// A mutation decoded takes about this much beside its bytes,
const OVERHEAD_BYTES: usize = 512;
/// and each of its operations this much.
const OPERATION_BYTES: usize = 200;

/// Memory that a mutation takes once it is decoded, about: its bytes are there as they came and as what they say.
pub(crate) fn memory_bytes(bytes: u32, operations: usize) -> usize {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).saturating_mul(2);
    bytes.saturating_add(OVERHEAD_BYTES).saturating_add(operation_bytes(operations))
}

/// Memory that operations take beside their keys and values, about.
pub(crate) const fn operation_bytes(operations: usize) -> usize {
    operations.saturating_mul(OPERATION_BYTES)
}

/// Bytes of a block that are no mutation of anybody's.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) id: Option<MutationId>,
    pub(crate) rejection: Rejection,
}

/// What was found about some signed bytes.
pub(crate) type Verdict<M> = Result<Arc<Verified<<M as Machine>::Body>>, Box<Refusal>>;

/// The verdicts that are remembered.
pub(crate) struct Verdicts<M: Machine> {
    generations: Mutex<Generations<M>>,
    bytes_max: usize,
}

/// Verified envelopes by hash.
type Remembered<M> = HashMap<Hash32, Arc<Verified<<M as Machine>::Body>>>;

struct Generations<M: Machine> {
    young: Remembered<M>,
    old: Remembered<M>,
    young_bytes: usize,
}

impl<M: Machine> Verdicts<M> {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new(), young_bytes: 0 };
        Self { generations: Mutex::new(generations), bytes_max }
    }

    pub(crate) fn remember(&self, hash: Hash32, verified: &Arc<Verified<M::Body>>) {
        let cost = memory_bytes(verified.bytes(), verified.content().operation_count());
        let mut generations = lock(&self.generations);
        if generations.young.insert(hash, Arc::clone(verified)).is_none() {
            generations.young_bytes = generations.young_bytes.saturating_add(cost);
        }
        let forgotten = (generations.young_bytes.saturating_mul(2) > self.bytes_max).then(|| generations.turn());
        drop(generations);
        drop(forgotten);
    }

    pub(crate) fn recall(&self, hash: &Hash32) -> Option<Arc<Verified<M::Body>>> {
        let generations = lock(&self.generations);
        generations.young.get(hash).or_else(|| generations.old.get(hash)).cloned()
    }

    /// Verdicts about many signed bytes, in order; what is not remembered is verified on `threads` threads.
    pub(crate) fn of_all(&self, envelopes: &[&[u8]], threads: usize) -> Vec<Verdict<M>> {
        let hashes: Vec<Hash32> = envelopes.iter().map(|bytes| hash(bytes)).collect();
        let mut verdicts: Vec<Option<Verdict<M>>> = hashes.iter().map(|hash| self.recall(hash).map(Ok)).collect();
        let mut missing: Vec<_> =
            verdicts.iter_mut().zip(envelopes.iter().zip(&hashes)).filter(|(verdict, _)| verdict.is_none()).collect();
        let share = missing.len().div_ceil(threads.max(1)).max(MINIMUM_SHARE);
        std::thread::scope(|scope| {
            for share in missing.chunks_mut(share) {
                scope.spawn(|| {
                    for (verdict, (bytes, hash)) in share {
                        **verdict = Some(self.verify(bytes, **hash));
                    }
                });
            }
        });
        verdicts.into_iter().map(|verdict| verdict.unwrap_or_else(not_verified::<M>)).collect()
    }

    fn verify(&self, bytes: &[u8], hash: Hash32) -> Verdict<M> {
        let signed = M::decode(bytes).map_err(|rejection| Box::new(Refusal { id: None, rejection }))?;
        let verified = signed
            .verify()
            .map_err(|(signed, rejection)| Box::new(Refusal { id: Some(signed.id), rejection }))
            .map(Arc::new)?;
        self.remember(hash, &verified);
        Ok(verified)
    }
}

/// Fewer verifications than this are not worth a thread.
const MINIMUM_SHARE: usize = 16;

impl<M: Machine> Generations<M> {
    fn turn(&mut self) -> Remembered<M> {
        self.young_bytes = 0;
        let young = std::mem::take(&mut self.young);
        std::mem::replace(&mut self.old, young)
    }
}

/// What an envelope's verdict is remembered under: SHA-256 of its bytes.
pub(crate) fn hash(envelope: &[u8]) -> Hash32 {
    db3_primitives::sha256(&[envelope])
}

/// Every share fills its verdicts; a missing one is as good as a refusal.
fn not_verified<M: Machine>() -> Verdict<M> {
    let rejection = Rejection::EnvelopeMalformed { detail: "it was not verified".to_owned() };
    Err(Box::new(Refusal { id: None, rejection }))
}
