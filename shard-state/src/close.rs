//! The close of an epoch, and the emission of its statements over as many blocks as that takes.
//!
//! - A block whose time is past the boundary closes the open epoch before anything else in it: the bills' root, their
//!   count and sum and the heights are sampled into the emission leaf, and the epoch of the block's time is open from
//!   then on. Epochs in between, which held no block, close with it (rule I3).
//! - From that block on, every block visits at most `close_accounts_max` accounts in order of address, and appends a
//!   statement for each that has a bill in the closed epochs. The sums at the close need no copy: see [`AccountLeaf`].
//! - After the last account the close itself is appended, its hash is kept under `epoch/<last>`, and the emission leaf
//!   is deleted.
//! - Only a block that begins without an emission closes an epoch. Until then the open epoch stays open, whatever the
//!   time.
//!
//! The inbox cursor is sampled with the sums, before any delivery of the block: it says which ceilings the shard knew
//! when it charged for the last time in these epochs.

use db3_carry::OutboundEntry;
use db3_merkle_log::{CompletedNode, Inbox, Outbox};
use db3_primitives::{
    AccountLeaf, Address, BlockTime, ChainId, EmissionLeaf, Epoch, EpochClose, Hash32, Height, LogEntry, Payee,
    Statement, Tai, key,
};
use db3_state_tree::Tree;

use crate::books::OpenBooks;
use crate::inbound;
use crate::ledger::Ledger;
use db3_primitives::fatal::{damaged, fatal};

/// What a block did for the close before its first mutation.
#[derive(Debug, Default)]
pub(crate) struct CloseWork {
    pub(crate) entries: Vec<OutboundEntry>,
    pub(crate) outbox_nodes: Vec<(ChainId, CompletedNode)>,
    pub(crate) closed: Option<EpochClose>,
}

/// Does this block's share of the work: none away from a boundary.
pub(crate) fn begin(ledger: &mut Ledger, pending: Option<&EmissionLeaf>, height: Height, time: BlockTime) -> CloseWork {
    match pending {
        Some(emission) => emit(ledger, *emission),
        None => match sample(ledger, height, time) {
            Some(emission) => emit(ledger, emission),
            None => CloseWork::default(),
        },
    }
}

/// The epoch that is open in a block of this time: the time's own, unless an emission holds the open one.
pub(crate) fn epoch_at(ledger_epoch: Epoch, emitting: bool, of_time: Epoch) -> Epoch {
    if emitting { ledger_epoch } else { ledger_epoch.max(of_time) }
}

/// Closes the open epoch if the block's time is past it.
fn sample(ledger: &mut Ledger, height: Height, time: BlockTime) -> Option<EmissionLeaf> {
    let first = ledger.books.epoch;
    let next = Epoch::of(time.secs, ledger.chain.epoch_secs);
    let last = Epoch::new(next.get().checked_sub(1).filter(|last| *last >= first.get())?);
    if let Some((closed, _)) = newest_close(ledger.overlay.base()) {
        assert!(closed.next() == Some(first), "I3: epochs close contiguously: {closed} is closed, {first} follows");
    }
    let books = std::mem::replace(&mut ledger.books, OpenBooks::begin(next, height));
    ledger.write_books();
    Some(EmissionLeaf {
        first,
        last,
        first_height: books.first_height,
        last_height: Height::new(height.get().saturating_sub(1)),
        bills_root: books.bills.root(),
        bill_count: books.bills.size(),
        billed: books.total,
        cursor: None,
        statements: 0,
        total: Tai::ZERO,
        inbox_cursor: inbox_cursor(ledger),
    })
}

/// How many entries of the settlement chain were applied before this block.
fn inbox_cursor(ledger: &Ledger) -> u64 {
    let key = key::inbox(&ChainId::settlement(&ledger.chain.network));
    let inbox = ledger.overlay.base().get(&key);
    inbox.map_or(0, |leaf| Inbox::from_bytes(leaf).unwrap_or_else(|_| damaged(&key)).cursor())
}

