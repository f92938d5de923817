//! A real `CometBFT`: blocks, calls, connections that are lost, processes that die.

use std::process::Command;
use std::sync::atomic::Ordering;

use db3_light_client::{LightClient, Options, TrustRoot, UnixTime};
use tempfile::TempDir;

use super::application::Tiny;
use super::grammar;
use super::network::{Node, genesis, runs, settings, wait};
use crate::rpc::Broadcasted;
use crate::{Broadcast, CometSettings, HealthState, keys};

fn kill(pid: u32, signal: &str) {
    let status = Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn makes_blocks_by_the_grammar_and_gives_headers_that_a_light_client_takes() {
    let node = Node::alone(settings());
    node.wait_height(3);
    grammar::check(&node.app.calls()).unwrap();
    wait("health that says so", || node.health().is_advancing());
    let health = node.health();
    assert!(health.height >= 1 && health.restarts == 0, "{health:?}");

    runtime().block_on(async {
        let broadcast = Broadcast::new(&node.layout.grpc_socket());
        assert!(matches!(broadcast.send(b"a bundle".to_vec()).await, Ok(Broadcasted::Committed(_))));
        assert!(matches!(broadcast.send(b"bad one".to_vec()).await, Ok(Broadcasted::Refused { code: 1, .. })));
        assert_eq!(node.app.txs.load(Ordering::SeqCst), 1);

        let status = node.rpc.status().await.unwrap();
        let public = keys::ensure(node.home.path()).unwrap();
        assert_eq!(status.node_id, public.node_id_hex());
        assert_eq!((status.power, status.base), (10, 1));
        let root =
            TrustRoot::new("tiny", 0, UnixTime::new(1_767_225_599, 0).unwrap(), &[(public.validator, 10)]).unwrap();
        let mut client = LightClient::from_root(root, Options::never_expires());
        let now = UnixTime::MAX.saturating_sub_secs(1);
        for height in 1..=3 {
            let block = node.rpc.light_block(height).await.unwrap();
            let header = client.verify(&block, None, now).unwrap();
            assert_eq!(header.height, height);
            let block = node.rpc.block(height).await.unwrap();
            assert_eq!(block.header.unwrap().height, i64::try_from(height).unwrap());
        }
        assert_eq!(node.rpc.validators(2).await.unwrap().len(), 1);
        assert_eq!(node.rpc.consensus_params(2).await.unwrap().block.unwrap().max_bytes, 4_194_304);
        assert!(node.rpc.light_block(1_000_000).await.is_err());
    });
    let pid = node.pid();
    let health = node.supervisor.health();
    node.supervisor.stop();
    assert!(!runs(pid));
    assert_eq!(health.borrow().state, HealthState::Stopped);
}

#[test]
fn a_process_that_dies_is_started_again_and_the_application_goes_on() {
    let node = Node::alone(settings());
    node.wait_height(2);
    let pid = node.pid();
    let height = node.app.height();
    kill(pid, "-KILL");
    wait("another process", || node.health().pid.is_some_and(|new| new != pid));
    node.wait_height(height + 2);
    assert!(node.health().restarts >= 1);
    let calls = node.app.calls();
    grammar::check(&calls).unwrap();
    assert_eq!(calls.iter().filter(|call| **call == super::application::Call::InitChain).count(), 1);
}

#[test]
fn a_panic_in_the_application_is_reported_and_both_go_on_from_the_last_commit() {
    let node = Node::alone(CometSettings { abci: "tcp://127.0.0.1:0".to_owned(), ..settings() });
    node.wait_height(2);
    let faults = node.server.faults();
    node.app.panics.store(true, Ordering::SeqCst);
    wait("the fault", || faults.borrow().is_some());
    let height = node.app.height();
    node.wait_height(height + 2);
    assert!(node.health().restarts >= 1);
    grammar::check(&node.app.calls()).unwrap();
}

#[test]
fn restarts_on_demand_at_once() {
    let node = Node::alone(settings());
    node.wait_height(1);
    let pid = node.pid();
    node.supervisor.restart("the test says so");
    wait("another process", || node.health().pid.is_some_and(|new| new != pid));
    let height = node.app.height();
    node.wait_height(height + 1);
    assert!(!runs(pid));
}

#[test]
fn an_application_that_lost_its_state_is_brought_back_by_replay_and_one_with_another_root_is_fatal() {
    let node = Node::alone(settings());
    node.wait_height(3);
    let Node { home, layout, supervisor, server, .. } = node;
    supervisor.stop();
    server.stop();
    let blocks = || {
        let key = keys::ensure(layout.home()).unwrap();
        genesis(&[key.validator])
    };
    // The application begins anew: CometBFT has it execute the blocks again.
    let node = Node::start(home, settings(), &blocks());
    node.wait_height(4);
    grammar::check(&node.app.calls()).unwrap();
    let Node { home, supervisor, server, .. } = node;
    supervisor.stop();
    server.stop();

    let settings = settings();
    let app = Tiny::default();
    app.lies.store(true, Ordering::SeqCst);
    let address = layout.abci_address(&settings).unwrap();
    let server = crate::abci::serve(app, &address, crate::FrameLimits::default()).unwrap();
    crate::write_config(&layout, &settings, server.address(), &blocks(), None).unwrap();
    let binary = crate::Binary::find(&settings).unwrap();
    let supervisor = crate::Supervisor::start(layout.clone(), binary, settings, true).unwrap();
    let health = supervisor.health();
    wait("the fatal end", || matches!(health.borrow().state, HealthState::Fatal(_)));
    let HealthState::Fatal(text) = health.borrow().state.clone() else { panic!("fatal") };
    assert!(text.contains("AppHash"), "{text}");
    assert_eq!(health.borrow().pid, None);
    drop::<TempDir>(home);
}

#[test]
fn a_process_whose_height_does_not_grow_is_started_again_ever_more_seldom_until_it_does() {
    let homes: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    let public: Vec<_> = homes.iter().map(|home| keys::ensure(home.path()).unwrap()).collect();
    let genesis = genesis(&public.iter().map(|keys| keys.validator).collect::<Vec<_>>());
    let patient = || CometSettings { stalled_secs: 5, ..settings() };
    let (first, second) = (patient(), patient());
    let peer = format!("{}@{}", public[1].node_id_hex(), second.p2p_listen);
    let mut homes = homes.into_iter();
    // Half of the power makes no block.
    let first = CometSettings { persistent_peers: vec![peer], ..first };
    let node = Node::start(homes.next().unwrap(), first, &genesis);
    let pid = node.pid();
    let began = std::time::Instant::now();
    wait("a restart", || node.health().restarts == 1);
    assert!(began.elapsed().as_secs() >= 5 && !runs(pid));
    wait("the next restart", || node.health().restarts == 2);
    assert!(began.elapsed().as_secs() >= 15, "5 seconds, then 10");
    let other = Node::start(homes.next().unwrap(), second, &genesis);
    node.wait_height(2);
    other.wait_height(2);
    wait("health that says so", || node.health().is_advancing());
}

#[test]
fn before_the_time_of_the_genesis_processes_are_left_to_wait_and_then_begin_by_themselves() {
    let homes: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    let public: Vec<_> = homes.iter().map(|home| keys::ensure(home.path()).unwrap()).collect();
    let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    // They wait for longer than a height may take.
    let begins = clock() + 15;
    let time = db3_primitives::BlockTime::new(begins, 0).unwrap().rfc3339();
    let genesis = genesis(&public.iter().map(|keys| keys.validator).collect::<Vec<_>>());
    let genesis = genesis.replace("2026-01-01T00:00:00Z", &time);
    let mut all = [(); 2].map(|()| CometSettings { stalled_secs: 10, ..settings() });
    all[0].persistent_peers = vec![format!("{}@{}", public[1].node_id_hex(), all[1].p2p_listen)];
    let nodes: Vec<_> =
        homes.into_iter().zip(all).map(|(home, settings)| Node::start(home, settings, &genesis)).collect();
    let pids: Vec<_> = nodes.iter().map(Node::pid).collect();
    wait("the time of the genesis", || {
        // Looked at before the clock: what is seen of after the time is not judged.
        let waits = nodes.iter().all(|node| node.app.height() == 0 && !node.health().is_advancing());
        let late = clock() >= begins;
        assert!(late || waits);
        late
    });
    for (node, pid) in nodes.iter().zip(pids) {
        node.wait_height(2);
        assert_eq!((node.health().restarts, node.health().pid), (0, Some(pid)), "nothing was done for it");
    }
}

#[test]
fn a_process_that_answers_nothing_is_not_said_to_make_blocks() {
    let node = Node::alone(CometSettings { stalled_secs: 5, ..settings() });
    wait("blocks", || node.health().is_advancing());
    let pid = node.pid();
    kill(pid, "-STOP");
    wait("health that says so", || node.health().state == HealthState::Stalled);
    assert_eq!((node.health().pid, node.health().restarts), (Some(pid), 0), "before it is ended for it");
    kill(pid, "-CONT");
    let height = node.app.height();
    node.wait_height(height + 2);
    wait("health that is well again", || node.health().is_advancing());
}

#[test]
fn a_peer_whose_words_are_those_of_a_fatal_error_ends_nobody() {
    let keys = |home: &TempDir| keys::ensure(home.path()).unwrap();
    let [own, strange] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (own_keys, strange_keys) = (keys(&own), keys(&strange));
    // What it says of its network is told in an error at every dial.
    let words = "wrong Block.Header.AppHash +2/3";
    let stranger = settings();
    let (way, dials) = counted_way(stranger.p2p_listen.clone());
    let _stranger = Node::start(strange, stranger, &genesis(&[strange_keys.validator]).replace("tiny", words));
    let peer = format!("{}@{way}", strange_keys.node_id_hex());
    let settings = CometSettings { persistent_peers: vec![peer], ..settings() };
    let node = Node::start(own, settings, &genesis(&[own_keys.validator]));
    wait("dials that ended", || dials.load(Ordering::SeqCst) >= 2);
    let height = node.app.height();
    node.wait_height(height + 5);
    let health = node.health();
    assert_eq!((health.restarts, health.state), (0, HealthState::Advancing));
}

/// A way to an address, and how many connections went it to their end with something said in both directions.
fn counted_way(to: String) -> (std::net::SocketAddr, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use std::io::copy;
    use std::net::{Shutdown, TcpListener, TcpStream};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let way = listener.local_addr().unwrap();
    let ended = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&ended);
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let near = near.unwrap();
            let Ok(far) = TcpStream::connect(&to) else { continue };
            let (mut near_reads, mut far_writes) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            let there = std::thread::spawn(move || {
                let said = copy(&mut near_reads, &mut far_writes);
                // Closed already where both hang up.
                let _ = far_writes.shutdown(Shutdown::Both);
                said.unwrap_or(1)
            });
            let (mut far_reads, mut near_writes) = (far, near);
            let back = copy(&mut far_reads, &mut near_writes).unwrap_or(1);
            let _ = near_writes.shutdown(Shutdown::Both);
            if back > 0 && there.join().unwrap() > 0 {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    (way, ended)
}

#[test]
fn what_is_stored_is_shown_and_going_back_too_far_changes_nothing() {
    let node = Node::alone(settings());
    node.wait_height(5);
    let Node { home, supervisor, server, layout, .. } = node;
    supervisor.stop();
    server.stop();
    let binary = crate::Binary::find(&settings()).unwrap();
    // A copy of a folder names the socket of the one that it was made from.
    let config = layout.config().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("rpc.sock", "nowhere/rpc.sock")).unwrap();
    let look = || crate::inspect(&layout, &binary, 3).unwrap();
    // Also where the caller's thread drives a runtime.
    let stored = runtime().block_on(async { look() });
    assert!(stored.height >= 5, "{}", stored.height);
    assert_eq!(stored.block.unwrap().header.unwrap().height, 3);
    let before = stored.height;
    let error = crate::rollback(&layout, &binary, before + 1).unwrap_err();
    let crate::CometError::RollbackBelow { height, .. } = error else { panic!("{error}") };
    // Whether the newest block was executed is not known here: a second time is as the first.
    let again = crate::rollback(&layout, &binary, before + 1).unwrap_err();
    assert!(matches!(again, crate::CometError::RollbackBelow { height: again, .. } if again == height));
    assert_eq!(crate::rollback(&layout, &binary, height).unwrap(), height);
    assert_eq!(look().height, before, "blocks stay");
    assert!(!layout.comet_home().join("rehearsal").exists());
    std::fs::remove_dir_all(layout.data().join("blockstore.db")).unwrap();
    assert!(!layout.has_blocks());
    drop::<TempDir>(home);
}

