//! How much of a validator set's power stands behind a commit: the verifier's own rules, with all signatures that they ask
//! for verified at once.
//!
//! The rules are those of `tendermint-light-client-verifier`'s `ProvidedVotingPowerCalculator`, to the order of its errors: the
//! set is walked in its order, each validator's vote for the block counts once, and the walk ends where the threshold is
//! passed, so that no signature after that is looked at. It must never count a vote whose signature was not verified.

use tendermint::block::{Commit, CommitSig};
use tendermint::trust_threshold::TrustThreshold as _;
use tendermint::vote::{self, ValidatorIndex, Vote};
use tendermint::{PublicKey, Signature, account, chain, validator};
use tendermint_light_client_verifier::errors::VerificationError;
use tendermint_light_client_verifier::operations::VotingPowerCalculator;
use tendermint_light_client_verifier::operations::voting_power::VotingPowerTally;
use tendermint_light_client_verifier::types::{SignedHeader, TrustThreshold, ValidatorSet};

use crate::ed25519::{Claim, first_false};

/// See the module's text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BatchedPower;

impl VotingPowerCalculator for BatchedPower {
    fn voting_power_in(
        &self,
        signed_header: &SignedHeader,
        validator_set: &ValidatorSet,
        trust_threshold: TrustThreshold,
    ) -> Result<VotingPowerTally, VerificationError> {
        let votes = Votes::of(signed_header)?;
        let walk = votes.walk(self.total_power_of(validator_set), validator_set, trust_threshold);
        votes.verify([&walk])?;
        Ok(walk.tally)
    }

    fn voting_power_in_sets(
        &self,
        signed_header: &SignedHeader,
        first_set: (&ValidatorSet, TrustThreshold),
        second_set: (&ValidatorSet, TrustThreshold),
    ) -> Result<(VotingPowerTally, VotingPowerTally), VerificationError> {
        let votes = Votes::of(signed_header)?;
        let first = votes.walk(self.total_power_of(first_set.0), first_set.0, first_set.1);
        let second = votes.walk(self.total_power_of(second_set.0), second_set.0, second_set.1);
        votes.verify([&first, &second])?;
        Ok((first.tally, second.tally))
    }
}

/// How much power of a set's validators a commit says is behind its block. No signature is looked at, so it may be less that
/// is, and never more.
#[expect(clippy::result_large_err, reason = "it is the verifier's own error")]
pub(crate) fn claimed_power(
    signed_header: &SignedHeader,
    validator_set: &ValidatorSet,
    trust_threshold: TrustThreshold,
) -> Result<VotingPowerTally, VerificationError> {
    let total = BatchedPower.total_power_of(validator_set);
    Ok(Votes::of(signed_header)?.walk(total, validator_set, trust_threshold).tally)
}

/// The votes for the block in a commit, by the voter's address.
struct Votes<'h> {
    commit: &'h Commit,
    chain_id: &'h chain::Id,
    by_voter: Vec<CommitVote<'h>>,
}

/// One of them.
struct CommitVote<'h> {
    voter: account::Id,
    index: ValidatorIndex,
    time: tendermint::Time,
    signature: &'h Signature,
}

/// A walk over a validator set: whose votes count, and what ended it before the threshold, if something did.
struct Walk<'s> {
    tally: VotingPowerTally,
    /// Validators of the set, and where their vote stands in [`Votes::by_voter`].
    counted: Vec<(&'s validator::Info, usize)>,
    /// A validator whose vote was counted already.
    duplicate: Option<&'s validator::Info>,
}

impl<'h> Votes<'h> {
    #[expect(clippy::result_large_err, reason = "it is the verifier's own error")]
    fn of(signed_header: &'h SignedHeader) -> Result<Self, VerificationError> {
        let (commit, chain_id) = (&signed_header.commit, &signed_header.header.chain_id);
        let mut votes = Vec::with_capacity(commit.signatures.len());
        for (index, signature) in (0_u32..).zip(&commit.signatures) {
            let CommitSig::BlockIdFlagCommit { validator_address, timestamp, signature } = signature else { continue };
            let signature = signature.as_ref().ok_or_else(VerificationError::missing_signature)?;
            // Decoding refuses commits of more signatures than an index can name, long before.
            let Ok(index) = ValidatorIndex::try_from(index) else { break };
            votes.push(CommitVote { voter: *validator_address, index, time: *timestamp, signature });
        }
        votes.sort_unstable_by_key(|vote| vote.voter);
        let same = |pair: &[CommitVote<'_>]| match pair {
            [one, next] if one.voter == next.voter => Some(one.voter),
            _ => None,
        };
        if let Some(voter) = votes.windows(2).find_map(same) {
            return Err(VerificationError::duplicate_validator(voter));
        }
        Ok(Self { commit, chain_id, by_voter: votes })
    }

