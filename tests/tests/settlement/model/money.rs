//! The settlement chain's books.

use std::collections::{BTreeMap, BTreeSet};

use db3_primitives::{Address, Namespace, PostingKind, ShardMap};

use super::{Credit, Said};

/// The parameters that matter here; factor is a fraction.
#[derive(Clone, Debug)]
pub struct Params {
    pub epoch_secs: u64,
    pub factor: (u128, u128),
    pub treasury: Address,
    pub lease_epochs: u64,
    pub deadline_secs: u64,
    pub grace_epochs: u64,
    pub seize_epochs: u64,
    pub write_off_epochs: u64,
    pub lines_per_block: u64,
    pub map: ShardMap,
    /// Who shares each shard's pool, and last the fees; by power, in order of address.
    pub payouts: Vec<Vec<(Address, u64)>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub balance: u128,
    pub collateral: u128,
    pub trust: u128,
    /// 0 clear, 1 outstanding, 2 delinquent.
    pub stage: u8,
    pub since: u64,
    pub postings: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub want: u128,
    pub k: u128,
    pub h: u128,
    /// Index in the log to the shard, and the lease of that time.
    pub cut: Option<(u64, u64)>,
    pub r: u128,
    pub d: u128,
    pub p: u128,
    pub w: u128,
}

impl Line {
    fn covered(&self) -> u128 {
        self.p + self.w
    }

    fn owed(&self) -> u128 {
        self.d - self.covered()
    }
}

#[derive(Clone, Debug, Default)]
pub struct Shard {
    pub lease: u64,
    pub last_close: Option<u64>,
    pub cursor: u64,
    pub pool: u128,
    pub income: u128,
    /// Everything that was ever written to it.
    pub sent: Vec<Credit>,
    /// Entries of its log that were taken.
    pub taken: u64,
    /// It lied, and is not heard any more.
    pub frozen: bool,
}

/// What a posting says: kind, account, its number, debit, paid, written off, owed after, balance after.
pub type Posted = (PostingKind, Address, u64, u128, u128, u128, u128, u128);

#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    Accounts(Option<Address>),
    Shards(usize),
}

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Books {
    pub params: Params,
    pub accounts: BTreeMap<Address, Account>,
    pub lines: BTreeMap<(Address, u32), Line>,
    pub shards: Vec<Shard>,
    pub due: BTreeSet<Address>,
    pub fee_pool: u128,
    pub fee_income: u128,
    pub settled: Option<u64>,
    pub rounds: u64,
    running: Option<(u64, At)>,
    /// Postings of this block.
    pub posted: Vec<Posted>,
}

impl Books {
    pub fn new(params: Params, genesis_secs: u64) -> Self {
        let epoch = genesis_secs / params.epoch_secs;
        let shard = Shard { lease: epoch + params.lease_epochs, ..Shard::default() };
        Self {
            shards: vec![shard; params.payouts.len() - 1],
            params,
            accounts: BTreeMap::new(),
            lines: BTreeMap::new(),
            due: BTreeSet::new(),
            fee_pool: 0,
            fee_income: 0,
            settled: Some(epoch - 1),
            rounds: 0,
            running: Some((epoch - 1, At::Accounts(None))),
            posted: Vec::new(),
        }
    }

    /// What genesis gives.
    pub fn open(&mut self, address: Address, account: Account, wants: &[(u32, u128)]) {
        self.accounts.insert(address, account);
        for (shard, want) in wants {
            self.lines.insert((address, *shard), Line { want: *want, ..Line::default() });
            self.due.insert(address);
        }
    }

    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub fn limit(&self, account: &Address) -> u128 {
        let account = self.accounts.get(account).cloned().unwrap_or_default();
        account.collateral * self.params.factor.0 / self.params.factor.1 + account.trust
    }

    pub fn lines_of(&self, account: &Address) -> Vec<(u32, Line)> {
        self.lines
            .range((*account, 0)..=(*account, u32::MAX))
            .map(|((_, shard), line)| (*shard, line.clone()))
            .collect()
    }

