//! Postings.

use bytes::Bytes;
use db3_primitives::{Posting, PostingKind, PostingLine};

use super::time::timestamp_of_secs;
use super::view::{ViewError, same};
use crate::v1;

const SETTLEMENT: &str = "posting";

/// The posting at a position of the log; without proof.
#[must_use]
pub fn settlement_message(index: u64, posting: &Posting) -> v1::Settlement {
    v1::Settlement {
        leaf: posting.to_bytes().into(),
        index,
        kind: settlement_kind(posting.kind).into(),
        epoch: posting.epoch.get(),
        height: posting.height.get(),
        block_time: Some(timestamp_of_secs(posting.time_secs)),
        account: Bytes::copy_from_slice(posting.account.as_bytes()),
        number: posting.number,
        debit_tai: posting.debit.to_string(),
        paid_tai: posting.paid.to_string(),
        written_off_tai: posting.written_off.to_string(),
        outstanding_tai: posting.outstanding.to_string(),
        balance_tai: posting.balance.to_string(),
        collateral_tai: posting.collateral.to_string(),
        lines: posting.lines.iter().map(line).collect(),
        proof: None,
    }
}

fn line(line: &PostingLine) -> v1::SettlementLine {
    v1::SettlementLine {
        shard: line.shard.get(),
        debited_from_tai: line.debited_from.to_string(),
        debited_to_tai: line.debited_to.to_string(),
        covered_from_tai: line.covered_from.to_string(),
        covered_to_tai: line.covered_to.to_string(),
    }
}

/// The kind of a posting as it is on the wire.
#[must_use]
pub const fn settlement_kind(kind: PostingKind) -> v1::SettlementKind {
    match kind {
        PostingKind::Round => v1::SettlementKind::Round,
        PostingKind::Pay => v1::SettlementKind::Pay,
        PostingKind::Seize => v1::SettlementKind::Seize,
        PostingKind::WriteOff => v1::SettlementKind::WriteOff,
        PostingKind::Payout => v1::SettlementKind::Payout,
    }
}

/// The posting that a message's bytes hold; that it stands at `index` is what its proof says.
pub fn checked_settlement(message: &v1::Settlement) -> Result<Posting, ViewError> {
    let posting = Posting::from_bytes(&message.leaf).map_err(ViewError::leaf(SETTLEMENT))?;
    let wanted = v1::Settlement { proof: message.proof.clone(), ..settlement_message(message.index, &posting) };
    same(SETTLEMENT, message, &wanted)?;
    Ok(posting)
}
