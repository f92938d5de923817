//! Which of the mutations that wait stand in a bundle that `CometBFT` holds, and which are free to be put into one.
//!
//! A mutation stands in one bundle at most: the first one that was seen with it. A bundle is known by the SHA-256 of its
//! bytes, and is forgotten with the last of its mutations that waits.
//!
//! After every block `CometBFT` asks again about each transaction that it holds, before it asks about any that is new. So
//! a bundle that it has asked about once, and not between two blocks that follow each other, it holds no more, whether it
//! said so or not.
//!
//! And `CometBFT` sends a transaction to each peer once: peers that refused a bundle for a while do not hear of it again as
//! long as this one holds it. So one that no block has taken for [`PATIENCE_BLOCKS`] is overdue.

use std::collections::{BTreeSet, HashMap};

use db3_primitives::Hash32;

/// How many blocks may pass a bundle by. A full mempool of `CometBFT`'s, 64 MB, is 16 blocks of 4 MiB.
pub(crate) const PATIENCE_BLOCKS: u64 = 32;

/// Mutations by the order of their arrival, and their bundles.
#[derive(Debug, Default)]
pub(super) struct Bundled {
    free: BTreeSet<u64>,
    bundles: HashMap<Hash32, Bundle>,
    bundle_of: HashMap<u64, Hash32>,
    /// Counts the blocks.
    block: u64,
}

#[derive(Debug, Default)]
struct Bundle {
    /// Those of its mutations that wait.
    waiting: BTreeSet<u64>,
    /// After which blocks `CometBFT` asked about it first and last.
    asked: Option<(u64, u64)>,
}

impl Bundled {
    /// A mutation that begins to wait, in no bundle.
    pub(super) fn add(&mut self, arrival: u64) {
        self.free.insert(arrival);
    }

    /// A mutation that waits no more.
    pub(super) fn remove(&mut self, arrival: u64) {
        self.free.remove(&arrival);
        let Some(bundle) = self.bundle_of.remove(&arrival) else { return };
        if let Some(left) = self.bundles.get_mut(&bundle) {
            left.waiting.remove(&arrival);
            if left.waiting.is_empty() {
                self.bundles.remove(&bundle);
            }
        }
    }

