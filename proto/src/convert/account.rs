//! Credit lines and nonce windows.

use bytes::Bytes;
use db3_primitives::{AccountLeaf, Address, Namespace, NonceWindow, ShardId};

use super::view::{ViewError, same};
use crate::v1;

const LINE: &str = "credit line";
const WINDOW: &str = "nonce window";

/// An account's credit line, or that it has none; without context and proof.
#[must_use]
pub fn credit_line_message(
    account: &Address,
    shard: ShardId,
    leaf: Option<&AccountLeaf>,
    lease_epoch: u64,
) -> v1::CreditLine {
    let line = leaf.copied().unwrap_or_default();
    v1::CreditLine {
        account: Bytes::copy_from_slice(account.as_bytes()),
        shard: shard.get(),
        ceiling_tai: line.ceiling.to_string(),
        spent_tai: line.spent.to_string(),
        available_tai: line.available().to_string(),
        expire_epoch: lease_epoch,
        bill_count: line.bill_count,
        stored: leaf.map_or_else(Bytes::new, |leaf| leaf.to_bytes().into()),
        context: None,
        ics23_proof: Bytes::new(),
    }
}

/// The leaf that a credit line's bytes hold; `None` where the account has none. The lease is the node's word.
pub fn checked_credit_line(
    message: &v1::CreditLine,
    account: &Address,
    shard: ShardId,
) -> Result<Option<AccountLeaf>, ViewError> {
    let leaf = if message.stored.is_empty() {
        None
    } else {
        Some(AccountLeaf::from_bytes(&message.stored).map_err(ViewError::leaf(LINE))?)
    };
    let wanted = v1::CreditLine {
        context: message.context.clone(),
        ics23_proof: message.ics23_proof.clone(),
        ..credit_line_message(account, shard, leaf.as_ref(), message.expire_epoch)
    };
    same(LINE, message, &wanted)?;
    Ok(leaf)
}

/// A nonce window.
#[must_use]
pub fn window_message(account: &Address, namespace: &Namespace, window: &NonceWindow) -> v1::NonceWindow {
    v1::NonceWindow {
        account: Bytes::copy_from_slice(account.as_bytes()),
        namespace: namespace.as_str().to_owned(),
        highest: window.highest().get(),
        seen: Bytes::copy_from_slice(window.bitmap()),
        next: window.next().get(),
        base: window.base(),
        highest_allowed: window.highest_allowed().get(),
    }
}

/// The window that an answer's bytes hold; where none is stored, the one in which every nonce is free.
pub fn checked_window(
    response: &v1::GetNonceWindowResponse,
    account: &Address,
    namespace: &Namespace,
) -> Result<NonceWindow, ViewError> {
    let window = if response.stored.is_empty() {
        NonceWindow::new()
    } else {
        NonceWindow::from_bytes(&response.stored).map_err(ViewError::leaf(WINDOW))?
    };
    let wanted = Some(window_message(account, namespace, &window));
    same(WINDOW, &response.window, &wanted)?;
    Ok(window)
}
