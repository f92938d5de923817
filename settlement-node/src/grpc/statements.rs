//! `GetStatement` with its proof, and `ListStatements`: what shards reported, and how far it is settled.

use db3_chain::store::Store;
use db3_chain::{Log, StatementCursor, StatementFilter, StatementRow, StoreError};
use db3_node::grpc::{PageToken, Question, Refusal};
use db3_primitives::{Address, ChainId, Epoch, Height, LineLeaf, LogEntry, PostingKind, Rejection, ShardId, Tai, key};
use db3_proto::convert::request::{account, invalid, optional_time, page_size};
use db3_proto::convert::{statement_message, timestamp};
use db3_proto::v1;
use db3_settlement_state::SettlementState;
use tokio::time::Instant;

use super::SettlementNode;
use super::proof::Rooted;

/// Rows that one page looks at, so that a filter that matches little cannot hold the node.
const VISITS_MAX: usize = 10_000;
/// Postings that are looked at to tell what was paid of one statement from what was written off.
const COVERING_MAX: usize = 64;

/// How far a statement is settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Settled {
    debited: Tai,
    paid: Tai,
    written_off: Tai,
    /// The posting that debited the last of it, and its height.
    debit: Option<(u64, Height)>,
    /// The posting that covered the last of it.
    cover: Option<u64>,
}

impl SettlementNode {
    pub(super) async fn get_statement(
        &self,
        request: v1::GetStatementRequest,
        deadline: Instant,
    ) -> Result<v1::GetStatementResponse, Refusal> {
        let account = account("account", &request.account)?;
        let shard = self.shard("shard", request.shard)?;
        let view = self.node.view(request.read, None, deadline).await?;
        let (epoch, height, line) = (request.epoch.map(Epoch::new), view.height(), line(view.state(), &account, shard));
        let rooted = Rooted::of_shard(&view, shard)?;
        let (read, proves, begins) = (rooted.clone(), view.proves(), rooted.begins());
        let found = self
            .node
            .read(move |store| {
                let row = store.statement(shard, &account, epoch)?.filter(|row| row.height.get() <= height);
                let Some(row) = row.and_then(|row| row.within(begins)) else { return Ok(None) };
                let settled = settled(store, &row, line.as_ref(), height)?;
                let leaf = store.log_entry(read.log(), row.index)?;
                let siblings = if proves { read.siblings(store, row.index)? } else { None };
                Ok(Some((row, settled, leaf, siblings)))
            })
            .await?;
        let not_found = || {
            let of = epoch.map_or_else(String::new, |epoch| format!(" for epoch {epoch}"));
            Rejection::StatementNotFound { statement: format!("of {account} from shard {shard}{of}") }
        };
        let (row, settled, leaf, siblings) = found.ok_or_else(not_found)?;
        let proof = siblings.map(|siblings| rooted.message(row.index, &siblings, &view));
        let statement = v1::Statement { proof, ..message(&row, leaf, &settled) };
        Ok(v1::GetStatementResponse { statement: Some(statement) })
    }

    pub(super) async fn list_statements(
        &self,
        request: v1::ListStatementsRequest,
    ) -> Result<v1::ListStatementsResponse, Refusal> {
        let items = page_size(request.page_size)?;
        let payer = account("account", &request.account)?;
        let shard = request.shard.map(|shard| self.shard("shard", shard)).transpose()?;
        let status = status(request.status)?;
        let question = question(&request);
        let token = PageToken::open(&request.page_token, question)?;
        let version = self.node.chain().committed();
        let committed = version.height.get();
        let height = token.as_ref().map_or(u64::MAX, |token| token.height).min(committed);
        let filter = StatementFilter {
            shard,
            epochs: request.epoch.map(|epoch| (Epoch::new(epoch), Epoch::new(epoch))),
            since: optional_time("since", request.since.as_ref())?,
            until: optional_time("until", request.until.as_ref())?,
            height_max: Some(Height::new(height)),
        };
        let cursor = token.map(|token| read_cursor(&token.cursor)).transpose()?;
        let network = version.state.chain().network.clone();
        let log_begins = shard.map_or(0, |shard| version.state.passed(shard).begins());
        let (rows, next) = self
            .node
            .read(move |store| {
                let (rows, next) = store.statements(&payer, &filter, cursor, items, VISITS_MAX)?;
                let settle = |row: StatementRow| {
                    let line = line(&version.state, &payer, row.shard);
                    let settled = settled(store, &row, line.as_ref(), committed)?;
                    let leaf = store.log_entry(&Log::Inbox(ChainId::shard(&network, row.shard)), row.index)?;
                    Ok((row, leaf, settled))
                };
                let rows = rows.into_iter();
                let rows = rows.filter_map(|row| row.within(version.state.passed(row.shard).begins()));
                Ok((rows.map(settle).collect::<Result<Vec<_>, StoreError>>()?, next))
            })
            .await?;
        let statements = rows
            .into_iter()
            .map(|(row, leaf, settled)| message(&row, leaf, &settled))
            .filter(|statement| status.is_none_or(|status| statement.status() == status));
        Ok(v1::ListStatementsResponse {
            statements: statements.collect(),
            log_begins,
            next_page_token: next
                .map_or_else(String::new, |next| PageToken { height, cursor: write_cursor(next) }.seal(question)),
        })
    }
}

fn line(state: &SettlementState, account: &Address, shard: ShardId) -> Option<LineLeaf> {
    LineLeaf::from_bytes(state.tree().get(&key::line(account, shard))?).ok()
}

