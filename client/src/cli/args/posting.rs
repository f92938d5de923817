//! Arguments of `db3 posting|pool`.

use clap::{Args, Subcommand, ValueEnum};
use db3_primitives::{BlockTime, PostingKind};

use super::parse::time;

/// `db3 posting`
#[derive(Debug, Subcommand)]
pub enum PostingCommand {
    /// List the account's postings, newest first; each is proven, and that there are no others
    List(PostingListArgs),
    /// Show a posting, proven: what it did on each line
    Show {
        /// Its position in the log of postings, from 0
        #[arg(value_name = "INDEX")]
        index: u64,
    },
}

/// `db3 posting list`
#[derive(Debug, Args)]
pub struct PostingListArgs {
    /// Of this kind
    #[arg(long, value_enum, value_name = "KIND")]
    pub kind: Option<KindChoice>,
    /// Of the round that settles this epoch
    #[arg(long, value_name = "N")]
    pub epoch: Option<u64>,
    /// In blocks at or after this time, such as 2026-01-31T09:30:00Z
    #[arg(long, value_name = "T", value_parser = time)]
    pub since: Option<BlockTime>,
    /// In blocks before this time
    #[arg(long, value_name = "T", value_parser = time)]
    pub until: Option<BlockTime>,
    /// Most postings [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
}

/// Why money moved.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum KindChoice {
    /// A round: debited what the shards stated, and paid what the balance could.
    Round,
    /// The account paid what was outstanding.
    Pay,
    /// Collateral paid it.
    Seize,
    /// It was given up.
    #[value(name = "write_off", alias = "write-off")]
    WriteOff,
    /// The account received its share of what validators earned.
    Payout,
}

impl KindChoice {
    /// The kind of posting.
    #[must_use]
    pub fn kind(self) -> PostingKind {
        match self {
            Self::Round => PostingKind::Round,
            Self::Pay => PostingKind::Pay,
            Self::Seize => PostingKind::Seize,
            Self::WriteOff => PostingKind::WriteOff,
            Self::Payout => PostingKind::Payout,
        }
    }
}

/// `db3 pool`
#[derive(Debug, Subcommand)]
pub enum PoolCommand {
    /// Show what each chain has earned, what was paid out, and what waits
    List,
    /// List payouts, newest first: who received what; proven to be all that there were
    Payouts {
        /// Of this chain's validators
        #[arg(long, value_name = "CHAIN")]
        chain: Option<String>,
        /// Most payouts
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
    },
}