    pub fn owed(&self, account: &Address) -> u128 {
        self.lines_of(account).iter().map(|(_, line)| line.owed()).sum()
    }

    pub fn held(&self, account: &Address) -> u128 {
        self.lines_of(account).iter().map(|(_, line)| line.h - line.covered()).sum()
    }

    /// Cuts that closes confirm, then the round's part.
    pub fn begin_block(&mut self, secs: u64) {
        self.posted.clear();
        let due = self.due.clone();
        let confirmed = self.confirm_cuts();
        if self.running.is_none() {
            // A round finds those whom a confirmed cut frees among the due, so it begins in a later block.
            let Some(epoch) = self.due_epoch(secs).filter(|_| confirmed == 0) else { return };
            self.running = Some((epoch, At::Accounts(None)));
        }
        let mut left = self.params.lines_per_block;
        while left > 0 {
            let (epoch, at) = self.running.clone().expect("a round runs");
            match at {
                At::Accounts(after) => {
                    let next = due.iter().find(|account| after.is_none_or(|after| **account > after));
                    let Some(account) = next else {
                        self.running = Some((epoch, At::Shards(0)));
                        continue;
                    };
                    left = left.saturating_sub((self.lines_of(account).len() as u64).max(1));
                    self.visit(*account, epoch);
                    let more = due.iter().any(|other| other > account);
                    let at = if more { At::Accounts(Some(*account)) } else { At::Shards(0) };
                    self.running = Some((epoch, at));
                }
                At::Shards(shard) if shard < self.shards.len() => {
                    let paid = self.pay_out(shard);
                    self.heartbeat(shard, secs);
                    left = left.saturating_sub(paid.max(1));
                    self.running = Some((epoch, At::Shards(shard + 1)));
                }
                At::Shards(fees) => {
                    self.pay_out(fees);
                    // Genesis leaves a round running that settles nothing.
                    self.settled = if self.rounds == 0 { self.settled } else { Some(epoch) };
                    self.rounds += 1;
                    self.running = None;
                    return;
                }
            }
        }
    }

    fn due_epoch(&self, secs: u64) -> Option<u64> {
        let heard = self.shards.iter().filter(|shard| !shard.frozen).map(|shard| shard.last_close);
        let closed = heard.min().flatten();
        let late =
            secs.checked_sub(self.params.deadline_secs).and_then(|secs| (secs / self.params.epoch_secs).checked_sub(1));
        let epoch = closed.max(late)?;
        self.settled.is_none_or(|settled| epoch > settled).then_some(epoch)
    }

    /// Tells how many.
    fn confirm_cuts(&mut self) -> usize {
        let mut confirmed = 0;
        for (number, shard) in (0..).zip(self.shards.clone()) {
            let mut cuts: Vec<(u64, u64, Address)> = self
                .lines
                .iter()
                .filter(|((_, of), _)| *of == number)
                .filter_map(|((account, _), line)| line.cut.map(|(index, lease)| (index, lease, *account)))
                .collect();
            cuts.sort_unstable();
            for (index, lease, account) in cuts {
                if index >= shard.cursor && shard.last_close.is_none_or(|last| lease > last) {
                    break;
                }
                let line = self.lines.get_mut(&(account, number)).unwrap();
                line.h = line.r.max(line.k);
                line.cut = None;
                self.due.insert(account);
                confirmed += 1;
            }
        }
        confirmed
    }

    fn heartbeat(&mut self, shard: usize, secs: u64) {
        let lease = secs / self.params.epoch_secs + self.params.lease_epochs;
        let shard = &mut self.shards[shard];
        if !shard.frozen {
            shard.lease = shard.lease.max(lease);
            shard.sent.push(Credit::Lease(shard.lease));
        }
    }

