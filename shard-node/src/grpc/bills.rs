//! `GetBill` with its proof, and `ListBills`.

use std::sync::Arc;

use bytes::Bytes;
use db3_chain::store::Store;
use db3_chain::{BillCursor, BillFilter, BillRow};
use db3_node::grpc::{PageToken, Question, Refusal, View, named};
use db3_primitives::{Epoch, Height, Rejection};
use db3_proto::convert::request::{account, invalid, mutation_id, optional_account, optional_time, page_size};
use db3_proto::convert::{BillAbout, bill_message};
use db3_proto::v1;
use db3_shard_state::ShardState;
use tokio::time::Instant;

use super::ShardNode;
use crate::kind::ShardKind;

/// Rows that one page looks at, so that a filter that matches little cannot hold the node: of one account, whose rows
/// stand together, and of all accounts.
const VISITS_MAX: usize = 10_000;
const VISITS_OF_ALL_MAX: usize = 1_000;

impl ShardNode {
    pub(super) async fn get_bill(
        &self,
        request: v1::GetBillRequest,
        deadline: Instant,
    ) -> Result<v1::GetBillResponse, Refusal> {
        let row = self.find_bill(request.by).await?;
        let options = request.read.unwrap_or_default();
        if !options.prove {
            let view = self.node.view(Some(options), None, deadline).await?;
            return Ok(v1::GetBillResponse { bill: Some(message(&row, view.state())) });
        }
        let (view, proof) = self.prove_bill(&row, options, deadline).await?;
        let bill = v1::Bill { proof: Some(proof), ..message(&row, view.state()) };
        Ok(v1::GetBillResponse { bill: Some(bill) })
    }

    async fn find_bill(&self, by: Option<v1::get_bill_request::By>) -> Result<BillRow, Refusal> {
        use v1::get_bill_request::By;
        let provable = self.node.chain().provable();
        let shard = provable.state.chain().shard;
        let (row, bill, older) = match by {
            Some(By::Name(name)) => {
                let account = account("name.account", &name.account)?;
                let row = self.node.read(move |store| store.bill(&account, name.seq)).await?;
                let count = provable.state.account(&account).map_or(0, |leaf| leaf.bill_count);
                let bill = format!("{shard}/{account}/{}", name.seq);
                let older = format!("bill {bill}");
                (row, bill, Some(older).filter(|_| (1..=count).contains(&name.seq)))
            }
            Some(By::MutationId(id)) => {
                let id = mutation_id("mutation_id", &id)?;
                let read = move |store: &Store| {
                    let Some(receipt) = store.receipt(&id)? else { return Ok((None, false)) };
                    Ok((store.bill(&receipt.account, receipt.bill_seq.unwrap_or_default())?, true))
                };
                let (row, is_known) = self.node.read(read).await?;
                let older = format!("the bill for mutation {id}, if there is one");
                (row, format!("for mutation {id}"), Some(older).filter(|_| !is_known))
            }
            None => return Err(invalid("by", "is missing; name an account and a number, or a mutation").into()),
        };
        match (row, older) {
            (Some(row), _) => Ok(row),
            (None, Some(what)) => Err(self.older_or(what, Rejection::BillNotFound { bill }).await),
            (None, None) => Err(Rejection::BillNotFound { bill }.into()),
        }
    }

    /// That something is older than this node's history; the other refusal where its history is whole.
    async fn older_or(&self, what: String, other: Rejection) -> Refusal {
        match self.history_begins().await {
            Ok(Some(from)) => Rejection::HistoryMissing { what, from }.into(),
            Ok(None) => other.into(),
            Err(refusal) => refusal,
        }
    }

    async fn history_begins(&self) -> Result<Option<Height>, Refusal> {
        let chain = self.node.chain().clone();
        self.node.read(move |_| chain.history_begins()).await
    }

