//! Receipts as they travel, and `GetReceipt`.

use bytes::Bytes;
use db3_chain::store::Store;
use db3_chain::{Chain, Machine, ReceiptState, StoreError, StoredReceipt};
use db3_primitives::{Height, MutationId, Rejection};
use db3_proto::convert::request::mutation_id;
use db3_proto::status::to_message;
use db3_proto::v1;

use super::Node;
use super::refusal::Refusal;
use crate::kind::Kind;

/// What became of a mutation that was just submitted.
pub enum Fate {
    /// This is known.
    Known(Box<v1::Receipt>),
    /// It was dropped: nothing of it is in a block.
    Refused(Rejection),
}

impl<K: Kind> Node<K> {
    pub(crate) async fn get_receipt(&self, request: v1::GetReceiptRequest) -> Result<v1::GetReceiptResponse, Refusal> {
        let id = mutation_id("id", &request.id)?;
        Ok(v1::GetReceiptResponse { receipt: Some(self.receipt(id).await?) })
    }

    /// What is known of a mutation now.
    async fn receipt(&self, id: MutationId) -> Result<v1::Receipt, Refusal> {
        let chain = self.chain.clone();
        let (state, begins) = self.read(move |_| looked_up(&chain, &id)).await?;
        Ok(self.known(&id, state, begins))
    }

    /// What is known of several mutations now, read in one go for a stream.
    pub(crate) async fn receipts(&self, ids: Vec<MutationId>) -> Result<Vec<(MutationId, v1::Receipt)>, Refusal> {
        let chain = self.chain.clone();
        let read = move |_: &Store| {
            ids.into_iter().map(|id| Ok((id, looked_up(&chain, &id)?))).collect::<Result<Vec<_>, StoreError>>()
        };
        let found = self.read_in_turn(read).await?;
        Ok(found.into_iter().map(|(id, (state, begins))| (id, self.known(&id, state, begins))).collect())
    }

    /// `begins` is where this node's receipts begin, if one that it does not know may be older.
    fn known(&self, id: &MutationId, state: ReceiptState, begins: Option<Height>) -> v1::Receipt {
        let receipt = match self.fate(id, state) {
            Fate::Known(receipt) => *receipt,
            Fate::Refused(rejection) => v1::Receipt {
                rejection: Some(to_message(&rejection, Some(id))),
                ..self.bare_receipt(id, v1::ReceiptState::Unknown)
            },
        };
        v1::Receipt { history_from_height: begins.map_or(0, Height::get), ..receipt }
    }

    /// What to tell of a state.
    #[must_use]
    pub fn fate(&self, id: &MutationId, state: ReceiptState) -> Fate {
        let bare = |state| Fate::Known(Box::new(self.bare_receipt(id, state)));
        match state {
            ReceiptState::Unknown => bare(v1::ReceiptState::Unknown),
            ReceiptState::Pending => bare(v1::ReceiptState::Pending),
            ReceiptState::Expired => bare(v1::ReceiptState::Expired),
            ReceiptState::Done(receipt) => Fate::Known(Box::new(self.stored_receipt(&receipt))),
            ReceiptState::Rejected(rejection) => Fate::Refused(rejection),
        }
    }

    /// A receipt that a block holds, as it travels.
    pub fn stored_receipt(&self, receipt: &StoredReceipt) -> v1::Receipt {
        let provable = receipt.height <= self.chain.provable().height;
        receipt.to_message(&self.chain_id, provable)
    }

    fn bare_receipt(&self, id: &MutationId, state: v1::ReceiptState) -> v1::Receipt {
        v1::Receipt {
            id: Bytes::copy_from_slice(id.as_bytes()),
            state: state.into(),
            chain_id: self.chain_id.to_string(),
            ..v1::Receipt::default()
        }
    }
}

/// What is known of a mutation; where nothing is, from which height on this node has receipts, unless from the first.
fn looked_up<M: Machine>(chain: &Chain<M>, id: &MutationId) -> Result<(ReceiptState, Option<Height>), StoreError> {
    let state = chain.receipt(id)?;
    let begins = if matches!(state, ReceiptState::Unknown) { chain.history_begins()? } else { None };
    Ok((state, begins))
}
