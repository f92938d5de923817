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

/// What an operator has to know of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The reader takes nothing of this log any more: only governance helps.
    Frozen,
    /// Entries wait, or the last attempt failed.
    Behind,
    /// The header that the reader trusts is older than half its trusting period; a relay brings a new one from a third on.
    HeaderOld,
}

fn troubles(report: &Report) -> impl Iterator<Item = Trouble> {
    let frozen = report.condition == Condition::Frozen;
    let behind = !frozen && (report.lag_secs > LAG_SECS_MAX || report.condition == Condition::Failing);
    let old = report.trusting_period_secs.is_some_and(|period| report.trusted_age_secs.saturating_mul(2) > period);
    let all = [(frozen, Trouble::Frozen), (behind, Trouble::Behind), (old, Trouble::HeaderOld)];
    all.into_iter().filter_map(|(is, trouble)| is.then_some(trouble))
}

/// A line for the operator about each trouble of a direction.
fn tell_of(report: &Report) {
    let (from, to) = (report.from.as_str(), report.to.as_str());
    // What is not known yet is left out.
    let (lag_entries, lag_secs) = (report.known.then(|| report.lag_entries()), report.lag_secs);
    for trouble in troubles(report) {
        match trouble {
            Trouble::Frozen => {
                let (reason, fault_code) = (report.frozen_reason.as_deref().unwrap_or_default(), report.fault_code);
                tracing::error!(
                    from,
                    to,
                    reason,
                    fault_code,
                    lag_entries,
                    "relay.frozen: the reader takes nothing any more"
                );
            }
            Trouble::Behind => {
                let (failures, error) = (report.failures, report.last_error.as_deref());
                tracing::warn!(from, to, lag_entries, lag_secs, failures, error, "relay.behind");
            }
            Trouble::HeaderOld => {
                let (trusted_age_secs, trusting_period_secs) = (report.trusted_age_secs, report.trusting_period_secs);
                tracing::warn!(
                    from,
                    to,
                    trusted_age_secs,
                    trusting_period_secs,
                    "relay.header_old: when the trusting period is over the reader takes nothing any more"
                );
            }
        }
    }
}

/// Whether there was an attempt to carry anything.
fn looked(report: &Report) -> bool {
    report.condition != Condition::Starting
}

/// The directions as Prometheus reads them. What is not known is left out: a 0 would say that all is well.
#[must_use]
pub fn metrics_text(monitor: &Monitor) -> String {
    text_of(&monitor.reports())
}