    /// How many got something. The last place is that of the fees.
    fn pay_out(&mut self, place: usize) -> u64 {
        let pool = match self.shards.get_mut(place) {
            Some(shard) => std::mem::take(&mut shard.pool),
            None => std::mem::take(&mut self.fee_pool),
        };
        let recipients = self.params.payouts[place].clone();
        let whole: u128 = recipients.iter().map(|(_, power)| u128::from(*power)).sum();
        let mut shares: Vec<(Address, u128)> =
            recipients.iter().map(|(account, power)| (*account, pool * u128::from(*power) / whole)).collect();
        let given: u128 = shares.iter().map(|(_, share)| share).sum();
        shares.push((self.params.treasury, pool - given));
        shares.retain(|(_, share)| *share > 0);
        for (account, share) in &shares {
            self.accounts.entry(*account).or_default().balance += share;
            self.post(PostingKind::Payout, *account, 0, *share, 0);
        }
        shares.len() as u64
    }

    pub fn post(&mut self, kind: PostingKind, address: Address, debit: u128, paid: u128, written_off: u128) {
        let owed = self.owed(&address);
        let account = self.accounts.entry(address).or_default();
        account.postings += 1;
        self.posted.push((kind, address, account.postings, debit, paid, written_off, owed, account.balance));
    }

    fn visit(&mut self, address: Address, epoch: u64) {
        // Debts grow older by one with every round: epochs that no round settled by itself do not count.
        let skipped = self.settled.map_or(0, |settled| epoch.saturating_sub(settled).saturating_sub(1));
        let account = self.accounts.entry(address).or_default();
        account.since += if account.stage == 0 { 0 } else { skipped };
        let mut debit = 0;
        for (_, line) in self.lines.range_mut((address, 0)..=(address, u32::MAX)) {
            debit += line.r - line.d;
            line.d = line.r;
        }
        let balance = self.accounts.entry(address).or_default().balance;
        let paid = balance.min(self.owed(&address));
        self.accounts.get_mut(&address).unwrap().balance -= paid;
        self.pay_lines(address, paid);
        if debit > 0 || paid > 0 {
            self.post(PostingKind::Round, address, debit, paid, 0);
        }
        self.age(address, epoch);
        let mut seized = 0;
        if self.accounts[&address].stage == 2 {
            for (shard, line) in self.lines_of(&address) {
                self.set_ceiling(address, shard, line.k.min(line.r));
            }
            seized = self.dun(address, epoch);
        } else {
            self.renew(address);
        }
        if self.accounts[&address].stage == 0 && seized == 0 {
            self.due.remove(&address);
        }
    }

    /// Pro rata over what each line owes: floors, and the rest to the lowest shards.
    pub fn pay_lines(&mut self, account: Address, amount: u128) {
        let owed: Vec<(u32, u128)> =
            self.lines_of(&account).iter().map(|(shard, line)| (*shard, line.owed())).collect();
        let all: u128 = owed.iter().map(|(_, owed)| owed).sum();
        if amount == 0 {
            return;
        }
        let mut shares: Vec<u128> = owed.iter().map(|(_, owed)| amount * owed / all).collect();
        let mut rest = amount - shares.iter().sum::<u128>();
        for (share, (_, owed)) in shares.iter_mut().zip(&owed) {
            let more = rest.min(owed - *share);
            *share += more;
            rest -= more;
        }
        for ((shard, _), share) in owed.iter().zip(shares) {
            self.lines.get_mut(&(account, *shard)).unwrap().p += share;
            let shard = &mut self.shards[*shard as usize];
            shard.pool += share;
            shard.income += share;
        }
    }

    fn age(&mut self, address: Address, epoch: u64) {
        let owed = self.owed(&address);
        let grace = self.params.grace_epochs;
        let account = self.accounts.get_mut(&address).unwrap();
        if owed == 0 {
            (account.stage, account.since) = (0, 0);
            return;
        }
        if account.stage == 0 {
            (account.stage, account.since) = (1, epoch);
        }
        if epoch.saturating_sub(account.since) >= grace {
            account.stage = 2;
        }
    }

