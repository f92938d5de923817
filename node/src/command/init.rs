//! `init`: the folders of a new network with one validator, its settlement chain and its shards, or one folder from an
//! exported state; or this machine's folders in a network of validators that exists.
//!
//! All are made together, because the genesis of each chain names the validators of those that it hears: keys first,
//! then the documents, at one time.

use std::fs::File;
use std::io::{BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use db3_chain::config::config_file;
use db3_chain::transfer::{ImportInput, TransferError, import};
use db3_chain::{ChainConfig, InitInput, genesis_file, make_key};
use db3_console::{StdoutError, out, say};
use db3_genesis::{
    AccountEntry, AppState, ChainEntry, GenesisDocument, NetworkFile, NetworkKind, PeerEntry, SettlementGenesis,
    ShardGenesis, TrustEntry,
};
use db3_network::join::{JoinInput, find_comet, validator_here};
use db3_network::{NetworkError, PORT_GRPC, PORT_P2P, folder, parse_fund};
use db3_primitives::{Address, BlockTime, ChainId, Height, NetworkName, ShardId, Tai};
use serde_json::json;

use super::failure::Failure;
use super::settings::{explained, listen_after};
use super::{Output, home};
use crate::kind::Kind;

/// Shown after the help.
pub const EXAMPLES: &str = "Examples:
  {program} init --network mine --shards 2 --fund 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266=1000db3
  {program} init --genesis ./genesis --validator alice --home ./homes
  {program} init --import exported.ndjson --home ./mine-again";

/// Options of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Name of the network: 1 to 32 of a-z 0-9 and -
    #[arg(long, value_name = "NAME", default_value = "solo")]
    network: NetworkName,
    /// How many shards the network has
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1024))]
    shards: u32,
    /// Length of an epoch in seconds
    #[arg(long, value_name = "SECS", default_value = "600", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    epoch_secs: u64,
    /// Money of an account, with its unit: so much to pay with, and so much credit on every shard (may be repeated)
    #[arg(long, value_name = "ADDRESS=AMOUNT", value_parser = parse_fund)]
    fund: Vec<(Address, Tai)>,
    /// Who receives what the validators earn [default: the first account that is funded]
    #[arg(long, value_name = "ADDRESS", required_unless_present_any = ["fund", "import", "genesis"])]
    treasury: Option<Address>,
    /// How long a chain trusts a header of another, in seconds [default: for ever]
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(3_600..))]
    trusting_period_secs: Option<u64>,
    /// First port of gRPC: the settlement chain's; shard n has the one 1 + n after it
    #[arg(long, value_name = "PORT", default_value_t = PORT_GRPC, value_parser = clap::value_parser!(u16).range(1..=64_000))]
    port: u16,
    /// Take part in the network of validators whose genesis folder this is, which `db3-genesis build` made (`db3-genesis
    /// join` has more options: another folder of keys, a signer elsewhere, an address for gRPC, an archive)
    #[arg(long, value_name = "DIR", conflicts_with_all = ["network", "shards", "epoch_secs", "fund", "treasury", "trusting_period_secs", "import"])]
    genesis: Option<PathBuf>,
    /// The validator that this machine is [default: the one whose keys are here; without keys, a node without power]
    #[arg(long, value_name = "NAME", requires = "genesis")]
    validator: Option<String>,
    /// Be a node without power, whoever's keys are here
    #[arg(long, requires = "genesis", conflicts_with = "validator")]
    no_validator: bool,
    /// The first port for the peers of a node without power; a validator's are those of its public file
    #[arg(long, value_name = "PORT", default_value_t = PORT_P2P, value_parser = clap::value_parser!(u16).range(1..), requires = "genesis")]
    p2p_port: u16,
    /// Begin with the state in this file, which `export` wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "network", "shards", "epoch_secs", "fund", "treasury", "trusting_period_secs",
    ])]
    import: Option<PathBuf>,
    /// Account that governs the chain which continues from the file, if the old one was governed [default: nobody]
    #[arg(long, value_name = "ADDRESS", requires = "import")]
    operator: Option<Address>,
}

