//! The shard of one validator on a real `CometBFT`, whose node ends at any moment, or fails again and again.

use std::path::Path;
use std::time::Duration;

use db3_comet::CometSettings;
use tokio::time::Instant;

use super::super::real::free_ports;
use super::super::support::{Settlement, home_of, lines_of, settings, settlement, soon, until};
use super::shard::{HEARD, check_chain, work};
use super::{Trial, acknowledged, tell, told_home, told_settings, until_stopped};
use crate::{ChainConfig, ChainHandle, EngineKind, ReceiptState, Reopenings, ShardMachine, StopReason, audit};

/// The steps of a node whose blocks `CometBFT` keeps, and how often they pass before.
const STEPS: [&str; 6] = [
    "AfterHistory:20",
    "BeforeSnapshot:3",
    "AfterSnapshot:3",
    "AfterHistory:31",
    "BeforeSnapshot:5",
    "AfterSnapshot:6",
];

/// With blocks that come fast, and nobody to talk to.
fn on_cometbft(config: ChainConfig) -> ChainConfig {
    let cometbft = CometSettings {
        p2p_listen: format!("127.0.0.1:{}", free_ports(1)[0]),
        pex: false,
        private_network: true,
        timeout_commit_ms: 100,
        ..CometSettings::default()
    };
    ChainConfig { engine: EngineKind::CometBft, cometbft, ..config }
}

async fn launch(config: ChainConfig) -> ChainHandle {
    let chain = ChainHandle::launch(on_cometbft(config)).await.unwrap();
    tokio::time::timeout_at(soon(), chain.ready()).await.expect("no block").unwrap();
    chain
}

/// Writes and hears until it is killed, and notes what was acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn workload() {
    let Some(home) = told_home() else { return };
    let mut reopenings = Reopenings::default();
    loop {
        let chain = opened(on_cometbft(told_settings(&home))).await;
        let begin = async {
            chain.ready().await?;
            if chain.committed().state.channel(&settlement()).unwrap().cursor() < HEARD {
                let root = chain.committed().state.channel(&settlement()).unwrap().peer().root.clone();
                let mut source = Settlement::of_root(&root);
                source.says_lines(&lines_of(1..10));
                chain.submit_delivery(source.delivery(0, 0)).await?.block(soon()).await?.ok_or("no block")?;
            }
            work(&home, &chain, || Ok(())).await
        };
        let reason = reopenings.judge(until_stopped(begin, chain.stopped()).await);
        if !matches!(reason, StopReason::Broken { .. }) {
            tell(&home, &reason);
            return;
        }
        // As a node does it.
        chain.shutdown().await;
    }
}

/// Waits until whoever had the folder has let go of it.
async fn opened(config: ChainConfig) -> ChainHandle {
    let deadline = soon();
    loop {
        match ChainHandle::launch(config.clone()).await {
            Err(error) if error.is_already_running() && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            launched => return launched.unwrap(),
        }
    }
}

fn trial(home: &Path) -> Trial<'_> {
    Trial { home, workload: "tests::crash::comet::workload" }
}

/// Everything acknowledged is there once; `CometBFT` compares the roots itself, and ends where one differs.
async fn check(home: &Path) {
    let chain = launch(settings(home)).await;
    // The blocks after the snapshot come again.
    for line in acknowledged(home) {
        let is_there = || match line.parse() {
            Ok(id) => match chain.receipt(&id) {
                Ok(ReceiptState::Done(receipt)) => chain.committed().height >= receipt.height,
                Ok(_) | Err(_) => false,
            },
            Err(_) => chain.committed().state.channel(&settlement()).unwrap().cursor() >= line.parse().unwrap(),
        };
        until(&line, is_there).await;
    }
    // A process that ended early wrote nothing.
    if !acknowledged(home).is_empty() {
        check_chain(home, &chain);
    }
    chain.shutdown().await;
    drop(chain);
    audit::check::<ShardMachine>(&on_cometbft(settings(home)), false).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_whichever_step_the_process_ends_at() {
    let (_folder, home, _) = home_of(settings);
    for step in STEPS {
        trial(&home).end_at(step, |command| command);
        check(&home).await;
    }
    assert!(!acknowledged(&home).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_fails_three_times_stops_the_node_for_good_and_nothing_is_lost() {
    let (_folder, home, _) = home_of(settings);
    // A block, and its replays after that: each time the chain is opened anew, in the same process.
    let reason = trial(&home).stop_at("AfterHistory:20");
    assert!(reason.contains("Fatal") && reason.contains("panicked"), "{reason}");
    assert!(reason.contains("a test lets AfterHistory fail"), "{reason}");
    check(&home).await;
}
