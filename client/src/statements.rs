//! Statements: what an account owes from each shard at the close of an epoch.
//!
//! What has arrived on the settlement chain is proven one by one to stand in the log that it has taken in from the
//! shard; what is still on its way is read from the shard's outbox, folded onto what has arrived, and must come out at
//! the log that the shard's verified state holds. What became of a statement follows from the account's proven line.

use bytes::Bytes;
use db3_primitives::{Address, BlockTime, ChainId, ShardId, Tai, key};
use db3_proto::convert::{block_time, checked_statement};
use db3_proto::v1;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::account::AccountView;
use crate::chain::{At, Chain};
use crate::error::ClientError;
use crate::log_proof::{LogPlace, under_frontier};
use crate::money::Money;
use crate::on_the_way::following;
use crate::partial::{Partial, Unanswered};
use crate::standing::Standing;
use crate::wire::{settlement, timed};

const PAGE_SIZE: i32 = 1_000;
/// Proofs of statements that are asked for at once.
const PROOFS_AT_ONCE: usize = 16;

/// What one account owes from one shard for the epochs of one close.
#[derive(Clone, Debug)]
pub struct StatementView {
    /// The shard.
    pub shard: u32,
    /// Position in the shard's log to the settlement chain, from 0.
    pub index: u64,
    /// Who owes.
    pub account: Address,
    /// All that the account had spent on the shard before.
    pub previous: Tai,
    /// All that it has spent up to the close.
    pub cumulative: Tai,
    /// The difference: what this statement adds.
    pub amount: Tai,
    /// First and last epoch of the close that it belongs to, by the word of who told the statement; none while that close
    /// is on its way.
    pub epochs: Option<(u64, u64)>,
    /// What became of it on the settlement chain; none while it is on its way there.
    pub settled: Option<StatementSettlement>,
    /// Whether it is proven: to stand in the log that has arrived, or in the one that its shard has written.
    pub verified: bool,
}

/// What the settlement chain has made of a statement.
#[derive(Clone, Debug)]
pub struct StatementSettlement {
    /// How much of it is debited, paid and outstanding, by the proven line.
    pub standing: Standing,
    /// How much of what is covered was written off instead of paid; the node's word, and zero where the line has none.
    pub written_off: Tai,
    /// Height of the settlement chain's block that took it in; the node's word.
    pub received_height: u64,
    /// Time of that block; the node's word.
    pub received_time: Option<BlockTime>,
    /// Height of the block that debited it, 0 until then; the node's word.
    pub settlement_height: u64,
    /// Index of the posting that debited it; the node's word, `Client::settlement_of` proves it.
    pub debited_by: Option<u64>,
    /// Index of the posting that covered the last of it; likewise.
    pub covered_by: Option<u64>,
    /// Where it stands in the log that the settlement chain has taken in; none where proofs were not asked for.
    pub place: Option<LogPlace>,
}

impl StatementView {
    /// What of it was paid.
    #[must_use]
    pub fn paid(&self) -> Tai {
        self.settled.as_ref().map_or(Tai::ZERO, |settled| settled.standing.covered.saturating_sub(settled.written_off))
    }

    /// How far it has come: closed, outstanding, paid or written off.
    #[must_use]
    pub fn status(&self) -> v1::BillStatus {
        match &self.settled {
            Some(settled) if settled.standing.status == v1::BillStatus::Paid && settled.written_off > Tai::ZERO => {
                v1::BillStatus::WrittenOff
            }
            Some(settled) => settled.standing.status,
            None => v1::BillStatus::Closed,
        }
    }
}

/// Which statements; all conditions hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatementFilter {
    /// Of this shard.
    pub shard: Option<u32>,
    /// Of closes that end at or after this epoch.
    pub epoch_min: Option<u64>,
    /// Most statements of each shard, newest first.
    pub limit: Option<usize>,
}

