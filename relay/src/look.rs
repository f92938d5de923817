//! Where the two ends of a log stand.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use db3_light_client::UnixTime;
use db3_proto::v1;

use crate::error::RelayError;
use crate::limits::PAGE_ENTRIES;
use crate::remote::Remote;

/// What the reader says of one log.
pub struct ReaderEnd {
    pub inbox: v1::Inbox,
    /// The later of the reader's block time and the clock, as its admission takes it.
    pub now: UnixTime,
}

impl ReaderEnd {
    /// Asks the reader, at `min_height` or above.
    pub async fn look(from: &Remote, to: &Remote, min_height: u64) -> Result<Self, RelayError> {
        let source = from.chain_id.as_str().to_owned();
        let read = v1::ReadOptions { min_height, ..v1::ReadOptions::default() };
        let answer = to.get_inbox(v1::GetInboxRequest { source: source.clone(), read: Some(read) }).await?;
        let block_time = answer.context.and_then(|context| context.block_time).and_then(|time| unix_time(&time));
        let inbox = answer.inboxes.into_iter().find(|inbox| inbox.source == source);
        let inbox = inbox.ok_or_else(|| to.false_answer("GetInbox", format!("no inbox of {source}")))?;
        Ok(Self { inbox, now: block_time.map_or_else(clock, |time| time.max(clock())) })
    }

    /// Time of the newest header that the reader trusts.
    pub fn trusted_time(&self) -> UnixTime {
        self.inbox.trusted_time.as_ref().and_then(unix_time).unwrap_or(self.now)
    }

    /// How old that header is.
    pub fn trusted_age(&self) -> Duration {
        self.now.saturating_since(self.trusted_time())
    }

    /// Whether the reader takes headers alone.
    pub fn headers_due(&self) -> bool {
        let period = self.inbox.trusting_period_secs;
        period != u64::MAX && self.trusted_age().as_secs() >= period.div_euclid(3)
    }
}

/// The first page of what the writer has for the reader, with its proof. The state is one whose header the reader knows or that
/// is newer.
pub async fn first_page(
    from: &Remote,
    to: &Remote,
    inbox: &v1::Inbox,
    page_size: i32,
) -> Result<v1::ListOutboxResponse, RelayError> {
    let read = v1::ReadOptions {
        height: 0,
        min_height: inbox.trusted_height.saturating_sub(1),
        prove: true,
        trusted_height: inbox.trusted_height,
    };
    let destination = to.chain_id.as_str().to_owned();
    from.list_outbox(v1::ListOutboxRequest {
        destination,
        start_index: inbox.cursor,
        page_size: page_size.min(PAGE_ENTRIES),
        page_token: String::new(),
        read: Some(read),
    })
    .await
}

/// The page after one with this token; the token fixes the height.
pub async fn next_page(
    from: &Remote,
    to: &Remote,
    inbox: &v1::Inbox,
    page_token: String,
) -> Result<v1::ListOutboxResponse, RelayError> {
    let read = v1::ReadOptions { trusted_height: inbox.trusted_height, ..v1::ReadOptions::default() };
    let destination = to.chain_id.as_str().to_owned();
    from.list_outbox(v1::ListOutboxRequest {
        destination,
        start_index: inbox.cursor,
        page_size: PAGE_ENTRIES,
        page_token,
        read: Some(read),
    })
    .await
}

/// A timestamp that a header can have.
fn unix_time(time: &prost_types::Timestamp) -> Option<UnixTime> {
    UnixTime::new(time.seconds, u32::try_from(time.nanos).ok()?)
}

fn clock() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let secs = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    UnixTime::new(secs, since.subsec_nanos()).unwrap_or(UnixTime::MAX)
}
