//! The control socket: how `stop`, `status`, `advance` and `fund` reach a running devnet.
//!
//! A Unix socket that only its owner may open; one JSON object a line each way, one question a connection. A question
//! is at most 64 KiB. It must never be reachable from another machine.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use db3_primitives::Tai;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::home::{Home, Made};
use crate::ready::Ready;

/// The longest question and the longest answer, bytes.
pub const LINE_BYTES_MAX: u64 = 1 << 20;
/// The longest path that a Unix socket can have on Linux.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// How the network stands.
    Status,
    /// Stop, gracefully.
    Stop,
    /// Move the block time of every chain.
    Advance {
        /// By how many seconds.
        secs: u64,
    },
    /// Give an account money.
    Fund {
        /// Whom.
        address: String,
        /// How much to pay with, and again as collateral, in tai; none: the usual gift.
        amount_tai: Option<String>,
    },
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// To `status`.
    Status(Box<Status>),
    /// To `stop`: the process that stops now.
    Stopping {
        /// Its number.
        pid: u32,
    },
    /// To `advance`: what closed on each chain.
    Advanced {
        /// The settlement chain and then the shards, in order of their number.
        chains: Vec<Advanced>,
    },
    /// To `fund`.
    Funded {
        /// What the account has now.
        funds: Box<Funds>,
        /// What it owed before, in tai; then it got no collateral.
        owed_tai: Option<String>,
    },
    /// The question could not be answered.
    Refused {
        /// Why, and what to do.
        message: String,
    },
}

/// How a devnet stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The process.
    pub pid: u32,
    /// Milliseconds from start to serving.
    pub ready_millis: u64,
    /// What the network was made with.
    pub made: Made,
    /// As in the ready file.
    pub ready: Ready,
    /// What the funded accounts have.
    pub funds: Vec<Funds>,
    /// Each chain, the settlement chain first.
    pub chains: Vec<ChainStatus>,
    /// What is carried from chain to chain.
    pub relay: Vec<Direction>,
}

/// What one account has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funds {
    /// `dev0` …, or `--fund`.
    pub name: String,
    /// Its address.
    pub address: String,
    /// What it can pay with.
    pub balance_tai: String,
    /// Its credit over all shards.
    pub limit_tai: String,
    /// How much of that no line holds.
    pub free_tai: String,
    /// The credit that it wants, in tai, by shard.
    pub lines: Vec<(u32, String)>,
}

/// How far a log was carried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Direction {
    /// The chain that writes it.
    pub from: String,
    /// The chain that reads it.
    pub to: String,
    /// Entries that are written and not yet read; not known before both chains have answered.
    pub lag_entries: Option<u64>,
    /// For how long there have been such entries, or may have been.
    pub lag_secs: u64,
    /// How it does.
    pub condition: String,
    /// What went wrong last, if it goes wrong.
    pub error: Option<String>,
}

/// How one chain stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainStatus {
    /// Its identifier.
    pub chain_id: String,
    /// Newest block on disk.
    pub height: u64,
    /// Newest height whose state can be proven.
    pub provable_height: u64,
    /// Time of the newest block, RFC 3339.
    pub block_time: String,
    /// Root of the state after the newest block, `0x…`.
    pub root: String,
    /// The open epoch.
    pub open_epoch: u64,
    /// On the settlement chain: the newest epoch that is settled.
    pub settled_epoch: Option<u64>,
}

/// What moving its time did to one chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advanced {
    /// Its identifier.
    pub chain_id: String,
    /// Time of its newest block, RFC 3339.
    pub block_time: String,
    /// The open epoch.
    pub open_epoch: u64,
    /// On a shard: the closes that were written, oldest first.
    pub closed: Vec<Closed>,
    /// On the settlement chain: what was posted, by the epoch of its round, oldest first.
    pub settled: Vec<Settled>,
    /// On the settlement chain: the newest epoch that is settled, also where nobody owed anything.
    pub settled_epoch: Option<u64>,
}

/// What the rounds of one epoch posted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The newest epoch that they settled.
    pub epoch: u64,
    /// Number of postings.
    pub postings: u64,
    /// What was newly debited.
    #[serde(with = "tai")]
    pub debited: Tai,
    /// What was paid, of that and of older debits.
    #[serde(with = "tai")]
    pub paid: Tai,
    /// What nobody will pay any more.
    #[serde(with = "tai")]
    pub written_off: Tai,
}

/// One close.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// First epoch that it covers.
    pub first: u64,
    /// Last epoch that it covers.
    pub last: u64,
    /// Number of bills.
    pub bills: u64,
    /// Number of statements.
    pub statements: u64,
    /// Sum of the bills in tai.
    pub total_tai: String,
}

/// Asks the devnet of this folder; `patience` bounds the wait for the answer.
pub fn ask(home: &Home, question: &Question, patience: Duration) -> Result<Answer> {
    let Some(stream) = connect(&home.control_socket()) else {
        bail!(Failure::NobodyAnswered(format!(
            "no devnet is running in {}; start one with `db3 devnet`",
            home.path().display()
        )));
    };
    exchange(stream, question, patience).map_err(|error| {
        let what = format!("the devnet in {} has not answered in time ({error:#})", home.path().display());
        let remedy = format!("look into {}, and ask again", home.log().display());
        match question {
            Question::Status => Failure::NobodyAnswered(format!("{what}; {remedy}")).into(),
            Question::Stop | Question::Advance { .. } | Question::Fund { .. } => {
                Failure::OutcomeUnknown(format!("{what}, and may still do what it was asked; {remedy}")).into()
            }
        }
    })
}

/// The status of the devnet that runs in this folder; none if none answers.
pub fn running(home: &Home) -> Option<Status> {
    let stream = connect(&home.control_socket())?;
    match exchange(stream, &Question::Status, Duration::from_secs(5)).ok()? {
        Answer::Status(status) => Some(*status),
        Answer::Stopping { .. } | Answer::Advanced { .. } | Answer::Funded { .. } | Answer::Refused { .. } => None,
    }
}

fn connect(socket: &Path) -> Option<UnixStream> {
    UnixStream::connect(socket).ok()
}

fn exchange(mut stream: UnixStream, question: &Question, patience: Duration) -> Result<Answer> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut line = serde_json::to_string(question)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut answer)?;
    if answer.is_empty() {
        bail!("the connection was closed without an answer");
    }
    Ok(serde_json::from_str(&answer)?)
}

/// An amount as decimal digits, because JSON's numbers are exact only up to 53 bits.
mod tai {
    use db3_primitives::Tai;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(value: &Tai, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tai, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
