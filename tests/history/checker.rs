//! Whether a history is linearizable: whether there is an order of the calls in which each takes effect at one moment
//! between its start and its end, and every answer is what a register with versions gives.
//!
//! The search is that of Wing and Gong (Testing and verifying concurrent objects, 1993), with Lowe's memory of the
//! configurations that lead nowhere (Testing for linearizability, 2017). Registers are independent of one another, so each
//! key is looked at alone (Herlihy and Wing: linearizability is local).
//!
//! A register holds a version and a value; 0 and nothing before the first write. A write makes the next version. A write
//! whose outcome is unknown may take effect at any moment after its start, or never.

use std::collections::{BTreeMap, HashSet};
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
    for call in calls.iter().filter(|call| !matches!(call.result, Outcome::None { .. })) {
        registers.entry(&call.arguments.key).or_default().push(call);
    }
    let mut report = Report::default();
    for (key, mut calls) in registers {
        calls.sort_by_key(|call| call.start);
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

/// Which calls were put in the order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Set(Vec<u64>);

impl Set {
    fn new(members: usize) -> Self {
        Self(vec![0; members.div_ceil(64)])
    }

    fn has(&self, member: usize) -> bool {
        self.0.get(member / 64).is_some_and(|word| word & bit(member) != 0)
    }

    fn with(&self, member: usize) -> Self {
        let mut set = self.clone();
        if let Some(word) = set.0.get_mut(member / 64) {
            *word |= bit(member);
        }
        set
    }
}

/// The bit of a member in its word.
fn bit(member: usize) -> u64 {
    1_u64.rotate_left(u32::try_from(member % 64).unwrap_or(0))
}

/// A set of calls in some order, and what the register holds after them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Configuration {
    ordered: Set,
    register: Register,
}

/// The calls of one register by their start.
struct Search<'a> {
    calls: Vec<&'a Call>,
    answered: usize,
}

/// The furthest that the search came.
struct Furthest {
    ordered: usize,
    configuration: Configuration,
}

impl<'a> Search<'a> {
    fn new(calls: Vec<&'a Call>) -> Self {
        let answered = calls.iter().filter(|call| is_answered(call)).count();
        Self { calls, answered }
    }

    /// Goes through configurations, the deepest first, until one holds every answered call.
    fn run(&self, key: &str) -> Result<usize, Box<Violation>> {
        let first = Configuration { ordered: Set::new(self.calls.len()), register: Register::default() };
        let mut furthest = Furthest { ordered: 0, configuration: first.clone() };
        let mut seen = HashSet::new();
        // With each the number of answered calls in it, and below which number all are.
        let mut open = vec![(first, 0_usize, 0_usize)];
        while let Some((configuration, ordered, from)) = open.pop() {
            if ordered == self.answered {
                return Ok(seen.len());
            }
            if !seen.insert(configuration.clone()) {
                continue;
            }
            if ordered > furthest.ordered {
                furthest = Furthest { ordered, configuration: configuration.clone() };
            }
            let from = self.first_open(&configuration.ordered, from);
            // The last is looked at first, so the calls that began first are tried first.
            for next in self.candidates(&configuration.ordered, from).into_iter().rev() {
                let Some((call, register)) = self.after(next, configuration.register) else { continue };
                let counted = usize::from(is_answered(call));
                let configuration = Configuration { ordered: configuration.ordered.with(next), register };
                open.push((configuration, ordered.saturating_add(counted), from));
            }
        }
        Err(Box::new(self.violation(key, &furthest)))
    }

    fn first_open(&self, ordered: &Set, from: usize) -> usize {
        (from..self.calls.len()).find(|at| !ordered.has(*at)).unwrap_or(self.calls.len())
    }

    /// The calls that may come next: those that began before every call that is still missing had ended.
    fn candidates(&self, ordered: &Set, from: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut first_end = u64::MAX;
        for (at, call) in self.calls.iter().enumerate().skip(from) {
            if call.start > first_end {
                break;
            }
            if !ordered.has(at) {
                found.push(at);
                if is_answered(call) {
                    first_end = first_end.min(call.end);
                }
            }
        }
        found
    }

    /// What the register holds after a call; none where its answer does not fit.
    fn after(&self, at: usize, register: Register) -> Option<(&'a Call, Register)> {
        let call = *self.calls.get(at)?;
        let condition = call.arguments.if_version.is_none_or(|version| version == register.version);
        let written = Register { version: register.version.saturating_add(1), writer: Some(at) };
        let after = match (&call.result, call.call) {
            (Outcome::Ok { version, value, .. }, Kind::Read) => {
                let held = register.writer.and_then(|writer| self.calls.get(writer)?.arguments.value.as_ref());
                (*version == register.version && value.as_ref() == held).then_some(register)
            }
            (Outcome::Ok { version, .. }, Kind::Put | Kind::PutIf) => {
                (condition && *version == written.version).then_some(written)
            }
            (Outcome::Mismatch { .. }, Kind::PutIf) => (!condition).then_some(register),
            (Outcome::Info { .. }, Kind::Put | Kind::PutIf) => condition.then_some(written),
            (Outcome::Mismatch { .. } | Outcome::Info { .. } | Outcome::None { .. }, _) => None,
        };
        after.map(|after| (call, after))
    }

    fn violation(&self, key: &str, furthest: &Furthest) -> Violation {
        let Configuration { ordered, register } = &furthest.configuration;
        let stuck = self.candidates(ordered, self.first_open(ordered, 0)).into_iter();
        let value = register.writer.and_then(|writer| self.calls.get(writer)?.arguments.value.as_deref());
        Violation {
            key: key.to_owned(),
            ordered: furthest.ordered,
            answered: self.answered,
            held: format!("version {} ({})", register.version, value.unwrap_or("nothing")),
            stuck: stuck.filter_map(|at| self.calls.get(at).map(|call| (*call).clone())).collect(),
        }
    }
}

fn is_answered(call: &Call) -> bool {
    matches!(call.result, Outcome::Ok { .. } | Outcome::Mismatch { .. })
}
