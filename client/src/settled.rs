//! What settlement made of an account's bills: their status beyond what their shard knows.

use db3_primitives::{PostingKind, Tai};
use db3_proto::v1::BillStatus;

use crate::account::AccountView;
use crate::bills::BillView;
use crate::error::ClientError;
use crate::money::Money;
use crate::settlement_pages::SettlementFilter;
use crate::standing::Standing;

/// An account's money, with the stretches of its sums that were written off.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The account's money and lines, proven.
    pub money: Money,
    write_offs: Vec<WriteOff>,
}

#[derive(Clone, Copy, Debug)]
struct WriteOff {
    shard: u32,
    from: Tai,
    to: Tai,
}

impl AccountView<'_> {
    /// What settlement made of its bills.
    pub async fn settled(&self) -> Result<Settled, ClientError> {
        let money = self.money().await?.value;
        let mut write_offs = Vec::new();
        if money.lines().iter().any(|(_, line)| !line.written_off.is_zero()) {
            let filter = SettlementFilter {
                account: Some(self.address),
                kind: Some(PostingKind::WriteOff),
                ..SettlementFilter::default()
            };
            let mut pages = self.client.settlements(&filter)?;
            while let Some(page) = pages.next_page().await? {
                let lines = page.iter().flat_map(|view| &view.posting.lines);
                write_offs.extend(lines.map(|line| WriteOff {
                    shard: line.shard.get(),
                    from: line.covered_from,
                    to: line.covered_to,
                }));
            }
        }
        for (shard, line) in money.lines() {
            let own = write_offs.iter().filter(|stretch| stretch.shard == shard.get());
            let sum = own.fold(0u128, |sum, stretch| sum.saturating_add(stretch.amount().get()));
            if sum != line.written_off.get() && !self.client.options().unverified {
                let chain = self.client.settlement()?;
                return Err(ClientError::proof(&chain.id, format!("write-offs of shard {shard} are left out")));
            }
        }
        Ok(Settled { money, write_offs })
    }
}

impl WriteOff {
    fn amount(&self) -> Tai {
        self.to.saturating_sub(self.from)
    }
}

impl Settled {
    /// How far a bill has come: open and closed are its shard's word, the rest follows from the account's line. What the
    /// shard has stated to the settlement chain is not open, whatever it says here.
    #[must_use]
    pub fn status(&self, bill: &BillView) -> BillStatus {
        let to = bill.bill.cum_after;
        let from = to.saturating_sub(bill.bill.fee);
        let shard = bill.bill.shard.get();
        let line = self.money.line(shard);
        if bill.status == BillStatus::Open && to > line.reported {
            return BillStatus::Open;
        }
        let status = Standing::of(&line, from, to).status;
        let is_written_off =
            self.write_offs.iter().any(|stretch| stretch.shard == shard && stretch.from < to && to <= stretch.to);
        if status == BillStatus::Paid && is_written_off { BillStatus::WrittenOff } else { status }
    }
}
