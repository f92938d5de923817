//! What the operator of the settlement chain decides and signs.

use std::sync::Arc;

use db3_governance::{Action, Parameter, Proposal, SignedProposal};
use db3_primitives::{Height, Scheme, Tai};

use crate::genesis::operator;
use crate::machine::Paper;
use crate::model::Decision;
use crate::network::Network;
use crate::users::GOOD_SECS;

impl Network {
    /// A decision for the next block, signed.
    pub fn signed_decision(&self, decision: Decision) -> Paper {
        let set = |parameter, value: u128| Action::SetParameter { parameter, value: u64::try_from(value).unwrap() };
        let actions = match decision {
            Decision::Trust(account, trust) => vec![Action::SetTrust { account, trust: Tai::new(trust) }],
            Decision::Factor(num, den) => {
                vec![set(Parameter::FactorNumerator, num), set(Parameter::FactorDenominator, den)]
            }
        };
        let state = &self.settlement.state;
        let mut signed = SignedProposal::unsigned(Proposal {
            chain_id: state.chain().chain_id(),
            sequence: state.governance().leaf().unwrap().sequence() + 1,
            at_height: Height::new(0),
            expire_unix_secs: self.now().secs + GOOD_SECS,
            actions,
        });
        signed.sign(&operator(), Scheme::Raw);
        Paper::Decision(Arc::new(signed))
    }
}

/// What a proposal decides.
pub fn decision_of(signed: &SignedProposal) -> Decision {
    match signed.proposal.actions.as_slice() {
        [Action::SetTrust { account, trust }] => Decision::Trust(*account, trust.get()),
        [Action::SetParameter { value: num, .. }, Action::SetParameter { value: den, .. }] => {
            Decision::Factor((*num).into(), (*den).into())
        }
        actions => panic!("nobody decides {actions:?}"),
    }
}
