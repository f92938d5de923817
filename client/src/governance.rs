//! Governance of a chain: who operates it, what is scheduled, and the submission of what operators decided. Validators and
//! the number of the last transaction are proven; what is scheduled, what was decided and what is recorded is
//! the node's word.

use db3_governance::{GovernanceLeaf, Proposal, SignedProposal};
use db3_light_client::{ClaimedHeader, TrustRoot, UnixTime, ValidatorSet};
use db3_primitives::{ChainId, key};
use db3_proto::{governance_message, v1};

use crate::chain::{At, Chain};
use crate::client::Client;
use crate::error::ClientError;
use crate::inboxes::InboxView;
use crate::prove;
use crate::record::Answer;
use crate::wire::{chain as chain_service, timed};

/// The governance of a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct GovernanceView {
    /// Validators and the number of the last transaction; none where the chain has no operators.
    pub leaf: Option<GovernanceLeaf>,
    /// Changes that wait, with the height of each, in order.
    pub scheduled: Vec<(u64, Proposal)>,
    /// The newest decisions and what became of each, newest first.
    pub decisions: Vec<v1::Decision>,
    /// What was recorded against validators.
    pub evidence: Vec<v1::ValidatorEvidence>,
}

impl GovernanceView {
    /// The number of the next transaction.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.leaf.as_ref().map_or(0, GovernanceLeaf::sequence).saturating_add(1)
    }
}

impl Client {
    /// Who governs a chain, and what was decided.
    pub async fn governance(&self, chain_id: &ChainId) -> Result<Answer<GovernanceView>, ClientError> {
        let chain = self.chain_named(chain_id)?;
        let asked = chain.read_options(At::default());
        let request = v1::GetGovernanceRequest { read: Some(asked) };
        let answer = chain
            .call(|channel, limit| async move { chain_service(channel).get_governance(timed(request, limit)).await })
            .await?;
        let at = chain.check(answer.context.as_ref(), &asked).await?;
        let flawed = |flaw: String| ClientError::proof(&chain.id, flaw);
        let stored = Some(answer.stored.as_ref()).filter(|stored: &&[u8]| !stored.is_empty());
        let leaf = stored.map(GovernanceLeaf::from_bytes).transpose().map_err(|error| flawed(error.to_string()))?;
        if at.verified {
            prove::leaf(&at.root, &key::governance(), stored, &answer.ics23_proof).map_err(flawed)?;
        }
        let scheduled = answer.scheduled.iter().map(|change| {
            let proposal = Proposal::from_bytes(&change.body);
            Ok((change.at_height, proposal.map_err(|error| ClientError::malformed(&chain.id, error.to_string()))?))
        });
        let scheduled = scheduled.collect::<Result<_, ClientError>>()?;
        Ok(Answer {
            value: GovernanceView { leaf, scheduled, decisions: answer.decisions, evidence: answer.evidence },
            at,
        })
    }

    /// Asks a chain whether its next block could accept a proposal if enough operators had signed it. Gives the height at which
    /// the change would take effect; the node's word.
    pub async fn rehearse_governance(&self, proposal: &Proposal) -> Result<u64, ClientError> {
        let chain = self.chain_named(&proposal.chain_id)?;
        let unsigned = SignedProposal::unsigned(proposal.clone());
        let request = v1::SubmitGovernanceRequest {
            governance: Some(governance_message(&unsigned)),
            dry_run: true,
            ..v1::SubmitGovernanceRequest::default()
        };
        let answer = chain
            .call(|channel, limit| {
                let request = timed(request.clone(), limit);
                async move { chain_service(channel).submit_governance(request).await }
            })
            .await?;
        Ok(answer.at_height)
    }

    /// Sends a proposal that enough operators have signed to its chain, and waits until a block has accepted it.
    pub async fn submit_governance(
        &self,
        signed: &SignedProposal,
    ) -> Result<v1::SubmitGovernanceResponse, ClientError> {
        let chain = self.chain_named(&signed.proposal.chain_id)?;
        let request = v1::SubmitGovernanceRequest {
            governance: Some(governance_message(signed)),
            wait: v1::WaitMode::Provable.into(),
            dry_run: false,
        };
        let answer = chain
            .call(|channel, limit| {
                let request = timed(request.clone(), limit);
                async move { chain_service(channel).submit_governance(request).await }
            })
            .await?;
        chain.wrote_at(answer.height);
        Ok(answer)
    }

    /// What a chain has heard of another one.
    pub async fn inbox(&self, reader: &ChainId, source: &ChainId) -> Result<InboxView, ClientError> {
        let chain = self.chain_named(reader)?;
        let mut inboxes = self.inboxes_of(chain, source.as_str()).await?;
        inboxes.pop().ok_or_else(|| ClientError::malformed(&chain.id, "the answer holds no inbox"))
    }

    /// Where trust in a chain could begin anew: just before its newest block, with the validators that signed it. It is its
    /// node's word: whoever signs this compares it with what they know.
    pub async fn newest_root(&self, chain_id: &ChainId) -> Result<TrustRoot, ClientError> {
        let chain = self.chain_named(chain_id)?;
        let request = v1::GetLightBlockRequest { height: 0, trusted_height: 0, ..Default::default() };
        let answer = chain
            .call(|channel, limit| async move { chain_service(channel).get_light_block(timed(request, limit)).await })
            .await?;
        let malformed = |detail: String| ClientError::malformed(&chain.id, detail);
        let block = answer.light_block.ok_or_else(|| malformed("the answer holds no light block".to_owned()))?;
        let bytes = &block.tendermint_light_block;
        let header = ClaimedHeader::read(bytes).map_err(|error| malformed(error.to_string()))?;
        let set = ValidatorSet::of_light_block(bytes).map_err(|error| malformed(error.to_string()))?;
        let time = block.time.and_then(|time| UnixTime::new(time.seconds, u32::try_from(time.nanos).ok()?));
        let time = time.ok_or_else(|| malformed("the light block has no time".to_owned()))?;
        TrustRoot::of_genesis(chain_id.as_str(), header.height, time, &set.validators())
            .map_err(|error| malformed(error.to_string()))
    }

    /// The chain of this name.
    fn chain_named(&self, chain_id: &ChainId) -> Result<&Chain, ClientError> {
        let found = self.chains().find(|chain| chain.id == chain_id.as_str());
        found.map(AsRef::as_ref).ok_or_else(|| {
            ClientError::input(
                format!("{chain_id} is no chain of the network {}", self.network().name),
                "name one of the chains that `db3 status` lists, or choose another network with --network",
            )
        })
    }
}
