//! An account on the settlement chain: its money, its lines and its nonce window.

use bytes::Bytes;
use db3_primitives::{
    Address, BalanceLeaf, Cut, DecodeError, Epoch, LineLeaf, NonceWindow, SettlementLeaf, ShardId, Stage, Tai,
};

use super::view::{ViewError, same};
use crate::v1;

const ACCOUNT: &str = "settlement account";

/// What the state holds of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountLeaves {
    /// Its money; `None` if the chain has never heard of it.
    pub balance: Option<BalanceLeaf>,
    /// Its lines, in order of shard.
    pub lines: Vec<(ShardId, LineLeaf)>,
    /// Its nonce window; `None` if no nonce is used.
    pub window: Option<NonceWindow>,
}

impl AccountLeaves {
    /// Σ (D − P − W): what was debited and is neither paid nor written off.
    #[must_use]
    pub fn outstanding(&self) -> Tai {
        self.sum(LineLeaf::outstanding)
    }

    /// Σ (R − D): what the next round will debit.
    #[must_use]
    pub fn unsettled(&self) -> Tai {
        self.sum(LineLeaf::unsettled)
    }

    /// Σ (H − P − W): how much of the limit the lines hold.
    #[must_use]
    pub fn allocated(&self) -> Tai {
        self.sum(LineLeaf::bound)
    }

    fn sum(&self, of: impl Fn(&LineLeaf) -> Tai) -> Tai {
        self.lines.iter().fold(Tai::ZERO, |sum, (_, line)| sum.checked_add(of(line)).unwrap_or(Tai::MAX))
    }
}

/// An account; `params` gives its limit.
#[must_use]
pub fn settlement_account_message(
    account: &Address,
    leaves: &AccountLeaves,
    params: &SettlementLeaf,
) -> v1::SettlementAccount {
    let balance = leaves.balance.unwrap_or_default();
    let window = leaves.window.clone().unwrap_or_default();
    v1::SettlementAccount {
        account: Bytes::copy_from_slice(account.as_bytes()),
        balance_tai: balance.balance.to_string(),
        collateral_tai: balance.collateral.to_string(),
        trust_tai: balance.trust.to_string(),
        limit_tai: params.limit(balance.collateral, balance.trust).to_string(),
        allocated_tai: leaves.allocated().to_string(),
        outstanding_tai: leaves.outstanding().to_string(),
        lines: leaves.lines.iter().map(|(shard, line)| account_line_message(*shard, line)).collect(),
        stage: stage(balance.stage).into(),
        stage_since_epoch: balance.since.get(),
        unsettled_tai: leaves.unsettled().to_string(),
        posting_count: balance.postings,
        nonces: Some(v1::NonceWindow {
            account: Bytes::copy_from_slice(account.as_bytes()),
            namespace: String::new(),
            highest: window.highest().get(),
            seen: Bytes::copy_from_slice(window.bitmap()),
            next: window.next().get(),
            base: window.base(),
            highest_allowed: window.highest_allowed().get(),
        }),
        stored: leaves.balance.map_or_else(Bytes::new, |leaf| leaf.to_bytes().into()),
        window_stored: leaves.window.as_ref().map_or_else(Bytes::new, |window| window.to_bytes().into()),
    }
}

/// A line.
#[must_use]
pub fn account_line_message(shard: ShardId, line: &LineLeaf) -> v1::AccountLine {
    v1::AccountLine {
        shard: shard.get(),
        want_tai: line.want.to_string(),
        ceiling_tai: line.ceiling.to_string(),
        held_tai: line.held.to_string(),
        reported_tai: line.reported.to_string(),
        debited_tai: line.debited.to_string(),
        paid_tai: line.paid.to_string(),
        written_off_tai: line.written_off.to_string(),
        cut: line.cut.map(|Cut { index, lease }| v1::LineCut { index, lease_epoch: Epoch::get(lease) }),
        stored: line.to_bytes().into(),
    }
}

const fn stage(stage: Stage) -> v1::AccountStage {
    match stage {
        Stage::Clear => v1::AccountStage::Clear,
        Stage::Outstanding => v1::AccountStage::Outstanding,
        Stage::Delinquent => v1::AccountStage::Delinquent,
    }
}

/// What the bytes of an account hold. The lines must be in order of shard; that none is missing is what their range proof says.
pub fn checked_settlement_account(
    message: &v1::SettlementAccount,
    account: &Address,
    params: &SettlementLeaf,
) -> Result<AccountLeaves, ViewError> {
    let line = |line: &v1::AccountLine| {
        Ok((ShardId::new(line.shard), LineLeaf::from_bytes(&line.stored).map_err(ViewError::leaf(ACCOUNT))?))
    };
    let leaves = AccountLeaves {
        balance: optional(&message.stored, BalanceLeaf::from_bytes)?,
        lines: message.lines.iter().map(line).collect::<Result<_, ViewError>>()?,
        window: optional(&message.window_stored, NonceWindow::from_bytes)?,
    };
    if !leaves.lines.is_sorted_by(|(left, _), (right, _)| left < right) {
        return Err(ViewError::Differs { what: ACCOUNT });
    }
    same(ACCOUNT, message, &settlement_account_message(account, &leaves, params))?;
    Ok(leaves)
}

fn optional<L>(bytes: &[u8], read: impl Fn(&[u8]) -> Result<L, DecodeError>) -> Result<Option<L>, ViewError> {
    if bytes.is_empty() { Ok(None) } else { read(bytes).map(Some).map_err(ViewError::leaf(ACCOUNT)) }
}
