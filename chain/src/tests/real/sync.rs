//! A node that comes from a snapshot, and one that goes back by a height.

use std::net::SocketAddr;

use db3_comet::state_sync::{LightBlockSource, SourceError, SyncBlock, params_of_genesis, serve};
use db3_comet::{CometSettings, StateSyncSettings, keys};
use db3_primitives::Height;
use tendermint_proto::v0_38::types::ConsensusParams;

use super::super::support::{Account, commit, now, settings, soon, until};
use super::{BEGUN, Call, Net, by_the_grammar, free_ports, ready, root};
use crate::{
    ChainConfig, ChainHandle, ConsensusState, EngineKind, RollbackError, ShardMachine, genesis_file, rollback,
};

/// A node that is asked for headers, as others are over gRPC.
struct Peer {
    chain: ChainHandle,
    params: ConsensusParams,
}

impl LightBlockSource for Peer {
    async fn light_block(&self, height: u64) -> Result<SyncBlock, SourceError> {
        let newest = self.chain.committed().height;
        let wanted = if height == 0 { newest } else { Height::new(height) };
        if wanted > newest {
            return Err(SourceError::TooHigh { height, newest: newest.get() });
        }
        let chain = self.chain.clone();
        let read = move || (chain.light_block(wanted), chain.proposer_priorities(wanted));
        let (light_block, priorities) = tokio::task::spawn_blocking(read).await.unwrap();
        let light_block = light_block.map_err(|error| SourceError::Unavailable { detail: error.to_string() })?;
        Ok(SyncBlock { light_block, priorities })
    }

