//! Every maximum of this crate.

use std::time::Duration;

use db3_light_client::limits::{LIGHT_BLOCK_BYTES_MAX, VALIDATOR_SET_BYTES_MAX};
use db3_merkle_log::limits::{DELIVERY_BYTES_MAX, DELIVERY_ENTRIES_MAX};
use db3_primitives::limits::{DELIVERY_HEADERS_MAX, DELIVERY_TX_BYTES_MAX};

/// Entries asked for at once.
pub const PAGE_ENTRIES: i32 = 1_000;

/// Headers asked for while looking for those that lead from the trusted one to the newest.
pub const HEADERS_FETCHED_MAX: usize = 128;

/// Bytes of headers that go alone: what a delivery holds, less a little for what stands around them.
pub const HEADERS_BYTES_MAX: usize = DELIVERY_TX_BYTES_MAX - 1_024 - 32 * DELIVERY_HEADERS_MAX;

/// Bytes of headers beside which as many entries go as a delivery can hold; heavier ones go alone first.
pub const HEADERS_BESIDE_ENTRIES_BYTES_MAX: usize = LIGHT_BLOCK_BYTES_MAX + VALIDATOR_SET_BYTES_MAX;

/// Bytes around the entries and headers of a delivery: a tag and a length for each entry, the proof, the leaf, the hashes.
const AROUND_BYTES_MAX: usize = 4 * DELIVERY_ENTRIES_MAX + 32_768;

const _: () = assert!(
    HEADERS_BESIDE_ENTRIES_BYTES_MAX + DELIVERY_BYTES_MAX + AROUND_BYTES_MAX <= DELIVERY_TX_BYTES_MAX,
    "the largest header has room beside the most entries"
);
const _: () = assert!(
    2 * HEADERS_BESIDE_ENTRIES_BYTES_MAX <= HEADERS_BYTES_MAX,
    "two headers, which are a part of a way, have room in one delivery"
);

/// Wait after the first failure; it doubles from one to the next.
pub const RETRY_FIRST: Duration = Duration::from_millis(50);

/// Characters of an error that are kept.
pub const ERROR_CHARS_MAX: usize = 500;

/// Wait where the reader's time is behind the writer's: the same delivery is good in a moment.
pub const TOO_EARLY_PAUSE: Duration = Duration::from_secs(1);
