//! What the operations of a transaction do, one after the other on the draft: the first that fails ends it, and the
//! caller takes everything back.
//!
//! While something is outstanding, transfers, deposits and withdrawals are refused: the balance is for the debt first.
//! Amounts are within 1 to 2^96 by the form of the transaction; 0 stands for "all" or "none" where that makes sense.

use db3_primitives::limits::BLOCK_LINES_MAX;
use db3_primitives::{
    Address, BalanceLeaf, LineLeaf, Namespace, PostingKind, Rejection, ShardId, Stage, Tai, Transaction,
    TransactionOperation, stored,
};

use crate::account::{Open, Wallet};
use crate::journal::Purse;
use crate::ledger::Ledger;
use crate::rules::Withdrawal;
use crate::settle::{self, Amounts};
use crate::{credit, sums};

/// What the operations used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) key_bytes: u32,
    pub(crate) bytes_stored: u32,
}

/// Runs all operations. `reserved` of the balance is for the fee.
pub(crate) fn run(ledger: &mut Ledger, transaction: &Transaction, reserved: Tai) -> Result<Done, Rejection> {
    let mut done = Done::default();
    let chooses = transaction.operations.iter().any(|step| matches!(step, TransactionOperation::Allocate { .. }));
    for (operation, step) in (0..).zip(&transaction.operations) {
        let mut step_run = Step { ledger, signer: transaction.account, operation, reserved, chooses, stored: 0 };
        match *step {
            TransactionOperation::Transfer { to, amount } => step_run.transfer(to, amount),
            TransactionOperation::Deposit { to, amount } => step_run.deposit(to, amount),
            TransactionOperation::Withdraw { amount } => step_run.withdraw(amount),
            TransactionOperation::Allocate { shard, want } => step_run.allocate(shard, want),
            TransactionOperation::Pay { amount } => step_run.pay(amount),
        }?;
        done.bytes_stored = done.bytes_stored.saturating_add(step_run.stored);
        done.key_bytes = done.key_bytes.saturating_add(stored::bytes(step.tree_key_bytes()));
    }
    Ok(done)
}

/// One operation.
struct Step<'l> {
    ledger: &'l mut Ledger,
    signer: Address,
    operation: u32,
    reserved: Tai,
    /// Whether the transaction says itself what the signer's lines are to be.
    chooses: bool,
    stored: u32,
}

