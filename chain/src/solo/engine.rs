//! The engine's thread: waits for something to do, makes a block, drives the application through it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use db3_comet::keys;
use db3_light_client::build::{
    BuildError, EMPTY_HASH, HeaderInput, ValidatorKey, block_bytes, block_id, consensus_params_hash, light_block_bytes,
    make_header, results_hash, sign_commit,
};
use db3_light_client::{UnixTime, ValidatorSet};
use db3_primitives::limits::{BLOCK_BYTES_MAX, BLOCK_DELIVERIES_MAX, BLOCK_OPERATIONS_MAX};
use db3_primitives::{BlockTime, Hash32, Height};
use prost::Message as _;
use tendermint::block::{self, Commit};
use tendermint_abci::Application as _;
use tendermint_proto::google::protobuf::Timestamp;
use tendermint_proto::v0_38::abci::response_process_proposal::ProposalStatus;
use tendermint_proto::v0_38::abci::{
    ExecTxResult, RequestFinalizeBlock, RequestPrepareProposal, RequestProcessProposal,
};
use tendermint_proto::v0_38::types::LightBlock;

use super::timing::{Due, View, block_time, until};
use crate::app::{APP_VERSION, App, DELIVERY_BYTES_MAX, framed_bytes, room_in_bundles};
use crate::error::{FatalError, StartError};
use crate::machine::Machine;
use crate::metrics::observe;
use crate::pool::mempool::Room;
use crate::pool::order;
use crate::signal::Signal;
use crate::store::{Store, StoreError};

/// The newest block, as the next one refers to it.
#[derive(Clone, Debug)]
pub(crate) struct Tip {
    /// Its height.
    pub(crate) height: Height,
    /// Root of the state before it, which its header carries.
    pub(crate) app_hash: Hash32,
    /// Its identifier.
    pub(crate) block_id: block::Id,
    /// Its commit.
    pub(crate) commit: Commit,
    /// Hash of its results.
    pub(crate) results_hash: Hash32,
}

impl Tip {
    /// The newest block in the store; an error if a newer one was acknowledged.
    pub(crate) fn load(store: &Store) -> Result<Option<Self>, StoreError> {
        let newest = store.block_range()?.map(|(_, newest)| newest);
        store.check_newest(newest)?;
        let Some(height) = newest else { return Ok(None) };
        let key = height.get().to_be_bytes();
        let damaged = |detail: &str| StoreError::damaged("light block", &key, detail);
        let bytes = store.light_block(height)?.ok_or_else(|| StoreError::missing("light block", height))?;
        let signed = LightBlock::decode(bytes.as_slice())
            .map_err(|error| damaged(&error.to_string()))?
            .signed_header
            .ok_or_else(|| damaged("has no header"))?;
        let (header, commit) = signed.header.zip(signed.commit).ok_or_else(|| damaged("has no commit"))?;
        let commit = Commit::try_from(commit).map_err(|error| damaged(&error.to_string()))?;
        let block = store.block(height)?.ok_or_else(|| StoreError::missing("block", height))?;
        Ok(Some(Self {
            height,
            app_hash: header.app_hash.as_slice().try_into().map_err(|_| damaged("has no root"))?,
            block_id: commit.block_id,
            commit,
            results_hash: results_hash(&vec![ExecTxResult::default(); block.data.unwrap_or_default().txs.len()]),
        }))
    }
}

/// The engine.
pub(crate) struct Engine<M: Machine> {
    app: App<M>,
    key: ValidatorKey,
    validators: ValidatorSet,
    consensus_hash: Hash32,
    signal: Arc<Signal>,
    stopped: Arc<AtomicBool>,
    interval: Duration,
    content_from: Instant,
    tip: Option<Tip>,
}

