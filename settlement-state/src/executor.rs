//! Execution of one block: what governance decided, confirmations and the round's part, then deliveries, then transactions, into a new version and
//! its effects.
//!
//! A function of the version before, the height, the time and what the block holds, and of nothing else (rule I7). What
//! would be refused at admission is refused here as well, since a replayed block has passed nobody's admission; a refusal
//! has no effect. An empty block in which nothing is due changes no byte (R7).

use db3_carry::{Delivered, Delivery};
use db3_governance::{Accepted, Misbehaviour, Session, SignedProposal};
use db3_primitives::limits::{BLOCK_DELIVERIES_MAX, BLOCK_MUTATIONS_MAX};
use db3_primitives::{
    BlockOrder, BlockTime, Height, Metered, ReceiptOutcome, Rejection, Tai, TransactionId, VerifiedTransaction, stored,
};

use crate::admission::{self, Admission};
use crate::conservation;
use crate::credit;
use crate::delivery::{self, Inbound};
use crate::effects::{BlockItem, Effects, Outcome, Receipt, RoundDone};
use crate::governance;
use crate::journal::Purse;
use crate::ledger::Ledger;
use crate::operations::{self, Done};
use crate::round;
use crate::state::SettlementState;
use crate::sweep;
use db3_primitives::fatal::fatal;

/// A block under execution. Its result is taken with [`Executor::finish`]; a dropped one has changed nothing.
pub struct Executor {
    ledger: Ledger,
    inbound: Inbound,
    settled: Option<RoundDone>,
    order: BlockOrder<Receipt>,
    governance: Session,
}

