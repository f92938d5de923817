//! One account in hand: its money and its lines, read once, changed in place and written back once. While it is open,
//! nothing else may write to the same account.

use db3_primitives::{Address, BalanceLeaf, LineLeaf, PostingLine, ShardId, Tai};

use crate::journal::{Movement, Purse};
use crate::ledger::Ledger;
use crate::objects::{Balances, Lines};
use crate::reads::{Reads, by_shard};
use crate::table::Seen;
use db3_primitives::fatal::fatal;

/// Where an account pays from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wallet {
    Balance,
    Collateral,
}

/// An account in hand; [`Ledger::close`] writes it back.
#[must_use = "what was changed is lost unless the account is closed"]
pub(crate) struct Open {
    pub(crate) address: Address,
    pub(crate) leaf: BalanceLeaf,
    /// By shard.
    pub(crate) lines: Vec<(ShardId, LineLeaf)>,
    /// What was moved on them and stands in no posting yet.
    pub(crate) moves: Moves,
    /// As they were read.
    seen: Seen<Balances>,
    seen_lines: Vec<Seen<Lines>>,
}

/// What was moved on the lines of an account, for its next posting. It is kept beside the lines and never read from them
/// afterwards, so that the check at the block's end can hold one against the other (rule I5).
#[derive(Clone, Debug, Default)]
pub(crate) struct Moves(Vec<PostingLine>);

impl Moves {
    /// Notes that a line's debited sum will grow by `debit`, and its covered sum by `covered`; nothing is not noted.
    pub(crate) fn note(&mut self, shard: ShardId, line: &LineLeaf, debit: Tai, covered: Tai) {
        if debit.is_zero() && covered.is_zero() {
            return;
        }
        let at = match self.0.binary_search_by_key(&shard, |row| row.shard) {
            Ok(at) => at,
            Err(at) => {
                let (debited, covered) = (line.debited, line.covered());
                // Most accounts have one line.
                if self.0.is_empty() {
                    self.0.reserve_exact(1);
                }
                self.0.insert(
                    at,
                    PostingLine {
                        shard,
                        debited_from: debited,
                        debited_to: debited,
                        covered_from: covered,
                        covered_to: covered,
                    },
                );
                at
            }
        };
        let grown = |sum: Tai, by: Tai| Tai::new(sum.get().saturating_add(by.get()));
        if let Some(row) = self.0.get_mut(at) {
            row.debited_to = grown(row.debited_to, debit);
            row.covered_to = grown(row.covered_to, covered);
        }
    }

    /// By shard, and begins anew.
    pub(crate) fn take(&mut self) -> Vec<PostingLine> {
        std::mem::take(&mut self.0)
    }
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

fn opened(seen: Seen<Balances>, seen_lines: Vec<Seen<Lines>>) -> Open {
    let (leaf, lines) = (seen.leaf().copied().unwrap_or_default(), by_shard(&seen_lines));
    Open { address: seen.key(), leaf, lines, moves: Moves::default(), seen, seen_lines }
}

fn find(lines: &[(ShardId, LineLeaf)], shard: ShardId) -> Option<LineLeaf> {
    let at = lines.binary_search_by_key(&shard, |(shard, _)| *shard).ok()?;
    lines.get(at).map(|(_, line)| *line)
}

impl Ledger {
    /// Takes an account in hand; one that nobody knows has nothing.
    pub(crate) fn open(&self, address: Address) -> Open {
        opened(self.balances.see(&self.base, address), self.see_lines(address))
    }

    /// The same by somebody who visits accounts in order.
    pub(crate) fn open_near(&self, reads: &mut Reads<'_>, address: Address) -> Open {
        let lines = self.written_over(address, reads.lines_of(&address));
        opened(self.balances.see_near(&mut reads.balances, address), lines)
    }

    /// Writes back what was changed.
    pub(crate) fn close(&mut self, open: Open) {
        let Open { address, leaf, lines, moves: _, seen, seen_lines } = open;
        if seen.leaf() != Some(&leaf) {
            self.balances.replace(seen, Some(leaf));
        }
        let mut seen_lines = seen_lines.into_iter().peekable();
        for (shard, line) in lines {
            match seen_lines.next_if(|seen| seen.key().1 == shard) {
                Some(seen) if seen.leaf() == Some(&line) => {}
                Some(seen) => self.lines.replace(seen, Some(line)),
                // Lines are opened and never closed, so what was not seen was not there.
                None => self.lines.set(&self.base, (address, shard), Some(line)),
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
        self.journal.push(Movement { from, to, amount });
    }
}
