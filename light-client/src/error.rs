//! Why a header is not trusted. Every refusal leaves the client as it was, but for [`LightClientError::Conflict`], which freezes
//! it.

use std::fmt;

use crate::header::HeaderError;
use crate::time::UnixTime;

/// Two different headers at one height, both verified: more than a third of the voting power signed both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The height of both.
    pub height: u64,
    /// Hash of the header that was trusted first.
    pub trusted: [u8; 32],
    /// Hash of the other.
    pub conflicting: [u8; 32],
}

/// Which validators did not sign enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedBy {
    /// Those whom the trusted header named: more than a third is needed.
    Trusted,
    /// Those of the header itself: more than two thirds are needed.
    Own,
}

/// Why a header is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LightClientError {
    /// Bytes that are no light block or validator set, or parts that do not belong together.
    #[error("malformed: {detail}")]
    Malformed {
        /// What is wrong.
        detail: String,
    },
    /// A header of another chain.
    #[error("this is a header of the chain {got:?}, and {expected:?} is wanted")]
    WrongChain {
        /// The chain of this client.
        expected: String,
        /// The chain that the header names.
        got: String,
    },
    /// At or below the height where trust begins.
    #[error("height {height} is not above {root}, where trust begins")]
    BelowRoot {
        /// Height of the header.
        height: u64,
        /// Height of the trust root.
        root: u64,
    },
    /// The header that would vouch for it is too old. A new trust root is needed.
    #[error("the header at {trusted_height} was trusted until {expired_at}, and it is {now}")]
    Expired {
        /// Height of the header that would vouch.
        trusted_height: u64,
        /// End of the trusting period.
        expired_at: UnixTime,
        /// The time given.
        now: UnixTime,
    },
    /// Its time is ahead of now by more than clocks may differ. It may be good later.
    #[error("the header's time is {header_time}, too far ahead of {now}")]
    FromTheFuture {
        /// The header's time.
        header_time: UnixTime,
        /// The time given.
        now: UnixTime,
    },
    /// Its time does not lie between those of the trusted headers around it.
    #[error("the header at {height} has the time {header_time}, not between those of the trusted headers around it")]
    TimeNotBetween {
        /// Its height.
        height: u64,
        /// Its time.
        header_time: UnixTime,
    },
    /// The validators who signed it are not those whom the trusted header named for the next height.
    #[error("the validators of height {height} are not those that the header before it names")]
    WrongValidators {
        /// Its height.
        height: u64,
    },
    /// The set that the trusted header named for its next height must come along and did not.
    #[error("the validators of height {} are needed, whose set has the hash {}", .trusted_height.saturating_add(1), Hex(expected_hash))]
    UnknownValidators {
        /// Height of the trusted header that names them.
        trusted_height: u64,
        /// Hash of their set.
        expected_hash: [u8; 32],
    },
    /// Too few signed.
    #[error("validators with {tallied} of {total} power signed, of those {}", match by {
        SignedBy::Trusted => "whom the trusted header names; more than a third is needed",
        SignedBy::Own => "of the header itself; more than two thirds are needed",
    })]
    NotEnoughPower {
        /// Which validators.
        by: SignedBy,
        /// Power of those who signed.
        tallied: u64,
        /// Power of all.
        total: u64,
    },
    /// A signature does not hold.
    #[error("the signature of the validator {} does not hold", Hex(validator))]
    BadSignature {
        /// Address of the validator.
        validator: [u8; 20],
    },
    /// It is verified, and another one at its height is trusted. The client is frozen from now on.
    #[error("two verified headers at height {}: {} and {}; the client is frozen", .0.height, Hex(&.0.trusted), Hex(&.0.conflicting))]
    Conflict(Conflict),
    /// Two verified headers were seen earlier; nothing is verified any more.
    #[error("frozen since two verified headers at height {} were seen: {} and {}", .0.height, Hex(&.0.trusted), Hex(&.0.conflicting))]
    Frozen(Conflict),
}

/// Why saved bytes are no light client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// Another format or version.
    #[error("these bytes are no saved light client of version 1")]
    UnknownVersion,
    /// Too short, too long, or a mark without a meaning.
    #[error("these bytes are no saved light client: they end too early or hold something else")]
    Malformed,
    /// Saved for another trust root.
    #[error("this was saved for another trust root, {}", Hex(root_id))]
    OtherRoot {
        /// Identifier of that root.
        root_id: [u8; 32],
    },
    /// One header is none.
    #[error("header {index}: {error}")]
    Header {
        /// Its position.
        index: usize,
        /// What is wrong.
        error: HeaderError,
    },
    /// Heights and times must grow, from those of the root on.
    #[error("header {index} is not above the one before it in height and time")]
    OutOfOrder {
        /// Its position.
        index: usize,
    },
}

impl LightClientError {
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::Malformed { detail: detail.into() }
    }
}

/// Writes bytes as `0x…`.
struct Hex<'a, const N: usize>(&'a [u8; N]);

impl<const N: usize> fmt::Display for Hex<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
