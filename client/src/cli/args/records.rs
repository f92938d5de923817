//! Arguments of the commands that write and read records.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use db3_primitives::Tai;

use super::parse::{amount, duration};
use crate::receipt::WaitMode;

/// How a mutation is sent.
#[derive(Clone, Debug, Default, Args)]
pub struct SendingArgs {
    /// The most that it may cost, such as 0.01db3 or 5000tai [default: twice the estimate, and at least the bound]
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
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Wait {
    /// The node has checked it and will propose it.
    Checked,
    /// A block holds it, on disk.
    Committed,
    /// Its effects can be proven.
    #[default]
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
