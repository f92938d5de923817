//! The relay inside a node: it carries its chain's logs to the others and theirs to it, wakes with its chain's blocks,
//! and tells its operator how each direction does.
//!
//! Every node may run one; they need not know of one another. It must never hold up its chain: nothing waits for it.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use db3_chain::{Chain, Machine};
use db3_primitives::ChainId;
use db3_primitives::name::ChainRole;
use db3_relay::{Condition, Config, Direction, Monitor, Relay, RelayError, Report, Waker};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::settings::ChainEndpoints;

/// How often the log tells of directions that do not do well.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Entries that wait longer than this are told of: a relay looks every few seconds.
const LAG_SECS_MAX: u64 = 60;

/// Between which chains, and how eagerly.
#[derive(Clone, Debug)]
pub struct RelaySettings {
    /// Longest wait, at random, between seeing entries and carrying them, so that of many relays one does the work.
    pub jitter: Duration,
    /// How often to look where no block wakes it.
    pub poll: Duration,
    /// How long one call may take.
    pub timeout: Duration,
}

/// A relay at work.
#[derive(Debug)]
pub struct RelayTask {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// The directions that concern a chain: the settlement chain and each shard, both ways, as far as endpoints are known.
#[must_use]
pub fn directions(own: &ChainId, served: SocketAddr, known: &[ChainEndpoints]) -> Vec<Direction> {
    let ours = db3_relay::ChainEndpoints { chain_id: own.clone(), urls: vec![format!("http://{}", reachable(served))] };
    let Some((network, role)) = own.parts() else { return Vec::new() };
    let others = known.iter().filter(|other| {
        let of_other = other.chain_id.parts().filter(|(of, _)| *of == network).map(|(_, role)| role);
        match (role, of_other) {
            (ChainRole::Settlement, Some(ChainRole::Shard(_))) | (ChainRole::Shard(_), Some(ChainRole::Settlement)) => {
                !other.endpoints.is_empty()
            }
            (ChainRole::Settlement | ChainRole::Shard(_), _) => false,
        }
    });
    others
        .flat_map(|other| {
            let theirs = db3_relay::ChainEndpoints { chain_id: other.chain_id.clone(), urls: other.endpoints.clone() };
            [Direction { from: ours.clone(), to: theirs.clone() }, Direction { from: theirs, to: ours.clone() }]
        })
        .collect()
}

/// An address that this machine reaches itself by.
fn reachable(served: SocketAddr) -> SocketAddr {
    let ip = if served.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { served.ip() };
    SocketAddr::new(ip, served.port())
}

/// A relay of these directions that does not run yet.
pub fn relay(directions: Vec<Direction>, settings: &RelaySettings) -> Result<Relay, RelayError> {
    let RelaySettings { jitter, poll, timeout } = *settings;
    Relay::new(&Config { directions, poll, jitter, timeout, retry_max: Duration::from_secs(30) })
}

impl RelayTask {
    /// Runs a relay, wakes it with the blocks of a chain, and tells the log of what does not do well.
    #[must_use]
    pub fn start<M: Machine>(relay: Relay, chain: &Chain<M>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (monitor, waker) = (relay.monitor(), relay.waker());
        let mut told = stopped.clone();
        let running = tokio::spawn(relay.run(async move {
            // A sender that is gone has stopped as well.
            let _ = told.wait_for(|stop| *stop).await;
        }));
        let waking = tokio::spawn(wake(chain.clone(), waker, stopped.clone()));
        let telling = tokio::spawn(tell(monitor, stopped));
        Self { stop, tasks: vec![running, waking, telling] }
    }

    /// Stops at once: nothing that it does can be left half done.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            // A panic in there is in the log.
            let _ = task.await;
        }
    }
}

/// Wakes a relay with every block, whose header proves what the block before it wrote.
async fn wake<M: Machine>(chain: Chain<M>, waker: Waker, mut stopped: watch::Receiver<bool>) {
    let mut blocks = chain.subscribe(None);
    drop(chain);
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            block = blocks.next() => match block {
                Ok(_) => waker.wake(),
                Err(_) => return,
            },
        }
    }
}

async fn tell(monitor: Monitor, mut stopped: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(TELL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => monitor.reports().iter().for_each(tell_of),
        }
    }
}

/// One line for the operator about a direction that needs one.
fn tell_of(report: &Report) {
    let (from, to) = (report.from.as_str(), report.to.as_str());
    let (lag_entries, lag_secs) = (report.lag_entries(), report.lag_secs);
    let error = report.last_error.as_deref().unwrap_or_default();
    if report.condition == Condition::Frozen {
        let (reason, fault_code) = (report.frozen_reason.as_deref().unwrap_or_default(), report.fault_code);
        tracing::error!(from, to, reason, fault_code, lag_entries, "relay.frozen: the reader takes nothing any more");
    } else if lag_secs > LAG_SECS_MAX || report.condition == Condition::Failing {
        tracing::warn!(from, to, lag_entries, lag_secs, error, "relay.behind");
    }
    if let Some(trusting_period_secs) = report.trusting_period_secs
        && report.trusted_age_secs.saturating_mul(2) > trusting_period_secs
    {
        let trusted_age_secs = report.trusted_age_secs;
        tracing::warn!(
            from,
            to,
            trusted_age_secs,
            trusting_period_secs,
            "relay.header_old: when the trusting period is over the reader takes nothing any more"
        );
    }
}

