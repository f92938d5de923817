//! What governance changes, and what follows from that.

use db3_primitives::Address;

use super::Books;

/// What is decided: somebody's trust, or the factor.
#[derive(Clone, Copy, Debug)]
pub enum Decision {
    Trust(Address, u128),
    Factor(u128, u128),
}

impl Books {
    /// What was accepted in the block before has its effect in this one, before everything else.
    pub fn govern(&mut self) {
        self.fallen.clear();
        self.deciding = self.decided.take();
        if let Some(decision) = self.deciding {
            let limits = |books: &Self| -> Vec<(Address, u128)> {
                books.accounts.keys().map(|account| (*account, books.limit(account))).collect()
            };
            let before = limits(self);
            match decision {
                Decision::Trust(account, trust) => {
                    self.accounts.get_mut(&account).unwrap().trust = trust;
                    self.due.insert(account);
                }
                Decision::Factor(num, den) => {
                    if (num, den) != self.params.factor {
                        self.sweep = Some(Address::new([0; 20]));
                    }
                    self.params.factor = (num, den);
                }
            }
            let signed = |limit: u128| i128::try_from(limit).unwrap();
            let fell = before.iter().zip(limits(self));
            self.fallen = fell.map(|((account, was), (_, is))| (*account, signed(*was) - signed(is))).collect();
        }
        self.sweep();
    }

    /// Everybody with a line is due after the factor changed, so many lines in a block.
    fn sweep(&mut self) {
        let Some(first) = self.sweep.take() else { return };
        let mut left = self.params.lines_per_block;
        let mut last = None;
        for (account, _) in self.lines.range((first, 0)..).map(|(key, _)| *key) {
            if last != Some(account) && left == 0 {
                self.sweep = Some(account);
                return;
            }
            last = Some(account);
            self.due.insert(account);
            left = left.saturating_sub(1);
        }
    }

    /// Takes back what may still be spent beyond the limit: in proportion to what each line has left, the odd tai from the lowest
    /// shards.
    pub fn cut_to_limit(&mut self, account: Address) {
        let lines = self.lines_of(&account);
        let given: u128 = lines.iter().map(|(_, line)| line.k.max(line.r) - line.covered()).sum();
        let left: Vec<u128> = lines.iter().map(|(_, line)| line.k.saturating_sub(line.r)).collect();
        let all: u128 = left.iter().sum();
        let back = given.saturating_sub(self.limit(&account)).min(all);
        if back == 0 {
            return;
        }
        let mut odd = back - left.iter().map(|left| back * left / all).sum::<u128>();
        for ((shard, line), left) in lines.iter().zip(&left) {
            let share = back * left / all;
            let more = odd.min(left - share);
            odd -= more;
            if share + more > 0 {
                self.set_ceiling(account, *shard, line.k - share - more);
            }
        }
    }
}
