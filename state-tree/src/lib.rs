//! The state of a chain: a persistent, ordered, binary radix Merkle tree in memory.
//!
//! A [`Tree`] is one version: it never changes, a clone is one pointer, and [`Tree::apply`] makes the next version
//! beside it, sharing whatever did not change. So readers, proofs and snapshots work on a committed version while the
//! next block executes.
//!
//! **Shape.** The bits of a key are, for every byte, a 1 and then its eight bits, most significant first, and a 0 after
//! the last byte. So no key's bits are the beginning of another's, a key sorts before those it is a prefix of, and the
//! order is that of the bytes. An inner node stands exactly where the keys below it first differ. The shape therefore
//! depends on the contents alone, never on their history.
//!
//! **Hashes.** Exactly those of the `tendermint` proof spec of [ICS-23], SHA-256 throughout:
//! leaf = `SHA-256(0x00 ‖ varint(key length) ‖ key ‖ 0x20 ‖ SHA-256(value))`, inner = `SHA-256(0x01 ‖ left ‖ right)`,
//! empty tree = `SHA-256()`. A proof of ours is an ICS-23 proof in other clothes, and absence is shown by two adjacent
//! leaves.
//!
//! **Memory.** A leaf is one allocation that holds key and value; an inner node is one that holds both children's
//! pointers and hashes. Hashes stand in the parent, each once, so neither a proof nor an update touches a sibling's
//! memory for its hash.
//!
//! The crate must never do I/O, read a clock, or let anything but keys and values decide a root. It starts threads (one
//! to free dropped versions, one beside the caller in a large [`Tree::apply`]), and no result depends on them.
//!
//! [ICS-23]: https://github.com/cosmos/ics23

mod apply;
mod batch;
mod bits;
mod cursor;
mod diff;
mod finger;
mod hash;
mod locate;
mod node;
mod plan;
mod proof;
mod prove;
mod range;
mod range_codec;
mod range_prove;
mod range_shape;
mod range_verify;
mod reaper;
mod rebuild;
mod tree;
mod verify;
mod workers;

pub use batch::{Batch, BatchError};
pub use bits::{KEY_BYTES_MAX, PATH_STEPS_MAX, prefix_end};
pub use diff::Diff;
pub use finger::Finger;
pub use hash::{EMPTY_ROOT, Hash, value_hash};
pub use proof::{AbsenceProof, ExistenceProof, PathStep, Proof, ProofError, Side};
pub use range::Range;
pub use range_codec::{RANGE_PROOF_FORMAT, RangeProof};
pub use range_prove::ProvenRange;
pub use range_verify::{LeafValue, verify_range};
pub use tree::Tree;
pub use verify::{verify_absence, verify_existence};
