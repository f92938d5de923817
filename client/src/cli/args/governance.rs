//! Arguments of `db3 governance`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};

use super::parse::duration;

/// `db3 governance`
#[derive(Debug, Subcommand)]
pub enum GovernanceCommand {
    /// Write a proposal to a file, for operators to sign
    Propose(Box<ProposeArgs>),
    /// Add the account's signature to a proposal's file
    Sign {
        /// The file
        file: PathBuf,
    },
    /// Take an account's signature out of a proposal's file, such as one of nobody who operates a validator
    Unsign {
        /// The file
        file: PathBuf,
        /// Whose signature
        account: String,
    },
    /// Send a proposal that enough operators have signed
    Submit {
        /// The file
        file: PathBuf,
    },
    /// Show what a proposal says and who signed it; without a file, who governs a chain and what is scheduled
    Show {
        /// The file
        file: Option<PathBuf>,
        /// Shard to ask about [default: the settlement chain, or that of the file]
        #[arg(long, value_name = "N")]
        shard: Option<u32>,
    },
}

/// `db3 governance propose`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true))]
pub struct ProposeArgs {
    /// File to write
    pub file: PathBuf,
    /// Shard that it is for [default: the settlement chain]
    #[arg(long, value_name = "N")]
    pub shard: Option<u32>,
    /// Height of the block that begins with the change [default: the block after the one that holds it]
    #[arg(long, value_name = "HEIGHT")]
    pub at: Option<u64>,
    /// How long it may take until a block holds it
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "168h")]
    pub expires_in: Duration,
    /// Add the validator whose public file this is, which `db3-genesis keys` wrote; on the settlement chain also to those who
    /// share in what the shards earn, unless --payouts says who does
    #[arg(long, value_name = "FILE=POWER", group = "change")]
    pub add_validator: Vec<String>,
    /// Add or change a validator; its key in hex, or base64 as in `priv_validator_key.json`
    #[arg(long, value_name = "KEY:POWER:OPERATOR:PAYOUT", group = "change")]
    pub set_validator: Vec<String>,
    /// Take a validator away; its key in hex, or base64 as in `priv_validator_key.json`
    #[arg(long, value_name = "KEY", group = "change")]
    pub remove_validator: Vec<String>,
    /// Set a parameter, such as `expiry_max_secs=1800`
    #[arg(long, value_name = "NAME=VALUE", group = "change")]
    pub set: Vec<String>,
    /// Set the prices, in tai: for a mutation, a byte in, an operation, a byte of key, a byte stored
    #[arg(long, value_name = "TAI,TAI,TAI,TAI,TAI", group = "change")]
    pub prices: Option<String>,
    /// Set who gets what the division of a pool leaves over (settlement chain)
    #[arg(long, value_name = "ACCOUNT", group = "change")]
    pub treasury: Option<String>,
    /// Set an account's credit without collateral, such as dev1=5db3 (settlement chain)
    #[arg(long, value_name = "ACCOUNT=AMOUNT", group = "change")]
    pub trust: Vec<String>,
    /// Set who shares in what a shard earns, such as 0=ACCOUNT:3,ACCOUNT:1; or 0=validators: those of the shard now, and those
    /// that --add-validator adds, by power (settlement chain)
    #[arg(long, value_name = "SHARD=ACCOUNT:POWER,…", group = "change")]
    pub payouts: Vec<String>,
    /// Begin anew with another chain, from its newest header on and where its log was left
    #[arg(long, value_name = "CHAIN_ID", group = "change")]
    pub replace_channel: Option<String>,
    /// How long a header of that chain is trusted [default: as until now]
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "replace_channel")]
    pub trusting_period: Option<Duration>,
    /// How far a header of that chain may be ahead
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s")]
    pub clock_drift: Duration,
    /// File that says what a shard stated and closed in entries that are passed over: `inbox`, `last_epoch`, `close_hash`, and
    /// `statements` of `account` and `cumulative_tai`
    #[arg(long, value_name = "FILE", requires = "replace_channel")]
    pub catch_up: Option<PathBuf>,
    /// Take back a change that waits for its height
    #[arg(long, value_name = "NUMBER", group = "change")]
    pub cancel: Vec<u64>,
}
