//! What moved an account's money: its transactions, what others sent to it, and its postings, with the balance after each.
//!
//! The list begins at the proven balance and goes back. Postings are proven, and each says which balance it left: there the
//! list must have come to the same, so that a transaction that is left out, added or changed on the way is found out. A
//! transaction is signed by who ordered it. What came before the oldest posting has no such mark but the signatures, and
//! that no sum falls below nothing.

use std::collections::VecDeque;

use bytes::Bytes;
use db3_primitives::{Address, BlockTime, PostingKind, Tai, Transaction, TransactionOperation};
use db3_proto::{decode_transaction_envelope, v1};

use crate::account::AccountView;
use crate::chain::Chain;
use crate::error::ClientError;
use crate::movement::{Moved, Movement, MovementKind, MovementSource, moved_by};
use crate::receipt::{Receipt, ReceiptState};
use crate::settlement_pages::{SettlementFilter, SettlementPages};
use crate::settlements::SettlementView;
use crate::wire::{settlement, timed};

/// Transactions of one page.
const PAGE_SIZE: i32 = 500;

/// An account's movements under way, newest first.
pub struct History<'c> {
    account: Address,
    chain: &'c Chain,
    postings: SettlementPages<'c>,
    read_postings: VecDeque<SettlementView>,
    request: v1::ListTransactionsRequest,
    read_transactions: VecDeque<Signed>,
    has_more: bool,
    /// The state that the list begins at: what is newer is left out.
    height: u64,
    /// Oldest block whose transactions the node knows.
    from_height: u64,
    balance: Tai,
    collateral: Tai,
    ready: VecDeque<Movement>,
    verified: bool,
}

/// A transaction with its signature checked, and what became of it.
struct Signed {
    transaction: Transaction,
    receipt: Receipt,
}

impl<'c> AccountView<'c> {
    /// What moved its balance and its collateral, newest first, from the newest proven state on.
    pub async fn history(&self) -> Result<History<'c>, ClientError> {
        let money = self.money().await?;
        let chain = self.client.settlement()?;
        let leaf = money.value.balance();
        let account = Bytes::copy_from_slice(self.address.as_bytes());
        let filter = SettlementFilter { account: Some(self.address), ..SettlementFilter::default() };
        Ok(History {
            account: self.address,
            chain,
            postings: self.client.settlements(&filter)?,
            read_postings: VecDeque::new(),
            request: v1::ListTransactionsRequest { account, page_size: PAGE_SIZE, page_token: String::new() },
            read_transactions: VecDeque::new(),
            has_more: true,
            height: money.at.height,
            from_height: 0,
            balance: leaf.balance,
            collateral: leaf.collateral,
            ready: VecDeque::new(),
            verified: money.at.verified,
        })
    }
}

