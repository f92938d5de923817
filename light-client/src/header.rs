//! What is kept of a verified header.
//!
//! Byte layout, 117 bytes, integers big endian: height (u64) ‖ header hash (32) ‖ seconds (i64) ‖ nanoseconds (u32) ‖ hash of the
//! next validators (32) ‖ 1 and the app hash (32), or 33 zero bytes where there is none.

use crate::decode::Envelope;
use crate::error::LightClientError;
use crate::limits::HEIGHT_MAX;
use crate::time::UnixTime;

/// A header that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedHeader {
    /// Its height.
    pub height: u64,
    /// Its hash, which is that of the block.
    pub header_hash: [u8; 32],
    /// Its time.
    pub time: UnixTime,
    /// Hash of the set that signs the next height.
    pub next_validators_hash: [u8; 32],
    /// Root of the state after the block before it; none where the header has an empty one.
    pub app_hash: Option<[u8; 32]>,
}

/// What a light block says of itself, before anything of it is verified: enough to refuse cheaply what cannot be of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedHeader {
    /// The chain it names.
    pub chain_id: String,
    /// The height it names.
    pub height: u64,
    /// The hash of its header.
    pub header_hash: [u8; 32],
    /// The time it names.
    pub time: UnixTime,
    /// The hash of the set that it names for the next height.
    pub next_validators_hash: [u8; 32],
    /// The app hash it names; none where that is empty.
    pub app_hash: Option<[u8; 32]>,
}

impl ClaimedHeader {
    /// From a `tendermint.types.LightBlock`, of which only the header is looked at.
    pub fn read(light_block: &[u8]) -> Result<Self, LightClientError> {
        Ok(Self::of(&Envelope::decode(light_block)?))
    }

    /// As [`read`](Self::read), from a light block that holds nothing beside what belongs into one: its bytes are the one encoding
    /// of what they say, its validators are those that its header names, and its commit is for that header, with one place a
    /// validator. Signatures are not looked at. For whoever pays for bytes, also where a header is known.
    pub fn read_strictly(light_block: &[u8]) -> Result<Self, LightClientError> {
        let envelope = Envelope::decode(light_block)?;
        let claim = Self::of(&envelope);
        envelope.open()?.check_complete(light_block)?;
        Ok(claim)
    }

    fn of(envelope: &Envelope) -> Self {
        let (chain_id, kept) = (envelope.chain_id().to_string(), &envelope.kept);
        let TrustedHeader { height, header_hash, time, next_validators_hash, app_hash } = *kept;
        Self { chain_id, height, header_hash, time, next_validators_hash, app_hash }
    }
}

/// Bytes that are no trusted header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not [`TrustedHeader::BYTES`] long.
    #[error("a stored header has {} bytes, not {bytes}", TrustedHeader::BYTES)]
    WrongLength {
        /// Bytes given.
        bytes: usize,
    },
    /// No header has that height.
    #[error("a height is 1 to {HEIGHT_MAX}, not {height}")]
    InvalidHeight {
        /// The height given.
        height: u64,
    },
    /// No header has that time.
    #[error("the time {secs} s, {nanos} ns is not in the years 1 to 9999")]
    InvalidTime {
        /// Seconds given.
        secs: i64,
        /// Nanoseconds given.
        nanos: u32,
    },
    /// Neither an app hash nor none.
    #[error("the app hash is marked {mark}, and only 0 (with zeros) and 1 have a meaning")]
    InvalidAppHash {
        /// The mark given.
        mark: u8,
    },
}

impl TrustedHeader {
    /// Length of the encoding.
    pub const BYTES: usize = 8 + 32 + 8 + 4 + 32 + 1 + 32;

    /// Fixed encoding; the layout is at the top of this module.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let fields: [&[u8]; 7] = [
            &self.height.to_be_bytes(),
            &self.header_hash,
            &self.time.secs().to_be_bytes(),
            &self.time.nanos().to_be_bytes(),
            &self.next_validators_hash,
            &[u8::from(self.app_hash.is_some())],
            &self.app_hash.unwrap_or_default(),
        ];
        for (to, from) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; nothing else is accepted.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HeaderError> {
        let bytes: &[u8; Self::BYTES] =
            bytes.try_into().map_err(|_| HeaderError::WrongLength { bytes: bytes.len() })?;
        let mut rest = bytes.as_slice();
        let height = u64::from_be_bytes(take(&mut rest));
        let header_hash = take(&mut rest);
        let (secs, nanos) = (i64::from_be_bytes(take(&mut rest)), u32::from_be_bytes(take(&mut rest)));
        let next_validators_hash = take(&mut rest);
        let [mark] = take(&mut rest);
        let app_hash = take(&mut rest);
        if height == 0 || height > HEIGHT_MAX {
            return Err(HeaderError::InvalidHeight { height });
        }
        let time = UnixTime::new(secs, nanos).ok_or(HeaderError::InvalidTime { secs, nanos })?;
        let app_hash = match mark {
            0 if app_hash == [0; 32] => None,
            1 => Some(app_hash),
            mark => return Err(HeaderError::InvalidAppHash { mark }),
        };
        Ok(Self { height, header_hash, time, next_validators_hash, app_hash })
    }
}

/// The next N bytes of an array whose length was checked.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    match rest.split_first_chunk() {
        Some((head, tail)) => {
            *rest = tail;
            *head
        }
        None => [0; N],
    }
}
