//! An append-only log under one hash: the Merkle tree of RFC 6962 (Certificate Transparency), and on it the outbox and the
//! inbox through which two chains speak.
//!
//! - The tree: a leaf is SHA-256(0x00 ‖ entry), an inner node SHA-256(0x01 ‖ left ‖ right), the empty tree SHA-256(""). A tree
//!   of n > 1 leaves splits at the largest power of two below n.
//! - [`Frontier`]: the perfect subtrees of [0, size), left to right. All that a state needs to keep of a log.
//! - [`NodeSource`]: the hashes of all perfect subtrees, kept by the caller; [`Frontier::append`] says which ones are new.
//! - [`inclusion_proof`], [`verify_inclusion`]: that an entry stands at an index.
//! - [`right_range`], [`fold`]: that some next entries, and none but they, lead from one frontier to a root (DESIGN.md, Carry).
//! - [`Outbox`], [`Delivery`], [`Inbox`]: the log at its writer, a piece of it on the way, and the log at its reader (rule I4:
//!   every entry is applied exactly once, in order).
//!
//! This crate hashes; it never stores, fetches, signs or waits.

mod delivery;
mod frontier;
mod hash;
mod inbox;
mod inclusion;
pub mod limits;
mod outbox;
mod range;
mod source;

pub use delivery::{DeliverError, Delivery, deliver};
pub use frontier::{CompletedNode, Frontier, FrontierError};
pub use hash::{EMPTY_ROOT, Hash, leaf_hash, node_hash};
pub use inbox::{Inbox, InboxError, Received};
pub use inclusion::{InclusionError, inclusion_proof, verify_inclusion, verify_inclusion_of_hash};
pub use outbox::{Appended, EntryTooLong, Outbox};
pub use range::{FoldError, fold, right_range};
pub use source::{LogSource, NodeSource, ProofError};
