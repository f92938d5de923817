//! The application: its state is a hash over all blocks, and it notes every call.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use db3_primitives::sha256;
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::{
    ExecTxResult, RequestApplySnapshotChunk, RequestCheckTx, RequestFinalizeBlock, RequestInfo, RequestInitChain,
    RequestLoadSnapshotChunk, RequestOfferSnapshot, RequestPrepareProposal, RequestProcessProposal, RequestQuery,
    ResponseApplySnapshotChunk, ResponseCheckTx, ResponseCommit, ResponseFinalizeBlock, ResponseInfo,
    ResponseInitChain, ResponseListSnapshots, ResponseLoadSnapshotChunk, ResponseOfferSnapshot,
    ResponsePrepareProposal, ResponseProcessProposal, ResponseQuery, Snapshot, response_apply_snapshot_chunk,
    response_offer_snapshot, response_process_proposal::ProposalStatus,
};

pub use super::grammar::Call;
use crate::lock;

#[derive(Clone, Default)]
pub struct Tiny(Arc<Inner>);

#[derive(Default)]
pub struct Inner {
    pub calls: Mutex<Vec<Call>>,
    committed: Mutex<(i64, [u8; 32])>,
    decided: Mutex<(i64, [u8; 32])>,
    /// The root after each height.
    roots: Mutex<BTreeMap<i64, [u8; 32]>>,
    /// The snapshot that was offered: its height and root.
    offered: Mutex<(i64, [u8; 32])>,
    pub txs: AtomicUsize,
    /// The next `FinalizeBlock` panics, once.
    pub panics: AtomicBool,
    /// `FinalizeBlock` gives another root than others do.
    pub lies: AtomicBool,
}

impl std::ops::Deref for Tiny {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Tiny {
    pub fn height(&self) -> i64 {
        lock(&self.committed).0
    }

    pub fn calls(&self) -> Vec<Call> {
        lock(&self.calls).clone()
    }

    fn note(&self, call: Call) {
        lock(&self.calls).push(call);
    }
}

impl Application for Tiny {
    fn info(&self, _: RequestInfo) -> ResponseInfo {
        self.note(Call::Info);
        let (height, root) = *lock(&self.committed);
        let last_block_app_hash = if height == 0 { Bytes::new() } else { Bytes::copy_from_slice(&root) };
        ResponseInfo { last_block_height: height, last_block_app_hash, app_version: 1, ..ResponseInfo::default() }
    }

    fn init_chain(&self, _: RequestInitChain) -> ResponseInitChain {
        self.note(Call::InitChain);
        ResponseInitChain::default()
    }

    fn query(&self, request: RequestQuery) -> ResponseQuery {
        if request.path == "refuse" {
            crate::abci::refuse("the disk is gone");
        }
        ResponseQuery { value: request.data, ..ResponseQuery::default() }
    }

    fn check_tx(&self, request: RequestCheckTx) -> ResponseCheckTx {
        ResponseCheckTx { code: u32::from(request.tx.starts_with(b"bad")), ..ResponseCheckTx::default() }
    }

    fn prepare_proposal(&self, request: RequestPrepareProposal) -> ResponsePrepareProposal {
        self.note(Call::Prepare(request.height));
        ResponsePrepareProposal { txs: request.txs }
    }

    fn process_proposal(&self, request: RequestProcessProposal) -> ResponseProcessProposal {
        self.note(Call::Process(request.height));
        ResponseProcessProposal { status: ProposalStatus::Accept.into() }
    }

    fn finalize_block(&self, request: RequestFinalizeBlock) -> ResponseFinalizeBlock {
        assert!(!self.panics.swap(false, Ordering::SeqCst), "the test wants a panic");
        self.note(Call::Finalize(request.height));
        let before = lock(&self.committed).1;
        let mut parts: Vec<&[u8]> = vec![&before];
        parts.extend(request.txs.iter().map(Bytes::as_ref));
        if self.lies.load(Ordering::SeqCst) {
            parts.push(b"a lie");
        }
        let root = sha256(&parts);
        *lock(&self.decided) = (request.height, root);
        self.txs.fetch_add(request.txs.len(), Ordering::SeqCst);
        ResponseFinalizeBlock {
            tx_results: vec![ExecTxResult::default(); request.txs.len()],
            app_hash: Bytes::copy_from_slice(&root),
            ..ResponseFinalizeBlock::default()
        }
    }

    fn commit(&self) -> ResponseCommit {
        self.note(Call::Commit);
        let (height, root) = *lock(&self.decided);
        *lock(&self.committed) = (height, root);
        lock(&self.roots).insert(height, root);
        ResponseCommit::default()
    }

    fn list_snapshots(&self) -> ResponseListSnapshots {
        let roots = lock(&self.roots);
        let fifths = roots.iter().filter(|(height, _)| *height % 5 == 0);
        let snapshots = fifths.map(|(height, root)| Snapshot {
            height: u64::try_from(*height).unwrap(),
            format: 1,
            chunks: 1,
            hash: Bytes::copy_from_slice(root),
            metadata: Bytes::new(),
        });
        ResponseListSnapshots { snapshots: snapshots.collect() }
    }

    fn load_snapshot_chunk(&self, request: RequestLoadSnapshotChunk) -> ResponseLoadSnapshotChunk {
        let height = i64::try_from(request.height).unwrap();
        let root = lock(&self.roots).get(&height).copied().unwrap();
        ResponseLoadSnapshotChunk { chunk: Bytes::copy_from_slice(&root) }
    }

    fn offer_snapshot(&self, request: RequestOfferSnapshot) -> ResponseOfferSnapshot {
        self.note(Call::Offer);
        let height = i64::try_from(request.snapshot.unwrap().height).unwrap();
        *lock(&self.offered) = (height, request.app_hash.as_ref().try_into().unwrap());
        ResponseOfferSnapshot { result: response_offer_snapshot::Result::Accept.into() }
    }

    fn apply_snapshot_chunk(&self, request: RequestApplySnapshotChunk) -> ResponseApplySnapshotChunk {
        self.note(Call::Apply);
        let offered = *lock(&self.offered);
        assert_eq!(request.chunk.as_ref(), offered.1);
        *lock(&self.committed) = offered;
        let result = response_apply_snapshot_chunk::Result::Accept.into();
        ResponseApplySnapshotChunk { result, ..ResponseApplySnapshotChunk::default() }
    }
}
