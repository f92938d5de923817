//! Chains on real `CometBFT` processes (`scripts/install-cometbft` puts the program where they find it).

mod four;
mod one;
mod settlement;
mod sync;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use db3_comet::{CometSettings, keys};
use db3_genesis::{GenesisDocument, GenesisInput, Validator};
use db3_primitives::{CreditEntry, Height, LineEntry, Tai};
use tempfile::TempDir;

use super::grammar::{self, Call};
use super::support::{Account, CEILING, Settlement, settings, soon};
use crate::{Chain, ChainConfig, ChainHandle, EngineKind, Machine, genesis_file, lock};

/// Nodes of one shard, in one folder, and the settlement chain that they hear.
struct Net {
    folder: TempDir,
    nodes: Vec<Node>,
    settlement: Settlement,
}

struct Node {
    home: PathBuf,
    port: u16,
    id: String,
}

impl Net {
    /// A shard of so many validators, none of them started.
    fn new(validators: usize) -> Self {
        Self::with_powers(&vec![10; validators])
    }

    /// The same of validators with these powers.
    fn with_powers(powers: &[u64]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settlement = Settlement::new();
        let ports = free_ports(powers.len());
        let mut named = Vec::new();
        let mut nodes = Vec::new();
        for (number, port) in ports.into_iter().enumerate() {
            let power = powers[number];
            let home = folder.path().join(format!("n{number}"));
            std::fs::create_dir_all(home.join("config")).unwrap();
            let public = keys::ensure(&home).unwrap();
            named.push(Validator { pubkey: public.validator, power });
            nodes.push(Node { home, port, id: public.node_id_hex() });
        }
        let input = settlement.shard(None);
        let genesis = GenesisDocument::new(GenesisInput {
            time: input.time.unwrap(),
            initial_height: Height::new(1),
            validators: named,
            app_hash: None,
            app_state: input.app_state,
        })
        .unwrap();
        for node in &nodes {
            genesis.save(&genesis_file(&node.home)).unwrap();
        }
        Self { folder, nodes, settlement }
    }

    fn config(&self, number: usize) -> ChainConfig {
        let node = &self.nodes[number];
        let others = self.nodes.iter().filter(|other| other.id != node.id);
        let cometbft = CometSettings {
            p2p_listen: format!("127.0.0.1:{}", node.port),
            persistent_peers: others.map(|other| format!("{}@127.0.0.1:{}", other.id, other.port)).collect(),
            pex: false,
            private_network: true,
            timeout_commit_ms: 100,
            ..CometSettings::default()
        };
        ChainConfig { engine: EngineKind::CometBft, cometbft, ..settings(&node.home) }
    }

    async fn start(&self, number: usize) -> ChainHandle {
        let chain = self.launch(number).await;
        ready(&chain).await;
        chain
    }

    async fn launch(&self, number: usize) -> ChainHandle {
        ChainHandle::launch(self.config(number)).await.unwrap()
    }

    /// Gives accounts 1 to 9 their lines, through a delivery to this node.
    async fn fund(&mut self, chain: &ChainHandle) -> Height {
        for number in 1..10 {
            let line = LineEntry { account: Account::new(number).address(), ceiling: Tai::new(CEILING) };
            self.settlement.says(CreditEntry::Line(line));
        }
        let delivery = self.settlement.delivery(0, 0);
        let height = chain.submit_delivery(delivery).await.unwrap().block(soon()).await.unwrap().unwrap();
        chain.wait_height(height, soon()).await.unwrap();
        height
    }
}

/// That `CometBFT` made its calls of the application as the specification says. `before` are those of an earlier start; a
/// node that begins has none. Gives the calls since the start.
fn by_the_grammar<M: Machine>(before: &[Call], chain: &Chain<M>) -> Vec<Call> {
    let calls = lock(&chain.app().inner.calls).clone();
    grammar::check(&[before, &calls].concat()).unwrap();
    calls
}

/// Of a node that has begun. (How far it is on the disk, and which blocks come again, is its own affair.)
const BEGUN: [Call; 2] = [Call::Info, Call::InitChain];

async fn ready<M: Machine>(chain: &Chain<M>) {
    tokio::time::timeout(Duration::from_secs(60), chain.ready()).await.expect("no first block").unwrap();
}

/// Ports that nobody uses just now.
pub(super) fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// The root after a height, as a node wrote it down.
fn root(chain: &ChainHandle, height: Height) -> [u8; 32] {
    chain.store().summary(height).unwrap().expect("the block").root
}

/// The processes that run with a folder in their command line.
fn processes(folder: &Path) -> Vec<u32> {
    let folder = folder.to_str().unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let of_folder = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(folder)
    };
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(of_folder).collect()
}
