//! Charges and price tables.

use db3_primitives::{Charge, Meter, Metered, PriceTable};

use crate::v1;

/// One line of a bill.
#[must_use]
pub fn charge_message(charge: &Charge) -> v1::Charge {
    v1::Charge {
        meter: charge.meter.name().to_owned(),
        quantity: charge.quantity,
        unit_price_tai: charge.unit_price.to_string(),
        amount_tai: charge.amount.to_string(),
    }
}

/// All lines of what was metered.
#[must_use]
pub fn charges_message(prices: &PriceTable, metered: &Metered) -> Vec<v1::Charge> {
    prices.charges(metered).iter().map(charge_message).collect()
}

/// A price table.
#[must_use]
pub fn price_table_message(prices: &PriceTable) -> v1::PriceTable {
    v1::PriceTable {
        version: prices.version,
        prices: Meter::ALL
            .into_iter()
            .map(|meter| v1::Price {
                meter: meter.name().to_owned(),
                unit_price_tai: prices.unit_price(meter).to_string(),
            })
            .collect(),
    }
}
