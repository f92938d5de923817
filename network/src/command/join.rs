//! `join`: the homes of this machine's nodes.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use db3_network::join::{JoinInput, Joined, validator_here};
use db3_network::{PORT_GRPC, PORT_P2P, db3_home, folder};
use serde_json::json;

use super::{Global, Output, shown};

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
    /// The validator that this machine is [default: the one whose keys are here; without keys, a node without power]
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
}

/// Makes the homes.
pub fn run(global: &Global, args: &JoinArgs) -> Result<()> {
    let folder = folder::check(&global.genesis())?;
    let validator = match (&args.validator, &args.keys) {
        _ if args.no_validator => None,
        (Some(name), Some(keys)) => Some((name.clone(), keys.clone())),
        (named, _) => validator_here(&folder, named.as_deref(), &db3_home()?)?,
    };
    let programs = std::env::current_exe().context("where this program is")?;
    let input = JoinInput {
        folder: &folder,
        homes: &args.homes,
        validator: validator.as_ref().map(|(name, keys)| (name.as_str(), keys.as_path())),
        signer: args.signer,
        listen: SocketAddr::new(args.listen, args.port),
        p2p_port: args.p2p_port,
        programs: programs.parent().context("where this program is")?,
    };
    let joined = input.join()?;
    report(global, validator.as_ref().map(|(name, _)| name.as_str()), &joined);
    Ok(())
}

fn report(global: &Global, validator: Option<&str>, joined: &Joined) {
    match global.output {
        Output::Json => println!(
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
                })).collect::<Vec<_>>(),
            })
        ),
        Output::Table => {
            match validator {
                Some(name) => println!("This machine is {name}. Its keys are in the homes now, and nowhere else."),
                None => println!("This machine follows the network without power: no validator's keys are here."),
            }
            for home in &joined.homes {
                println!(
                    "  {} in {}, gRPC {}, peers {}",
                    home.chain_id,
                    home.path.display(),
                    home.listen,
                    home.p2p_listen
                );
            }
            println!("\nType next, each in a terminal of its own, or use the units in {}:", joined.units.display());
            for home in &joined.homes {
                println!("  {} start --home {}", home.program(), home.path.display());
            }
        }
    }
}
