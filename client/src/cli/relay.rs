//! `db3 relay`: carries what the network's chains have to say to one another. Anyone may run it, nobody needs to trust
//! it, and any number may run at once; it needs no account and keeps nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use db3_genesis::ChainEntry;
use db3_relay::{ChainEndpoints, Condition, Config, Monitor, Relay, Report};
use tokio::time::{interval, sleep};

use super::args::RelayArgs;
use super::failure::Failure;
use super::output::List;
use super::session::Session;
use super::value::{Object, Value, counted};
use crate::console::OutputFormat;

/// How often to look whether there is something new to say.
const LOOK: Duration = Duration::from_millis(200);

const COLUMNS: &[&str] = &[
    "from",
    "to",
    "condition",
    "cursor",
    "size",
    "lag",
    "lag_secs",
    "trusted_height",
    "trusted_age_secs",
    "trusting_period_secs",
    "deliveries",
    "entries",
    "headers_alone",
    "stale",
    "refused",
    "problem",
];

/// `db3 relay`
pub async fn relay(session: &Session, args: &RelayArgs) -> Result<(), Failure> {
    let network = session.network()?.file;
    let Some(settlement) = network.settlement() else {
        return Err(Failure::input(
            format!("the file of the network {} names no settlement chain", network.name),
            "add the network anew with `db3 network add FILE`, from a file that names all of its chains",
        ));
    };
    let shards: Vec<ChainEndpoints> = network.shards().map(endpoints).collect();
    let mut config = Config::of_network(&endpoints(settlement), &shards);
    config.poll = args.poll.unwrap_or(config.poll);
    config.jitter = args.jitter.unwrap_or(config.jitter);
    let relay = Relay::new(&config)
        .map_err(|error| Failure::input(error.to_string(), "correct the endpoints in the network's file"))?;
    let monitor = relay.monitor();
    let end = async {
        match args.duration {
            Some(duration) => sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let interrupted = async {
        // Without a handler the default action ends the process with the same meaning.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    session.output.say(&format!("carrying {} logs of {}; interrupt it to stop", config.directions.len(), network.name));
    let shutdown = async {
        tokio::select! {
            () = end => {}
            () = interrupted => {}
        }
    };
    let mut teller = Teller { session, list: session.output.list(COLUMNS), told: BTreeMap::new() };
    let outcome = tokio::select! {
        () = relay.run(shutdown) => Ok(()),
        told = teller.follow(&monitor) => told,
    };
    outcome?;
    teller.tell(&monitor)?;
    if session.output.format == OutputFormat::Csv { teller.list.finish("") } else { Ok(()) }
}

fn endpoints(chain: &ChainEntry) -> ChainEndpoints {
    ChainEndpoints { chain_id: chain.chain_id.clone(), urls: chain.endpoints.clone() }
}

/// Says what changed, once.
struct Teller<'s> {
    session: &'s Session,
    list: List,
    /// What was said last of each direction.
    told: BTreeMap<String, (Condition, u64, u64, Option<String>)>,
}

impl Teller<'_> {
    /// Until standard output is closed.
    async fn follow(&mut self, monitor: &Monitor) -> Result<(), Failure> {
        let mut ticks = interval(LOOK);
        loop {
            ticks.tick().await;
            self.tell(monitor)?;
        }
    }

    fn tell(&mut self, monitor: &Monitor) -> Result<(), Failure> {
        for report in monitor.reports() {
            let name = format!("{} > {}", report.from, report.to);
            let state = (report.condition, report.deliveries, report.refused, report.last_error.clone());
            let is_news = report.condition != Condition::Starting && self.told.get(&name) != Some(&state);
            if is_news {
                self.print(&report)?;
                self.told.insert(name, state);
            }
        }
        Ok(())
    }

    fn print(&mut self, report: &Report) -> Result<(), Failure> {
        if self.session.output.format == OutputFormat::Table {
            return self.session.output.raw(format!("{}\n", sentence(report)).as_bytes());
        }
        let problem = report.frozen_reason.clone().or_else(|| report.last_error.clone());
        self.list.push(
            &Object::new()
                .with("from", report.from.as_str())
                .with("to", report.to.as_str())
                .with("condition", condition(report.condition))
                .with_some("cursor", report.known.then_some(report.cursor))
                .with_some("size", report.known.then_some(report.size))
                .with_some("lag", report.known.then(|| report.lag_entries()))
                .with("lag_secs", report.lag_secs)
                .with_some("trusted_height", report.known.then_some(report.trusted_height))
                .with_some("trusted_age_secs", report.known.then_some(report.trusted_age_secs))
                .with_some("trusting_period_secs", report.trusting_period_secs)
                .with("deliveries", report.deliveries)
                .with("entries", report.entries)
                .with("headers_alone", report.headers_alone)
                .with("stale", report.stale)
                .with("refused", report.refused)
                .with_some("fault_code", Some(report.fault_code).filter(|code| *code > 0))
                .with_some("problem", problem.map(Value::from)),
        )
    }
}

fn condition(condition: Condition) -> &'static str {
    match condition {
        Condition::Starting => "starting",
        Condition::Idle => "idle",
        Condition::Behind => "behind",
        Condition::Failing => "failing",
        Condition::Frozen => "frozen",
    }
}

