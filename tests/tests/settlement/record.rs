//! Everything that the chains wrote down of money, as their blocks brought it.

use db3_primitives::{Bill, Epoch, EpochClose, LogEntry, Posting, Statement};

/// See the module's text.
#[derive(Default)]
pub struct Record {
    /// Every bill, with its epoch, in the order of its shard.
    pub bills: Vec<(Epoch, Bill)>,
    /// Every close.
    pub closes: Vec<EpochClose>,
    /// Every statement that the settlement chain heard, with the number of its shard.
    pub statements: Vec<(u32, Statement)>,
    /// Every posting, by index.
    pub postings: Vec<Posting>,
}

impl Record {
    pub fn shard_block(&mut self, effects: &db3_shard_state::Effects) {
        self.bills.extend(effects.bills.iter().map(|bill| (effects.bill_epoch, bill.clone())));
        self.closes.extend(effects.closed);
    }

    pub fn settlement_block(&mut self, effects: &db3_settlement_state::Effects) {
        for entry in &effects.inbound {
            if let LogEntry::Statement(statement) = entry.entry {
                self.statements.push((entry.source.get(), statement));
            }
        }
        for (index, posting) in &effects.postings {
            assert_eq!(*index, self.postings.len() as u64, "postings are numbered without gaps");
            self.postings.push(posting.clone());
        }
    }
}