    fn walk<'s>(&self, total: u64, set: &'s ValidatorSet, trust_threshold: TrustThreshold) -> Walk<'s> {
        let tally = VotingPowerTally { total, tallied: 0, trust_threshold };
        let mut walk = Walk { tally, counted: Vec::new(), duplicate: None };
        let mut seen = vec![false; self.by_voter.len()];
        for validator in set.validators() {
            let Ok(at) = self.by_voter.binary_search_by_key(&validator.address, |vote| vote.voter) else { continue };
            walk.counted.push((validator, at));
            if seen.get_mut(at).is_none_or(|seen| std::mem::replace(seen, true)) {
                walk.duplicate = Some(validator);
                break;
            }
            walk.tally.tallied = walk.tally.tallied.saturating_add(validator.power());
            if trust_threshold.is_enough_power(walk.tally.tallied, total) {
                break;
            }
        }
        walk
    }

    /// Verifies the votes that the walks count, each once for each key: a set's hash says nothing of addresses, so that two sets
    /// mean the same key by one is not taken for granted.
    #[expect(clippy::result_large_err, reason = "it is the verifier's own error")]
    fn verify<const WALKS: usize>(&self, walks: [&Walk<'_>; WALKS]) -> Result<(), VerificationError> {
        let mut verified: Vec<Option<&PublicKey>> = vec![None; self.by_voter.len()];
        let mut claims = Vec::new();
        let mut ends = Vec::with_capacity(WALKS);
        for walk in walks {
            for (validator, at) in &walk.counted {
                let by = verified.get_mut(*at).and_then(|by| by.replace(&validator.pub_key));
                if let Some(vote) = self.by_voter.get(*at).filter(|_| by != Some(&validator.pub_key)) {
                    claims.push((*validator, vote, self.sign_bytes(vote)));
                }
            }
            ends.push((claims.len(), walk.duplicate));
        }
        let false_at = first_false(
            &claims.iter().map(|(validator, vote, message)| claim(validator, vote, message)).collect::<Vec<_>>(),
        );
        // In the order of the walks: what is false in one comes before what ended it.
        for (end, duplicate) in ends {
            if let Some((validator, vote, message)) = false_at.filter(|at| *at < end).and_then(|at| claims.get(at)) {
                let signature = vote.signature.as_bytes().to_vec();
                return Err(VerificationError::invalid_signature(
                    signature,
                    Box::new((*validator).clone()),
                    message.clone(),
                ));
            }
            if let Some(validator) = duplicate {
                return Err(VerificationError::duplicate_validator(validator.address));
            }
        }
        Ok(())
    }

    /// What the voter signed.
    fn sign_bytes(&self, vote: &CommitVote<'_>) -> Vec<u8> {
        let vote = Vote {
            vote_type: vote::Type::Precommit,
            height: self.commit.height,
            round: self.commit.round,
            block_id: Some(self.commit.block_id),
            timestamp: Some(vote.time),
            validator_address: vote.voter,
            validator_index: vote.index,
            signature: None,
            extension: Vec::new(),
            extension_signature: None,
        };
        vote.into_signable_vec(self.chain_id.clone())
    }
}

fn claim<'c>(validator: &'c validator::Info, vote: &'c CommitVote<'_>, message: &'c [u8]) -> Claim<'c> {
    let key = match &validator.pub_key {
        PublicKey::Ed25519(key) => key.as_bytes(),
        // Another kind of key signs nothing that CometBFT's validators could.
        _ => &[],
    };
    Claim { key, message, signature: vote.signature.as_bytes() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use tendermint_light_client_verifier::errors::VerificationErrorDetail;

    use super::*;
    use crate::build::{HeaderChain, ValidatorKey};
    use crate::decode::Envelope;
    use crate::time::UnixTime;

    #[test]
    fn a_vote_counts_only_for_the_key_that_signed_it_whatever_address_a_set_gives_another() {
        let genesis = UnixTime::new(1_700_000_000, 0).unwrap();
        let mut chain = HeaderChain::new("test-shard-0", &[([1; 32], 10)], genesis).unwrap();
        chain.make([7; 32], UnixTime::new(1_700_000_010, 0).unwrap()).unwrap();
        let block = Envelope::decode(chain.light_block(1).unwrap()).unwrap().open().unwrap();
        let own = block.validators.tendermint();
        let other = ValidatorKey::from_seed([2; 32]).public_key();
        let with_other_key = own
            .validators()
            .iter()
            .map(|info| validator::Info { pub_key: PublicKey::from_raw_ed25519(&other).unwrap(), ..info.clone() });
        let impostor = ValidatorSet::new(with_other_key.collect(), None);
        let (third, two_thirds) = (TrustThreshold::ONE_THIRD, TrustThreshold::TWO_THIRDS);
        let counted = BatchedPower.voting_power_in_sets(&block.signed_header, (own, third), (own, two_thirds)).unwrap();
        assert_eq!((counted.0.tallied, counted.1.tallied), (10, 10));
        for sets in [(own, &impostor), (&impostor, own)] {
            let error = BatchedPower
                .voting_power_in_sets(&block.signed_header, (sets.0, third), (sets.1, two_thirds))
                .unwrap_err();
            assert!(matches!(error.detail(), VerificationErrorDetail::InvalidSignature(_)), "{error}");
        }
    }
}
