//! The words that every DB3 chain is written in: accounts, amounts, names, mutations, transactions, signatures, prices, bills,
//! log entries, tree keys, tree leaves, rejections and limits.
//!
//! This crate is pure. It must never read a clock, a file, a random number or the network, and nothing here may
//! panic on bytes from outside. What is encoded here has a fixed width where it can, is big endian, and is decoded by
//! functions that are total: they answer with a value or a [`DecodeError`].

pub mod account;
pub mod amount;
pub mod bill;
pub mod block;
pub mod credit;
pub mod decode;
pub mod entry;
pub mod envelope;
pub mod fatal;
pub mod hash;
pub mod identifier;
pub mod key;
pub mod leaf;
pub mod limits;
pub mod mutation;
pub mod name;
pub mod number;
pub mod posting;
pub mod price;
pub mod quote;
pub mod rejection;
pub mod shard_map;
pub mod signature;
pub mod stored;
pub mod time;
pub mod transaction;
pub mod window;

pub use account::{Address, AddressError};
pub use amount::{AmountError, TAI_PER_DB3, Tai};
pub use bill::{Bill, BillKind, Payee};
pub use block::{BlockItem, BlockOrder, Outcome, ReceiptOutcome, RefusedItem};
pub use credit::{CreditEntry, Heartbeat, LineEntry};
pub use decode::DecodeError;
pub use entry::{EpochClose, LogEntry, Statement};
pub use envelope::{
    Body, Scheme, Signed, SignedEnvelope, SignedMutation, SignedTransaction, Verified, VerifiedMutation,
    VerifiedTransaction, identifier, mutation_id, sign, sign_mutation, signing_digest, signing_text, transaction_id,
};
pub use hash::{Hash32, keccak256, sha256};
pub use identifier::{Identifier, Identifier as MutationId, Identifier as TransactionId};
pub use leaf::{
    AccountLeaf, AcknowledgedLeaf, BalanceLeaf, ChainLeaf, Cut, CutLeaf, DuesLeaf, EmissionLeaf, Fault, LineLeaf,
    NamespaceLeaf, OpenEpochLeaf, PassedLeaf, PayoutLeaf, RecordHeader, RoundLeaf, RoundPhase, Running, SettlementLeaf,
    ShardFault, ShardLeaf, Stage, SupplyLeaf, TableKind, TableLeaf,
};
pub use mutation::{Mutation, Operation, Write};
pub use name::{ChainId, Namespace, NetworkName, RecordKey, TableName};
pub use number::{Epoch, Height, Nonce, ShardId, Slot};
pub use posting::{Posting, PostingKind, PostingLine};
pub use price::{Charge, Meter, Metered, PriceTable, transaction_upper_bound, upper_bound};
pub use rejection::{Class, GrpcCode, Rejection};
pub use shard_map::{ShardMap, ShardRange};
pub use signature::{SecretKey, SignatureError, recover_k256, verify};
pub use time::{BlockTime, TimeError};
pub use transaction::{Transaction, TransactionOperation};
pub use window::NonceWindow;
