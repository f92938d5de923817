//! Every maximum of the protocol, in one place, tied together at compile time.
//!
//! A size ends in its unit. Whoever changes one of these changes what a chain accepts.

use crate::Tai;

/// Slots that namespaces hash to.
pub const SLOTS: u16 = 1_024;
/// Most shards that one network may have: one slot each.
pub const SHARDS_MAX: u32 = 1_024;

/// Longest namespace and longest table name.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest network name.
pub const NETWORK_NAME_BYTES_MAX: usize = 32;
/// Longest chain id: `CometBFT` and the Tendermint types take 50 bytes.
pub const CHAIN_ID_BYTES_MAX: usize = 50;
/// Longest record key.
pub const KEY_BYTES_MAX: usize = 256;
/// Longest key and value together.
pub const PAIR_BYTES_MAX: usize = 10_240;

/// Most operations of one mutation.
pub const OPERATIONS_PER_MUTATION_MAX: usize = 1_000;
/// Longest encoded `SignedEnvelope`.
pub const MUTATION_BYTES_MAX: usize = 262_144;
/// Longest bundle, which is one consensus transaction holding many mutations.
pub const BUNDLE_BYTES_MAX: usize = 524_288;
/// Most mutations in one bundle.
pub const BUNDLE_MUTATIONS_MAX: usize = 10_000;
/// Longest consensus transaction of any kind.
pub const TX_BYTES_MAX: usize = 1_048_576;
/// Longest block: `CometBFT` gossips and syncs larger ones too slowly.
pub const BLOCK_BYTES_MAX: usize = 4_194_304;
/// Most mutations in one block; a chain's parameters may set fewer.
pub const BLOCK_MUTATIONS_MAX: u32 = 20_000;
/// Most operations in one block.
pub const BLOCK_OPERATIONS_MAX: u32 = 60_000;
/// Most accounts that one block visits while it emits the statements of a close.
pub const CLOSE_ACCOUNTS_PER_BLOCK_MAX: u32 = 4_096;
/// Most deliveries from other chains in one block.
pub const BLOCK_DELIVERIES_MAX: usize = 16;
/// Longest delivery, as it is encoded in a consensus transaction of its own.
pub const DELIVERY_TX_BYTES_MAX: usize = 1_048_576;
/// Most log entries in one delivery.
pub const DELIVERY_ENTRIES_MAX: usize = 16_384;
/// Most headers that one delivery brings for the light client.
pub const DELIVERY_HEADERS_MAX: usize = 16;

/// Most operations of one transaction on the settlement chain.
pub const TRANSACTION_OPERATIONS_MAX: usize = 64;
/// Longest encoded `SignedEnvelope` of a transaction.
pub const TRANSACTION_BYTES_MAX: usize = 16_384;
/// Highest ceiling of a credit line, largest amount of a transaction, and largest supply: so low that the sum over any
/// accounts and shards there can be fits an amount.
pub const CEILING_TAI_MAX: Tai = Tai::new(1 << 96);

/// Furthest expiry of a mutation after the block's time, unless a chain's parameters say otherwise.
pub const EXPIRY_AHEAD_SECS_MAX: u64 = 3_600;
/// How many nonces above the base of a window may be used in any order.
pub const NONCE_WINDOW: u64 = 4_096;
/// Longest bitmap of a window.
pub const NONCE_BITMAP_BYTES_MAX: usize = 512;
/// A nonce further than this above the highest seen is refused.
pub const NONCE_JUMP_MAX: u64 = 65_536;

/// Longest key of the state tree.
pub const TREE_KEY_BYTES_MAX: usize = 512;
/// Bytes of a record's header in its leaf.
pub const RECORD_HEADER_BYTES: usize = 45;
/// Longest leaf that holds a record.
pub const RECORD_LEAF_BYTES_MAX: usize = 10_285;

