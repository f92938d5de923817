//! What an operator can see of a relay, and act on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use db3_primitives::ChainId;
use db3_proto::v1;

use crate::error::RelayError;
use crate::limits::ERROR_CHARS_MAX;
use crate::pass::Passes;

/// How a direction is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Not looked at yet.
    Starting,
    /// All that is proven was delivered.
    Idle,
    /// There are entries to deliver.
    Behind,
    /// The last attempt failed; it is repeated.
    Failing,
    /// The reader takes no deliveries of this log any more, until governance acts.
    Frozen,
}

/// One direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The writer.
    pub from: ChainId,
    /// The reader.
    pub to: ChainId,
    /// How it is doing.
    pub condition: Condition,
    /// Whether both ends have answered since the relay began: before, what is said of entries and headers is not known.
    pub known: bool,
    /// Entries that the reader applied, as it said last.
    pub cursor: u64,
    /// Entries that are proven at the writer, as it said last.
    pub size: u64,
    /// For how long there have been entries that the reader did not apply, or there may have been since the writer does not
    /// tell, seconds.
    pub lag_secs: u64,
    /// Height of the writer's newest header that the reader trusts.
    pub trusted_height: u64,
    /// How old that header is, seconds; it grows with the clock while the reader does not answer.
    pub trusted_age_secs: u64,
    /// How long the reader trusts a header, seconds; none: for ever. When the age reaches it, nothing is accepted any more.
    pub trusting_period_secs: Option<u64>,
    /// Deliveries of this relay that the reader took.
    pub deliveries: u64,
    /// Entries in them.
    pub entries: u64,
    /// Deliveries of headers alone among them.
    pub headers_alone: u64,
    /// Deliveries that another relay had made already.
    pub stale: u64,
    /// Deliveries that were refused.
    pub refused: u64,
    /// Failures of any kind since the last success.
    pub failures: u32,
    /// The last failure, and nothing after a success.
    pub last_error: Option<String>,
    /// Why the reader takes nothing any more.
    pub frozen_reason: Option<String>,
    /// Number of the writer's fault, where that is why; 0: none.
    pub fault_code: u32,
}

impl Report {
    /// Entries that are proven and not applied.
    #[must_use]
    pub fn lag_entries(&self) -> u64 {
        self.size.saturating_sub(self.cursor)
    }
}

/// Looks at all directions of a relay, also while it runs. A clone is one pointer a direction.
#[derive(Clone, Debug)]
pub struct Monitor {
    gauges: Vec<Arc<Gauge>>,
    passes: Option<Passes>,
}

impl Monitor {
    pub(crate) fn new(gauges: Vec<Arc<Gauge>>, passes: Option<Passes>) -> Self {
        Self { gauges, passes }
    }

    /// Whether this is what the relay shows where it brings a delivery to a chain, under [`PASS_KEY`](crate::PASS_KEY): so the
    /// node that it runs in tells it from strangers.
    #[must_use]
    pub fn shows(&self, chain: &ChainId, pass: &[u8]) -> bool {
        self.passes.as_ref().is_some_and(|passes| passes.is_of(chain, pass))
    }

    /// A report of each direction, in the order of the configuration.
    #[must_use]
    pub fn reports(&self) -> Vec<Report> {
        self.gauges.iter().map(|gauge| gauge.report()).collect()
    }
}

impl Kept {
    fn proven(&mut self, size: u64) {
        (self.report.size, self.sized) = (size, true);
        let cursor = self.report.cursor;
        self.waiting = match self.waiting {
            Some(Waiting { mark, since }) if cursor < mark.unwrap_or(size) => {
                Some(Waiting { mark: mark.or(Some(size)), since })
            }
            _ if size > cursor => Some(Waiting { mark: Some(size), since: Instant::now() }),
            _ => None,
        };
    }
}

/// A direction's report, as its task writes it.
#[derive(Debug)]
pub struct Gauge(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    report: Report,
    /// Entries that wait.
    waiting: Option<Waiting>,
    /// When both ends answered last, or the relay began.
    answered: Instant,
    /// When the reader told which header it trusts, and how old that was.
    trusted: Option<(Instant, Duration)>,
    /// Whether the writer has answered.
    sized: bool,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// All are applied that waited first when the cursor is here; none: the writer does not tell whether any wait.
    mark: Option<u64>,
    since: Instant,
}

