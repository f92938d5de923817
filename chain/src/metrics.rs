//! What a chain counts and measures, for Prometheus (the `OpenMetrics` text format).

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use db3_carry::{Channel, Delivered};
use db3_comet::Health;
use db3_primitives::{BlockTime, Height, Rejection};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::comet::{Consensus, ConsensusState};

type Number = Gauge<u64, AtomicU64>;

/// A rejection's name and code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    name: &'static str,
    code: u32,
}

/// A chain that this one hears.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Source {
    source: String,
}

/// The measurements of one chain.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    /// Newest block.
    height: Number,
    /// Its time in Unix seconds.
    block_time: Number,
    /// Newest height that can be proven.
    pub(crate) provable_height: Number,
    /// Time to make, execute and store one block; under `CometBFT`, from one block to the next.
    pub(crate) block_seconds: Histogram,
    /// Time to execute one block.
    pub(crate) execution_seconds: Histogram,
    /// Time to put one block and its history on the disk.
    pub(crate) commit_seconds: Histogram,
    /// Mutations in blocks, applied and failed.
    pub(crate) mutations: Counter,
    /// Mutations waiting for a block.
    pub(crate) mempool_mutations: Number,
    /// Their bytes.
    pub(crate) mempool_bytes: Number,
    /// Mutations waiting to be verified.
    pub(crate) verify_queue: Number,
    /// Mutations of a bundle that was made here,
    bundle_mutations: Histogram,
    /// and its bytes.
    bundle_bytes: Histogram,
    /// 1 while `CometBFT` runs and answers.
    comet_up: Number,
    /// Its height.
    comet_height: Number,
    /// Its peers.
    comet_peers: Number,
    /// The newest height that more than half of them have.
    comet_peers_height: Number,
    /// 1 where they keep none of the blocks that this node lacks.
    comet_behind: Number,
    /// Power of the key that it signs with.
    validator_power: Number,
    /// The newest height that was seen to be signed with it.
    validator_signed_height: Number,
    /// 1 while it fetches old blocks.
    comet_catching_up: Number,
    /// How often it was started again.
    comet_restarts: Counter,
    /// Leaves of the state tree.
    pub(crate) tree_leaves: Number,
    /// Bytes of memory that the state took at the newest snapshot.
    pub(crate) tree_bytes: Number,
    /// Height of the snapshot on disk.
    pub(crate) snapshot_height: Number,
    /// Its block time in Unix seconds.
    pub(crate) snapshot_time: Number,
    /// Height of the newest snapshot for other nodes; 0: there is none.
    sync_snapshot_height: Number,
    /// How many that were due since then could not be written, one after the other.
    sync_snapshots_missed: Number,
    rejections: Family<Code, Counter>,
    /// On the settlement chain: rounds that have ended,
    pub(crate) rounds: Number,
    /// and the newest epoch that they settled.
    pub(crate) settled_epoch: Number,
    /// and the epoch of its newest block.
    pub(crate) open_epoch: Number,
    /// Deliveries that blocks held.
    deliveries: Family<Source, Counter>,
    /// Entries that they brought.
    inbox_entries: Family<Source, Counter>,
    /// Of those, entries that said what no honest chain writes.
    inbox_refused: Family<Source, Counter>,
    /// Entries of a chain that were applied.
    inbox_cursor: Family<Source, Number>,
    /// Height of the newest header of a chain that is trusted.
    trusted_height: Family<Source, Number>,
    /// Its time in Unix seconds.
    trusted_time: Family<Source, Number>,
    /// For how long after that time it can vouch for another, in seconds; missing where that is for ever.
    trusting_period: Family<Source, Number>,
    /// 1 where nothing more is accepted from a chain, until governance decides.
    inbox_frozen: Family<Source, Number>,
}

