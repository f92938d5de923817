//! `init`: the plan of a network.

use std::num::NonZeroU64;

use anyhow::{Context as _, Result};
use clap::Args;
use db3_console::out;
use db3_genesis::write_atomic;
use db3_network::{Funded, NetworkError, Plan, TRUSTING_PERIOD_SECS, parse_fund};
use db3_primitives::{Address, BlockTime, NetworkName, Tai};
use serde_json::json;

use super::{Global, Output, now, shown};

/// Shown after the help.
pub const EXAMPLES: &str = "Examples:
  db3-genesis init mine --shards 2
  db3-genesis init mine --shards 2 --dir ./mine --time 2026-01-31T09:30:00Z --fund 0x52908400098527886E0F7030069857D2E4169EE7=1000db3";

/// Options of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Name of the network: 1 to 32 of a-z 0-9 and -
    #[arg(value_name = "NETWORK")]
    network: NetworkName,
    /// How many shards the network has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    shards: u32,
    /// Length of an epoch in seconds
    #[arg(long, value_name = "SECS", default_value = "600", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    epoch_secs: u64,
    /// When every chain begins, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    time: Option<BlockTime>,
    /// Money of an account, with its unit: so much to pay with, and so much credit on every shard (may be repeated)
    #[arg(long, value_name = "ADDRESS=AMOUNT", value_parser = parse_fund)]
    fund: Vec<(Address, Tai)>,
    /// Who gets what cannot be divided [default: the payout account of the first validator by name]
    #[arg(long, value_name = "ADDRESS")]
    treasury: Option<Address>,
    /// How long a chain trusts a header of another, in seconds
    #[arg(long, value_name = "SECS", default_value_t = TRUSTING_PERIOD_SECS)]
    trusting_period_secs: u64,
}

/// Writes the plan.
pub fn run(global: &Global, args: &InitArgs) -> Result<()> {
    let path = global.plan();
    if path.exists() {
        let remedy = "a network is prepared in this folder; edit that file, or choose another with --dir";
        return Err(NetworkError::Taken { path, remedy }.into());
    }
    let time = if let Some(time) = args.time { time } else { now()? };
    let epoch_secs = NonZeroU64::new(args.epoch_secs).context("epochs of no length")?;
    let mut plan = Plan::new(args.network.clone(), args.shards, epoch_secs, time);
    plan.trusting_period_secs = args.trusting_period_secs;
    plan.treasury = args.treasury;
    plan.accounts = args
        .fund
        .iter()
        .map(|(account, amount)| Funded { account: *account, balance: *amount, credit: *amount })
        .collect();
    // What was asked for is checked as an edited file would be.
    let plan = Plan::from_toml(&plan.to_toml()?, &shown(&path))?;
    write_atomic(&path, plan.to_toml()?.as_bytes())
        .map_err(|source| NetworkError::File { path: path.clone(), source })?;
    match global.output {
        Output::Json => out!(
            "{}",
            json!({
                "network": plan.network.as_str(),
                "plan_file": shown(&path),
                "time": plan.time.rfc3339(),
                "chains": plan.chains().map(|chain| chain.to_string()).collect::<Vec<_>>(),
            })
        )?,
        Output::Table => {
            out!(
                "{} begins on {}. The plan is {}; edit it until the network is built.",
                plan.network,
                plan.time,
                path.display()
            )?;
            out!("\nSend it to every validator, who types beside it, on their own machine:")?;
            out!(
                "  db3-genesis keys --name NAME --p2p-address HOST --operator ADDRESS --payout ADDRESS --out NAME.toml"
            )?;
            out!("and for each file that comes back, type here:")?;
            out!("  db3-genesis add-validator NAME.toml --power 10")?;
        }
    }
    Ok(())
}
