//! The command line of `db3`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use db3_primitives::{Address, BlockTime, MutationId, Tai};

use crate::BillRef;
use crate::console::{ColorChoice, OutputFormat};
use crate::devnet_args::DevnetArgs;
use crate::receipt::WaitMode;

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
    #[arg(long, global = true, env = "DB3_TIMEOUT", value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Believe the node without proof
    #[arg(long, global = true, env = "DB3_UNVERIFIED", value_parser = clap::builder::FalseyValueParser::new(), num_args = 0, default_missing_value = "true", default_value = "false")]
    pub unverified: bool,
    /// Answer every question with yes
    #[arg(long, global = true)]
    pub yes: bool,
    /// Never ask: fail where a question would be asked
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Print data and errors only
    #[arg(long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more about what is done
    #[arg(long, global = true)]
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
    /// What a signed mutation says, and who signed it
    Decode(FileArgs),
    /// Bills: what was charged and why
    #[command(subcommand)]
    Bill(BillCommand),
    /// Statements: what an account owes from each shard at the close of an epoch
    #[command(subcommand)]
    Statement(StatementCommand),
    /// Epochs of the shards
    #[command(subcommand)]
    Epoch(EpochCommand),
    /// Credit of an account
    #[command(subcommand)]
    Credit(CreditCommand),
    /// Where the network's chains stand
    Status,
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

/// `db3 network`
#[derive(Debug, Subcommand)]
pub enum NetworkCommand {
    /// List the networks
    List,
    /// Make a network the current one
    Use {
        /// Its name
        name: String,
    },
    /// Add a network from its file
    Add {
        /// The file, which must come by a way that you trust
        file: PathBuf,
    },
    /// Show a network's chains, endpoints and trust roots
    Show {
        /// Its name [default: the current one]
        name: Option<String>,
    },
}

/// `db3 account`
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Make a new key
    New {
        /// Name for it
        name: String,
    },
    /// List the accounts
    List,
    /// Show an account
    Show {
        /// Its name or address [default: the one in use]
        account: Option<String>,
    },
    /// Make an account the default one
    Use {
        /// Its name or address
        account: String,
    },
    /// Take in a key: a keystore file, or a file with 64 hexadecimal digits
    Import {
        /// Name for it
        name: String,
        /// The file
        file: PathBuf,
    },
    /// Print an account's keystore file, which geth reads
    Export {
        /// Its name or address
        account: String,
        /// Where to write it instead of printing it
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// `db3 namespace`
#[derive(Debug, Subcommand)]
pub enum NamespaceCommand {
    /// Register a name for the account
    Create {
        /// 1 to 64 of a-z 0-9 . _ -
        name: String,
        /// How to send it
        #[command(flatten)]
        sending: SendingArgs,
    },
    /// Show a namespace
    Show {
        /// Its name
        name: String,
    },
    /// List the account's namespaces
    List,
}

/// `db3 table`
#[derive(Debug, Subcommand)]
pub enum TableCommand {
    /// Create a table; in one's own namespace the first write does that
    Create {
        /// TABLE, or NAMESPACE/TABLE
        table: String,
        /// How to send it
        #[command(flatten)]
        sending: SendingArgs,
    },
    /// Show a table
    Show {
        /// TABLE, or NAMESPACE/TABLE
        table: String,
    },
    /// List the tables of a namespace
    List {
        /// The namespace [default: the account's own]
        namespace: Option<String>,
    },
}

/// How a mutation is sent.
#[derive(Clone, Debug, Args)]
pub struct SendingArgs {
    /// The most that it may cost, such as 0.01db3 or 5000tai [default: twice the estimate]
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    pub max_fee: Option<Tai>,
    /// What to wait for
    #[arg(long, value_enum, value_name = "STATE", default_value = "provable")]
    pub wait: Wait,
    /// How long it may wait for a block, such as 10m; then it is void [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub expires_in: Option<Duration>,
    /// Say what it would cost, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Keep the signed bytes in a file that `db3 decode` reads
    #[arg(long, value_name = "FILE")]
    pub signed_file: Option<PathBuf>,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Wait {
    /// The node has checked it and will propose it.
    Checked,
    /// A block holds it, on disk.
    Committed,
    /// Its effects can be proven.
    Provable,
}

impl From<Wait> for WaitMode {
    fn from(wait: Wait) -> Self {
        match wait {
            Wait::Checked => Self::Checked,
            Wait::Committed => Self::Committed,
            Wait::Provable => Self::Provable,
        }
    }
}

/// `db3 put|insert|update`
#[derive(Debug, Args)]
pub struct WriteArgs {
    /// TABLE (in the account's own namespace), or NAMESPACE/TABLE
    pub table: String,
    /// Key, 1 to 256 bytes
    pub key: String,
    /// Value; - reads it from standard input
    #[arg(required_unless_present = "value_file", allow_hyphen_values = true)]
    pub value: Option<String>,
    /// Read the value from this file, as it is
    #[arg(long, value_name = "FILE", conflicts_with = "value")]
    pub value_file: Option<PathBuf>,
    /// Only if the record stands at this version; 0: only if there is none
    #[arg(long, value_name = "N")]
    pub if_version: Option<u64>,
    /// How to send it
    #[command(flatten)]
    pub sending: SendingArgs,
}

/// `db3 delete`
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// TABLE (in the account's own namespace), or NAMESPACE/TABLE
    pub table: String,
    /// Key
    pub key: String,
    /// Only if the record stands at this version
    #[arg(long, value_name = "N")]
    pub if_version: Option<u64>,
    /// How to send it
    #[command(flatten)]
    pub sending: SendingArgs,
}

/// `db3 mutate`
#[derive(Debug, Args)]
pub struct MutateArgs {
    /// File with one JSON object a line; - reads standard input
    #[arg(
        long_help = "File with one JSON object a line; - reads standard input.\n\n  {\"op\":\"put\",\"table\":\"t\",\"key\":\"k\",\"value\":\"v\"}\n\nop: put, insert, update, delete, create_table, create_namespace. key_hex and value_hex take bytes; if_version may be added"
    )]
    pub file: PathBuf,
    /// Namespace of all operations [default: the account's own]
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// How to send it
    #[command(flatten)]
    pub sending: SendingArgs,
}

