//! Statements that a shard has written and the settlement chain has not yet taken in: read from the shard's outbox,
//! folded onto what has arrived, which must come out at the log that the shard's verified state holds.

use bytes::Bytes;
use db3_merkle_log::Frontier;
use db3_primitives::{Address, ChainId, EpochClose, LogEntry, Tai, key};
use db3_proto::convert::checked_outbox_entry;
use db3_proto::v1;

use crate::chain::{At, Chain, StatePoint};
use crate::client::Client;
use crate::error::ClientError;
use crate::prove;
use crate::statements::StatementView;
use crate::wire::{chain as chain_service, timed};

const PAGE_SIZE: i32 = 1_000;

/// A statement that a shard has written and that has not arrived.
pub(crate) struct OnTheWay {
    shard: u32,
    pub index: u64,
    statement: db3_primitives::Statement,
    close: Option<EpochClose>,
    verified: bool,
}

/// Each begins where the one before ends, the first at `previous`.
pub(crate) fn following(mut previous: Tai, statements: Vec<OnTheWay>) -> Vec<StatementView> {
    let view = |one: OnTheWay| {
        let before = std::mem::replace(&mut previous, one.statement.cumulative);
        StatementView {
            shard: one.shard,
            index: one.index,
            account: one.statement.account,
            previous: before,
            cumulative: one.statement.cumulative,
            amount: one.statement.cumulative.saturating_sub(before),
            epochs: one.close.map(|close| (close.first.get(), close.last.get())),
            settled: None,
            verified: one.verified,
        }
    };
    statements.into_iter().map(view).collect()
}

impl Client {
    /// Statements of an account that a shard has written and the settlement chain has not yet taken in.
    pub(crate) async fn on_the_way(
        &self,
        number: u32,
        shard: &Chain,
        account: Address,
    ) -> Result<Vec<OnTheWay>, ClientError> {
        let mut log = self.inbox_frontier(&shard.id).await?;
        let start_index = log.size();
        let mut cursor = start_index;
        let destination = ChainId::settlement(&self.network().name);
        let mut token = String::new();
        let mut point: Option<StatePoint> = None;
        let mut found: Vec<OnTheWay> = Vec::new();
        let mut unclosed = 0usize;
        loop {
            let height = point.as_ref().map_or(0, |point| point.height);
            let asked = shard.read_options(At { height, with_header: false });
            let request = v1::ListOutboxRequest {
                destination: destination.as_str().to_owned(),
                start_index,
                page_size: PAGE_SIZE,
                page_token: token.clone(),
                read: Some(asked),
            };
            let answer = shard
                .call(|channel, limit| {
                    let request = timed(request.clone(), limit);
                    async move { chain_service(channel).list_outbox(request).await }
                })
                .await?;
            let at = shard.check(answer.context.as_ref(), &asked).await?;
            let flawed = |flaw: String| ClientError::proof(&shard.id, flaw);
            for entry in &answer.entries {
                let checked = checked_outbox_entry(entry, number.into(), self.network().epoch_secs)
                    .map_err(|error| flawed(error.to_string()))?;
                if entry.index != cursor {
                    return Err(flawed(format!("the outbox's entry {} came where {cursor} should", entry.index)));
                }
                log.append(&entry.leaf);
                cursor = cursor.saturating_add(1);
                match checked {
                    LogEntry::Statement(statement) if statement.account == account => {
                        found.push(OnTheWay {
                            shard: number,
                            index: entry.index,
                            statement,
                            close: None,
                            verified: at.verified,
                        });
                    }
                    LogEntry::Statement(_) => {}
                    LogEntry::EpochClose(close) => {
                        found.iter_mut().skip(unclosed).for_each(|statement| statement.close = Some(close));
                        unclosed = found.len();
                    }
                }
            }
            token = answer.next_page_token.clone();
            if token.is_empty() {
                check_outbox(&destination, &log, &answer, &at).map_err(flawed)?;
                return Ok(found);
            }
            point = Some(at);
        }
    }

    /// What the settlement chain has taken in of a shard's log: the frontier of its inbox, proven.
    async fn inbox_frontier(&self, source: &str) -> Result<Frontier, ClientError> {
        let chain = self.settlement()?;
        let mut inboxes = self.inboxes_of(chain, source).await?;
        inboxes
            .pop()
            .map(|inbox| inbox.frontier)
            .ok_or_else(|| ClientError::malformed(&chain.id, format!("the answer holds no inbox of {source}")))
    }
}

fn check_outbox(
    destination: &ChainId,
    log: &Frontier,
    answer: &v1::ListOutboxResponse,
    at: &StatePoint,
) -> Result<(), String> {
    if !at.verified {
        return Ok(());
    }
    let empty = answer.stored.is_empty();
    let stored: Option<&Bytes> = (!empty).then_some(&answer.stored);
    prove::leaf(&at.root, &key::outbox(destination), stored.map(AsRef::as_ref), &answer.ics23_proof)?;
    let folds = if empty { log.size() == 0 } else { log.to_bytes() == answer.stored };
    if folds { Ok(()) } else { Err("the entries that came are not those of the proven log".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_on_their_way_follow_what_has_arrived() {
        let one = |index, cumulative| OnTheWay {
            shard: 0,
            index,
            statement: db3_primitives::Statement {
                account: Address::new([1; 20]),
                payee: db3_primitives::Payee::ValidatorPool,
                cumulative: Tai::new(cumulative),
            },
            close: None,
            verified: true,
        };
        let views = following(Tai::new(50), vec![one(4, 70), one(9, 75)]);
        let amounts: Vec<_> = views.iter().map(|view| (view.previous.get(), view.amount.get())).collect();
        assert_eq!(amounts, [(50, 20), (70, 5)]);
        assert!(views.iter().all(|view| view.status() == v1::BillStatus::Closed && view.paid().is_zero()));
    }
}
