//! The command line of the local network, shared by `db3 devnet …`, which hands it on, and `db3-devnet`, which does it.
//!
//! Every option may stand before or after the subcommand, and `start` may be left out.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use db3_primitives::{Address, Tai};

use crate::console::{ColorChoice, OutputFormat};

/// Shards of a new devnet unless told otherwise.
pub const SHARDS_DEFAULT: u32 = 2;
/// Accounts of a new devnet unless told otherwise.
pub const ACCOUNTS_DEFAULT: u32 = 10;
/// Epoch length of a new devnet unless told otherwise, seconds.
pub const EPOCH_SECS_DEFAULT: u64 = 60;
/// Port of the settlement chain unless told otherwise; shard n listens on port + 1 + n.
pub const PORT_DEFAULT: u16 = 7300;
/// How far a devnet's time may be moved ahead of this machine's clock, seconds: ten years. Clients compare headers with their
/// own clock, and trust none beyond that.
pub const AHEAD_SECS_MAX: u64 = 10 * 365 * 86_400;
/// Password of the devnet's accounts, whose keys everybody knows.
pub const DEV_PASSWORD: &str = "dev";

/// The program `db3-devnet`.
#[derive(Clone, Debug, Parser)]
#[command(name = "db3-devnet", version, about = "A local DB3 network: every node in one process, on this machine only")]
pub struct DevnetProgram {
    /// What to do.
    #[command(flatten)]
    pub devnet: DevnetArgs,
    /// How to say it.
    #[command(flatten)]
    pub console: ConsoleArgs,
}

/// How to speak; the same options as those of `db3`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct ConsoleArgs {
    /// How data is printed
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "table")]
    pub output: OutputFormat,
    /// Colours in what people read
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
    /// Answer every question with yes
    #[arg(long, global = true)]
    pub yes: bool,
    /// Never ask: fail where a question would be asked
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Print data and errors only
    #[arg(long, global = true)]
    pub quiet: bool,
}

/// What to do with the local network.
#[derive(Clone, Debug, Default, Args)]
pub struct DevnetArgs {
    /// What to do; `start` if left out
    #[command(subcommand)]
    pub command: Option<DevnetCommand>,
    /// Options of `start`
    #[command(flatten)]
    pub start: StartArgs,
    /// Folder of the network, by default `devnet` in `$DB3_HOME`
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
}

/// What can be done with a local network.
#[derive(Clone, Debug, Subcommand)]
pub enum DevnetCommand {
    /// Start it, with the state it was left in
    Start(StartArgs),
    /// Stop it; its state is kept
    Stop,
    /// Say whether it runs, and where
    Status,
    /// Remove its state, so that the next start begins anew
    Reset,
    /// Give an account money on the running network: some to pay with, and the same again as collateral
    Fund {
        /// The account: its address, or its name where this is `db3 devnet fund`
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// How much of each, with its unit, such as 5db3 [default: 1000db3]
        #[arg(value_name = "AMOUNT", value_parser = some_money)]
        amount: Option<Tai>,
    },
    /// Move block time forward, at most ten years ahead of the clock; the epochs that end meanwhile are closed and settled
    ///
    /// Epochs in which no block was made close together and are settled by one round. A debt ages by rounds, not by time:
    /// to see an account become delinquent, move on epoch by epoch.
    Advance {
        /// By how many seconds
        #[arg(value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..=253_402_300_799))]
        secs: u64,
    },
}

/// An amount to give away: 0 is none.
fn some_money(text: &str) -> Result<Tai, String> {
    match Tai::parse_with_unit(text) {
        Ok(amount) if amount.is_zero() => Err(format!("`{text}` is nothing to give; say more than 0")),
        other => other.map_err(|error| error.to_string()),
    }
}

/// Options of `start`. The values that shape the state hold for its whole life.
#[derive(Clone, Debug, Default, Args)]
pub struct StartArgs {
    /// Number of shard chains [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub shards: Option<u32>,
    /// Number of funded accounts, dev0 and up [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub accounts: Option<u32>,
    /// Length of an epoch in seconds [default: 60]
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub epoch_secs: Option<u64>,
    /// Port of the settlement chain; shard n listens on the port 1 + n above it [default: 7300]
    #[arg(long, env = "DB3_DEVNET_PORT", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65_000))]
    pub port: Option<u16>,
    /// Give this account credit as well (may be repeated)
    #[arg(long, value_name = "ADDRESS")]
    pub fund: Vec<Address>,
    /// Write addresses and endpoints to this file as JSON, once the network serves
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Return as soon as it serves, and leave it running
    #[arg(long)]
    pub detach: bool,
}

impl DevnetArgs {
    /// The options of `start`, wherever they stood. None if another command was named.
    #[must_use]
    pub fn start_args(&self) -> Option<StartArgs> {
        match &self.command {
            None => Some(self.start.clone()),
            Some(DevnetCommand::Start(inner)) => Some(inner.clone().or(&self.start)),
            Some(
                DevnetCommand::Stop
                | DevnetCommand::Status
                | DevnetCommand::Reset
                | DevnetCommand::Fund { .. }
                | DevnetCommand::Advance { .. },
            ) => None,
        }
    }

