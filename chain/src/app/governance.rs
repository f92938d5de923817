//! What operators decided, on its way to a block, and what consensus reports of validators.
//!
//! Anybody may send what nobody signed, so the checks come in order of their cost: what the state says against chain, number
//! and times, then the signatures, and only of what enough operators have signed the keys that it names. What false ones cost
//! the engine's thread beyond the first of these is a share of its time; while that is used up, no signature of a decision from
//! elsewhere is looked at, and it comes into a block by the node that it was sent to.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use db3_governance::{Action, Misbehaviour, MisbehaviourKind, Proposal, Report, SignedProposal};
use db3_primitives::{BlockTime, Hash32, Height, Rejection};
use db3_proto::encode_governance_tx;
use tendermint_proto::google::protobuf::Timestamp;
use tendermint_proto::v0_38::abci::{Misbehavior, ValidatorUpdate};
use tendermint_proto::v0_38::crypto::{PublicKey, public_key};
use tokio::sync::OwnedSemaphorePermit;

use super::Inner;
use super::allowance::Allowance;
use crate::config::EngineKind;
use crate::error::SubmitError;
use crate::lock;
use crate::machine::Machine;
use crate::pool::SubmittedDelivery;

/// One part in so many of its time the engine's thread may spend on signatures of false decisions.
const FALSE_PART: u32 = 20;

/// What false decisions may cost the engine's thread.
pub(crate) struct FalseDecisions(Allowance);

impl Default for FalseDecisions {
    fn default() -> Self {
        Self(Allowance::of(FALSE_PART, Instant::now()))
    }
}

#[cfg(test)]
impl FalseDecisions {
    /// Uses it up, for long.
    pub(crate) fn exhaust(&mut self) {
        self.0.spend(std::time::Duration::from_secs(3_600));
    }
}

impl<M: Machine> Inner<M> {
    /// Takes a decision: checked in full, then among what waits for a block.
    pub(crate) async fn submit_governance(
        self: &Arc<Self>,
        signed: SignedProposal,
    ) -> Result<SubmittedDelivery, SubmitError> {
        if *self.ended.borrow() {
            return Err(SubmitError::Stopping);
        }
        self.look_at_decision(&signed.proposal).map_err(|rejection| self.rejected(rejection, None))?;
        let place = self.place_for_check()?;
        let inner = Arc::clone(self);
        let checked = tokio::task::spawn_blocking(move || {
            let taken = inner.take_governance(signed);
            drop(place);
            taken.map_err(|rejection| inner.rejected(rejection, None))
        });
        checked.await.unwrap_or(Err(SubmitError::Stopping))
    }

    /// Whether the next block could accept a proposal if enough operators had signed it. Gives the height at which its change
    /// would take effect. Nothing is kept of it.
    pub(crate) async fn rehearse_governance(self: &Arc<Self>, proposal: Proposal) -> Result<Height, SubmitError> {
        if *self.ended.borrow() {
            return Err(SubmitError::Stopping);
        }
        let place = self.place_for_check()?;
        let inner = Arc::clone(self);
        let rehearsed = tokio::task::spawn_blocking(move || {
            let rehearsed = inner.rehearse(&proposal);
            drop(place);
            rehearsed.map_err(|rejection| inner.rejected(rejection, None))
        });
        rehearsed.await.unwrap_or(Err(SubmitError::Stopping))
    }

    fn rehearse(&self, proposal: &Proposal) -> Result<Height, Rejection> {
        let version = self.versions.committed();
        let now = self.clock.now().max(version.time);
        let next = version.height.next().unwrap_or(version.height);
        let at_height = M::rehearse_governance(&version.state, proposal, next, now)?;
        self.check_engine(proposal).map(|()| at_height)
    }

    fn place_for_check(&self) -> Result<OwnedSemaphorePermit, SubmitError> {
        let full = Rejection::Overloaded { what: "too many decisions wait to be checked" };
        self.decisions.check().ok_or_else(|| self.rejected(full, None))
    }

    /// The embedded engine has one validator, for good.
    fn check_engine(&self, proposal: &Proposal) -> Result<(), Rejection> {
        let is_of_validators = proposal.actions.iter().any(Action::is_of_validators);
        if self.config.engine == EngineKind::Solo && is_of_validators {
            Err(Rejection::GovernanceEngine)
        } else {
            Ok(())
        }
    }

    /// Whether the next block could accept it, as far as that costs next to nothing to say.
    fn look_at_decision(&self, proposal: &Proposal) -> Result<(), Rejection> {
        let version = self.versions.committed();
        let now = self.clock.now().max(version.time);
        let next = version.height.next().unwrap_or(version.height);
        M::governance(&version.state).look(self.genesis.chain_id(), next, now, proposal).map(|_| ())
    }

    /// Checks a decision in full and lets it wait for a block.
    pub(crate) fn take_governance(&self, signed: SignedProposal) -> Result<SubmittedDelivery, Rejection> {
        self.check_engine(&signed.proposal)?;
        self.check_governance(&signed)?;
        let tx = Bytes::from(encode_governance_tx(&signed));
        self.decisions.insert(signed, tx)
    }