impl Metrics {
    pub(crate) fn new(chain_id: &str) -> Self {
        let seconds = || Histogram::new([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0]);
        let metrics = Self {
            registry: Mutex::default(),
            height: Number::default(),
            block_time: Number::default(),
            provable_height: Number::default(),
            block_seconds: seconds(),
            execution_seconds: seconds(),
            commit_seconds: seconds(),
            mutations: Counter::default(),
            mempool_mutations: Number::default(),
            mempool_bytes: Number::default(),
            verify_queue: Number::default(),
            bundle_mutations: Histogram::new([1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0]),
            bundle_bytes: Histogram::new([1e3, 4e3, 16e3, 64e3, 128e3, 256e3, 512e3]),
            comet_up: Number::default(),
            comet_height: Number::default(),
            comet_peers: Number::default(),
            comet_peers_height: Number::default(),
            comet_behind: Number::default(),
            validator_power: Number::default(),
            validator_signed_height: Number::default(),
            comet_catching_up: Number::default(),
            comet_restarts: Counter::default(),
            tree_leaves: Number::default(),
            tree_bytes: Number::default(),
            snapshot_height: Number::default(),
            snapshot_time: Number::default(),
            sync_snapshot_height: Number::default(),
            sync_snapshots_missed: Number::default(),
            rejections: Family::default(),
            rounds: Number::default(),
            settled_epoch: Number::default(),
            open_epoch: Number::default(),
            deliveries: Family::default(),
            inbox_entries: Family::default(),
            inbox_refused: Family::default(),
            inbox_cursor: Family::default(),
            trusted_height: Family::default(),
            trusted_time: Family::default(),
            trusting_period: Family::default(),
            inbox_frozen: Family::default(),
        };
        *crate::lock(&metrics.registry) = metrics.registry(chain_id);
        metrics
    }

    fn registry(&self, chain_id: &str) -> Registry {
        let labels = [("chain_id".into(), chain_id.to_owned().into())].into_iter();
        let mut registry = Registry::with_prefix_and_labels("db3", labels);
        registry.register("height", "Newest block", self.height.clone());
        registry.register("block_time_unix_seconds", "Time of the newest block", self.block_time.clone());
        registry.register("provable_height", "Newest height that can be proven", self.provable_height.clone());
        registry.register_with_unit("block", "Making one block", Unit::Seconds, self.block_seconds.clone());
        registry.register_with_unit("execution", "Executing one block", Unit::Seconds, self.execution_seconds.clone());
        registry.register_with_unit("commit", "Storing one block", Unit::Seconds, self.commit_seconds.clone());
        registry.register("mutations", "Mutations in blocks", self.mutations.clone());
        registry.register("mempool_mutations", "Mutations waiting for a block", self.mempool_mutations.clone());
        registry.register("mempool_bytes", "Their bytes", self.mempool_bytes.clone());
        registry.register("verify_queue", "Mutations waiting to be verified", self.verify_queue.clone());
        registry.register("tree_leaves", "Leaves of the state tree", self.tree_leaves.clone());
        registry.register("tree_bytes", "Memory of the state at that snapshot", self.tree_bytes.clone());
        registry.register("snapshot_height", "Height of the snapshot on disk", self.snapshot_height.clone());
        registry.register("snapshot_time_unix_seconds", "Block time of that snapshot", self.snapshot_time.clone());
        let (sync, missed) = (self.sync_snapshot_height.clone(), self.sync_snapshots_missed.clone());
        registry.register("sync_snapshot_height", "Height of the newest snapshot for other nodes", sync);
        registry.register("sync_snapshots_missed", "Snapshots for other nodes that failed in a row", missed);
        registry.register("rejections", "Refused mutations", self.rejections.clone());
        registry.register("bundle_mutations", "Mutations of a bundle made here", self.bundle_mutations.clone());
        registry.register("bundle_bytes", "Bytes of a bundle made here", self.bundle_bytes.clone());
        registry.register("cometbft_up", "1 while CometBFT runs and answers", self.comet_up.clone());
        registry.register("cometbft_height", "Newest block of CometBFT", self.comet_height.clone());
        registry.register("cometbft_peers", "Peers of CometBFT", self.comet_peers.clone());
        registry.register("cometbft_peers_height", "Height that most peers have", self.comet_peers_height.clone());
        registry.register(
            "cometbft_behind",
            "1: no peer keeps the next block, or it cannot be judged here",
            self.comet_behind.clone(),
        );
        registry.register(
            "validator_power",
            "Power of the key that this node signs with",
            self.validator_power.clone(),
        );
        let signed = self.validator_signed_height.clone();
        registry.register("validator_signed_height", "Newest height that was signed with that key", signed);
        registry.register("cometbft_catching_up", "1 while it fetches old blocks", self.comet_catching_up.clone());
        registry.register("cometbft_restarts", "How often it was started again", self.comet_restarts.clone());
        if chain_id.ends_with("-settlement") {
            registry.register("rounds", "Rounds of settlement that have ended", self.rounds.clone());
            registry.register("settled_epoch", "Newest epoch that a round settled", self.settled_epoch.clone());
            registry.register("open_epoch", "Epoch of the newest block", self.open_epoch.clone());
        }
        registry.register("deliveries", "Deliveries that blocks held", self.deliveries.clone());
        registry.register("inbox_entries", "Entries that deliveries brought", self.inbox_entries.clone());
        registry.register("inbox_refused", "Entries that no honest chain writes", self.inbox_refused.clone());
        registry.register("inbox_cursor", "Entries of a chain that were applied", self.inbox_cursor.clone());
        registry.register("trusted_height", "Newest trusted header of a chain", self.trusted_height.clone());
        registry.register("trusted_time_unix_seconds", "Time of that header", self.trusted_time.clone());
        registry.register("trusting_period_seconds", "How long that header vouches", self.trusting_period.clone());
        registry.register("inbox_frozen", "1: nothing more is accepted from a chain", self.inbox_frozen.clone());
        registry
    }