/// `db3 get`
#[derive(Debug, Args)]
pub struct GetArgs {
    /// TABLE (in the account's own namespace), or NAMESPACE/TABLE
    pub table: String,
    /// Key
    pub key: String,
    /// Keep the proof in this file, for `db3 verify`
    #[arg(long, value_name = "FILE")]
    pub proof_file: Option<PathBuf>,
}

/// `db3 scan`
#[derive(Debug, Args)]
pub struct ScanArgs {
    /// TABLE (in the account's own namespace), or NAMESPACE/TABLE
    pub table: String,
    /// Only keys that begin with this
    #[arg(long, value_name = "P")]
    pub prefix: Option<String>,
    /// First key, inclusive
    #[arg(long, value_name = "K")]
    pub from: Option<String>,
    /// End, exclusive
    #[arg(long, value_name = "K")]
    pub to: Option<String>,
    /// Most records [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Keep the proof in this file, for `db3 verify`
    #[arg(long, value_name = "FILE")]
    pub proof_file: Option<PathBuf>,
}

/// `db3 watch`
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// TABLE (in the account's own namespace), or NAMESPACE/TABLE
    pub table: String,
    /// Only keys that begin with this
    #[arg(long, value_name = "P")]
    pub prefix: Option<String>,
    /// End after this many changes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after this time, such as 10s
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
}

/// A command with a file.
#[derive(Debug, Args)]
pub struct FileArgs {
    /// The file
    pub file: PathBuf,
}

/// Formats of files of records.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum FileFormat {
    /// Delimited text.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// A JSON document.
    Json,
}

/// `db3 import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// TABLE (in the account's own namespace), or NAMESPACE/TABLE
    pub table: String,
    /// The file. A row becomes one record: its value is the row as a compact JSON object
    pub file: PathBuf,
    /// Field that holds the key
    #[arg(long, value_name = "FIELD", required_unless_present = "pairs")]
    pub key: Option<String>,
    /// Rows are `key` (or `key_hex`) and `value` (or `value_hex`), as `db3 export --pairs` writes them
    #[arg(long, conflicts_with = "key")]
    pub pairs: bool,
    /// Format [default: by the file's extension: .csv .tsv .json .ndjson .jsonl]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<FileFormat>,
    /// What stands between the fields of delimited text; tab is written as tab or \t [default: ,]
    #[arg(long, value_name = "C", value_parser = delimiter)]
    pub delimiter: Option<char>,
    /// Names of the columns of delimited text without a header line
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub columns: Option<Vec<String>>,
    /// Most pairs of one mutation
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub batch: u32,
    /// Most mutations on their way at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub in_flight: u32,
    /// Append one line of JSON for each mutation that a block holds: id, height, records
    #[arg(long, value_name = "FILE")]
    pub receipts: Option<PathBuf>,
    /// Say what would be written, and send nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `db3 export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// TABLE (in the account's own namespace), or NAMESPACE/TABLE
    pub table: String,
    /// Format [default: ndjson, or csv with --output csv]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<FileFormat>,
    /// Write key and value of each record instead of the value as a row [default with --output json]
    #[arg(long)]
    pub pairs: bool,
    /// Where to write it instead of printing it
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// `db3 receipt`
#[derive(Debug, Args)]
pub struct ReceiptArgs {
    /// Identifier, 0x and 64 hexadecimal digits
    #[arg(value_parser = mutation_id)]
    pub id: MutationId,
    /// Wait until the mutation is in a block, or has expired
    #[arg(long)]
    pub wait: bool,
}

