//! Arguments of `db3 import|export|relay|bench`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::parse::{delimiter, duration};

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

/// `db3 relay`
#[derive(Debug, Args)]
pub struct RelayArgs {
    /// How often to look for something new, such as 2s [default: 2s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub poll: Option<Duration>,
    /// Longest random wait before carrying, so that of many relays one does the work [default: 1500ms]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub jitter: Option<Duration>,
    /// End after this time, such as 10s [default: when it is interrupted, which is its usual end: exit code 0]
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
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
    /// Accounts that write, each to its own namespace [default: all of a devnet's, else the one in use]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub accounts: Option<u32>,
    /// The same by name, on any network: NAME,NAME,... of your own accounts under one password
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "accounts")]
    pub signers: Vec<String>,
    /// Mutations a second, in calls at even intervals whether or not those before were answered (as far as
    /// `--concurrency` goes); latency counts from when a call was due [default: as many as go]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: Option<u32>,
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
