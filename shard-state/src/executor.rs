//! Execution of one block: what governance decided, its close, then deliveries, then its mutations, into a new version and its effects.
//!
//! A function of the version before, the height, the time, the deliveries and the mutations, and of nothing else (rule I7). What would
//! be refused at admission is refused here as well, since a replayed block has passed nobody's admission; a refusal
//! has no effect.

use std::sync::Arc;

use db3_carry::{Delivered, Delivery};
use db3_governance::{Accepted, Misbehaviour, Session, SignedProposal};
use db3_merkle_log::CompletedNode;
use db3_primitives::limits::BLOCK_DELIVERIES_MAX;
use db3_primitives::{
    Bill, BillKind, BlockOrder, BlockTime, Height, Metered, MutationId, Payee, ReceiptOutcome, Rejection, Tai,
    VerifiedMutation, stored,
};

use crate::admission::{self, Admission};
use crate::close::{self, CloseWork};
use crate::conservation::Books;
use crate::effects::{BlockItem, Effects, Outcome, Receipt, RecordChange};
use crate::ledger::Ledger;
use crate::operations::{self, Done, Moment};
use crate::state::ShardState;
use crate::{governance, inbound};
use db3_primitives::fatal::fatal;

/// A block under execution. Its result is taken with [`Executor::finish`]; a dropped one has changed nothing.
pub struct Executor {
    ledger: Ledger,
    height: Height,
    time: BlockTime,
    close: CloseWork,
    /// The books before the first bill of this block.
    first_bill_index: u64,
    billed_before: Tai,
    order: BlockOrder<Receipt>,
    bills: Vec<Bill>,
    bill_nodes: Vec<CompletedNode>,
    changes: Vec<RecordChange>,
    deliveries: Vec<Delivered>,
    governance: Session,
}

/// Executes a whole block. Total: an item that should not be in a block leaves its refusal and nothing else.
#[must_use]
pub fn execute(
    state: &ShardState,
    height: Height,
    time: BlockTime,
    deliveries: &[Delivery],
    items: &[BlockItem],
) -> (ShardState, Effects) {
    let mut executor = Executor::new(state, height, time);
    for delivery in deliveries {
        if let Err(rejection) = executor.deliver(delivery) {
            executor.refuse_item(None, rejection);
        }
    }
    for item in items {
        match item {
            BlockItem::Verified(mutation) => {
                if let Outcome::Refused(rejection) = executor.apply(mutation) {
                    executor.refuse(mutation, rejection);
                }
            }
            BlockItem::Refused { id, rejection } => executor.refuse_item(*id, rejection.clone()),
        }
    }
    executor.finish()
}

impl Executor {
    /// Begins a block in which no validator misbehaved.
    #[must_use]
    pub fn new(state: &ShardState, height: Height, time: BlockTime) -> Self {
        Self::begin(state, height, time, &[])
    }

    /// Begins a block: what governance decided for it, and whatever its close and its emission ask for, is done here.
    #[must_use]
    pub fn begin(state: &ShardState, height: Height, time: BlockTime, misbehaviours: &[Misbehaviour]) -> Self {
        let mut ledger = state.ledger();
        let governance = governance::begin(&mut ledger, height, time, misbehaviours);
        let close = close::begin(&mut ledger, state.emission_leaf(), height, time);
        ledger.overlay.keep();
        Self {
            first_bill_index: ledger.books.bills.size(),
            billed_before: ledger.books.total,
            ledger,
            height,
            time,
            close,
            order: BlockOrder::default(),
            bills: Vec::new(),
            bill_nodes: Vec::new(),
            changes: Vec::new(),
            deliveries: Vec::new(),
            governance,
        }
    }

    /// The same block under other rules.
    #[cfg(test)]
    pub(crate) fn with_rules(mut self, rules: crate::rules::Rules) -> Self {
        self.ledger.rules = rules;
        self
    }

