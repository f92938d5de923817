//! Postings: what settlement did to an account. Each can be proven to stand in the log of postings, whose frontier is a
//! leaf of the settlement chain's state. Lists are in `settlement_pages`.

use bytes::Bytes;
use db3_primitives::{Address, Posting, PostingKind, Tai, key};
use db3_proto::convert::checked_settlement;
use db3_proto::v1;

use crate::chain::At;
use crate::client::Client;
use crate::error::ClientError;
use crate::log_proof::{LogPlace, under_frontier};
use crate::wire::{settlement, timed};

/// Number of the rejection that says that there is no such posting.
const SETTLEMENT_NOT_FOUND: u32 = 409;

/// A posting whose shown fields agree with the bytes that are hashed.
#[derive(Clone, Debug)]
pub struct SettlementView {
    /// Position in the log of postings, from 0.
    pub index: u64,
    /// What is hashed.
    pub posting: Posting,
    /// Where it stands in the log; none where no proof was asked for.
    pub place: Option<LogPlace>,
}

/// Which posting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SettlementRef {
    /// By its position in the log, from 0.
    Index(u64),
    /// The one that debited the last tai of a sum, such as a bill's.
    DebitOf(Sum),
    /// The one that paid it, or wrote it off.
    CoverOf(Sum),
}

/// All that an account had spent on a shard at some moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sum {
    /// The account.
    pub account: Address,
    /// The shard.
    pub shard: u32,
    /// How much.
    pub cumulative: Tai,
}

impl Client {
    /// One posting, proven; none where nothing has debited or covered the sum yet.
    pub async fn settlement_of(&self, which: SettlementRef) -> Result<Option<SettlementView>, ClientError> {
        let chain = self.settlement()?;
        let asked = chain.read_options(At::default());
        let by = match which {
            SettlementRef::Index(index) => v1::get_settlement_request::By::Index(index),
            SettlementRef::DebitOf(sum) => v1::get_settlement_request::By::Sum(sum_message(sum, false)),
            SettlementRef::CoverOf(sum) => v1::get_settlement_request::By::Sum(sum_message(sum, true)),
        };
        let request = v1::GetSettlementRequest { by: Some(by), read: Some(asked) };
        let answer = chain
            .call(|channel, limit| {
                let request = timed(request.clone(), limit);
                async move { settlement(channel).get_settlement(request).await }
            })
            .await;
        let answer = match answer {
            Err(error) if error.code() == Some(SETTLEMENT_NOT_FOUND) => return Ok(None),
            answer => answer?,
        };
        let message =
            answer.settlement.ok_or_else(|| ClientError::malformed(&chain.id, "the answer holds no posting"))?;
        let posting = checked_settlement(&message).map_err(|error| ClientError::proof(&chain.id, error.to_string()))?;
        if !answers(which, message.index, &posting) {
            return Err(ClientError::proof(&chain.id, "another posting came than was asked for"));
        }
        let place = if asked.prove {
            let proof = message
                .proof
                .as_ref()
                .ok_or_else(|| ClientError::proof(&chain.id, "the posting came without proof"))?;
            let at = chain.check(proof.context.as_ref(), &asked).await?;
            let place = under_frontier(&message.leaf, proof, &key::postings(), at)
                .map_err(|flaw| ClientError::proof(&chain.id, flaw))?;
            if place.index != message.index {
                return Err(ClientError::proof(&chain.id, "the posting stands elsewhere in the log than it says"));
            }
            Some(place)
        } else {
            None
        };
        Ok(Some(SettlementView { index: message.index, posting, place }))
    }
}

fn sum_message(sum: Sum, covered: bool) -> v1::SettlementSum {
    v1::SettlementSum {
        account: Bytes::copy_from_slice(sum.account.as_bytes()),
        shard: sum.shard,
        cumulative_tai: sum.cumulative.to_string(),
        covered,
    }
}

/// Whether it is the posting that was asked for, by what it says itself.
fn answers(which: SettlementRef, index: u64, posting: &Posting) -> bool {
    match which {
        SettlementRef::Index(wanted) => wanted == index,
        SettlementRef::DebitOf(sum) => line_of(posting, sum).is_some_and(|line| line.debits(sum.cumulative)),
        SettlementRef::CoverOf(sum) => line_of(posting, sum).is_some_and(|line| line.covers(sum.cumulative)),
    }
}

/// What a posting did on the line of a sum; nothing where it is of another account, or a payout of a pool.
fn line_of(posting: &Posting, sum: Sum) -> Option<&db3_primitives::PostingLine> {
    if posting.account != sum.account || posting.kind == PostingKind::Payout {
        return None;
    }
    posting.line(sum.shard.into())
}

#[cfg(test)]
mod tests {
    use db3_primitives::{Epoch, Height, PostingLine, ShardId};

    use super::*;

    fn posting(kind: PostingKind) -> Posting {
        Posting {
            kind,
            epoch: Epoch::new(7),
            height: Height::new(9),
            time_secs: 4_800,
            account: Address::new([1; 20]),
            number: 1,
            debit: Tai::new(50),
            paid: Tai::new(30),
            written_off: Tai::ZERO,
            outstanding: Tai::new(20),
            balance: Tai::ZERO,
            collateral: Tai::ZERO,
            lines: vec![PostingLine {
                shard: ShardId::new(1),
                debited_from: Tai::new(100),
                debited_to: Tai::new(150),
                covered_from: Tai::new(100),
                covered_to: Tai::new(130),
            }],
        }
    }

    #[test]
    fn a_posting_answers_only_for_the_sums_in_its_ranges() {
        let sum = |shard, cumulative| Sum { account: Address::new([1; 20]), shard, cumulative: Tai::new(cumulative) };
        let round = posting(PostingKind::Round);
        assert!(answers(SettlementRef::DebitOf(sum(1, 150)), 0, &round));
        assert!(answers(SettlementRef::CoverOf(sum(1, 130)), 0, &round));
        assert!(!answers(SettlementRef::CoverOf(sum(1, 131)), 0, &round), "it is not paid yet");
        assert!(!answers(SettlementRef::DebitOf(sum(1, 100)), 0, &round), "the one before debited that");
        assert!(!answers(SettlementRef::DebitOf(sum(0, 120)), 0, &round), "another shard's sum");
        let stranger = Sum { account: Address::new([2; 20]), ..sum(1, 120) };
        assert!(!answers(SettlementRef::DebitOf(stranger), 0, &round));
        assert!(!answers(SettlementRef::CoverOf(sum(1, 130)), 0, &posting(PostingKind::Payout)));
        assert!(!answers(SettlementRef::Index(3), 4, &round));
    }
}