/// A chain that was made.
struct Made {
    home: PathBuf,
    genesis: GenesisDocument,
}

/// Makes the folders.
pub fn run<K: Kind>(asked: Option<&Path>, args: &InitArgs, output: Output) -> Result<()> {
    if let Some(genesis) = &args.genesis {
        return join(genesis, asked, args, output);
    }
    if let Some(file) = &args.import {
        let Some(home) = asked else {
            bail!(Failure::Wrong("name the folder to make with --home".to_owned()));
        };
        let home = std::path::absolute(home).with_context(|| format!("--home {}", home.display()))?;
        let genesis = import_file::<K>(&home, file, args.operator)?;
        explain_settings(&home, genesis.chain_id(), args.port, None)?;
        report(&[Made { home, genesis }], None, output)?;
        return Ok(());
    }
    let folder = match asked {
        Some(path) => std::path::absolute(path).with_context(|| format!("--home {}", path.display()))?,
        None => home::db3_home()?,
    };
    let made = make_network(&folder, args)?;
    let network_file = folder.join(format!("{}.toml", args.network));
    write_network(&network_file, args, &made)?;
    for chain in &made {
        explain_settings(&chain.home, chain.genesis.chain_id(), args.port, Some(&network_file))?;
    }
    report(&made, Some(&network_file), output)?;
    Ok(())
}

/// The homes of this machine in a network of validators.
fn join(genesis: &Path, asked: Option<&Path>, args: &InitArgs, output: Output) -> Result<()> {
    let wrong = |error: NetworkError| Failure::Wrong(error.to_string());
    let folder = folder::check(genesis)?;
    let db3_home = home::db3_home()?;
    let validator = if args.no_validator {
        None
    } else {
        validator_here(&folder, args.validator.as_deref(), &db3_home).map_err(wrong)?
    };
    let programs = std::env::current_exe().context("where this program is")?;
    let comet = find_comet();
    let input = JoinInput {
        folder: &folder,
        homes: asked.unwrap_or(&db3_home),
        validator: validator.as_ref().map(|(name, keys)| (name.as_str(), keys.as_path())),
        signer: None,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)),
        p2p_port: args.p2p_port,
        archive: false,
        programs: programs.parent().context("where this program is")?,
        comet: comet.as_deref().ok(),
    };
    let joined = input.join().map_err(wrong)?;
    if let Err(warning) = &comet {
        say!("warning: {warning}");
    }
    let made = joined
        .homes
        .iter()
        .map(|home| Ok(Made { genesis: GenesisDocument::load(&home.genesis_file())?, home: home.path.clone() }));
    report(&made.collect::<Result<Vec<_>>>()?, Some(&joined.network_file), output)?;
    Ok(())
}

fn import_file<K: Kind>(home: &Path, file: &Path, operator: Option<Address>) -> Result<GenesisDocument> {
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let input = ImportInput { settings: ChainConfig::new(home), operator, time: None };
    import::<K::Machine>(home, &mut BufReader::new(opened), &input).map_err(|error| match error {
        TransferError::Malformed { .. } => Failure::Wrong(format!("{}: {error}", file.display())).into(),
        other => other.into(),
    })
}

