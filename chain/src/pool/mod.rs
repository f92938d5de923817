//! What waits: mutations to be verified, verdicts that are remembered, mutations to be put in a block. Each has its
//! maximum, and what does not fit is answered at once.

mod bundled;
mod decisions;
mod deliveries;
pub(crate) mod mempool;
pub(crate) mod order;
pub(crate) mod receipt;
mod shares;
pub(crate) mod verdicts;
pub(crate) mod verifiers;
mod waiting;

#[cfg(test)]
pub(crate) use bundled::PATIENCE_BLOCKS;
pub(crate) use decisions::Decisions;
pub(crate) use deliveries::{Deliveries, Worth};
pub use deliveries::{DeliveryState, SubmittedDelivery};
pub(crate) use mempool::Mempool;
pub use receipt::{ReceiptState, ReceiptWatch};
pub(crate) use verdicts::Verdicts;
pub(crate) use verifiers::Verifiers;
