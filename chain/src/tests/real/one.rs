//! One validator on a real `CometBFT`.

use std::time::Duration;

use db3_comet::CometSettings;
use db3_light_client::{LightClient, Options, UnixTime};
use db3_primitives::Height;

use super::super::support::{Account, commit, now, settings, soon, until};
use super::{Net, processes, ready, root};
use crate::transfer::{ImportInput, TransferError, export, import, snapshot};
use crate::{ChainConfig, ChainHandle, ConsensusState, ReceiptState, ShardMachine};

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_commits_proves_and_comes_back_after_a_restart() {
    let mut net = Net::new(1);
    let chain = net.start(0).await;
    net.fund(&chain).await;
    let mut account = Account::new(1);
    let mut receipts = Vec::new();
    for number in 0..5 {
        receipts.push(commit(&chain, account.put(now(&chain), &format!("k{number}"), 2)).await);
    }
    assert!(receipts.iter().all(|receipt| receipt.rejection.is_none()));
    let status = chain.status().unwrap();
    assert_eq!((status.engine, status.ready), ("cometbft", true));
    assert_eq!(status.consensus.state, ConsensusState::Advancing);

    // Every header, read from the files or from CometBFT, is verified one after the other.
    let last = chain.provable().height;
    let mut client = LightClient::from_root(chain.genesis().trust_root().unwrap(), Options::never_expires());
    let wall = UnixTime::new(i64::try_from(now(&chain)).unwrap() + 60, 0).unwrap();
    let reading = chain.clone();
    let headers = tokio::task::spawn_blocking(move || {
        (1..=last.get()).map(|height| reading.light_block(Height::new(height)).unwrap()).collect::<Vec<_>>()
    });
    for light_block in headers.await.unwrap() {
        let header = client.verify(&light_block, None, wall).unwrap();
        let summary = chain.store().summary(Height::new(header.height)).unwrap().unwrap();
        assert_eq!((header.header_hash, header.app_hash), (summary.hash, Some(summary.app_hash)));
    }

    // What a follower missed is read again from CometBFT's blocks.
    let (old, reading) = (receipts[0].clone(), chain.clone());
    let block = tokio::task::spawn_blocking(move || reading.block(old.height).unwrap()).await.unwrap();
    assert_eq!(block.data.unwrap().txs.len(), 1);

    let before = (receipts[4].height, root(&chain, receipts[4].height));
    chain.shutdown().await;
    let calls = super::by_the_grammar(&[], &chain);
    assert!(calls.starts_with(&super::BEGUN) && calls.contains(&super::Call::Prepare(1)), "{calls:?}");
    drop(chain);
    assert!(processes(net.folder.path()).is_empty(), "CometBFT ended with its node");
    let chain = net.start(0).await;
    assert_eq!(root(&chain, before.0), before.1);
    for receipt in &receipts {
        assert_eq!(chain.store().receipt(&receipt.id).unwrap().as_ref(), Some(&**receipt));
    }
    let receipt = commit(&chain, account.put(now(&chain), "after", 1)).await;
    assert!(receipt.height > before.0);
    assert_eq!(chain.committed().state.account(&account.address()).unwrap().bill_count, 6);
    chain.shutdown().await;
    super::by_the_grammar(&super::BEGUN, &chain);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_of_the_largest_size_is_committed_and_stops_nothing() {
    let mut net = Net::new(1);
    let chain = net.start(0).await;
    net.fund(&chain).await;
    let longest = Account::new(1).longest(now(&chain), 1);
    let mut submitted = chain.submit(longest).await.unwrap();
    commit(&chain, Account::new(2).put(now(&chain), "after", 1)).await;
    let told = submitted.receipt.committed(soon()).await;
    let ReceiptState::Done(receipt) = told else { panic!("not in a block: {told:?}") };
    assert_eq!(receipt.rejection, None);
    chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_mempool_drops_without_a_word_is_committed_all_the_same() {
    let mut net = Net::new(1);
    let config = net.config(0);
    // A few bundles fill it, and while a block is committed many wait at its door.
    let cometbft = CometSettings { mempool_txs: 4, timeout_commit_ms: 400, ..config.cometbft.clone() };
    let chain = ChainHandle::launch(ChainConfig { cometbft, ..config }).await.unwrap();
    ready(&chain).await;
    net.fund(&chain).await;
    let mut accounts: Vec<Account> = (1..=8).map(Account::new).collect();
    let mut waiting = Vec::new();
    for round in 0..300 {
        for account in &mut accounts {
            waiting.push(chain.submit(account.put(now(&chain), &format!("k{round}"), 1)).await.unwrap());
        }
        // One bundle after the other.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for mut submitted in waiting {
        let told = submitted.receipt.committed(soon()).await;
        let ReceiptState::Done(receipt) = told else { panic!("not in a block: {told:?}") };
        assert_eq!(receipt.rejection, None);
    }
    chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_node_holds_is_exported_and_cut_into_a_snapshot() {
    let mut net = Net::new(1);
    let chain = net.start(0).await;
    net.fund(&chain).await;
    commit(&chain, Account::new(1).put(now(&chain), "k", 2)).await;
    let making = chain.clone();
    let height = tokio::task::spawn_blocking(move || making.make_snapshot().unwrap()).await.unwrap();
    let expected = chain.version_at(height).map_or_else(|_| root(&chain, height), |version| version.root);
    chain.shutdown().await;
    drop(chain);
    let (made, manifest) = snapshot::make::<ShardMachine>(net.config(0)).unwrap();
    assert_eq!((manifest.height.as_str(), &manifest.root), (height.to_string().as_str(), &hex::encode(expected)));
    assert_eq!(snapshot::list(made.parent().unwrap()).unwrap().whole, [(made.clone(), manifest)]);
    // Its blocks are CometBFT's: restored by hand it would have nothing to go on from.
    let copy = net.folder.path().join("copy");
    let refused = snapshot::restore::<ShardMachine>(&copy, &made, &settings(&copy)).unwrap_err();
    assert!(matches!(refused, TransferError::NoBlocks { .. }), "{refused}");
    // As text it is the beginning of a chain of one's own.
    let mut lines = Vec::new();
    let header = export::<ShardMachine>(net.config(0), &mut lines).unwrap();
    assert_eq!((header.height, header.root), (height.to_string(), hex::encode(expected)));
    let input = ImportInput { settings: settings(&copy), operator: None, time: None };
    let genesis = import::<ShardMachine>(&copy, &mut std::io::Cursor::new(&lines), &input).unwrap();
    assert_eq!((genesis.initial_height(), genesis.app_hash()), (height.next().unwrap(), Some(expected)));
    // And the node itself goes on. What it writes for others takes the place of nothing that was made by hand.
    let giving = ChainConfig { sync_snapshot_blocks: 2, sync_snapshots_kept: 1, ..net.config(0) };
    let chain = ChainHandle::launch(giving).await.unwrap();
    ready(&chain).await;
    let given = || chain.app().inner.sync_files.snapshots().iter().map(|given| given.height).collect::<Vec<_>>();
    until("two more, one after the other", || given().first().is_some_and(|newest| newest.get() > height.get() + 3))
        .await;
    until("one place for them", || given().len() == 1 && !given().contains(&height)).await;
    let folder = made.parent().unwrap();
    assert!(snapshot::list(folder).unwrap().whole.iter().any(|(path, _)| *path == made), "it stays");
    chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cometbft_that_is_killed_is_started_again_and_loses_nothing() {
    let mut net = Net::new(1);
    let chain = net.start(0).await;
    net.fund(&chain).await;
    let mut account = Account::new(1);
    commit(&chain, account.put(now(&chain), "before", 1)).await;
    let killed = processes(&net.nodes[0].home);
    assert_eq!(killed.len(), 1, "{killed:?}");
    // What is taken while it is away waits.
    let kill = std::process::Command::new("kill").arg("-9").arg(killed[0].to_string()).status().unwrap();
    assert!(kill.success());
    let mut submitted = Vec::new();
    for number in 0..20 {
        submitted.push(chain.submit(account.put(now(&chain), &format!("k{number}"), 1)).await.unwrap());
    }
    for mut submitted in submitted {
        let told = submitted.receipt.provable(soon()).await;
        let ReceiptState::Done(receipt) = told else { panic!("not in a block: {told:?}") };
        assert_eq!(receipt.rejection, None);
    }
    assert_eq!(chain.committed().state.account(&account.address()).unwrap().bill_count, 21);
    until("advancing", || chain.status().unwrap().ready).await;
    assert_ne!(processes(&net.nodes[0].home), killed);
    assert_eq!(chain.status().unwrap().consensus.restarts, 1);
    let calls = super::by_the_grammar(&[], &chain);
    assert!(calls.iter().filter(|call| **call == super::Call::Info).count() >= 2, "{calls:?}");
    chain.shutdown().await;
}