impl History<'_> {
    /// Whether it begins at a proven balance and goes along proven postings.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.verified
    }

    /// The oldest block of which the node knows transactions, where that is not the chain's first: the list ends there.
    #[must_use]
    pub fn known_from(&self) -> Option<u64> {
        Some(self.from_height).filter(|height| *height > 1)
    }

    /// The next older one; none before the first.
    pub async fn next(&mut self) -> Result<Option<Movement>, ClientError> {
        while self.ready.is_empty() {
            if !self.next_block().await? {
                return Ok(None);
            }
        }
        Ok(self.ready.pop_front())
    }

    /// Reads all that happened to the account in the newest block that is left.
    async fn next_block(&mut self) -> Result<bool, ClientError> {
        self.fill().await?;
        let transaction = self.read_transactions.front().map(|one| one.receipt.height);
        let posting = self.read_postings.front().map(|view| view.posting.height.get());
        let Some(height) = transaction.max(posting) else { return Ok(false) };
        if self.known_from().is_some_and(|from| height < from) {
            return Ok(false);
        }
        let (mut transactions, mut postings) = (Vec::new(), Vec::new());
        while let Some(one) = pop_front_if(&mut self.read_transactions, |one| one.receipt.height == height) {
            transactions.push(one);
            self.fill().await?;
        }
        while let Some(view) = pop_front_if(&mut self.read_postings, |view| view.posting.height.get() == height) {
            postings.push(view);
            self.fill().await?;
        }
        if height <= self.height {
            self.block(transactions, postings)?;
        }
        Ok(true)
    }

    /// A block begins with the round's postings; payments that were ordered are posted where their transaction stands.
    fn block(&mut self, transactions: Vec<Signed>, postings: Vec<SettlementView>) -> Result<(), ClientError> {
        let (paid, others): (Vec<_>, Vec<_>) =
            postings.into_iter().partition(|view| view.posting.kind == PostingKind::Pay);
        let mut paid = paid.into_iter();
        for Signed { transaction, receipt } in transactions {
            let source = MovementSource::Transaction(receipt.id);
            let place = (source, receipt.height, receipt.block_time.unwrap_or_default());
            let own = transaction.account == self.account;
            if own {
                self.moved(MovementKind::Fee, place, None, Moved::out(receipt.fee), Moved::default())?;
            }
            if receipt.state != ReceiptState::Applied {
                continue;
            }
            for operation in transaction.operations.iter().rev() {
                if own && matches!(operation, TransactionOperation::Pay { .. }) {
                    let Some(view) = paid.next() else {
                        return Err(self.flawed(format!("the payment of {} is not posted", receipt.id)));
                    };
                    self.posted(&view)?;
                } else if let Some((kind, other, balance, collateral)) = self.effect(&transaction, operation) {
                    self.moved(kind, place, other, balance, collateral)?;
                }
            }
        }
        if let Some(view) = paid.next() {
            return Err(self.flawed(format!("nobody ordered the payment of posting {}", view.index)));
        }
        others.iter().try_for_each(|view| self.posted(view))
    }

    /// What an operation did to this account.
    fn effect(
        &self,
        transaction: &Transaction,
        operation: &TransactionOperation,
    ) -> Option<(MovementKind, Option<Address>, Moved, Moved)> {
        let (signer, own) = (transaction.account, transaction.account == self.account);
        let none = Moved::default();
        match *operation {
            TransactionOperation::Transfer { to, amount } if own && to == signer => {
                Some((MovementKind::TransferOut, Some(to), Moved { into: amount, out: amount }, none))
            }
            TransactionOperation::Transfer { to, amount } if own => {
                Some((MovementKind::TransferOut, Some(to), Moved::out(amount), none))
            }
            TransactionOperation::Transfer { to, amount } if to == self.account => {
                Some((MovementKind::TransferIn, Some(signer), Moved::into(amount), none))
            }
            TransactionOperation::Deposit { to, amount } if own && to == signer => {
                Some((MovementKind::Deposit, None, Moved::out(amount), Moved::into(amount)))
            }
            TransactionOperation::Deposit { to, amount } if own => {
                Some((MovementKind::DepositOut, Some(to), Moved::out(amount), none))
            }
            TransactionOperation::Deposit { to, amount } if to == self.account => {
                Some((MovementKind::DepositIn, Some(signer), none, Moved::into(amount)))
            }
            TransactionOperation::Withdraw { amount } if own => {
                Some((MovementKind::Withdraw, None, Moved::into(amount), Moved::out(amount)))
            }
            // What a payment did says its posting.
            TransactionOperation::Transfer { .. }
            | TransactionOperation::Deposit { .. }
            | TransactionOperation::Withdraw { .. }
            | TransactionOperation::Allocate { .. }
            | TransactionOperation::Pay { .. } => None,
        }
    }

    /// Takes in a posting, after which the sums must be what it says.
    fn posted(&mut self, view: &SettlementView) -> Result<(), ClientError> {
        let posting = &view.posting;
        if (posting.balance, posting.collateral) != (self.balance, self.collateral) && self.verified {
            return Err(self.flawed(format!(
                "posting {} left a balance of {} tai and collateral of {} tai (proven), and what is listed after it comes from {} and {}",
                view.index, posting.balance, posting.collateral, self.balance, self.collateral
            )));
        }
        let (balance, collateral) = moved_by(posting);
        let place =
            (MovementSource::Posting(view.index), posting.height.get(), BlockTime::from_secs(posting.time_secs));
        self.moved(MovementKind::Posting(posting.kind), place, None, balance, collateral)
    }

    fn moved(
        &mut self,
        kind: MovementKind,
        (source, height, time): (MovementSource, u64, BlockTime),
        other: Option<Address>,
        balance: Moved,
        collateral: Moved,
    ) -> Result<(), ClientError> {
        let (balance_after, collateral_after) = (self.balance, self.collateral);
        let before = balance.before(balance_after).zip(collateral.before(collateral_after));
        let Some(before) = before else {
            return Err(self.flawed(format!("a {} of block {height} is more than there was", kind.name())));
        };
        (self.balance, self.collateral) = before;
        self.ready.push_back(Movement {
            kind,
            source,
            height,
            time,
            other,
            balance,
            collateral,
            balance_after,
            collateral_after,
        });
        Ok(())
    }

    /// Sees to it that the next older transaction and posting are read, if there are any.
    async fn fill(&mut self) -> Result<(), ClientError> {
        while self.read_transactions.is_empty() && self.has_more {
            let page = self.page().await?;
            self.read_transactions.extend(page);
        }
        while self.read_postings.is_empty() {
            match self.postings.next_page().await? {
                Some(page) => self.read_postings.extend(page),
                None => break,
            }
        }
        Ok(())
    }

    async fn page(&mut self) -> Result<Vec<Signed>, ClientError> {
        let answer = self
            .chain
            .call(|channel, limit| {
                let request = timed(self.request.clone(), limit);
                async move { settlement(channel).list_transactions(request).await }
            })
            .await?;
        self.has_more = !answer.next_page_token.is_empty();
        self.request.page_token = answer.next_page_token;
        self.from_height = answer.from_height;
        answer.transactions.into_iter().map(|message| self.signed(message)).collect()
    }

    /// Checks who signed it, that the receipt is its own, and that it concerns the account.
    fn signed(&self, message: v1::AccountTransaction) -> Result<Signed, ClientError> {
        let receipt = message.receipt.ok_or_else(|| ClientError::malformed(&self.chain.id, "no receipt came"))?;
        let receipt = Receipt::from_message(&self.chain.id, receipt)?;
        let envelope =
            message.transaction.ok_or_else(|| ClientError::malformed(&self.chain.id, "no transaction came"))?;
        let verified = decode_transaction_envelope(envelope)
            .and_then(|signed| signed.verify().map_err(|(_, rejection)| rejection))
            .map_err(|rejection| self.flawed(format!("transaction {}: {rejection}", receipt.id)))?;
        if verified.id() != receipt.id {
            return Err(self.flawed(format!("the receipt of {} is of {}", verified.id(), receipt.id)));
        }
        let transaction = verified.content();
        let names = |operation: &TransactionOperation| {
            matches!(operation, TransactionOperation::Transfer { to, .. } | TransactionOperation::Deposit { to, .. }
                if *to == self.account)
        };
        if transaction.account != self.account && !transaction.operations.iter().any(names) {
            return Err(self.flawed(format!("transaction {} is of others", receipt.id)));
        }
        Ok(Signed { transaction: transaction.clone(), receipt })
    }

    fn flawed(&self, flaw: String) -> ClientError {
        ClientError::proof(&self.chain.id, flaw)
    }
}

/// Takes the first where it is one of those asked for.
fn pop_front_if<T>(queue: &mut VecDeque<T>, wanted: impl FnOnce(&T) -> bool) -> Option<T> {
    if queue.front().is_some_and(wanted) { queue.pop_front() } else { None }
}
