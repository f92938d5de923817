//! A decided block: executed once if it was proposed here or judged before, else now. Total: what `process` would have
//! refused (which replay does not ask) leaves a receipt, no bill and no used nonce.

use std::time::Instant;

use bytes::Bytes;
use db3_shard_state::{BlockItem, ShardState, execute};
use tendermint_proto::v0_38::abci::{ExecTxResult, RequestFinalizeBlock, ResponseFinalizeBlock};

use super::proposal::{Item, judge};
use super::{Decided, Executed, Inner, Place, place};
use crate::error::FatalError;
use crate::lock;
use crate::metrics::observe;
use crate::pool::Verdicts;

impl Inner {
    /// The result of a decided block; it is kept until the commit.
    pub(super) fn finalize(&self, request: RequestFinalizeBlock) -> Result<ResponseFinalizeBlock, FatalError> {
        let engine = |detail: &str| FatalError::Engine { detail: detail.to_owned() };
        let place = place(request.height, request.time, request.txs).ok_or_else(|| engine("a block without a time"))?;
        let committed = self.versions.committed().height;
        if committed.next() != Some(place.height) {
            return Err(engine(&format!("block {} after block {committed}", place.height)));
        }
        let hash = request.hash.as_ref().try_into().map_err(|_| engine("a block hash that is none"))?;
        let proposer = request.proposer_address.as_ref().try_into().map_err(|_| engine("a proposer that is none"))?;
        let executed = match self.take_executed(&place) {
            Some(executed) => executed,
            None => self.execute(place),
        };
        let response = ResponseFinalizeBlock {
            tx_results: executed.place.txs.iter().map(|_| ExecTxResult::default()).collect(),
            app_hash: Bytes::copy_from_slice(&executed.state.root()),
            ..ResponseFinalizeBlock::default()
        };
        *lock(&self.decided) = Some(Decided { executed, hash, proposer });
        Ok(response)
    }

    fn execute(&self, place: Place) -> Executed {
        let started = Instant::now();
        let executed = execute_block(&self.versions.committed().state, place, &self.verdicts, self.threads);
        observe(&self.metrics.execution_seconds, started.elapsed());
        executed
    }
}

/// Executes a final block, whatever it holds.
pub(crate) fn execute_block(state: &ShardState, place: Place, verdicts: &Verdicts, threads: usize) -> Executed {
    let (items, mutations): (Vec<_>, Vec<_>) = judge(verdicts, threads, &place.txs)
        .into_iter()
        .map(|Item { verdict, .. }| match verdict {
            Ok(verified) => (BlockItem::Verified(verified.clone()), Some(verified)),
            Err(refusal) => (BlockItem::Refused { id: refusal.id, rejection: refusal.rejection }, None),
        })
        .unzip();
    let (state, effects) = execute(state, place.height, place.time, &items);
    Executed { place, state, effects, mutations, dropped: Vec::new() }
}