/// Most items in one page of a list.
pub const PAGE_ITEMS_MAX: usize = 1_000;
/// Items in one page when the caller names no number.
pub const PAGE_ITEMS_DEFAULT: usize = 100;
/// Longest page.
pub const PAGE_BYTES_MAX: usize = 3_145_728;
/// Longest page token.
pub const PAGE_TOKEN_BYTES_MAX: usize = 1_024;
/// Most keys in one batched read.
pub const BATCH_READ_KEYS_MAX: usize = 1_000;
/// Most mutations in one batched submission.
pub const BATCH_SUBMIT_MUTATIONS_MAX: usize = 1_000;
/// Longest gRPC message in either direction.
pub const GRPC_MESSAGE_BYTES_MAX: usize = 4_194_304;

/// Bytes of a bill's encoding.
pub const BILL_BYTES: usize = 159;
/// Bytes of the longest log entry's encoding.
pub const LOG_ENTRY_BYTES_MAX: usize = 141;
/// Longest encoded frontier of a log: its size and at most 64 hashes.
pub const FRONTIER_BYTES_MAX: usize = 2_056;
/// Most entries at fault of one shard's log that the settlement chain notes one by one once they are forgiven.
pub const FORGIVEN_FAULTS_MAX: usize = 64;
/// Most recipients of one pool: as many as a chain has validators.
pub const PAYOUTS_MAX: usize = 1_024;
/// Most power that the recipients of one pool have together, as Tendermint limits it.
pub const PAYOUT_POWER_MAX: u64 = (1 << 60) - 1;
/// Most lines that one block of the settlement chain visits during a round.
pub const ROUND_ACCOUNTS_PER_BLOCK_MAX: u32 = 65_536;
/// Most entries that the transactions of one block of the settlement chain write into the log to one shard.
pub const BLOCK_LINE_ENTRIES_MAX: u32 = 4_096;
/// Lines of an account that has few. What an operation costs grows with the lines, so accounts with more share a budget.
pub const LINES_FEW: usize = 16;
/// How many lines the transactions of one block of the settlement chain read of accounts with more than [`LINES_FEW`], before
/// such accounts wait for the next block. The operation that reaches it may go beyond.
pub const BLOCK_LINES_MAX: u32 = 262_144;
/// Most pending cuts that one block of the settlement chain confirms.
pub const BLOCK_CUTS_MAX: usize = 16_384;
/// Most governance transactions in one block.
pub const BLOCK_GOVERNANCE_MAX: usize = 4;
/// Longest body of a governance transaction.
pub const GOVERNANCE_BODY_BYTES_MAX: usize = 131_072;
/// Longest governance transaction, as it is encoded in a consensus transaction of its own.
pub const GOVERNANCE_TX_BYTES_MAX: usize = 262_144;
/// Most actions of one governance transaction.
pub const GOVERNANCE_ACTIONS_MAX: usize = 256;
/// Most signatures of one governance transaction.
pub const GOVERNANCE_SIGNATURES_MAX: usize = 1_000;
/// Most statements that governance makes up for, in one replacement of a channel.
pub const GOVERNANCE_STATEMENTS_MAX: usize = 1_000;
/// Most changes that wait for their height.
pub const GOVERNANCE_SCHEDULED_MAX: usize = 16;
/// How many blocks ahead a change may be scheduled: some 100 days of blocks of a second.
pub const GOVERNANCE_AHEAD_BLOCKS_MAX: u64 = 10_000_000;
/// Largest numerator and denominator of the factor between collateral and credit.
pub const FACTOR_MAX: u64 = 1_000_000;
/// Shortest and longest epoch.
pub const EPOCH_SECS_MIN: u64 = 1;
/// Longest epoch: one day.
pub const EPOCH_SECS_MAX: u64 = 86_400;

