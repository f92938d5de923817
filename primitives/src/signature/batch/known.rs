//! The keys of accounts that have signed before. Bounded by two generations: when the young one is full, the old one is
//! forgotten, and its accounts are recovered again when they sign next.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use k256::{AffinePoint, ProjectivePoint};

use crate::Address;

/// Accounts of one generation; some 230 bytes each.
const GENERATION: usize = 16_384;

/// An account's key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key {
    /// It has signed once.
    Seen(AffinePoint),
    /// It has signed more often.
    Ready(Doubled),
}

impl Key {
    /// What a batch needs of it; found at the second signature, because it takes half as long as a recovery.
    pub(super) fn ready(&mut self) -> Doubled {
        match self {
            Self::Ready(doubled) => *doubled,
            Self::Seen(point) => {
                let doubled = Doubled::new(*point);
                *self = Self::Ready(doubled);
                doubled
            }
        }
    }
}

/// A point and 2¹²⁸ times the same, so that a product with 256 bits is two with 128.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubled {
    pub(super) high: AffinePoint,
    pub(super) low: AffinePoint,
}

impl Doubled {
    fn new(low: AffinePoint) -> Self {
        let mut high = ProjectivePoint::from(low);
        for _ in 0..128 {
            high.double_in_place();
        }
        Self { high: high.to_affine(), low }
    }
}

/// The group's generator.
pub(super) fn generator() -> &'static Doubled {
    static GENERATOR: LazyLock<Doubled> = LazyLock::new(|| Doubled::new(AffinePoint::GENERATOR));
    &GENERATOR
}

/// Keys of accounts, as [`verify_all`](super::verify_all) learned them. Shared by all threads that verify.
#[derive(Debug, Default)]
pub struct KnownKeys(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: BTreeMap<Address, Key>,
    old: BTreeMap<Address, Key>,
}

impl KnownKeys {
    /// Those of some accounts, as far as they are known.
    pub(super) fn of(&self, accounts: impl Iterator<Item = Address>) -> BTreeMap<Address, Key> {
        let generations = self.lock();
        let mut found = BTreeMap::new();
        for account in accounts {
            if found.contains_key(&account) {
                continue;
            }
            if let Some(key) = generations.young.get(&account).or_else(|| generations.old.get(&account)) {
                found.insert(account, *key);
            }
        }
        found
    }

    /// Remembers keys: new ones, and those that were used.
    pub(super) fn remember(&self, keys: BTreeMap<Address, Key>) {
        let mut generations = self.lock();
        for (account, key) in keys {
            generations.insert(account, key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn insert(&mut self, account: Address, key: Key) {
        if self.young.len() >= GENERATION && !self.young.contains_key(&account) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(account, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_two_generations_are_remembered_and_who_signs_stays() {
        let (known, key) = (KnownKeys::default(), Key::Seen(AffinePoint::GENERATOR));
        let account = |number: usize| {
            let mut bytes = [0; 20];
            bytes.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
            Address::new(bytes)
        };
        for number in 1..3 * GENERATION {
            known.remember(BTreeMap::from([(account(number), key)]));
            let found = known.of([account(1)].into_iter());
            assert!(found.contains_key(&account(1)), "after {number}");
            known.remember(found);
        }
        let generations = known.lock();
        assert!(generations.young.len().max(generations.old.len()) <= GENERATION);
        assert!(!generations.young.contains_key(&account(2)) && !generations.old.contains_key(&account(2)));
    }
}