    pub(crate) fn block(&self, height: Height, time: BlockTime) {
        self.height.set(height.get());
        self.block_time.set(time.secs);
    }

    pub(crate) fn snapshot(&self, height: Height, time: BlockTime) {
        self.snapshot_height.set(height.get());
        self.snapshot_time.set(time.secs);
    }

    /// A snapshot for others is the newest; none: there is none.
    pub(crate) fn sync_snapshot(&self, height: Option<Height>) {
        self.sync_snapshot_height.set(height.unwrap_or_default().get());
    }

    /// One that was due was written, or not.
    pub(crate) fn sync_snapshot_due(&self, written: bool) {
        self.sync_snapshots_missed.set(if written { 0 } else { self.sync_snapshots_missed.get().saturating_add(1) });
    }

    /// What a block took in from another chain.
    pub(crate) fn delivered(&self, delivered: &Delivered) {
        let source = Source { source: delivered.source.as_str().to_owned() };
        self.deliveries.get_or_create(&source).inc();
        self.inbox_entries.get_or_create(&source).inc_by(delivered.applied);
        self.inbox_refused.get_or_create(&source).inc_by(delivered.refused.len() as u64);
    }

    /// How far a chain is heard; `frozen`: nothing more is accepted from it.
    pub(crate) fn channel(&self, channel: &Channel, frozen: bool) {
        let source = Source { source: channel.source().as_str().to_owned() };
        let time = u64::try_from(channel.trusted_time().secs()).unwrap_or_default();
        let period = channel.peer().options.trusting_period_secs();
        self.inbox_cursor.get_or_create(&source).set(channel.cursor());
        self.trusted_height.get_or_create(&source).set(channel.trusted_height());
        self.trusted_time.get_or_create(&source).set(time);
        // For ever has no number: the text format holds none that large.
        if i64::try_from(period).is_ok() {
            self.trusting_period.get_or_create(&source).set(period);
        }
        self.inbox_frozen.get_or_create(&source).set(u64::from(frozen));
    }

    /// A bundle was made.
    pub(crate) fn bundle(&self, mutations: usize, bytes: usize) {
        let number = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        self.bundle_mutations.observe(number(mutations));
        self.bundle_bytes.observe(number(bytes));
    }

    /// How `CometBFT` does.
    pub(crate) fn comet(&self, health: &Health, consensus: &Consensus) {
        self.comet_up.set(u64::from(health.pid.is_some() && health.answers));
        self.comet_height.set(health.height);
        self.comet_peers_height.set(health.peers_height);
        let lost = matches!(consensus.state, ConsensusState::Behind | ConsensusState::Stranded);
        self.comet_behind.set(u64::from(lost));
        self.validator_power.set(health.power);
        self.validator_signed_height.set(health.signed);
        self.comet_peers.set(consensus.peers.into());
        self.comet_catching_up.set(u64::from(consensus.catching_up));
        self.comet_restarts.inc_by(consensus.restarts.saturating_sub(self.comet_restarts.get()));
    }

    pub(crate) fn rejected(&self, rejection: &Rejection) {
        self.rejections.get_or_create(&Code { name: rejection.name(), code: rejection.code() }).inc();
    }

    /// Everything, as Prometheus reads it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &crate::lock(&self.registry));
        text
    }
}

/// Adds a duration to a histogram of seconds.
pub(crate) fn observe(histogram: &Histogram, took: Duration) {
    histogram.observe(took.as_secs_f64());
}
