//! A decided block: executed once if it was proposed here or judged before, else now. Total: what `process` would have
//! refused (which replay does not ask) leaves a receipt, no bill and no used nonce. A delivery without effect takes its place
//! in the block's order like anything else that is refused, before the mutations.

use std::time::Instant;

use bytes::Bytes;
use tendermint_proto::v0_38::abci::{ExecTxResult, RequestFinalizeBlock, ResponseFinalizeBlock};

use super::governance::{misplaced_decision, validator_updates};
use super::proposal::{Decision, Judged, Placed, judge, misplaced_delivery};
use super::{Decided, Executed, Inner, Place, place};
use crate::error::FatalError;
use crate::lock;
use crate::machine::Machine;
use crate::metrics::observe;
use crate::pool::Verdicts;

impl<M: Machine> Inner<M> {
    /// The result of a decided block; it is kept until the commit.
    pub(super) fn finalize(&self, request: RequestFinalizeBlock) -> Result<ResponseFinalizeBlock, FatalError> {
        let engine = |detail: &str| FatalError::Engine { detail: detail.to_owned() };
        let place = place(request.height, request.time, request.txs, &request.misbehavior)
            .ok_or_else(|| engine("a block without a time"))?;
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
            validator_updates: validator_updates(M::validator_updates(&executed.effects)),
            app_hash: Bytes::copy_from_slice(&M::root(&executed.state)),
            ..ResponseFinalizeBlock::default()
        };
        *lock(&self.decided) = Some(Decided { executed, hash, proposer });
        Ok(response)
    }

    fn execute(&self, place: Place) -> Executed<M> {
        let started = Instant::now();
        let executed = execute_block(&self.versions.committed().state, place, &self.verdicts, self.threads);
        observe(&self.metrics.execution_seconds, started.elapsed());
        executed
    }
}

/// Executes a final block, whatever it holds.
pub(crate) fn execute_block<M: Machine>(
    state: &M::State,
    place: Place,
    verdicts: &Verdicts<M>,
    threads: usize,
) -> Executed<M> {
    let mut executor = M::begin(state, place.height, place.time, &place.misbehaviour);
    let mut mutations = Vec::new();
    let Judged { deliveries, decisions, items } = judge(verdicts, threads, &place.txs);
    for Placed { delivery, misplaced, .. } in deliveries {
        let refused =
            if misplaced { Err(misplaced_delivery()) } else { M::deliver(&mut executor, &delivery).map(|_| ()) };
        if let Err(rejection) = refused {
            tracing::warn!(source = %delivery.source, %rejection, "app.finalize: a delivery without effect");
            M::refuse_item(&mut executor, None, rejection);
            mutations.push(None);
        }
    }
    let refused_deliveries = mutations.len();
    for Decision { signed, misplaced, .. } in decisions {
        let refused = if misplaced { Err(misplaced_decision()) } else { M::govern(&mut executor, &signed).map(|_| ()) };
        if let Err(rejection) = refused {
            let sequence = signed.proposal.sequence;
            tracing::warn!(sequence, %rejection, "app.finalize: a decision without effect");
        }
    }
    for item in items {
        match item.verdict {
            Ok(verified) => {
                if let Err(rejection) = M::apply(&mut executor, &verified) {
                    M::refuse(&mut executor, &verified, rejection);
                }
                mutations.push(Some(verified));
            }
            Err(refusal) => {
                M::refuse_item(&mut executor, refusal.id, refusal.rejection);
                mutations.push(None);
            }
        }
    }
    let (state, effects) = M::finish(executor);
    Executed { place, state, effects, mutations, refused_deliveries, dropped: Vec::new() }
}
