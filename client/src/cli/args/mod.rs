//! The command line of `db3`.

mod billing;
mod bulk;
mod governance;
mod money;
mod names;
mod parse;
mod posting;
mod records;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::console::{ColorChoice, OutputFormat};
use crate::devnet_args::DevnetArgs;

pub use billing::{
    BillCommand, BillListArgs, BillName, EpochChoice, EpochCommand, ReceiptArgs, StatementCommand, StatementExportArgs,
    StatusChoice, SumBy,
};
pub use bulk::{BenchCommand, BenchReadArgs, BenchWriteArgs, ExportArgs, FileFormat, ImportArgs, RelayArgs};
pub use governance::{GovernanceCommand, ProposeArgs};
pub use money::{AllocateArgs, CreditCommand, DepositArgs, HistoryArgs, TransferArgs};
pub use names::{AccountCommand, NamespaceCommand, NetworkCommand, TableCommand};
pub use parse::duration as parse_duration;
pub use posting::{KindChoice, PoolCommand, PostingCommand, PostingListArgs};
pub use records::{DeleteArgs, FileArgs, GetArgs, MutateArgs, ScanArgs, SendingArgs, WatchArgs, WriteArgs};

/// Shared, signed, provable key-value data, paid after use.
#[derive(Debug, Parser)]
#[command(name = "db3", version, disable_help_subcommand = true)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Global {
    /// Network, by name or by the path of its file [default: the current one, else devnet]
    #[arg(long, global = true, env = "DB3_NETWORK", value_name = "NAME|FILE")]
    pub network: Option<String>,
    /// Address of a node to ask instead of those that the network file names
    #[arg(long, global = true, env = "DB3_ENDPOINT", value_name = "URL")]
    pub endpoint: Option<String>,
    /// Account; an address without a key may read [default: dev0 on a devnet]
    #[arg(long, global = true, env = "DB3_ACCOUNT", value_name = "NAME|ADDRESS")]
    pub account: Option<String>,
    /// File that holds the account's password
    #[arg(long, global = true, env = "DB3_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// How data is printed [default: table]
    #[arg(long, global = true, env = "DB3_OUTPUT", value_enum, value_name = "FORMAT")]
    pub output: Option<OutputFormat>,
    /// How keys and values are written on the command line, and shown in tables [default: text]
    #[arg(long, global = true, env = "DB3_ENCODING", value_enum, value_name = "ENCODING")]
    pub encoding: Option<Encoding>,
    /// How long to wait for the network, such as 500ms, 30s or 2m [default: 30s, and no waiting for one that is down]
    #[arg(long, global = true, env = "DB3_TIMEOUT", value_name = "TIME", value_parser = parse::duration)]
    pub timeout: Option<Duration>,
    /// Believe the node without proof
    #[arg(long, global = true, env = "DB3_UNVERIFIED", value_parser = clap::builder::BoolishValueParser::new(), num_args = 0, default_missing_value = "true", default_value = "false")]
    pub unverified: bool,
    /// Answer every question with yes
    #[arg(long, global = true, env = "DB3_YES", value_parser = clap::builder::BoolishValueParser::new(), num_args = 0, default_missing_value = "true", default_value = "false")]
    pub yes: bool,
    /// Never ask: fail where a question would be asked
    #[arg(long, global = true, env = "DB3_NO_INPUT", value_parser = clap::builder::BoolishValueParser::new(), num_args = 0, default_missing_value = "true", default_value = "false")]
    pub no_input: bool,
    /// Print data and errors only
    #[arg(long, global = true, env = "DB3_QUIET", value_parser = clap::builder::BoolishValueParser::new(), num_args = 0, default_missing_value = "true", default_value = "false")]
    pub quiet: bool,
    /// Say more about what is done
    #[arg(long, global = true, env = "DB3_VERBOSE", value_parser = clap::builder::BoolishValueParser::new(), num_args = 0, default_missing_value = "true", default_value = "false")]
    pub verbose: bool,
    /// Colours in what people read [default: auto]
    #[arg(long, global = true, env = "DB3_COLOR", value_enum, value_name = "WHEN")]
    pub color: Option<ColorChoice>,
}

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Text,
    /// Pairs of hexadecimal digits; `0x` may stand before them.
    Hex,
    /// Base64 by RFC 4648.
    Base64,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a local network, with funded accounts, on this machine
    Devnet(DevnetArgs),
    /// Networks that this machine knows: trust roots and endpoints
    #[command(subcommand)]
    Network(NetworkCommand),
    /// Accounts and their keys
    #[command(subcommand)]
    Account(AccountCommand),
    /// Namespaces: unique names that an account owns
    #[command(subcommand)]
    Namespace(NamespaceCommand),
    /// Tables of a namespace
    #[command(subcommand)]
    Table(TableCommand),
    /// Write a record, whether or not it exists
    Put(WriteArgs),
    /// Write a record that must not exist
    Insert(WriteArgs),
    /// Write a record that must exist
    Update(WriteArgs),
    /// Remove a record
    Delete(DeleteArgs),
    /// Do many operations as one mutation: all or nothing
    Mutate(MutateArgs),
    /// Read a record, or learn that it is proven absent (exit code 4)
    Get(GetArgs),
    /// Read a range of a table, proven complete
    Scan(ScanArgs),
    /// Follow the changes of a table
    Watch(WatchArgs),
    /// Check a kept proof, offline
    Verify(FileArgs),
    /// Write a file of records
    Import(ImportArgs),
    /// Read a whole table, proven complete
    Export(ExportArgs),
    /// What became of a mutation
    Receipt(ReceiptArgs),
    /// What a signed mutation or transaction says, and who signed it
    Decode(FileArgs),
    /// Bills: what was charged and why
    #[command(subcommand)]
    Bill(BillCommand),
    /// Statements: what an account owes from each shard at the close of an epoch
    #[command(subcommand)]
    Statement(StatementCommand),
    /// Postings: what settlement did to an account
    #[command(subcommand)]
    Posting(PostingCommand),
    /// What the validators of each chain have earned, and to whom it was paid out
    #[command(subcommand)]
    Pool(PoolCommand),
    /// Epochs of the shards
    #[command(subcommand)]
    Epoch(EpochCommand),
    /// Send money to another account
    Transfer(TransferArgs),
    /// Credit of an account: what secures it, where it may be used, what is owed
    #[command(subcommand)]
    Credit(CreditCommand),
    /// What the operators of a chain decide together: validators, parameters, channels
    #[command(subcommand)]
    Governance(GovernanceCommand),
    /// Where the network's chains stand, and what they hear of one another
    Status,
    /// Carry what the network's chains have to say to one another; anyone may, and needs no account
    Relay(RelayArgs),
    /// Measure the network
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Print a script that completes this command's words in a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}
