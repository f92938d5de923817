//! Rounds: what becomes of those who are due, and what a debt comes to.

use db3_primitives::{Address, PostingKind};

use super::Credit;
use super::money::{At, Books};

impl Books {
    /// What governance decided, cuts that closes confirm, then the round's part.
    pub fn begin_block(&mut self, height: u64, secs: u64) {
        self.posted.clear();
        self.at = (height, secs);
        let due = self.due.clone();
        self.govern();
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
                    self.visit(*account, epoch, secs);
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
            shard.sent.push(Credit::Lease(shard.lease, shard.taken));
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

    fn visit(&mut self, address: Address, epoch: u64, secs: u64) {
        // Debts grow older by one with every round: epochs that no round settled by itself do not count, nor do rounds
        // that come later than the epoch in which their deadline lies.
        let skipped = self.settled.map_or(0, |settled| epoch.saturating_sub(settled).saturating_sub(1));
        let deadline = (epoch + 1) * self.params.epoch_secs + self.params.deadline_secs;
        let late = u64::from(secs / self.params.epoch_secs > deadline / self.params.epoch_secs);
        let account = self.accounts.entry(address).or_default();
        account.since += if account.stage == 0 { 0 } else { skipped + late };
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
            self.cut_to_limit(address);
        }
        if self.accounts[&address].stage == 0 && seized == 0 {
            self.due.remove(&address);
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
}
