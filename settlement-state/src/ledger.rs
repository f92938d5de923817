//! What a block works on: the leaves that it writes, the logs that it appends to and the journal of what it moved.
//!
//! A transaction's writes can be taken back ([`Ledger::discard`]); rounds, confirmations and deliveries never are.

use std::collections::BTreeMap;
use std::sync::Arc;

use db3_merkle_log::Frontier;
use db3_primitives::limits::LINES_FEW;
use db3_primitives::{
    Address, BalanceLeaf, BlockTime, CreditEntry, CutLeaf, DuesLeaf, Epoch, Height, LineLeaf, NonceWindow, RoundLeaf,
    SettlementLeaf, ShardId, ShardLeaf, SupplyLeaf, Tai, key,
};
use db3_state_tree::Tree;

use crate::dues::Remains;
use crate::journal::{Movement, Purse};
use crate::logs::Logs;
use crate::objects::{Balances, Cuts, Due, DueLists, Dues, Lines, Round, Shards, Supply, Windows};
use crate::reads::{Reads, by_shard};
use crate::rules::Rules;
use crate::table::{Seen, Table};
use db3_primitives::fatal::{damaged, fatal};

/// The block that is executed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) height: Height,
    pub(crate) time: BlockTime,
    /// The epoch of its time.
    pub(crate) epoch: Epoch,
}

/// A working version.
pub(crate) struct Ledger {
    pub(crate) chain: Arc<SettlementLeaf>,
    pub(crate) rules: Rules,
    pub(crate) at: Moment,
    pub(crate) base: Tree,
    pub(crate) balances: Table<Balances>,
    pub(crate) lines: Table<Lines>,
    pub(crate) shards: Table<Shards>,
    pub(crate) round: Table<Round>,
    pub(crate) supply: Table<Supply>,
    pub(crate) windows: Table<Windows>,
    cuts: Table<Cuts>,
    dues: Table<Dues>,
    due_lists: Table<DueLists>,
    /// Light clients and inboxes.
    pub(crate) channels: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What governance wrote: parameters, payouts and its own leaves.
    pub(crate) governed: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Logs of shards that governance let go on from elsewhere.
    pub(crate) begun: Vec<(ShardId, Frontier)>,
    /// Accounts whose trust governance set in this block, and what it is now.
    pub(crate) trusted: BTreeMap<Address, Tai>,
    pub(crate) logs: Logs,
    pub(crate) journal: Vec<Movement>,
    /// How many lines transactions have read of accounts that have many.
    pub(crate) lines_read: u32,
    /// How many movements there were before the draft.
    journal_drafted: usize,
}

impl Ledger {
    pub(crate) fn new(chain: Arc<SettlementLeaf>, rules: Rules, base: Tree, at: Moment) -> Self {
        Self {
            chain,
            rules,
            at,
            base,
            balances: Table::new(),
            lines: Table::new(),
            shards: Table::new(),
            round: Table::new(),
            supply: Table::new(),
            windows: Table::new(),
            cuts: Table::new(),
            dues: Table::new(),
            due_lists: Table::new(),
            channels: BTreeMap::new(),
            governed: BTreeMap::new(),
            begun: Vec::new(),
            trusted: BTreeMap::new(),
            logs: Logs::default(),
            journal: Vec::new(),
            lines_read: 0,
            journal_drafted: 0,
        }
    }

    /// An account's money; none where it never had any.
    pub(crate) fn balance(&self, account: Address) -> Option<BalanceLeaf> {
        self.balances.get(&self.base, account)
    }

    pub(crate) fn set_balance(&mut self, account: Address, leaf: BalanceLeaf) {
        self.balances.set(&self.base, account, Some(leaf));
    }

    /// Accounts whose balance is lower than before the block, ascending.
    pub(crate) fn lowered(&self) -> Vec<Address> {
        let balance = |leaf: &Option<BalanceLeaf>| leaf.as_ref().map_or(Tai::ZERO, |leaf| leaf.balance);
        let lower = self.balances.entries().filter(|(_, entry)| balance(&entry.now) < balance(&entry.before));
        lower.map(|(account, _)| account).collect()
    }

    /// A line; none where it was never opened.
    pub(crate) fn line(&self, account: Address, shard: ShardId) -> Option<LineLeaf> {
        self.lines.get(&self.base, (account, shard))
    }

    pub(crate) fn set_line(&mut self, account: Address, shard: ShardId, leaf: LineLeaf) {
        self.lines.set(&self.base, (account, shard), Some(leaf));
    }

    /// All lines of an account, by shard.
    pub(crate) fn lines_of(&self, account: Address) -> Vec<(ShardId, LineLeaf)> {
        by_shard(&self.see_lines(account))
    }

    /// The same, to be handed back with what is written over them.
    pub(crate) fn see_lines(&self, account: Address) -> Vec<Seen<Lines>> {
        self.written_over(account, Reads::of(&self.base).lines_of(&account))
    }

