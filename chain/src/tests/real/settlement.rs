//! The settlement chain on a real `CometBFT`.

use db3_comet::CometSettings;
use db3_primitives::{Tai, TransactionOperation};

use super::super::stated::{Network, Settlement, transaction};
use super::super::support::{Account, settings, soon, until};
use super::{BEGUN, Call, by_the_grammar, free_ports, processes, ready};
use crate::{ChainConfig, EngineKind, ReceiptState};

/// Sends money to the third account, and waits until the block is provable.
async fn pay(chain: &Settlement, nonce: u64) {
    let to = Account::new(3).address();
    let transfer = TransactionOperation::Transfer { to, amount: Tai::new(5) };
    let mut submitted = chain.submit(transaction(chain, 1, nonce, vec![transfer])).await.unwrap();
    let ReceiptState::Done(receipt) = submitted.receipt.provable(soon()).await else { panic!("lost") };
    assert_eq!(receipt.rejection, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_called_by_the_grammar_over_a_kill_and_a_restart() {
    let net = Network::new();
    let cometbft = CometSettings {
        p2p_listen: format!("127.0.0.1:{}", free_ports(1)[0]),
        pex: false,
        timeout_commit_ms: 100,
        ..CometSettings::default()
    };
    let config = ChainConfig { engine: EngineKind::CometBft, cometbft, ..settings(&net.home) };
    let chain = Settlement::launch(config.clone()).await.unwrap();
    ready(&chain).await;
    pay(&chain, 1).await;

    let killed = processes(&net.home);
    let kill = std::process::Command::new("kill").arg("-9").arg(killed[0].to_string()).status().unwrap();
    assert!(kill.success());
    until("another process", || processes(&net.home).first().is_some_and(|pid| !killed.contains(pid))).await;
    pay(&chain, 2).await;
    chain.shutdown().await;
    let calls = by_the_grammar(&[], &chain);
    assert!(calls.starts_with(&BEGUN) && calls.contains(&Call::Prepare(1)), "{calls:?}");
    assert!(calls.iter().filter(|call| **call == Call::Info).count() >= 2, "{calls:?}");
    drop(chain);

    let chain = Settlement::launch(config).await.unwrap();
    ready(&chain).await;
    pay(&chain, 3).await;
    chain.shutdown().await;
    by_the_grammar(&BEGUN, &chain);
}
