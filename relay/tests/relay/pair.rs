//! A shard and a settlement chain that hear each other, and relays between them.

use std::time::Duration;

use db3_light_client::Options;
use db3_relay::{ChainEndpoints, Config, Direction, Relay, Report};
use tokio::task::JoinHandle;

use crate::fake::{Fake, at};

/// A shard and a settlement chain that hear each other, both served.
pub struct Pair {
    pub shard: Fake,
    pub settlement: Fake,
    pub shard_at: ChainEndpoints,
    pub settlement_at: ChainEndpoints,
    servers: Vec<JoinHandle<()>>,
}

impl Pair {
    pub async fn new() -> Self {
        let pair = Self::with(Options::never_expires()).await;
        for chain in [&pair.shard, &pair.settlement] {
            chain.lock().judged_at = Some(at(10_000_000));
        }
        pair
    }

    pub async fn with(options: Options) -> Self {
        let (shard, settlement) = (Fake::new("test-shard-0"), Fake::new("test-settlement"));
        shard.hears(&settlement, options);
        settlement.hears(&shard, options);
        let ((shard_url, first), (settlement_url, second)) = (shard.serve().await, settlement.serve().await);
        Self {
            shard_at: ChainEndpoints { chain_id: shard.id(), urls: vec![shard_url] },
            settlement_at: ChainEndpoints { chain_id: settlement.id(), urls: vec![settlement_url] },
            shard,
            settlement,
            servers: vec![first, second],
        }
    }

    /// From the shard to the settlement chain alone.
    pub fn one_way(&self) -> Config {
        let direction = Direction { from: self.shard_at.clone(), to: self.settlement_at.clone() };
        Config { directions: vec![direction], ..self.both_ways() }
    }

    pub fn both_ways(&self) -> Config {
        Config {
            poll: Duration::from_millis(20),
            jitter: Duration::ZERO,
            timeout: Duration::from_secs(20),
            retry_max: Duration::from_millis(100),
            ..Config::of_network(&self.settlement_at, std::slice::from_ref(&self.shard_at))
        }
    }

    /// Entries of the shard that the settlement chain applied.
    pub fn carried(&self) -> Vec<Vec<u8>> {
        self.settlement.read_from(&self.shard.id())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

/// Runs a relay until something is so, which must be soon; what it reports then.
pub async fn run_until(config: &Config, mut done: impl FnMut(&[Report]) -> bool) -> Vec<Report> {
    let relay = Relay::new(config).unwrap();
    let monitor = relay.monitor();
    let watched = monitor.clone();
    let finished = relay.run(async move {
        while !done(&watched.reports()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    within(finished, || format!("{:?}", monitor.reports())).await;
    monitor.reports()
}

/// Fails with what `state` says where something takes too long to be right.
pub async fn within<T>(future: impl Future<Output = T>, state: impl Fn() -> String) -> T {
    let outcome = tokio::time::timeout(Duration::from_secs(60), future).await;
    outcome.unwrap_or_else(|_| panic!("nothing came of it: {}", state()))
}
