//! What a mutation would cost now: before it is signed, and without a nonce, a line or an expiry that would hold.

use db3_primitives::{Charge, Height, Metered, Mutation, Rejection, Tai, stored};

use crate::admission::{self, Admission};
use crate::operations::{self, Moment};
use crate::state::ShardState;

/// An estimate against one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// What execution on this version would charge.
    pub fee: Tai,
    /// The static upper bound, which the fee limit and the line must cover.
    pub bound: Tai,
    /// What would be metered.
    pub metered: Metered,
    /// The lines of the bill.
    pub charges: Vec<Charge>,
    /// The precondition that does not hold on this version, so that the mutation would fail and pay for its bytes.
    pub failure: Option<Rejection>,
}

impl ShardState {
    /// What a mutation of `bytes` encoded bytes would cost on this version. Refused where its form, its network, its
    /// shard or the account's right to the namespace is wrong.
    pub fn estimate(&self, mutation: &Mutation, bytes: u32) -> Result<Estimate, Rejection> {
        let mut ledger = self.ledger();
        admission::check_form(mutation, bytes)?;
        admission::check_place(&ledger, mutation)?;
        admission::check_right(&ledger, mutation)?;
        let Admission { metered: bound_metered, bound } = admission::bound(&ledger.chain.prices, mutation, bytes)?;
        let window_paid = ledger.window(&mutation.account, &mutation.namespace).paid;
        let at = Moment { height: Height::new(0), time_secs: 0 };
        let (used, failure) = match operations::run(&mut ledger.overlay, mutation, at, 0) {
            Ok(done) => ((bound_metered.operations, done.key_bytes, done.bytes_stored), None),
            Err(rejection) => ((0, 0, 0), Some(rejection)),
        };
        let (operations, key_bytes, growth) = used;
        let window_bytes = if window_paid { 0 } else { stored::window(&mutation.namespace) };
        let metered =
            Metered { operations, key_bytes, bytes_stored: growth.saturating_add(window_bytes), ..bound_metered };
        // Within the bound in every quantity, so its price fits as the bound's does.
        let fee = ledger.chain.prices.fee(&metered).unwrap_or(bound);
        Ok(Estimate { fee, bound, metered, charges: ledger.chain.prices.charges(&metered), failure })
    }
}