impl Step<'_> {
    fn transfer(&mut self, to: Address, amount: Tai) -> Result<(), Rejection> {
        self.check_no_debt(self.signer)?;
        self.check_balance(amount)?;
        self.meet(to);
        self.ledger.transfer(Purse::Balance(self.signer), Purse::Balance(to), amount);
        Ok(())
    }

    /// Collateral for `to`. An account without any line gets one where its own namespace is, over half its limit, and as
    /// long as it has this one alone and has not chosen otherwise, the line grows with its limit. For others, and for a signer
    /// who allocates in the same transaction, the lines that fall short of what they want are renewed.
    fn deposit(&mut self, to: Address, amount: Tai) -> Result<(), Rejection> {
        self.check_no_debt(self.signer)?;
        self.check_no_debt(to)?;
        self.check_balance(amount)?;
        self.meet(to);
        let before = self.half_limit(&self.ledger.balance(to).unwrap_or_default());
        self.ledger.transfer(Purse::Balance(self.signer), Purse::Collateral(to), amount);
        let mut open = self.open(to)?;
        let own = self.ledger.chain.shard_map.shard_of_namespace(&Namespace::own(&to));
        let is_automatic = match open.lines.as_slice() {
            _ if self.chooses && to == self.signer => false,
            [] => true,
            [(shard, line)] => *shard == own && line.want == before && !before.is_zero(),
            [..] => false,
        };
        if is_automatic {
            let half = self.half_limit(&open.leaf);
            self.want(&mut open, own, half);
        } else {
            credit::renew(self.ledger, &mut open);
        }
        self.ledger.close(open);
        Ok(())
    }

    fn withdraw(&mut self, amount: Tai) -> Result<(), Rejection> {
        let (operation, signer) = (self.operation, self.signer);
        self.check_no_debt(signer)?;
        let leaf = self.ledger.balance(signer).unwrap_or_default();
        let Some(collateral) = leaf.collateral.checked_sub(amount) else {
            return Err(Rejection::CollateralTooLow { operation, collateral: leaf.collateral, amount });
        };
        let lines = self.lines_of(signer)?;
        let limit = self.ledger.chain.limit(collateral, leaf.trust);
        let held = sums::held(&lines);
        if !(self.ledger.rules.may_withdraw)(Withdrawal { held, owed: sums::owed(&lines), limit }) {
            return Err(Rejection::CreditInUse { operation, held, limit });
        }
        self.ledger.transfer(Purse::Collateral(signer), Purse::Balance(signer), amount);
        Ok(())
    }

    fn allocate(&mut self, shard: ShardId, want: Tai) -> Result<(), Rejection> {
        let shards = self.ledger.chain.shard_map.shards();
        if shard.get() >= shards {
            return Err(Rejection::ShardUnknown { operation: self.operation, shard, shards });
        }
        let mut open = self.open(self.signer)?;
        self.want(&mut open, shard, want);
        self.ledger.close(open);
        Ok(())
    }

    /// Pays outstanding debts before the next round does, all of them or what the balance can; an account that owes nothing any more gets its credit back.
    fn pay(&mut self, amount: Tai) -> Result<(), Rejection> {
        let mut open = self.open(self.signer)?;
        let owed = sums::outstanding(&open.lines);
        if owed.is_zero() {
            return Err(Rejection::NothingOwed { operation: self.operation });
        }
        let amount = if amount.is_zero() { owed.min(self.free_balance()).max(Tai::new(1)) } else { amount.min(owed) };
        self.check_balance(amount)?;
        settle::pay(self.ledger, &mut open, Wallet::Balance, amount);
        let amounts = Amounts { paid: amount, ..Amounts::default() };
        settle::post(self.ledger, PostingKind::Pay, self.ledger.at.epoch, &mut open, amounts);
        if amount == owed {
            settle::clear(&mut open.leaf);
            credit::renew(self.ledger, &mut open);
        }
        self.ledger.close(open);
        Ok(())
    }

    /// What an automatic line wants.
    fn half_limit(&self, leaf: &BalanceLeaf) -> Tai {
        Tai::new(self.ledger.chain.limit(leaf.collateral, leaf.trust).get().div_euclid(2))
    }

    /// Takes an account in hand, with all its lines.
    fn open(&mut self, account: Address) -> Result<Open, Rejection> {
        self.read_lines(account, Ledger::open, |open| open.lines.len())
    }

    /// All lines of an account.
    fn lines_of(&mut self, account: Address) -> Result<Vec<(ShardId, LineLeaf)>, Rejection> {
        self.read_lines(account, Ledger::lines_of, Vec::len)
    }

    /// Reads all lines of an account. Those of accounts with many are counted: when a block has read as many of them as it
    /// may, such accounts wait for the next. Others never do.
    fn read_lines<T>(
        &mut self,
        account: Address,
        read: fn(&Ledger, Address) -> T,
        count: fn(&T) -> usize,
    ) -> Result<T, Rejection> {
        let many = self.ledger.has_many_lines(account);
        if many && self.ledger.lines_read >= BLOCK_LINES_MAX {
            return Err(Rejection::BlockFull { what: "lines" });
        }
        let found = read(self.ledger, account);
        if many {
            self.ledger.lines_read = self.ledger.lines_read.saturating_add(stored::bytes(count(&found)));
        }
        Ok(found)
    }

    /// Says how much unpaid credit an account wants on a shard; none on a line that does not exist changes nothing.
    fn want(&mut self, open: &mut Open, shard: ShardId, want: Tai) {
        let line = match open.line(shard) {
            Some(line) => line,
            None if want.is_zero() => return,
            None => {
                self.stored = self.stored.saturating_add(stored::line());
                LineLeaf::default()
            }
        };
        let line = LineLeaf { want, ..line };
        open.set_line(shard, line);
        if open.leaf.stage != Stage::Delinquent {
            credit::set_ceiling(self.ledger, open, shard, credit::wanted(&line));
        }
    }

    fn check_no_debt(&mut self, account: Address) -> Result<(), Rejection> {
        if self.ledger.balance(account).unwrap_or_default().stage == Stage::Clear {
            return Ok(());
        }
        let outstanding = sums::outstanding(&self.lines_of(account)?);
        Err(Rejection::DebtOutstanding { operation: self.operation, account, outstanding })
    }

    /// Whether the signer's balance, the fee apart, covers an amount.
    fn check_balance(&self, amount: Tai) -> Result<(), Rejection> {
        let balance = self.free_balance();
        if amount <= balance {
            return Ok(());
        }
        Err(Rejection::BalanceTooLow { operation: self.operation, balance, amount })
    }

    /// The signer's balance, the fee apart.
    fn free_balance(&self) -> Tai {
        self.ledger.balance(self.signer).unwrap_or_default().balance.saturating_sub(self.reserved)
    }

    /// An account that nobody knew takes room.
    fn meet(&mut self, account: Address) {
        if self.ledger.balance(account).is_none() {
            self.stored = self.stored.saturating_add(stored::balance());
        }
    }
}