fn text_of(reports: &[Report]) -> String {
    type Value = fn(&Report) -> Option<u64>;
    const GAUGES: [(&str, &str, Value); 8] = [
        ("lag_entries", "Entries that are proven and not applied", |report| report.known.then(|| report.lag_entries())),
        (
            "lag_seconds",
            "For how long there have been such entries, or may have been where an end does not answer",
            |report| looked(report).then_some(report.lag_secs),
        ),
        ("cursor", "Entries that the reader applied", |report| report.known.then_some(report.cursor)),
        ("trusted_header_age_seconds", "Age of the writer's newest header that the reader trusts", |report| {
            report.known.then_some(report.trusted_age_secs)
        }),
        ("trusting_period_seconds", "How long the reader trusts a header", |report| report.trusting_period_secs),
        ("failures", "Attempts that failed since one went well", |report| {
            looked(report).then_some(u64::from(report.failures))
        }),
        ("frozen", "1 if the reader takes nothing of this log any more", |report| {
            Some(u64::from(report.frozen_reason.is_some()))
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
    let mut text = String::new();
    let gauges = GAUGES.iter().map(|metric| (metric, "gauge", ""));
    for ((name, help, value), kind, suffix) in gauges.chain(COUNTERS.iter().map(|metric| (metric, "counter", "_total")))
    {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP db3_relay_{name} {help}.\n# TYPE db3_relay_{name} {kind}");
        for report in reports {
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
        for unknown in ["lag_entries", "lag_seconds", "cursor", "trusted_header_age_seconds", "failures"] {
            assert!(!text.contains(&format!("db3_relay_{unknown}{{")), "nobody was asked for {unknown}: {text}");
        }
        assert!(text.contains("db3_relay_refused_total{from=\"mine-settlement\",to=\"mine-shard-0\"} 0"), "{text}");
        assert!(!text.contains("trusting_period_seconds{"), "none is known yet: {text}");
        let mut report = relay.monitor().reports().remove(0);
        (report.condition, report.known, report.frozen_reason) = (Condition::Frozen, true, Some("why".to_owned()));
        (report.size, report.cursor, report.lag_secs, report.fault_code) = (9, 2, 31, 4);
        (report.trusted_age_secs, report.trusting_period_secs) = (500, Some(900));
        let text = text_of(&[report]);
        for (name, value) in [
            ("lag_entries", 7),
            ("lag_seconds", 31),
            ("trusted_header_age_seconds", 500),
            ("trusting_period_seconds", 900),
            ("frozen", 1),
            ("fault_code", 4),
            ("failures", 0),
        ] {
            let line = format!("db3_relay_{name}{{from=\"mine-shard-0\",to=\"mine-settlement\"}} {value}\n");
            assert!(text.contains(&line), "{line} in {text}");
        }
    }

    #[tokio::test]
    async fn a_direction_whose_ends_do_not_answer_counts_its_failures_and_shows_no_lag_of_zero() {
        let directions = directions(&chain("mine-shard-0"), "127.0.0.1:1".parse().unwrap(), &known());
        let second = Duration::from_secs(1);
        let relay = relay(directions, &RelaySettings { jitter: second, poll: second, timeout: second }).unwrap();
        let never = Report {
            condition: Condition::Failing,
            failures: 12,
            lag_secs: 2_000,
            last_error: Some("connection refused".to_owned()),
            ..relay.monitor().reports().remove(0)
        };
        let text = text_of(&[never]);
        let ends = "{from=\"mine-shard-0\",to=\"mine-settlement\"}";
        for line in [format!("db3_relay_failures{ends} 12\n"), format!("db3_relay_lag_seconds{ends} 2000\n")] {
            assert!(text.contains(&line), "{line} in {text}");
        }
        for unknown in ["lag_entries", "cursor", "trusted_header_age_seconds"] {
            assert!(!text.contains(&format!("db3_relay_{unknown}{{")), "{unknown} is not known: {text}");
        }
    }

    #[tokio::test]
    async fn the_log_tells_of_what_an_operator_can_act_on_and_of_nothing_else() {
        let directions = directions(&chain("mine-shard-0"), "127.0.0.1:1".parse().unwrap(), &known());
        let second = Duration::from_secs(1);
        let relay = relay(directions, &RelaySettings { jitter: second, poll: second, timeout: second }).unwrap();
        let well = Report { condition: Condition::Idle, ..relay.monitor().reports().remove(0) };
        let of = |report: &Report| troubles(report).collect::<Vec<_>>();
        assert_eq!(of(&well), []);
        let behind = Report { condition: Condition::Behind, size: 5, lag_secs: LAG_SECS_MAX, ..well.clone() };
        assert_eq!(of(&behind), [], "a relay looks every few seconds");
        assert_eq!(of(&Report { lag_secs: LAG_SECS_MAX + 1, ..behind.clone() }), [Trouble::Behind]);
        assert_eq!(of(&Report { condition: Condition::Failing, ..well.clone() }), [Trouble::Behind]);
        let age = |trusted_age_secs| Report { trusting_period_secs: Some(900), trusted_age_secs, ..well.clone() };
        assert_eq!((of(&age(450)), of(&age(451))), (vec![], vec![Trouble::HeaderOld]));
        let frozen = Report { condition: Condition::Frozen, lag_secs: 9_999, ..age(901) };
        assert_eq!(of(&frozen), [Trouble::Frozen, Trouble::HeaderOld], "what is frozen does not wait for a relay");
        tell_of(&frozen);
    }
}
