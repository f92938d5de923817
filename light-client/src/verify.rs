//! One verification: may the trusted header vouch for the new one? The rules are those of `tendermint-light-client-verifier`;
//! here its questions are put and its verdicts are named.

use tendermint::block::Height;
use tendermint::trust_threshold::TrustThreshold as _;
use tendermint::{Hash, chain};
use tendermint_light_client_verifier::errors::VerificationErrorDetail as Detail;
use tendermint_light_client_verifier::operations::ProdCommitValidator;
use tendermint_light_client_verifier::options::Options as VerifierOptions;
use tendermint_light_client_verifier::predicates::ProdPredicates;
use tendermint_light_client_verifier::types::{TrustThreshold, TrustedBlockState, UntrustedBlockState};
use tendermint_light_client_verifier::{PredicateVerifier, Verdict, Verifier};

use crate::decode::LightBlock;
use crate::error::{LightClientError, SignedBy};
use crate::header::TrustedHeader;
use crate::options::Options;
use crate::power::{BatchedPower, claimed_power};
use crate::time::UnixTime;
use crate::validators::ValidatorSet;

/// The header (or the trust root) that vouches for a new one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Basis {
    pub height: u64,
    pub time: UnixTime,
    pub next_validators_hash: [u8; 32],
}

impl Basis {
    /// A verified header as basis.
    pub fn of(header: &TrustedHeader) -> Self {
        Self { height: header.height, time: header.time, next_validators_hash: header.next_validators_hash }
    }
}

/// What a verification is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To trust the header.
    Update,
    /// To show that it was signed beside another one; a time in the future is no excuse.
    Misbehaviour,
}

/// Checks `block`, whose height is above the basis and whose chain id was compared. `next_validators` is the set that the basis
/// names, and its hash was compared too.
pub(crate) fn verify(
    chain_id: &chain::Id,
    basis: Basis,
    next_validators: &ValidatorSet,
    block: &LightBlock,
    options: Options,
    now: UnixTime,
    purpose: Purpose,
) -> Result<(), LightClientError> {
    let internal = |error: tendermint::Error| LightClientError::malformed(error.detail().to_string());
    let trusted = TrustedBlockState {
        chain_id,
        header_time: basis.time.to_tendermint().map_err(internal)?,
        height: Height::try_from(basis.height).map_err(internal)?,
        next_validators: next_validators.tendermint(),
        next_validators_hash: Hash::Sha256(basis.next_validators_hash),
    };
    let untrusted = UntrustedBlockState {
        signed_header: &block.signed_header,
        validators: block.validators.tendermint(),
        next_validators: None,
    };
    // The verifier adds these to times, and a sum beyond the year 9999 would be an error where none is meant.
    let options = VerifierOptions {
        trust_threshold: TrustThreshold::ONE_THIRD,
        trusting_period: options.trusting_period().min(UnixTime::MAX.saturating_since(basis.time)),
        clock_drift: options.clock_drift().min(UnixTime::MAX.saturating_since(now)),
    };
    let verifier = PredicateVerifier::new(ProdPredicates, BatchedPower, ProdCommitValidator);
    let now_then = now.to_tendermint().map_err(internal)?;
    let verdict = match purpose {
        Purpose::Update => verifier.verify_update_header(untrusted, trusted, &options, now_then),
        Purpose::Misbehaviour => verifier.verify_misbehaviour_header(untrusted, trusted, &options, now_then),
    };
    match verdict {
        Verdict::Success => Ok(()),
        Verdict::NotEnoughTrust(tally) => {
            Err(LightClientError::NotEnoughPower { by: SignedBy::Trusted, tallied: tally.tallied, total: tally.total })
        }
        Verdict::Invalid(detail) => Err(name(detail, basis, block)),
    }
}

/// Whether more than a third of the power of `next_validators` is in the block's commit, by what that says of itself.
pub(crate) fn has_trusted_power(block: &LightBlock, next_validators: &ValidatorSet) -> Result<bool, LightClientError> {
    let tally = claimed_power(&block.signed_header, next_validators.tendermint(), TrustThreshold::ONE_THIRD)
        .map_err(|error| LightClientError::malformed(format!("light block: {error}")))?;
    Ok(tally.trust_threshold.is_enough_power(tally.tallied, tally.total))
}

fn name(detail: Detail, basis: Basis, block: &LightBlock) -> LightClientError {
    let (height, header_time) = (block.kept.height, block.kept.time);
    match detail {
        Detail::NotWithinTrustPeriod(e) => LightClientError::Expired {
            trusted_height: basis.height,
            expired_at: UnixTime::from_tendermint(e.expires_at),
            now: UnixTime::from_tendermint(e.now),
        },
        Detail::HeaderFromTheFuture(e) => {
            LightClientError::FromTheFuture { header_time, now: UnixTime::from_tendermint(e.now) }
        }
        Detail::NonMonotonicBftTime(_) => LightClientError::TimeNotBetween { height, header_time },
        Detail::InvalidNextValidatorSet(_) => LightClientError::WrongValidators { height },
        Detail::InsufficientSignersOverlap(e) => {
            LightClientError::NotEnoughPower { by: SignedBy::Own, tallied: e.tally.tallied, total: e.tally.total }
        }
        Detail::InvalidSignature(e) => {
            LightClientError::BadSignature { validator: e.validator.address.as_bytes().try_into().unwrap_or_default() }
        }
        Detail::ChainIdMismatch(e) => LightClientError::WrongChain { expected: e.expected, got: e.got },
        Detail::InvalidValidatorSet(_) => {
            LightClientError::malformed("light block: the validator set is not the one that the header names")
        }
        Detail::InvalidCommitValue(_) => LightClientError::malformed("light block: the commit is for another header"),
        Detail::FaultySigner(_) => {
            LightClientError::malformed("light block: a signature by somebody who is no validator of that height")
        }
        // What is left says in one line what is wrong with the commit.
        other => LightClientError::malformed(format!("light block: {other}")),
    }
}