impl<M: Machine> Engine<M> {
    /// An engine for a chain whose one validator has `key`.
    pub(crate) fn new(
        app: App<M>,
        key: ValidatorKey,
        tip: Option<Tip>,
        signal: Arc<Signal>,
        stopped: Arc<AtomicBool>,
    ) -> Result<Self, StartError> {
        let inner = &app.inner;
        let members: Vec<_> = inner.genesis.validators().iter().map(|v| (v.pubkey, v.power)).collect();
        if !matches!(members.as_slice(), [(pubkey, _)] if *pubkey == key.public_key()) {
            let expected: Vec<_> = members.iter().map(|(pubkey, _)| hex::encode(pubkey)).collect();
            return Err(StartError::NotTheValidator {
                path: keys::validator_key_file(&inner.config.home),
                found: hex::encode(key.public_key()),
                expected: expected.join(", "),
            });
        }
        let broken = |detail: String| StartError::Fatal(FatalError::Engine { detail });
        let validators = ValidatorSet::new(&members).map_err(|error| broken(error.to_string()))?;
        let size = &inner.genesis.consensus_params().block;
        let consensus_hash =
            consensus_params_hash(size).ok_or_else(|| broken(format!("blocks of {} bytes", size.max_bytes)))?;
        let interval = inner.config.block_interval();
        Ok(Self { key, validators, consensus_hash, signal, stopped, interval, content_from: Instant::now(), tip, app })
    }

    /// Makes blocks until it is stopped or cannot go on.
    pub(crate) fn run(mut self) {
        while !self.stopped.load(Ordering::SeqCst) && self.app.fatal().is_none() {
            match self.view().due() {
                Due::Wait(time) => self.signal.wait(Some(time)),
                Due::Block { content } => {
                    if let Err(error) = self.make_block(content) {
                        self.app.inner.fail(error);
                        return;
                    }
                }
            }
        }
    }

    fn view(&self) -> View {
        let inner = &self.app.inner;
        let version = inner.versions.committed();
        let now = inner.clock.now();
        let boundary = M::next_boundary_secs(&version.state);
        View {
            now: Instant::now(),
            content_from: self.content_from,
            waiting: inner.mempool.size().0 > 0 || !inner.deliveries.is_empty() || !inner.decisions.is_empty(),
            root_unproven: self.tip.as_ref().is_none_or(|tip| tip.app_hash != version.root),
            work_pending: M::work_pending(&version.state, block_time(now, version.time)),
            until_boundary: boundary.map_or(Duration::MAX, |secs| until(now, secs)),
        }
    }

    /// Makes the next block and commits it.
    pub(crate) fn make_block(&mut self, content: bool) -> Result<(), FatalError> {
        let started = Instant::now();
        let inner = Arc::clone(&self.app.inner);
        let version = inner.versions.committed();
        let height = version.height.next().ok_or_else(|| broken("there is no next height"))?;
        let time = block_time(inner.clock.now(), version.time);
        let txs = self.propose(height, time, content)?;
        let (commit, light) = self.sign(height, time, version.root, &txs)?;
        let hash = Bytes::copy_from_slice(&light.hash);

        let processed = self.app.process_proposal(RequestProcessProposal {
            txs: txs.clone(),
            hash: hash.clone(),
            height: signed(height.get())?,
            time: Some(timestamp(time)),
            next_validators_hash: Bytes::copy_from_slice(&self.validators.hash()),
            proposer_address: Bytes::copy_from_slice(&self.key.address()),
            ..RequestProcessProposal::default()
        });
        if processed.status != i32::from(ProposalStatus::Accept) {
            return Err(broken("the application refuses its own block"));
        }
        inner.store.put_block(height, &light.block, &light.light_block)?;
        let transactions = txs.len();
        let bytes = txs.iter().fold(0_u64, |bytes, tx| bytes.saturating_add(tx.len() as u64));
        let result = self.app.finalize_block(RequestFinalizeBlock {
            txs,
            hash,
            height: signed(height.get())?,
            time: Some(timestamp(time)),
            next_validators_hash: Bytes::copy_from_slice(&self.validators.hash()),
            proposer_address: Bytes::copy_from_slice(&self.key.address()),
            ..RequestFinalizeBlock::default()
        });
        self.check_application()?;
        self.app.commit();
        self.check_application()?;
        inner.prove(height, light.light_block.into());
        self.tip = Some(Tip {
            height,
            app_hash: version.root,
            block_id: light.block_id,
            commit,
            results_hash: results_hash(&result.tx_results),
        });
        // What cannot be in a block yet waits on, and must not make one block after the other.
        let waits_on = content && inner.mempool.size().0 > 0;
        if transactions > 0 || waits_on || !inner.deliveries.is_empty() {
            // From the start of this block, so that blocks keep their pace however long they take.
            self.content_from = started.checked_add(self.interval).unwrap_or(started);
        }
        observe(&inner.metrics.block_seconds, started.elapsed());
        tracing::debug!(%height, transactions, bytes, seconds = started.elapsed().as_secs_f64(), "solo.block");
        Ok(())
    }

