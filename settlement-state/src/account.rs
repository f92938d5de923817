//! One account in hand: its money and its lines, read once, changed in place and written back once. While it is open,
//! nothing else may write to the same account.

use db3_primitives::{Address, BalanceLeaf, LineLeaf, ShardId, Tai};

use crate::journal::{Movement, Purse};
use crate::ledger::Ledger;
use crate::reads::Reads;
use db3_primitives::fatal::fatal;

/// Where an account pays from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wallet {
    Balance,
    Collateral,
}

/// An account in hand; [`Ledger::close`] writes it back.
#[derive(Clone, Debug)]
#[must_use = "what was changed is lost unless the account is closed"]
pub(crate) struct Open {
    pub(crate) address: Address,
    pub(crate) leaf: BalanceLeaf,
    /// By shard.
    pub(crate) lines: Vec<(ShardId, LineLeaf)>,
    /// As they were read.
    stored_leaf: Option<BalanceLeaf>,
    pub(crate) stored_lines: Vec<(ShardId, LineLeaf)>,
}

impl Open {
    /// The line on a shard; none where it was never opened.
    pub(crate) fn line(&self, shard: ShardId) -> Option<LineLeaf> {
        find(&self.lines, shard)
    }

    /// Writes a line, which may be new.
    pub(crate) fn set_line(&mut self, shard: ShardId, line: LineLeaf) {
        match self.lines.binary_search_by_key(&shard, |(shard, _)| *shard) {
            Ok(at) => {
                if let Some(place) = self.lines.get_mut(at) {
                    place.1 = line;
                }
            }
            Err(at) => self.lines.insert(at, (shard, line)),
        }
    }

    /// Takes money out, if it is there.
    fn take(&mut self, wallet: Wallet, amount: Tai) -> Option<Purse> {
        match wallet {
            Wallet::Balance => {
                self.leaf.balance = self.leaf.balance.checked_sub(amount)?;
                Some(Purse::Balance(self.address))
            }
            Wallet::Collateral => {
                self.leaf.collateral = self.leaf.collateral.checked_sub(amount)?;
                Some(Purse::Collateral(self.address))
            }
        }
    }
}

fn opened(address: Address, stored_leaf: Option<BalanceLeaf>, lines: Vec<(ShardId, LineLeaf)>) -> Open {
    Open { address, leaf: stored_leaf.unwrap_or_default(), stored_lines: lines.clone(), lines, stored_leaf }
}

fn find(lines: &[(ShardId, LineLeaf)], shard: ShardId) -> Option<LineLeaf> {
    let at = lines.binary_search_by_key(&shard, |(shard, _)| *shard).ok()?;
    lines.get(at).map(|(_, line)| *line)
}

impl Ledger {
    /// Takes an account in hand; one that nobody knows has nothing.
    pub(crate) fn open(&self, address: Address) -> Open {
        opened(address, self.balance(address), self.lines_of(address))
    }

    /// The same by somebody who visits accounts in order.
    pub(crate) fn open_near(&self, reads: &mut Reads<'_>, address: Address) -> Open {
        let lines = self.written_over(address, reads.lines_of(&address));
        opened(address, self.balances.get_near(&mut reads.balances, address), lines)
    }

    /// Writes back what was changed.
    pub(crate) fn close(&mut self, open: Open) {
        let Open { address, leaf, lines, stored_leaf, stored_lines } = open;
        if stored_leaf != Some(leaf) {
            self.balances.replace(address, stored_leaf, Some(leaf));
        }
        for (shard, line) in lines {
            let stored = find(&stored_lines, shard);
            if stored != Some(line) {
                self.lines.replace((address, shard), stored, Some(line));
            }
        }
    }

    /// Money of an account in hand goes into a shard's pool (rule I5: with [`Ledger::transfer`] the only way money moves).
    pub(crate) fn pay_pool(&mut self, open: &mut Open, wallet: Wallet, shard: ShardId, amount: Tai) {
        let to = Purse::Pool(shard);
        let moved = open.take(wallet, amount).and_then(|from| self.put(to, amount).map(|()| from));
        let Some(from) = moved else {
            fatal("I5: money moves from where it is", format_args!("{amount} tai of {} into {to}", open.address))
        };
        if wallet == Wallet::Collateral {
            self.touch_credit(open.address);
        }
        self.journal.push(Movement { from, to, amount });
    }
}