    /// Whether an account has more than [`LINES_FEW`] lines. It reads none of them, and looks at few.
    pub(crate) fn has_many_lines(&self, account: Address) -> bool {
        let stored = self.base.prefix(&key::line_prefix_of(&account)).take(LINES_FEW.saturating_add(1)).count();
        let written = self.lines.written_from((account, ShardId::new(0)));
        let new = written.take_while(|((other, _), _)| *other == account).filter(|(_, entry)| entry.before.is_none());
        stored.saturating_add(new.take(LINES_FEW.saturating_add(1)).count()) > LINES_FEW
    }

    /// The lines of an account as the block has them, from those of the version before it.
    pub(crate) fn written_over(&self, account: Address, mut lines: Vec<Seen<Lines>>) -> Vec<Seen<Lines>> {
        if self.lines.is_below((account, ShardId::new(0))) {
            return lines;
        }
        let written = self.lines.seen_from((account, ShardId::new(0)));
        for line in written.take_while(|line| line.key().0 == account).filter(|line| line.leaf().is_some()) {
            match lines.binary_search_by_key(&line.key(), Seen::key) {
                Ok(at) => {
                    if let Some(place) = lines.get_mut(at) {
                        *place = line;
                    }
                }
                Err(at) => lines.insert(at, line),
            }
        }
        lines
    }

    /// What is known of a shard; every shard of the network has it from genesis on.
    pub(crate) fn shard(&self, shard: ShardId) -> ShardLeaf {
        self.shards.get(&self.base, shard).unwrap_or_else(|| damaged(&key::shard(shard)))
    }

    pub(crate) fn set_shard(&mut self, shard: ShardId, leaf: ShardLeaf) {
        self.shards.set(&self.base, shard, Some(leaf));
    }

    pub(crate) fn round(&self) -> RoundLeaf {
        self.round.get(&self.base, ()).unwrap_or_else(|| damaged(&key::round()))
    }

    pub(crate) fn set_round(&mut self, leaf: RoundLeaf) {
        self.round.set(&self.base, (), Some(leaf));
    }

    pub(crate) fn supply(&self) -> SupplyLeaf {
        self.supply.get(&self.base, ()).unwrap_or_else(|| damaged(&key::supply()))
    }

    /// An account's window; none where it has none yet.
    pub(crate) fn window(&self, account: Address) -> Option<NonceWindow> {
        self.windows.get(&self.base, account)
    }

    pub(crate) fn set_window(&mut self, account: Address, window: NonceWindow) {
        self.windows.set(&self.base, account, Some(window));
    }

    pub(crate) fn set_cut(&mut self, shard: ShardId, index: u64, leaf: Option<CutLeaf>) {
        self.cuts.set(&self.base, (shard, index), leaf);
    }

    /// The next round will visit the account.
    pub(crate) fn mark_due(&mut self, account: Address) {
        let seen = self.dues.see(&self.base, account);
        if seen.leaf().is_none() {
            self.dues.replace(seen, Some(Due));
        }
    }

    /// The next round will visit accounts that a shard stated, from this index of its log on. They ascend; nobody is due
    /// by an empty list.
    pub(crate) fn list_due(&mut self, shard: ShardId, index: u64, accounts: Vec<Address>) {
        if let Some(first) = accounts.first().copied() {
            let Some(leaf) = DuesLeaf::new(accounts) else {
                fatal("statements ascend", format_args!("from {first}, entry {index} of shard {shard}"))
            };
            self.due_lists.set(&self.base, (first, shard, index), Some(leaf));
        }
    }

    /// The account was visited: whether it was marked before this block, and whether it is due again.
    pub(crate) fn set_due(&mut self, account: Address, marked: bool, due: bool) {
        let now = self.dues.written(account).map_or(marked, |entry| entry.now.is_some());
        if now != due {
            self.dues.set(&self.base, account, due.then_some(Due));
        }
    }

    /// Accounts of lists were visited.
    pub(crate) fn shorten_lists(&mut self, lists: impl Iterator<Item = Remains>) {
        for (key, now) in lists {
            self.due_lists.set(&self.base, key, None);
            if let Some((key, left)) = now {
                self.due_lists.set(&self.base, key, Some(left));
            }
        }
    }

    /// Writes an entry for a shard and tells its index in the log.
    pub(crate) fn send(&mut self, shard: ShardId, entry: CreditEntry) -> u64 {
        self.logs.send(&self.base, &self.chain.network, shard, entry)
    }

    /// How many entries were ever written for a shard.
    pub(crate) fn sent(&self, shard: ShardId) -> u64 {
        self.logs.sent(&self.base, &self.chain.network, shard)
    }

