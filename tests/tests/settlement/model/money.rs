//! The settlement chain's books.

use std::collections::{BTreeMap, BTreeSet};

use db3_primitives::{Address, Namespace, PostingKind, ShardMap};

use super::{Credit, Decision, Said};

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
    pub fn covered(&self) -> u128 {
        self.p + self.w
    }

    pub fn owed(&self) -> u128 {
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
    /// How much of that was written before the transaction in hand; none outside of transactions.
    pub before: Option<usize>,
    /// Entries of its log that were taken.
    pub taken: u64,
    /// It lied, and is not heard any more.
    pub frozen: bool,
}

/// What a posting says, its lines apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    pub kind: PostingKind,
    pub account: Address,
    pub number: u64,
    pub debit: u128,
    pub paid: u128,
    pub written_off: u128,
    /// What is owed afterwards.
    pub owed: u128,
    pub balance: u128,
    pub collateral: u128,
    /// Of the round; of what an account pays by itself, that of the block's time.
    pub epoch: u64,
    pub height: u64,
    pub secs: u64,
}

/// How far a round is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
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
    pub running: Option<(u64, At)>,
    /// Height and time of this block, Unix seconds.
    pub at: (u64, u64),
    /// Postings of this block.
    pub posted: Vec<Posted>,
    /// What governance accepted in the block before this one.
    pub decided: Option<Decision>,
    /// What has its effect in this block.
    pub deciding: Option<Decision>,
    /// By how much that lowered the limits in this block; a limit that rose fell by less than nothing.
    pub fallen: BTreeMap<Address, i128>,
    /// The first account that was not looked at since the factor changed.
    pub sweep: Option<Address>,
}

impl Shard {
    /// Writes an account's ceiling and tells its index. Of one transaction only the last stays, where the first stood.
    fn send(&mut self, account: Address, ceiling: u128) -> u64 {
        let mut of_transaction = self.before.unwrap_or(self.sent.len())..self.sent.len();
        let same = |entry: &Credit| matches!(entry, Credit::Line(other, _) if *other == account);
        let place = of_transaction.find(|place| same(&self.sent[*place])).unwrap_or(self.sent.len());
        self.sent.splice(place..self.sent.len().min(place + 1), [Credit::Line(account, ceiling)]);
        place as u64
    }
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
            at: (0, genesis_secs),
            posted: Vec::new(),
            decided: None,
            deciding: None,
            fallen: BTreeMap::new(),
            sweep: None,
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

    pub fn post(&mut self, kind: PostingKind, address: Address, debit: u128, paid: u128, written_off: u128) {
        let owed = self.owed(&address);
        let (height, secs) = self.at;
        let epoch = match (kind, &self.running) {
            (PostingKind::Pay, _) => secs / self.params.epoch_secs,
            (_, running) => running.as_ref().expect("all others are a round's").0,
        };
        let account = self.accounts.entry(address).or_default();
        account.postings += 1;
        let (number, balance, collateral) = (account.postings, account.balance, account.collateral);
        let account = address;
        self.posted.push(Posted {
            kind,
            account,
            number,
            debit,
            paid,
            written_off,
            owed,
            balance,
            collateral,
            epoch,
            height,
            secs,
        });
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
            let cut = Some((to.send(account, target), to.lease));
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
                self.shards[shard as usize].send(account, k);
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
                Said::Lie => from.frozen = true,
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