    /// The arguments that say the same to `db3-devnet`.
    #[must_use]
    pub fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        if let Some(home) = &self.home {
            arguments.extend(["--home".into(), home.into()]);
        }
        let word = match &self.command {
            None | Some(DevnetCommand::Start(_)) => "start",
            Some(DevnetCommand::Stop) => "stop",
            Some(DevnetCommand::Status) => "status",
            Some(DevnetCommand::Reset) => "reset",
            Some(DevnetCommand::Fund { .. }) => "fund",
            Some(DevnetCommand::Advance { .. }) => "advance",
        };
        arguments.push(word.into());
        match &self.command {
            Some(DevnetCommand::Advance { secs }) => arguments.push(secs.to_string().into()),
            Some(DevnetCommand::Fund { account, amount }) => {
                arguments.push(account.into());
                arguments.extend(amount.map(|amount| OsString::from(format!("{amount}tai"))));
            }
            Some(DevnetCommand::Start(_) | DevnetCommand::Stop | DevnetCommand::Status | DevnetCommand::Reset)
            | None => {}
        }
        if let Some(start) = self.start_args() {
            start.push_arguments(&mut arguments);
        }
        arguments
    }
}

impl StartArgs {
    fn or(self, outer: &Self) -> Self {
        let mut fund = outer.fund.clone();
        fund.extend(self.fund);
        Self {
            shards: self.shards.or(outer.shards),
            accounts: self.accounts.or(outer.accounts),
            epoch_secs: self.epoch_secs.or(outer.epoch_secs),
            port: self.port.or(outer.port),
            fund,
            ready_file: self.ready_file.or_else(|| outer.ready_file.clone()),
            detach: self.detach || outer.detach,
        }
    }

    fn push_arguments(&self, arguments: &mut Vec<OsString>) {
        let numbers = [
            ("--shards", self.shards.map(u64::from)),
            ("--accounts", self.accounts.map(u64::from)),
            ("--epoch-secs", self.epoch_secs),
            ("--port", self.port.map(u64::from)),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                arguments.extend([name.into(), number.to_string().into()]);
            }
        }
        for address in &self.fund {
            arguments.extend(["--fund".into(), address.to_string().into()]);
        }
        if let Some(file) = &self.ready_file {
            arguments.extend(["--ready-file".into(), file.into()]);
        }
        if self.detach {
            arguments.push("--detach".into());
        }
    }
}

impl ConsoleArgs {
    /// The arguments that say the same.
    #[must_use]
    pub fn to_arguments(self) -> Vec<OsString> {
        let output = match self.output {
            OutputFormat::Table => "table",
            OutputFormat::Json => "json",
            OutputFormat::Csv => "csv",
        };
        let color = match self.color {
            ColorChoice::Auto => "auto",
            ColorChoice::Always => "always",
            ColorChoice::Never => "never",
        };
        let mut arguments: Vec<OsString> = vec!["--output".into(), output.into(), "--color".into(), color.into()];
        let flags = [("--yes", self.yes), ("--no-input", self.no_input), ("--quiet", self.quiet)];
        arguments.extend(flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| OsString::from(name)));
        arguments
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn parse(line: &str) -> DevnetProgram {
        DevnetProgram::try_parse_from(line.split(' ')).expect(line)
    }

    #[test]
    fn options_stand_before_or_after_the_subcommand() {
        for line in
            ["db3-devnet --home d advance 600", "db3-devnet advance 600 --home d", "db3-devnet advance --home d 600"]
        {
            let parsed = parse(line).devnet;
            assert!(matches!(parsed.command, Some(DevnetCommand::Advance { secs: 600 })));
            assert_eq!(parsed.home, Some(PathBuf::from("d")));
            assert!(parsed.start_args().is_none());
        }
        for line in [
            "db3-devnet --shards 3 --port 8000",
            "db3-devnet start --shards 3 --port 8000",
            "db3-devnet --shards 3 start --port 8000",
        ] {
            let start = parse(line).devnet.start_args().expect(line);
            assert_eq!((start.shards, start.port), (Some(3), Some(8000)));
        }
    }

    #[test]
    fn what_is_handed_on_says_the_same() {
        let line = "db3-devnet --home d --output json --yes start --shards 3 --accounts 4 --epoch-secs 5 --port 6000 \
                    --fund 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 --ready-file r --detach";
        let first = parse(line);
        let mut again: Vec<OsString> = vec!["db3-devnet".into()];
        again.extend(first.console.to_arguments());
        again.extend(first.devnet.to_arguments());
        let second = DevnetProgram::try_parse_from(again).expect("parses");
        assert_eq!(first.devnet.to_arguments(), second.devnet.to_arguments());
        assert_eq!(first.console.to_arguments(), second.console.to_arguments());
        assert!(second.console.yes && second.devnet.start_args().expect("start").detach);
    }

    #[test]
    fn a_gift_is_handed_on_with_its_amount() {
        let line = "db3-devnet fund 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 0.5db3";
        let DevnetProgram { devnet, .. } = parse(line);
        let arguments: Vec<_> = devnet.to_arguments();
        assert_eq!(arguments, ["fund", "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "500000000tai"]);
        assert!(DevnetProgram::try_parse_from(line.replace("0.5db3", "5").split(' ')).is_err(), "a bare number");
    }

    #[test]
    fn senseless_numbers_are_refused() {
        for line in [
            "db3-devnet --shards 0",
            "db3-devnet advance 0",
            "db3-devnet advance 253402300800",
            "db3-devnet --port 0",
            "db3-devnet --epoch-secs 0",
        ] {
            assert!(DevnetProgram::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
