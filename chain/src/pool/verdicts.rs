//! Verified mutations by the hash of their whole signed bytes, so that none is decoded or verified twice on its way
//! from admission to execution.
//!
//! Bounded in bytes by two generations: when the young one holds half of the maximum, the old one is forgotten. What
//! was forgotten is verified again; nothing depends on what is remembered.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex};

use db3_primitives::signature::KnownKeys;
use db3_primitives::{Body as _, Hash32, MutationId, Rejection, Signed, Verified};

use super::shares::share_out;
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

/// What was found about all of some signed bytes.
pub(crate) type WholeVerdict<M> = Result<Vec<Arc<Verified<<M as Machine>::Body>>>, Box<Refusal>>;

/// Signed bytes that can be read.
pub(crate) enum Looked<M: Machine> {
    /// Their verdict is remembered.
    Known(Arc<Verified<M::Body>>),
    /// Their hash, and what they say; nothing is verified yet.
    New(Hash32, Signed<M::Body>),
}

impl<M: Machine> Looked<M> {
    pub(crate) fn id(&self) -> MutationId {
        match self {
            Self::Known(verified) => verified.id(),
            Self::New(_, signed) => signed.id,
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        match self {
            Self::Known(_) => true,
            Self::New(..) => false,
        }
    }

    pub(crate) fn content(&self) -> &M::Body {
        match self {
            Self::Known(verified) => verified.content(),
            Self::New(_, signed) => &signed.content,
        }
    }

    /// Length of the signed bytes.
    pub(crate) fn bytes(&self) -> u32 {
        match self {
            Self::Known(verified) => verified.bytes(),
            Self::New(_, signed) => signed.bytes,
        }
    }
}

/// The verdicts that are remembered.
pub(crate) struct Verdicts<M: Machine> {
    generations: Mutex<Generations<M>>,
    bytes_max: usize,
    keys: KnownKeys,
    /// An order that nobody else knows.
    order: RandomState,
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
        Self { generations: Mutex::new(generations), bytes_max, keys: KnownKeys::default(), order: RandomState::new() }
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

    /// What some signed bytes are: verified before, or only decoded.
    pub(crate) fn look(&self, bytes: &[u8]) -> Result<Looked<M>, Rejection> {
        let hash = hash(bytes);
        Ok(match self.recall(&hash) {
            Some(verified) => Looked::Known(verified),
            None => Looked::New(hash, M::decode(bytes)?),
        })
    }

    /// Verdicts about many signed bytes, in order; what is not remembered is verified on `threads` threads.
    pub(crate) fn of_all(&self, envelopes: &[&[u8]], threads: usize) -> Vec<Verdict<M>> {
        shared_out::<M, _>(envelopes.to_vec(), threads, |share| {
            let look = |bytes| self.look(bytes).map_err(|rejection| Refusal { id: None, rejection }.into());
            self.verify_each(share.into_iter().map(look))
        })
    }

    /// Verdicts about what was looked at, in order, found on `threads` threads.
    pub(crate) fn verify(&self, looked: Vec<Looked<M>>, threads: usize) -> Vec<Verdict<M>> {
        shared_out::<M, _>(looked, threads, |share| self.verify_each(share.into_iter().map(Ok)))
    }

    /// What was looked at, in order, where every signature holds; else the first refusal that was found, and the others are
    /// not looked at. They are taken in portions, each [`PORTION_GROWTH`] times the one before, and in an order that nobody
    /// else knows: whoever hides a false one among good ones has signed in proportion to what is verified for nothing.
    pub(crate) fn verify_whole(&self, bundle: &Hash32, looked: Vec<Looked<M>>, threads: usize) -> WholeVerdict<M> {
        let mut left: Vec<_> = looked.into_iter().enumerate().collect();
        left.sort_by_cached_key(|(place, _)| self.order.hash_one((bundle, place)));
        let mut verified = Vec::with_capacity(left.len());
        let mut portion = FIRST_PORTION;
        while !left.is_empty() {
            let later = left.split_off(portion.min(left.len()));
            let (places, looked): (Vec<_>, Vec<_>) = left.into_iter().unzip();
            for (place, verdict) in places.into_iter().zip(self.verify(looked, threads)) {
                verified.push((place, verdict?));
            }
            left = later;
            portion = portion.saturating_mul(PORTION_GROWTH);
        }
        verified.sort_by_key(|(place, _)| *place);
        Ok(verified.into_iter().map(|(_, verified)| verified).collect())
    }

    /// Verifies on the thread that asks; signatures of one account together.
    fn verify_each(&self, looked: impl Iterator<Item = Result<Looked<M>, Box<Refusal>>>) -> Vec<Verdict<M>> {
        let mut verdicts = Vec::new();
        let (mut places, mut hashes, mut new) = (Vec::new(), Vec::new(), Vec::new());
        for (place, looked) in looked.enumerate() {
            verdicts.push(match looked {
                Ok(Looked::Known(verified)) => Ok(verified),
                Ok(Looked::New(hash, signed)) => {
                    places.push(place);
                    hashes.push(hash);
                    new.push(signed);
                    not_verified::<M>()
                }
                Err(refusal) => Err(refusal),
            });
        }
        let checked = Signed::verify_all(new, &self.keys).into_iter().zip(hashes).zip(places);
        for ((checked, hash), place) in checked {
            let Some(verdict) = verdicts.get_mut(place) else { continue };
            *verdict = match checked {
                Ok(verified) => {
                    let verified = Arc::new(verified);
                    self.remember(hash, &verified);
                    Ok(verified)
                }
                Err((signed, rejection)) => Err(Box::new(Refusal { id: Some(signed.id), rejection })),
            };
        }
        verdicts
    }
}

/// Signatures of a stranger's bundle that are looked at before any other of it.
const FIRST_PORTION: usize = 16;
const PORTION_GROWTH: usize = 4;

/// Fewer verifications than this are not worth a thread: together they cost less each.
const MINIMUM_SHARE: usize = 128;

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

/// Has every thread judge a share of the items, and gives the verdicts in order.
fn shared_out<M: Machine, T: Send>(
    items: Vec<T>,
    threads: usize,
    judge: impl Fn(Vec<T>) -> Vec<Verdict<M>> + Sync,
) -> Vec<Verdict<M>> {
    let count = items.len();
    let mut verdicts = share_out(items, threads, MINIMUM_SHARE, judge);
    // Every share gives as many verdicts as it has items; a missing one is as good as a refusal.
    verdicts.resize_with(count, not_verified::<M>);
    verdicts
}

/// What a verdict is until it is there.
fn not_verified<M: Machine>() -> Verdict<M> {
    let rejection = Rejection::EnvelopeMalformed { detail: "it was not verified".to_owned() };
    Err(Box::new(Refusal { id: None, rejection }))
}
