//! What every answer promises by itself, however old the state that it was read from: a register as it was after the block
//! of the answer's height, and to one client nothing older than what it was told of before. Its own writes are part of
//! that. Clients that ask for no more than this are not in the order that [`crate::checker`] looks for.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, bail, ensure};

use crate::call::{Call, Kind, Outcome};

/// What was found in a history that keeps the promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Reads of clients that know their own heights alone.
    pub alone: usize,
    /// Of those, answered from a state that was older than what somebody had been told of when they were asked.
    pub behind: usize,
}

/// What is known of one register.
#[derive(Debug, Default)]
struct Register<'a> {
    /// By version, what answered writes wrote, and in which block.
    written: BTreeMap<u64, (&'a str, u64)>,
    /// By version, what reads found where no answered write made it.
    found: BTreeMap<u64, &'a str>,
    /// Of unknown writes, by value, the version that must have stood there; none where any may have.
    unknown: HashMap<&'a str, Option<u64>>,
}

/// Looks at every answer.
pub fn check(calls: &[Call]) -> Result<Report> {
    let mut registers: BTreeMap<&str, Register<'_>> = BTreeMap::new();
    for call in calls {
        let register = registers.entry(&call.arguments.key).or_default();
        register.add(call)?;
    }
    for (key, register) in &registers {
        let heights = register.written.values().map(|(_, height)| height);
        ensure!(heights.is_sorted(), "{key}: versions in another order than their blocks: {:?}", register.written);
    }
    for call in calls {
        if let (Kind::Read, Outcome::Ok { version, value, height, .. }) = (call.call, &call.result)
            && let Some(register) = registers.get_mut(call.arguments.key.as_str())
        {
            let fits = register.reads(*version, value.as_deref(), *height);
            ensure!(fits, "no block {height} holds what this read found: {}", shown(call));
        }
    }
    never_back(calls)?;
    Ok(count(calls))
}

impl<'a> Register<'a> {
    fn add(&mut self, call: &'a Call) -> Result<()> {
        let Some(value) = call.arguments.value.as_deref() else { return Ok(()) };
        match &call.result {
            Outcome::Ok { version, height, .. } => {
                if let Some((other, _)) = self.written.insert(*version, (value, *height)) {
                    bail!("{} was written twice: by {other}, and {}", version, shown(call));
                }
            }
            Outcome::Info { .. } => {
                self.unknown.insert(value, call.arguments.if_version);
            }
            Outcome::Mismatch { .. } | Outcome::None { .. } => {}
        }
        Ok(())
    }

    /// Whether the register may have held this after that block.
    fn reads(&mut self, version: u64, value: Option<&'a str>, height: u64) -> bool {
        let before = self.written.range(..version).next_back();
        let after = self.written.range(version.saturating_add(1)..).next();
        let between =
            before.is_none_or(|(_, (_, made))| *made <= height) && after.is_none_or(|(_, (_, made))| *made > height);
        let fits = match (value, self.written.get(&version)) {
            (None, made) => version == 0 && made.is_none(),
            (Some(value), Some((written, made))) => *written == value && *made <= height,
            (Some(value), None) => {
                let condition = self.unknown.get(value);
                condition.is_some_and(|condition| condition.is_none_or(|onto| onto.checked_add(1) == Some(version)))
                    && *self.found.entry(version).or_insert(value) == value
            }
        };
        between && fits
    }
}

/// No client is told of an older state than it was told of before it asked. What was found out later it was not told.
fn never_back(calls: &[Call]) -> Result<()> {
    let mut moments = Vec::new();
    for call in calls {
        if let Some(height) = call.result.height() {
            moments.extend([(call.end, false, call, height), (call.start, true, call, height)]);
        }
    }
    // At one moment, the ends first.
    moments.sort_by_key(|(moment, is_start, ..)| (*moment, *is_start));
    let mut told: HashMap<u32, u64> = HashMap::new();
    for (_, is_start, call, height) in moments {
        let newest = told.entry(call.client).or_default();
        if !is_start {
            *newest = height.max(*newest);
        } else if call.call == Kind::Read {
            ensure!(height >= *newest, "this client had been told of {newest}: {}", shown(call));
        }
    }
    Ok(())
}

fn count(calls: &[Call]) -> Report {
    let mut told: Vec<_> = calls.iter().filter_map(|call| Some((call.end, call.result.height()?))).collect();
    told.sort_unstable();
    let mut newest = 0;
    for (_, height) in &mut told {
        newest = newest.max(*height);
        *height = newest;
    }
    let mut report = Report::default();
    for call in calls.iter().filter(|call| call.alone && call.call == Kind::Read) {
        let Some(height) = call.result.height() else { continue };
        let before = told.partition_point(|(end, _)| *end < call.start);
        let known = before.checked_sub(1).and_then(|at| told.get(at)).map_or(0, |(_, height)| *height);
        report.alone = report.alone.saturating_add(1);
        report.behind = report.behind.saturating_add(usize::from(height < known));
    }
    report
}

fn shown(call: &Call) -> String {
    serde_json::to_string(call).unwrap_or_else(|_| format!("{call:?}"))
}
