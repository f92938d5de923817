//! Whether a history is linearizable: whether there is an order of the calls in which each takes effect at one moment
//! between its start and its end, and every answer is what a register with versions gives.
//!
//! The search is that of Wing and Gong (Testing and verifying concurrent objects, 1993), with Lowe's memory of the
//! configurations that lead nowhere (Testing for linearizability, 2017). Registers are independent of one another, so each
//! key is looked at alone (Herlihy and Wing: linearizability is local).
//!
//! A register holds a version and a value; 0 and nothing before the first write. A write makes the next version. A write
//! whose outcome is unknown may take effect at any moment after its start, or never.
//!
//! Reads of clients that asked for no newer state than they knew have no place in the order: [`crate::heights`].
//!
//! A version is made once and every value is written once, so few unknown writes can take effect at a moment, and those
//! that can are alike ([`Search::unknown`]): their number does not multiply the ways to look at.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use crate::call::{Call, Kind, Outcome};

/// Why a history is not linearizable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The register.
    pub key: String,
    /// The most calls that could be put in an order, of how many that were answered.
    pub ordered: usize,
    /// Calls that were answered.
    pub answered: usize,
    /// What the register held after those.
    pub held: String,
    /// The calls that could have come next, and do not fit.
    pub stuck: Vec<Call>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: no order explains the answers; at best {} of {} calls, after which it holds {}, and then none of these fits:",
            self.key, self.ordered, self.answered, self.held
        )?;
        for call in &self.stuck {
            writeln!(f, "  {}", serde_json::to_string(call).unwrap_or_else(|_| format!("{call:?}")))?;
        }
        Ok(())
    }
}

/// What was found in a history that is linearizable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Registers.
    pub keys: usize,
    /// Calls that were answered and put in an order.
    pub answered: usize,
    /// Writes whose outcome is unknown.
    pub unknown: usize,
    /// Configurations that were looked at.
    pub visited: usize,
}

/// Looks for an order of the calls, register by register.
pub fn check(calls: &[Call]) -> Result<Report, Box<Violation>> {
    let mut registers: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    let has_place =
        |call: &&Call| !(matches!(call.result, Outcome::None { .. }) || call.alone && call.call == Kind::Read);
    for call in calls.iter().filter(has_place) {
        registers.entry(&call.arguments.key).or_default().push(call);
    }
    let mut report = Report::default();
    for (key, mut calls) in registers {
        calls.sort_by_key(|call| (!is_answered(call), call.start));
        let search = Search::new(calls);
        report.keys = report.keys.saturating_add(1);
        report.answered = report.answered.saturating_add(search.answered);
        report.unknown = report.unknown.saturating_add(search.calls.len().saturating_sub(search.answered));
        report.visited = report.visited.saturating_add(search.run(key)?);
    }
    Ok(report)
}

/// What a register holds: a version, and the call that wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Register {
    version: u64,
    writer: Option<usize>,
}

/// A set of calls in some order, and what the register holds after them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Configuration {
    /// All answered calls before this one are in it.
    from: usize,
    /// And these of the others.
    ahead: BTreeSet<usize>,
    /// Unknown writes that took effect.
    unknown: BTreeSet<usize>,
    register: Register,
}

impl Configuration {
    /// Whether an answered call is in it.
    fn holds(&self, at: usize) -> bool {
        at < self.from || self.ahead.contains(&at)
    }

    /// Answered calls in it.
    fn ordered(&self) -> usize {
        self.from.saturating_add(self.ahead.len())
    }
}

/// The calls of one register: those that were answered by their start, then the unknown ones by theirs.
struct Search<'a> {
    calls: Vec<&'a Call>,
    answered: usize,
    /// Versions that answered writes made.
    made: HashSet<u64>,
    /// Version and value of every read.
    read: BTreeMap<u64, &'a str>,
    /// Values that were read.
    values: HashSet<&'a str>,
    /// No answer needs a newer version than this.
    newest: u64,
}

impl<'a> Search<'a> {
    fn new(calls: Vec<&'a Call>) -> Self {
        let answered = calls.iter().filter(|call| is_answered(call)).count();
        let (mut made, mut read, mut newest) = (HashSet::new(), BTreeMap::new(), 0);
        for call in &calls {
            match (&call.result, call.call) {
                (Outcome::Ok { version, value, .. }, Kind::Read) => {
                    newest = newest.max(*version);
                    read.extend(value.as_deref().map(|value| (*version, value)));
                }
                (Outcome::Ok { version, .. }, Kind::Put | Kind::PutIf) => {
                    newest = newest.max(*version);
                    made.insert(*version);
                }
                // Any other version than the one that it wanted; the next one is another.
                (Outcome::Mismatch { .. }, _) => {
                    newest = newest.max(call.arguments.if_version.map_or(0, |version| version.saturating_add(1)));
                }
                (Outcome::Info { .. } | Outcome::None { .. }, _) => {}
            }
        }
        let values = read.values().copied().collect();
        Self { calls, answered, made, read, values, newest }
    }

