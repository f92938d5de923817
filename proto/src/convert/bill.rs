//! Bills.

use bytes::Bytes;
use db3_primitives::{Address, Bill, BillKind, BlockTime, Epoch, Meter, Namespace, PriceTable, Tai};

use super::price::charges_message;
use super::time::timestamp;
use super::view::{ViewError, same};
use crate::v1;

/// What stands beside a bill and is not in its bytes.
#[derive(Clone, Copy, Debug)]
pub struct BillAbout<'a> {
    /// Time of the bill's block.
    pub block_time: BlockTime,
    /// Epoch that was open in it.
    pub epoch: Epoch,
    /// Who signed.
    pub signer: Address,
    /// The namespace that the mutation concerned.
    pub namespace: &'a Namespace,
    /// The price table whose version the bill names.
    pub prices: &'a PriceTable,
    /// How far the bill has come.
    pub status: v1::BillStatus,
}

/// A bill with what stands beside it; without proof.
#[must_use]
pub fn bill_message(bill: &Bill, about: &BillAbout<'_>) -> v1::Bill {
    v1::Bill {
        block_time: Some(timestamp(about.block_time)),
        epoch: about.epoch.get(),
        signer: Bytes::copy_from_slice(about.signer.as_bytes()),
        namespace: about.namespace.as_str().to_owned(),
        charges: charges_message(about.prices, &bill.metered),
        status: about.status.into(),
        ..view(bill)
    }
}

/// The decoded view of a bill's bytes alone.
fn view(bill: &Bill) -> v1::Bill {
    v1::Bill {
        leaf: bill.to_bytes().into(),
        shard: bill.shard.get(),
        account: Bytes::copy_from_slice(bill.account.as_bytes()),
        seq: bill.seq,
        height: bill.height.get(),
        index: bill.index,
        kind: kind(bill.kind).into(),
        reference: Bytes::copy_from_slice(&bill.reference),
        outcome_code: bill.outcome_code,
        price_version: bill.price_version,
        fee_tai: bill.fee.to_string(),
        cumulative_tai: bill.cum_after.to_string(),
        payee: Bytes::copy_from_slice(&bill.payee.to_bytes()),
        ..v1::Bill::default()
    }
}

const fn kind(kind: BillKind) -> v1::BillKind {
    match kind {
        BillKind::Mutation => v1::BillKind::Mutation,
    }
}

/// The bill that a message's bytes hold. Its charges, if it has any, must be these quantities and add up to the fee; time, epoch,
/// signer, namespace and status are the node's word.
pub fn checked_bill(message: &v1::Bill) -> Result<Bill, ViewError> {
    let bill = Bill::from_bytes(&message.leaf).map_err(ViewError::leaf(BILL))?;
    let wanted = v1::Bill {
        block_time: message.block_time,
        epoch: message.epoch,
        signer: message.signer.clone(),
        namespace: message.namespace.clone(),
        charges: message.charges.clone(),
        status: message.status,
        proof: message.proof.clone(),
        ..view(&bill)
    };
    same(BILL, message, &wanted)?;
    if !message.charges.is_empty() && !charges_hold(&bill, &message.charges) {
        return Err(ViewError::Differs { what: BILL });
    }
    Ok(bill)
}

const BILL: &str = "bill";

/// Whether each line is its quantity times its price, the quantities are the bill's, and the amounts are its fee.
fn charges_hold(bill: &Bill, charges: &[v1::Charge]) -> bool {
    let amount = |charge: &v1::Charge| {
        let price: Tai = charge.unit_price_tai.parse().ok()?;
        let amount = price.checked_mul(charge.quantity)?;
        (amount.to_string() == charge.amount_tai).then_some(amount)
    };
    let total = charges.iter().try_fold(Tai::ZERO, |sum, charge| sum.checked_add(amount(charge)?));
    let quantities = Meter::ALL.into_iter().all(|meter| {
        let of_meter = charges.iter().filter(|charge| charge.meter == meter.name());
        let quantity = of_meter.fold(0_u64, |sum, charge| sum.saturating_add(charge.quantity));
        quantity == u64::from(bill.metered.quantity(meter))
    });
    let known = |charge: &v1::Charge| Meter::ALL.iter().any(|meter| meter.name() == charge.meter);
    total == Some(bill.fee) && quantities && charges.iter().all(known)
}
