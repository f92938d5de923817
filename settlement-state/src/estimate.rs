//! What a transaction would cost now: before it is signed, and without a nonce, a balance or an expiry that would hold.

use db3_primitives::{BlockTime, Charge, Height, Metered, Rejection, Tai, Transaction, stored};

use crate::admission::{self, Admission};
use crate::executor::metered;
use crate::operations;
use crate::state::SettlementState;

/// An estimate against one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// What execution on this version would charge.
    pub fee: Tai,
    /// The static upper bound, which the fee limit and the balance must cover.
    pub bound: Tai,
    /// What would be metered.
    pub metered: Metered,
    /// Quantity × unit price of each meter.
    pub charges: Vec<Charge>,
    /// The precondition that does not hold on this version, so that the transaction would fail and pay for its bytes.
    pub failure: Option<Rejection>,
}

impl SettlementState {
    /// What a transaction of `bytes` encoded bytes would cost on this version. Refused where its form or its network is
    /// wrong.
    pub fn estimate(&self, transaction: &Transaction, bytes: u32) -> Result<Estimate, Rejection> {
        let mut ledger = self.ledger(Height::new(0), BlockTime::default());
        admission::check_form(transaction, bytes)?;
        admission::check_place(&ledger, transaction)?;
        let admission @ Admission { bound, .. } = admission::bound(&ledger.chain.prices, transaction, bytes)?;
        let has_window = ledger.window(transaction.account).is_some();
        let (done, failure) = match operations::run(&mut ledger, transaction, bound) {
            Ok(done) => (Some(done), None),
            Err(rejection) => (None, Some(rejection)),
        };
        let metered = metered(&admission, done, if has_window { 0 } else { stored::own_window() });
        // Within the bound in every quantity, so its price fits as the bound's does.
        let fee = ledger.chain.prices.fee(&metered).unwrap_or(bound);
        Ok(Estimate { fee, bound, metered, charges: ledger.chain.prices.charges(&metered), failure })
    }
}
