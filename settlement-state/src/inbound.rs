//! What the entries of a shard's log do here. Application is total: an entry either is true as far as can be told, or it
//! is a fault of its shard, and then nothing of it is applied.
//!
//! A statement: its account has a line; accounts ascend strictly within a close; last stated ≤ cumulative ≤ H. So a
//! corrupt shard takes at most the lines that it was given.
//! A close: of this shard; it follows the one before by epoch and by hash, the first begins where the shard began;
//! statements and total are those since; its inbox cursor does not fall and is not beyond our log; its epochs had ended at
//! the time of the header that proves it.
//!
//! An account stands in at most one list of a shard at a time, however often it is stated: where something is stated and
//! not debited, it stands in one already, or is marked; and where a statement adds nothing, there is nothing to settle.

use db3_primitives::{
    Address, DuesLeaf, Epoch, EpochClose, LineLeaf, LogEntry, RoundPhase, ShardFault, ShardId, ShardLeaf, Statement,
    Tai,
};

use crate::ledger::Ledger;
use crate::reads::Reads;

/// What is proven of a shard's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments {
    /// The epoch in which it began, by the root of trust in it: the first that it closes; none where that root does not tell.
    pub(crate) began: Option<Epoch>,
    /// Time of its newest trusted header, Unix seconds.
    pub(crate) trusted_secs: u64,
}

/// The log of one shard while a delivery of it is applied.
pub(crate) struct Reading {
    pub(crate) shard: ShardId,
    /// As the entries so far leave it; [`Reading::end`] writes it back.
    pub(crate) leaf: ShardLeaf,
    /// How many entries were ever sent to the shard.
    pub(crate) sent: u64,
    pub(crate) moments: Moments,
    /// Accounts that were stated and stand in no list of those that are due, and the index of the first's statement.
    stated: (u64, Vec<Address>),
    /// Where a list must end: the account up to which a running round has visited everybody, until an account is beyond it.
    visited: Option<Address>,
}

/// The account up to which a running round has visited everybody; none where it visits the first yet, or nobody any more.
fn visited(ledger: &Ledger) -> Option<Address> {
    match ledger.round().running?.phase {
        RoundPhase::Accounts { after } => after,
        RoundPhase::Shards { .. } => None,
    }
}

impl Reading {
    pub(crate) fn begin(ledger: &Ledger, shard: ShardId, moments: Moments) -> Self {
        let (leaf, sent) = (ledger.shard(shard), ledger.sent(shard));
        Self { shard, leaf, sent, moments, stated: (0, Vec::new()), visited: visited(ledger) }
    }

    /// Applies one entry; of a statement, tells also what was stated before.
    pub(crate) fn apply(
        &mut self,
        ledger: &mut Ledger,
        reads: &mut Reads<'_>,
        index: u64,
        bytes: &[u8],
    ) -> Result<(LogEntry, Option<Tai>), ShardFault> {
        let entry = LogEntry::from_bytes(bytes).map_err(|_| ShardFault::EntryMalformed)?;
        let previous = match &entry {
            LogEntry::Statement(statement) => Some(self.statement(ledger, reads, index, statement)?),
            LogEntry::EpochClose(close) => {
                self.close(ledger, close)?;
                None
            }
        };
        Ok((entry, previous))
    }

    fn statement(
        &mut self,
        ledger: &mut Ledger,
        reads: &mut Reads<'_>,
        index: u64,
        statement: &Statement,
    ) -> Result<Tai, ShardFault> {
        // The one payee that there is, the shard's pool, needs no look.
        let Statement { account, payee: _, cumulative } = *statement;
        if self.leaf.last_account.is_some_and(|last| last >= account) {
            return Err(ShardFault::StatementOrder);
        }
        let seen = ledger.lines.see_near(&mut reads.lines, (account, self.shard));
        let line = *seen.leaf().ok_or(ShardFault::LineUnknown)?;
        let previous = line.reported;
        let added = cumulative.checked_sub(previous).ok_or(ShardFault::StatementBelowLast)?;
        if cumulative > line.held {
            return Err(ShardFault::StatementAboveHeld);
        }
        let total = self.leaf.total.checked_add(added).ok_or(ShardFault::CloseTotal)?;
        let stated = LineLeaf { reported: cumulative, ..line };
        ledger.lines.replace(seen, Some(stated));
        if !added.is_zero() && line.debited == previous {
            self.make_due(ledger, index, account);
        }
        let statements = self.leaf.statements.saturating_add(1);
        self.leaf = ShardLeaf { statements, total, last_account: Some(account), ..self.leaf };
        Ok(previous)
    }

    /// The next round visits the account of a statement.
    fn make_due(&mut self, ledger: &mut Ledger, index: u64, account: Address) {
        if self.visited.is_some_and(|visited| visited < account) {
            self.visited = None;
            self.list(ledger);
        }
        if self.stated.1.is_empty() {
            self.stated = (index, Vec::with_capacity(DuesLeaf::ACCOUNTS_MAX));
        }
        self.stated.1.push(account);
        if self.stated.1.len() >= DuesLeaf::ACCOUNTS_MAX {
            self.list(ledger);
        }
    }

    /// Makes a list of those that stand in none.
    fn list(&mut self, ledger: &mut Ledger) {
        let (index, accounts) = std::mem::take(&mut self.stated);
        ledger.list_due(self.shard, index, accounts);
    }

    /// Writes down what the entries left.
    pub(crate) fn end(mut self, ledger: &mut Ledger) {
        self.list(ledger);
        ledger.set_shard(self.shard, self.leaf);
    }

    fn close(&mut self, ledger: &mut Ledger, close: &EpochClose) -> Result<(), ShardFault> {
        let leaf = &self.leaf;
        if close.shard != self.shard {
            return Err(ShardFault::CloseShard);
        }
        let follows = match leaf.last_close {
            Some(last) => last.next() == Some(close.first),
            None => self.moments.began.is_none_or(|began| began == close.first),
        };
        if !follows {
            return Err(ShardFault::CloseNotContiguous);
        }
        if close.previous != leaf.close_hash {
            return Err(ShardFault::ClosePrevious);
        }
        if close.statements != leaf.statements {
            return Err(ShardFault::CloseStatements);
        }
        if close.total != leaf.total {
            return Err(ShardFault::CloseTotal);
        }
        if close.inbox_cursor < leaf.inbox_cursor || close.inbox_cursor > self.sent {
            return Err(ShardFault::CloseCursor);
        }
        let end = close.last.next().and_then(|next| next.start_secs(ledger.chain.epoch_secs));
        if end.is_none_or(|end| end > self.moments.trusted_secs) {
            return Err(ShardFault::CloseEarly);
        }
        // The statements after it begin again at the first address.
        self.list(ledger);
        self.visited = visited(ledger);
        self.leaf = ShardLeaf {
            last_close: Some(close.last),
            close_hash: close.hash(),
            inbox_cursor: close.inbox_cursor,
            statements: 0,
            total: Tai::ZERO,
            last_account: None,
            ..self.leaf
        };
        Ok(())
    }
}
