//! The audit of a whole version: what every block checks for what it touched, for everything there is.

use std::collections::{BTreeMap, BTreeSet};

use db3_primitives::{Address, CutLeaf, DuesLeaf, LineLeaf, RoundPhase, ShardId, Stage, key};

use crate::state::SettlementState;

impl SettlementState {
    /// Walks everything. The error says which rule is broken, and where.
    ///
    /// - Balances, collaterals and pools add up to the supply; each shard's income is Σ P of its lines, and no pool is
    ///   above its income (I5).
    /// - Every line is in order (I9), its shard and its account exist, and its pending cut stands in the index of cuts, and
    ///   nothing else does.
    /// - A stage is clear exactly where nothing is outstanding, who owes is marked as due, and of whom something is stated
    ///   and not debited is marked or listed, by every shard at most once.
    ///
    /// Rule I8 is about steps, not about states: what is above a limit may have come from a seizure. Each block checks it.
    pub fn audit(&self) -> Result<(), String> {
        self.audit_money()?;
        let mut cuts = self.audit_cuts()?;
        for (account, shard, line) in self.lines() {
            self.audit_line(account, shard, &line)?;
            if let Some(cut) = line.cut
                && cuts.remove(&(shard, cut.index)) != Some(CutLeaf { account, lease: cut.lease })
            {
                return Err(format!("the cut of {account} on shard {shard} is not in the index: {line:?}"));
            }
        }
        if let Some(((shard, index), leaf)) = cuts.first_key_value() {
            return Err(format!("cut {index} of shard {shard} is no line's: {leaf:?}"));
        }
        let listed = self.audit_lists()?;
        self.accounts().try_for_each(|(account, _)| self.audit_account(account, &listed))
    }

    fn audit_money(&self) -> Result<(), String> {
        let mut incomes: BTreeMap<ShardId, u128> = BTreeMap::new();
        for (_, shard, line) in self.lines() {
            let income = incomes.entry(shard).or_default();
            *income = income.saturating_add(line.paid.get());
        }
        let supply = self.supply();
        let mut sum = supply.fee_pool.get();
        for shard in self.shards() {
            let Some(view) = self.shard(shard) else { return Err(format!("shard {shard} has no leaf")) };
            let paid = incomes.remove(&shard).unwrap_or(0);
            if view.leaf.income.get() != paid {
                return Err(format!("I5: the income of shard {shard} is {}, its lines paid {paid}", view.leaf.income));
            }
            sum = sum.saturating_add(view.leaf.pool.get());
        }
        for (_, leaf) in self.accounts() {
            sum = sum.saturating_add(leaf.balance.get()).saturating_add(leaf.collateral.get());
        }
        if sum != supply.supply.get() {
            return Err(format!("I5: the supply is {}, all purses hold {sum}", supply.supply));
        }
        Ok(())
    }

    fn audit_cuts(&self) -> Result<BTreeMap<(ShardId, u64), CutLeaf>, String> {
        let mut cuts = BTreeMap::new();
        for shard in self.shards() {
            for (key, leaf) in self.tree().prefix(&key::cut_prefix(shard)) {
                match (key::split_cut(key), CutLeaf::from_bytes(leaf)) {
                    (Some(place), Ok(leaf)) => cuts.insert(place, leaf),
                    _ => return Err(format!("a cut of shard {shard} does not decode")),
                };
            }
        }
        Ok(cuts)
    }

    fn audit_line(&self, account: Address, shard: ShardId, line: &LineLeaf) -> Result<(), String> {
        if !line.is_ordered() {
            return Err(format!("I9: the line of {account} on shard {shard} is out of order: {line:?}"));
        }
        if shard.get() >= self.chain().shard_map.shards() || self.balance(&account).is_none() {
            return Err(format!("the line of {account} on shard {shard} is nobody's or nowhere"));
        }
        Ok(())
    }

    /// The accounts that stand in lists of those that are due.
    fn audit_lists(&self) -> Result<BTreeSet<Address>, String> {
        let (mut listed, mut by_shard) = (BTreeSet::new(), BTreeSet::new());
        let visited = match self.round().running.map(|running| running.phase) {
            Some(RoundPhase::Accounts { after }) => after,
            Some(RoundPhase::Shards { .. }) | None => None,
        };
        for (key, leaf) in self.tree().prefix(&key::dues_prefix()) {
            match (key::split_dues(key), DuesLeaf::from_bytes(leaf)) {
                (Some((first, shard, _)), Ok(leaf)) if leaf.accounts().first() == Some(&first) => {
                    let is_behind = |account: &Address| visited.is_some_and(|visited| *account <= visited);
                    if is_behind(&first) != leaf.accounts().last().is_some_and(is_behind) {
                        return Err(format!("a list from {first} on goes beyond where the round is"));
                    }
                    if let Some(twice) = leaf.accounts().iter().find(|account| !by_shard.insert((shard, **account))) {
                        return Err(format!("{twice} stands in two lists of shard {shard}"));
                    }
                    listed.extend(leaf.accounts());
                }
                _ => {
                    return Err("a list of accounts that are due does not decode, or is under another's key".to_owned());
                }
            }
        }
        Ok(listed)
    }

    fn audit_account(&self, account: Address, listed: &BTreeSet<Address>) -> Result<(), String> {
        let view = self.account(&account);
        if view.outstanding.is_zero() != (view.leaf.stage == Stage::Clear) {
            return Err(format!("{account} owes {} and is {:?}", view.outstanding, view.leaf.stage));
        }
        let marked = self.tree().get(&key::due(&account)).is_some();
        if !view.outstanding.is_zero() && !marked {
            return Err(format!("{account} owes {} and is not marked as due", view.outstanding));
        }
        if !view.unsettled.is_zero() && !marked && !listed.contains(&account) {
            return Err(format!("{account} was stated {} more and is not due", view.unsettled));
        }
        Ok(())
    }
}
