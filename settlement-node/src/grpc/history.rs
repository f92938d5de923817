//! `ListTransactions`: what an account signed, and what others sent to it.

use db3_chain::TransactionCursor;
use db3_node::grpc::{PageToken, Question, Refusal};
use db3_primitives::limits::PAGE_BYTES_MAX;
use db3_primitives::{Height, Rejection};
use db3_proto::convert::request::{account, page_size};
use db3_proto::v1;
use prost::Message as _;

use super::SettlementNode;

impl SettlementNode {
    pub(super) async fn list_transactions(
        &self,
        request: v1::ListTransactionsRequest,
    ) -> Result<v1::ListTransactionsResponse, Refusal> {
        let items = page_size(request.page_size)?;
        let party = account("account", &request.account)?;
        let question = Question::new("ListTransactions", &[&request.account]);
        let token = PageToken::open(&request.page_token, question)?;
        // The files may hold a block a moment before it is final.
        let committed = self.node.chain().committed().height.get();
        let height = token.as_ref().map_or(u64::MAX, |token| token.height).min(committed);
        let cursor = token.map(|token| read_cursor(&token.cursor)).transpose()?;
        // Beside each envelope stands its receipt, which is smaller.
        let bytes_max = PAGE_BYTES_MAX.div_euclid(2);
        let (rows, next, from) = self
            .node
            .read(move |store| {
                let (rows, next) = store.transactions_of(&party, cursor, Height::new(height), items, bytes_max)?;
                Ok((rows, next, store.transactions_from()?))
            })
            .await?;
        let transactions = rows.iter().map(|row| v1::AccountTransaction {
            // What the files hold was encoded by this node; what is damaged is missed by whoever asks.
            transaction: v1::SignedEnvelope::decode(row.envelope.as_slice()).ok(),
            receipt: Some(self.node.stored_receipt(&row.receipt)),
        });
        Ok(v1::ListTransactionsResponse {
            transactions: transactions.collect(),
            next_page_token: next
                .map_or_else(String::new, |next| PageToken { height, cursor: write_cursor(next) }.seal(question)),
            from_height: from.map_or(0, Height::get),
        })
    }
}

/// A place as a token holds it: height (8) ‖ index (4).
fn write_cursor(cursor: TransactionCursor) -> Vec<u8> {
    [cursor.height.get().to_be_bytes().as_slice(), &cursor.index.to_be_bytes()].concat()
}

fn read_cursor(bytes: &[u8]) -> Result<TransactionCursor, Rejection> {
    let read = || {
        let (height, index) = bytes.split_first_chunk()?;
        let index = u32::from_be_bytes(index.try_into().ok()?);
        Some(TransactionCursor { height: Height::new(u64::from_be_bytes(*height)), index })
    };
    read().ok_or(Rejection::PageTokenInvalid)
}
