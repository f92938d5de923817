//! `SubmitGovernance` and `GetGovernance`: what operators decide, and what they have decided.

use bytes::Bytes;
use db3_chain::{DecisionEnd, DecisionRow, Machine as _};
use db3_governance::{Evidence, Proposal, Validator};
use db3_primitives::{Height, key};
use db3_proto::convert::request::invalid;
use db3_proto::convert::timestamp_of_secs;
use db3_proto::{decode_governance_message, v1};
use tokio::time::Instant;

use super::Node;
use super::refusal::Refusal;
use super::writes::Wait;
use crate::kind::Kind;

/// Decisions that an answer tells of.
const DECISIONS_MAX: usize = 100;

impl<K: Kind> Node<K> {
    pub(crate) async fn submit_governance(
        &self,
        request: v1::SubmitGovernanceRequest,
        deadline: Instant,
    ) -> Result<v1::SubmitGovernanceResponse, Refusal> {
        let wait = Wait::read(request.wait)?;
        let message = request.governance.ok_or_else(|| invalid("governance", "is missing; send a signed proposal"))?;
        let signed = decode_governance_message(&message)?;
        let (id, at_height) = (signed.proposal.id(), signed.proposal.at_height);
        if request.dry_run {
            let rehearsed = self.chain.rehearse_governance(signed.proposal).await;
            let at_height = rehearsed.map_err(|error| error.rejection())?.get();
            let id = Bytes::copy_from_slice(id.as_bytes());
            return Ok(v1::SubmitGovernanceResponse { id, height: 0, at_height });
        }
        let submitted = self.chain.submit_governance(signed).await.map_err(|error| error.rejection())?;
        let height = match wait {
            Wait::Checked => None,
            Wait::Committed | Wait::Provable => submitted.block(deadline).await?,
        };
        if let (Wait::Provable, Some(height)) = (wait, height) {
            // A deadline that passes now changes nothing of what the block holds.
            let _ = self.chain.wait_height(height, deadline).await;
        }
        let after = |height: Height| at_height.max(height.next().unwrap_or(height));
        Ok(v1::SubmitGovernanceResponse {
            id: Bytes::copy_from_slice(id.as_bytes()),
            height: height.map_or(0, Height::get),
            at_height: height.map_or(0, |height| after(height).get()),
        })
    }

    pub(crate) async fn get_governance(
        &self,
        request: v1::GetGovernanceRequest,
        deadline: Instant,
    ) -> Result<v1::GetGovernanceResponse, Refusal> {
        let view = self.view(request.read, None, deadline).await?;
        let height = Height::new(view.height());
        let decisions = self.read(move |store| store.decisions(height, DECISIONS_MAX)).await?;
        let session = K::Machine::governance(view.state());
        let tree_key = key::governance();
        Ok(v1::GetGovernanceResponse {
            sequence: session.leaf().map_or(0, db3_governance::GovernanceLeaf::sequence),
            validators: session.leaf().map_or(&[][..], |leaf| leaf.validators()).iter().map(validator).collect(),
            scheduled: session.scheduled().map(|(at_height, proposal)| scheduled(at_height, proposal)).collect(),
            evidence: session.evidence().map(|evidence| recorded(&evidence)).collect(),
            context: Some(view.context()),
            decisions: decisions.iter().map(decision).collect(),
            stored: view.stored(&tree_key),
            ics23_proof: view.proof_of(&tree_key),
        })
    }
}

fn validator(validator: &Validator) -> v1::GovernanceValidator {
    v1::GovernanceValidator {
        key: Bytes::copy_from_slice(&validator.key),
        power: validator.power,
        operator: Bytes::copy_from_slice(validator.operator.as_bytes()),
        payout: Bytes::copy_from_slice(validator.payout.as_bytes()),
    }
}

fn scheduled(at_height: Height, proposal: &Proposal) -> v1::ScheduledChange {
    v1::ScheduledChange {
        at_height: at_height.get(),
        sequence: proposal.sequence,
        id: Bytes::copy_from_slice(proposal.id().as_bytes()),
        body: proposal.to_bytes().into(),
        text: proposal.signing_text(),
    }
}

fn decision(row: &DecisionRow) -> v1::Decision {
    let (state, rejection, cancelled_by) = match row.ended.as_ref().map(|(_, end)| end) {
        None => (v1::DecisionState::Scheduled, None, 0),
        Some(DecisionEnd::Done) => (v1::DecisionState::Done, None, 0),
        Some(DecisionEnd::Dropped(why)) => (v1::DecisionState::Dropped, Some(why.as_ref().clone()), 0),
        Some(DecisionEnd::Cancelled { by }) => (v1::DecisionState::Cancelled, None, *by),
    };
    v1::Decision {
        sequence: row.sequence,
        id: Bytes::copy_from_slice(row.id.as_bytes()),
        height: row.accepted.map_or(0, Height::get),
        at_height: row.at_height.get(),
        state: state.into(),
        end_height: row.ended.as_ref().map_or(0, |(height, _)| height.get()),
        rejection,
        cancelled_by,
    }
}

fn recorded(evidence: &Evidence) -> v1::ValidatorEvidence {
    let known = evidence.known;
    v1::ValidatorEvidence {
        validator: Bytes::copy_from_slice(&evidence.validator),
        key: known.map(|known| Bytes::copy_from_slice(&known.key)).unwrap_or_default(),
        kind: u32::from(evidence.kind.number()),
        height: evidence.height.get(),
        time: Some(timestamp_of_secs(evidence.time_secs)),
        recorded_height: evidence.recorded.get(),
        power: known.map_or(0, |known| known.power),
        operator: known.map(|known| Bytes::copy_from_slice(known.operator.as_bytes())).unwrap_or_default(),
        removed: evidence.removed(),
    }
}
