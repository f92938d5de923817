//! What is known of one mutation, and waiting for it to change.

use std::sync::Arc;

use db3_primitives::{Height, Rejection};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::store::receipts::StoredReceipt;

/// What is known of a mutation.
#[derive(Clone, Debug, PartialEq)]
pub enum ReceiptState {
    /// This node has not seen it, has forgotten that it dropped it, or let it go because its account cannot pay it now: another
    /// node may hold it still, and a block may until it expires.
    Unknown,
    /// Admitted, and in no block yet.
    Pending,
    /// A block holds it.
    Done(Arc<StoredReceipt>),
    /// It was admitted, and then what stood before it in a block made it impossible for good. No block holds it, and none
    /// ever will.
    Rejected(Rejection),
    /// A block's time is past its expiry and no block holds it, so none ever will.
    Expired,
}

impl ReceiptState {
    /// Whether nothing can come after this.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Unknown | Self::Pending => false,
            Self::Done(_) | Self::Rejected(_) | Self::Expired => true,
        }
    }
}

/// Waits for a mutation's end.
#[derive(Clone, Debug)]
pub struct ReceiptWatch {
    pub(crate) state: watch::Receiver<ReceiptState>,
    pub(crate) provable_height: watch::Receiver<Height>,
}

impl ReceiptWatch {
    /// A watch of something that does not change any more.
    pub(crate) fn settled(state: ReceiptState, provable_height: watch::Receiver<Height>) -> Self {
        Self { state: watch::channel(state).1, provable_height }
    }

    /// What is known now.
    #[must_use]
    pub fn now(&self) -> ReceiptState {
        self.state.borrow().clone()
    }

    /// Whether the height's root stands in a header that exists.
    #[must_use]
    pub fn is_provable(&self, height: Height) -> bool {
        *self.provable_height.borrow() >= height
    }

    /// Waits until a block holds the mutation, none ever will, or this node holds it no more, at most until `deadline`; then
    /// what is known.
    pub async fn committed(&mut self, deadline: Instant) -> ReceiptState {
        // A node that stops drops the sender; what is known then is the last that it said.
        let _ = timeout_at(deadline, self.state.wait_for(|state| *state != ReceiptState::Pending)).await;
        self.now()
    }

    /// As [`Self::committed`], and then until the header exists that carries the root after that block.
    pub async fn provable(&mut self, deadline: Instant) -> ReceiptState {
        let state = self.committed(deadline).await;
        if let ReceiptState::Done(receipt) = &state {
            let height = receipt.height;
            let _ = timeout_at(deadline, self.provable_height.wait_for(|provable| *provable >= height)).await;
        }
        state
    }
}
