//! On the settlement chain: where a posting stands in the log of postings, by account and by the sums that it moved.
//!
//! Row of `account_postings`, by account (20) ‖ number (8): index in the log (8). Row of `posting_marks`, by account (20)
//! ‖ shard (4) ‖ 1 debited, 2 covered (1) ‖ the cumulative sum that it reached (16): index in the log (8).

use db3_primitives::{Address, BlockTime, Epoch, Height, Posting, PostingKind, ShardId, Tai};
use rocksdb::{Direction, IteratorMode, WriteBatch};

use super::logs::{Log, missing_entry};
use super::{Family, Row, Store, StoreError};

/// Which postings are wanted. Everything that is set has to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PostingFilter {
    /// Of this account.
    pub account: Option<Address>,
    /// Of this epoch's round.
    pub epoch: Option<Epoch>,
    /// Of this kind.
    pub kind: Option<PostingKind>,
    /// In blocks at or after this time.
    pub since: Option<BlockTime>,
    /// In blocks before this time.
    pub until: Option<BlockTime>,
    /// In blocks up to this height.
    pub height_max: Option<Height>,
}

impl PostingFilter {
    fn accepts(&self, posting: &Posting) -> bool {
        let time = BlockTime::from_secs(posting.time_secs);
        self.account.is_none_or(|account| account == posting.account)
            && self.epoch.is_none_or(|epoch| epoch == posting.epoch)
            && self.kind.is_none_or(|kind| kind == posting.kind)
            && self.since.is_none_or(|since| since <= time)
            && self.until.is_none_or(|until| time < until)
            && self.height_max.is_none_or(|height| posting.height <= height)
    }

    /// Whether every posting before this one is out of the filter's range.
    fn is_past(&self, posting: &Posting) -> bool {
        self.since.is_some_and(|since| BlockTime::from_secs(posting.time_secs) < since)
    }
}

impl Store {
    /// Notes where a posting stands.
    pub(crate) fn add_posting(&self, batch: &mut WriteBatch, index: u64, posting: &Posting) -> Result<(), StoreError> {
        let place = index.to_be_bytes();
        let account = &posting.account;
        batch.put_cf(self.family(Family::AccountPostings)?, number_key(account, posting.number), place);
        if posting.kind == PostingKind::Payout {
            // Its line is of a pool, not of the account's.
            return Ok(());
        }
        let marks = self.family(Family::PostingMarks)?;
        for line in &posting.lines {
            for (covered, from, to) in
                [(false, line.debited_from, line.debited_to), (true, line.covered_from, line.covered_to)]
            {
                if to > from {
                    batch.put_cf(marks, mark_key(account, line.shard, covered, to), place);
                }
            }
        }
        Ok(())
    }

    /// A posting by its index in the log.
    pub fn posting(&self, index: u64) -> Result<Option<Posting>, StoreError> {
        let Some(bytes) = self.log_entry(&Log::Postings, index)? else { return Ok(None) };
        Posting::from_bytes(&bytes)
            .map(Some)
            .map_err(|error| StoreError::damaged("posting", &index.to_be_bytes(), error))
    }

    /// The posting that debited (or, `covered`, that paid or wrote off) the tai with which an account's sum on a shard
    /// reached `cumulative`; none as long as there is none.
    pub fn posting_of(
        &self,
        account: &Address,
        shard: ShardId,
        cumulative: Tai,
        covered: bool,
    ) -> Result<Option<(u64, Posting)>, StoreError> {
        let from = mark_key(account, shard, covered, cumulative);
        let row = self.rows(Family::PostingMarks, IteratorMode::From(&from, Direction::Forward))?.next().transpose()?;
        let Some((key, place)) = row.filter(|(key, _)| key.get(..25) == from.get(..25)) else { return Ok(None) };
        let index = Row::new("posting's place", &key, &place).only(Row::u64)?;
        let posting = self.posting(index)?.ok_or_else(|| missing_entry(&Log::Postings, index))?;
        // What was covered before the first mark is covered by none: the sum 0.
        Ok((!cumulative.is_zero()).then_some((index, posting)))
    }

    /// At most `limit` postings that the filter accepts with their indexes, newest first, from the index `cursor` (none:
    /// the newest), and where the list goes on. At most `visits` rows are looked at.
    #[expect(clippy::type_complexity, reason = "a page and where it goes on")]
    pub fn postings(
        &self,
        filter: &PostingFilter,
        cursor: Option<u64>,
        limit: usize,
        visits: usize,
    ) -> Result<(Vec<(u64, Posting)>, Option<u64>), StoreError> {
        let mut found = Vec::new();
        let indexes: Box<dyn Iterator<Item = Result<u64, StoreError>>> = match filter.account {
            Some(account) => Box::new(self.postings_of_account(account, cursor)?),
            None => Box::new(self.postings_of_all(cursor)?),
        };
        for (visited, index) in indexes.enumerate() {
            let index = index?;
            if found.len() >= limit || visited >= visits {
                return Ok((found, Some(index)));
            }
            let posting = self.posting(index)?.ok_or_else(|| missing_entry(&Log::Postings, index))?;
            if filter.is_past(&posting) {
                break;
            }
            if filter.accepts(&posting) {
                found.push((index, posting));
            }
        }
        Ok((found, None))
    }

    fn postings_of_account(
        &self,
        account: Address,
        cursor: Option<u64>,
    ) -> Result<impl Iterator<Item = Result<u64, StoreError>> + use<'_>, StoreError> {
        let number = match cursor {
            Some(index) => self.posting(index)?.map_or(u64::MAX, |posting| posting.number),
            None => u64::MAX,
        };
        let from = number_key(&account, number);
        let rows = self.rows(Family::AccountPostings, IteratorMode::From(&from, Direction::Reverse))?;
        Ok(rows
            .take_while(move |row| row.as_ref().map_or(true, |(key, _)| key.starts_with(account.as_bytes())))
            .map(|row| row.and_then(|(key, place)| Row::new("posting's place", &key, &place).only(Row::u64))))
    }

    fn postings_of_all(
        &self,
        cursor: Option<u64>,
    ) -> Result<impl Iterator<Item = Result<u64, StoreError>> + use<>, StoreError> {
        let newest = match cursor {
            Some(index) => Some(index),
            None => self.last_index(&Log::Postings)?,
        };
        Ok((0..=newest.unwrap_or_default()).rev().filter(move |_| newest.is_some()).map(Ok))
    }
}

fn number_key(account: &Address, number: u64) -> Vec<u8> {
    [account.as_bytes().as_slice(), &number.to_be_bytes()].concat()
}

fn mark_key(account: &Address, shard: ShardId, covered: bool, sum: Tai) -> Vec<u8> {
    let kind = if covered { 2 } else { 1 };
    [account.as_bytes().as_slice(), &shard.get().to_be_bytes(), &[kind], &sum.get().to_be_bytes()].concat()
}
