//! `blocks.bin` of a snapshot: block and light block of the snapshot's height and of those after it, each as length (4)
//! ‖ bytes. Read and written one block at a time.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write as _};
use std::path::Path;

use db3_genesis::GenesisDocument;
use db3_light_client::{LightClient, Options, UnixTime};
use db3_primitives::Height;
use db3_primitives::limits::BLOCK_BYTES_MAX;

use super::TransferError;
use crate::error::StartError;
use crate::machine::Machine;
use crate::store::snapshot::SnapshotMeta;
use crate::store::{Store, StoreError};
use crate::version::VersionOf;

/// Neither a block nor a light block is longer: its transactions, and a header, a commit and validators beside them.
const PART_BYTES_MAX: u64 = 2 * 1024 * 1024 + BLOCK_BYTES_MAX as u64;

/// Writes the blocks that go with a version.
pub(super) fn write<M: Machine>(
    store: &Store,
    genesis: &GenesisDocument,
    version: &VersionOf<M>,
    path: &Path,
) -> Result<(), TransferError> {
    let part = path.with_extension("part");
    let mut to = BufWriter::new(File::create(&part).map_err(TransferError::file(&part))?);
    let mut height = first_block(version.height, genesis);
    // A block whose history is not written may not be on the disk either, and must not leave.
    while Some(height) <= version.height.next() || store.summary(height)?.is_some() {
        let block = store.block_bytes(height)?.ok_or_else(|| StoreError::missing("block", height))?;
        let light = store.light_block(height)?.ok_or_else(|| StoreError::missing("light block", height))?;
        for bytes in [block, light] {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
            to.write_all(&length).and_then(|()| to.write_all(&bytes)).map_err(TransferError::file(&part))?;
        }
        height = height.next().unwrap_or(height);
    }
    let file = to.into_inner().map_err(|error| TransferError::file(&part)(error.into_error()))?;
    file.sync_all().and_then(|()| fs::rename(&part, path)).map_err(TransferError::file(path))
}

/// Takes the blocks over. Every header is verified from the genesis, and the one after the snapshot, which must be
/// there, carries its root.
pub(super) fn restore(
    store: &Store,
    path: &Path,
    meta: &SnapshotMeta,
    genesis: &GenesisDocument,
) -> Result<(), TransferError> {
    let root = genesis.trust_root().map_err(StartError::from)?;
    let mut client = LightClient::from_root(root, Options::never_expires());
    let file = File::open(path).map_err(TransferError::file(path))?;
    let mut parts = Parts { from: BufReader::new(file), path };
    let mut height = first_block(meta.height, genesis);
    while let Some(block) = parts.next()? {
        let light_block = parts.next()?.ok_or_else(|| wrong("ends after half a block"))?;
        // The block time of a devnet may have been moved past any clock. (Trust that never ends does end with time.)
        let header = client
            .verify(&light_block, None, UnixTime::MAX.saturating_sub_secs(1))
            .map_err(|error| wrong(format!("the header of height {height} is not the chain's: {error}")))?;
        if header.height != height.get() {
            return Err(wrong(format!("height {} stands where {height} is due", header.height)));
        }
        if Some(height) == meta.height.next() && header.app_hash != Some(meta.root) {
            return Err(wrong("the next header does not carry the manifest's root"));
        }
        store.put_block(height, &block, &light_block)?;
        height = height.next().unwrap_or(height);
    }
    match meta.height.next() {
        Some(next) if next < height => Ok(()),
        _ => Err(wrong("the block after the snapshot is missing")),
    }
}

/// The first block that goes with a snapshot: its own, or the chain's first where it holds the genesis state.
fn first_block(snapshot: Height, genesis: &GenesisDocument) -> Height {
    snapshot.max(genesis.initial_height())
}

fn wrong(detail: impl ToString) -> TransferError {
    TransferError::malformed("blocks.bin", detail)
}

struct Parts<'a> {
    from: BufReader<File>,
    path: &'a Path,
}

impl Parts<'_> {
    /// The next block or light block; none at the end.
    fn next(&mut self) -> Result<Option<Vec<u8>>, TransferError> {
        let mut length = [0; 4];
        let mut filled = 0_usize;
        while let Some(free) = length.get_mut(filled..).filter(|free| !free.is_empty()) {
            match self.from.read(free) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(wrong("ends in the middle of a length")),
                Ok(read) => filled = filled.saturating_add(read),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(TransferError::file(self.path)(error)),
            }
        }
        let length = u64::from(u32::from_be_bytes(length));
        if length > PART_BYTES_MAX {
            return Err(wrong(format!("names a block of {length} bytes, none has more than {PART_BYTES_MAX}")));
        }
        let mut bytes = Vec::new();
        let read = (&mut self.from).take(length).read_to_end(&mut bytes);
        let read = read.map_err(TransferError::file(self.path))?;
        if read as u64 != length {
            return Err(wrong("ends in the middle of a block"));
        }
        Ok(Some(bytes))
    }
}
