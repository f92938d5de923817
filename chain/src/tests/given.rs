//! Snapshots that one node gives to another by the calls that `CometBFT` makes.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use db3_primitives::sha256;
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::response_apply_snapshot_chunk::Result as Applied;
use tendermint_proto::v0_38::abci::response_offer_snapshot::Result as Offered;
use tendermint_proto::v0_38::abci::{RequestApplySnapshotChunk, RequestOfferSnapshot, Snapshot};

use super::support::{EPOCH_SECS, copy_folder, settings, until};
use crate::config::EngineKind;
use crate::machine::Machine;
use crate::open::open;
use crate::transfer::snapshot::{FORMAT, Manifest, write_for_sync};
use crate::version::VersionOf;
use crate::{App, Chain, ChainConfig};

/// A snapshot, its chunks, and the root that a header proves.
pub(super) type Files = (Snapshot, Vec<Bytes>, [u8; 32]);

/// The newest version of a chain, once a header carries its root.
pub(super) async fn provable<M: Machine>(chain: &Chain<M>) -> Arc<VersionOf<M>> {
    until("the header", || chain.provable().root == chain.committed().root).await;
    chain.provable()
}

/// What a chain gives to others.
pub(super) async fn given<M: Machine>(chain: &Chain<M>, folder: &Path) -> Files {
    let version = provable(chain).await;
    let (path, manifest) = write_for_sync::<M>(chain.store(), chain.genesis(), &version, folder).unwrap();
    let metadata = Bytes::from(fs::read(path.join("manifest.json")).unwrap());
    let chunks = manifest.chunks().map(|chunk| fs::read(path.join(&chunk.file)).unwrap().into()).collect();
    let snapshot = Snapshot { height: version.height.get(), format: FORMAT, metadata, ..Snapshot::default() };
    named(snapshot, chunks, version.root)
}

/// The same with another manifest and other chunks.
pub(super) fn renamed(snapshot: &Snapshot, chunks: Vec<Bytes>, manifest: &Manifest, root: [u8; 32]) -> Files {
    let metadata = Bytes::from(serde_json::to_vec(manifest).unwrap());
    named(Snapshot { metadata, ..snapshot.clone() }, chunks, root)
}

/// Under the hash of its manifest.
fn named(snapshot: Snapshot, chunks: Vec<Bytes>, root: [u8; 32]) -> Files {
    let hash = Bytes::copy_from_slice(&sha256(&[&snapshot.metadata]));
    (Snapshot { hash, chunks: u32::try_from(chunks.len()).unwrap(), ..snapshot }, chunks, root)
}

/// Another node of the chain in `home` that has nothing but the genesis.
pub(super) fn fresh<M: Machine>(home: &Path, name: &str) -> App<M> {
    fresh_with(home, name, |_| ())
}

/// The same with other settings.
pub(super) fn fresh_with<M: Machine>(home: &Path, name: &str, change: impl FnOnce(&mut ChainConfig)) -> App<M> {
    let other = home.with_file_name(name);
    copy_folder(&home.join("config"), &other.join("config"));
    let mut config = ChainConfig { engine: EngineKind::CometBft, ..settings(&other) };
    change(&mut config);
    let opened = open::<M>(config).unwrap();
    let inner = Arc::clone(&opened.app.inner);
    // The other chain's time was moved.
    inner.clock.set_offset_secs(20 * EPOCH_SECS);
    let failed = |error| panic!("{error}");
    inner.snapshotter.run(Arc::clone(&inner.store), opened.durable, 0, Arc::clone(&inner.metrics), failed).unwrap();
    opened.app
}

/// Offers a snapshot.
pub(super) fn offer<M: Machine>(app: &App<M>, (snapshot, _, root): &Files) -> Offered {
    let app_hash = Bytes::copy_from_slice(root);
    app.offer_snapshot(RequestOfferSnapshot { snapshot: Some(snapshot.clone()), app_hash }).result()
}

/// Offers a snapshot and gives every chunk; the answer to the last.
pub(super) fn sync<M: Machine>(app: &App<M>, files: &Files) -> Applied {
    assert_eq!(offer(app, files), Offered::Accept);
    let mut last = Applied::Unknown;
    for (index, chunk) in (0..).zip(files.1.clone()) {
        let sender = "someone".to_owned();
        last = app.apply_snapshot_chunk(RequestApplySnapshotChunk { index, chunk, sender }).result();
        if last != Applied::Accept {
            break;
        }
    }
    last
}
