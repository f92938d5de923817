//! From bytes to a light block whose parts are well-formed, in two steps: the header, which may be trusted already, and then the
//! commit and the validators. It checks sizes first, and nothing that needs a signature.

use prost::Message;
use tendermint::block::signed_header::SignedHeader;
use tendermint::block::{Commit, Header};
use tendermint::{AppHash, Hash, chain};
use tendermint_proto::v0_38::types::{Commit as RawCommit, LightBlock as RawLightBlock, ValidatorSet as RawSet};

use crate::build::light_block_bytes;
use crate::error::LightClientError;
use crate::header::TrustedHeader;
use crate::limits::{HEIGHT_MAX, LIGHT_BLOCK_BYTES_MAX, VALIDATORS_MAX};
use crate::time::UnixTime;
use crate::validators::ValidatorSet;

/// A light block of which only the header was looked at.
pub(crate) struct Envelope {
    header: Header,
    commit: Option<RawCommit>,
    validators: Option<RawSet>,
    /// What will be kept of the header if it is verified.
    pub kept: TrustedHeader,
}

/// A well-formed light block, not verified.
pub(crate) struct LightBlock {
    pub signed_header: SignedHeader,
    pub validators: ValidatorSet,
    /// What will be kept of the header if it is verified.
    pub kept: TrustedHeader,
}

impl Envelope {
    /// From `tendermint.types.LightBlock`.
    pub fn decode(bytes: &[u8]) -> Result<Self, LightClientError> {
        if bytes.len() > LIGHT_BLOCK_BYTES_MAX {
            return Err(malformed(format!("at most {LIGHT_BLOCK_BYTES_MAX} bytes, not {}", bytes.len())));
        }
        let raw = RawLightBlock::decode(bytes).map_err(malformed)?;
        let signed = raw.signed_header.ok_or_else(|| malformed("no signed header"))?;
        let header = Header::try_from(signed.header.ok_or_else(|| malformed("no header"))?);
        let header = header.map_err(|e| malformed(e.detail()))?;
        let kept = kept_of(&header)?;
        Ok(Self { header, commit: signed.commit, validators: raw.validator_set, kept })
    }

    pub fn chain_id(&self) -> &chain::Id {
        &self.header.chain_id
    }

    /// Looks at the commit and the validators as well.
    pub fn open(self) -> Result<LightBlock, LightClientError> {
        let commit = self.commit.ok_or_else(|| malformed("no commit"))?;
        let signatures = commit.signatures.len();
        if signatures > VALIDATORS_MAX {
            return Err(malformed(format!("at most {VALIDATORS_MAX} signatures, not {signatures}")));
        }
        let commit = Commit::try_from(commit).map_err(|e| malformed(e.detail()))?;
        let signed_header =
            SignedHeader::new(self.header, commit).map_err(|_| malformed("the heights of header and commit differ"))?;
        Ok(LightBlock { signed_header, validators: validators(self.validators)?, kept: self.kept })
    }

    /// The validators alone.
    pub fn into_validators(self) -> Result<ValidatorSet, LightClientError> {
        validators(self.validators)
    }
}

impl LightBlock {
    /// Whether the parts belong together and `bytes` are their one encoding; no signature is looked at.
    pub fn check_complete(&self, bytes: &[u8]) -> Result<(), LightClientError> {
        let (header, commit) = (self.signed_header.header(), self.signed_header.commit());
        if header.validators_hash != Hash::Sha256(self.validators.hash()) {
            return Err(malformed("the validator set is not the one that the header names"));
        }
        if commit.block_id.hash != Hash::Sha256(self.kept.header_hash) {
            return Err(malformed("the commit is for another header"));
        }
        if commit.signatures.len() != self.validators.tendermint().validators().len() {
            return Err(malformed("the commit has another number of signatures than there are validators"));
        }
        if light_block_bytes(header, commit, &self.validators) != bytes {
            return Err(malformed("its bytes are not the one encoding of what they say"));
        }
        Ok(())
    }
}

fn validators(set: Option<RawSet>) -> Result<ValidatorSet, LightClientError> {
    ValidatorSet::from_raw(set.ok_or_else(|| malformed("no validator set"))?)
}

fn kept_of(header: &Header) -> Result<TrustedHeader, LightClientError> {
    let height = header.height.value();
    if height == 0 || height > HEIGHT_MAX {
        return Err(malformed(format!("a height is 1 to {HEIGHT_MAX}, not {height}")));
    }
    let Hash::Sha256(header_hash) = header.hash() else { return Err(malformed("the header has no hash")) };
    let Hash::Sha256(next_validators_hash) = header.next_validators_hash else {
        return Err(malformed("the header names no next validators"));
    };
    let time = UnixTime::from_tendermint(header.time);
    Ok(TrustedHeader { height, header_hash, time, next_validators_hash, app_hash: app_hash(&header.app_hash)? })
}

fn app_hash(hash: &AppHash) -> Result<Option<[u8; 32]>, LightClientError> {
    match hash.as_bytes() {
        [] => Ok(None),
        bytes => bytes.try_into().map(Some).map_err(|_| malformed(format!("an app hash of {} bytes", bytes.len()))),
    }
}

fn malformed(what: impl std::fmt::Display) -> LightClientError {
    LightClientError::malformed(format!("light block: {what}"))
}