    fn check_application(&self) -> Result<(), FatalError> {
        // The reason itself has been noted.
        self.app.fatal().map_or(Ok(()), |error| Err(broken(&error.to_string())))
    }

    fn propose(&self, height: Height, time: BlockTime, content: bool) -> Result<Vec<Bytes>, FatalError> {
        let inner = &self.app.inner;
        let deliveries = if content {
            inner.deliveries.select(BLOCK_DELIVERIES_MAX, DELIVERY_BYTES_MAX, height.get())
        } else {
            Vec::new()
        };
        let decisions = if content { inner.decisions.transactions() } else { Vec::new() };
        let first: Vec<Bytes> = deliveries.into_iter().chain(decisions).collect();
        let room = Room {
            bytes: room_in_bundles(BLOCK_BYTES_MAX.saturating_sub(framed_bytes(&first))),
            mutations: M::block_envelopes_max(&inner.versions.committed().state),
            operations: usize::try_from(BLOCK_OPERATIONS_MAX).unwrap_or(usize::MAX),
        };
        let mut pending = if content { inner.mempool.select(room) } else { Vec::new() };
        order::by_nonce::<M, _>(&mut pending, |pending| Some(pending.verified.content()));
        let bundles = crate::app::bundles(pending.into_iter().map(|pending| pending.envelope.clone()));
        let txs = first.into_iter().chain(bundles).collect();
        let response = self.app.prepare_proposal(RequestPrepareProposal {
            max_tx_bytes: i64::try_from(BLOCK_BYTES_MAX).unwrap_or(i64::MAX),
            txs,
            height: signed(height.get())?,
            time: Some(timestamp(time)),
            next_validators_hash: Bytes::copy_from_slice(&self.validators.hash()),
            proposer_address: Bytes::copy_from_slice(&self.key.address()),
            ..RequestPrepareProposal::default()
        });
        self.check_application()?;
        Ok(response.txs)
    }

    /// Header, commit and bytes of the block. It is the only one of this height that this engine ever signs: the
    /// height rises only with what is on the disk, and nothing leaves the process before it is there.
    fn sign(
        &self,
        height: Height,
        time: BlockTime,
        app_hash: Hash32,
        txs: &[Bytes],
    ) -> Result<(Commit, SignedBlock), FatalError> {
        let chain_id = self.app.inner.genesis.chain_id().as_str();
        let unix = i64::try_from(time.secs).ok().and_then(|secs| UnixTime::new(secs, time.nanos));
        let time = unix.ok_or_else(|| broken("block time has passed the year 9999"))?;
        let last_commit = self.tip.as_ref().map(|tip| &tip.commit);
        let header = make_header(&HeaderInput {
            chain_id,
            app_version: APP_VERSION,
            height: height.get(),
            time,
            last_block_id: self.tip.as_ref().map(|tip| tip.block_id),
            last_commit,
            txs,
            validators: &self.validators,
            next_validators: &self.validators,
            consensus_hash: self.consensus_hash,
            app_hash: &app_hash,
            last_results_hash: self.tip.as_ref().map_or(EMPTY_HASH, |tip| tip.results_hash),
            proposer: Some(self.key.address()),
        })
        .map_err(built)?;
        let block = block_bytes(&header, txs, last_commit);
        let block_id = block_id(&header, &block).map_err(built)?;
        let keys = std::slice::from_ref(&self.key);
        let commit = sign_commit(keys, &self.validators, chain_id, height.get(), 0, block_id, time).map_err(built)?;
        let light_block = light_block_bytes(&header, &commit, &self.validators);
        let hash = block_id.hash.as_bytes().try_into().map_err(|_| broken("a header without a hash"))?;
        Ok((commit, SignedBlock { block, block_id, light_block, hash }))
    }
}

struct SignedBlock {
    block: Vec<u8>,
    block_id: block::Id,
    light_block: Vec<u8>,
    hash: Hash32,
}

fn broken(detail: &str) -> FatalError {
    FatalError::Engine { detail: detail.to_owned() }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` passes it")]
fn built(error: BuildError) -> FatalError {
    broken(&error.to_string())
}

fn signed(height: u64) -> Result<i64, FatalError> {
    i64::try_from(height).map_err(|_| broken("the height has passed 2^63"))
}

fn timestamp(time: BlockTime) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(time.secs).unwrap_or(i64::MAX),
        nanos: i32::try_from(time.nanos).unwrap_or_default(),
    }
}
