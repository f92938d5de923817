//! One height back, `CometBFT` and application together: for a state that an error in a program made wrong. The block
//! itself stays, and is executed again, by the new program, at the next start. The application has nothing to undo: it
//! begins with its snapshot, which is older, and `CometBFT` hands in the blocks after it.

use db3_comet::{Binary, CometError, Layout};
use db3_genesis::{GenesisDocument, GenesisError};
use db3_primitives::Height;

use crate::config::{ChainConfig, EngineKind};
use crate::init::genesis_file;
use crate::machine::Machine;
use crate::store::{Store, StoreError};

/// Where a chain stands after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolledBack {
    /// Height that `CometBFT` has executed.
    pub height: Height,
    /// Height of the snapshot that the application begins with.
    pub snapshot: Height,
}

/// Why a chain cannot go back.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// The embedded engine drives it.
    #[error(
        "the embedded engine never goes back: it would sign a second block at one height, and freeze the light clients \
         that follow it; restore a snapshot into a new network instead"
    )]
    Solo,
    /// The genesis cannot be read.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The files failed; above all, a node that runs has them open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// `CometBFT` cannot go back.
    #[error(transparent)]
    CometBft(#[from] CometError),
    /// The snapshot is newer; nothing was changed.
    #[error(
        "CometBFT would stand at height {height}, and the snapshot on the disk is of height {snapshot}: nothing was changed; \
         to begin before it, {}",
        db3_comet::SYNC_ANEW
    )]
    SnapshotAhead {
        /// Height that `CometBFT` would stand at.
        height: Height,
        /// Height of the snapshot.
        snapshot: Height,
    },
}

/// Takes the chain of a folder that no node has open back by one height.
pub fn rollback<M: Machine>(config: &ChainConfig) -> Result<RolledBack, RollbackError> {
    if config.engine == EngineKind::Solo {
        return Err(RollbackError::Solo);
    }
    let genesis = GenesisDocument::load(&genesis_file(&config.home))?;
    // Open, so that no node starts meanwhile.
    let store = Store::open::<M>(&config.home, genesis.chain_id().as_str())?;
    let snapshot = store.snapshot_meta()?.map_or(Height::new(0), |meta| meta.height);
    let layout = Layout::new(&config.home)?;
    match db3_comet::rollback(&layout, &Binary::find(&config.cometbft)?, snapshot.get()) {
        Ok(height) => Ok(RolledBack { height: Height::new(height), snapshot }),
        Err(CometError::RollbackBelow { height, .. }) => {
            Err(RollbackError::SnapshotAhead { height: Height::new(height), snapshot })
        }
        Err(error) => Err(error.into()),
    }
}
