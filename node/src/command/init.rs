//! `init`: the folder of a new chain with one validator, whose key is made here.

use std::fs::File;
use std::io::{BufReader, Write as _};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use db3_chain::config::config_file;
use db3_chain::transfer::{ImportInput, TransferError, import};
use db3_chain::{ChainConfig, InitInput};
use db3_genesis::{ChainEntry, GenesisDocument, NetworkFile, NetworkKind};
use db3_primitives::{Address, ChainId, NetworkName, ShardId, Tai};
use serde_json::json;

use super::failure::Failure;
use super::settings::{default_listen, explained};
use super::{Output, home};
use crate::kind::Kind;

/// Shown after the help.
pub const EXAMPLES: &str = "Examples:
  {program} init --network mine --line 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266=1000db3
  {program} init --import mine-shard-0.ndjson --home ./mine-shard-0";

/// Options of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Name of the network: 1 to 32 of a-z 0-9 and -
    #[arg(long, value_name = "NAME", default_value = "solo")]
    network: NetworkName,
    /// Number of this shard, from 0
    #[arg(long, value_name = "N", default_value = "0")]
    shard: ShardId,
    /// How many shards the network has
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1024))]
    shards: u32,
    /// Length of an epoch in seconds
    #[arg(long, value_name = "SECS", default_value = "600", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    epoch_secs: u64,
    /// Credit of an account on this shard, with its unit (may be repeated)
    #[arg(long, value_name = "ADDRESS=AMOUNT", value_parser = line)]
    line: Vec<(Address, Tai)>,
    /// Begin with the state in this file, which `shard-node export` wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["network", "shard", "shards", "epoch_secs", "line"])]
    import: Option<PathBuf>,
}

fn line(text: &str) -> Result<(Address, Tai), String> {
    let (account, amount) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is no line: write ADDRESS=AMOUNT, such as 0x…=1000db3"))?;
    let account = account.parse::<Address>().map_err(|error| error.to_string())?;
    let amount = Tai::parse_with_unit(amount).map_err(|error| error.to_string())?;
    Ok((account, amount))
}

/// Makes the folder.
pub fn run<K: Kind>(asked: Option<&Path>, args: &InitArgs, output: Output) -> Result<()> {
    let epoch_secs = NonZeroU64::new(args.epoch_secs).context("epochs of no length")?;
    if args.shard.get() >= args.shards {
        bail!(Failure::Wrong(format!(
            "--shard {} of --shards {}: shards are numbered from 0",
            args.shard, args.shards
        )));
    }
    let home = match (asked, &args.import) {
        (Some(path), _) => std::path::absolute(path).with_context(|| format!("--home {}", path.display()))?,
        (None, None) => home::db3_home()?.join(ChainId::shard(&args.network, args.shard).as_str()),
        (None, Some(_)) => bail!(Failure::Wrong("name the folder to make with --home".to_owned())),
    };
    let settings = ChainConfig::new(&home);
    let genesis = if let Some(file) = &args.import {
        import_file::<K>(&home, file, settings)?
    } else {
        let input = InitInput {
            network: args.network.clone(),
            shard: args.shard,
            shards: args.shards,
            epoch_secs,
            lines: args.line.clone(),
            time: None,
        };
        db3_chain::init(&home, &input, &settings)?
    };
    explain_settings(&home, genesis.chain_id())?;
    let network_file = write_network(&home, &genesis)?;
    report(&home, &genesis, network_file.as_deref(), output);
    Ok(())
}

fn import_file<K: Kind>(home: &Path, file: &Path, settings: ChainConfig) -> Result<GenesisDocument> {
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    import::<K::Machine>(home, &mut BufReader::new(opened), &ImportInput { settings, time: None }).map_err(|error| {
        match error {
            TransferError::Malformed { .. } => Failure::Wrong(format!("{}: {error}", file.display())).into(),
            other => other.into(),
        }
    })
}

/// Adds the sections of the server and the log to the settings' file, as comments with their defaults.
fn explain_settings(home: &Path, chain_id: &ChainId) -> Result<()> {
    let path = config_file(home);
    let text = explained(default_listen(chain_id), None)?;
    let mut file =
        File::options().append(true).open(&path).with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

/// The file that clients of a network of one shard need. That of several shards is put together from all of them.
fn write_network(home: &Path, genesis: &GenesisDocument) -> Result<Option<PathBuf>> {
    let state = genesis.app_state();
    if state.shards != 1 {
        return Ok(None);
    }
    let network = NetworkFile {
        name: state.network()?,
        kind: NetworkKind::Solo,
        epoch_secs: genesis.state().epoch_secs,
        keystore: None,
        chains: vec![ChainEntry::of_shard(genesis, vec![format!("http://{}", default_listen(genesis.chain_id()))])],
    };
    let path = home.join("network.toml");
    network.save(&path)?;
    Ok(Some(path))
}

fn report(home: &Path, genesis: &GenesisDocument, network_file: Option<&Path>, output: Output) {
    match output {
        Output::Json => println!(
            "{}",
            json!({
                "chain_id": genesis.chain_id().as_str(),
                "home": home.display().to_string(),
                "network_file": network_file.map(|path| path.display().to_string()),
            })
        ),
        Output::Table => {
            println!("{} is made in {}.", genesis.chain_id(), home.display());
            println!("\nType next:\n  shard-node start --home {}", home.display());
            if let Some(file) = network_file {
                println!("  db3 network add {}", file.display());
            }
        }
    }
}