    /// Goes through configurations, the deepest first, until one holds every answered call.
    fn run(&self, key: &str) -> Result<usize, Box<Violation>> {
        let mut furthest = Configuration::default();
        let mut seen = HashSet::new();
        let mut open = vec![furthest.clone()];
        while let Some(configuration) = open.pop() {
            if configuration.ordered() == self.answered {
                return Ok(seen.len());
            }
            if !seen.insert(configuration.clone()) {
                continue;
            }
            if configuration.ordered() > furthest.ordered() {
                furthest = configuration.clone();
            }
            let (candidates, until) = self.candidates(&configuration);
            // The last is looked at first: an unknown write only where nothing else helps, and of the others those that
            // began first.
            open.extend(self.unknown(&configuration, until).and_then(|next| self.after(next, &configuration)));
            open.extend(candidates.into_iter().rev().filter_map(|next| self.after(next, &configuration)));
        }
        Err(Box::new(self.violation(key, &furthest)))
    }

    /// The answered calls that may come next: those that began before every one that is still missing had ended; and the
    /// moment when the first of them had.
    fn candidates(&self, configuration: &Configuration) -> (Vec<usize>, u64) {
        let mut found = Vec::new();
        let mut first_end = u64::MAX;
        for (at, call) in self.calls.iter().enumerate().take(self.answered).skip(configuration.from) {
            if call.start > first_end {
                break;
            }
            if !configuration.holds(at) {
                found.push(at);
                first_end = first_end.min(call.end);
            }
        }
        (found, first_end)
    }

    /// The unknown write that may come next, of those that began by `until`: none where an answered write makes the next
    /// version, or no answer needs it; the one whose value was read at that version; else any whose value nobody read.
    /// Those are alike, as each may take effect at any later moment: but a write onto this very version could not, so it
    /// goes first.
    fn unknown(&self, configuration: &Configuration, until: u64) -> Option<usize> {
        let version = configuration.register.version.saturating_add(1);
        if version > self.newest || self.made.contains(&version) {
            return None;
        }
        let wanted = self.read.get(&version);
        let fits = |(at, call): &(usize, &&Call)| {
            let value = call.arguments.value.as_deref().unwrap_or_default();
            let condition = call.arguments.if_version;
            condition.is_none_or(|wanted| wanted == configuration.register.version)
                && wanted.map_or_else(|| !self.values.contains(value), |wanted| *wanted == value)
                && !configuration.unknown.contains(at)
        };
        let unknown = self.calls.iter().enumerate().skip(self.answered).take_while(|(_, call)| call.start <= until);
        unknown.filter(fits).min_by_key(|(_, call)| call.arguments.if_version.is_none()).map(|(at, _)| at)
    }

    /// The configuration with one call more; none where its answer does not fit.
    fn after(&self, at: usize, before: &Configuration) -> Option<Configuration> {
        let (call, register) = (*self.calls.get(at)?, before.register);
        let condition = call.arguments.if_version.is_none_or(|version| version == register.version);
        let written = Register { version: register.version.saturating_add(1), writer: Some(at) };
        let register = match (&call.result, call.call) {
            (Outcome::Ok { version, value, .. }, Kind::Read) => {
                (*version == register.version && value.as_deref() == self.value(register)).then_some(register)
            }
            (Outcome::Ok { version, .. }, Kind::Put | Kind::PutIf) => {
                (condition && *version == written.version).then_some(written)
            }
            (Outcome::Mismatch { .. }, Kind::PutIf) => (!condition).then_some(register),
            (Outcome::Info { .. }, Kind::Put | Kind::PutIf) => condition.then_some(written),
            (Outcome::Mismatch { .. } | Outcome::Info { .. } | Outcome::None { .. }, _) => None,
        }?;
        let mut after = Configuration { register, ..before.clone() };
        if at >= self.answered {
            after.unknown.insert(at);
            return Some(after);
        }
        after.ahead.insert(at);
        while after.ahead.remove(&after.from) {
            after.from = after.from.saturating_add(1);
        }
        Some(after)
    }

    fn value(&self, register: Register) -> Option<&'a str> {
        self.calls.get(register.writer?)?.arguments.value.as_deref()
    }

    fn violation(&self, key: &str, furthest: &Configuration) -> Violation {
        let (candidates, _) = self.candidates(furthest);
        Violation {
            key: key.to_owned(),
            ordered: furthest.ordered(),
            answered: self.answered,
            held: format!(
                "version {} ({})",
                furthest.register.version,
                self.value(furthest.register).unwrap_or("nothing")
            ),
            stuck: candidates.into_iter().filter_map(|at| self.calls.get(at).map(|call| (*call).clone())).collect(),
        }
    }
}

fn is_answered(call: &Call) -> bool {
    matches!(call.result, Outcome::Ok { .. } | Outcome::Mismatch { .. })
}