impl AccountView<'_> {
    /// Its statements by shard, oldest first. Those of a shard that does not answer are the ones that have arrived on the
    /// settlement chain, which may not be all that it has written.
    pub async fn statements(&self, filter: &StatementFilter) -> Result<Partial<Vec<StatementView>>, ClientError> {
        let money = self.money().await?.value;
        let mut all = Vec::new();
        let mut unanswered = Vec::new();
        for (number, shard) in (0u32..).zip(self.client.shards()) {
            if filter.shard.is_some_and(|only| only != number) {
                continue;
            }
            let mut on_the_way = match self.client.on_the_way(number, shard, money.account).await {
                Ok(found) => found,
                Err(error) if error.is_unreachable(&shard.id) => {
                    unanswered.push(Unanswered::of(error)?);
                    Vec::new()
                }
                // The settlement node that was asked is far behind: it waits for entries that a later one has acknowledged.
                Err(error) if error.history_from().is_some() => {
                    unanswered.push(Unanswered { chain_id: shard.id.clone(), detail: error.to_string() });
                    Vec::new()
                }
                Err(error) => return Err(error),
            };
            let (mut arrived, log_begins) = self.arrived(number, filter.epoch_min, filter.limit, &money).await?;
            if log_begins > 0 {
                let detail = format!("governance passed over the entries of its log before {log_begins}");
                unanswered.push(Unanswered { chain_id: shard.id.clone(), detail });
            }
            arrived.reverse();
            // What arrived meanwhile is not on its way any more.
            let newest = arrived.last().map(|statement| (statement.index, statement.cumulative));
            on_the_way.retain(|statement| newest.is_none_or(|(index, _)| statement.index > index));
            let before = newest.map_or(money.line(number).reported, |(_, cumulative)| cumulative);
            arrived.extend(following(before, on_the_way));
            let left_out = filter.limit.map_or(0, |limit| arrived.len().saturating_sub(limit));
            all.extend(arrived.into_iter().skip(left_out));
        }
        Ok(Partial { value: all, unanswered })
    }

    /// Those that have arrived from one shard, newest first, and where the shard's log begins by the node's word.
    async fn arrived(
        &self,
        number: u32,
        epoch_min: Option<u64>,
        limit: Option<usize>,
        money: &Money,
    ) -> Result<(Vec<StatementView>, u64), ClientError> {
        let chain = self.client.settlement()?;
        let mut request = v1::ListStatementsRequest {
            account: Bytes::copy_from_slice(self.address.as_bytes()),
            shard: Some(number),
            page_size: PAGE_SIZE,
            ..v1::ListStatementsRequest::default()
        };
        let wanted = limit.unwrap_or(usize::MAX);
        let is_old = |message: &v1::Statement| {
            message.last_epoch.is_some_and(|last| epoch_min.is_some_and(|least| last < least))
        };
        let mut listed: Vec<v1::Statement> = Vec::new();
        let mut older = None;
        let mut log_begins = 0;
        let reaches_first = loop {
            let answer = chain
                .call(|channel, limit| {
                    let request = timed(request.clone(), limit);
                    async move { settlement(channel).list_statements(request).await }
                })
                .await?;
            log_begins = answer.log_begins.max(log_begins);
            let mut statements = answer.statements.into_iter();
            let taken = statements.by_ref().take(wanted.saturating_sub(listed.len()));
            for message in taken {
                if is_old(&message) {
                    older = Some(message);
                    break;
                }
                listed.push(message);
            }
            request.page_token = answer.next_page_token;
            if older.is_some() || listed.len() >= wanted {
                break false;
            }
            if request.page_token.is_empty() {
                break true;
            }
        };
        let count = listed.len();
        // The first that is too old shows that none between it and the others is left out.
        listed.extend(older);
        let views = stream::iter(listed).map(|message| self.arrived_one(chain, number, message, money));
        let mut views: Vec<StatementView> = views.buffered(PROOFS_AT_ONCE).try_collect().await?;
        let reported = money.line(number).reported;
        // What governance passed over stands in no list, and what it says of the sums then follows no statement.
        let reported = if log_begins == 0 { reported } else { Tai::ZERO };
        if wanted > 0 {
            check_sequence(&views, reported, reaches_first).map_err(|flaw| ClientError::proof(&chain.id, flaw))?;
        }
        views.truncate(count);
        Ok((views, log_begins))
    }

    /// One that has arrived: its place in the log is proven, and that it is this account's from this shard.
    async fn arrived_one(
        &self,
        chain: &Chain,
        number: u32,
        listed: v1::Statement,
        money: &Money,
    ) -> Result<StatementView, ClientError> {
        let flawed = |flaw: String| ClientError::proof(&chain.id, flaw);
        // It is listed as soon as a block holds it, and can be proven once the next one does.
        let asked = chain.read_options(At::default());
        let asked = v1::ReadOptions { min_height: asked.min_height.max(listed.received_height), ..asked };
        let (message, place) = if asked.prove && listed.epoch.is_some() {
            let request = v1::GetStatementRequest {
                account: listed.account.clone(),
                shard: number,
                epoch: listed.epoch,
                read: Some(asked),
            };
            let answer = chain
                .call(|channel, limit| {
                    let request = timed(request.clone(), limit);
                    async move { settlement(channel).get_statement(request).await }
                })
                .await?;
            let message =
                answer.statement.ok_or_else(|| ClientError::malformed(&chain.id, "the answer holds no statement"))?;
            let proof = message.proof.as_ref().ok_or_else(|| flawed("the statement came without proof".to_owned()))?;
            let at = chain.check(proof.context.as_ref(), &asked).await?;
            let source = ChainId::shard(&self.client.network().name, ShardId::new(number));
            let place = under_frontier(&message.leaf, proof, &key::inbox(&source), at).map_err(flawed)?;
            (message, Some(place))
        } else {
            (listed, None)
        };
        let statement = checked_statement(&message).map_err(|error| flawed(error.to_string()))?;
        let elsewhere = place.as_ref().is_some_and(|place| place.index != message.index);
        if statement.account != self.address || message.shard != number || elsewhere {
            return Err(flawed("another statement came than was asked for".to_owned()));
        }
        let previous = amount(chain, &message.previous_cumulative_tai)?;
        let line = money.line(number);
        let standing = Standing::of(&line, previous, statement.cumulative);
        let written_off = if line.written_off.is_zero() { Tai::ZERO } else { amount(chain, &message.written_off_tai)? };
        Ok(StatementView {
            shard: number,
            index: message.index,
            account: self.address,
            previous,
            cumulative: statement.cumulative,
            amount: statement.cumulative.saturating_sub(previous),
            epochs: message.epoch.zip(message.last_epoch),
            verified: place.as_ref().is_some_and(|place| place.at.verified),
            settled: Some(StatementSettlement {
                standing,
                written_off: written_off.min(standing.covered),
                received_height: message.received_height,
                received_time: message.received_time.as_ref().and_then(block_time),
                settlement_height: message.settlement_height,
                debited_by: message.debit_settlement,
                covered_by: message.cover_settlement,
                place,
            }),
        })
    }
}

