//! `join`: the homes of this machine's nodes.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use db3_console::{StdoutError, out};
use db3_network::join::{JoinInput, Joined, find_comet, validator_here};
use db3_network::moved::MoveInput;
use db3_network::{PORT_GRPC, PORT_P2P, db3_home, folder, public_file};
use serde_json::json;

use super::{Global, Output, shown, warn};

/// Shown after the help.
pub const EXAMPLES: &str = "Examples:
  db3-genesis join ./homes --validator alice
  db3-genesis join ./bob --genesis ./mine-genesis --validator bob --listen 0.0.0.0 --port 7400";

/// Options of `join`.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// Where a folder for every chain is made
    #[arg(value_name = "DIR")]
    homes: PathBuf,
    /// The validator that this machine is, one of the first or one whose keys `keys --genesis` made [default: the one whose keys are here; without keys, a node without power]
    #[arg(long, value_name = "NAME")]
    validator: Option<String>,
    /// Be a node without power, whoever's keys are here
    #[arg(long, conflicts_with_all = ["validator", "keys", "signer"])]
    no_validator: bool,
    /// Where `keys` put the validator's keys [default: `$DB3_HOME/keys/<network>-<name>`]
    #[arg(long, value_name = "DIR", requires = "validator")]
    keys: Option<PathBuf>,
    /// Where a signer elsewhere that has the validator's keys connects for the settlement chain; for shard n to the port
    /// 1 + n after it [default: the keys are here]
    #[arg(long, value_name = "IP:PORT")]
    signer: Option<SocketAddr>,
    /// Address on which gRPC is served
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Port of the settlement chain's gRPC; shard n has the one 1 + n after it
    #[arg(long, value_name = "PORT", default_value_t = PORT_GRPC, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// The first port for the peers of a node without power; a validator's are those of its public file
    #[arg(long, value_name = "PORT", default_value_t = PORT_P2P, value_parser = clap::value_parser!(u16).range(1..))]
    p2p_port: u16,
    /// Keep every block, for those who come without a snapshot; others keep the newest 100000
    #[arg(long)]
    archive: bool,
    /// The homes came from another machine, whose nodes have stopped for good: make them this machine's, and change nothing
    /// else in them
    #[arg(long, conflicts_with_all = ["validator", "no_validator", "keys", "signer", "listen", "port", "p2p_port", "archive"])]
    moved: bool,
    /// Where peers reach this machine now: HOST or HOST:PORT, as in `keys` [default: as before]
    #[arg(long, value_name = "HOST", requires = "moved")]
    p2p_address: Option<String>,
}

/// Makes the homes.
pub fn run(global: &Global, args: &JoinArgs) -> Result<()> {
    let folder = folder::check(&global.genesis())?;
    let programs = std::env::current_exe().context("where this program is")?;
    let programs = programs.parent().context("where this program is")?;
    let (comet, warning) = match find_comet() {
        Ok(comet) => (Some(comet), None),
        Err(warning) => (None, Some(warning)),
    };
    let comet = comet.as_deref();
    if args.moved {
        let p2p_address = args.p2p_address.as_deref();
        let input = MoveInput { folder: &folder, homes: &args.homes, p2p_address, programs, comet };
        report(global, Who::Moved, &input.take()?, warning)?;
        return Ok(());
    }
    let validator = match (&args.validator, &args.keys) {
        _ if args.no_validator => None,
        (Some(name), Some(keys)) => Some((name.clone(), keys.clone())),
        (named, _) => validator_here(&folder, named.as_deref(), &db3_home()?)?,
    };
    let input = JoinInput {
        folder: &folder,
        homes: &args.homes,
        validator: validator.as_ref().map(|(name, keys)| (name.as_str(), keys.as_path())),
        signer: args.signer,
        listen: SocketAddr::new(args.listen, args.port),
        p2p_port: args.p2p_port,
        archive: args.archive,
        programs,
        comet,
    };
    let joined = input.join()?;
    let who = match &validator {
        Some((name, _)) if args.signer.is_some() => Who::Signed(name),
        Some((name, _)) => Who::Validator(name),
        None => Who::Nobody,
    };
    report(global, who, &joined, warning)?;
    if let (Some((name, keys)), Output::Table) = (&validator, global.output)
        && folder.roster.find(name).is_none()
    {
        out!("{name} has no power until the operators of every chain have decided it, by its public file")?;
        out!("  {}", public_file(keys).display())?;
    }
    Ok(())
}

/// Whom this machine is.
#[derive(Clone, Copy)]
enum Who<'a> {
    /// A validator whose keys are here now.
    Validator(&'a str),
    /// A validator whose keys a signer has.
    Signed(&'a str),
    /// A node without power.
    Nobody,
    /// Who it was elsewhere.
    Moved,
}

fn report(global: &Global, who: Who<'_>, joined: &Joined, warning: Option<String>) -> Result<(), StdoutError> {
    let warnings: Vec<String> = warning.into_iter().collect();
    let validator = match who {
        Who::Validator(name) | Who::Signed(name) => Some(name),
        Who::Nobody | Who::Moved => None,
    };
    match global.output {
        Output::Json => out!(
            "{}",
            json!({
                "validator": validator,
                "network_file": shown(&joined.network_file),
                "units": shown(&joined.units),
                "homes": joined.homes.iter().map(|home| json!({
                    "chain_id": home.chain_id.as_str(),
                    "home": shown(&home.path),
                    "program": home.program(),
                    "grpc": home.listen.to_string(),
                    "p2p": home.p2p_listen,
                    "cometbft": home.comet.as_deref().map(shown),
                })).collect::<Vec<_>>(),
                "warnings": warnings,
            })
        )?,
        Output::Table => {
            warn(&warnings);
            match who {
                Who::Validator(name) => {
                    out!("This machine is {name}. Its keys are in the homes now, and nowhere else.")?;
                }
                Who::Signed(name) => out!(
                    "This machine is {name}. The keys that sign its blocks are not here: the signer has those, and connects to"
                )?,
                Who::Nobody => {
                    out!("This machine follows the network without power: no validator's keys are here.")?;
                }
                Who::Moved => out!(
                    "The homes are this machine's now. The old one must never start its nodes again; the others need to know\n\
                     where this one is (persistent_peers in their config/node.toml)."
                )?,
            }
            if let Who::Signed(_) = who {
                for home in &joined.homes {
                    out!("  {} for {}", home.signer.as_deref().unwrap_or_default(), home.chain_id)?;
                }
            }
            for home in &joined.homes {
                out!(
                    "  {} in {}, gRPC {}, peers {}",
                    home.chain_id,
                    home.path.display(),
                    home.listen,
                    home.p2p_listen
                )?;
            }
            out!("\nType next, each in a terminal of its own, or use the units in {}:", joined.units.display())?;
            for home in &joined.homes {
                out!("  {} start --home {}", home.program(), home.path.display())?;
            }
        }
    }
    Ok(())
}
