//! Lists of bills. An account's list on a shard is checked to leave none out: the shard's proven state says how many bills
//! there are and what they come to, and the list is held against that from the newest on. Where the list is to end before
//! the newest or the oldest bill, the neighbour beyond is fetched with its proof, and must lie outside of what was asked.
//!
//! A node that came from a snapshot has no older bills: there the list goes on at another endpoint, and where none has them,
//! it ends with an error that names them.
//!
//! What a single bill says beyond its number, its fee and its sums is the node's word until [`Client::bill`] proves it.

use std::time::Duration;

use bytes::Bytes;
use db3_primitives::{Address, BlockTime, Height, Rejection};
use db3_proto::convert::timestamp;
use db3_proto::v1;
use tonic::transport::Channel;

use crate::bill_run::BillRun;
use crate::bills::{BillProof, BillRef, BillView, bill_on, view};
use crate::chain::{Chain, block_time};
use crate::client::Client;
use crate::elsewhere::Short;
use crate::error::ClientError;
use crate::wire::{shard, timed};

/// Bills of one page.
const PAGE_SIZE: i32 = 1_000;

/// Which bills to list; all conditions hold.
#[derive(Clone, Debug, Default)]
pub struct BillFilter {
    /// Of this account.
    pub account: Option<Address>,
    /// Of this epoch.
    pub epoch: Option<u64>,
    /// In blocks at or after this time.
    pub since: Option<BlockTime>,
    /// In blocks before this time.
    pub until: Option<BlockTime>,
    /// Of this namespace.
    pub namespace: Option<String>,
    /// Of the open epoch.
    pub open: bool,
}

/// A listing of bills under way, newest first.
pub struct BillPages<'c> {
    client: &'c Client,
    chain: &'c Chain,
    shard: u32,
    filter: BillFilter,
    request: v1::ListBillsRequest,
    /// What has come so far, where a list is checked.
    run: Option<BillRun>,
    is_begun: bool,
    is_done: bool,
    /// Number of the oldest bill so far; before the first, of the one that would come after the newest, if that is known.
    oldest: Option<u64>,
    /// Where the list ends though there are older bills that no node has which was asked.
    missing: Option<ClientError>,
}

impl Client {
    /// Bills of one shard, newest first, in pages. Those of one account are proven to be all that there are.
    pub fn bills(&self, shard: u32, filter: &BillFilter) -> Result<BillPages<'_>, ClientError> {
        let chain = self.shard(shard)?;
        let is_checked = filter.account.is_some() && !chain.options.unverified;
        let status = if filter.open { v1::BillStatus::Open } else { v1::BillStatus::Unspecified };
        let request = v1::ListBillsRequest {
            account: filter.account.map(|account| Bytes::copy_from_slice(account.as_bytes())).unwrap_or_default(),
            epoch: filter.epoch,
            since: filter.since.map(timestamp),
            until: filter.until.map(timestamp),
            // A gap where another namespace's bill should be could not be told from one that is left out.
            namespace: filter.namespace.clone().filter(|_| !is_checked).unwrap_or_default(),
            status: status.into(),
            page_size: PAGE_SIZE,
            page_token: String::new(),
        };
        let filter = filter.clone();
        Ok(BillPages {
            client: self,
            chain,
            shard,
            filter,
            request,
            run: None,
            is_begun: false,
            is_done: false,
            oldest: None,
            missing: None,
        })
    }
}

