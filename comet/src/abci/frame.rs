//! Frames: the length of a message as an unsigned varint, then the message.
//!
//! Frames are cut off the front of one buffer that is read into; a message's byte fields point into that buffer.

use bytes::{Buf as _, Bytes, BytesMut};
use prost::Message as _;
use tendermint_proto::v0_38::abci::{Request, Response};

use crate::limits::{FRAME_BYTES, INIT_CHAIN_EXTRA_BYTES, QUEUED_BYTES};
use crate::settings::CometSettings;

/// A length takes no more bytes: 2^35 is above any limit.
const LENGTH_BYTES_MAX: usize = 5;

/// How large a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// Bytes of the longest request.
    pub request_bytes: usize,
    /// Bytes of requests of one connection that may wait for their answers; reading pauses beyond them.
    pub waiting_bytes: usize,
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self { request_bytes: FRAME_BYTES, waiting_bytes: QUEUED_BYTES }
    }
}

impl FrameLimits {
    /// Limits that let a genesis file of so many bytes through, and second looks at all that a full mempool holds, beside as
    /// much that is new, without a pause.
    #[must_use]
    pub fn of(genesis_bytes: usize, settings: &CometSettings) -> Self {
        let saturating = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let requests = saturating(settings.mempool_txs.into()).saturating_mul(size_of::<Request>());
        let mempool = saturating(settings.mempool_bytes).saturating_add(requests);
        Self {
            request_bytes: FRAME_BYTES.max(genesis_bytes.saturating_add(INIT_CHAIN_EXTRA_BYTES)),
            waiting_bytes: QUEUED_BYTES.max(mempool.saturating_mul(2)),
        }
    }
}

/// Why bytes are no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is no varint of at most five bytes.
    #[error("a frame's length is no number")]
    Length,
    /// The frame is longer than the limit.
    #[error("a frame of {found} bytes, {limit} are allowed")]
    TooLong {
        /// What it says.
        found: u64,
        /// What is allowed.
        limit: usize,
    },
    /// The frame is no request.
    #[error("a frame is no request: {detail}")]
    Malformed {
        /// What the decoder said.
        detail: String,
    },
    /// The connection ended within a frame.
    #[error("the connection ended within a frame, after {bytes} bytes of it")]
    Cut {
        /// How much of it there was.
        bytes: usize,
    },
}

/// The next request in the buffer, and its bytes; none while it is not whole.
pub(super) fn next_request(buffer: &mut BytesMut, limits: FrameLimits) -> Result<Option<(Request, usize)>, FrameError> {
    let Some((length, prefix)) = length(buffer)? else { return Ok(None) };
    let bytes = usize::try_from(length).ok().filter(|bytes| *bytes <= limits.request_bytes);
    let bytes = bytes.ok_or(FrameError::TooLong { found: length, limit: limits.request_bytes })?;
    let whole = bytes.saturating_add(prefix);
    if buffer.len() < whole {
        buffer.reserve(whole.saturating_sub(buffer.len()));
        return Ok(None);
    }
    buffer.advance(prefix);
    decode(buffer.split_to(bytes).freeze()).map(|request| Some((request, whole)))
}

fn decode(frame: Bytes) -> Result<Request, FrameError> {
    Request::decode(frame).map_err(|error| FrameError::Malformed { detail: error.to_string() })
}

/// The length at the front and how many bytes it takes; none while it is not whole.
fn length(buffer: &[u8]) -> Result<Option<(u64, usize)>, FrameError> {
    let mut value = 0_u64;
    for (index, byte) in buffer.iter().take(LENGTH_BYTES_MAX).enumerate() {
        let shift = u32::try_from(index).unwrap_or(u32::MAX).saturating_mul(7);
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(u64::MAX);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index.saturating_add(1))));
        }
    }
    if buffer.len() >= LENGTH_BYTES_MAX { Err(FrameError::Length) } else { Ok(None) }
}

/// Appends a response as a frame.
pub(super) fn append(response: &Response, to: &mut Vec<u8>) {
    // A vector always has room.
    let _ = response.encode_length_delimited(to);
}