/// `db3 bill`
#[derive(Debug, Subcommand)]
pub enum BillCommand {
    /// List bills, newest first
    List(BillListArgs),
    /// Show a bill: quantity times unit price of each meter
    Show {
        /// SHARD/ACCOUNT/SEQ, or the identifier of the mutation
        #[arg(value_parser = bill_ref, value_name = "SHARD/ACCOUNT/SEQ|ID")]
        bill: BillRef,
    },
    /// Prove that a bill stands in its epoch's log
    Verify {
        /// SHARD/ACCOUNT/SEQ, or the identifier of the mutation
        #[arg(value_parser = bill_ref, value_name = "SHARD/ACCOUNT/SEQ|ID")]
        bill: BillRef,
    },
}

/// `db3 bill list`
#[derive(Debug, Args)]
pub struct BillListArgs {
    /// Of this epoch
    #[arg(long, value_name = "N|open|last", value_parser = epoch)]
    pub epoch: Option<EpochChoice>,
    /// In blocks at or after this time, such as 2026-01-31T09:30:00Z
    #[arg(long, value_name = "T", value_parser = time)]
    pub since: Option<BlockTime>,
    /// In blocks before this time
    #[arg(long, value_name = "T", value_parser = time)]
    pub until: Option<BlockTime>,
    /// Of this shard
    #[arg(long, value_name = "N")]
    pub shard: Option<u32>,
    /// Of this namespace
    #[arg(long, value_name = "NS")]
    pub namespace: Option<String>,
    /// In this status
    #[arg(long, value_enum, value_name = "STATUS")]
    pub status: Option<StatusChoice>,
    /// Add up instead of listing
    #[arg(long, value_enum, value_name = "FIELD")]
    pub sum_by: Option<SumBy>,
    /// Most bills [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "sum_by")]
    pub limit: Option<u64>,
}

/// Which epoch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EpochChoice {
    /// This one.
    Number(u64),
    /// The open one of each shard.
    Open,
    /// The last closed one of each shard.
    Last,
}

/// Status of bills on a shard.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum StatusChoice {
    /// In the open epoch.
    Open,
    /// In a closed one.
    Closed,
}

/// What to add bills up by.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum SumBy {
    /// Namespace.
    Namespace,
    /// Kind.
    Kind,
    /// Epoch.
    Epoch,
}

/// `db3 statement`
#[derive(Debug, Subcommand)]
pub enum StatementCommand {
    /// List the account's statements
    List {
        /// Of this shard
        #[arg(long, value_name = "N")]
        shard: Option<u32>,
    },
    /// Show the statements of an epoch, with their bills
    Show {
        /// The epoch
        #[arg(value_name = "N|last", value_parser = epoch)]
        epoch: EpochChoice,
    },
    /// Write the bills of an epoch's statements as CSV
    Export {
        /// The epoch
        #[arg(value_name = "N|last", value_parser = epoch)]
        epoch: EpochChoice,
        /// Where to write it instead of printing it
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// `db3 epoch`
#[derive(Debug, Subcommand)]
pub enum EpochCommand {
    /// List epochs, newest first
    List {
        /// Of this shard
        #[arg(long, value_name = "N")]
        shard: Option<u32>,
        /// Most epochs of each shard
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
    },
    /// Show an epoch on every shard; its close is proven
    Show {
        /// The epoch
        #[arg(value_name = "N|open|last", value_parser = epoch)]
        epoch: EpochChoice,
        /// Of this shard
        #[arg(long, value_name = "N")]
        shard: Option<u32>,
    },
}

/// `db3 credit`
#[derive(Debug, Subcommand)]
pub enum CreditCommand {
    /// Show the account's line on each shard
    Show,
}

/// `db3 bench`
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Signed mutations until a block holds them
    Write(BenchWriteArgs),
    /// Reads of records, proven and verified
    Read(BenchReadArgs),
}

/// `db3 bench write`
#[derive(Debug, Args)]
pub struct BenchWriteArgs {
    /// Pairs of each mutation
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub pairs: u32,
    /// Mutations altogether; they are signed before the clock starts
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub count: u32,
    /// Calls under way at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub concurrency: u32,
    /// Mutations of each call
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub batch: u32,
    /// Accounts that write, each to its own namespace [default: all of the devnet's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub accounts: Option<u32>,
    /// Bytes of a pair's value [default: so that 1, 10 and 20 pairs make about 232, 1 204 and 2 304 bytes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub value_bytes: Option<u32>,
}

/// `db3 bench read`
#[derive(Debug, Args)]
pub struct BenchReadArgs {
    /// How long to read, such as 5s
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub seconds: Duration,
    /// Calls under way at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub concurrency: u32,
    /// Records of each call
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub batch: u32,
    /// Records to read from; they are written first where they are missing
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub records: u32,
    /// Without proofs
    #[arg(long)]
    pub plain: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let number: f64 = digits.parse().map_err(|_| format!("`{text}` is no time; write it as 500ms, 30s, 2m or 1h"))?;
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(format!("`{unit}` is no unit of time; use ms, s, m or h")),
    };
    let duration = Duration::try_from_secs_f64(number * factor).map_err(|error| format!("`{text}`: {error}"))?;
    if duration.is_zero() { Err(format!("`{text}` is no time to wait; give more than 0")) } else { Ok(duration) }
}

