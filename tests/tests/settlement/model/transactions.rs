//! What a transaction does to the books.

use db3_primitives::{Address, PostingKind, Transaction, TransactionOperation};

use super::Books;

impl Books {
    /// Runs a transaction that costs `fee` and could have cost `bound`; tells whether it is applied. Else only its fee is taken.
    pub fn transaction(&mut self, transaction: &Transaction, fee: u128, bound: u128) -> bool {
        let mut tried = self.clone();
        for shard in &mut tried.shards {
            shard.before = Some(shard.sent.len());
        }
        let chooses = transaction.operations.iter().any(|step| matches!(step, TransactionOperation::Allocate { .. }));
        let done = transaction.operations.iter().all(|step| tried.step(transaction.account, step, bound, chooses));
        for shard in &mut tried.shards {
            shard.before = None;
        }
        if done {
            *self = tried;
        }
        self.accounts.get_mut(&transaction.account).unwrap().balance -= fee;
        self.fee_pool += fee;
        self.fee_income += fee;
        done
    }

    fn step(&mut self, signer: Address, step: &TransactionOperation, bound: u128, chooses: bool) -> bool {
        let free = self.accounts[&signer].balance.saturating_sub(bound);
        let amount = step.amount().get();
        match *step {
            TransactionOperation::Transfer { to, .. } => {
                let may = self.is_clear(signer) && amount <= free;
                if may {
                    self.accounts.get_mut(&signer).unwrap().balance -= amount;
                    self.accounts.entry(to).or_default().balance += amount;
                }
                may
            }
            TransactionOperation::Deposit { to, .. } => {
                let may = self.is_clear(signer) && self.is_clear(to) && amount <= free;
                if may {
                    let before = self.limit(&to) / 2;
                    self.accounts.get_mut(&signer).unwrap().balance -= amount;
                    self.accounts.entry(to).or_default().collateral += amount;
                    if chooses && to == signer {
                        self.renew(to);
                    } else {
                        self.deposited(to, before);
                    }
                }
                may
            }
            TransactionOperation::Withdraw { .. } => {
                if !self.is_clear(signer) || amount > self.accounts[&signer].collateral {
                    return false;
                }
                self.accounts.get_mut(&signer).unwrap().collateral -= amount;
                self.accounts.get_mut(&signer).unwrap().balance += amount;
                self.held(&signer) <= self.limit(&signer)
            }
            TransactionOperation::Allocate { shard, want } => {
                let may = (shard.get() as usize) < self.shards.len();
                if may {
                    self.want(signer, shard.get(), want.get());
                }
                may
            }
            TransactionOperation::Pay { .. } => self.pay(signer, amount, free),
        }
    }

    fn pay(&mut self, signer: Address, amount: u128, free: u128) -> bool {
        let owed = self.owed(&signer);
        // All of it, or what the balance can.
        let amount = if amount == 0 { owed.min(free).max(1) } else { amount.min(owed) };
        if owed == 0 || amount > free {
            return false;
        }
        self.accounts.get_mut(&signer).unwrap().balance -= amount;
        self.pay_lines(signer, amount);
        self.post(PostingKind::Pay, signer, 0, amount, 0);
        if amount == owed {
            let account = self.accounts.get_mut(&signer).unwrap();
            (account.stage, account.since) = (0, 0);
            self.renew(signer);
        }
        true
    }

    fn is_clear(&self, account: Address) -> bool {
        self.accounts.get(&account).is_none_or(|account| account.stage == 0)
    }
}
