//! The tree against the naive model, and proofs against every change of a bit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod naive;

use db3_merkle_log::limits::{FRONTIER_BYTES_MAX, LOG_SIZE_MAX, RIGHT_HASHES_MAX};
use db3_merkle_log::{
    EMPTY_ROOT, FoldError, Frontier, FrontierError, Hash, InclusionError, ProofError, fold, inclusion_proof,
    right_range, verify_inclusion, verify_inclusion_of_hash,
};
use naive::Store;
use proptest::prelude::*;

fn log_of(entries: &[Vec<u8>]) -> (Frontier, Store) {
    let (mut frontier, mut store) = (Frontier::new(), Store::default());
    for entry in entries {
        let nodes = frontier.append(entry);
        store.add(entry, &nodes);
    }
    (frontier, store)
}

fn numbered(n: usize) -> Vec<Vec<u8>> {
    (0..n).map(|i| format!("entry {i}").into_bytes()).collect()
}

fn entries() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..80)
}

#[test]
fn the_empty_log_has_the_hash_of_nothing() {
    assert_eq!(Frontier::new().root(), EMPTY_ROOT);
    assert_eq!(naive::root(&[]), EMPTY_ROOT);
    assert_eq!(Frontier::new().to_bytes(), [0; 8]);
}

#[test]
fn every_proof_in_every_log_up_to_seventy_is_that_of_the_rfc() {
    for size in 1..=70 {
        let entries = numbered(size);
        let (frontier, store) = log_of(&entries);
        let root = frontier.root();
        assert_eq!(root, naive::root(&entries));
        for (index, entry) in entries.iter().enumerate() {
            let proof = inclusion_proof(&store, index as u64, size as u64).unwrap();
            assert_eq!(proof, naive::path(index, &entries));
            assert_eq!(verify_inclusion(entry, index as u64, size as u64, &proof, &root), Ok(()));
        }
    }
}

#[test]
fn a_proof_in_an_earlier_size_is_made_from_a_log_that_has_grown() {
    let entries = numbered(45);
    let (_, store) = log_of(&entries);
    for size in 1..=45 {
        for index in 0..size {
            let proof = inclusion_proof(&store, index as u64, size as u64).unwrap();
            assert_eq!(proof, naive::path(index, &entries[..size]));
        }
    }
}

#[test]
fn every_changed_bit_of_a_proof_entry_or_root_is_refused() {
    for (size, index) in [(1, 0), (2, 1), (7, 6), (7, 2), (13, 12), (64, 31), (100, 99)] {
        let entries = numbered(size);
        let (frontier, store) = log_of(&entries);
        let (root, entry, size, index) = (frontier.root(), &entries[index], size as u64, index as u64);
        let proof = inclusion_proof(&store, index, size).unwrap();
        for bit in 0..proof.len() * 256 {
            let mut bad = proof.clone();
            bad[bit / 256][bit % 256 / 8] ^= 1 << (bit % 8);
            assert_eq!(verify_inclusion(entry, index, size, &bad, &root), Err(InclusionError::WrongRoot));
        }
        for bit in 0..entry.len() * 8 {
            let mut bad = entry.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify_inclusion(&bad, index, size, &proof, &root), Err(InclusionError::WrongRoot));
        }
        for bit in 0..256 {
            let mut bad = root;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify_inclusion(entry, index, size, &proof, &bad), Err(InclusionError::WrongRoot));
        }
        for other in (0..size + 3).filter(|other| *other != index) {
            verify_inclusion(entry, other, size, &proof, &root).unwrap_err();
        }
        let mut long = proof.clone();
        long.push([0; 32]);
        assert!(matches!(verify_inclusion(entry, index, size, &long, &root), Err(InclusionError::WrongLength { .. })));
        if let Some((_, short)) = proof.split_last() {
            assert!(matches!(
                verify_inclusion(entry, index, size, short, &root),
                Err(InclusionError::WrongLength { .. })
            ));
        }
    }
}

#[test]
fn a_proof_that_cannot_be_made_says_what_is_missing() {
    let (_, mut store) = log_of(&numbered(11));
    assert_eq!(inclusion_proof(&store, 11, 11), Err(ProofError::OutOfRange { index: 11, size: 11 }));
    assert_eq!(right_range(&store, 12, 11), Err(ProofError::OutOfRange { index: 12, size: 11 }));
    assert_eq!(inclusion_proof(&store, 0, 12), Err(ProofError::Missing { level: 2, index: 2 }));
    store.nodes.remove(&(2, 1));
    assert_eq!(inclusion_proof(&store, 1, 11), Err(ProofError::Missing { level: 2, index: 1 }));
    assert_eq!(right_range(&store, 3, 11), Err(ProofError::Missing { level: 2, index: 1 }));
}

#[test]
fn a_proof_asks_for_logarithmically_many_subtrees() {
    let (_, store) = log_of(&numbered(1_000));
    for index in 0..1_000 {
        store.asked.borrow_mut().clear();
        inclusion_proof(&store, index, 1_000).unwrap();
        assert!(store.asked.borrow().len() <= 20);
    }
}

