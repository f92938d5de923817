//! The settlement chain while a shard's closes come in, rounds run and money moves.

use std::path::{Path, PathBuf};

use db3_primitives::{Epoch, Height, Tai, TransactionOperation};

use super::super::stated::{BALANCE, Network, SHARD, Settlement, Shard, epoch_secs, shard_id, transaction};
use super::super::support::{Account, settings, soon, until};
use super::{Acknowledged, Failed, Trial, acknowledged, tell, told_home, told_settings, until_stopped};
use crate::{PostingFilter, ReceiptState, SettlementMachine, StatementFilter, audit};

/// Entries of one close: two statements and the close.
const ENTRIES: u64 = 3;

/// What account 1 and account 2 owe in all after so many closes.
fn owed(closes: u64) -> [u128; 2] {
    [u128::from(closes) * 100, u128::from(closes) * 30]
}

/// The epoch of the first close: that of genesis.
fn first_epoch(chain: &Settlement) -> Epoch {
    Epoch::of(chain.genesis().time().secs, epoch_secs())
}

fn closes_heard(chain: &Settlement) -> u64 {
    let cursor = chain.committed().state.channel(&shard_id()).unwrap().cursor();
    assert_eq!(cursor % ENTRIES, 0, "a delivery is in a block, or it is not");
    cursor / ENTRIES
}

/// Writes the close after so many.
fn write_close(shard: &mut Shard, first: Epoch, closes: u64) {
    let [one, two] = [1, 2].map(|number| Account::new(number).address());
    let ([one_before, two_before], [one_after, two_after]) = (owed(closes), owed(closes + 1));
    let sums = [(one, one_before, one_after), (two, two_before, two_after)];
    shard.write_close(Epoch::new(first.get() + closes), &sums);
}

#[tokio::test(flavor = "multi_thread")]
async fn workload() {
    let Some(home) = told_home() else { return };
    let chain = Settlement::start(told_settings(&home)).await.unwrap();
    tell(&home, &until_stopped(work(&home, &chain), chain.stopped()).await);
}

/// Closes epochs and moves money until it is killed, and notes every transaction, cursor and round that was acknowledged.
async fn work(home: &Path, chain: &Settlement) -> Result<(), Failed> {
    let mut log = Acknowledged::open(home);
    let first = first_epoch(chain);
    let mut shard = Shard::of_root(&chain.committed().state.channel(&shard_id()).unwrap().peer().root);
    for closes in 0..closes_heard(chain) {
        write_close(&mut shard, first, closes);
        shard.block();
    }
    loop {
        let closes = closes_heard(chain);
        write_close(&mut shard, first, closes);
        shard.wait_for_the_end(chain);
        let delivered = chain.submit_delivery(shard.next(chain)).await?;
        // Both are on their way at once.
        let nonce = chain.committed().state.window(&Account::new(3).address()).next().get();
        let transfer = TransactionOperation::Transfer { to: Account::new(2).address(), amount: Tai::new(7) };
        let mut submitted = chain.submit(transaction(chain, 3, nonce, vec![transfer])).await?;
        let ReceiptState::Done(receipt) = submitted.receipt.provable(soon()).await else {
            return Err("no receipt".into());
        };
        log.note(receipt.id);
        delivered.block(soon()).await?.ok_or("no block")?;
        log.note(format_args!("closes {}", closes_heard(chain)));
        let epoch = Epoch::new(first.get() + closes);
        // Every other round is still under way when the next close comes in.
        if closes.is_multiple_of(2) {
            until("the round", || chain.committed().state.round().settled >= Some(epoch)).await;
            log.note(format_args!("settled {epoch}"));
        }
    }
}

fn trial(home: &Path) -> Trial<'_> {
    Trial { home, workload: "tests::crash::settlement::workload" }
}

/// Everything acknowledged is there once, every close is in the books, every debt was debited once, and execution from
/// genesis gives every header's root.
async fn check(home: &Path) {
    let chain = Settlement::start(settings(home)).await.unwrap();
    // A round that was under way goes on with the start: state and books are compared when nothing moves any more.
    chain.shutdown().await;
    let (first, closes) = (first_epoch(&chain), closes_heard(&chain));
    let version = chain.committed();
    let (state, store) = (&version.state, chain.store());
    let mut transfers = 0;
    for line in acknowledged(home) {
        match line.split_once(' ') {
            Some(("closes", told)) => assert!(closes >= told.parse().unwrap(), "{line}: there are {closes}"),
            Some(("settled", told)) => assert!(state.round().settled >= Some(told.parse().unwrap()), "{line}"),
            Some(_) | None => {
                let told = chain.receipt(&line.parse().unwrap()).unwrap();
                assert!(matches!(told, ReceiptState::Done(_)), "{line} was acknowledged and is {told:?}");
                transfers += 1;
            }
        }
    }
    // Every nonce moved money once, and nobody else paid a fee.
    let used = state.window(&Account::new(3).address()).next().get() - 1;
    assert!(used >= transfers, "{used} nonces, {transfers} receipts");
    let blocks = 1..=version.height.get();
    let fees = blocks.map(|height| store.summary(Height::new(height)).unwrap().unwrap().fees.get()).sum::<u128>();
    let left = state.balance(&Account::new(3).address()).unwrap().balance.get();
    assert_eq!(left, BALANCE - 7 * u128::from(used) - fees);
    for (number, cumulative) in (1..).zip(owed(closes)) {
        let account = Account::new(number).address();
        let (rows, more) = store.statements(&account, &StatementFilter::default(), None, 1_000, 10_000).unwrap();
        assert!(more.is_none());
        let stated: Vec<u128> = rows.iter().rev().map(|row| row.cumulative.get()).collect();
        assert_eq!(stated, (1..=closes).map(|closes| owed(closes)[usize::from(number) - 1]).collect::<Vec<_>>());
        assert!(rows.iter().all(|row| row.height > Height::new(0) && row.epochs.is_some()));
        // Debited once: what the line says is the sum of its postings, and no more than was stated.
        let line = state.line(&account, SHARD).unwrap();
        let filter = PostingFilter { account: Some(account), ..PostingFilter::default() };
        let (postings, _) = store.postings(&filter, None, 1_000, 10_000).unwrap();
        let debits = postings.iter().fold(0, |sum, (_, posting)| sum + posting.debit.get());
        assert_eq!((line.reported.get(), line.debited.get()), (cumulative, debits));
        let settled = state.round().settled.map_or(0, |settled| (settled.get() + 1).saturating_sub(first.get()));
        assert!(line.debited.get() >= owed(settled.min(closes))[usize::from(number) - 1], "round {settled} debited");
    }
    assert_eq!(store.closes(SHARD, None, 10_000).unwrap().len() as u64, closes);
    state.audit().unwrap();
    drop((chain, version));
    audit::check::<SettlementMachine>(&settings(home), true).unwrap();
}

fn home() -> (Network, PathBuf) {
    let network = Network::new();
    let home = network.home.clone();
    (network, home)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_whichever_step_the_process_ends_at() {
    let (_network, home) = home();
    trial(&home).ends_at_every_step(check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_process_is_killed() {
    let (_network, home) = home();
    trial(&home).is_killed(check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_snapshot_thread_panics() {
    let (_network, home) = home();
    trial(&home).survives_a_panic_of_the_snapshot_thread(check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_synced_is_lost_when_the_power_fails() {
    let (_network, home) = home();
    super::torn::at_every_part(&trial(&home), check).await;
}
