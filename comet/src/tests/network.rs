//! Real `CometBFT` processes in folders of their own.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::application::Tiny;
use crate::abci::{AbciServer, FrameLimits, serve};
use crate::{Binary, CometSettings, Health, Layout, Rpc, Supervisor, keys, write_config};

/// One node: folder, application, server, process.
pub struct Node {
    pub supervisor: Supervisor,
    pub server: AbciServer,
    pub rpc: Rpc,
    pub app: Tiny,
    pub layout: Layout,
    // Last, so that what is in it is there until nobody needs it.
    pub home: TempDir,
}

/// Settings of a test on this machine, with a free port.
pub fn settings() -> CometSettings {
    CometSettings {
        p2p_listen: format!("127.0.0.1:{}", free_port()),
        private_network: true,
        timeout_commit_ms: 100,
        ..CometSettings::default()
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A genesis of validators with equal power.
pub fn genesis(validators: &[[u8; 32]]) -> String {
    genesis_with(&validators.iter().map(|key| (*key, 10)).collect::<Vec<_>>())
}

/// A genesis of validators with their powers.
pub fn genesis_with(validators: &[([u8; 32], u64)]) -> String {
    let validators: Vec<_> = validators
        .iter()
        .map(|(key, power)| {
            serde_json::json!({
                "pub_key": {"type": "tendermint/PubKeyEd25519", "value": STANDARD.encode(key)},
                "power": power.to_string(),
                "name": "",
            })
        })
        .collect();
    serde_json::json!({
        "genesis_time": "2026-01-01T00:00:00Z",
        "chain_id": "tiny",
        "initial_height": "1",
        "consensus_params": {
            "block": {"max_bytes": "4194304", "max_gas": "-1"},
            "evidence": {"max_age_num_blocks": "100000", "max_age_duration": "172800000000000", "max_bytes": "1048576"},
            "validator": {"pub_key_types": ["ed25519"]},
            "version": {"app": "1"},
            "abci": {"vote_extensions_enable_height": "0"},
        },
        "validators": validators,
        "app_hash": "",
    })
    .to_string()
}

impl Node {
    /// One validator alone.
    pub fn alone(settings: CometSettings) -> Self {
        let home = tempfile::tempdir().unwrap();
        let key = keys::ensure(home.path()).unwrap();
        Self::start(home, settings, &genesis(&[key.validator]))
    }

    pub fn start(home: TempDir, settings: CometSettings, genesis: &str) -> Self {
        let layout = Layout::new(home.path()).unwrap();
        layout.make_folders().unwrap();
        let app = Tiny::default();
        let address = layout.abci_address(&settings).unwrap();
        let server = serve(app.clone(), &address, FrameLimits::default()).unwrap();
        write_config(&layout, &settings, server.address(), genesis, None).unwrap();
        let binary = Binary::find(&settings).unwrap();
        let rpc = Rpc::new(&layout.rpc_socket());
        let supervisor = Supervisor::start(layout.clone(), binary, settings, false).unwrap();
        Self { supervisor, server, rpc, app, layout, home }
    }

    pub fn health(&self) -> Health {
        self.supervisor.health().borrow().clone()
    }

    pub fn pid(&self) -> u32 {
        let pid = || self.health().pid;
        wait("a process", || pid().is_some());
        pid().unwrap()
    }

    pub fn wait_height(&self, height: i64) {
        wait(&format!("height {height}; {:?}", self.health()), || self.app.height() >= height);
    }
}

/// Waits for a condition, a minute at most.
pub fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < until, "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process with this number runs and is no zombie.
pub fn runs(pid: u32) -> bool {
    let Ok(status) = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")) else {
        return false;
    };
    !status.lines().any(|line| line.starts_with("State:") && line.contains('Z'))
}
