//! The model that predicts the settlement chain: `credit-model/random_runs.py` with stages by epoch, on plain vectors, every
//! account visited in every round, nothing remembered that could be computed.

use db3_primitives::TransactionOperation as Op;
use db3_primitives::{Address, CreditEntry, Epoch, EpochClose, Heartbeat, LineEntry, Statement, Tai};

use super::decisions::Decision;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line {
    pub(super) want: i128,
    pub(super) k: i128,
    pub(super) h: i128,
    pub(super) cut: Option<(usize, u64)>,
    pub(super) r: i128,
    pub(super) d: i128,
    pub(super) p: i128,
    pub(super) w: i128,
}

impl Line {
    fn owed(&self) -> i128 {
        self.d - self.p - self.w
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Account {
    pub(super) balance: i128,
    pub(super) collateral: i128,
    pub(super) trust: i128,
    pub(super) since: Option<u64>,
    pub(super) delinquent: bool,
    pub(super) lines: Vec<Option<Line>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Shard {
    pub(super) log: Vec<CreditEntry>,
    /// How long the log was when the transaction or the round began.
    begun: usize,
    lease: u64,
    last: Option<u64>,
    cursor: usize,
    pub(super) income: i128,
}

impl Shard {
    /// Tells the shard of a ceiling, once for each line in a transaction, and gives the place in the log.
    fn tell(&mut self, account: Address, ceiling: i128) -> usize {
        let entry = LineEntry { account, ceiling: Tai::new(ceiling as u128) };
        let told = |entry: &CreditEntry| matches!(entry, CreditEntry::Line(line) if line.account == account);
        let place = self.log[self.begun..].iter().position(told).map_or(self.log.len(), |at| self.begun + at);
        if place == self.log.len() {
            self.log.push(CreditEntry::Line(entry));
        } else {
            self.log[place] = CreditEntry::Line(entry);
        }
        place
    }
}

/// Numbers of the chain's parameters.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) factor: (i128, i128),
    pub(super) epoch_secs: u64,
    pub(super) lease_epochs: u64,
    pub(super) deadline_secs: u64,
    pub(super) grace: u64,
    pub(super) seize: u64,
    pub(super) write_off: u64,
}

#[derive(Clone)]
pub(super) struct Oracle {
    pub(super) terms: Terms,
    pub(super) addresses: Vec<Address>,
    pub(super) own_shards: Vec<usize>,
    pub(super) accounts: Vec<Account>,
    pub(super) shards: Vec<Shard>,
    settled: Option<u64>,
    begun: bool,
}

impl Oracle {
    pub(super) fn new(
        terms: Terms,
        addresses: Vec<Address>,
        own_shards: Vec<usize>,
        accounts: Vec<Account>,
        shards: usize,
        epoch: u64,
    ) -> Self {
        let shard = Shard { lease: epoch + terms.lease_epochs, ..Shard::default() };
        let shards = vec![shard; shards];
        Self { terms, addresses, own_shards, accounts, shards, settled: epoch.checked_sub(1), begun: false }
    }

    fn limit(&self, a: usize) -> i128 {
        self.accounts[a].collateral * self.terms.factor.0 / self.terms.factor.1 + self.accounts[a].trust
    }

    fn held(&self, a: usize) -> i128 {
        self.accounts[a].lines.iter().flatten().map(|line| line.h - line.p - line.w).sum()
    }

    fn owed(&self, a: usize) -> i128 {
        self.accounts[a].lines.iter().flatten().map(Line::owed).sum()
    }

    fn set_ceiling(&mut self, a: usize, s: usize, v: i128) {
        let (limit, held) = (self.limit(a), self.held(a));
        let account = self.addresses[a];
        let Some(line) = &mut self.accounts[a].lines[s] else { return };
        let shard = &mut self.shards[s];
        if v < line.k {
            line.k = v;
            line.cut = Some((shard.tell(account, v), shard.lease));
            return;
        }
        let room = limit - (held - line.h);
        if room >= line.h && v.min(room) > line.k {
            line.k = v.min(room);
            line.h = line.h.max(line.k);
            shard.tell(account, line.k);
        }
    }

    fn renew(&mut self, a: usize) {
        for s in 0..self.shards.len() {
            let Some(line) = self.accounts[a].lines[s].clone() else { continue };
            let target = line.p + line.w + line.want;
            if (line.want > 0 && target - line.k >= (line.want / 4).max(1)) || line.k > target {
                self.set_ceiling(a, s, target);
            }
        }
    }

    /// What governance decided, from now on.
    pub(super) fn decide(&mut self, decision: Decision) {
        match decision {
            Decision::Trust(a, trust) => self.accounts[a].trust = i128::from(trust),
            Decision::Factor(num, den) => self.terms.factor = (i128::from(num), i128::from(den)),
        }
    }

    /// Takes back what may still be spent beyond the limit, in proportion to what the lines have left.
    fn cut_to_limit(&mut self, a: usize) {
        let limit = self.limit(a);
        let lines: Vec<Line> = self.accounts[a].lines.iter().map(|line| line.clone().unwrap_or_default()).collect();
        let given: i128 = lines.iter().map(|line| line.k.max(line.r) - line.p - line.w).sum();
        let left: Vec<i128> = lines.iter().map(|line| (line.k - line.r).max(0)).collect();
        let all: i128 = left.iter().sum();
        let back = (given - limit).min(all);
        if back <= 0 {
            return;
        }
        let mut odd = back - left.iter().map(|left| back * left / all).sum::<i128>();
        for (s, (line, left)) in lines.iter().zip(left).enumerate() {
            let share = back * left / all;
            let more = odd.min(left - share);
            odd -= more;
            if share + more > 0 {
                self.set_ceiling(a, s, line.k - share - more);
            }
        }
    }

    fn pay(&mut self, a: usize, amount: i128) {
        let owed: Vec<i128> = self.accounts[a].lines.iter().map(|line| line.as_ref().map_or(0, Line::owed)).collect();
        let whole: i128 = owed.iter().sum();
        if amount == 0 {
            return;
        }
        let mut parts: Vec<i128> = owed.iter().map(|owed| amount * owed / whole).collect();
        let mut rest = amount - parts.iter().sum::<i128>();
        for (part, owed) in parts.iter_mut().zip(&owed) {
            let more = rest.min(owed - *part);
            *part += more;
            rest -= more;
        }
        for (s, part) in parts.into_iter().enumerate() {
            if let Some(line) = &mut self.accounts[a].lines[s] {
                line.p += part;
                self.shards[s].income += part;
            }
        }
    }

    /// What a block does before it looks at anything.
    pub(super) fn block(&mut self, now: u64) {
        let mut confirmed = false;
        for s in 0..self.shards.len() {
            let (cursor, last) = (self.shards[s].cursor, self.shards[s].last);
            for account in &mut self.accounts {
                if let Some(line) = &mut account.lines[s]
                    && let Some((index, lease)) = line.cut
                    && (index < cursor || last.is_some_and(|last| lease <= last))
                {
                    line.h = line.r.max(line.k);
                    line.cut = None;
                    confirmed = true;
                }
            }
        }
        if !self.begun {
            self.begun = true;
            self.round(self.settled.unwrap_or(0), now);
            return;
        }
        let closed = self.shards.iter().map(|shard| shard.last).min().flatten();
        let late = now.checked_sub(self.terms.deadline_secs).map_or(0, |secs| secs / self.terms.epoch_secs);
        let epoch = closed.max(late.checked_sub(1));
        if let Some(epoch) = epoch
            && !confirmed
            && self.settled.is_none_or(|settled| epoch > settled)
        {
            self.round(epoch, now);
            self.settled = Some(epoch);
        }
    }

    /// Something begins that may tell a shard of a line once.
    fn begin(&mut self) {
        for shard in &mut self.shards {
            shard.begun = shard.log.len();
        }
    }

    fn round(&mut self, epoch: u64, now: u64) {
        self.begin();
        for a in 0..self.accounts.len() {
            self.visit(a, epoch, now);
        }
        let lease = now / self.terms.epoch_secs + self.terms.lease_epochs;
        for shard in &mut self.shards {
            shard.lease = shard.lease.max(lease);
            // What shards said comes here without their logs.
            let heartbeat = Heartbeat { epoch: Epoch::new(epoch), lease: Epoch::new(shard.lease), inbox_cursor: 0 };
            shard.log.push(CreditEntry::Heartbeat(heartbeat));
        }
    }

    fn visit(&mut self, a: usize, epoch: u64, now: u64) {
        for line in self.accounts[a].lines.iter_mut().flatten() {
            line.d = line.r;
        }
        let paid = self.owed(a).min(self.accounts[a].balance);
        self.pay(a, paid);
        self.accounts[a].balance -= paid;
        if let Some(since) = &mut self.accounts[a].since {
            *since += self.settled.map_or(0, |settled| (epoch - settled).saturating_sub(1));
            let deadline = (epoch + 1) * self.terms.epoch_secs + self.terms.deadline_secs;
            *since += u64::from(now / self.terms.epoch_secs > deadline / self.terms.epoch_secs);
        }
        self.stage(a, epoch);
        if !self.accounts[a].delinquent {
            self.renew(a);
            self.cut_to_limit(a);
            return;
        }
        for s in 0..self.shards.len() {
            if let Some(line) = &self.accounts[a].lines[s] {
                let used = line.k.min(line.r);
                self.set_ceiling(a, s, used);
            }
        }
        let age = epoch - self.accounts[a].since.unwrap();
        if age >= self.terms.seize {
            let seized = self.owed(a).min(self.accounts[a].collateral);
            self.pay(a, seized);
            self.accounts[a].collateral -= seized;
        }
        if self.owed(a) > 0 && self.accounts[a].collateral == 0 && age >= self.terms.write_off {
            self.accounts[a].trust = 0;
            for line in self.accounts[a].lines.iter_mut().flatten() {
                line.w += line.owed();
                line.want = 0;
            }
        }
        self.stage(a, epoch);
    }

    fn stage(&mut self, a: usize, epoch: u64) {
        if self.owed(a) == 0 {
            self.accounts[a].since = None;
            self.accounts[a].delinquent = false;
            return;
        }
        let since = *self.accounts[a].since.get_or_insert(epoch);
        self.accounts[a].delinquent |= epoch - since >= self.terms.grace;
    }

    pub(super) fn statement(&mut self, s: usize, statement: &Statement) {
        let a = self.addresses.iter().position(|address| *address == statement.account).unwrap();
        self.accounts[a].lines[s].as_mut().unwrap().r = statement.cumulative.get() as i128;
    }

    pub(super) fn close(&mut self, s: usize, close: &EpochClose) {
        self.shards[s].last = Some(close.last.get());
        self.shards[s].cursor = close.inbox_cursor as usize;
    }

    /// Whether a transaction succeeds; one that does not changes nothing.
    pub(super) fn transact(&mut self, a: usize, operations: &[Op]) -> bool {
        self.begin();
        let before = (self.accounts.clone(), self.shards.clone());
        let chooses = operations.iter().any(|operation| matches!(operation, Op::Allocate { .. }));
        for operation in operations {
            if self.operate(a, operation, chooses).is_none() {
                (self.accounts, self.shards) = before;
                return false;
            }
        }
        true
    }

    fn operate(&mut self, a: usize, operation: &Op, chooses: bool) -> Option<()> {
        let account_of = |address: &Address| self.addresses.iter().position(|known| known == address).unwrap();
        let free = |a: usize| self.accounts[a].since.is_none().then_some(());
        match operation {
            Op::Transfer { to, amount } => {
                let (to, amount) = (account_of(to), amount.get() as i128);
                free(a)?;
                (amount <= self.accounts[a].balance).then_some(())?;
                self.accounts[a].balance -= amount;
                self.accounts[to].balance += amount;
            }
            Op::Deposit { to, amount } => {
                let (to, amount) = (account_of(to), amount.get() as i128);
                free(a)?;
                free(to)?;
                (amount <= self.accounts[a].balance).then_some(())?;
                let half = self.limit(to) / 2;
                self.accounts[a].balance -= amount;
                self.accounts[to].collateral += amount;
                let lines: Vec<_> =
                    self.accounts[to].lines.iter().enumerate().filter(|(_, line)| line.is_some()).collect();
                let automatic = lines.is_empty()
                    || lines.len() == 1
                        && half > 0
                        && lines[0].0 == self.own_shards[to]
                        && lines[0].1.as_ref().unwrap().want == half;
                if automatic && !(chooses && to == a) {
                    self.want(to, self.own_shards[to], self.limit(to) / 2);
                } else {
                    self.renew(to);
                }
            }
            Op::Withdraw { amount } => {
                free(a)?;
                let amount = amount.get() as i128;
                (amount <= self.accounts[a].collateral).then_some(())?;
                self.accounts[a].collateral -= amount;
                (self.held(a) <= self.limit(a)).then_some(())?;
                self.accounts[a].balance += amount;
            }
            Op::Allocate { shard, want } => {
                let shard = shard.get() as usize;
                (shard < self.shards.len()).then_some(())?;
                self.want(a, shard, want.get() as i128);
            }
            Op::Pay { amount } => {
                let owed = self.owed(a);
                (owed > 0).then_some(())?;
                let balance = self.accounts[a].balance;
                let amount = if amount.is_zero() { owed.min(balance) } else { owed.min(amount.get() as i128) };
                (0 < amount && amount <= balance).then_some(())?;
                self.pay(a, amount);
                self.accounts[a].balance -= amount;
                if amount == owed {
                    self.accounts[a].since = None;
                    self.accounts[a].delinquent = false;
                    self.renew(a);
                }
            }
        }
        Some(())
    }

    fn want(&mut self, a: usize, s: usize, want: i128) {
        if self.accounts[a].lines[s].is_none() && want == 0 {
            return;
        }
        let line = self.accounts[a].lines[s].get_or_insert_default();
        line.want = want;
        let target = line.p + line.w + want;
        if !self.accounts[a].delinquent {
            self.set_ceiling(a, s, target);
        }
    }
}
