//! A new folder for a chain of its own: key, genesis, settings.

use std::path::{Path, PathBuf};

use db3_comet::keys;
use db3_genesis::{AppState, GenesisDocument, GenesisInput, Validator, write_atomic};
use db3_primitives::{BlockTime, Height};

use crate::app::Clock;
use crate::config::{ChainConfig, config_file};
use crate::error::StartError;
use crate::store::StoreError;

/// What a new chain of one validator is made from.
#[derive(Clone, Debug)]
pub struct InitInput {
    /// Its first state. It names the validators of other chains, which [`make_key`] gives before.
    pub app_state: AppState,
    /// When it begins; none: now. Chains of one network begin at the same time.
    pub time: Option<BlockTime>,
}

/// Where the genesis of a folder stands.
#[must_use]
pub fn genesis_file(home: &Path) -> PathBuf {
    home.join("config").join("genesis.json")
}

/// The one validator of a new chain: its key is made in the folder, or is the one that is there.
pub fn make_key(home: &Path) -> Result<Validator, StartError> {
    Ok(Validator { pubkey: keys::ensure(home)?.validator, power: 10 })
}

/// Makes a folder for a chain with one validator, whose key is that of [`make_key`]. `settings` are written to its file.
pub fn init(home: &Path, input: &InitInput, settings: &ChainConfig) -> Result<GenesisDocument, StartError> {
    check_empty(home)?;
    let genesis = make_genesis(home, input.app_state.clone(), Height::new(1), None, input.time)?;
    write_settings(home, settings)?;
    genesis.save(&genesis_file(home))?;
    Ok(genesis)
}

pub(crate) fn make_genesis(
    home: &Path,
    app_state: AppState,
    initial_height: Height,
    app_hash: Option<[u8; 32]>,
    time: Option<BlockTime>,
) -> Result<GenesisDocument, StartError> {
    Ok(GenesisDocument::new(GenesisInput {
        time: time.unwrap_or_else(|| Clock::default().now()),
        initial_height,
        validators: vec![make_key(home)?],
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
