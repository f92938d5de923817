//! `plan.toml`: what is decided once for a network, before its validators are known.
//!
//! ```toml
//! format = 1
//! network = "mine"
//! shards = 2
//! epoch_secs = 600
//! time = "2026-01-31T09:30:00Z"        # when every chain begins
//! trusting_period_secs = 604800        # how long one chain trusts a header of another
//! treasury = "0x…"                     # optional: who gets what cannot be divided
//!
//! [[accounts]]                         # who begins with money
//! address = "0x…"
//! balance_tai = "1000000000000"
//! credit_tai = "500000000000"          # on every shard; collateral that covers it is made beside the balance
//!
//! [credit]                             # the rules of credit
//! [prices]                             # what things cost
//! ```
//! The file may be edited until the network is built. The order of the accounts does not matter.

use std::num::NonZeroU64;
use std::path::Path;

use db3_genesis::{CreditRules, Prices, is_test_account};
use db3_primitives::{Address, BlockTime, ChainId, NetworkName, PriceTable, ShardId, Tai, limits};

use crate::NetworkError;
use crate::raw::{self, FORMAT, RawFunded, RawPlan};

/// How long one chain trusts a header of another unless the plan says otherwise: a week, in seconds.
pub const TRUSTING_PERIOD_SECS: u64 = 7 * 86_400;
/// The least of that: an hour.
const TRUSTING_PERIOD_SECS_MIN: u64 = 3_600;
/// And so many epochs, so that the headers that come once an epoch come in time.
const TRUSTING_PERIOD_EPOCHS_MIN: u64 = 6;

const COMMENT: &str =
    "# The plan of a network of validators. It may be edited until `db3-genesis build`; amounts are in tai.\n";

/// What is decided once for a network, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its name.
    pub network: NetworkName,
    /// How many shards it has.
    pub shards: u32,
    /// Length of an epoch.
    pub epoch_secs: NonZeroU64,
    /// When every chain begins.
    pub time: BlockTime,
    /// How long one chain trusts a header of another, seconds.
    pub trusting_period_secs: u64,
    /// Who gets what cannot be divided; none: the payout account of the first validator by name.
    pub treasury: Option<Address>,
    /// Who begins with money, each account once, in order of address.
    pub accounts: Vec<Funded>,
    /// The rules of credit.
    pub credit: CreditRules,
    /// What things cost.
    pub prices: Prices,
}

/// An account that begins with money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Funded {
    /// The account.
    pub account: Address,
    /// What it can pay with.
    pub balance: Tai,
    /// Its credit on every shard. It gets the collateral that covers it.
    pub credit: Tai,
}

