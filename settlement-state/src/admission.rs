//! The ladder that a transaction climbs before it may be in a block, without the signature: one check after the other,
//! cheapest first, and the first that fails is the answer.
//!
//! Its own form and size, the network, the expiry, the nonce, the fee limit against the static upper bound, and the
//! balance for that bound.
//!
//! Admission asks it of the newest version, execution of the working version of the block. It changes nothing, and what
//! it refuses is never charged.

use db3_primitives::limits::TRANSACTION_BYTES_MAX;
use db3_primitives::{Metered, PriceTable, Rejection, Tai, Transaction, transaction_upper_bound};

use crate::ledger::Ledger;

/// What a transaction may cost at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Static upper bound of what will be metered.
    pub metered: Metered,
    /// Its price: what the balance must hold, and what a node reserves.
    pub bound: Tai,
}

/// Climbs the whole ladder.
pub(crate) fn check(ledger: &Ledger, transaction: &Transaction, bytes: u32) -> Result<Admission, Rejection> {
    check_form(transaction, bytes)?;
    check_place(ledger, transaction)?;
    check_expiry(ledger, transaction)?;
    ledger.window(transaction.account).unwrap_or_default().check(transaction.nonce)?;
    let admission = bound(&ledger.chain.prices, transaction, bytes)?;
    if admission.bound > transaction.max_fee {
        return Err(Rejection::FeeOverLimit { max_fee: transaction.max_fee, bound: admission.bound });
    }
    let balance = ledger.balance(transaction.account).unwrap_or_default().balance;
    if admission.bound > balance {
        return Err(Rejection::BalanceTooLowForFee { balance, fee: admission.bound });
    }
    Ok(admission)
}

/// The decoder has checked it already; execution does not rely on that.
pub(crate) fn check_form(transaction: &Transaction, bytes: u32) -> Result<(), Rejection> {
    if u64::from(bytes) > TRANSACTION_BYTES_MAX as u64 {
        return Err(Rejection::MutationTooLarge { bytes: u64::from(bytes), max: TRANSACTION_BYTES_MAX as u64 });
    }
    transaction.validate()
}

/// Its network is this one.
pub(crate) fn check_place(ledger: &Ledger, transaction: &Transaction) -> Result<(), Rejection> {
    if transaction.network == ledger.chain.network {
        return Ok(());
    }
    let expected = ledger.chain.network.clone();
    Err(Rejection::NetworkMismatch { network: transaction.network.clone(), expected })
}

/// A transaction may stand in a block whose time is before its expiry.
fn check_expiry(ledger: &Ledger, transaction: &Transaction) -> Result<(), Rejection> {
    let (now, expire) = (ledger.at.time.secs, transaction.expire_unix_secs);
    if now >= expire {
        return Err(Rejection::Expired { expire, block_time: now });
    }
    let latest = now.saturating_add(ledger.chain.expiry_max_secs);
    if expire > latest {
        return Err(Rejection::ExpiryTooFar { expire, latest });
    }
    Ok(())
}

/// The price of the static upper bound. One that is no amount is above every limit.
pub(crate) fn bound(prices: &PriceTable, transaction: &Transaction, bytes: u32) -> Result<Admission, Rejection> {
    let metered = transaction_upper_bound(transaction, bytes);
    match prices.fee(&metered) {
        Some(bound) => Ok(Admission { metered, bound }),
        None => Err(Rejection::FeeOverLimit { max_fee: transaction.max_fee, bound: Tai::MAX }),
    }
}