const _: () = assert!(SHARDS_MAX == SLOTS as u32, "a shard without a slot would never be used");
const _: () = assert!(SLOTS == 1 << 10, "a slot is ten bits of a hash");
const _: () = assert!(NAME_BYTES_MAX <= u8::MAX as usize, "tree keys hold a name's length in one byte");
const _: () = assert!(NAME_BYTES_MAX >= 42, "an account's own namespace is 42 bytes");
const _: () = assert!(
    NETWORK_NAME_BYTES_MAX + "-shard-4294967295".len() <= CHAIN_ID_BYTES_MAX,
    "every network has a chain id for each of its shards"
);
const _: () = assert!(NETWORK_NAME_BYTES_MAX + "-settlement".len() <= CHAIN_ID_BYTES_MAX);
const _: () = assert!(
    "rec/".len() + 1 + NAME_BYTES_MAX + 1 + NAME_BYTES_MAX + KEY_BYTES_MAX <= TREE_KEY_BYTES_MAX,
    "the longest record has a tree key"
);
const _: () = assert!("outbox/".len() + CHAIN_ID_BYTES_MAX <= TREE_KEY_BYTES_MAX);
const _: () = assert!(KEY_BYTES_MAX < PAIR_BYTES_MAX);
const _: () = assert!(PAIR_BYTES_MAX < MUTATION_BYTES_MAX, "a mutation holds at least one largest pair");
const _: () = assert!(MUTATION_BYTES_MAX < BUNDLE_BYTES_MAX, "a bundle holds at least one largest mutation");
const _: () = assert!(BUNDLE_BYTES_MAX <= TX_BYTES_MAX);
const _: () = assert!(TX_BYTES_MAX < BLOCK_BYTES_MAX, "a block holds at least one largest transaction");
const _: () = assert!(OPERATIONS_PER_MUTATION_MAX <= BLOCK_OPERATIONS_MAX as usize);
const _: () = assert!(BUNDLE_MUTATIONS_MAX <= BLOCK_MUTATIONS_MAX as usize);
const _: () = assert!(TRANSACTION_OPERATIONS_MAX <= BLOCK_LINE_ENTRIES_MAX as usize, "an empty block has room for any");
const _: () = assert!(
    TRANSACTION_OPERATIONS_MAX * SHARDS_MAX as usize <= BLOCK_LINES_MAX as usize,
    "an empty block has room for any transaction: an operation reads the lines of one account once"
);
const _: () = assert!(
    BLOCK_LINE_ENTRIES_MAX as usize * 4 <= DELIVERY_ENTRIES_MAX
        && CLOSE_ACCOUNTS_PER_BLOCK_MAX < BLOCK_LINE_ENTRIES_MAX * 2,
    "a reader that takes one delivery a block is faster than what a block's transactions or closes write"
);
const _: () = assert!(NONCE_BITMAP_BYTES_MAX as u64 * 8 == NONCE_WINDOW);
const _: () = assert!(NONCE_WINDOW <= NONCE_JUMP_MAX, "so the window's end is the stricter of the two rules");
const _: () = assert!(RECORD_LEAF_BYTES_MAX == RECORD_HEADER_BYTES + PAIR_BYTES_MAX);
const _: () = assert!(PAGE_ITEMS_DEFAULT <= PAGE_ITEMS_MAX);
const _: () = assert!(RECORD_LEAF_BYTES_MAX < PAGE_BYTES_MAX, "a page holds at least one largest record");
const _: () = assert!(PAGE_BYTES_MAX < GRPC_MESSAGE_BYTES_MAX, "a page and its proof fit a message");
const _: () = assert!(MUTATION_BYTES_MAX < GRPC_MESSAGE_BYTES_MAX);
const _: () = assert!(FRONTIER_BYTES_MAX == 8 + 64 * 32);
const _: () = assert!(0 < EPOCH_SECS_MIN && EPOCH_SECS_MIN <= EPOCH_SECS_MAX);
const _: () = assert!(DELIVERY_TX_BYTES_MAX <= TX_BYTES_MAX);
const _: () = assert!(LOG_ENTRY_BYTES_MAX + FRONTIER_BYTES_MAX < DELIVERY_TX_BYTES_MAX, "a delivery holds an entry");
const _: () = assert!(TRANSACTION_BYTES_MAX <= MUTATION_BYTES_MAX);
const _: () = assert!(TRANSACTION_OPERATIONS_MAX <= OPERATIONS_PER_MUTATION_MAX);
const _: () = assert!(GOVERNANCE_TX_BYTES_MAX <= TX_BYTES_MAX);
const _: () = assert!(
    GOVERNANCE_BODY_BYTES_MAX + GOVERNANCE_SIGNATURES_MAX * 80 < GOVERNANCE_TX_BYTES_MAX,
    "a longest body and most signatures fit a transaction"
);
const _: () = assert!(CEILING_TAI_MAX.get() <= u128::MAX >> 31, "so that the sum of 2^31 of them is an amount");