/// The directions as Prometheus reads them.
#[must_use]
pub fn metrics_text(monitor: &Monitor) -> String {
    type Value = fn(&Report) -> Option<u64>;
    const GAUGES: [(&str, &str, Value); 7] = [
        ("lag_entries", "Entries that are proven and not applied", |report| Some(report.lag_entries())),
        ("lag_seconds", "For how long there have been such entries", |report| Some(report.lag_secs)),
        ("cursor", "Entries that the reader applied", |report| Some(report.cursor)),
        ("trusted_header_age_seconds", "Age of the writer's newest header that the reader trusts", |report| {
            Some(report.trusted_age_secs)
        }),
        ("trusting_period_seconds", "How long the reader trusts a header", |report| report.trusting_period_secs),
        ("frozen", "1 if the reader takes nothing of this log any more", |report| {
            Some(u64::from(report.condition == Condition::Frozen))
        }),
        ("fault_code", "Number of the writer's fault, 0: none", |report| Some(u64::from(report.fault_code))),
    ];
    const COUNTERS: [(&str, &str, Value); 5] = [
        ("deliveries", "Deliveries that the reader took", |report| Some(report.deliveries)),
        ("entries", "Entries in them", |report| Some(report.entries)),
        ("headers_alone", "Deliveries of headers alone", |report| Some(report.headers_alone)),
        ("stale", "Deliveries that another relay had made already", |report| Some(report.stale)),
        ("refused", "Deliveries that were refused", |report| Some(report.refused)),
    ];
    let reports = monitor.reports();
    let mut text = String::new();
    let gauges = GAUGES.iter().map(|metric| (metric, "gauge", ""));
    for ((name, help, value), kind, suffix) in gauges.chain(COUNTERS.iter().map(|metric| (metric, "counter", "_total")))
    {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP db3_relay_{name} {help}.\n# TYPE db3_relay_{name} {kind}");
        for report in &reports {
            let Some(value) = value(report) else { continue };
            let (from, to) = (&report.from, &report.to);
            let _ = writeln!(text, "db3_relay_{name}{suffix}{{from=\"{from}\",to=\"{to}\"}} {value}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn chain(name: &str) -> ChainId {
        ChainId::parse(name).unwrap()
    }

    fn at(name: &str, url: &str) -> ChainEndpoints {
        ChainEndpoints { chain_id: chain(name), endpoints: vec![url.to_owned()] }
    }

    fn known() -> Vec<ChainEndpoints> {
        vec![
            at("mine-settlement", "http://a"),
            at("mine-shard-0", "http://b"),
            at("mine-shard-1", "http://c"),
            at("other-shard-2", "http://d"),
            ChainEndpoints { chain_id: chain("mine-shard-2"), endpoints: Vec::new() },
        ]
    }

    #[test]
    fn a_shard_speaks_with_the_settlement_chain_and_that_with_every_shard() {
        let served = "0.0.0.0:7301".parse().unwrap();
        let of_shard = directions(&chain("mine-shard-0"), served, &known());
        let ends = |directions: &[Direction]| {
            let name = |direction: &Direction| format!("{} > {}", direction.from.chain_id, direction.to.chain_id);
            directions.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(ends(&of_shard), ["mine-shard-0 > mine-settlement", "mine-settlement > mine-shard-0"]);
        assert_eq!(of_shard[0].from.urls, ["http://127.0.0.1:7301"], "an address that can be called");
        let of_settlement = directions(&chain("mine-settlement"), served, &known());
        assert_eq!(of_settlement.len(), 4, "neither another network's shard nor one that is nowhere served");
    }

    #[tokio::test]
    async fn every_direction_has_its_metrics() {
        let directions = directions(&chain("mine-shard-0"), "127.0.0.1:1".parse().unwrap(), &known());
        let second = Duration::from_secs(1);
        let relay = relay(directions, &RelaySettings { jitter: second, poll: second, timeout: second }).unwrap();
        let text = metrics_text(&relay.monitor());
        assert!(text.contains("db3_relay_lag_entries{from=\"mine-shard-0\",to=\"mine-settlement\"} 0"), "{text}");
        assert!(text.contains("db3_relay_refused_total{from=\"mine-settlement\",to=\"mine-shard-0\"} 0"), "{text}");
        assert!(!text.contains("trusting_period_seconds{"), "none is known yet: {text}");
    }
}