fn make_network(folder: &Path, args: &InitArgs) -> Result<Vec<Made>> {
    let epoch_secs = NonZeroU64::new(args.epoch_secs).context("epochs of no length")?;
    let settlement = ChainId::settlement(&args.network);
    let shards: Vec<ChainId> =
        (0..args.shards).map(|shard| ChainId::shard(&args.network, ShardId::new(shard))).collect();
    let all = || std::iter::once(&settlement).chain(&shards);
    if let Some(taken) = all().map(|chain_id| folder.join(chain_id.as_str())).find(|home| home.exists()) {
        bail!(Failure::Wrong(format!("{} exists; choose another --network or --home, or remove it", taken.display())));
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    let time = BlockTime::new(since.as_secs(), 0).context("the clock stands where no block can")?;
    let peer = |chain_id: &ChainId| -> Result<PeerEntry> {
        let validator = make_key(&folder.join(chain_id.as_str()))?;
        let trust = TrustEntry::before(Height::new(1), time, vec![validator]);
        Ok(PeerEntry::new(chain_id, &trust, args.trusting_period_secs))
    };
    let of_settlement = peer(&settlement)?;
    let of_shards = shards.iter().map(peer).collect::<Result<Vec<_>>>()?;
    let treasury = args.treasury.or_else(|| args.fund.first().map(|(account, _)| *account));
    let treasury = treasury.context("no treasury; name one with --treasury, or fund an account with --fund")?;
    let accounts =
        args.fund.iter().map(|(account, amount)| AccountEntry::with_credit(*account, *amount, *amount, args.shards));
    let accounts = accounts.collect::<Result<Vec<_>, _>>()?;
    let state = SettlementGenesis::new(&args.network, epoch_secs, treasury, accounts, of_shards);
    let mut states = vec![(&settlement, AppState::Settlement(state))];
    for (chain_id, shard) in shards.iter().zip(0..) {
        let state =
            ShardGenesis::new(&args.network, ShardId::new(shard), args.shards, epoch_secs, of_settlement.clone());
        states.push((chain_id, AppState::Shard(state)));
    }
    let mut made = Vec::new();
    for (chain_id, app_state) in states {
        let home = folder.join(chain_id.as_str());
        let input = InitInput { app_state, time: Some(time) };
        let genesis = db3_chain::init(&home, &input, &ChainConfig::new(&home))?;
        made.push(Made { home, genesis });
    }
    Ok(made)
}

/// Adds the sections of the server, the relay and the log to the settings' file, as comments with their defaults.
fn explain_settings(home: &Path, chain_id: &ChainId, port: u16, network_file: Option<&Path>) -> Result<()> {
    let path = config_file(home);
    let text = explained(chain_id, port, network_file)?;
    let mut file =
        File::options().append(true).open(&path).with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

/// The file that clients need, and that tells each node where the others are.
fn write_network(path: &Path, args: &InitArgs, made: &[Made]) -> Result<()> {
    let chains = made.iter().map(|chain| {
        let endpoint = format!("http://{}", listen_after(args.port, chain.genesis.chain_id()));
        ChainEntry::of_genesis(&chain.genesis, vec![endpoint])
    });
    let network = NetworkFile {
        name: args.network.clone(),
        kind: NetworkKind::Solo,
        epoch_secs: NonZeroU64::new(args.epoch_secs).context("epochs of no length")?,
        keystore: None,
        chains: chains.collect(),
    };
    network.save(path)?;
    Ok(())
}

/// The program that runs a chain.
fn program_of(genesis: &GenesisDocument) -> &'static str {
    match genesis.app_state() {
        AppState::Settlement(_) => "settlement-node",
        AppState::Shard(_) => "shard-node",
    }
}

fn report(made: &[Made], network_file: Option<&Path>, output: Output) -> Result<(), StdoutError> {
    match output {
        Output::Json => {
            for chain in made {
                out!(
                    "{}",
                    json!({
                        "chain_id": chain.genesis.chain_id().as_str(),
                        "home": chain.home.display().to_string(),
                        "genesis_file": genesis_file(&chain.home).display().to_string(),
                        "network_file": network_file.map(|path| path.display().to_string()),
                    })
                )?;
            }
        }
        Output::Table => {
            for chain in made {
                out!("{} is made in {}.", chain.genesis.chain_id(), chain.home.display())?;
            }
            out!("\nType next, each in a terminal of its own:")?;
            for chain in made {
                out!("  {} start --home {}", program_of(&chain.genesis), chain.home.display())?;
            }
            if let Some(file) = network_file {
                out!("and then\n  db3 network add {}", file.display())?;
            }
        }
    }
    Ok(())
}
