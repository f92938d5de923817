//! The chain at the other end, as genesis (later governance) names it: where trust in it begins and how long it lasts.
//!
//! Byte layout, integers big endian: version 1 (u8) ‖ length of the chain id (u8) ‖ chain id ‖ height (u64) ‖ seconds (i64) ‖
//! nanoseconds (u32) ‖ trusting period in seconds (u64; all ones: for ever) ‖ clock drift in seconds (u64) ‖ number of validators
//! (u16) ‖ per validator, in the set's order: public key (32) ‖ power (u64).

use db3_light_client::limits::VALIDATORS_MAX;
use db3_light_client::{Options, TrustRoot, UnixTime, ValidatorSetError};
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

/// A peer as somebody writes it: name, time and settings are ones that can be, and nobody has looked at the validators, of
/// which there are not too many. Whether they are a set costs a decompressed point for each, so that is asked of what is
/// signed, by [`check`](Self::check).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedPeer {
    chain_id: String,
    height: u64,
    time: UnixTime,
    options: Options,
    validators: Vec<([u8; 32], u64)>,
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

    /// The same as a claim.
    #[must_use]
    pub fn claim(&self) -> ClaimedPeer {
        ClaimedPeer {
            chain_id: self.root.chain_id().to_owned(),
            height: self.root.height(),
            time: self.root.time(),
            options: self.options,
            validators: self.root.validators().validators(),
        }
    }

    /// The leaf; the layout is at the top of this module.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.claim().to_bytes()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; nothing else is accepted.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PeerError> {
        ClaimedPeer::from_bytes(bytes)?.check()
    }
}

impl ClaimedPeer {
    /// The chain's name.
    #[must_use]
    pub fn chain_id(&self) -> &str {
        &self.chain_id
    }

    /// Headers above this height would be verified.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.height
    }

    /// Headers after this time would be verified.
    #[must_use]
    pub fn time(&self) -> UnixTime {
        self.time
    }

    /// Keys and powers, in the order in which they are written.
    #[must_use]
    pub fn validators(&self) -> &[([u8; 32], u64)] {
        &self.validators
    }

    /// The peer, if its validators are a set and stand in the set's order.
    pub fn check(&self) -> Result<Peer, PeerError> {
        let root = TrustRoot::new(&self.chain_id, self.height, self.time, &self.validators);
        let root = root.map_err(|error| PeerError::Invalid { detail: error.to_string() })?;
        let peer = Peer { root, options: self.options };
        if peer.claim() == *self { Ok(peer) } else { Err(PeerError::Malformed) }
    }

    /// The encoding, which is a peer's.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let name = self.chain_id.as_bytes();
        let mut bytes = vec![VERSION, u8::try_from(name.len()).unwrap_or(u8::MAX)];
        bytes.extend(name);
        bytes.extend(self.height.to_be_bytes());
        bytes.extend(self.time.secs().to_be_bytes());
        bytes.extend(self.time.nanos().to_be_bytes());
        bytes.extend(self.options.trusting_period_secs().to_be_bytes());
        bytes.extend(self.options.clock_drift_secs().to_be_bytes());
        bytes.extend(u16::try_from(self.validators.len()).unwrap_or(u16::MAX).to_be_bytes());
        for (key, power) in &self.validators {
            bytes.extend(key);
            bytes.extend(power.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; nothing else is accepted. No key is looked at.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PeerError> {
        let claim = parse(bytes).ok_or(PeerError::Malformed)??;
        if claim.to_bytes() == bytes { Ok(claim) } else { Err(PeerError::Malformed) }
    }
}

fn parse(bytes: &[u8]) -> Option<Result<ClaimedPeer, PeerError>> {
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
    let invalid = |detail: String| PeerError::Invalid { detail };
    let height = u64::from_be_bytes(*height);
    let options = Options::new(u64::from_be_bytes(*period), u64::from_be_bytes(*drift));
    let place = TrustRoot::check_place(name, height).map_err(|error| invalid(error.to_string()));
    Some(place.and_then(|()| {
        if encoded.len() > VALIDATORS_MAX {
            return Err(invalid(ValidatorSetError::TooMany { validators: encoded.len() }.to_string()));
        }
        let options = options.map_err(|error| invalid(error.to_string()))?;
        let validators = encoded.iter().filter_map(validator).collect();
        Ok(ClaimedPeer { chain_id: name.to_owned(), height, time, options, validators })
    }))
}

fn validator(bytes: &[u8; VALIDATOR_BYTES]) -> Option<([u8; 32], u64)> {
    let (key, power) = bytes.split_first_chunk::<32>()?;
    Some((*key, u64::from_be_bytes(*power.first_chunk()?)))
}
