//! Arguments of `db3 receipt|bill|statement|epoch|credit`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use db3_primitives::{BlockTime, MutationId};

use super::parse::{bill_name, epoch, mutation_id, time};

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
    /// List bills of all shards, newest first
    List(BillListArgs),
    /// Show a bill: quantity times unit price of each meter
    Show {
        /// SHARD/ACCOUNT/SEQ, or the identifier of the mutation
        #[arg(value_parser = bill_name, value_name = "SHARD/ACCOUNT/SEQ|ID")]
        bill: BillName,
    },
    /// Prove a bill: that it stands under its epoch's root, that under a header, and which posting debited and paid it
    Verify {
        /// SHARD/ACCOUNT/SEQ, or the identifier of the mutation
        #[arg(value_parser = bill_name, value_name = "SHARD/ACCOUNT/SEQ|ID")]
        bill: BillName,
    },
}

/// Which bill, as it is named on the command line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BillName {
    /// By its place.
    Seq {
        /// Shard.
        shard: u32,
        /// Name or address of the account.
        account: String,
        /// Number, from 1.
        seq: u64,
    },
    /// By what it is for.
    Mutation(MutationId),
}

/// `db3 bill list`
#[derive(Debug, Args)]
pub struct BillListArgs {
    /// Of this epoch; open and last are each shard's own: the open one, and the last that has closed there
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

/// Status of bills.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum StatusChoice {
    /// In the open epoch.
    Open,
    /// In a closed one, and not debited yet.
    Closed,
    /// Debited by a round: outstanding, paid or written off.
    Settled,
    /// Debited, and not paid in full yet.
    Outstanding,
    /// Paid.
    Paid,
    /// Given up.
    #[value(name = "written_off", alias = "written-off")]
    WrittenOff,
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
    /// List the account's statements, oldest first, with what became of each
    List {
        /// Of this shard
        #[arg(long, value_name = "N")]
        shard: Option<u32>,
        /// Most statements of each shard, the newest ones [default: all]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
    },
    /// Show the statements of an epoch, with their bills
    Show {
        /// The epoch; last is the account's newest statement of each shard, whichever epoch that is of
        #[arg(value_name = "N|last", value_parser = epoch)]
        epoch: EpochChoice,
    },
    /// Write statements for a bookkeeper: as CSV, or as JSON with --output json; what else moved the balance lists `db3 credit
    /// history`
    Export(StatementExportArgs),
}

/// `db3 statement export`
#[derive(Debug, Args)]
pub struct StatementExportArgs {
    /// Of this epoch; last is the account's newest statement of each shard [default: of all that have closed]
    #[arg(value_name = "N|last", value_parser = epoch)]
    pub epoch: Option<EpochChoice>,
    /// Of periods that end after this time, such as 2026-01-31T00:00:00Z
    #[arg(long, value_name = "T", value_parser = time)]
    pub since: Option<BlockTime>,
    /// Of periods that end at or before this time
    #[arg(long, value_name = "T", value_parser = time)]
    pub until: Option<BlockTime>,
    /// Of this shard
    #[arg(long, value_name = "N")]
    pub shard: Option<u32>,
    /// One line for each meter of each bill instead of one for each statement
    #[arg(long)]
    pub charges: bool,
    /// Where to write it instead of printing it
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// `db3 epoch`
#[derive(Debug, Subcommand)]
pub enum EpochCommand {
    /// List epochs of all shards, newest first
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