/// As [`duration`], for settings.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    duration(text)
}

fn amount(text: &str) -> Result<Tai, String> {
    Tai::parse_with_unit(text).map_err(|error| error.to_string())
}

fn time(text: &str) -> Result<BlockTime, String> {
    BlockTime::parse_rfc3339(text).map_err(|error| error.to_string())
}

fn delimiter(text: &str) -> Result<char, String> {
    let mut letters = text.chars();
    match (text, letters.next(), letters.next()) {
        ("tab" | "\\t", _, _) => Ok('\t'),
        (_, Some(letter), None) if letter != '"' && letter != '\n' && letter != '\r' => Ok(letter),
        _ => Err(format!("`{text}` is no delimiter; give one character, or tab")),
    }
}

fn mutation_id(text: &str) -> Result<MutationId, String> {
    db3_primitives::hash::parse_hash(text).map(MutationId).map_err(|error| error.to_string())
}

fn epoch(text: &str) -> Result<EpochChoice, String> {
    match text {
        "open" => Ok(EpochChoice::Open),
        "last" => Ok(EpochChoice::Last),
        number => number
            .parse()
            .map(EpochChoice::Number)
            .map_err(|_| format!("`{text}` is no epoch; give a number, open or last")),
    }
}

fn bill_ref(text: &str) -> Result<BillRef, String> {
    let parts: Vec<&str> = text.split('/').collect();
    match parts.as_slice() {
        [id] => mutation_id(id).map(BillRef::Mutation),
        [shard, account, seq] => {
            let shard = shard.parse().map_err(|_| format!("`{shard}` is no shard; give its number"))?;
            let account: Address = account.parse().map_err(|error| format!("{error}"))?;
            let seq = seq.parse().map_err(|_| format!("`{seq}` is no number of a bill"))?;
            Ok(BillRef::Seq { shard, account, seq })
        }
        _ => Err(format!("`{text}` names no bill; write SHARD/ACCOUNT/SEQ, or the mutation's identifier")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn times_carry_their_unit_or_are_seconds() {
        assert_eq!(duration("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(duration("120s").unwrap(), Duration::from_secs(120));
        assert_eq!(duration("30").unwrap(), Duration::from_secs(30));
        assert_eq!(duration("1.5m").unwrap(), Duration::from_secs(90));
        for bad in ["", "s", "0", "-1s", "1d", "1e99h", "NaN"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bills_are_named_by_place_or_by_mutation() {
        let address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        let by_place = bill_ref(&format!("1/{address}/7")).unwrap();
        assert_eq!(by_place, BillRef::Seq { shard: 1, account: address.parse().unwrap(), seq: 7 });
        assert!(matches!(bill_ref(&format!("0x{}", "ab".repeat(32))).unwrap(), BillRef::Mutation(_)));
        for bad in ["", "1/2", "x/y/z", "0xab", "1/0x0/1"] {
            assert!(bill_ref(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bare_number_is_no_amount() {
        assert!(amount("5").unwrap_err().contains("5db3"));
        assert_eq!(amount("0.25db3").unwrap(), Tai::new(250_000_000));
    }
}
