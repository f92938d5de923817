//! Arguments of `db3 transfer|credit`.

use clap::{Args, Subcommand};
use db3_primitives::{BlockTime, Tai};

use super::parse::{amount, time};
use super::records::SendingArgs;

/// `db3 transfer`
#[derive(Debug, Args)]
pub struct TransferArgs {
    /// Who receives: a name or an address
    #[arg(value_name = "TO")]
    pub to: String,
    /// How much, such as 5db3 or 300tai
    #[arg(value_parser = amount)]
    pub amount: Tai,
    /// How to send it
    #[command(flatten)]
    pub sending: SendingArgs,
}

/// `db3 credit`
#[derive(Debug, Subcommand)]
pub enum CreditCommand {
    /// Show balance, collateral, limit, what is owed, and the line on each shard
    Show,
    /// Turn balance into collateral, and open or raise lines where the account's namespaces are
    Deposit(DepositArgs),
    /// Turn collateral back into balance
    Withdraw(AmountArgs),
    /// Say how much credit to have free on a shard; 0tai closes the line
    Allocate(AllocateArgs),
    /// Pay what is outstanding, before the next round does
    Pay(PayArgs),
    /// List what moved balance and collateral, newest first: transfers, deposits, withdrawals, fees and postings, with the
    /// sums after each; they are held against the proven balance and the proven postings
    History(HistoryArgs),
}

/// `db3 credit history`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// In blocks at or after this time, such as 2026-01-31T09:30:00Z
    #[arg(long, value_name = "T", value_parser = time)]
    pub since: Option<BlockTime>,
    /// In blocks before this time
    #[arg(long, value_name = "T", value_parser = time)]
    pub until: Option<BlockTime>,
    /// Most movements [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
}

/// `db3 credit deposit`
#[derive(Debug, Args)]
pub struct DepositArgs {
    /// How much, such as 5db3
    #[arg(value_parser = amount)]
    pub amount: Tai,
    /// Whose collateral it becomes: a name or an address; no lines are asked for then [default: the account's own]
    #[arg(long, value_name = "ACCOUNT")]
    pub to: Option<String>,
    /// Open and raise no lines
    #[arg(long)]
    pub no_lines: bool,
    /// How to send it
    #[command(flatten)]
    pub sending: SendingArgs,
}

/// An amount, and how to send it.
#[derive(Debug, Args)]
pub struct AmountArgs {
    /// How much, such as 5db3
    #[arg(value_parser = amount)]
    pub amount: Tai,
    /// How to send it
    #[command(flatten)]
    pub sending: SendingArgs,
}

/// `db3 credit allocate`
#[derive(Debug, Args)]
pub struct AllocateArgs {
    /// How much credit to have free there, such as 5db3
    #[arg(value_parser = amount)]
    pub amount: Tai,
    /// On this shard [default: the one of the account's own namespace]
    #[arg(long, value_name = "N", conflicts_with = "namespace")]
    pub shard: Option<u32>,
    /// On the shard of this namespace
    #[arg(long, value_name = "NS")]
    pub namespace: Option<String>,
    /// How to send it
    #[command(flatten)]
    pub sending: SendingArgs,
}

/// `db3 credit pay`
#[derive(Debug, Args)]
pub struct PayArgs {
    /// How much, such as 5db3 [default: all that is outstanding]
    #[arg(value_parser = amount)]
    pub amount: Option<Tai>,
    /// How to send it
    #[command(flatten)]
    pub sending: SendingArgs,
}
