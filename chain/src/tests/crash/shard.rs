//! A shard that takes mutations and deliveries at once.

use std::path::Path;

use db3_primitives::{CreditEntry, LineEntry, Tai};

use super::super::support::{Account, CEILING, Settlement, home, lines_of, now, settings, settlement, soon, start};
use super::{Acknowledged, Failed, Trial, acknowledged, tell, told_home, told_settings, until_stopped};
use crate::{ChainHandle, ReceiptState, ShardMachine, audit};

/// Entries that the chain has heard before a workload begins: a lease, and the lines of accounts 1 to 9.
pub(super) const HEARD: u64 = 10;
/// Accounts whose lines the workload's deliveries raise.
const RAISED: std::ops::Range<u8> = 20..25;

/// Entry `number` of those that the workload delivers.
fn entry(number: u64) -> LineEntry {
    let account = RAISED.start + u8::try_from(number % RAISED.len() as u64).unwrap();
    LineEntry { account: Account::new(account).address(), ceiling: Tai::new(CEILING + u128::from(number)) }
}

/// The settlement chain as it stands when a shard has heard so many entries, each of the workload's in a block of its own.
fn source_at(chain: &ChainHandle) -> Settlement {
    let channel = chain.committed().state.channel(&settlement()).unwrap();
    let mut source = Settlement::of_root(&channel.peer().root);
    source.says_lines(&lines_of(1..10));
    let _ = source.delivery(0, 0);
    for number in 0..channel.cursor() - HEARD {
        source.says(CreditEntry::Line(entry(number)));
        let _ = source.delivery(0, 0);
    }
    source
}

/// Writes and hears until it is killed, and notes every identifier and every cursor that was acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn workload() {
    let Some(home) = told_home() else { return };
    let chain = ChainHandle::start(told_settings(&home)).await.unwrap();
    let pass = || chain.advance_time(30).map(|_| ()).map_err(Failed::from);
    tell(&home, &until_stopped(work(&home, &chain, pass), chain.stopped()).await);
}

/// Writes and hears; now and then it lets time pass.
pub(super) async fn work(
    home: &Path,
    chain: &ChainHandle,
    pass: impl Fn() -> Result<(), Failed>,
) -> Result<(), Failed> {
    let mut log = Acknowledged::open(home);
    let mut account = Account::new(1);
    account.nonce = chain.committed().state.window(&account.address(), &account.namespace()).next().get();
    let mut source = source_at(chain);
    for number in 0..100_000 {
        let channel = chain.committed().state.channel(&settlement()).unwrap();
        source.says(CreditEntry::Line(entry(channel.cursor() - HEARD)));
        let delivery = source.delivery(channel.cursor(), channel.trusted_height());
        let delivered = chain.submit_delivery(delivery).await?;
        // Both are on their way at once.
        let mut submitted = chain.submit(account.put(now(chain), &format!("k{}", number % 50), 2)).await?;
        let ReceiptState::Done(receipt) = submitted.receipt.provable(soon()).await else {
            return Err("no receipt".into());
        };
        log.note(receipt.id);
        delivered.block(soon()).await?.ok_or("no block")?;
        log.note(chain.committed().state.channel(&settlement()).unwrap().cursor());
        if number % 20 == 19 {
            pass()?;
        }
    }
    Ok(())
}

fn trial(home: &Path) -> Trial<'_> {
    Trial { home, workload: "tests::crash::shard::workload" }
}

/// Everything acknowledged is there once, history is complete, and execution from genesis gives every header's root.
pub(super) async fn check(home: &Path) {
    let chain = start(home).await;
    check_chain(home, &chain);
    chain.shutdown().await;
    drop(chain);
    audit::check::<ShardMachine>(&settings(home), true).unwrap();
}

/// The same of a chain that has been started, without what only its folder says.
pub(super) fn check_chain(home: &Path, chain: &ChainHandle) {
    let account = Account::new(1);
    let state = chain.committed().state.clone();
    let cursor = state.channel(&settlement()).unwrap().cursor();
    for line in acknowledged(home) {
        let Ok(id) = line.parse() else {
            assert!(cursor >= line.parse().unwrap(), "{line} entries were acknowledged, and {cursor} are there");
            continue;
        };
        let state = chain.receipt(&id).unwrap();
        let ReceiptState::Done(receipt) = state else { panic!("{id} was acknowledged and is {state:?}") };
        let bill = chain.store().bill(&account.address(), receipt.bill_seq.unwrap()).unwrap().unwrap();
        assert_eq!(bill.bill.reference, *receipt.id.as_bytes());
        let version = chain.provable();
        let proof = chain.bill_proof(&bill, &version).unwrap();
        assert!(proof.is_some() || bill.bill.height > version.height || version.state.emission().is_some());
    }
    let leaf = state.account(&account.address()).unwrap();
    let next = state.window(&account.address(), &account.namespace()).next().get();
    // One bill for every nonce: nothing was applied twice.
    assert_eq!(leaf.bill_count, next - 1);
    for seq in 1..=leaf.bill_count {
        assert!(chain.store().bill(&account.address(), seq).unwrap().is_some(), "bill {seq} is missing");
    }
    // Every entry up to the cursor took effect, and none after it.
    for number in RAISED {
        let address = Account::new(number).address();
        let newest = (HEARD..cursor).map(|index| entry(index - HEARD)).rfind(|entry| entry.account == address);
        assert_eq!(state.account(&address).map(|leaf| leaf.ceiling), newest.map(|entry| entry.ceiling), "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_whichever_step_the_process_ends_at() {
    let (_folder, home) = home();
    trial(&home).ends_at_every_step(check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_process_ends_after_old_blocks_went() {
    let (_folder, home) = home();
    for passes in [0, 1] {
        trial(&home).end_at(&format!("AfterPrune:{passes}"), |command| command.env(super::BLOCKS_KEPT, "10"));
        check(&home).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_process_is_killed() {
    let (_folder, home) = home();
    trial(&home).is_killed(check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_snapshot_thread_panics() {
    let (_folder, home) = home();
    trial(&home).survives_a_panic_of_the_snapshot_thread(check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_synced_is_lost_when_the_power_fails() {
    let (_folder, home) = home();
    super::torn::at_every_part(&trial(&home), check).await;
}
