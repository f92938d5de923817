//! `CometBFT`'s config.toml, genesis and signing state, written before each start: a fixed text with our values, so that
//! nothing that somebody changed by hand lives on. docs/adr has the measured reasons for the values.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use db3_genesis::write_atomic;
use db3_primitives::limits::TX_BYTES_MAX;

use crate::abci::AbciAddress;
use crate::error::CometError;
use crate::keys;
use crate::layout::{Layout, SIGNED};
use crate::settings::{CometSettings, StateSyncSettings};

/// What a validator that has signed nothing yet says.
const NOTHING_SIGNED: &str = "{\n  \"height\": \"0\",\n  \"round\": 0,\n  \"step\": 0\n}\n";

/// Writes what `CometBFT` is started with. Keys are made if they are missing, the
/// validator's only if no signer elsewhere has it. `abci` is where the application listens,
/// `genesis_json` the chain's genesis as `CometBFT` reads it, `sync_servers` where state sync asks for headers (needed
/// if the settings want state sync; `CometBFT` looks at it only where it has no state).
///
/// # Errors
/// A setting cannot be, or a file cannot be written.
pub fn write_config(
    layout: &Layout,
    settings: &CometSettings,
    abci: &AbciAddress,
    genesis_json: &str,
    sync_servers: Option<[SocketAddr; 2]>,
) -> Result<(), CometError> {
    settings.check()?;
    layout.make_folders()?;
    match settings.priv_validator_laddr {
        Some(_) => keys::ensure_node(layout.home()).map(|_| ())?,
        None => keys::ensure(layout.home()).map(|_| ())?,
    }
    // Whether it still wants a snapshot is known to CometBFT alone: a kill may have left its databases there and empty.
    let sync = settings.state_sync.as_ref().zip(sync_servers);
    let config = config_toml(layout, settings, abci, sync);
    replace(&layout.config().join("config.toml"), &config)?;
    replace(&layout.genesis(), genesis_json)?;
    let signed = layout.data().join(SIGNED);
    // What was signed is never forgotten: a second signature at one height costs the validator its power.
    if signed.exists() { Ok(()) } else { replace(&signed, NOTHING_SIGNED) }
}

fn replace(path: &Path, text: &str) -> Result<(), CometError> {
    if fs::read(path).is_ok_and(|found| found == text.as_bytes()) {
        return Ok(());
    }
    write_atomic(path, text.as_bytes()).map_err(CometError::file(path))
}

/// The configuration. All paths and addresses in it were looked at: none can end a text.
#[expect(clippy::too_many_lines, reason = "one text, which reads best in one piece")]
fn config_toml(
    layout: &Layout,
    settings: &CometSettings,
    abci: &AbciAddress,
    sync: Option<(&StateSyncSettings, [SocketAddr; 2])>,
) -> String {
    let home = layout.home().display();
    let (rpc, grpc) = (layout.rpc_socket(), layout.grpc_socket());
    let (rpc, grpc) = (rpc.display(), grpc.display());
    let name = layout.home().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let moniker: String = name.chars().filter(char::is_ascii_graphic).take(64).collect();
    let CometSettings {
        p2p_listen,
        p2p_external,
        pex,
        private_network,
        timeout_commit_ms,
        timeout_propose_ms,
        timeout_vote_ms,
        peer_bytes_per_sec,
        mempool_txs,
        mempool_bytes,
        mempool_cache,
        double_sign_check_height,
        log_level,
        ..
    } = settings;
    let peers = settings.persistent_peers.join(",");
    let ids = settings.peers().map(|(id, _)| id.to_ascii_lowercase()).collect::<Vec<_>>().join(",");
    let signer = settings.priv_validator_laddr.as_deref().unwrap_or_default();
    // CometBFT makes a key where this names none, also if it never signs with it: that one must not look like ours.
    let key_file = match settings.priv_validator_laddr {
        Some(_) => "data/unused_validator_key.json".to_owned(),
        None => format!("{home}/config/priv_validator_key.json"),
    };
    let strict = !private_network;
    let mut text = format!(
        r#"# Written by the node before each start: change node.toml, section [cometbft].
version = "{version}"
proxy_app = "{abci}"
moniker = "{moniker}"
db_backend = "goleveldb"
db_dir = "data"
log_level = "{log_level}"
log_format = "json"
genesis_file = "config/genesis.json"
priv_validator_key_file = "{key_file}"
priv_validator_state_file = "data/priv_validator_state.json"
priv_validator_laddr = "{signer}"
node_key_file = "{home}/config/node_key.json"
abci = "socket"
filter_peers = false

[rpc]
laddr = "unix://{rpc}"
grpc_laddr = "unix://{grpc}"
grpc_max_open_connections = 16
# For dial_peers; the socket is the node's alone.
unsafe = true
max_open_connections = 64
max_subscription_clients = 16
# All calls of the broadcast service count as one subscriber.
max_subscriptions_per_client = 4096
timeout_broadcast_tx_commit = "10s"
max_body_bytes = 4194304

[p2p]
laddr = "tcp://{p2p_listen}"
external_address = "{p2p_external}"
persistent_peers = "{peers}"
# For those there is always a place, however many strangers hold theirs.
unconditional_peer_ids = "{ids}"
addr_book_strict = {strict}
allow_duplicate_ip = {private_network}
max_num_inbound_peers = 64
max_num_outbound_peers = 16
persistent_peers_max_dial_period = "10s"
flush_throttle_timeout = "10ms"
max_packet_msg_payload_size = 32768
send_rate = {peer_bytes_per_sec}
recv_rate = {peer_bytes_per_sec}
pex = {pex}

[mempool]
type = "flood"
recheck = true
broadcast = true
size = {mempool_txs}
max_txs_bytes = {mempool_bytes}
cache_size = {mempool_cache}
keep-invalid-txs-in-cache = false
max_tx_bytes = {TX_BYTES_MAX}

[blocksync]
version = "v0"

[consensus]
timeout_propose = "{timeout_propose_ms}ms"
timeout_propose_delta = "500ms"
timeout_prevote = "{timeout_vote_ms}ms"
timeout_prevote_delta = "500ms"
timeout_precommit = "{timeout_vote_ms}ms"
timeout_precommit_delta = "500ms"
timeout_commit = "{timeout_commit_ms}ms"
double_sign_check_height = {double_sign_check_height}
create_empty_blocks = true
create_empty_blocks_interval = "0s"
peer_gossip_sleep_duration = "10ms"

[storage]
discard_abci_responses = true

[tx_index]
indexer = "null"

[instrumentation]
prometheus = false
"#,
        version = crate::COMETBFT_VERSION,
    );
    if let Some((sync, [first, second])) = sync {
        let StateSyncSettings { trust_height, trust_hours, .. } = sync;
        let trust_hash = sync.trust_hash_digits();
        // Writing to a text cannot fail.
        let _ = write!(
            text,
            r#"
[statesync]
enable = true
rpc_servers = "http://{first},http://{second}"
trust_height = {trust_height}
trust_hash = "{trust_hash}"
trust_period = "{trust_hours}h0m0s"
discovery_time = "5s"
chunk_request_timeout = "10s"
chunk_fetchers = "4"
"#
        );
    }
    text
}
