//! `GetSettlement` with its proof, and `ListSettlements`.

use db3_chain::PostingFilter;
use db3_node::grpc::{PageToken, Question, Refusal};
use db3_primitives::{Epoch, Height, Posting, PostingKind, Rejection, ShardId, Tai};
use db3_proto::convert::request::{account, invalid, optional_account, optional_time, page_size};
use db3_proto::convert::settlement_message;
use db3_proto::v1;
use tokio::time::Instant;

use super::SettlementNode;
use super::proof::Rooted;

/// Rows that one page looks at, so that a filter that matches little cannot hold the node: of one account, whose rows
/// stand together, and of all accounts.
const VISITS_MAX: usize = 10_000;
const VISITS_OF_ALL_MAX: usize = 1_000;

impl SettlementNode {
    pub(super) async fn get_settlement(
        &self,
        request: v1::GetSettlementRequest,
        deadline: Instant,
    ) -> Result<v1::GetSettlementResponse, Refusal> {
        let (index, posting) = self.find_posting(request.by).await?;
        let options = request.read.unwrap_or_default();
        let mut message = settlement_message(index, &posting);
        if options.prove {
            let least = options.min_height.max(posting.height.get());
            let options = v1::ReadOptions { min_height: if options.height == 0 { least } else { 0 }, ..options };
            let view = self.node.view(Some(options), None, deadline).await?;
            let rooted = Rooted::postings(&view);
            let (read, unproven) = (rooted.clone(), format!("{index} at height {}", view.height()));
            let siblings = self.node.read(move |store| read.siblings(store, index)).await?;
            let siblings = siblings.ok_or_else(|| not_found(unproven))?;
            message.proof = Some(rooted.message(index, &siblings, &view));
        }
        Ok(v1::GetSettlementResponse { settlement: Some(message) })
    }

    async fn find_posting(&self, by: Option<v1::get_settlement_request::By>) -> Result<(u64, Posting), Refusal> {
        use v1::get_settlement_request::By;
        let committed = self.node.chain().committed().height;
        let (found, text) = match by {
            Some(By::Index(index)) => {
                let found = self.node.read(move |store| store.posting(index)).await?;
                (found.map(|posting| (index, posting)), index.to_string())
            }
            Some(By::Sum(sum)) => {
                let payer = account("sum.account", &sum.account)?;
                let shard = ShardId::new(sum.shard);
                let cumulative: Tai = sum
                    .cumulative_tai
                    .parse()
                    .ok()
                    .filter(|sum: &Tai| *sum > Tai::ZERO)
                    .ok_or_else(|| invalid("sum.cumulative_tai", "is no number of tai above 0"))?;
                let covered = sum.covered;
                let what = if covered { "covered" } else { "debited" };
                let text = format!("that {what} the sum {cumulative} of {payer} on shard {shard}");
                (self.node.read(move |store| store.posting_of(&payer, shard, cumulative, covered)).await?, text)
            }
            None => return Err(invalid("by", "is missing; name an index or a sum").into()),
        };
        // The files may hold a posting a moment before its block is final.
        found.filter(|(_, posting)| posting.height <= committed).ok_or_else(|| not_found(text))
    }

    pub(super) async fn list_settlements(
        &self,
        request: v1::ListSettlementsRequest,
    ) -> Result<v1::ListSettlementsResponse, Refusal> {
        let items = page_size(request.page_size)?;
        let question = question(&request);
        let token = PageToken::open(&request.page_token, question)?;
        let committed = self.node.chain().committed().height.get();
        let height = token.as_ref().map_or(u64::MAX, |token| token.height).min(committed);
        let filter = PostingFilter { height_max: Some(Height::new(height)), ..filter(&request)? };
        let cursor = token.map(|token| read_cursor(&token.cursor)).transpose()?;
        let visits = if filter.account.is_some() { VISITS_MAX } else { VISITS_OF_ALL_MAX };
        let (rows, next) = self.node.read(move |store| store.postings(&filter, cursor, items, visits)).await?;
        Ok(v1::ListSettlementsResponse {
            settlements: rows.iter().map(|(index, posting)| settlement_message(*index, posting)).collect(),
            next_page_token: next.map_or_else(String::new, |next| {
                PageToken { height, cursor: next.to_be_bytes().to_vec() }.seal(question)
            }),
        })
    }
}

fn not_found(settlement: String) -> Refusal {
    Rejection::SettlementNotFound { settlement }.into()
}

fn filter(request: &v1::ListSettlementsRequest) -> Result<PostingFilter, Refusal> {
    let kind = match v1::SettlementKind::try_from(request.kind) {
        Ok(v1::SettlementKind::Unspecified) => None,
        Ok(v1::SettlementKind::Round) => Some(PostingKind::Round),
        Ok(v1::SettlementKind::Pay) => Some(PostingKind::Pay),
        Ok(v1::SettlementKind::Seize) => Some(PostingKind::Seize),
        Ok(v1::SettlementKind::WriteOff) => Some(PostingKind::WriteOff),
        Ok(v1::SettlementKind::Payout) => Some(PostingKind::Payout),
        Err(_) => return Err(invalid("kind", format!("{} is no kind of settlement", request.kind)).into()),
    };
    Ok(PostingFilter {
        account: optional_account("account", &request.account)?,
        epoch: request.epoch.map(Epoch::new),
        kind,
        since: optional_time("since", request.since.as_ref())?,
        until: optional_time("until", request.until.as_ref())?,
        height_max: None,
    })
}

fn question(request: &v1::ListSettlementsRequest) -> Question {
    let time =
        |time: Option<&prost_types::Timestamp>| time.map_or_else(Vec::new, |time| format!("{time:?}").into_bytes());
    Question::new(
        "ListSettlements",
        &[
            &request.account,
            &request.epoch.map_or_else(Vec::new, |epoch| epoch.to_be_bytes().to_vec()),
            &request.kind.to_be_bytes(),
            &time(request.since.as_ref()),
            &time(request.until.as_ref()),
        ],
    )
}

/// A place as a token holds it: a posting's index.
fn read_cursor(bytes: &[u8]) -> Result<u64, Rejection> {
    Ok(u64::from_be_bytes(bytes.try_into().map_err(|_| Rejection::PageTokenInvalid)?))
}