/// Executes a whole block. Total: an item that should not be in a block leaves its refusal and nothing else.
#[must_use]
pub fn execute(
    state: &SettlementState,
    height: Height,
    time: BlockTime,
    deliveries: &[Delivery],
    items: &[BlockItem],
) -> (SettlementState, Effects) {
    let mut executor = Executor::new(state, height, time);
    for delivery in deliveries {
        if let Err(rejection) = executor.deliver(delivery) {
            executor.refuse_item(None, rejection);
        }
    }
    for item in items {
        match item {
            BlockItem::Verified(transaction) => {
                if let Outcome::Refused(rejection) = executor.apply(transaction) {
                    executor.refuse(transaction, rejection);
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
    pub fn new(state: &SettlementState, height: Height, time: BlockTime) -> Self {
        Self::begin(state, height, time, &[])
    }

    /// Begins a block: what governance decided for it, confirmed cuts, and its part of a round, or the one that is due.
    #[must_use]
    pub fn begin(state: &SettlementState, height: Height, time: BlockTime, misbehaviours: &[Misbehaviour]) -> Self {
        Self::on(state.ledger(height, time), misbehaviours)
    }

    pub(crate) fn on(mut ledger: Ledger, misbehaviours: &[Misbehaviour]) -> Self {
        let governance = governance::begin(&mut ledger, misbehaviours);
        sweep::work(&mut ledger);
        let confirmed = credit::confirm_cuts(&mut ledger);
        let settled = round::work(&mut ledger, confirmed == 0);
        ledger.keep();
        Self { ledger, inbound: Inbound::default(), settled, order: BlockOrder::default(), governance }
    }

    /// Accepts a governance transaction, before any transaction of an account. Its change waits for a later block; a refusal
    /// has no effect.
    pub fn govern(&mut self, signed: &SignedProposal) -> Result<Accepted, Rejection> {
        governance::accept(&mut self.governance, &self.ledger, signed)
    }

    /// Applies a delivery after those before it. A refused one leaves no trace. Deliveries stand before transactions.
    pub fn deliver(&mut self, delivery: &Delivery) -> Result<Delivered, Rejection> {
        if self.inbound.deliveries.len() >= BLOCK_DELIVERIES_MAX {
            return Err(Rejection::BlockFull { what: "deliveries" });
        }
        delivery::deliver(&mut self.ledger, delivery, &mut self.inbound)
    }

    /// Applies entries of a shard's log that nobody proved, of a shard that began in an epoch; a fault is the error.
    #[cfg(test)]
    pub(crate) fn deliver_entries(
        &mut self,
        shard: db3_primitives::ShardId,
        began: db3_primitives::Epoch,
        first: u64,
        entries: &[Vec<u8>],
    ) -> Result<(), db3_primitives::Fault> {
        let moments = crate::inbound::Moments { began: Some(began), trusted_secs: u64::MAX };
        let (_, fault) = delivery::apply(&mut self.ledger, shard, moments, first, entries, &mut self.inbound);
        self.ledger.keep();
        fault.map_or(Ok(()), Err)
    }

    /// What the block has done so far, for a test that makes it wrong.
    #[cfg(test)]
    pub(crate) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Executes one transaction after those before it. What is refused leaves no trace and takes no place in the block.
    pub fn apply(&mut self, verified: &VerifiedTransaction) -> Outcome {
        let transaction = verified.transaction();
        let admitted = admission::check(&self.ledger, transaction, verified.bytes())
            .and_then(|admission| self.check_room(verified).map(|()| admission));
        let admission = match admitted {
            Ok(admission) => admission,
            Err(rejection) => return Outcome::Refused(rejection),
        };
        self.ledger.draft();
        match operations::run(&mut self.ledger, transaction, admission.bound) {
            Ok(_) if self.ledger.logs.is_overfull() => {
                self.ledger.discard();
                Outcome::Refused(Rejection::BlockFull { what: "log entries" })
            }
            Ok(done) => {
                self.ledger.keep();
                Outcome::Applied(self.charge(verified, &admission, Some(done), ReceiptOutcome::Applied))
            }
            Err(rejection @ Rejection::BlockFull { .. }) => {
                self.ledger.discard();
                Outcome::Refused(rejection)
            }
            Err(rejection) => {
                self.ledger.discard();
                Outcome::Failed(self.charge(verified, &admission, None, ReceiptOutcome::Failed(rejection)))
            }
        }
    }

    /// Records that a transaction of the block was refused; it takes its place in the block's order.
    pub fn refuse(&mut self, verified: &VerifiedTransaction, rejection: Rejection) {
        let transaction = verified.transaction();
        self.order.refuse(Receipt {
            id: verified.id(),
            index: self.order.next(),
            account: transaction.account,
            signer: verified.signer(),
            nonce: transaction.nonce,
            outcome: ReceiptOutcome::Refused(rejection),
            metered: Metered::default(),
            fee: Tai::ZERO,
        });
    }

    /// Records an item of the block that is nobody's transaction, or a delivery without effect.
    pub fn refuse_item(&mut self, id: Option<TransactionId>, rejection: Rejection) {
        self.order.refuse_item(id, rejection);
    }

    /// Transactions that were applied or failed so far.
    #[must_use]
    pub fn executed(&self) -> u32 {
        self.order.executed()
    }

    /// Ends the block.
    ///
    /// # Panics
    /// If rule I5, I8 or I9 does not hold: the state would be wrong, and the node must stop.
    #[must_use]
    pub fn finish(self) -> (SettlementState, Effects) {
        let Self { mut ledger, inbound, settled, order, governance } = self;
        if let Err(imbalance) = conservation::check(&ledger) {
            fatal("the block does not balance", imbalance);
        }
        let governance = governance::finish(governance, &mut ledger);
        let lowered = ledger.lowered();
        let begun = std::mem::take(&mut ledger.begun);
        let (state, appended) = SettlementState::after(ledger);
        let (receipts, refused) = order.finish();
        let effects = Effects {
            receipts,
            refused,
            entries: appended.entries,
            outbox_nodes: appended.outbox_nodes,
            deliveries: inbound.deliveries,
            lowered,
            inbound: inbound.entries,
            inbound_nodes: inbound.nodes,
            begun,
            faults: inbound.faults,
            postings: appended.postings,
            posting_nodes: appended.posting_nodes,
            settled,
            governance,
        };
        (state, effects)
    }

    /// The last step of the ladder, so that whoever fills a block knows that nothing else speaks against the transaction.
    fn check_room(&self, verified: &VerifiedTransaction) -> Result<(), Rejection> {
        self.order.check_room(verified.transaction(), BLOCK_MUTATIONS_MAX, "transactions")
    }

    /// Uses the nonce and takes the fee from the balance. Of what failed (nothing was done) only its bytes are metered.
    fn charge(
        &mut self,
        verified: &VerifiedTransaction,
        admission: &Admission,
        done: Option<Done>,
        outcome: ReceiptOutcome,
    ) -> Receipt {
        let (transaction, account) = (verified.transaction(), verified.transaction().account);
        let stored_window = self.ledger.window(account);
        let window_bytes = if stored_window.is_some() { 0 } else { stored::own_window() };
        let mut window = stored_window.unwrap_or_default();
        if let Err(rejection) = window.use_nonce(transaction.nonce) {
            fatal("a nonce is used once", rejection)
        }
        self.ledger.set_window(account, window);
        let metered = metered(admission, done, window_bytes);
        assert!(
            metered.is_within(&admission.metered),
            "execution is metered within its static upper bound: {metered:?}, {:?}",
            admission.metered
        );
        let Some(fee) = self.ledger.chain.prices.fee(&metered) else {
            fatal("a fee within the bound is an amount", format_args!("{metered:?}"))
        };
        self.ledger.transfer(Purse::Balance(account), Purse::Fees, fee);
        let receipt = Receipt {
            id: verified.id(),
            index: self.order.next(),
            account,
            signer: verified.signer(),
            nonce: transaction.nonce,
            outcome,
            metered,
            fee,
        };
        self.order.execute(&receipt, admission.metered.operations);
        receipt
    }
}

/// What a transaction used: by being in a block at all, and by what it did there.
pub(crate) fn metered(admission: &Admission, done: Option<Done>, window_bytes: u32) -> Metered {
    let Metered { mutations, bytes_in, operations, .. } = admission.metered;
    let Done { key_bytes, bytes_stored } = done.unwrap_or_default();
    Metered {
        mutations,
        bytes_in,
        operations: if done.is_some() { operations } else { 0 },
        key_bytes,
        bytes_stored: bytes_stored.saturating_add(window_bytes),
    }
}