    /// Those that stand in no bundle, by arrival.
    pub(super) fn free(&self) -> impl Iterator<Item = u64> + '_ {
        self.free.iter().copied()
    }

    /// How many stand in no bundle.
    pub(super) fn free_count(&self) -> usize {
        self.free.len()
    }

    /// Whether none is free.
    pub(super) fn all_bundled(&self) -> bool {
        self.free.is_empty()
    }

    /// Whether a mutation stands in no bundle.
    pub(super) fn is_free(&self, arrival: u64) -> bool {
        self.free.contains(&arrival)
    }

    /// Whether one of a bundle's mutations still waits.
    pub(super) fn holds(&self, bundle: &Hash32) -> bool {
        self.bundles.contains_key(bundle)
    }

    /// Puts a free mutation into a bundle; one that stands in another stays there.
    pub(super) fn assign(&mut self, bundle: Hash32, arrival: u64) {
        if self.free.remove(&arrival) {
            self.bundles.entry(bundle).or_default().waiting.insert(arrival);
            self.bundle_of.insert(arrival, bundle);
        }
    }

    /// `CometBFT` asks about a bundle, or says that it has it; whether one of its mutations still waits.
    pub(super) fn asked(&mut self, bundle: &Hash32) -> bool {
        let block = self.block;
        let known = self.bundles.get_mut(bundle);
        let note = |bundle: &mut Bundle| {
            let (first, _) = bundle.asked.unwrap_or((block, block));
            bundle.asked = Some((first, block));
        };
        known.map(note).is_some()
    }

    /// Those of a bundle's mutations that still wait, where `CometBFT` has held it for too long.
    pub(super) fn overdue(&self, bundle: &Hash32) -> Option<&BTreeSet<u64>> {
        let is_overdue = |bundle: &&Bundle| {
            bundle.asked.is_some_and(|(first, _)| self.block.saturating_sub(first) > PATIENCE_BLOCKS)
        };
        self.bundles.get(bundle).filter(is_overdue).map(|bundle| &bundle.waiting)
    }

    /// A block was committed: frees the mutations of the bundles that `CometBFT` held once and was silent about since the
    /// block before, and names them.
    pub(super) fn after_block(&mut self) -> BTreeSet<u64> {
        let block = self.block;
        let is_lost = |bundle: &Bundle| bundle.asked.is_some_and(|(_, last)| last < block);
        let lost: Vec<Hash32> =
            self.bundles.iter().filter(|(_, bundle)| is_lost(bundle)).map(|(hash, _)| *hash).collect();
        self.block = block.saturating_add(1);
        lost.iter().flat_map(|bundle| self.forget(bundle)).collect()
    }

    /// Frees the mutations of a bundle that is no more, and names them.
    pub(super) fn forget(&mut self, bundle: &Hash32) -> BTreeSet<u64> {
        let freed = self.bundles.remove(bundle).unwrap_or_default().waiting;
        for arrival in &freed {
            self.bundle_of.remove(arrival);
            self.free.insert(*arrival);
        }
        freed
    }

    /// Frees the mutations of all bundles, and names them.
    pub(super) fn forget_all(&mut self) -> Vec<u64> {
        let freed: Vec<u64> = self.bundle_of.drain().map(|(arrival, _)| arrival).collect();
        self.bundles.clear();
        self.free.extend(&freed);
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Bundled {
        let mut bundled = Bundled::default();
        for arrival in 1..=3 {
            bundled.add(arrival);
        }
        bundled
    }

    fn free(bundled: &Bundled) -> Vec<u64> {
        bundled.free().collect()
    }

    #[test]
    fn a_mutation_stays_in_the_first_bundle_that_held_it() {
        let mut bundled = three();
        bundled.assign([1; 32], 1);
        bundled.assign([2; 32], 1);
        bundled.assign([2; 32], 2);
        assert_eq!(free(&bundled), [3]);
        assert!(bundled.forget(&[2; 32]).into_iter().eq([2]));
        assert_eq!(free(&bundled), [2, 3]);
        assert!(bundled.holds(&[1; 32]) && !bundled.holds(&[2; 32]));
    }

    #[test]
    fn a_bundle_is_forgotten_with_the_last_of_its_mutations() {
        let mut bundled = three();
        bundled.assign([1; 32], 1);
        bundled.assign([1; 32], 2);
        bundled.remove(1);
        assert!(bundled.holds(&[1; 32]));
        bundled.remove(2);
        bundled.remove(3);
        assert!(!bundled.holds(&[1; 32]) && bundled.all_bundled());
        assert!(bundled.bundle_of.is_empty() && bundled.bundles.is_empty());
    }

    #[test]
    fn a_bundle_that_is_asked_about_after_one_block_and_not_after_the_next_is_lost() {
        let mut bundled = three();
        bundled.assign([1; 32], 1);
        bundled.assign([2; 32], 2);
        bundled.assign([3; 32], 3);
        // Two are taken, the third is still on its way.
        assert!(bundled.asked(&[1; 32]) && bundled.asked(&[2; 32]) && !bundled.asked(&[4; 32]));
        assert!(bundled.after_block().is_empty(), "nobody was asked since they came");
        assert!(bundled.asked(&[1; 32]));
        assert!(bundled.after_block().into_iter().eq([2]));
        assert_eq!(free(&bundled), [2]);
        assert!(bundled.holds(&[1; 32]) && bundled.holds(&[3; 32]) && !bundled.asked(&[2; 32]));
        assert!(bundled.after_block().into_iter().eq([1]));
        assert!(bundled.after_block().is_empty() && bundled.holds(&[3; 32]));
    }

    #[test]
    fn after_a_restart_everything_is_free() {
        let mut bundled = three();
        bundled.assign([1; 32], 1);
        bundled.assign([2; 32], 3);
        let mut freed = bundled.forget_all();
        freed.sort_unstable();
        assert_eq!(freed, [1, 3]);
        assert_eq!(free(&bundled), [1, 2, 3]);
    }
}