#[test]
fn right_ranges_never_exceed_their_named_maximum() {
    // Every subtree of a log too large to exist.
    struct Endless;
    impl db3_merkle_log::NodeSource for Endless {
        type Error = std::convert::Infallible;
        fn node(&self, _: u8, _: u64) -> Result<Option<Hash>, Self::Error> {
            Ok(Some([7; 32]))
        }
    }
    let longest = right_range(&Endless, 1, LOG_SIZE_MAX - 1).unwrap();
    assert_eq!(longest.len(), RIGHT_HASHES_MAX);
    for (next, size) in
        [(0, LOG_SIZE_MAX), (1, LOG_SIZE_MAX), (1 << 61, LOG_SIZE_MAX), ((1 << 61) + 1, LOG_SIZE_MAX - 1)]
    {
        assert!(right_range(&Endless, next, size).unwrap().len() <= RIGHT_HASHES_MAX);
    }
    assert!(right_range(&Endless, 0, LOG_SIZE_MAX + 1).is_err());
    let full = Frontier::from_bytes(&[&(LOG_SIZE_MAX - 1).to_be_bytes()[..], &[7; 62 * 32]].concat()).unwrap();
    assert_eq!(full.to_bytes().len(), FRONTIER_BYTES_MAX);
    assert!(fold(&full, &[b"one", b"two"], &[], LOG_SIZE_MAX).is_err());
    assert_eq!(fold(&full, &[b"one"], &[], LOG_SIZE_MAX).unwrap().0.size(), LOG_SIZE_MAX);
}

#[test]
fn fold_refuses_what_does_not_fit_the_size() {
    let entries = numbered(9);
    let (_, store) = log_of(&entries);
    let right = right_range(&store, 4, 9).unwrap();
    let before = Frontier::new();
    assert_eq!(fold(&before, &entries[..4], &right, 3), Err(FoldError::BeyondSize { next: 4, size: 3 }));
    assert_eq!(fold(&before, &entries[..4], &right[1..], 9), Err(FoldError::RightCount { expected: 2, got: 1 }));
    assert_eq!(
        fold(&before, &entries[..4], &right, LOG_SIZE_MAX + 1),
        Err(FoldError::TooLarge { size: LOG_SIZE_MAX + 1 })
    );
}

#[test]
fn a_frontier_has_exactly_the_hashes_of_its_size() {
    let (frontier, _) = log_of(&numbered(11));
    let bytes = frontier.to_bytes();
    assert_eq!(bytes.len(), 8 + 3 * 32);
    for cut in 0..bytes.len() {
        assert!(Frontier::from_bytes(&bytes[..cut]).is_err());
    }
    assert!(Frontier::from_bytes(&[bytes.as_slice(), &[0]].concat()).is_err());
    assert_eq!(Frontier::from_bytes(&u64::MAX.to_be_bytes()), Err(FrontierError::TooLarge { size: u64::MAX }));
}

proptest! {
    #[test]
    fn the_root_of_any_log_is_that_of_the_rfc(entries in entries()) {
        let (frontier, store) = log_of(&entries);
        prop_assert_eq!(frontier.root(), naive::root(&entries));
        prop_assert_eq!(frontier.size(), entries.len() as u64);
        prop_assert_eq!(Frontier::from_bytes(&frontier.to_bytes()), Ok(frontier));
        // The stored subtrees are all perfect ones, and each is the root of its leaves.
        for ((level, index), hash) in &store.nodes {
            let width = 1_usize << level;
            let start = usize::try_from(*index).unwrap() * width;
            prop_assert_eq!(naive::root(&entries[start..start + width]), *hash);
        }
        prop_assert_eq!(store.nodes.len() as u64, 2 * entries.len() as u64 - u64::from(entries.len().count_ones()));
    }

    #[test]
    fn any_cut_of_any_log_folds_to_its_root(entries in entries(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let (_, store) = log_of(&entries);
        let (a, b) = (a.index(entries.len() + 1), b.index(entries.len() + 1));
        let (from, to) = (a.min(b), a.max(b));
        let (before, _) = log_of(&entries[..from]);
        let right = right_range(&store, to as u64, entries.len() as u64).unwrap();
        let (after, root) = fold(&before, &entries[from..to], &right, entries.len() as u64).unwrap();
        prop_assert_eq!(after, log_of(&entries[..to]).0);
        prop_assert_eq!(root, naive::root(&entries));
    }

    #[test]
    fn any_bytes_are_decoded_without_a_panic_and_only_in_one_form(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(frontier) = Frontier::from_bytes(&bytes) {
            prop_assert_eq!(frontier.to_bytes(), bytes);
        }
    }

    #[test]
    fn a_small_size_with_any_hashes_is_a_frontier_that_can_go_on(size in 0_u64..5_000, seed in any::<u8>()) {
        let mut bytes = size.to_be_bytes().to_vec();
        bytes.extend(std::iter::repeat_n(seed, 32 * size.count_ones() as usize));
        let mut frontier = Frontier::from_bytes(&bytes).unwrap();
        let completed = frontier.append(b"next");
        prop_assert_eq!(completed.len() as u32, size.trailing_ones() + 1);
        prop_assert_eq!(frontier.hashes().len() as u32, (size + 1).count_ones());
    }

    #[test]
    fn any_claim_of_inclusion_is_checked_without_a_panic(
        index in any::<u64>(), size in any::<u64>(), proof in prop::collection::vec(any::<[u8; 32]>(), 0..80), root: [u8; 32],
    ) {
        prop_assert!(verify_inclusion_of_hash(&[1; 32], index, size, &proof, &root).is_err());
    }

    #[test]
    fn any_fold_is_computed_without_a_panic(
        before in 0_u64..2_000, size in any::<u64>(), right in prop::collection::vec(any::<[u8; 32]>(), 0..130),
    ) {
        let bytes = [before.to_be_bytes().to_vec(), vec![9; 32 * before.count_ones() as usize]].concat();
        let _ = fold(&Frontier::from_bytes(&bytes).unwrap(), &[b"a", b"b"], &right, size);
    }
}
