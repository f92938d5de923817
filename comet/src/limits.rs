//! Every maximum of this crate, tied together.

use db3_primitives::limits::BLOCK_BYTES_MAX;

/// Bytes of one request of `CometBFT`, genesis aside: a block with its commit, or a chunk of a snapshot (16 MB at most).
pub const FRAME_BYTES: usize = 32 * 1024 * 1024;
/// Bytes that stand around the application's genesis state in the request that hands it over.
pub const INIT_CHAIN_EXTRA_BYTES: usize = 1024 * 1024;
/// Bytes that are read at once.
pub const READ_BYTES: usize = 64 * 1024;
/// Bytes of requests of one connection that were read and not yet answered; more where the mempool may hold more.
pub const QUEUED_BYTES: usize = 128 * 1024 * 1024;
/// Bytes of transactions in `CometBFT`'s mempool, unless the operator says otherwise.
pub const MEMPOOL_BYTES: u64 = 64_000_000;
/// Bytes of replies that are gathered before they are written.
pub const GATHERED_BYTES: usize = 256 * 1024;
/// Connections at once: `CometBFT` has four, and those of a process that ended may not be closed yet.
pub const CONNECTIONS_MAX: usize = 32;
/// Bytes of a socket's path, as Linux limits it, with the zero at its end.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Bytes of an answer of `CometBFT`'s RPC: a block in base64 and what stands around it.
pub const RPC_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a question that the state-sync server reads.
pub const SYNC_REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// Validators on one page of the RPC.
pub const VALIDATORS_PER_PAGE: usize = 100;
/// Bundles on their way through the broadcast service at once.
pub const BROADCASTS_MAX: usize = 64;
/// Bytes of one line of `CometBFT`'s log that are looked at.
pub const LOG_LINE_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(FRAME_BYTES > 2 * BLOCK_BYTES_MAX, "a block fits a frame with its commit");
const _: () = assert!(FRAME_BYTES < QUEUED_BYTES);
const _: () = assert!(RPC_BODY_BYTES_MAX > 2 * BLOCK_BYTES_MAX, "a block in base64 fits an answer");