    async fn consensus_params(&self, _: u64) -> Result<ConsensusParams, SourceError> {
        Ok(self.params.clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_comes_from_a_snapshot_of_its_peers_and_follows() {
    // The third comes by the snapshot; the others do without it.
    let mut net = Net::with_powers(&[31, 29, 2]);
    // Blocks come so fast here that few snapshots would be gone before anybody asks for one.
    let giving = |config: ChainConfig| ChainConfig { sync_snapshot_blocks: 5, sync_snapshots_kept: 100, ..config };
    let one = ChainHandle::launch(giving(net.config(0))).await.unwrap();
    let other = ChainHandle::launch(giving(net.config(1))).await.unwrap();
    ready(&one).await;
    ready(&other).await;
    net.fund(&one).await;
    let mut account = Account::new(1);
    for number in 0..4 {
        commit(&one, account.put(now(&one), &format!("k{number}"), 10)).await;
    }
    let listed = |chain: &ChainHandle| chain.app().inner.sync_files.snapshots();
    until("snapshots", || !listed(&one).is_empty() && !listed(&other).is_empty()).await;
    // At one height they are the same bytes.
    let same = || {
        let (ours, theirs) = (listed(&one), listed(&other));
        ours.iter().any(|ours| theirs.iter().any(|theirs| (theirs.height, theirs.hash) == (ours.height, ours.hash)))
    };
    until("two equal snapshots", same).await;

    let home = net.nodes[2].home.clone();
    let params = params_of_genesis(&std::fs::read_to_string(genesis_file(&home)).unwrap()).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let servers = [
        serve(any, Peer { chain: one.clone(), params: params.clone() }).await.unwrap(),
        serve(any, Peer { chain: other.clone(), params }).await.unwrap(),
    ];
    let trusted = one.store().summary(Height::new(2)).unwrap().unwrap();
    let cometbft = CometSettings {
        state_sync: Some(StateSyncSettings {
            trust_height: 2,
            trust_hash: hex::encode(trusted.hash),
            peers: vec!["http://one:1".to_owned(), "http://other:1".to_owned()],
            trust_hours: 1,
        }),
        ..net.config(2).cometbft
    };
    let sync_servers = Some([servers[0].address(), servers[1].address()]);
    let config = ChainConfig { engine: EngineKind::CometBft, cometbft, sync_servers, ..settings(&home) };
    let late = ChainHandle::launch(config.clone()).await.unwrap();
    ready(&late).await;
    let receipt = commit(&one, account.put(now(&one), "after", 1)).await;
    late.wait_height(receipt.height, soon()).await.unwrap();
    assert_eq!(root(&late, receipt.height), root(&one, receipt.height));
    assert_eq!(late.store().summary(Height::new(2)).unwrap(), None, "it executed the blocks from the first on");
    assert!(late.store().receipt(&receipt.id).unwrap().is_some());
    let calls = by_the_grammar(&[], &late);
    assert!(
        calls.contains(&Call::Offer) && calls.contains(&Call::Apply) && !calls.contains(&Call::InitChain),
        "{calls:?}"
    );
    // It knows whose turn it is, as the others do, and signs what they propose.
    let height = receipt.height;
    let turns = |chain: &ChainHandle| {
        let chain = chain.clone();
        async move { tokio::task::spawn_blocking(move || chain.proposer_priorities(height)).await.unwrap() }
    };
    let expected = turns(&one).await;
    assert!(expected.len() == 3 && expected.iter().any(|priority| *priority != 0), "{expected:?}");
    assert_eq!(turns(&other).await, expected);
    assert_eq!(turns(&late).await, expected);

    // It starts again as any node does, with the same settings.
    late.shutdown().await;
    drop(late);
    let late = ChainHandle::launch(config).await.unwrap();
    ready(&late).await;
    let receipt = commit(&other, account.put(now(&other), "again", 1)).await;
    late.wait_height(receipt.height, soon()).await.unwrap();
    assert_eq!(root(&late, receipt.height), root(&other, receipt.height));
    by_the_grammar(&BEGUN, &late);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lacks_blocks_which_nobody_keeps_says_so_and_comes_by_state_sync() {
    let mut net = Net::new(1);
    let few = ChainConfig {
        blocks_kept: 5,
        snapshot_interval_blocks: 2,
        sync_snapshot_blocks: 10,
        sync_snapshots_kept: 3,
        ..net.config(0)
    };
    let one = ChainHandle::launch(few.clone()).await.unwrap();
    ready(&one).await;
    net.fund(&one).await;
    let params = params_of_genesis(&std::fs::read_to_string(genesis_file(&net.nodes[0].home)).unwrap()).unwrap();
    let first_block = || {
        let chain = one.clone();
        tokio::task::spawn_blocking(move || chain.app().inner.blocks.block(Height::new(1)).unwrap())
    };
    while first_block().await.unwrap().is_some() {
        one.wait_height(one.committed().height.next().unwrap(), soon()).await.unwrap();
    }

    let home = net.folder.path().join("late");
    std::fs::create_dir_all(home.join("config")).unwrap();
    std::fs::copy(genesis_file(&net.nodes[0].home), genesis_file(&home)).unwrap();
    keys::ensure(&home).unwrap();
    let node = &net.nodes[0];
    let cometbft = CometSettings {
        p2p_listen: format!("127.0.0.1:{}", free_ports(1)[0]),
        persistent_peers: vec![format!("{}@127.0.0.1:{}", node.id, node.port)],
        stalled_secs: 6,
        ..net.config(0).cometbft
    };
    let config = ChainConfig { engine: EngineKind::CometBft, cometbft, ..settings(&home) };
    let late = ChainHandle::launch(config.clone()).await.unwrap();
    let mut seen = late.consensus();
    let behind = seen.wait_for(|consensus| consensus.state == ConsensusState::Behind);
    let behind = *tokio::time::timeout(std::time::Duration::from_secs(60), behind).await.expect("it says so").unwrap();
    let text = late.metrics_text();
    assert!(text.contains("db3_cometbft_behind{chain_id=\"test-shard-0\"} 1"), "{text}");
    // It stands, and is not started again and again.
    let newest = one.committed().height.get();
    one.wait_height(Height::new(newest + 50), soon()).await.unwrap();
    let still = *late.consensus().borrow();
    assert_eq!((still.state, still.restarts), (ConsensusState::Behind, behind.restarts));
    assert_eq!(behind.restarts, 0);
    late.shutdown().await;
    drop(late);

    // Snapshots that stay longer, so that one is there when it is asked for.
    one.shutdown().await;
    drop(one);
    let one = ChainHandle::launch(ChainConfig { sync_snapshots_kept: 100, ..few }).await.unwrap();
    ready(&one).await;
    let peer = || Peer { chain: one.clone(), params: params.clone() };
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let servers = [serve(any, peer()).await.unwrap(), serve(any, peer()).await.unwrap()];
    let trusted = one.committed().height.get() - 2;
    let cometbft = CometSettings {
        state_sync: Some(StateSyncSettings {
            trust_height: trusted,
            trust_hash: hex::encode(one.store().summary(Height::new(trusted)).unwrap().unwrap().hash),
            peers: vec!["http://one:1".to_owned(), "http://other:1".to_owned()],
            trust_hours: 1,
        }),
        ..config.cometbft
    };
    let sync_servers = Some([servers[0].address(), servers[1].address()]);
    let late = ChainHandle::launch(ChainConfig { cometbft, sync_servers, ..config }).await.unwrap();
    ready(&late).await;
    let receipt = commit(&one, Account::new(1).put(now(&one), "after", 1)).await;
    late.wait_height(receipt.height, soon()).await.unwrap();
    assert_eq!(root(&late, receipt.height), root(&one, receipt.height));
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_back_by_one_height_and_executes_it_again() {
    let mut net = Net::new(1);
    let chain = net.start(0).await;
    net.fund(&chain).await;
    let mut account = Account::new(1);
    let receipt = commit(&chain, account.put(now(&chain), "k", 3)).await;
    let running = rollback::<ShardMachine>(&net.config(0)).unwrap_err();
    assert!(matches!(running, RollbackError::Store(_)), "a node that runs: {running}");
    chain.shutdown().await;
    let newest = chain.committed();
    drop(chain);
    let back = rollback::<ShardMachine>(&net.config(0)).unwrap();
    assert_eq!(back.height.next(), Some(newest.height));
    assert!(back.snapshot <= back.height);
    assert_eq!(rollback::<ShardMachine>(&net.config(0)).unwrap(), back, "once, until it is started");

    let chain = net.start(0).await;
    chain.wait_height(newest.height, soon()).await.unwrap();
    assert_eq!(root(&chain, newest.height), newest.root);
    let after = commit(&chain, account.put(now(&chain), "l", 1)).await;
    assert!(after.height > receipt.height);
    let solo = ChainConfig { engine: EngineKind::Solo, ..net.config(0) };
    assert!(matches!(rollback::<ShardMachine>(&solo), Err(RollbackError::Solo)));
}