fn sentence(report: &Report) -> String {
    let way = format!("{} > {}", report.from, report.to);
    let waiting = match (report.lag_entries(), report.lag_secs) {
        (0, 0) => String::new(),
        (0, secs) => format!(", more may wait for {secs} s"),
        (entries, secs) => format!(", {entries} wait for {secs} s"),
    };
    let so_far = format!("{} of {} entries{waiting}", report.cursor, report.size);
    match (report.condition, &report.frozen_reason, &report.last_error) {
        (Condition::Frozen, Some(reason), _) => format!("{way}: frozen at {so_far}: {reason}"),
        (Condition::Failing, _, Some(error)) if report.known => format!("{way}: failing at {so_far}; {error}"),
        (Condition::Failing, _, Some(error)) => format!("{way}: failing, and what waits is not known yet; {error}"),
        _ => format!(
            "{way}: {}, {so_far}, {}, newest trusted header {} s old",
            condition(report.condition),
            counted(report.deliveries, "delivery", "deliveries"),
            report.trusted_age_secs
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn a_direction_nobody_answered_for_is_said_to_be_unknown_and_not_to_be_at_zero() {
        let at = |name: &str| ChainEndpoints {
            chain_id: db3_primitives::ChainId::parse(name).unwrap(),
            urls: vec!["http://127.0.0.1:1".to_owned()],
        };
        let config = Config::of_network(&at("mine-settlement"), &[at("mine-shard-0")]);
        let started = Relay::new(&config).unwrap().monitor().reports().remove(0);
        let error = Some("connection refused".to_owned());
        let failing = Report { condition: Condition::Failing, last_error: error, lag_secs: 40, ..started };
        let way = format!("{} > {}", failing.from, failing.to);
        assert_eq!(sentence(&failing), format!("{way}: failing, and what waits is not known yet; connection refused"));
        let known = Report { known: true, cursor: 3, size: 5, ..failing };
        assert_eq!(sentence(&known), format!("{way}: failing at 3 of 5 entries, 2 wait for 40 s; connection refused"));
        let behind = Report { condition: Condition::Behind, last_error: None, deliveries: 1, ..known.clone() };
        assert!(sentence(&behind).starts_with(&format!("{way}: behind, 3 of 5 entries, 2 wait for 40 s, 1 delivery,")));
        let silent = Report { cursor: 5, ..known };
        assert!(sentence(&silent).contains("5 of 5 entries, more may wait for 40 s;"), "the writer does not answer");
    }
}
