//! One log's task: look at both ends, carry what is missing, wait. Whatever it meets, it goes on.

use std::sync::Arc;
use std::time::Duration;

use db3_carry::Delivery;
use db3_proto::{delivery_message, v1};
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::code;
use crate::collect::WriterEnd;
use crate::config::Config;
use crate::error::RelayError;
use crate::headers::leading_to;
use crate::jitter;
use crate::limits::{RETRY_FIRST, TOO_EARLY_PAUSE};
use crate::look::ReaderEnd;
use crate::monitor::Gauge;
use crate::remote::Remote;

/// The task of one direction.
pub struct Task {
    pub from: Remote,
    pub to: Remote,
    pub gauge: Arc<Gauge>,
    pub poll: Duration,
    pub jitter: Duration,
    pub retry_max: Duration,
    pub wake: watch::Receiver<()>,
    /// The reader is asked at this height or above: that of the last delivery.
    at_least: u64,
    /// Whether the random wait before work is over.
    waited: bool,
    /// The cursor and the trusted height at which a delivery was made last.
    tried: Option<(u64, u64)>,
}

/// What to do next.
enum Next {
    /// Look again at once.
    Again,
    /// Look again when something happens, or at the next poll.
    Rest,
    /// Look again after this long, whatever happens.
    Wait(Duration),
}

/// What came of a submission.
enum Submitted {
    /// A block holds it.
    Committed(u64),
    /// It waits for a block.
    Pending,
    /// Another relay was first.
    Stale,
    /// The reader takes nothing of this log any more.
    Frozen,
    /// Headers alone are not needed yet.
    NotDue,
}

impl Task {
    pub fn new(from: Remote, to: Remote, gauge: Arc<Gauge>, config: &Config, wake: watch::Receiver<()>) -> Self {
        let Config { poll, jitter, retry_max, .. } = *config;
        Self { from, to, gauge, poll, jitter, retry_max, wake, at_least: 0, waited: false, tried: None }
    }