    /// Collateral pays, and at last the rest is given up.
    fn dun(&mut self, address: Address, epoch: u64) -> u128 {
        let age = epoch.saturating_sub(self.accounts[&address].since);
        let mut seized = 0;
        if age >= self.params.seize_epochs {
            seized = self.accounts[&address].collateral.min(self.owed(&address));
            if seized > 0 {
                self.accounts.get_mut(&address).unwrap().collateral -= seized;
                self.pay_lines(address, seized);
                self.post(PostingKind::Seize, address, 0, seized, 0);
            }
        }
        let owed = self.owed(&address);
        if owed > 0 && self.accounts[&address].collateral == 0 && age >= self.params.write_off_epochs {
            for (_, line) in self.lines.range_mut((address, 0)..=(address, u32::MAX)) {
                line.w += line.owed();
                line.want = 0;
            }
            self.accounts.get_mut(&address).unwrap().trust = 0;
            self.post(PostingKind::WriteOff, address, 0, 0, owed);
        }
        self.age(address, epoch);
        seized
    }

    pub fn renew(&mut self, account: Address) {
        for (shard, line) in self.lines_of(&account) {
            let target = line.covered() + line.want;
            if line.k > target || (line.want > 0 && target - line.k >= (line.want / 4).max(1)) {
                self.set_ceiling(account, shard, target);
            }
        }
    }

    pub fn set_ceiling(&mut self, account: Address, shard: u32, target: u128) {
        let limit = self.limit(&account);
        let line = self.lines[&(account, shard)].clone();
        let to = &mut self.shards[shard as usize];
        if target < line.k {
            let cut = Some((to.sent.len() as u64, to.lease));
            to.sent.push(Credit::Line(account, target));
            self.lines.insert((account, shard), Line { k: target, cut, ..line });
        } else if target > line.k && !to.frozen {
            let others: u128 = self
                .lines_of(&account)
                .iter()
                .filter(|(other, _)| *other != shard)
                .map(|(_, line)| line.h - line.covered())
                .sum();
            // What H − P − W may become here, all other lines as they stand.
            let Some(room) = limit.checked_sub(others).map(|free| free + line.covered()) else { return };
            let k = target.min(room);
            if line.h <= room && k > line.k {
                self.shards[shard as usize].sent.push(Credit::Line(account, k));
                self.lines.insert((account, shard), Line { k, h: line.h.max(k), ..line });
            }
        }
    }

    /// What a delivery brought of a shard's log.
    pub fn heard(&mut self, shard: u32, said: &[Said]) {
        for entry in said {
            let from = &mut self.shards[shard as usize];
            from.taken += 1;
            match *entry {
                Said::Statement(account, sum) => {
                    self.lines.get_mut(&(account, shard)).expect("only lines are charged").r = sum;
                    self.due.insert(account);
                }
                Said::Close { last, cursor, .. } => {
                    from.last_close = Some(last);
                    from.cursor = cursor;
                }
            }
        }
    }

    /// After a deposit: the line where the account's own namespace is wants half the limit, as long as it is the only one and
    /// nobody chose otherwise. `before`: half the limit before.
    pub fn deposited(&mut self, account: Address, before: u128) {
        let own = self.params.map.shard_of_namespace(&Namespace::own(&account)).get();
        let lines = self.lines_of(&account);
        let automatic = lines.iter().all(|(shard, line)| *shard == own && line.want == before && before > 0);
        if automatic && lines.len() <= 1 {
            self.want(account, own, self.limit(&account) / 2);
        } else {
            self.renew(account);
        }
    }

    pub fn want(&mut self, account: Address, shard: u32, want: u128) {
        if want == 0 && !self.lines.contains_key(&(account, shard)) {
            return;
        }
        let line = self.lines.entry((account, shard)).or_default();
        line.want = want;
        let target = line.covered() + want;
        if self.accounts.get(&account).is_none_or(|account| account.stage != 2) {
            self.set_ceiling(account, shard, target);
        }
    }
}