    /// Accepts a governance transaction, before any mutation. Its change waits for a later block; a refusal has no effect.
    pub fn govern(&mut self, signed: &SignedProposal) -> Result<Accepted, Rejection> {
        governance::accept(&mut self.governance, &self.ledger, self.height, self.time, signed)
    }

    /// Applies what another chain tells; after the block's close, before its mutations. A refusal has no effect.
    pub fn deliver(&mut self, delivery: &Delivery) -> Result<Delivered, Rejection> {
        if self.deliveries.len() >= BLOCK_DELIVERIES_MAX {
            return Err(Rejection::BlockFull { what: "deliveries" });
        }
        let delivered = inbound::deliver(&mut self.ledger, delivery, self.time)?;
        self.ledger.overlay.keep();
        self.deliveries.push(delivered.clone());
        Ok(delivered)
    }

    /// Executes one mutation after those before it. What is refused leaves no trace and takes no place in the block,
    /// so a proposer can offer candidates and keep the result.
    pub fn apply(&mut self, verified: &VerifiedMutation) -> Outcome {
        let (mutation, bytes) = (verified.mutation(), verified.bytes());
        let admitted = admission::check(&self.ledger, mutation, bytes, self.time)
            .and_then(|admission| self.check_room(verified).map(|()| admission));
        let admission = match admitted {
            Ok(admission) => admission,
            Err(rejection) => return Outcome::Refused(rejection),
        };
        let at = Moment { height: self.height, time_secs: self.time.secs };
        match operations::run(&mut self.ledger.overlay, mutation, at, self.order.next()) {
            Ok(done) => {
                self.ledger.overlay.keep();
                Outcome::Applied(self.applied(verified, &admission, done))
            }
            Err(rejection) => {
                self.ledger.overlay.discard();
                Outcome::Failed(self.failed(verified, &admission, rejection))
            }
        }
    }

    /// Records that a mutation of the block was refused; it takes its place in the block's order.
    pub fn refuse(&mut self, verified: &VerifiedMutation, rejection: Rejection) {
        let mutation = verified.mutation();
        self.order.refuse(Receipt {
            id: verified.id(),
            index: self.order.next(),
            account: mutation.account,
            signer: verified.signer(),
            namespace: mutation.namespace.clone(),
            nonce: mutation.nonce,
            outcome: ReceiptOutcome::Refused(rejection),
            fee: Tai::ZERO,
            bill_seq: None,
            versions: Vec::new(),
        });
    }

    /// Records an item of the block that is no mutation of anybody's, or a delivery without effect.
    pub fn refuse_item(&mut self, id: Option<MutationId>, rejection: Rejection) {
        self.order.refuse_item(id, rejection);
    }

    /// Mutations that were applied or failed so far.
    #[must_use]
    pub fn executed(&self) -> u32 {
        self.order.executed()
    }

    /// Ends the block.
    ///
    /// # Panics
    /// If rule I1 or I2 does not hold: the state would be wrong, and the node must stop.
    #[must_use]
    pub fn finish(mut self) -> (ShardState, Effects) {
        self.check_conservation();
        self.ledger.write_accounts();
        if !self.bills.is_empty() {
            self.ledger.write_books();
        }
        let governance = governance::finish(self.governance, &mut self.ledger);
        let (receipts, refused) = self.order.finish();
        let effects = Effects {
            receipts,
            refused,
            bills: self.bills,
            bill_nodes: self.bill_nodes,
            bill_epoch: self.ledger.books.epoch,
            first_bill_index: self.first_bill_index,
            entries: self.close.entries,
            outbox_nodes: self.close.outbox_nodes,
            deliveries: self.deliveries,
            lowered: std::mem::take(&mut self.ledger.lowered).into_iter().collect(),
            changes: self.changes,
            closed: self.close.closed,
            governance,
        };
        (ShardState::after(self.ledger), effects)
    }

