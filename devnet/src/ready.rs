//! What a devnet says of itself once it serves: the ready file, and the answer to `status`.

use db3_genesis::write_atomic;
use serde::{Deserialize, Serialize};

use crate::accounts::Account;

/// The ready file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Path of the network file.
    pub network_file: String,
    /// The funded accounts whose keys are known.
    pub accounts: Vec<Account>,
    /// The chains' nodes.
    pub nodes: Vec<Node>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its chain.
    pub chain_id: String,
    /// Number of the node within its chain; a devnet has one each.
    pub index: u32,
    /// Where it serves gRPC, for example `http://127.0.0.1:7301`.
    pub grpc: String,
    /// The process that it runs in.
    pub pid: u32,
}

impl Ready {
    /// Writes it, whole or not at all.
    pub fn write(&self, path: &std::path::Path) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        write_atomic(path, text.as_bytes())
            .map_err(|error| anyhow::anyhow!("cannot write the ready file {}: {error}", path.display()))
    }
}
