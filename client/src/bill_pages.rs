//! Lists of bills. An account's list on a shard is checked to leave none out: the shard's proven state says how many bills
//! there are and what they come to, and the list is held against that from the newest on. Where the list is to end before
//! the newest or the oldest bill, the neighbour beyond is fetched with its proof, and must lie outside of what was asked.
//!
//! What a single bill says beyond its number, its fee and its sums is the node's word until [`Client::bill`] proves it.

use bytes::Bytes;
use db3_primitives::{Address, BlockTime};
use db3_proto::convert::timestamp;
use db3_proto::v1;

use crate::bill_run::BillRun;
use crate::bills::{BillProof, BillRef, BillView, bill_on, view};
use crate::chain::{Chain, block_time};
use crate::client::Client;
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
        Ok(BillPages { client: self, chain, shard, filter, request, run: None, is_begun: false, is_done: false })
    }
}

impl BillPages<'_> {
    /// The next page; none after the last.
    pub async fn next_page(&mut self) -> Result<Option<Vec<BillView>>, ClientError> {
        if self.is_done {
            return Ok(None);
        }
        if !self.is_begun {
            self.begin().await?;
        }
        let answer = self
            .chain
            .call(|channel, limit| {
                let request = self.request.clone();
                async move { shard(channel).list_bills(timed(request, limit)).await }
            })
            .await?;
        self.is_done = answer.next_page_token.is_empty();
        self.request.page_token = answer.next_page_token;
        let page = answer.bills.into_iter().map(|bill| view(self.chain, bill)).collect::<Result<Vec<_>, _>>()?;
        self.check(&page).await?;
        let is_meant = |bill: &BillView| self.filter.namespace.as_ref().is_none_or(|name| *name == bill.namespace);
        Ok(Some(page.into_iter().filter(is_meant).collect()))
    }

    /// Learns how many bills there must be.
    async fn begin(&mut self) -> Result<(), ClientError> {
        self.is_begun = true;
        let Some(account) = self.filter.account else { return Ok(()) };
        let line = self.client.account(account).credit_line_on(self.shard).await?;
        if line.at.verified {
            self.run = Some(BillRun::new(self.shard, account, line.bill_count, line.spent));
        }
        Ok(())
    }

    /// Checks that nothing is left out between what came before and the end of this page.
    async fn check(&mut self, page: &[BillView]) -> Result<(), ClientError> {
        let Some(mut run) = self.run else { return Ok(()) };
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
            match run.oldest() {
                Some(oldest) if oldest > 1 => self.check_below(run.account, oldest.saturating_sub(1)).await?,
                Some(_) => {}
                None => self.check_empty(run.account, run.count).await?,
            }
        }
        self.run = Some(run);
        Ok(())
    }

    /// Checks that a bill is older than what was asked for.
    async fn check_below(&self, account: Address, seq: u64) -> Result<(), ClientError> {
        let beyond = self.neighbour(account, seq).await?;
        if self.is_below(&beyond).await? {
            return Ok(());
        }
        Err(ClientError::proof(&self.chain.id, format!("bill {seq} of shard {} is left out", self.shard)))
    }

    /// Checks that none of an account's bills was asked for: up to one they are older, and from the next one on newer.
    async fn check_empty(&self, account: Address, count: u64) -> Result<(), ClientError> {
        let (mut older, mut end) = (0u64, count.saturating_add(1));
        while end.saturating_sub(older) > 1 {
            let middle = older.midpoint(end);
            if self.is_below(&self.neighbour(account, middle).await?).await? { older = middle } else { end = middle }
        }
        if end <= count && !self.is_above(&self.neighbour(account, end).await?).await? {
            return Err(ClientError::proof(&self.chain.id, format!("bill {end} of shard {} is left out", self.shard)));
        }
        Ok(())
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