    /// The last step of the ladder, so that whoever fills a block knows that nothing else speaks against the mutation.
    fn check_room(&self, verified: &VerifiedMutation) -> Result<(), Rejection> {
        self.order.check_room(verified.mutation(), self.ledger.chain.block_mutations_max, "mutations")
    }

    fn applied(&mut self, verified: &VerifiedMutation, admission: &Admission, done: Done) -> Receipt {
        let metered = Metered {
            operations: admission.metered.operations,
            key_bytes: done.key_bytes,
            bytes_stored: done.bytes_stored,
            ..base_metered(admission)
        };
        self.changes.extend(done.changes);
        self.charge(verified, admission, metered, ReceiptOutcome::Applied, done.versions)
    }

    fn failed(&mut self, verified: &VerifiedMutation, admission: &Admission, rejection: Rejection) -> Receipt {
        self.charge(verified, admission, base_metered(admission), ReceiptOutcome::Failed(rejection), Vec::new())
    }

    /// Uses the nonce, adds the fee to the account's sum and writes the bill (rule I1).
    fn charge(
        &mut self,
        verified: &VerifiedMutation,
        admission: &Admission,
        mut metered: Metered,
        outcome: ReceiptOutcome,
        versions: Vec<u64>,
    ) -> Receipt {
        let mutation = verified.mutation();
        let chain = Arc::clone(&self.ledger.chain);
        let Some((leaf, window, books)) = self.ledger.open(&mutation.account, &mutation.namespace) else {
            fatal("I2: a charge has a line", mutation.account)
        };
        if !window.paid {
            metered.bytes_stored = metered.bytes_stored.saturating_add(stored::window(&mutation.namespace));
            window.paid = true;
        }
        if let Err(rejection) = window.window.use_nonce(mutation.nonce) {
            fatal("a nonce is used once", rejection)
        }
        window.last = Some(mutation.nonce);
        assert!(
            metered.is_within(&admission.metered),
            "execution is metered within its static upper bound: {metered:?}, {:?}",
            admission.metered
        );
        let charged = chain.prices.fee(&metered).and_then(|fee| Some((fee, leaf.charge(fee, books.epoch.get())?)));
        let Some((fee, charged)) = charged else {
            fatal("I2: no charge passes the ceiling", format_args!("{} {metered:?}", mutation.account))
        };
        *leaf = charged;
        let bill = Bill {
            shard: chain.shard,
            height: self.height,
            index: self.order.next(),
            account: mutation.account,
            payee: Payee::ValidatorPool,
            kind: BillKind::Mutation,
            reference: *verified.id().as_bytes(),
            outcome_code: outcome.code(),
            metered,
            price_version: chain.prices.version,
            fee,
            seq: charged.bill_count,
            cum_after: charged.spent,
        };
        self.bill_nodes.extend(books.add(&bill));
        self.bills.push(bill);
        let receipt = Receipt {
            id: verified.id(),
            index: self.order.next(),
            account: mutation.account,
            signer: verified.signer(),
            namespace: mutation.namespace.clone(),
            nonce: mutation.nonce,
            outcome,
            fee,
            bill_seq: Some(charged.bill_count),
            versions,
        };
        self.order.execute(&receipt, admission.metered.operations);
        receipt
    }

    fn check_conservation(&self) {
        let accounts = self.ledger.accounts.iter().map(|(account, session)| (account, &session.before, &session.leaf));
        let books = &self.ledger.books;
        let books = Books::of(
            accounts,
            &self.bills,
            u64::from(self.order.executed()),
            books.bills.size().saturating_sub(self.first_bill_index),
            books.total.checked_sub(self.billed_before),
        );
        if let Err(imbalance) = books.check() {
            fatal("the block does not balance", imbalance);
        }
    }
}

/// What a mutation uses by being in a block at all.
fn base_metered(admission: &Admission) -> Metered {
    let Metered { mutations, bytes_in, .. } = admission.metered;
    Metered { mutations, bytes_in, operations: 0, key_bytes: 0, bytes_stored: 0 }
}
