//! Honest shards, as `credit-model/random_runs.py` has them: they charge up to their ceilings while their lease lasts,
//! close epochs, emit statements late and one by one, and apply the settlement chain's entries in order.

use db3_primitives::{
    Address, CreditEntry, Epoch, EpochClose, Hash32, Height, LogEntry, Payee, ShardId, Statement, Tai,
};

#[derive(Clone, Copy, Default)]
pub(super) struct Account {
    pub(super) ceiling: u128,
    pub(super) spent: u128,
    /// The epoch of the newest charge.
    charged: Option<u64>,
    /// The epoch with charges before that, and the sum at its end.
    earlier: Option<(u64, u128)>,
    stated: u128,
}

/// A close whose statements are being emitted.
struct Emission {
    first: u64,
    last: u64,
    next: usize,
    cursor: u64,
    statements: u64,
    total: u128,
}

pub(super) struct Shard {
    number: ShardId,
    pub(super) accounts: Vec<Account>,
    pub(super) lease: u64,
    pub(super) epoch: u64,
    /// Entries of the settlement chain that were applied.
    pub(super) cursor: usize,
    emission: Option<Emission>,
    previous: Hash32,
    /// The log to the settlement chain.
    pub(super) log: Vec<Vec<u8>>,
    /// T7: so many epochs after its lease it charges on.
    overspent_epochs: u64,
}

impl Shard {
    pub(super) fn new(number: u32, accounts: usize, epoch: u64, overspent_epochs: u64) -> Self {
        Self {
            number: ShardId::new(number),
            accounts: vec![Account::default(); accounts],
            lease: 0,
            epoch,
            cursor: 0,
            emission: None,
            previous: [0; 32],
            log: Vec::new(),
            overspent_epochs,
        }
    }

    pub(super) fn charge(&mut self, account: usize, fee: u128) -> bool {
        let epoch = self.epoch;
        let open = epoch <= self.lease + self.overspent_epochs;
        let line = &mut self.accounts[account];
        if !open || line.spent + fee > line.ceiling {
            return false;
        }
        if let Some(charged) = line.charged
            && charged < epoch
        {
            line.earlier = Some((charged, line.spent));
        }
        line.charged = Some(epoch);
        line.spent += fee;
        true
    }

    /// Closes the open epoch and those up to `next`, unless the statements of the close before still wait.
    pub(super) fn close(&mut self, next: u64) {
        if self.emission.is_none() && next > self.epoch {
            self.emission = Some(Emission {
                first: self.epoch,
                last: next - 1,
                next: 0,
                cursor: self.cursor as u64,
                statements: 0,
                total: 0,
            });
            self.epoch = next;
        }
    }

    /// Visits one account, or writes the close.
    pub(super) fn emit(&mut self, addresses: &[Address]) {
        let Some(emission) = &mut self.emission else { return };
        if let Some(line) = self.accounts.get_mut(emission.next) {
            let cumulative = match (line.charged, line.earlier) {
                (Some(charged), _) if charged == emission.first => Some(line.spent),
                (_, Some((charged, spent))) if charged == emission.first => Some(spent),
                _ => None,
            };
            if let Some(cumulative) = cumulative {
                emission.statements += 1;
                emission.total += cumulative - line.stated;
                line.stated = cumulative;
                let account = addresses[emission.next];
                let statement = Statement { account, payee: Payee::ValidatorPool, cumulative: Tai::new(cumulative) };
                self.log.push(LogEntry::Statement(statement).to_bytes());
            }
            emission.next += 1;
            return;
        }
        let close = EpochClose {
            shard: self.number,
            first: Epoch::new(emission.first),
            last: Epoch::new(emission.last),
            first_height: Height::new(1),
            last_height: Height::new(1),
            bills_root: [0; 32],
            bill_count: 0,
            statements: emission.statements,
            total: Tai::new(emission.total),
            inbox_cursor: emission.cursor,
            previous: self.previous,
        };
        self.previous = close.hash();
        self.log.push(LogEntry::EpochClose(close).to_bytes());
        self.emission = None;
    }

    /// Applies the next entry for it.
    pub(super) fn hear(&mut self, entry: &CreditEntry, addresses: &[Address]) {
        self.cursor += 1;
        match entry {
            CreditEntry::Line(line) => {
                let account = addresses.iter().position(|address| *address == line.account).unwrap();
                self.accounts[account].ceiling = line.ceiling.get();
            }
            CreditEntry::Heartbeat(heartbeat) => self.lease = heartbeat.lease.get(),
        }
    }
}