    /// Moves money, which the caller has made sure is there (rule I5: this is the only way money moves).
    pub(crate) fn transfer(&mut self, from: Purse, to: Purse, amount: Tai) {
        if amount.is_zero() {
            return;
        }
        let movement = Movement { from, to, amount };
        let taken = self.take(from, amount).and_then(|()| self.put(to, amount));
        if taken.is_none() {
            fatal("I5: money moves from where it is", format_args!("{amount} tai from {from} to {to}"));
        }
        self.journal.push(movement);
    }

    fn take(&mut self, purse: Purse, amount: Tai) -> Option<()> {
        match purse {
            Purse::Balance(account) => {
                let leaf = self.balance(account)?;
                self.set_balance(account, BalanceLeaf { balance: leaf.balance.checked_sub(amount)?, ..leaf });
            }
            Purse::Collateral(account) => {
                let leaf = self.balance(account)?;
                self.set_balance(account, BalanceLeaf { collateral: leaf.collateral.checked_sub(amount)?, ..leaf });
            }
            Purse::Pool(shard) => {
                let leaf = self.shard(shard);
                self.set_shard(shard, ShardLeaf { pool: leaf.pool.checked_sub(amount)?, ..leaf });
            }
            Purse::Fees => {
                let leaf = self.supply();
                let fee_pool = leaf.fee_pool.checked_sub(amount)?;
                self.supply.set(&self.base, (), Some(SupplyLeaf { fee_pool, ..leaf }));
            }
        }
        Some(())
    }

    /// What comes into a pool is its income.
    pub(crate) fn put(&mut self, purse: Purse, amount: Tai) -> Option<()> {
        match purse {
            Purse::Balance(account) => {
                let leaf = self.balance(account).unwrap_or_default();
                self.set_balance(account, BalanceLeaf { balance: leaf.balance.checked_add(amount)?, ..leaf });
            }
            Purse::Collateral(account) => {
                let leaf = self.balance(account).unwrap_or_default();
                self.set_balance(account, BalanceLeaf { collateral: leaf.collateral.checked_add(amount)?, ..leaf });
            }
            Purse::Pool(shard) => {
                let leaf = self.shard(shard);
                let (pool, income) = (leaf.pool.checked_add(amount)?, leaf.income.checked_add(amount)?);
                self.set_shard(shard, ShardLeaf { pool, income, ..leaf });
            }
            Purse::Fees => {
                let leaf = self.supply();
                let (fee_pool, fee_income) = (leaf.fee_pool.checked_add(amount)?, leaf.fee_income.checked_add(amount)?);
                self.supply.set(&self.base, (), Some(SupplyLeaf { fee_pool, fee_income, ..leaf }));
            }
        }
        Some(())
    }

    /// Begins what may be taken back; what was written before stays.
    pub(crate) fn draft(&mut self) {
        self.balances.draft();
        self.lines.draft();
        self.shards.draft();
        self.round.draft();
        self.supply.draft();
        self.windows.draft();
        self.cuts.draft();
        self.dues.draft();
        self.due_lists.draft();
        self.logs.draft();
        self.journal_drafted = self.journal.len();
    }

    /// Makes what was written part of the block.
    pub(crate) fn keep(&mut self) {
        self.balances.keep();
        self.lines.keep();
        self.shards.keep();
        self.round.keep();
        self.supply.keep();
        self.windows.keep();
        self.cuts.keep();
        self.dues.keep();
        self.due_lists.keep();
        self.logs.keep();
    }

    /// Takes back everything since the draft began.
    pub(crate) fn discard(&mut self) {
        self.balances.discard();
        self.lines.discard();
        self.shards.discard();
        self.round.discard();
        self.supply.discard();
        self.windows.discard();
        self.cuts.discard();
        self.dues.discard();
        self.due_lists.discard();
        self.logs.discard();
        self.journal.truncate(self.journal_drafted);
    }

    /// What has changed, for the tree; the logs' leaves apart.
    pub(crate) fn changes(&self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let accounts = self.balances.len().saturating_add(self.lines.len()).saturating_add(self.dues.len());
        let mut batch = Vec::with_capacity(accounts.saturating_add(self.due_lists.len()));
        self.balances.write(&mut batch);
        for (key, leaf) in &self.channels {
            if self.base.get(key) != Some(leaf) {
                batch.push((key.clone(), Some(leaf.clone())));
            }
        }
        batch.extend(self.governed.iter().map(|(key, leaf)| (key.clone(), leaf.clone())));
        self.cuts.write(&mut batch);
        self.dues.write(&mut batch);
        self.due_lists.write(&mut batch);
        self.lines.write(&mut batch);
        self.round.write(&mut batch);
        self.shards.write(&mut batch);
        self.supply.write(&mut batch);
        self.windows.write(&mut batch);
        batch
    }
}

/// All lines of an account in a version, by shard.
pub(crate) fn stored_lines(tree: &Tree, account: &Address) -> Vec<(ShardId, LineLeaf)> {
    by_shard(&Reads::of(tree).lines_of(account))
}
