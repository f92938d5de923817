//! Leaves of the settlement chain. Fixed width, big endian, the first byte the format, 1, as everywhere.
//!
//! Three more values have no type of their own: `due/<address>` is [`DUE_VALUE`], `sweep` is an address (20 bytes), and
//! `postings` and `outbox/<chain>` are frontiers of their logs (size ‖ hashes). The nonce window of an account, `win/<address>`, is a
//! [`crate::NonceWindow`].

mod balance;
mod chain;
mod dues;
mod line;
mod passed;
mod payout;
mod round;
mod shard;
mod supply;

pub use balance::{BalanceLeaf, Stage};
pub use chain::SettlementLeaf;
pub use dues::DuesLeaf;
pub use line::{Cut, CutLeaf, LineLeaf};
pub use passed::PassedLeaf;
pub use payout::PayoutLeaf;
pub use round::{RoundLeaf, RoundPhase, Running};
pub use shard::{Fault, ShardFault, ShardLeaf};
pub use supply::SupplyLeaf;

use crate::decode::{DecodeError, Reader};
use crate::{Epoch, ShardId};

/// The value of every `due/<address>`; no stored value is empty.
pub const DUE_VALUE: &[u8] = &[1];

/// The number under which the settlement chain's own pool of fees stands among the shards' pools: in `payout/` and in
/// the lines of a [`crate::PostingKind::Payout`]. No shard has it.
pub const FEE_POOL: ShardId = ShardId::new(u32::MAX);

/// An epoch that may be missing, 9 bytes: 0 or 1, then the number, 0 where it is missing.
pub(super) fn epoch_bytes(epoch: Option<Epoch>) -> [u8; 9] {
    let mut bytes = [0; 9];
    if let (Some(epoch), [tag, number @ ..]) = (epoch, &mut bytes) {
        *tag = 1;
        *number = epoch.get().to_be_bytes();
    }
    bytes
}

/// Reads [`epoch_bytes`].
pub(super) fn read_epoch(reader: &mut Reader<'_>, field: &'static str) -> Result<Option<Epoch>, DecodeError> {
    match (reader.u8()?, reader.u64()?) {
        (0, 0) => Ok(None),
        (1, number) => Ok(Some(Epoch::new(number))),
        _ => Err(reader.invalid(field)),
    }
}