    /// Never ends.
    pub async fn run(mut self) {
        loop {
            let next = match self.step().await {
                Ok(next) => {
                    let failures = self.gauge.succeeded();
                    if failures > 0 {
                        info!(from = %self.from.chain_id, to = %self.to.chain_id, failures, "relay.recovered");
                    }
                    next
                }
                Err(error) => self.failed(&error),
            };
            match next {
                Next::Again => {}
                Next::Wait(pause) => tokio::time::sleep(pause).await,
                Next::Rest => {
                    self.waited = false;
                    let _ = tokio::time::timeout(self.poll, self.wake.changed()).await;
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Next, RelayError> {
        let reader = match ReaderEnd::look(&self.from, &self.to, self.at_least).await {
            Ok(reader) => reader,
            Err(error) => {
                self.count_alone().await;
                return Err(error);
            }
        };
        let newly_frozen = self.gauge.inbox(&reader.inbox, reader.trusted_age());
        if reader.inbox.frozen {
            if newly_frozen {
                let (reason, fault) = (reader.inbox.frozen_reason.as_str(), reader.inbox.fault_code);
                error!(from = %self.from.chain_id, to = %self.to.chain_id, reason, fault, "relay.frozen");
            }
            return Ok(Next::Wait(self.retry_max));
        }
        let writer =
            WriterEnd::look(&self.from, &self.to, &reader.inbox).await.inspect_err(|_| self.gauge.unproven())?;
        self.gauge.size(writer.size);
        if writer.size <= reader.inbox.cursor {
            return self.keep_awake(&reader).await;
        }
        if !self.waited && !self.jitter.is_zero() {
            self.waited = true;
            return Ok(Next::Wait(jitter::part_of(self.jitter)));
        }
        let delivery = writer.collect(&self.from, &self.to, &reader).await?;
        self.carry(&delivery, &reader).await
    }

    /// What waits where the reader does not answer: what the writer has beyond the cursor that it told last.
    async fn count_alone(&self) {
        let counted = match self.gauge.last_inbox() {
            Some((cursor, trusted_height)) => {
                let inbox = v1::Inbox { cursor, trusted_height, ..v1::Inbox::default() };
                WriterEnd::look(&self.from, &self.to, &inbox).await.ok()
            }
            None => None,
        };
        match counted {
            Some(writer) => self.gauge.proven(writer.size),
            None => self.gauge.unproven(),
        }
    }

    /// Brings the newest header alone, where the light client would fall asleep otherwise.
    async fn keep_awake(&mut self, reader: &ReaderEnd) -> Result<Next, RelayError> {
        if !reader.headers_due() {
            return Ok(Next::Rest);
        }
        let newest = self.from.light_block(0, reader.inbox.trusted_height).await?;
        if newest.height <= reader.inbox.trusted_height {
            return Ok(Next::Rest);
        }
        if !self.waited && !self.jitter.is_zero() {
            self.waited = true;
            return Ok(Next::Wait(jitter::part_of(self.jitter)));
        }
        let way = leading_to(newest, &self.from, &self.to, reader).await?;
        let next = self.carry(&Delivery::of_headers(self.from.chain_id.clone(), way.headers), reader).await?;
        Ok(match next {
            Next::Again if way.complete => Next::Rest,
            other => other,
        })
    }

    async fn carry(&mut self, delivery: &Delivery, reader: &ReaderEnd) -> Result<Next, RelayError> {
        let (from, to) = (self.from.chain_id.clone(), self.to.chain_id.clone());
        let (cursor, entries) = (reader.inbox.cursor, delivery.log.entries.len());
        // A reader that takes deliveries and stands still is looked at no more often than an idle one.
        let here = Some((cursor, reader.inbox.trusted_height));
        let first_here = std::mem::replace(&mut self.tried, here) != here;
        let next = if first_here { Next::Again } else { Next::Rest };
        Ok(match self.submit(delivery).await? {
            Submitted::Committed(height) => {
                debug!(%from, %to, cursor, entries, height, "relay.delivered");
                self.gauge.delivered(entries);
                self.at_least = height;
                next
            }
            Submitted::Pending => {
                debug!(%from, %to, cursor, entries, "relay.pending");
                Next::Rest
            }
            Submitted::Stale => {
                self.gauge.stale();
                next
            }
            Submitted::Frozen => Next::Wait(self.retry_max),
            Submitted::NotDue => Next::Rest,
        })
    }

    async fn submit(&self, delivery: &Delivery) -> Result<Submitted, RelayError> {
        let error = match self.to.submit_delivery(delivery_message(delivery)).await {
            Ok(answer) if answer.height > 0 => return Ok(Submitted::Committed(answer.height)),
            Ok(_) => return Ok(Submitted::Pending),
            Err(error) => error,
        };
        Ok(match error.code() {
            Some(code::DELIVERY_STALE) => Submitted::Stale,
            Some(code::CHANNEL_FROZEN) => Submitted::Frozen,
            Some(code::HEADERS_NOT_DUE) => Submitted::NotDue,
            other => {
                // What a chain refuses by its rules, and not because it is busy or its time has not come.
                if other.is_some_and(|code| code < code::UNAVAILABLE_MIN && code != code::HEADER_TOO_EARLY) {
                    self.gauge.refused();
                    // Perhaps the writer's endpoint lies; another may not.
                    self.from.take_next();
                }
                return Err(error);
            }
        })
    }

    /// Says it once when it begins and each time the wait has doubled.
    fn failed(&mut self, error: &RelayError) -> Next {
        let failures = self.gauge.failed(error);
        if failures.is_power_of_two() {
            warn!(from = %self.from.chain_id, to = %self.to.chain_id, failures, %error, "relay.failing");
        }
        (self.at_least, self.tried) = (0, None);
        let doubled = RETRY_FIRST.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        if error.code() == Some(code::HEADER_TOO_EARLY) {
            return Next::Wait(TOO_EARLY_PAUSE.min(self.retry_max));
        }
        let asked = if let RelayError::Call { error, .. } = error { error.retry_after } else { None };
        Next::Wait(doubled.max(asked.unwrap_or_default()).min(self.retry_max))
    }
}
