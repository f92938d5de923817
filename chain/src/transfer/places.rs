//! `places.bin` of a snapshot that goes with its blocks: for each entry of the inboxes, in the order of the manifest, the
//! block that took it in, height (8) ‖ seconds (8) ‖ nanoseconds (4), all 0 where that is not known.
//!
//! No root covers them, so they are no part of what nodes give each other, and two nodes may know more or less of them.
//! Whoever restores an own snapshot gets back what the old folder knew.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use db3_primitives::Height;

use super::TransferError;
use crate::machine::At;
use crate::store::row::{Row, time_bytes};

const PLACE_BYTES: usize = 20;

/// Writes them one after the other.
pub(super) struct PlacesWriter {
    path: PathBuf,
    to: BufWriter<File>,
}

impl PlacesWriter {
    pub(super) fn new(path: &Path) -> Result<Self, TransferError> {
        let part = path.with_extension("part");
        let file = File::create(&part).map_err(TransferError::file(&part))?;
        Ok(Self { path: path.to_owned(), to: BufWriter::new(file) })
    }

    pub(super) fn add(&mut self, taken: Option<At>) -> Result<(), TransferError> {
        let (height, time) = taken.map_or((0, [0; 12]), |at| (at.height.get(), time_bytes(at.time)));
        let written = self.to.write_all(&height.to_be_bytes()).and_then(|()| self.to.write_all(&time));
        written.map_err(TransferError::file(&self.path))
    }

    pub(super) fn finish(self) -> Result<(), TransferError> {
        let Self { path, to } = self;
        let file = to.into_inner().map_err(|error| TransferError::file(&path)(error.into_error()))?;
        let part = path.with_extension("part");
        file.sync_all().and_then(|()| fs::rename(&part, &path)).map_err(TransferError::file(&path))
    }
}

/// Reads them one after the other.
pub(super) struct Places {
    path: PathBuf,
    from: Option<BufReader<File>>,
}

impl Places {
    /// Those in a file; where there is none, nothing is known.
    pub(super) fn open(path: &Path) -> Result<Self, TransferError> {
        let from = match File::open(path) {
            Ok(file) => Some(BufReader::new(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(TransferError::file(path)(error)),
        };
        Ok(Self { path: path.to_owned(), from })
    }

    /// That of the next entry.
    pub(super) fn next(&mut self) -> Result<Option<At>, TransferError> {
        let Some(from) = &mut self.from else { return Ok(None) };
        let mut bytes = [0; PLACE_BYTES];
        from.read_exact(&mut bytes).map_err(TransferError::file(&self.path))?;
        let mut row = Row::new("block of an entry", &[], &bytes);
        let at = At { height: Height::new(row.u64()?), time: row.time()? };
        Ok(Some(at).filter(|_| bytes != [0; PLACE_BYTES]))
    }
}
