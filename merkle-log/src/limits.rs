//! Every maximum of this crate, tied together.

/// Entries in one log. Decoded frontiers above it are refused, so that no arithmetic on a size can overflow.
pub const LOG_SIZE_MAX: u64 = 1 << 62;

/// Hashes in a frontier: one for each 1 bit of a size ≤ [`LOG_SIZE_MAX`] (2^62 itself has one, what is below it at most 62).
pub const FRONTIER_HASHES_MAX: usize = 62;

/// Bytes of an encoded frontier: size and hashes.
pub const FRONTIER_BYTES_MAX: usize = 8 + 32 * FRONTIER_HASHES_MAX;

/// Hashes in a right compact range: at most 61 growing and 61 shrinking subtrees, as in [1, 2^62 − 1).
pub const RIGHT_HASHES_MAX: usize = 122;

/// Hashes in an inclusion proof: the height of the highest tree.
pub const INCLUSION_HASHES_MAX: usize = 62;

/// Bytes of one entry that goes through an outbox.
pub const ENTRY_BYTES_MAX: usize = 65_536;

/// Bytes of all entries of one delivery.
pub const DELIVERY_BYTES_MAX: usize = 524_288;

/// Entries of one delivery.
pub const DELIVERY_ENTRIES_MAX: usize = 16_384;

const _: () = assert!(ENTRY_BYTES_MAX <= DELIVERY_BYTES_MAX, "every entry fits a delivery");
const _: () = assert!(LOG_SIZE_MAX.leading_zeros() >= 1, "twice a size is a u64");