    /// Proves a bill in its epoch's log: under the state's frontier while the epoch is open, under its close after.
    async fn prove_bill(
        &self,
        row: &BillRow,
        mut options: v1::ReadOptions,
        deadline: Instant,
    ) -> Result<(View<ShardKind>, v1::LogProof), Refusal> {
        let asked = options.height;
        options.min_height = options.min_height.max(row.bill.height.get());
        loop {
            let view = self.node.view(Some(options), None, deadline).await?;
            if let Some(proof) = self.bill_proof(row, &view).await? {
                return Ok((view, proof));
            }
            // The epoch is being closed: its close is in the outbox some blocks later.
            if asked != 0 {
                let detail = format!("epoch {} is being closed at height {asked}; ask for a later one", row.epoch);
                return Err(invalid("read.height", detail).into());
            }
            options.min_height = view.height().saturating_add(1);
        }
    }

    /// The proof; none while the epoch is being closed.
    async fn bill_proof(&self, row: &BillRow, view: &View<ShardKind>) -> Result<Option<v1::LogProof>, Refusal> {
        let closing = view.state().emission();
        if closing.is_some_and(|leaf| leaf.first <= row.epoch && row.epoch <= leaf.last) {
            return Ok(None);
        }
        let (chain, wanted, version) = (self.node.chain().clone(), row.clone(), Arc::clone(view.version()));
        let proof = self.node.read(move |_| chain.bill_proof(&wanted, &version)).await?;
        let Some(proof) = proof else {
            let bill = format!("{}/{}/{}", view.state().chain().shard, row.bill.account, row.bill.seq);
            let older = format!("part of the log that proves bill {bill}");
            let unproven = Rejection::BillNotFound { bill: format!("{bill} that can be proven from the history kept") };
            return Err(self.older_or(older, unproven).await);
        };
        Ok(Some(v1::LogProof {
            leaf_index: proof.leaf_index,
            tree_size: proof.tree_size,
            root: Bytes::copy_from_slice(&proof.root),
            hashes: proof.hashes.iter().map(|hash| Bytes::copy_from_slice(hash)).collect(),
            root_ics23_proof: view.proof_of(&proof.tree_key),
            context: Some(view.context()),
            close_leaf: proof.close.map_or_else(Bytes::new, |close| close.to_bytes().into()),
        }))
    }

    pub(super) async fn list_bills(&self, request: v1::ListBillsRequest) -> Result<v1::ListBillsResponse, Refusal> {
        let version = self.node.chain().committed();
        let (open, _) = version.state.open_epoch();
        let items = page_size(request.page_size)?;
        let question = question(&request);
        let token = PageToken::open(&request.page_token, question)?;
        let height = token.as_ref().map_or(u64::MAX, |token| token.height).min(version.height.get());
        let filter = BillFilter { height_max: Some(Height::new(height)), ..filter(&request, open)? };
        let cursor = token.map(|token| read_cursor(&token.cursor)).transpose()?;
        let visits = if filter.account.is_some() { VISITS_MAX } else { VISITS_OF_ALL_MAX };
        let chain = self.node.chain().clone();
        let read = move |store: &Store| Ok((store.bills(&filter, cursor, items, visits)?, chain.history_begins()?));
        let ((rows, next), begins) = self.node.read(read).await?;
        Ok(v1::ListBillsResponse {
            history_from_height: begins.map_or(0, Height::get),
            bills: rows.iter().map(|row| message(row, &version.state)).collect(),
            next_page_token: next
                .map_or_else(String::new, |next| PageToken { height, cursor: write_cursor(next) }.seal(question)),
        })
    }
}

fn message(row: &BillRow, state: &ShardState) -> v1::Bill {
    let (open, _) = state.open_epoch();
    let status = if row.epoch >= open { v1::BillStatus::Open } else { v1::BillStatus::Closed };
    let about = BillAbout {
        block_time: row.time,
        epoch: row.epoch,
        signer: row.bill.account,
        namespace: &row.namespace,
        prices: &state.chain().prices,
        status,
    };
    bill_message(&row.bill, &about)
}