/// Reads `ADDRESS=AMOUNT`, the amount with its unit; the error is a sentence.
pub fn parse_fund(text: &str) -> Result<(Address, Tai), String> {
    let (account, amount) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` funds nobody: write ADDRESS=AMOUNT, such as 0x…=1000db3"))?;
    let account = account.parse::<Address>().map_err(|error| error.to_string())?;
    let amount = Tai::parse_with_unit(amount).map_err(|error| error.to_string())?;
    Ok((account, amount))
}

impl Plan {
    /// A plan with price table 1, the default rules, a trusting period of a week, and nobody with money.
    #[must_use]
    pub fn new(network: NetworkName, shards: u32, epoch_secs: NonZeroU64, time: BlockTime) -> Self {
        Self {
            network,
            shards,
            epoch_secs,
            time,
            trusting_period_secs: TRUSTING_PERIOD_SECS,
            treasury: None,
            accounts: Vec::new(),
            credit: CreditRules::new(epoch_secs),
            prices: Prices::from(&PriceTable::v1()),
        }
    }

    /// Reads and checks a plan.
    pub fn load(path: &Path) -> Result<Self, NetworkError> {
        if !path.exists() {
            let remedy = "`db3-genesis init` writes a plan; --dir names the folder of another".to_owned();
            return Err(NetworkError::Missing { path: path.to_owned(), remedy });
        }
        Self::from_toml(&raw::read(path)?, &path.display().to_string())
    }

    /// Checks a plan's text; `file` is for the error's.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, NetworkError> {
        raw::parse::<RawPlan>(text, file)?.check(file)
    }

    /// The plan's text, the same for the same plan.
    pub fn to_toml(&self) -> Result<String, NetworkError> {
        raw::text(COMMENT, &RawPlan::from(self), "plan.toml")
    }

    /// The chains: the settlement chain, and then the shards in order.
    pub fn chains(&self) -> impl Iterator<Item = ChainId> {
        chains(&self.network, self.shards)
    }
}

/// The chains of a network: the settlement chain, and then the shards in order.
pub(crate) fn chains(network: &NetworkName, shards: u32) -> impl Iterator<Item = ChainId> {
    let shard = |shard| ChainId::shard(network, ShardId::new(shard));
    std::iter::once(ChainId::settlement(network)).chain((0..shards).map(shard))
}

/// A network's name and number of shards, as several files name them.
pub(crate) fn check_network(file: &str, network: &str, shards: u32) -> Result<NetworkName, NetworkError> {
    let max = limits::SHARDS_MAX;
    if !(1..=max).contains(&shards) {
        return Err(NetworkError::field(file, "shards", shards, format!("expected 1 to {max}")));
    }
    network.parse().map_err(|_| {
        let expected = format!("expected 1 to {} of a-z 0-9 -", limits::NETWORK_NAME_BYTES_MAX);
        NetworkError::field(file, "network", network, expected)
    })
}

/// An account that somebody has the key of, and not everybody.
pub(crate) fn check_account(file: &str, field: &str, text: &str) -> Result<Address, NetworkError> {
    let address: Address = text.parse().map_err(|error| NetworkError::field(file, field, text, error))?;
    if address == Address::new([0; 20]) {
        return Err(NetworkError::field(file, field, text, "expected an account that somebody has the key of"));
    }
    if is_test_account(&address) {
        let expected = "everybody has the key of this account (the test mnemonic of wallets and anvil); use another";
        return Err(NetworkError::field(file, field, text, expected));
    }
    Ok(address)
}

impl RawPlan {
    fn check(self, file: &str) -> Result<Plan, NetworkError> {
        raw::check_format(file, self.format)?;
        let network = check_network(file, &self.network, self.shards)?;
        let (min, max) = (limits::EPOCH_SECS_MIN, limits::EPOCH_SECS_MAX);
        let epoch_secs = NonZeroU64::new(self.epoch_secs).filter(|secs| (min..=max).contains(&secs.get()));
        let epoch_secs = epoch_secs.ok_or_else(|| {
            NetworkError::field(file, "epoch_secs", self.epoch_secs, format!("expected {min} to {max} seconds"))
        })?;
        let time = BlockTime::parse_rfc3339(&self.time)
            .map_err(|error| NetworkError::field(file, "time", &self.time, error))?;
        let least = TRUSTING_PERIOD_SECS_MIN.max(self.epoch_secs.saturating_mul(TRUSTING_PERIOD_EPOCHS_MIN));
        if self.trusting_period_secs < least {
            let expected = format!("expected {least} or more: an hour, and {TRUSTING_PERIOD_EPOCHS_MIN} epochs");
            return Err(NetworkError::field(file, "trusting_period_secs", self.trusting_period_secs, expected));
        }
        let treasury = self.treasury.as_deref().map(|text| check_account(file, "treasury", text)).transpose()?;
        Ok(Plan {
            network,
            shards: self.shards,
            epoch_secs,
            time,
            trusting_period_secs: self.trusting_period_secs,
            treasury,
            accounts: check_accounts(file, &self.accounts)?,
            credit: self.credit,
            prices: self.prices,
        })
    }
}

fn check_accounts(file: &str, entries: &[RawFunded]) -> Result<Vec<Funded>, NetworkError> {
    let mut accounts: Vec<Funded> = Vec::with_capacity(entries.len());
    for (at, entry) in entries.iter().enumerate() {
        let field = |name: &str| format!("accounts[{at}].{name}");
        let amount = |name: &str, text: &str| -> Result<Tai, NetworkError> {
            text.parse().map_err(|error| NetworkError::field(file, field(name), text, error))
        };
        let account = check_account(file, &field("address"), &entry.address)?;
        if accounts.iter().any(|known| known.account == account) {
            return Err(NetworkError::field(file, field("address"), &entry.address, "expected each account once"));
        }
        accounts.push(Funded {
            account,
            balance: amount("balance_tai", &entry.balance_tai)?,
            credit: amount("credit_tai", &entry.credit_tai)?,
        });
    }
    accounts.sort_by_key(|entry| entry.account);
    Ok(accounts)
}

impl From<&Plan> for RawPlan {
    fn from(plan: &Plan) -> Self {
        let account = |entry: &Funded| RawFunded {
            address: entry.account.to_string(),
            balance_tai: entry.balance.to_string(),
            credit_tai: entry.credit.to_string(),
        };
        Self {
            format: FORMAT,
            network: plan.network.as_str().to_owned(),
            shards: plan.shards,
            epoch_secs: plan.epoch_secs.get(),
            time: plan.time.rfc3339(),
            trusting_period_secs: plan.trusting_period_secs,
            treasury: plan.treasury.map(|address| address.to_string()),
            accounts: plan.accounts.iter().map(account).collect(),
            credit: plan.credit.clone(),
            prices: plan.prices.clone(),
        }
    }
}