impl Gauge {
    pub fn new(from: ChainId, to: ChainId) -> Self {
        let report = Report {
            from,
            to,
            condition: Condition::Starting,
            known: false,
            cursor: 0,
            size: 0,
            lag_secs: 0,
            trusted_height: 0,
            trusted_age_secs: 0,
            trusting_period_secs: None,
            deliveries: 0,
            entries: 0,
            headers_alone: 0,
            stale: 0,
            refused: 0,
            failures: 0,
            last_error: None,
            frozen_reason: None,
            fault_code: 0,
        };
        Self(Mutex::new(Kept { report, waiting: None, answered: Instant::now(), trusted: None, sized: false }))
    }

    pub fn report(&self) -> Report {
        let kept = self.lock();
        let mut report = kept.report.clone();
        report.lag_secs = kept.waiting.map_or(0, |waiting| waiting.since.elapsed().as_secs());
        report.trusted_age_secs = kept.trusted.map_or(0, |(told, age)| age.saturating_add(told.elapsed()).as_secs());
        report.known = kept.sized && kept.trusted.is_some();
        report
    }

    /// What the reader says. Returns whether it froze since the last look.
    pub fn inbox(&self, inbox: &v1::Inbox, age: Duration) -> bool {
        let kept = &mut *self.lock();
        kept.trusted = Some((Instant::now(), age));
        let report = &mut kept.report;
        let newly_frozen = inbox.frozen && report.frozen_reason.is_none();
        report.cursor = inbox.cursor;
        report.trusted_height = inbox.trusted_height;
        report.trusting_period_secs = Some(inbox.trusting_period_secs).filter(|period| *period != u64::MAX);
        report.fault_code = inbox.fault_code;
        report.frozen_reason = inbox.frozen.then(|| inbox.frozen_reason.clone());
        if inbox.frozen {
            report.condition = Condition::Frozen;
            // The writer is not asked any more, and was not seen to have more.
            kept.waiting = kept.waiting.filter(|waiting| waiting.mark.is_some());
        }
        newly_frozen
    }

    /// How many entries the writer proves, where the reader told its cursor just before.
    pub fn size(&self, size: u64) {
        let kept = &mut *self.lock();
        kept.proven(size);
        kept.answered = Instant::now();
        kept.report.condition = if size > kept.report.cursor { Condition::Behind } else { Condition::Idle };
    }

    /// How many entries the writer proves, where the reader does not answer: its cursor is that of the last time.
    pub fn proven(&self, size: u64) {
        self.lock().proven(size);
    }

    /// The writer does not answer: entries may wait since it did.
    pub fn unproven(&self) {
        let kept = &mut *self.lock();
        kept.waiting.get_or_insert(Waiting { mark: None, since: kept.answered });
    }

    /// The reader's cursor and the height that it trusts, if it ever told.
    pub fn last_inbox(&self) -> Option<(u64, u64)> {
        let kept = self.lock();
        kept.trusted.map(|_| (kept.report.cursor, kept.report.trusted_height))
    }

    /// A delivery was taken. Returns how many failures came before it.
    pub fn delivered(&self, entries: usize) {
        let report = &mut self.lock().report;
        report.deliveries = report.deliveries.saturating_add(1);
        report.entries = report.entries.saturating_add(u64::try_from(entries).unwrap_or(u64::MAX));
        report.headers_alone = report.headers_alone.saturating_add(u64::from(entries == 0));
    }

    pub fn stale(&self) {
        let report = &mut self.lock().report;
        report.stale = report.stale.saturating_add(1);
    }

    pub fn refused(&self) {
        let report = &mut self.lock().report;
        report.refused = report.refused.saturating_add(1);
    }

    /// A look went well. Returns how many failed before it.
    pub fn succeeded(&self) -> u32 {
        let report = &mut self.lock().report;
        report.last_error = None;
        std::mem::take(&mut report.failures)
    }

    /// A look failed. Returns how many did in a row.
    pub fn failed(&self, error: &RelayError) -> u32 {
        let report = &mut self.lock().report;
        report.condition = Condition::Failing;
        report.last_error = Some(error.to_string().chars().take(ERROR_CHARS_MAX).collect());
        report.failures = report.failures.saturating_add(1);
        report.failures
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
