//! `keys`: a validator's keys for all chains, and its public file.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use db3_comet::keys::parse_public;
use db3_console::{StdoutError, out};
use db3_network::folder::GenesisFolder;
use db3_network::{Candidate, KeysInput, NetworkError, Plan, db3_home, folder, join};
use db3_primitives::{Address, ChainId};
use serde_json::json;

use super::{Global, Output, shown};

/// Shown after the help.
pub const EXAMPLES: &str = "Examples:
  db3-genesis keys --name alice --p2p-address alice.example --operator 0x52908400098527886E0F7030069857D2E4169EE7 \\
      --payout 0x52908400098527886E0F7030069857D2E4169EE7 --out alice.toml
  db3-genesis keys --name bob --p2p-address 192.0.2.7:26656 --endpoint https://bob.example:7300 \\
      --operator 0xde709f2102306220921060314715629080e2fb77 --payout 0xde709f2102306220921060314715629080e2fb77 --out bob.toml";

/// Options of `keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// The validator's name: 1 to 32 of a-z 0-9 and -
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Where other validators reach this machine: HOST or HOST:PORT; the settlement chain has that port [26656], shard n the one 1 + n after it
    #[arg(long, value_name = "HOST")]
    p2p_address: String,
    /// Account that is paid what the validator earns
    #[arg(long, value_name = "ADDRESS")]
    payout: Address,
    /// Account that signs governance transactions with the validator's power
    #[arg(long, value_name = "ADDRESS")]
    operator: Address,
    /// Where users reach the validator's nodes, if they may: a URL; the settlement chain has that port [7300], shard n the one 1 + n after it
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Where the public file is written
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Public key with which a signer elsewhere (tmkms, Horcrux) signs the blocks of a chain, in hex or base64; once for
    /// every chain. No validator's key is made here then
    #[arg(long, value_name = "CHAIN_ID=KEY", value_parser = signer_key)]
    signer_key: Vec<(ChainId, [u8; 32])>,
    /// Where the secret keys are kept until `join` [default: `$DB3_HOME/keys/<network>-<name>`]
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
}

/// A chain and the key that a signer has for it.
fn signer_key(text: &str) -> Result<(ChainId, [u8; 32]), String> {
    let expected = || format!("`{text}` is not CHAIN_ID=KEY; write it as mine-shard-0=<64 hex digits, or base64>");
    let (chain, key) = text.split_once('=').ok_or_else(expected)?;
    let chain = ChainId::parse(chain).map_err(|error| error.to_string())?;
    Ok((chain, parse_public(key).ok_or_else(expected)?))
}

/// Makes the keys that are missing and writes the public file.
pub fn run(global: &Global, args: &KeysArgs) -> Result<()> {
    // A validator that comes later has the network's genesis, and those who were there first its plan.
    let genesis = global.genesis.as_deref().map(folder::check).transpose()?;
    let plan = match &genesis {
        Some(genesis) => genesis.plan.clone(),
        None => plan(global)?,
    };
    let keys = match &args.keys {
        Some(keys) => keys.clone(),
        None => join::keys_folder(&db3_home()?, plan.network.as_str(), &args.name),
    };
    let signers = args.signer_key.iter().cloned().collect();
    let input = KeysInput {
        plan: &plan,
        roster: genesis.as_ref().map(|genesis| &genesis.roster),
        name: &args.name,
        p2p_address: &args.p2p_address,
        endpoint: args.endpoint.as_deref(),
        operator: args.operator,
        payout: args.payout,
        keys: &keys,
        signers: &signers,
    };
    let path = &args.out;
    let candidate = input.prepare()?.write(path)?;
    match global.output {
        Output::Json => out!(
            "{}",
            json!({
                "network": plan.network.as_str(),
                "name": args.name,
                "file": shown(path),
                "keys": shown(&keys),
                "chains": candidate.chains.iter().map(|chain| json!({
                    "chain_id": chain.chain_id.as_str(),
                    "pubkey": hex::encode(chain.pubkey),
                    "node_id": hex::encode(chain.node_id),
                })).collect::<Vec<_>>(),
            })
        )?,
        Output::Table => {
            out!("The keys of {} are in {}. They stay on this machine.", args.name, keys.display())?;
            if !args.signer_key.is_empty() {
                out!("The keys that sign blocks are not among them: the signer has those.")?;
            }
            match genesis {
                None => out!("Send {} to whoever builds the network; it holds no secret.", path.display())?,
                Some(genesis) => tell_later(&genesis, &candidate, args)?,
            }
        }
    }
    Ok(())
}

/// The plan that was made beforehand.
fn plan(global: &Global) -> Result<Plan, NetworkError> {
    Plan::load(&global.plan()).map_err(|error| match error {
        NetworkError::Missing { path, remedy } => NetworkError::Missing {
            path,
            remedy: format!(
                "{remedy}; to come into a network that is made already, name its genesis folder with --genesis"
            ),
        },
        other => other,
    })
}

/// What comes next in a network that is made already.
fn tell_later(genesis: &GenesisFolder, candidate: &Candidate, args: &KeysArgs) -> Result<(), StdoutError> {
    let (file, genesis) = (args.out.display(), genesis.path.display());
    let keys = args.keys.as_ref().map_or_else(String::new, |keys| format!(" --keys {}", keys.display()));
    out!("Type next, and start the nodes; they follow the network without power:")?;
    out!("  db3-genesis join HOMES --genesis {genesis} --validator {}{keys}", candidate.name)?;
    out!("Send {file} to the operators, who decide with it on every chain; it holds no secret:")?;
    out!("  db3 governance propose settlement.json --add-validator {file}=POWER")?;
    for shard in 0..candidate.shards {
        out!("  db3 governance propose shard-{shard}.json --shard {shard} --add-validator {file}=POWER")?;
    }
    Ok(())
}