/// A place as a token holds it: height (8) ‖ shard (4) ‖ index (8).
fn write_cursor(cursor: StatementCursor) -> Vec<u8> {
    let StatementCursor { height, shard, index } = cursor;
    [height.get().to_be_bytes().as_slice(), &shard.get().to_be_bytes(), &index.to_be_bytes()].concat()
}

fn read_cursor(bytes: &[u8]) -> Result<StatementCursor, Rejection> {
    let read = || {
        let (height, rest) = bytes.split_first_chunk()?;
        let (shard, rest) = rest.split_first_chunk()?;
        Some(StatementCursor {
            height: Height::new(u64::from_be_bytes(*height)),
            shard: ShardId::new(u32::from_be_bytes(*shard)),
            index: u64::from_be_bytes(rest.try_into().ok()?),
        })
    };
    read().ok_or(Rejection::PageTokenInvalid)
}

/// `leaf` is the entry as it was hashed, if this node has it.
fn message(row: &StatementRow, leaf: Option<Vec<u8>>, settled: &Settled) -> v1::Statement {
    let previous = row.previous.unwrap_or(Tai::ZERO);
    let amount = row.cumulative.saturating_sub(previous);
    let covered = plus(settled.paid, settled.written_off);
    let outstanding = settled.debited.saturating_sub(covered);
    let status = if settled.debited < amount {
        v1::BillStatus::Closed
    } else if outstanding > Tai::ZERO {
        v1::BillStatus::Outstanding
    } else if settled.written_off > Tai::ZERO {
        v1::BillStatus::WrittenOff
    } else {
        v1::BillStatus::Paid
    };
    let view = match leaf.and_then(|leaf| LogEntry::from_bytes(&leaf).ok()) {
        Some(LogEntry::Statement(statement)) => statement_message(row.shard, &statement),
        Some(LogEntry::EpochClose(_)) | None => v1::Statement::default(),
    };
    v1::Statement {
        epoch: row.epochs.map(|(first, _)| first.get()),
        last_epoch: row.epochs.map(|(_, last)| last.get()),
        previous_cumulative_tai: previous.to_string(),
        amount_tai: amount.to_string(),
        index: row.index,
        received_height: row.height.get(),
        received_time: (row.height.get() > 0).then(|| timestamp(row.time)),
        status: status.into(),
        paid_tai: settled.paid.to_string(),
        outstanding_tai: outstanding.to_string(),
        written_off_tai: settled.written_off.to_string(),
        settlement_height: settled.debit.map_or(0, |(_, height)| height.get()),
        debit_settlement: settled.debit.map(|(index, _)| index),
        cover_settlement: settled.cover,
        ..view
    }
}

/// How far a statement is settled, by its line and the postings that touched it.
fn settled(store: &Store, row: &StatementRow, line: Option<&LineLeaf>, height: u64) -> Result<Settled, StoreError> {
    let Some(line) = line else { return Ok(Settled::default()) };
    let (from, to) = (row.previous.unwrap_or(Tai::ZERO), row.cumulative);
    let amount = to.saturating_sub(from);
    let part = |sum: Tai| sum.saturating_sub(from).min(amount);
    let (account, shard) = (&row.account, row.shard);
    let mut settled = Settled { debited: part(line.debited), ..Settled::default() };
    if settled.debited == amount && amount > Tai::ZERO {
        let debit = store.posting_of(account, shard, to, false)?;
        settled.debit = debit.map(|(index, posting)| (index, posting.height)).filter(|(_, at)| at.get() <= height);
    }
    let covered = plus(from, part(line.covered()));
    let mut reached = from;
    for _ in 0..COVERING_MAX {
        let Some(next) = reached.checked_add(Tai::new(1)).filter(|next| *next <= covered) else { break };
        let Some((index, posting)) = store.posting_of(account, shard, next, true)? else { break };
        let end = posting.line(shard).map_or(next, |line| line.covered_to).clamp(next, covered);
        let part = end.saturating_sub(reached);
        match posting.kind {
            PostingKind::WriteOff => settled.written_off = plus(settled.written_off, part),
            PostingKind::Round | PostingKind::Pay | PostingKind::Seize | PostingKind::Payout => {
                settled.paid = plus(settled.paid, part);
            }
        }
        reached = end;
        settled.cover = (end == to).then_some(index);
    }
    Ok(settled)
}

/// The sum; amounts are far below the largest.
fn plus(one: Tai, other: Tai) -> Tai {
    one.checked_add(other).unwrap_or(Tai::MAX)
}

fn status(number: i32) -> Result<Option<v1::BillStatus>, Refusal> {
    match v1::BillStatus::try_from(number) {
        Ok(v1::BillStatus::Unspecified) => Ok(None),
        Ok(status) => Ok(Some(status)),
        Err(_) => Err(invalid("status", format!("{number} is no status of a statement")).into()),
    }
}

fn question(request: &v1::ListStatementsRequest) -> Question {
    let time =
        |time: Option<&prost_types::Timestamp>| time.map_or_else(Vec::new, |time| format!("{time:?}").into_bytes());
    Question::new(
        "ListStatements",
        &[
            &request.account,
            &request.shard.map_or_else(Vec::new, |shard| shard.to_be_bytes().to_vec()),
            &request.epoch.map_or_else(Vec::new, |epoch| epoch.to_be_bytes().to_vec()),
            &request.status.to_be_bytes(),
            &time(request.since.as_ref()),
            &time(request.until.as_ref()),
        ],
    )
}