impl BillPages<'_> {
    /// The next page; none after the last. Where older bills are wanted that no node has which was asked, the page after the
    /// last is an error, [`ClientError::history_from`].
    pub async fn next_page(&mut self) -> Result<Option<Vec<BillView>>, ClientError> {
        if let Some(missing) = self.missing.take() {
            return Err(missing);
        }
        if self.is_done {
            return Ok(None);
        }
        if !self.is_begun {
            self.begin().await?;
        }
        let answer = self.ask().await?;
        self.is_done = answer.next_page_token.is_empty();
        self.request.page_token = answer.next_page_token;
        let page = answer.bills.into_iter().map(|bill| view(self.chain, bill)).collect::<Result<Vec<_>, _>>()?;
        self.oldest = page.last().map(|bill| bill.bill.seq).or(self.oldest);
        self.check(&page, answer.history_from_height).await?;
        let is_meant = |bill: &BillView| self.filter.namespace.as_ref().is_none_or(|name| *name == bill.namespace);
        Ok(Some(page.into_iter().filter(is_meant).collect()))
    }

    /// Asks for the page. Where the list ends at a node's history, another endpoint's says what is older.
    async fn ask(&self) -> Result<v1::ListBillsResponse, ClientError> {
        let call = |channel: Channel, limit: Duration| {
            let request = self.request.clone();
            async move { shard(channel).list_bills(timed(request, limit)).await }
        };
        let ends = |answer: &v1::ListBillsResponse| {
            let is_whole = self.filter.account.is_some() && self.is_whole(answer.bills.last().map(|bill| bill.seq));
            let from = Some(answer.history_from_height).filter(|from| *from > 0 && !is_whole);
            from.filter(|_| answer.next_page_token.is_empty())
        };
        let (place, answer) = self.chain.call_placed(call).await?;
        let Some(from) = ends(&answer) else { return Ok(answer) };
        let newer = answer.bills.clone();
        let (_, mut answer) = self.chain.elsewhere(&call, ends, Short { place, from, end: Ok(answer) }).await?;
        if let Some(last) = newer.last().filter(|_| self.filter.account.is_some()) {
            // The other may be some blocks behind; what this one has said stays.
            answer.bills.retain(|bill| bill.seq < last.seq);
            answer.bills.splice(0..0, newer);
        }
        Ok(answer)
    }

    /// Whether there is no bill of the account before this one, or before what has come so far.
    fn is_whole(&self, last: Option<u64>) -> bool {
        last.or(self.oldest).is_some_and(|oldest| oldest <= 1)
    }

    /// Learns how many bills there must be.
    async fn begin(&mut self) -> Result<(), ClientError> {
        self.is_begun = true;
        let Some(account) = self.filter.account else { return Ok(()) };
        let line = self.client.account(account).credit_line_on(self.shard).await?;
        self.oldest = Some(line.bill_count.saturating_add(1)).filter(|_| self.filter.until.is_none());
        if line.at.verified {
            self.run = Some(BillRun::new(self.shard, account, line.bill_count, line.spent));
        }
        Ok(())
    }

    /// Checks that nothing is left out between what came before and the end of this page, which came from a node whose
    /// history begins at `from` (0: with the chain).
    async fn check(&mut self, page: &[BillView], from: u64) -> Result<(), ClientError> {
        let Some(mut run) = self.run else {
            self.note_missing(from);
            return Ok(());
        };
        let flawed = |flaw: String| ClientError::proof(&self.chain.id, flaw);
        for bill in page {
            let is_first = run.oldest().is_none();
            run.follow(&bill.bill).map_err(flawed)?;
            if is_first && bill.bill.seq < run.count {
                let beyond = self.neighbour(run.account, bill.bill.seq.saturating_add(1)).await?;
                if !self.is_above(&beyond).await? {
                    return Err(flawed(format!("bill {} of shard {} is left out", beyond.seq(), self.shard)));
                }
            }
        }
        if self.is_done {
            let ended = match run.oldest() {
                Some(oldest) if oldest > 1 => self.check_below(run.account, oldest.saturating_sub(1), from).await,
                Some(_) => Ok(()),
                None => self.check_empty(run.account, run.count).await,
            };
            match ended {
                Err(error) if error.history_from().is_some() => self.missing = Some(error),
                ended => ended?,
            }
        }
        self.run = Some(run);
        Ok(())
    }

    /// Without proofs: a list of all of an account's bills must begin with the first.
    fn note_missing(&mut self, from: u64) {
        let BillFilter { account, epoch, since, until: _, namespace, open } = &self.filter;
        let is_all = epoch.is_none() && since.is_none() && namespace.is_none() && !open;
        let oldest = self.oldest.filter(|oldest| *oldest > 1 && is_all && self.is_done && from > 0);
        if let (Some(account), Some(oldest)) = (*account, oldest) {
            self.missing = Some(self.older(account, oldest.saturating_sub(1), from));
        }
    }

    /// That the first bills of the account are older than the history of whom was asked.
    fn older(&self, account: Address, last: u64, from: u64) -> ClientError {
        let bills = if last == 1 { "bill 1".to_owned() } else { format!("bills 1 to {last}") };
        let what = format!("{bills} of {account} on shard {}", self.shard);
        Rejection::HistoryMissing { what, from: Height::new(from) }.into()
    }

    /// Checks that a bill is older than what was asked for.
    async fn check_below(&self, account: Address, seq: u64, from: u64) -> Result<(), ClientError> {
        let beyond = match self.neighbour(account, seq).await {
            Err(error) => return Err(error.history_from().map_or(error, |from| self.older(account, seq, from))),
            Ok(beyond) => beyond,
        };
        if self.is_below(&beyond).await? {
            return Ok(());
        }
        if beyond.bill.bill.height.get() < from {
            return Err(self.older(account, seq, from));
        }
        Err(ClientError::proof(&self.chain.id, format!("bill {seq} of shard {} is left out", self.shard)))
    }

    /// Checks that none of an account's bills was asked for: up to one they are older, and from the next one on newer. Bills
    /// before a node's history are older than those in it; whether they are older than what was asked for, they alone
    /// could say.
    async fn check_empty(&self, account: Address, count: u64) -> Result<(), ClientError> {
        let (mut older, mut end) = (0u64, count.saturating_add(1));
        let mut missing = None;
        while end.saturating_sub(older) > 1 {
            let middle = older.midpoint(end);
            match self.neighbour(account, middle).await {
                Ok(one) if self.is_below(&one).await? => (older, missing) = (middle, None),
                Ok(_) => end = middle,
                Err(error) => match error.history_from() {
                    Some(from) => (older, missing) = (middle, Some(from)),
                    None => return Err(error),
                },
            }
        }
        if end <= count && !self.is_above(&self.neighbour(account, end).await?).await? {
            return Err(ClientError::proof(&self.chain.id, format!("bill {end} of shard {} is left out", self.shard)));
        }
        missing.map_or(Ok(()), |from| Err(self.older(account, older, from)))
    }

    /// A bill that is not in the list, with its proof.
    async fn neighbour(&self, account: Address, seq: u64) -> Result<Neighbour, ClientError> {
        let which = BillRef::Seq { shard: self.shard, account, seq };
        match bill_on(self.chain, which, true).await? {
            (bill, Some(proof)) => Ok(Neighbour { bill, proof }),
            (_, None) => Err(ClientError::proof(&self.chain.id, "the bill came without proof")),
        }
    }

    /// Whether a bill, and so each before it, is older than what was asked for.
    async fn is_below(&self, one: &Neighbour) -> Result<bool, ClientError> {
        if self.filter.epoch.is_some_and(|epoch| one.proof.epochs.1 < epoch || one.bill.epoch < epoch)
            || (self.filter.open && !one.proof.is_open)
        {
            return Ok(true);
        }
        match self.filter.since {
            Some(since) => Ok(self.time_of(one).await? < since),
            None => Ok(false),
        }
    }

    /// Whether a bill, and so each after it, is newer than what was asked for.
    async fn is_above(&self, one: &Neighbour) -> Result<bool, ClientError> {
        if self.filter.epoch.is_some_and(|epoch| one.proof.epochs.0 > epoch || one.bill.epoch > epoch) {
            return Ok(true);
        }
        match self.filter.until {
            Some(until) => Ok(self.time_of(one).await? >= until),
            None => Ok(false),
        }
    }

    /// The time of a bill's block, by its verified header.
    async fn time_of(&self, one: &Neighbour) -> Result<BlockTime, ClientError> {
        Ok(block_time(self.chain.trusted_header(one.bill.bill.height.get()).await?.time))
    }
}

/// A proven bill beyond the end of a list.
struct Neighbour {
    bill: BillView,
    proof: BillProof,
}

impl Neighbour {
    fn seq(&self) -> u64 {
        self.bill.bill.seq
    }
}
