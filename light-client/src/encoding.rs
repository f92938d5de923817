//! The client as bytes, for a state or a file.
//!
//! Byte layout, integers big endian: version 1 (u8) ‖ identifier of the trust root (32) ‖ 0, or 1 and what froze it: height (u64)
//! ‖ trusted hash (32) ‖ conflicting hash (32) ‖ number of headers (u8) ‖ headers (117 bytes each, by height).
//!
//! The root itself and the options come from the caller's configuration, never from here.

use crate::client::LightClient;
use crate::error::{Conflict, ResumeError};
use crate::header::TrustedHeader;
use crate::limits::TRUSTED_HEADERS_MAX;
use crate::options::Options;
use crate::root::TrustRoot;

const VERSION: u8 = 1;

const _: () = assert!(TRUSTED_HEADERS_MAX <= 255, "their number fits a byte");

impl LightClient {
    /// All that it trusts, apart from the root itself; the layout is at the top of this module.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.root.id());
        match self.frozen {
            None => bytes.push(0),
            Some(conflict) => {
                bytes.push(1);
                bytes.extend(conflict.height.to_be_bytes());
                bytes.extend(conflict.trusted);
                bytes.extend(conflict.conflicting);
            }
        }
        bytes.push(u8::try_from(self.headers.len()).unwrap_or(u8::MAX));
        bytes.extend(self.headers.iter().flat_map(TrustedHeader::to_bytes));
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote for the same root; nothing else is accepted. Whoever can write these bytes
    /// decides what is trusted, so they must be kept as safe as the root.
    pub fn resume(root: TrustRoot, options: Options, bytes: &[u8]) -> Result<Self, ResumeError> {
        let rest = bytes.strip_prefix(&[VERSION]).ok_or(ResumeError::UnknownVersion)?;
        let (root_id, rest) = rest.split_first_chunk::<32>().ok_or(ResumeError::Malformed)?;
        if *root_id != root.id() {
            return Err(ResumeError::OtherRoot { root_id: *root_id });
        }
        let (frozen, rest) = read_conflict(rest).ok_or(ResumeError::Malformed)?;
        let (count, rest) = rest.split_first().ok_or(ResumeError::Malformed)?;
        let (encoded, tail) = rest.as_chunks::<{ TrustedHeader::BYTES }>();
        if encoded.len() != usize::from(*count) || encoded.len() > TRUSTED_HEADERS_MAX || !tail.is_empty() {
            return Err(ResumeError::Malformed);
        }
        let mut headers = Vec::with_capacity(encoded.len());
        let mut before = (root.height(), root.time());
        for (index, encoded) in encoded.iter().enumerate() {
            let header = TrustedHeader::from_bytes(encoded).map_err(|error| ResumeError::Header { index, error })?;
            if header.height <= before.0 || header.time <= before.1 {
                return Err(ResumeError::OutOfOrder { index });
            }
            before = (header.height, header.time);
            headers.push(header);
        }
        Ok(Self { root, options, headers, frozen })
    }
}

fn read_conflict(bytes: &[u8]) -> Option<(Option<Conflict>, &[u8])> {
    match bytes.split_first()? {
        (0, rest) => Some((None, rest)),
        (1, rest) => {
            let (height, rest) = rest.split_first_chunk::<8>()?;
            let (trusted, rest) = rest.split_first_chunk::<32>()?;
            let (conflicting, rest) = rest.split_first_chunk::<32>()?;
            let height = u64::from_be_bytes(*height);
            Some((Some(Conflict { height, trusted: *trusted, conflicting: *conflicting }), rest))
        }
        _ => None,
    }
}
