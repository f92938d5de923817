//! Reading the fixed-width rows of the store; what does not fit is damage, with the row named.

use db3_primitives::{Address, BlockTime, Hash32, Tai};

use super::StoreError;

/// A cursor over a row's bytes.
pub(crate) struct Row<'a> {
    what: &'static str,
    key: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Row<'a> {
    pub(crate) fn new(what: &'static str, key: &'a [u8], bytes: &'a [u8]) -> Self {
        Self { what, key, rest: bytes }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| self.damaged("ends too early"))?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn slice(&mut self, bytes: usize) -> Result<&'a [u8], StoreError> {
        let (head, rest) = self.rest.split_at_checked(bytes).ok_or_else(|| self.damaged("ends too early"))?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, StoreError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, StoreError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn hash(&mut self) -> Result<Hash32, StoreError> {
        self.array()
    }

    pub(crate) fn address(&mut self) -> Result<Address, StoreError> {
        self.array().map(Address::new)
    }

    pub(crate) fn tai(&mut self) -> Result<Tai, StoreError> {
        self.array().map(|bytes| Tai::new(u128::from_be_bytes(bytes)))
    }

    pub(crate) fn time(&mut self) -> Result<BlockTime, StoreError> {
        let (secs, nanos) = (self.u64()?, self.u32()?);
        BlockTime::new(secs, nanos).ok_or_else(|| self.damaged("holds a time that is none"))
    }

    /// Everything that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Succeeds iff nothing is left.
    pub(crate) fn end(self) -> Result<(), StoreError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.damaged("has bytes left over")) }
    }

    /// Reads one value that fills the row.
    pub(crate) fn only<T>(mut self, read: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let value = read(&mut self)?;
        self.end()?;
        Ok(value)
    }

    pub(crate) fn damaged(&self, detail: impl ToString) -> StoreError {
        StoreError::damaged(self.what, self.key, detail)
    }
}

/// The 12 bytes of a time.
pub(crate) fn time_bytes(time: BlockTime) -> [u8; 12] {
    let mut bytes = [0; 12];
    let (secs, nanos) = bytes.split_at_mut(8);
    secs.copy_from_slice(&time.secs.to_be_bytes());
    nanos.copy_from_slice(&time.nanos.to_be_bytes());
    bytes
}