    /// Whether `CometBFT` may keep a decision that does not wait here in its mempool.
    pub(super) fn check_governance_tx(
        &self,
        tx: Hash32,
        signed: SignedProposal,
        recheck: bool,
    ) -> Result<(), Rejection> {
        if recheck {
            // A block has accepted it, or no block can.
            return Err(Rejection::NotReady);
        }
        self.look_at_decision(&signed.proposal)?;
        self.decisions.check_room(&signed.proposal.id())?;
        let begun = Instant::now();
        if !lock(&self.false_decisions).0.is_open(begun) {
            return Err(Rejection::Overloaded {
                what: "false decisions cost too much time; no signature of one is looked at for a while",
            });
        }
        self.take_governance(signed).map(|_| ()).map_err(|rejection| {
            lock(&self.false_decisions).0.spend(begun.elapsed());
            if is_for_good(&rejection) { self.never(tx, rejection) } else { rejection }
        })
    }

    fn check_governance(&self, signed: &SignedProposal) -> Result<(), Rejection> {
        let version = self.versions.committed();
        let now = self.clock.now().max(version.time);
        could_accept::<M>(&version.state, version.height, now, signed)
    }

    /// After a block: which decisions wait no more.
    pub(super) fn settle_governance(&self, state: &M::State, height: Height, time: BlockTime, report: &Report) {
        if self.decisions.is_empty() {
            return;
        }
        let accepted: Vec<_> = report.accepted.iter().map(|accepted| accepted.id).collect();
        self.decisions.settle(height, &accepted, |signed| could_accept::<M>(state, height, time, signed).err());
    }
}

/// Whether a decision that was refused for this stays refused, whatever the state becomes. A signer may become an operator, and
/// power may move, while its number is the next.
fn is_for_good(rejection: &Rejection) -> bool {
    matches!(rejection, Rejection::SignatureMalformed { .. } | Rejection::GovernanceSignedTwice { .. })
}

/// Whether the block after this height could accept it.
fn could_accept<M: Machine>(
    state: &M::State,
    height: Height,
    now: BlockTime,
    signed: &SignedProposal,
) -> Result<(), Rejection> {
    let next = height.next().unwrap_or(height);
    M::check_governance(state, signed, next, now).map(|_| ())
}

/// Tells operators what governance did in a block.
pub(super) fn report(report: &Report) {
    for accepted in &report.accepted {
        let (sequence, at_height) = (accepted.sequence, accepted.at_height);
        tracing::info!(sequence, %at_height, id = %accepted.id, "governance.accepted");
    }
    for applied in &report.applied {
        match &applied.failure {
            None => tracing::info!(sequence = applied.sequence, id = %applied.id, "governance.applied"),
            Some(rejection) => {
                let sequence = applied.sequence;
                tracing::error!(sequence, %rejection, "governance.failed: a scheduled change was dropped");
            }
        }
    }
    for cancelled in &report.cancelled {
        tracing::info!(sequence = cancelled.sequence, by = cancelled.by, "governance.cancelled");
    }
    for evidence in &report.evidence {
        let (validator, kind, height) = (hex::encode(evidence.validator), evidence.kind.text(), evidence.height);
        if let Some(known) = evidence.known {
            let (key, power, removed) = (hex::encode(known.key), known.power, known.removed);
            let operator = known.operator;
            tracing::error!(validator, key, power, kind, %height, removed, %operator, "governance.evidence");
        } else {
            tracing::error!(validator, kind, %height, "governance.evidence: against one that has left");
        }
    }
}

/// Why a block with a decision in the wrong place is none.
pub(super) fn misplaced_decision() -> Rejection {
    Rejection::GovernanceMalformed { detail: "it stands after a bundle; decisions come first in a block".to_owned() }
}

/// What consensus reports, as the state takes it. What is no such report is passed over, by everybody alike.
pub(super) fn misbehaviour(reported: &[Misbehavior]) -> Vec<Misbehaviour> {
    reported.iter().filter_map(read).collect()
}

fn read(reported: &Misbehavior) -> Option<Misbehaviour> {
    Some(Misbehaviour {
        validator: reported.validator.as_ref()?.address.as_ref().try_into().ok()?,
        kind: MisbehaviourKind::from_number(reported.r#type)?,
        height: Height::new(u64::try_from(reported.height).ok()?),
        time: time(reported.time.as_ref()?)?,
    })
}

fn time(time: &Timestamp) -> Option<BlockTime> {
    BlockTime::new(u64::try_from(time.seconds).ok()?, u32::try_from(time.nanos).ok()?)
}

/// Changes of power as consensus takes them.
pub(super) fn validator_updates(updates: &[([u8; 32], u64)]) -> Vec<ValidatorUpdate> {
    let update = |(key, power): &([u8; 32], u64)| ValidatorUpdate {
        pub_key: Some(PublicKey { sum: Some(public_key::Sum::Ed25519(key.to_vec())) }),
        // The sum of all powers is below 2^60.
        power: i64::try_from(*power).unwrap_or(i64::MAX),
    };
    updates.iter().map(update).collect()
}
