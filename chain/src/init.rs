//! A new folder for a chain of its own: key, genesis, settings.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use db3_genesis::{GenesisDocument, GenesisInput, ShardGenesis, Validator, write_atomic};
use db3_primitives::{Address, BlockTime, Height, NetworkName, ShardId, Tai};

use crate::app::Clock;
use crate::config::{ChainConfig, config_file};
use crate::error::StartError;
use crate::solo::new_key;
use crate::store::StoreError;

/// What a new shard chain of one validator is made from.
#[derive(Clone, Debug)]
pub struct InitInput {
    /// The network.
    pub network: NetworkName,
    /// Which of its shards.
    pub shard: ShardId,
    /// How many it has.
    pub shards: u32,
    /// Length of an epoch in seconds.
    pub epoch_secs: NonZeroU64,
    /// Ceilings.
    pub lines: Vec<(Address, Tai)>,
    /// When it begins; none: now. Chains of one network begin at the same time.
    pub time: Option<BlockTime>,
}

/// Where the genesis of a folder stands.
#[must_use]
pub fn genesis_file(home: &Path) -> PathBuf {
    home.join("config").join("genesis.json")
}

/// Makes a folder for a chain with one validator, whose key is made here. `settings` are written to its file.
pub fn init(home: &Path, input: &InitInput, settings: &ChainConfig) -> Result<GenesisDocument, StartError> {
    check_empty(home)?;
    let app_state = ShardGenesis::new(&input.network, input.shard, input.shards, input.epoch_secs, &input.lines);
    let genesis = make_genesis(home, app_state, Height::new(1), None, input.time)?;
    write_settings(home, settings)?;
    genesis.save(&genesis_file(home))?;
    Ok(genesis)
}

pub(crate) fn make_genesis(
    home: &Path,
    app_state: ShardGenesis,
    initial_height: Height,
    app_hash: Option<[u8; 32]>,
    time: Option<BlockTime>,
) -> Result<GenesisDocument, StartError> {
    let key = new_key(home)?;
    Ok(GenesisDocument::new(GenesisInput {
        time: time.unwrap_or_else(|| Clock::default().now()),
        initial_height,
        validators: vec![Validator { pubkey: key.public_key(), power: 10 }],
        app_hash,
        app_state,
    })?)
}

/// Refuses a folder that holds a chain already.
pub(crate) fn check_empty(home: &Path) -> Result<(), StartError> {
    let taken = [genesis_file(home), home.join("data")].iter().any(|path| path.exists());
    if taken { Err(StartError::NotEmpty(home.to_owned())) } else { Ok(()) }
}

pub(crate) fn write_settings(home: &Path, settings: &ChainConfig) -> Result<(), StartError> {
    let path = config_file(home);
    let file = |source| StartError::Store(StoreError::File { path: path.clone(), source });
    let section = toml::to_string(settings).map_err(|error| file(std::io::Error::other(error)))?;
    let text = format!(
        "# Settings of this node. A variable DB3_NODE_<NAME> in the environment goes before them, a flag before both.\n\
         \n[chain]\n{section}"
    );
    write_atomic(&path, text.as_bytes()).map_err(file)
}