fn filter(request: &v1::ListBillsRequest, open: Epoch) -> Result<BillFilter, Refusal> {
    let of_status = match v1::BillStatus::try_from(request.status) {
        Ok(v1::BillStatus::Unspecified) => None,
        Ok(v1::BillStatus::Open) => Some((open, Epoch::new(u64::MAX))),
        Ok(v1::BillStatus::Closed) => Some((Epoch::new(0), Epoch::new(open.get().saturating_sub(1)))),
        Ok(
            v1::BillStatus::Settled | v1::BillStatus::Outstanding | v1::BillStatus::Paid | v1::BillStatus::WrittenOff,
        ) => {
            return Err(invalid(
                "status",
                "a shard knows which bills are open or closed; the rest the settlement chain knows",
            )
            .into());
        }
        Err(_) => return Err(invalid("status", format!("{} is no status of a bill", request.status)).into()),
    };
    let of_epoch = request.epoch.map(|epoch| (Epoch::new(epoch), Epoch::new(epoch)));
    let epochs = match (of_status, of_epoch) {
        (Some((first, last)), Some((from, to))) => Some((first.max(from), last.min(to))),
        (one, other) => one.or(other),
    };
    Ok(BillFilter {
        account: optional_account("account", &request.account)?,
        epochs,
        since: optional_time("since", request.since.as_ref())?,
        until: optional_time("until", request.until.as_ref())?,
        namespace: if request.namespace.is_empty() { None } else { Some(named("namespace", &request.namespace)?) },
        height_max: None,
    })
}

fn question(request: &v1::ListBillsRequest) -> Question {
    let time =
        |time: Option<&prost_types::Timestamp>| time.map_or_else(Vec::new, |time| format!("{time:?}").into_bytes());
    Question::new(
        "ListBills",
        &[
            &request.account,
            &request.epoch.map_or_else(Vec::new, |epoch| epoch.to_be_bytes().to_vec()),
            &time(request.since.as_ref()),
            &time(request.until.as_ref()),
            request.namespace.as_bytes(),
            &request.status.to_be_bytes(),
        ],
    )
}

/// A place as a token holds it: an account's number (8 bytes), or an epoch and a place in it (16 bytes).
fn write_cursor(cursor: BillCursor) -> Vec<u8> {
    match cursor {
        BillCursor::Seq(seq) => seq.to_be_bytes().to_vec(),
        BillCursor::Place(epoch, index) => [epoch.get().to_be_bytes(), index.to_be_bytes()].concat(),
    }
}

fn read_cursor(bytes: &[u8]) -> Result<BillCursor, Rejection> {
    if let Ok(seq) = bytes.try_into() {
        return Ok(BillCursor::Seq(u64::from_be_bytes(seq)));
    }
    match bytes.split_first_chunk::<8>() {
        Some((epoch, index)) => match index.try_into() {
            Ok(index) => Ok(BillCursor::Place(Epoch::new(u64::from_be_bytes(*epoch)), u64::from_be_bytes(index))),
            Err(_) => Err(Rejection::PageTokenInvalid),
        },
        None => Err(Rejection::PageTokenInvalid),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_place_in_the_list_survives_its_token() {
        for cursor in [BillCursor::Seq(7), BillCursor::Place(Epoch::new(3), 9)] {
            assert_eq!(read_cursor(&write_cursor(cursor)).unwrap(), cursor);
        }
        assert!(read_cursor(&[1, 2, 3]).is_err());
    }

    #[test]
    fn status_and_epoch_hold_together() {
        let open = Epoch::new(10);
        let ask = |status: v1::BillStatus, epoch| v1::ListBillsRequest {
            status: status.into(),
            epoch,
            ..v1::ListBillsRequest::default()
        };
        let epochs = |status, epoch| filter(&ask(status, epoch), open).unwrap().epochs;
        assert_eq!(epochs(v1::BillStatus::Unspecified, None), None);
        assert_eq!(epochs(v1::BillStatus::Closed, None), Some((Epoch::new(0), Epoch::new(9))));
        assert_eq!(epochs(v1::BillStatus::Open, Some(10)), Some((open, open)));
        let (first, last) = epochs(v1::BillStatus::Open, Some(4)).unwrap();
        assert!(first > last, "no open bill is of a closed epoch");
        assert!(filter(&ask(v1::BillStatus::Paid, None), open).is_err());
    }
}