/// Visits the next accounts, and writes the close after the last one.
fn emit(ledger: &mut Ledger, mut emission: EmissionLeaf) -> CloseWork {
    let base = ledger.overlay.base().clone();
    let mut writer = Writer::open(&base, ChainId::settlement(&ledger.chain.network));
    let from = emission.cursor.map_or_else(key::account_prefix, |cursor| after(&key::account(&cursor)));
    let to = key::prefix_end(&key::account_prefix());
    let mut accounts = base.range(&from, to.as_deref());
    for (key, leaf) in accounts.by_ref().take(usize::try_from(ledger.chain.close_accounts_max).unwrap_or(usize::MAX)) {
        emission.cursor = Some(state_account(&mut emission, &mut writer, key, leaf));
    }
    if accounts.next().is_none() {
        finish(ledger, &emission, &mut writer);
    } else {
        ledger.overlay.put(key::emission(), emission.to_bytes());
    }
    writer.write(ledger);
    writer.work
}

/// Writes the statement of one account, if it has a bill in the closed epochs.
fn state_account(emission: &mut EmissionLeaf, writer: &mut Writer, key: &[u8], leaf: &[u8]) -> Address {
    let (Some(account), Ok(sums)) = (key::split_account(key), AccountLeaf::from_bytes(leaf)) else { damaged(key) };
    // The epochs after the first of a close held no block, so no bill.
    if let Some(stated) = sums.sums_of(emission.first.get()) {
        let statement = Statement { account, payee: Payee::ValidatorPool, cumulative: stated.closing_spent };
        writer.append(&LogEntry::Statement(statement));
        emission.statements = emission.statements.saturating_add(1);
        let amount = stated.closing_spent.saturating_sub(stated.opening_spent);
        match emission.total.checked_add(amount) {
            Some(total) => emission.total = total,
            None => fatal("I2: statements add up to the bills", format_args!("{} + {amount}", emission.total)),
        }
    }
    account
}

/// Appends the close, keeps its hash and ends the emission.
fn finish(ledger: &mut Ledger, emission: &EmissionLeaf, writer: &mut Writer) {
    let EmissionLeaf { first, last, statements, total, billed, bill_count, .. } = *emission;
    assert!(
        total == billed,
        "I2: the statements of the epochs {first} to {last} add up to their bills: {statements} statements say \
         {total} tai, {bill_count} bills {billed} tai"
    );
    let close = EpochClose {
        shard: ledger.chain.shard,
        first,
        last,
        first_height: emission.first_height,
        last_height: emission.last_height,
        bills_root: emission.bills_root,
        bill_count,
        statements,
        total,
        inbox_cursor: emission.inbox_cursor,
        previous: newest_close(ledger.overlay.base()).map_or([0; 32], |(_, hash)| hash),
    };
    writer.append(&LogEntry::EpochClose(close));
    writer.work.closed = Some(close);
    ledger.overlay.put(key::epoch(last), close.hash().to_vec());
    ledger.overlay.delete(key::emission());
}

/// The last epoch that has closed, and the hash of its close.
pub(crate) fn newest_close(tree: &Tree) -> Option<(Epoch, Hash32)> {
    let (key, leaf) = tree.prefix(&key::epoch_prefix()).next_back()?;
    match (key::split_epoch(key), leaf.try_into()) {
        (Some(epoch), Ok(hash)) => Some((epoch, hash)),
        _ => damaged(key),
    }
}

/// The least key above this one.
fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// The outbox towards the settlement chain, and what this block appends to it.
struct Writer {
    destination: ChainId,
    outbox: Outbox,
    work: CloseWork,
}

impl Writer {
    fn open(tree: &Tree, destination: ChainId) -> Self {
        let outbox = inbound::outbox(|key| tree.get(key), &destination);
        Self { destination, outbox, work: CloseWork::default() }
    }

    fn append(&mut self, entry: &LogEntry) {
        let bytes = entry.to_bytes();
        match self.outbox.append(&bytes) {
            Ok(appended) => {
                let destination = &self.destination;
                self.work.outbox_nodes.extend(appended.nodes.into_iter().map(|node| (destination.clone(), node)));
                let entry = OutboundEntry { destination: destination.clone(), index: appended.index, bytes };
                self.work.entries.push(entry);
            }
            Err(error) => fatal("I4: every entry can be delivered", error),
        }
    }

    fn write(&self, ledger: &mut Ledger) {
        if !self.work.entries.is_empty() {
            ledger.overlay.put(key::outbox(&self.destination), self.outbox.to_bytes());
        }
    }
}
