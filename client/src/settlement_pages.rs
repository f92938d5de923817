//! Lists of postings. Every posting of an account's list is proven to stand in the log of postings, and the list to leave
//! none out: postings of an account are numbered from 1, and its proven balance says how many there are.

use bytes::Bytes;
use db3_primitives::{Address, BlockTime, Posting, PostingKind};
use db3_proto::convert::{checked_settlement, settlement_kind, timestamp};
use db3_proto::v1;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::chain::Chain;
use crate::client::Client;
use crate::error::ClientError;
use crate::settlements::{SettlementRef, SettlementView};
use crate::wire::{settlement, timed};

/// Postings of one page.
const PAGE_SIZE: i32 = 1_000;
/// Proofs that are asked for at once.
const PROOFS_AT_ONCE: usize = 16;

/// Which postings to list; all conditions hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct SettlementFilter {
    /// Of this account.
    pub account: Option<Address>,
    /// Of rounds of this epoch.
    pub epoch: Option<u64>,
    /// Of this kind.
    pub kind: Option<PostingKind>,
    /// In blocks at or after this time.
    pub since: Option<BlockTime>,
    /// In blocks before this time.
    pub until: Option<BlockTime>,
}

impl SettlementFilter {
    fn takes(&self, posting: &Posting) -> bool {
        let time = BlockTime::from_secs(posting.time_secs);
        self.epoch.is_none_or(|epoch| posting.epoch.get() == epoch)
            && self.kind.is_none_or(|kind| posting.kind == kind)
            && self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time < until)
    }

    /// Whether a posting, and so each before it, is older than what is asked for.
    fn is_past(&self, posting: &Posting) -> bool {
        self.since.is_some_and(|since| BlockTime::from_secs(posting.time_secs) < since)
    }
}

/// A listing of postings under way, newest first.
pub struct SettlementPages<'c> {
    client: &'c Client,
    chain: &'c Chain,
    filter: SettlementFilter,
    request: v1::ListSettlementsRequest,
    /// Whether each is proven, and that there are no others.
    is_checked: bool,
    /// What has come so far, where a list is checked.
    run: Option<PostingRun>,
    is_done: bool,
}

impl Client {
    /// Postings, newest first, in pages. Those of one account are proven, and to be all that there are.
    pub fn settlements(&self, filter: &SettlementFilter) -> Result<SettlementPages<'_>, ClientError> {
        let chain = self.settlement()?;
        let is_checked = filter.account.is_some() && !chain.options.unverified;
        // Of a list that is checked all are asked for: a gap could hide anything.
        let sent =
            if is_checked { SettlementFilter { account: filter.account, ..Default::default() } } else { *filter };
        let request = v1::ListSettlementsRequest {
            account: sent.account.map(|account| Bytes::copy_from_slice(account.as_bytes())).unwrap_or_default(),
            epoch: sent.epoch,
            kind: sent.kind.map_or(v1::SettlementKind::Unspecified, settlement_kind).into(),
            since: sent.since.map(timestamp),
            until: sent.until.map(timestamp),
            page_size: PAGE_SIZE,
            page_token: String::new(),
        };
        Ok(SettlementPages { client: self, chain, filter: *filter, request, is_checked, run: None, is_done: false })
    }
}

