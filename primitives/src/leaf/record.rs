//! Leaf of a record: header (45) ‖ the record's bytes.
//!
//! Header: format 1 (1) ‖ owner (20) ‖ version (8) ‖ height (8) ‖ time (8).

use super::FORMAT;
use crate::Address;
use crate::decode::{DecodeError, Reader};
use crate::limits::RECORD_HEADER_BYTES;

/// What a record carries before its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Who wrote it last, by right.
    pub owner: Address,
    /// The version, ≥ 1.
    pub version: u64,
    /// The block that wrote it.
    pub height: u64,
    /// That block's time in Unix seconds.
    pub time_secs: u64,
}

impl RecordHeader {
    /// Bytes of the encoding.
    pub const BYTES: usize = RECORD_HEADER_BYTES;

    /// The 45-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.leaf(&[])
    }

    /// The whole leaf: header ‖ value.
    #[must_use]
    pub fn leaf(&self, value: &[u8]) -> Vec<u8> {
        [
            [FORMAT].as_slice(),
            self.owner.as_bytes(),
            &self.version.to_be_bytes(),
            &self.height.to_be_bytes(),
            &self.time_secs.to_be_bytes(),
            value,
        ]
        .concat()
    }

    /// Reads the 45-byte encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("record header", bytes);
        let header = Self::read(&mut reader)?;
        reader.end()?;
        Ok(header)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.format(FORMAT)?;
        let header =
            Self { owner: reader.address()?, version: reader.u64()?, height: reader.u64()?, time_secs: reader.u64()? };
        if header.version == 0 { Err(reader.invalid("version")) } else { Ok(header) }
    }
}

/// Splits a record's leaf into its header and the record's bytes.
#[must_use]
pub fn split_record(leaf: &[u8]) -> Option<(RecordHeader, &[u8])> {
    let mut reader = Reader::new("record", leaf);
    let header = RecordHeader::read(&mut reader).ok()?;
    Some((header, reader.rest()))
}
