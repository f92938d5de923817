//! A process that ends at any moment loses nothing that it acknowledged, and its chain is whole.
//!
//! The process is this test program again, running [`workload`] alone.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::support::{Account, commit, home, now, settings, start};
use crate::{ChainConfig, ChainHandle, ReceiptState, ShardMachine, audit};

const HOME: &str = "DB3_TEST_CRASH_HOME";
const BLOCKS_KEPT: &str = "DB3_TEST_BLOCKS_KEPT";

fn acknowledged(home: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(home.join("acknowledged")).unwrap_or_default();
    // A line without an end was being written when the process ended.
    text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(|line| line.trim().to_owned()).collect()
}

/// Writes until it is killed, and notes every identifier that was acknowledged. Does nothing unless it is told where.
#[tokio::test(flavor = "multi_thread")]
async fn workload() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let home = std::path::PathBuf::from(home);
    let blocks_kept = std::env::var(BLOCKS_KEPT).map_or(0, |text| text.parse().unwrap());
    let chain = ChainHandle::start(ChainConfig { blocks_kept, ..settings(&home) }).await.unwrap();
    let mut log = std::fs::File::options().create(true).append(true).open(home.join("acknowledged")).unwrap();
    let mut account = Account::new(1);
    account.nonce = chain.committed().state.window(&account.address(), &account.namespace()).next().get();
    for number in 0..100_000 {
        let receipt = commit(&chain, account.put(now(&chain), &format!("k{}", number % 50), 2)).await;
        // In one piece: half a line would be read as one with the next process's first.
        log.write_all(format!("{}\n", receipt.id).as_bytes()).unwrap();
        if number % 20 == 19 {
            chain.advance_time(30).unwrap();
        }
    }
}

fn spawn(home: &Path, abort_at: Option<&str>) -> Child {
    workload_command(home, abort_at).spawn().unwrap()
}

fn workload_command(home: &Path, abort_at: Option<&str>) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "tests::crash::workload", "--nocapture"]).env(HOME, home);
    if let Some(step) = abort_at {
        command.env("DB3_TEST_ABORT_AT", step);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn wait(child: &mut Child, what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while child.try_wait().unwrap().is_none() && !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Everything acknowledged is there once, history is complete, and execution from genesis gives every header's root.
async fn check(home: &Path) {
    let chain = start(home).await;
    let account = Account::new(1);
    for id in acknowledged(home) {
        let state = chain.receipt(&id.parse().unwrap()).unwrap();
        let ReceiptState::Done(receipt) = state else { panic!("{id} was acknowledged and is {state:?}") };
        let bill = chain.store().bill(&account.address(), receipt.bill_seq.unwrap()).unwrap().unwrap();
        assert_eq!(bill.bill.reference, *receipt.id.as_bytes());
        let version = chain.provable();
        let proof = chain.bill_proof(&bill, &version).unwrap();
        assert!(proof.is_some() || bill.bill.height > version.height || version.state.emission().is_some());
    }
    let leaf = chain.committed().state.account(&account.address()).unwrap();
    let next = chain.committed().state.window(&account.address(), &account.namespace()).next().get();
    // One bill for every nonce: nothing was applied twice.
    assert_eq!(leaf.bill_count, next - 1);
    for seq in 1..=leaf.bill_count {
        assert!(chain.store().bill(&account.address(), seq).unwrap().is_some(), "bill {seq} is missing");
    }
    chain.shutdown().await;
    drop(chain);
    audit::check::<ShardMachine>(&settings(home), true).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_whichever_step_the_process_ends_at() {
    let (_folder, home) = home();
    let steps = ["BeforeBlock", "AfterBlock", "AfterHistory", "BeforeSnapshot", "AfterSnapshot"];
    for passes in [0, 5] {
        for step in steps {
            let before = acknowledged(&home).len();
            let mut child = spawn(&home, Some(&format!("{step}:{passes}")));
            wait(&mut child, step, || false);
            assert!(!child.wait().unwrap().success(), "{step}:{passes} was not reached");
            check(&home).await;
            assert!(acknowledged(&home).len() >= before);
        }
    }
    assert!(!acknowledged(&home).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_process_ends_after_old_blocks_went() {
    let (_folder, home) = home();
    for passes in [0, 1] {
        let mut command = workload_command(&home, Some(&format!("AfterPrune:{passes}")));
        let mut child = command.env(BLOCKS_KEPT, "10").spawn().unwrap();
        wait(&mut child, "pruned", || false);
        assert!(!child.wait().unwrap().success());
        check(&home).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_process_is_killed() {
    let (_folder, home) = home();
    for kill in 1..=4_usize {
        let before = acknowledged(&home).len();
        let mut child = spawn(&home, None);
        wait(&mut child, "acknowledgements", || acknowledged(&home).len() >= before + 7 * kill);
        child.kill().unwrap();
        child.wait().unwrap();
        check(&home).await;
    }
}