#[test]
fn four_validators_go_on_without_one_and_it_comes_back() {
    let homes: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let public: Vec<_> = homes.iter().map(|home| keys::ensure(home.path()).unwrap()).collect();
    let genesis = genesis(&public.iter().map(|keys| keys.validator).collect::<Vec<_>>());
    let mut all: Vec<_> = (0..4).map(|_| settings()).collect();
    let addresses: Vec<_> = all.iter().map(|settings| settings.p2p_listen.clone()).collect();
    for (own, settings) in all.iter_mut().enumerate() {
        let others = public.iter().zip(&addresses).enumerate().filter(|(index, _)| *index != own);
        settings.persistent_peers =
            others.map(|(_, (keys, address))| format!("{}@{address}", keys.node_id_hex())).collect();
    }
    let nodes: Vec<_> =
        homes.into_iter().zip(all).map(|(home, settings)| Node::start(home, settings, &genesis)).collect();
    for node in &nodes {
        node.wait_height(3);
    }
    wait("all to be connected", || nodes.iter().all(|node| node.health().peers == 3));
    kill(nodes[3].pid(), "-STOP");
    let height = nodes[0].app.height();
    nodes[0].wait_height(height + 3);
    kill(nodes[3].pid(), "-KILL");
    let height = nodes[0].app.height();
    nodes[3].wait_height(height + 2);
    for node in &nodes {
        grammar::check(&node.app.calls()).unwrap();
    }
    let light = |node: &Node| runtime().block_on(node.rpc.light_block(3)).unwrap();
    let hash = |bytes: &[u8]| db3_light_client::ClaimedHeader::read(bytes).unwrap();
    let first = hash(&light(&nodes[0]));
    assert!(nodes.iter().all(|node| hash(&light(node)) == first));
}

#[test]
fn ends_with_its_parent() {
    // A process that does what a node does, and is killed.
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("pid");
    let own = std::env::current_exe().unwrap();
    let mut parent = Command::new(own)
        .args(["--exact", "tests::process::is_a_parent_when_asked", "--nocapture"])
        .env("DB3_COMET_TEST_PARENT", &file)
        .spawn()
        .unwrap();
    let pid = || std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<u32>().ok());
    wait("the process's number", || pid().is_some());
    let pid = pid().unwrap();
    assert!(runs(pid));
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait("its end", || !runs(pid));
}

/// Does nothing, unless `ends_with_its_parent` runs it in a process of its own.
#[test]
fn is_a_parent_when_asked() {
    let Some(file) = std::env::var_os("DB3_COMET_TEST_PARENT") else { return };
    let node = Node::alone(settings());
    node.wait_height(1);
    db3_genesis::write_atomic(std::path::Path::new(&file), node.pid().to_string().as_bytes()).unwrap();
    loop {
        std::thread::park();
    }
}
