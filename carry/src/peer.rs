//! The chain at the other end, as genesis (later governance) names it: where trust in it begins and how long it lasts.
//!
//! Byte layout, integers big endian: version 1 (u8) ‖ length of the chain id (u8) ‖ chain id ‖ height (u64) ‖ seconds (i64) ‖
//! nanoseconds (u32) ‖ trusting period in seconds (u64; all ones: for ever) ‖ clock drift in seconds (u64) ‖ number of validators
//! (u16) ‖ per validator, in the set's order: public key (32) ‖ power (u64).

use db3_light_client::{Options, TrustRoot, UnixTime};
use db3_primitives::{ChainId, Rejection};

const VERSION: u8 = 1;
/// A public key and its power.
const VALIDATOR_BYTES: usize = 40;

const _: () = assert!(db3_light_client::limits::CHAIN_ID_BYTES_MAX <= u8::MAX as usize, "its length fits a byte");
const _: () = assert!(db3_light_client::limits::VALIDATORS_MAX <= u16::MAX as usize, "their number fits two bytes");

/// Where trust in a chain begins, and how long a header of it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Chain id, height, time and validators.
    pub root: TrustRoot,
    /// Trusting period and clock drift.
    pub options: Options,
}

/// Why bytes are no peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// Another version, too short, too long, or not what the same peer is written as.
    #[error("these bytes are no peer of version 1")]
    Malformed,
    /// What they say makes no trust root or no settings.
    #[error("this is no peer: {detail}")]
    Invalid {
        /// What is wrong.
        detail: String,
    },
    /// The chain id breaks the rules of this network's names.
    #[error(transparent)]
    ChainId(#[from] Rejection),
}

impl Peer {
    /// The chain's id.
    pub fn chain_id(&self) -> Result<ChainId, PeerError> {
        Ok(ChainId::parse(self.root.chain_id())?)
    }

    /// The leaf; the layout is at the top of this module.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (name, validators) = (self.root.chain_id().as_bytes(), self.root.validators().validators());
        let mut bytes = vec![VERSION, u8::try_from(name.len()).unwrap_or(u8::MAX)];
        bytes.extend(name);
        bytes.extend(self.root.height().to_be_bytes());
        bytes.extend(self.root.time().secs().to_be_bytes());
        bytes.extend(self.root.time().nanos().to_be_bytes());
        bytes.extend(self.options.trusting_period_secs().to_be_bytes());
        bytes.extend(self.options.clock_drift_secs().to_be_bytes());
        bytes.extend(u16::try_from(validators.len()).unwrap_or(u16::MAX).to_be_bytes());
        for (key, power) in validators {
            bytes.extend(key);
            bytes.extend(power.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; nothing else is accepted.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PeerError> {
        let peer = parse(bytes).ok_or(PeerError::Malformed)??;
        if peer.to_bytes() == bytes { Ok(peer) } else { Err(PeerError::Malformed) }
    }
}

fn parse(bytes: &[u8]) -> Option<Result<Peer, PeerError>> {
    let (length, rest) = bytes.strip_prefix(&[VERSION])?.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let (height, rest) = rest.split_first_chunk()?;
    let (secs, rest) = rest.split_first_chunk()?;
    let (nanos, rest) = rest.split_first_chunk()?;
    let (period, rest) = rest.split_first_chunk()?;
    let (drift, rest) = rest.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let (encoded, tail) = rest.as_chunks::<VALIDATOR_BYTES>();
    let complete = encoded.len() == usize::from(u16::from_be_bytes(*count)) && tail.is_empty();
    let time = UnixTime::new(i64::from_be_bytes(*secs), u32::from_be_bytes(*nanos));
    let (true, Some(time), Ok(name)) = (complete, time, std::str::from_utf8(name)) else { return None };
    let validators: Vec<([u8; 32], u64)> = encoded.iter().filter_map(validator).collect();
    let invalid = |detail: String| PeerError::Invalid { detail };
    let root = TrustRoot::new(name, u64::from_be_bytes(*height), time, &validators).map_err(|e| invalid(e.to_string()));
    let options = Options::new(u64::from_be_bytes(*period), u64::from_be_bytes(*drift));
    let options = options.map_err(|e| invalid(e.to_string()));
    Some(root.and_then(|root| Ok(Peer { root, options: options? })))
}

fn validator(bytes: &[u8; VALIDATOR_BYTES]) -> Option<([u8; 32], u64)> {
    let (key, power) = bytes.split_first_chunk::<32>()?;
    Some((*key, u64::from_be_bytes(*power.first_chunk()?)))
}