/// Newest first: each begins where the next one ends, the newest at what the chain has noted of the shard, or above
/// where more has arrived since that was read; the first of all begins at nothing.
fn check_sequence(views: &[StatementView], reported: Tai, reaches_first: bool) -> Result<(), String> {
    if views.first().map_or(Tai::ZERO, |newest| newest.cumulative) < reported {
        return Err("the newest statement is missing from the list".to_owned());
    }
    let gap = views.windows(2).find(|pair| matches!(pair, [newer, older] if newer.previous != older.cumulative));
    if let Some([newer, ..]) = gap {
        return Err(format!("the statement before that of {} on shard {} is missing", newer.cumulative, newer.shard));
    }
    match views.last() {
        Some(oldest) if reaches_first && !oldest.previous.is_zero() => {
            Err(format!("the statement before that of {} on shard {} is missing", oldest.cumulative, oldest.shard))
        }
        Some(_) | None => Ok(()),
    }
}

fn amount(chain: &Chain, text: &str) -> Result<Tai, ClientError> {
    if text.is_empty() {
        return Ok(Tai::ZERO);
    }
    text.parse().map_err(|_| ClientError::malformed(&chain.id, format!("`{text}` is no amount")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn view(previous: u128, cumulative: u128) -> StatementView {
        let (previous, cumulative) = (Tai::new(previous), Tai::new(cumulative));
        StatementView {
            shard: 1,
            index: 0,
            account: Address::new([1; 20]),
            previous,
            cumulative,
            amount: cumulative.saturating_sub(previous),
            epochs: Some((7, 7)),
            settled: None,
            verified: true,
        }
    }

    #[test]
    fn a_statement_that_is_left_out_is_missed() {
        let reported = Tai::new(90);
        let check = |views: &[StatementView], reaches_first| check_sequence(views, reported, reaches_first);
        assert!(check(&[view(60, 90), view(20, 60), view(0, 20)], true).is_ok());
        assert!(check(&[view(60, 90), view(20, 60)], false).is_ok(), "a limit ends the list early");
        assert!(check(&[view(60, 90), view(20, 60)], true).unwrap_err().contains("is missing"), "the first of all");
        assert!(check(&[view(60, 90), view(0, 20)], true).unwrap_err().contains("is missing"));
        assert!(check(&[view(20, 60), view(0, 20)], true).unwrap_err().contains("newest"));
        assert!(check(&[], true).unwrap_err().contains("newest"));
        assert!(check(&[view(90, 95), view(60, 90)], false).is_ok(), "one has arrived meanwhile");
        assert!(check_sequence(&[], Tai::ZERO, true).is_ok());
    }
}
