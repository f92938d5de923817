//! A shard's books: who spent what, which epoch is open, and what the shard must say of it.

use std::collections::{BTreeMap, BTreeSet};

use db3_primitives::{Address, LogEntry};

use super::Credit;

/// What a shard says to the settlement chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// All that an account ever spent.
    Statement(Address, u128),
    /// The end of the statements of these epochs.
    Close { first: u64, last: u64, statements: u64, total: u128, bills: u64, cursor: u64 },
    /// Something that no honest shard says.
    Lie,
}

/// See the module's text.
#[derive(Clone, Debug)]
pub struct ShardBooks {
    epoch_secs: u64,
    pub open: u64,
    pub spent: BTreeMap<Address, u128>,
    pub ceilings: BTreeMap<Address, u128>,
    pub lease: u64,
    /// Entries heard.
    pub cursor: u64,
    /// How many of its own were.
    pub acknowledged: u64,
    bills: u64,
    billed: u128,
    spenders: BTreeSet<Address>,
    /// What a close has to say and has not said yet, in reverse.
    unsaid: Vec<Said>,
    /// Everything that it has said.
    pub log: Vec<Said>,
}

impl ShardBooks {
    pub fn new(epoch_secs: u64, genesis_secs: u64) -> Self {
        Self {
            epoch_secs,
            open: genesis_secs / epoch_secs,
            spent: BTreeMap::new(),
            ceilings: BTreeMap::new(),
            lease: 0,
            cursor: 0,
            acknowledged: 0,
            bills: 0,
            billed: 0,
            spenders: BTreeSet::new(),
            unsaid: Vec::new(),
            log: Vec::new(),
        }
    }

    /// The close, if the time is past the boundary and the last close has said everything.
    pub fn begin_block(&mut self, secs: u64) {
        let epoch = secs / self.epoch_secs;
        if epoch <= self.open || !self.unsaid.is_empty() {
            return;
        }
        let mut said: Vec<Said> =
            self.spenders.iter().map(|account| Said::Statement(*account, self.spent[account])).collect();
        said.push(Said::Close {
            first: self.open,
            last: epoch - 1,
            statements: said.len() as u64,
            total: self.billed,
            bills: self.bills,
            cursor: self.cursor,
        });
        said.reverse();
        self.unsaid = said;
        self.open = epoch;
        (self.bills, self.billed) = (0, 0);
        self.spenders.clear();
    }

    /// Compares what a block said: the next of what has to be said, in order.
    pub fn said(&mut self, entries: &[Vec<u8>]) {
        for bytes in entries {
            let predicted = self.unsaid.pop().expect("the model has nothing more to say");
            let found = match LogEntry::from_bytes(bytes).unwrap() {
                LogEntry::Statement(statement) => Said::Statement(statement.account, statement.cumulative.get()),
                LogEntry::EpochClose(close) => Said::Close {
                    first: close.first.get(),
                    last: close.last.get(),
                    statements: close.statements,
                    total: close.total.get(),
                    bills: close.bill_count,
                    cursor: close.inbox_cursor,
                },
            };
            assert_eq!(found, predicted, "the model predicts every statement and every close");
            self.log.push(found);
        }
    }

    /// Entries that a delivery brought.
    pub fn heard(&mut self, entries: &[Credit]) {
        for entry in entries {
            self.cursor += 1;
            match *entry {
                Credit::Line(account, ceiling) => {
                    self.ceilings.insert(account, ceiling);
                    self.spent.entry(account).or_insert(0);
                }
                Credit::Lease(lease, taken) => {
                    self.lease = self.lease.max(lease);
                    self.acknowledged = self.acknowledged.max(taken);
                }
            }
        }
    }

    /// Whether everything is said of the epochs that are closed.
    pub fn is_done(&self) -> bool {
        self.unsaid.is_empty()
    }

    /// Why a mutation that could cost `bound` is refused, by the name of its code; none where it is charged.
    pub fn refusal(&self, account: &Address, bound: u128) -> Option<&'static str> {
        let Some(ceiling) = self.ceilings.get(account) else { return Some("LINE_MISSING") };
        if self.open > self.lease {
            return Some("LEASE_ENDED");
        }
        (self.spent[account] + bound > *ceiling).then_some("CREDIT_EXHAUSTED")
    }

    /// A bill of the open epoch. `bound`: what it could have cost.
    pub fn bill(&mut self, account: Address, fee: u128, bound: u128) {
        assert_eq!(self.refusal(&account, bound), None, "{account} spends {bound} over {:?}", self.spent.get(&account));
        *self.spent.get_mut(&account).unwrap() += fee;
        self.bills += 1;
        self.billed += fee;
        self.spenders.insert(account);
    }
}
