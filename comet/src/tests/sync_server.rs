//! The server that `CometBFT`'s light client asks, and a node that comes from a snapshot through it.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tendermint_proto::v0_38::types::ConsensusParams;

use super::application::{Call, Tiny};
use super::grammar;
use super::network::{Node, genesis_with, settings, wait};
use crate::state_sync::{LightBlockSource, SourceError, SyncBlock, serve};
use crate::{
    Binary, CometSettings, FrameLimits, HealthState, Layout, Rpc, StateSyncSettings, Supervisor, keys, write_config,
};

/// A peer's blocks, from its own RPC.
struct Peer(Rpc);

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` passes it")]
fn unavailable(error: impl ToString) -> SourceError {
    SourceError::Unavailable { detail: error.to_string() }
}

impl LightBlockSource for Peer {
    async fn light_block(&self, height: u64) -> Result<SyncBlock, SourceError> {
        let newest = self.0.status().await.map_err(unavailable)?.height;
        let height = if height == 0 { newest } else { height };
        if height > newest {
            return Err(SourceError::TooHigh { height, newest });
        }
        let light_block = self.0.light_block(height).await.map_err(unavailable)?;
        let validators = self.0.validators(height).await.map_err(unavailable)?;
        let priorities = validators.iter().map(|validator| validator.priority).collect();
        Ok(SyncBlock { light_block, priorities })
    }

    async fn consensus_params(&self, height: u64) -> Result<ConsensusParams, SourceError> {
        self.0.consensus_params(height).await.map_err(unavailable)
    }
}

/// Some key, for a validator that is not there.
fn absent_key(number: u8) -> [u8; 32] {
    let folder = tempfile::tempdir().unwrap();
    keys::ensure(&folder.path().join(number.to_string())).unwrap().validator
}

/// Height and round of consensus, and the priorities of the validators in it, in their order.
fn turns_of(state: &Value) -> ((Value, Value), Vec<String>) {
    let round = &state["round_state"];
    let validators = round["validators"]["validators"].as_array().unwrap();
    let priorities = validators.iter().map(|validator| validator["proposer_priority"].as_str().unwrap().to_owned());
    ((round["height"].clone(), round["round"].clone()), priorities.collect())
}

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// The body of an answer of HTTP/1.1 without chunks.
async fn post(address: SocketAddr, question: &Value) -> Value {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let body = question.to_string();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: \
         close\r\n\r\n",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn answers_as_cometbft_itself_does() {
    // The others are not there, and not needed.
    let home = tempfile::tempdir().unwrap();
    let key = keys::ensure(home.path()).unwrap().validator;
    let absent = [2, 3].map(|power: u8| (absent_key(power), power.into()));
    let node = Node::start(home, settings(), &genesis_with(&[[(key, 50)].as_slice(), &absent].concat()));
    node.wait_height(3);
    let priorities = runtime().block_on(node.rpc.validators(2)).unwrap();
    assert!(priorities.iter().any(|validator| validator.priority != 0), "{priorities:?}");
    runtime().block_on(async {
        let server = serve(any(), Peer(node.rpc.clone())).await.unwrap();
        for (method, params) in [
            ("commit", json!({"height": "2"})),
            ("validators", json!({"height": "2", "page": "1", "per_page": "100"})),
            ("consensus_params", json!({"height": "2"})),
        ] {
            let question = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params.clone()});
            let ours = post(server.address(), &question).await;
            let mut theirs: Value = node.rpc.call(method, params).await.unwrap();
            // Who is absent has no signature; both are read as that.
            let signatures = theirs.pointer_mut("/signed_header/commit/signatures").and_then(Value::as_array_mut);
            for absent in signatures.into_iter().flatten().filter(|one| one["signature"].is_null()) {
                absent["signature"] = json!("");
            }
            assert_eq!(ours["result"], theirs, "{method}");
            assert_eq!(ours["id"], 7);
        }
        let high = json!({"jsonrpc": "2.0", "id": 1, "method": "commit", "params": {"height": "1000000"}});
        let refused = post(server.address(), &high).await;
        assert!(refused["error"]["data"].as_str().unwrap().contains("must be less than or equal to"), "{refused}");
        let other = json!({"jsonrpc": "2.0", "id": 1, "method": "broadcast_tx_sync", "params": {}});
        assert_eq!(post(server.address(), &other).await["error"]["code"], -32601);
    });
}

/// The same peer, as one that knows no priorities from a height on.
struct Unranked(Rpc, u64);

impl LightBlockSource for Unranked {
    async fn light_block(&self, height: u64) -> Result<SyncBlock, SourceError> {
        let block = Peer(self.0.clone()).light_block(height).await?;
        let priorities = block.priorities.iter().map(|priority| if height < self.1 { *priority } else { 0 }).collect();
        Ok(SyncBlock { priorities, ..block })
    }

    async fn consensus_params(&self, _: u64) -> Result<ConsensusParams, SourceError> {
        Ok(ConsensusParams::default())
    }
}

#[test]
fn a_peer_that_tells_no_priorities_of_proposers_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let key = keys::ensure(home.path()).unwrap().validator;
    let node = Node::start(home, settings(), &genesis_with(&[(key, 50), (absent_key(2), 2)]));
    node.wait_height(4);
    runtime().block_on(async {
        let question = |height: u64| {
            let params = json!({"height": height.to_string(), "page": "1", "per_page": "100"});
            json!({"jsonrpc": "2.0", "id": 7, "method": "validators", "params": params})
        };
        let server = serve(any(), Unranked(node.rpc.clone(), 3)).await.unwrap();
        assert!(post(server.address(), &question(2)).await["result"].is_object());
        let refused = post(server.address(), &question(3)).await;
        assert!(refused["error"]["data"].as_str().unwrap().contains("priorities of proposers"), "{refused}");
    });
}

#[test]
fn a_node_without_blocks_comes_from_a_snapshot_and_follows() {
    // The trusted header must be young.
    let genesis_secs = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - Duration::from_secs(60);
    let homes: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let public: Vec<_> = homes.iter().map(|home| keys::ensure(home.path()).unwrap()).collect();
    // The third comes by the snapshot. The others do without it, and their turns come in no simple order.
    let named: Vec<_> = public.iter().map(|keys| keys.validator).zip([31, 29, 2]).collect();
    let genesis = genesis_with(&named).replace(
        "2026-01-01T00:00:00Z",
        &tendermint::Time::from_unix_timestamp(i64::try_from(genesis_secs.as_secs()).unwrap(), 0).unwrap().to_rfc3339(),
    );
    let (first, second) = (settings(), settings());
    let peer =
        |keys: &keys::PublicKeys, settings: &CometSettings| format!("{}@{}", keys.node_id_hex(), settings.p2p_listen);
    let peers = vec![peer(&public[0], &first), peer(&public[1], &second)];
    let with = |settings: CometSettings, other: usize| CometSettings {
        persistent_peers: vec![peers[other].clone()],
        ..settings
    };
    let mut homes = homes.into_iter();
    let nodes = [
        Node::start(homes.next().unwrap(), with(first, 1), &genesis),
        Node::start(homes.next().unwrap(), with(second, 0), &genesis),
    ];
    nodes[0].wait_height(8);

    let runtime = runtime();
    let (trust_hash, servers) = runtime.block_on(async {
        let block = nodes[0].rpc.block(2).await.unwrap();
        let header = tendermint::block::Header::try_from(block.header.unwrap()).unwrap();
        let one = serve(any(), Peer(nodes[0].rpc.clone())).await.unwrap();
        let other = serve(any(), Peer(nodes[1].rpc.clone())).await.unwrap();
        (header.hash().to_string().to_lowercase(), [one, other])
    });
    let home = homes.next().unwrap();
    let layout = Layout::new(home.path()).unwrap();
    layout.make_folders().unwrap();
    let settings = CometSettings {
        persistent_peers: peers,
        state_sync: Some(StateSyncSettings {
            trust_height: 2,
            trust_hash,
            peers: vec!["http://one:1".to_owned(), "http://two:2".to_owned()],
            trust_hours: 1,
        }),
        ..settings()
    };
    assert!(!layout.has_blocks());
    let app = Tiny::default();
    let address = layout.abci_address(&settings).unwrap();
    let server = crate::abci::serve(app.clone(), &address, FrameLimits::default()).unwrap();
    let addresses = [servers[0].address(), servers[1].address()];
    write_config(&layout, &settings, server.address(), &genesis, Some(addresses)).unwrap();
    let binary = Binary::find(&settings).unwrap();
    let supervisor = Supervisor::start(layout.clone(), binary, settings.clone(), false).unwrap();
    let newest = nodes[0].app.height();
    wait("the node to follow", || app.height() > newest + 2);
    let calls = app.calls();
    grammar::check(&calls).unwrap();
    assert!(calls.contains(&Call::Apply) && !calls.contains(&Call::InitChain), "{calls:?}");
    assert_eq!(calls.iter().filter(|call| **call == Call::Finalize(3)).count(), 0, "it executed from the start");
    let health = supervisor.health();
    // It takes for the proposer whom the others take: their turns go by power, from those that came with the snapshot.
    let late = Rpc::new(&layout.rpc_socket());
    let turns = |rpc: &Rpc| {
        runtime.block_on(rpc.call::<Value>("dump_consensus_state", json!({}))).map(|state| turns_of(&state))
    };
    wait("one opinion of whose turn it is", || {
        let seen: Vec<_> = [&nodes[0].rpc, &nodes[1].rpc, &late].into_iter().map(turns).collect();
        let Ok(seen) = seen.into_iter().collect::<Result<Vec<_>, _>>() else { return false };
        let at_one_place = seen.iter().all(|turns| turns.0 == seen[0].0);
        assert!(!at_one_place || seen.iter().all(|turns| turns == &seen[0]), "{seen:?}");
        at_one_place && seen[0].1.iter().any(|priority| priority != "0")
    });
    wait("health that says so", || health.borrow().state == HealthState::Advancing && !health.borrow().catching_up);
    assert!(layout.has_blocks());
    supervisor.stop();

    // As a kill leaves it between the state that came and the first block after it; state sync comes again by itself.
    std::fs::remove_dir_all(layout.data().join("blockstore.db")).unwrap();
    let binary = Binary::find(&settings).unwrap();
    let offers = || app.calls().iter().filter(|call| **call == Call::Offer).count();
    let offered = offers();
    let without = CometSettings { state_sync: None, ..settings.clone() };
    let supervisor = Supervisor::start(layout.clone(), binary.clone(), without, false).unwrap();
    let health = supervisor.health();
    let advice = "put [cometbft.state_sync] back";
    wait("the remedy", || matches!(&health.borrow().state, HealthState::Failed(why) if why.contains(advice)));
    supervisor.stop();
    // A node that has executed blocks has lost them: nothing of it goes.
    let supervisor = Supervisor::start(layout.clone(), binary.clone(), settings.clone(), true).unwrap();
    let health = supervisor.health();
    let lost = "this node had blocks, and CometBFT has lost them";
    wait("what was lost", || matches!(&health.borrow().state, HealthState::Failed(why) if why.contains(lost)));
    supervisor.stop();
    let aside = layout.comet_home().join("unfinished-1");
    assert!(layout.data().join("state.db").is_dir() && !layout.has_blocks() && !aside.exists());
    let supervisor = Supervisor::start(layout.clone(), binary, settings, false).unwrap();
    let newest = nodes[0].app.height();
    wait("the node to follow again", || app.height() > newest + 2);
    assert!(offers() > offered && supervisor.health().borrow().restarts >= 1);
    assert!(aside.join("state.db").is_dir(), "what was there is put aside");
    supervisor.stop();
}
