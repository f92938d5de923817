//! `GetBlock` and `ListBlocks`.

use bytes::Bytes;
use db3_chain::BlockSummary;
use db3_primitives::{Height, Rejection, limits};
use db3_proto::convert::request::page_size;
use db3_proto::convert::timestamp;
use db3_proto::v1;
use prost::Message as _;

use super::Node;
use super::refusal::Refusal;
use super::token::{PageToken, Question};
use crate::kind::Kind;

/// Rows that one page looks at when it leaves out empty blocks.
const VISITS_MAX: usize = 10_000;

impl<K: Kind> Node<K> {
    pub(crate) async fn get_block(&self, request: v1::GetBlockRequest) -> Result<v1::GetBlockResponse, Refusal> {
        let items = page_size(request.page_size)?;
        let question = Question::new("GetBlock", &[&request.height.to_be_bytes()]);
        let token = PageToken::open(&request.page_token, question)?;
        let from = match &token {
            Some(token) => {
                u32::from_be_bytes(token.cursor.as_slice().try_into().map_err(|_| Rejection::PageTokenInvalid)?)
            }
            None => 0,
        };
        let height = match (&token, request.height) {
            (Some(token), _) => Height::new(token.height),
            (None, 0) => self.chain.committed().height,
            (None, height) => Height::new(height),
        };
        // A block may be in the files a moment before it is final.
        if height > self.chain.committed().height {
            return Err(Rejection::BlockNotFound { height }.into());
        }
        let limit = items.saturating_add(1);
        let (summary, receipts) =
            self.read(move |store| Ok((store.summary(height)?, store.receipts(height, from, limit)?))).await?;
        let Some(summary) = summary else {
            let chain = self.chain.clone();
            let begins = self.read(move |_| chain.history_begins()).await?.filter(|from| height < *from);
            let missing = |from| Rejection::HistoryMissing { what: format!("block {height}"), from };
            return Err(begins.map_or(Rejection::BlockNotFound { height }, missing).into());
        };
        let mut page = Vec::new();
        let mut bytes = 0_usize;
        let mut next = None;
        for receipt in &receipts {
            let message = self.stored_receipt(receipt);
            bytes = bytes.saturating_add(message.encoded_len());
            if page.len() >= items || (bytes > limits::PAGE_BYTES_MAX && !page.is_empty()) {
                next = Some(receipt.index);
                break;
            }
            page.push(message);
        }
        Ok(v1::GetBlockResponse {
            block: Some(self.block_message(&summary)),
            receipts: page,
            next_page_token: next.map_or_else(String::new, |index: u32| {
                PageToken { height: height.get(), cursor: index.to_be_bytes().to_vec() }.seal(question)
            }),
        })
    }

    pub(crate) async fn list_blocks(&self, request: v1::ListBlocksRequest) -> Result<v1::ListBlocksResponse, Refusal> {
        let items = page_size(request.page_size)?;
        let question =
            Question::new("ListBlocks", &[&request.from_height.to_be_bytes(), &[u8::from(request.skip_empty)]]);
        let token = PageToken::open(&request.page_token, question)?;
        let newest = self.chain.committed().height;
        let from = match (&token, request.from_height) {
            (Some(token), _) => Height::new(token.height),
            (None, 0) => newest,
            (None, height) => Height::new(height),
        };
        let from = from.min(newest);
        let empty = !request.skip_empty;
        let (blocks, next) = self.read(move |store| store.summaries(from, items, empty, VISITS_MAX)).await?;
        Ok(v1::ListBlocksResponse {
            blocks: blocks.iter().map(|block| self.block_message(block)).collect(),
            next_page_token: next
                .map_or_else(String::new, |next| PageToken { height: next.get(), cursor: Vec::new() }.seal(question)),
        })
    }

    /// A block in short.
    pub(crate) fn block_message(&self, block: &BlockSummary) -> v1::Block {
        v1::Block {
            chain_id: self.chain_id.to_string(),
            height: block.height.get(),
            hash: Bytes::copy_from_slice(&block.hash),
            time: Some(timestamp(block.time)),
            app_hash: Bytes::copy_from_slice(&block.app_hash),
            root: Bytes::copy_from_slice(&block.root),
            proposer: Bytes::copy_from_slice(&block.proposer),
            transactions: block.transactions,
            deliveries: block.deliveries,
            transaction_bytes: block.transaction_bytes,
            mutations: block.mutations,
            applied: block.applied,
            failed: block.failed,
            fees_tai: block.fees.to_string(),
            outbox_entries: block.outbox_entries,
            epoch: block.epoch.get(),
        }
    }
}