impl SettlementPages<'_> {
    /// The next page; none after the last.
    pub async fn next_page(&mut self) -> Result<Option<Vec<SettlementView>>, ClientError> {
        if self.is_done {
            return Ok(None);
        }
        if let (Some(account), true, None) = (self.filter.account, self.is_checked, self.run) {
            let count = self.client.account(account).money().await?.value.balance().postings;
            self.run = Some(PostingRun { account, count, oldest: None });
        }
        let answer = self
            .chain
            .call(|channel, limit| {
                let request = timed(self.request.clone(), limit);
                async move { settlement(channel).list_settlements(request).await }
            })
            .await?;
        self.is_done = answer.next_page_token.is_empty();
        self.request.page_token = answer.next_page_token;
        let view = |message: &v1::Settlement| {
            let posting =
                checked_settlement(message).map_err(|error| ClientError::proof(&self.chain.id, error.to_string()))?;
            Ok(SettlementView { index: message.index, posting, place: None })
        };
        let listed = answer.settlements.iter().map(view).collect::<Result<Vec<_>, ClientError>>()?;
        let mut page = match self.run {
            Some(run) => self.check(run, listed).await?,
            None => listed,
        };
        page.retain(|view| self.filter.takes(&view.posting));
        Ok(Some(page))
    }

    /// Proves each, and that none is missing before it.
    async fn check(
        &mut self,
        mut run: PostingRun,
        mut listed: Vec<SettlementView>,
    ) -> Result<Vec<SettlementView>, ClientError> {
        let flawed = |flaw: String| ClientError::proof(&self.chain.id, flaw);
        listed.iter().try_for_each(|view| run.follow(view)).map_err(flawed)?;
        // The first that is too old shows, once it is proven, that those before it are so too.
        let enough = listed.iter().position(|view| self.filter.is_past(&view.posting));
        if let Some(last) = enough {
            listed.truncate(last.saturating_add(1));
            self.is_done = true;
        } else if self.is_done {
            run.end().map_err(flawed)?;
        }
        self.run = Some(run);
        stream::iter(listed).map(|view| self.proven(view)).buffered(PROOFS_AT_ONCE).try_collect().await
    }

    /// The posting at an index, proven; it must be the one that was listed.
    async fn proven(&self, listed: SettlementView) -> Result<SettlementView, ClientError> {
        let which = SettlementRef::Index(listed.index);
        match self.client.settlement_of(which).await? {
            Some(proven) if proven.posting == listed.posting => Ok(proven),
            Some(_) | None => {
                let flaw = format!("posting {} is not what was listed under its index", listed.index);
                Err(ClientError::proof(&self.chain.id, flaw))
            }
        }
    }
}

/// Postings of an account, newest first, without a gap.
#[derive(Clone, Copy, Debug)]
struct PostingRun {
    account: Address,
    /// How many there are, proven; more may have come since.
    count: u64,
    /// Number of the oldest so far.
    oldest: Option<u64>,
}

impl PostingRun {
    /// Takes the next older one.
    fn follow(&mut self, view: &SettlementView) -> Result<(), String> {
        let (index, number) = (view.index, view.posting.number);
        if view.posting.account != self.account {
            return Err(format!("posting {index} is another account's"));
        }
        match self.oldest {
            Some(newer) if number.checked_add(1) != Some(newer) => {
                return Err(format!("before the account's posting {newer} comes its posting {number}"));
            }
            None if number < self.count => {
                return Err(format!("the account has {} postings (proven), and the newest is left out", self.count));
            }
            Some(_) | None => {}
        }
        self.oldest = Some(number);
        Ok(())
    }

    /// There are none before.
    fn end(&self) -> Result<(), String> {
        match self.oldest {
            Some(1) => Ok(()),
            Some(oldest) => Err(format!("the account's postings before its posting {oldest} are left out")),
            None if self.count == 0 => Ok(()),
            None => Err(format!("the account has {} postings (proven), and none came", self.count)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use db3_primitives::{Epoch, Height, Tai};

    use super::*;

    fn view(account: u8, number: u64) -> SettlementView {
        let posting = Posting {
            kind: PostingKind::Payout,
            epoch: Epoch::new(7),
            height: Height::new(9),
            time_secs: 4_800,
            account: Address::new([account; 20]),
            number,
            debit: Tai::ZERO,
            paid: Tai::ZERO,
            written_off: Tai::ZERO,
            outstanding: Tai::ZERO,
            balance: Tai::ZERO,
            collateral: Tai::ZERO,
            lines: Vec::new(),
        };
        SettlementView { index: number, posting, place: None }
    }

    fn walk(count: u64, numbers: &[u64]) -> Result<(), String> {
        let mut run = PostingRun { account: Address::new([1; 20]), count, oldest: None };
        numbers.iter().try_for_each(|number| run.follow(&view(1, *number)))?;
        run.end()
    }

    #[test]
    fn postings_that_are_left_out_are_missed() {
        for complete in [(3, &[3, 2, 1][..]), (2, &[3, 2, 1]), (0, &[])] {
            assert_eq!(walk(complete.0, complete.1), Ok(()), "{complete:?}");
        }
        for cut in [(3, &[2, 1][..]), (3, &[3, 1]), (3, &[3, 2]), (3, &[]), (1, &[0])] {
            assert!(walk(cut.0, cut.1).is_err(), "{cut:?}");
        }
        let mut run = PostingRun { account: Address::new([1; 20]), count: 1, oldest: None };
        assert!(run.follow(&view(2, 1)).unwrap_err().contains("another account"));
    }
}
