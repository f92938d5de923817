//! Where trust begins: the chain id, a height, a time and the validators of the next height. Never an app hash or a genesis
//! hash, because the genesis of one chain names the roots of others and so on in a circle.

use sha2::{Digest, Sha256};
use tendermint::chain;

use crate::limits::{CHAIN_ID_BYTES_MAX, HEIGHT_MAX};
use crate::time::UnixTime;
use crate::validators::{ValidatorSet, ValidatorSetError};

/// What a light client of one chain believes before it has seen a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustRoot {
    chain_id: chain::Id,
    height: u64,
    time: UnixTime,
    validators: ValidatorSet,
}

/// Why something is no trust root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustRootError {
    /// Tendermint would not accept the name.
    #[error("a chain id has 1 to {CHAIN_ID_BYTES_MAX} of A-Z a-z 0-9 - _ . and {chain_id:?} is none")]
    InvalidChainId {
        /// The name given.
        chain_id: String,
    },
    /// No header can follow.
    #[error("a height is at most {HEIGHT_MAX}, not {height}")]
    HeightTooLarge {
        /// The height given.
        height: u64,
    },
    /// Heights begin at 1.
    #[error("the first height of a chain is at least 1")]
    NoInitialHeight,
    /// The validators are no set.
    #[error(transparent)]
    Validators(#[from] ValidatorSetError),
}

impl TrustRoot {
    /// `height`: that of the newest header taken for granted, 0 or more; headers above it are verified. `time`: before that of
    /// the next header. `validators`: public keys and powers of those who sign the next height.
    pub fn new(
        chain_id: &str,
        height: u64,
        time: UnixTime,
        validators: &[([u8; 32], u64)],
    ) -> Result<Self, TrustRootError> {
        let chain_id = place(chain_id, height)?;
        Ok(Self { chain_id, height, time, validators: ValidatorSet::new(validators)? })
    }

    /// Whether a root can have this chain id and this height: what [`new`](Self::new) asks before it looks at validators, which
    /// costs a point of the curve each.
    pub fn check_place(chain_id: &str, height: u64) -> Result<(), TrustRootError> {
        place(chain_id, height).map(|_| ())
    }

    /// The root of a chain whose first block has height `initial_height` and whose genesis has this time: one height and one
    /// second before, because the first header carries the time of the genesis and a header's time must grow.
    pub fn of_genesis(
        chain_id: &str,
        initial_height: u64,
        genesis_time: UnixTime,
        validators: &[([u8; 32], u64)],
    ) -> Result<Self, TrustRootError> {
        let height = initial_height.checked_sub(1).ok_or(TrustRootError::NoInitialHeight)?;
        Self::new(chain_id, height, genesis_time.saturating_sub_secs(1), validators)
    }

    /// Name of the chain.
    #[must_use]
    pub fn chain_id(&self) -> &str {
        self.chain_id.as_str()
    }

    /// Headers above this height are verified, all others refused.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.height
    }

    /// Headers after this time are verified, all others refused.
    #[must_use]
    pub fn time(&self) -> UnixTime {
        self.time
    }

    /// Who signs the next height.
    #[must_use]
    pub fn validators(&self) -> &ValidatorSet {
        &self.validators
    }

    /// Identifies the root: SHA-256 of `db3/trust-root/1` ‖ length of the chain id (u8) ‖ chain id ‖ height (u64) ‖ seconds
    /// (i64) ‖ nanoseconds (u32) ‖ hash of the validator set, integers big endian.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        let name = self.chain_id.as_bytes();
        Sha256::new()
            .chain_update(b"db3/trust-root/1")
            .chain_update([u8::try_from(name.len()).unwrap_or(u8::MAX)])
            .chain_update(name)
            .chain_update(self.height.to_be_bytes())
            .chain_update(self.time.secs().to_be_bytes())
            .chain_update(self.time.nanos().to_be_bytes())
            .chain_update(self.validators.hash())
            .finalize()
            .into()
    }

    pub(crate) fn tendermint_chain_id(&self) -> &chain::Id {
        &self.chain_id
    }
}

fn place(chain_id: &str, height: u64) -> Result<chain::Id, TrustRootError> {
    let invalid = |_| TrustRootError::InvalidChainId { chain_id: chain_id.chars().take(100).collect() };
    let chain_id = chain::Id::try_from(chain_id).map_err(invalid)?;
    if height >= HEIGHT_MAX {
        return Err(TrustRootError::HeightTooLarge { height });
    }
    Ok(chain_id)
}
