//! The `app_state` of the settlement chain's genesis: who has what, who is paid, and the rules of credit.
//!
//! JSON; integers that may exceed 53 bits and amounts are decimal strings, amounts in tai. The first block issues what
//! the accounts want on each shard through the outboxes, as it would be issued later: nothing reaches a shard by
//! another way.

use std::num::NonZeroU64;

use db3_primitives::{Address, BlockTime, ChainId, NetworkName, PriceTable, ShardId, Tai, limits};
use db3_settlement_state::GenesisAccount;
use serde::{Deserialize, Serialize};

use crate::prices::amount;
use crate::{GenesisError, GenesisOperator, Operator, PeerEntry, Prices, app_state, decimal, operators};

/// The only layout of `app_state` so far.
const FORMAT: u32 = 1;

/// The word `settlement`, which tells this `app_state` from a shard's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SettlementKind {
    /// The only value.
    #[serde(rename = "settlement")]
    Settlement,
}

/// What the first state of a settlement chain holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettlementGenesis {
    /// `settlement`.
    pub kind: SettlementKind,
    /// Layout of this object; 1.
    pub format: u32,
    /// Name of the network, for example `devnet`.
    pub network: String,
    /// How many shards share the slots.
    pub shards: u32,
    /// Length of an epoch in seconds of block time, as on the shards.
    pub epoch_secs: u64,
    /// Most seconds that an expiry may lie ahead of block time.
    pub expiry_max_secs: u64,
    /// What transactions cost.
    pub prices: Prices,
    /// The rules of credit.
    pub credit: CreditRules,
    /// Who gets what cannot be divided.
    pub treasury: String,
    /// Who has what, each account once, in order of address.
    pub accounts: Vec<AccountEntry>,
    /// Who is paid, for every shard in order, and then for the settlement chain itself.
    pub payouts: Vec<Vec<PayoutEntry>>,
    /// The chains that this one hears from: every shard, in order.
    pub peers: Vec<PeerEntry>,
    /// Who stands behind each validator, in the validators' order; empty for a chain without governance. What this
    /// chain earns is then paid to their payout accounts by power.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operators: Vec<GenesisOperator>,
}

/// The rules of credit and of its settlement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditRules {
    /// Credit for each tai of collateral, as a fraction.
    pub factor_numerator: u64,
    /// The fraction's denominator.
    pub factor_denominator: u64,
    /// For how many epochs after a round a shard may charge without hearing again.
    pub lease_epochs: u64,
    /// How long after an epoch's end a round waits for the closes that are missing, seconds.
    pub deadline_secs: u64,
    /// Epochs after which an outstanding debt makes an account delinquent.
    pub grace_epochs: u64,
    /// Epochs after which it is taken from collateral.
    pub seize_epochs: u64,
    /// Epochs after which it is written off.
    pub write_off_epochs: u64,
    /// Most accounts that one block visits in a round.
    pub round_accounts_max: u32,
}

/// What one account has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountEntry {
    /// The account, `0x` and 40 hex digits.
    pub account: String,
    /// What it can pay with.
    pub balance_tai: String,
    /// What it has deposited; its credit follows from it.
    pub collateral_tai: String,
    /// Credit beside the collateral's.
    pub trust_tai: String,
    /// What it wants to be able to spend on shards, each shard once, in order.
    pub wants: Vec<WantEntry>,
}

/// The credit that an account wants on one shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantEntry {
    /// The shard.
    pub shard: u32,
    /// The credit.
    pub want_tai: String,
}

/// A share of what a chain's validators earn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayoutEntry {
    /// Who is paid, `0x` and 40 hex digits.
    pub address: String,
    /// By which power.
    #[serde(with = "decimal")]
    pub power: u64,
}

impl CreditRules {
    /// The rules of a network with epochs of this length: credit for what is deposited, a lease of a day's epochs at
    /// 600 s, half an epoch for late shards, and a day, a week and a month until a debt is late, taken and given up.
    #[must_use]
    pub fn new(epoch_secs: NonZeroU64) -> Self {
        Self {
            factor_numerator: 1,
            factor_denominator: 1,
            lease_epochs: 144,
            deadline_secs: epoch_secs.get().div_ceil(2),
            grace_epochs: 144,
            seize_epochs: 1_008,
            write_off_epochs: 4_320,
            round_accounts_max: limits::ROUND_ACCOUNTS_PER_BLOCK_MAX,
        }
    }
}

impl AccountEntry {
    /// An account with the same credit on every shard, and the collateral that covers it at factor 1.
    pub fn with_credit(account: Address, balance: Tai, credit: Tai, shards: u32) -> Result<Self, GenesisError> {
        let collateral = credit.checked_mul(u64::from(shards)).ok_or_else(|| {
            GenesisError::field(
                "app_state.accounts",
                credit,
                format!("expected less than 2^128 tai on {shards} shards"),
            )
        })?;
        Ok(Self {
            account: account.to_string(),
            balance_tai: balance.to_string(),
            collateral_tai: collateral.to_string(),
            trust_tai: Tai::ZERO.to_string(),
            wants: (0..shards).map(|shard| WantEntry { shard, want_tai: credit.to_string() }).collect(),
        })
    }
}

impl SettlementGenesis {
    /// A genesis with price table 1, the default rules, one payout address for everything, which is the treasury's,
    /// and no operators.
    #[must_use]
    pub fn new(
        network: &NetworkName,
        epoch_secs: NonZeroU64,
        treasury: Address,
        mut accounts: Vec<AccountEntry>,
        peers: Vec<PeerEntry>,
    ) -> Self {
        accounts.sort_by_key(|entry| entry.account.to_ascii_lowercase());
        let shards = u32::try_from(peers.len()).unwrap_or(u32::MAX);
        let payout = vec![PayoutEntry { address: treasury.to_string(), power: 1 }];
        Self {
            kind: SettlementKind::Settlement,
            format: FORMAT,
            network: network.as_str().to_owned(),
            shards,
            epoch_secs: epoch_secs.get(),
            expiry_max_secs: limits::EXPIRY_AHEAD_SECS_MAX,
            prices: Prices::from(&PriceTable::v1()),
            credit: CreditRules::new(epoch_secs),
            treasury: treasury.to_string(),
            accounts,
            payouts: vec![payout; peers.len().saturating_add(1)],
            peers,
            operators: Vec::new(),
        }
    }

    /// Checks every field and gives what the state machine starts from. `operators` are the checked ones.
    pub fn check(
        &self,
        time: BlockTime,
        operators: &[Operator],
    ) -> Result<db3_settlement_state::Genesis, GenesisError> {
        app_state::check_format(self.format, FORMAT)?;
        let network = app_state::check_network(&self.network)?;
        app_state::check_shards(self.shards)?;
        let epoch_secs = app_state::check_epoch_secs(self.epoch_secs)?;
        app_state::check_range("expiry_max_secs", self.expiry_max_secs, u64::MAX)?;
        let credit = &self.credit;
        let round_max = limits::ROUND_ACCOUNTS_PER_BLOCK_MAX;
        app_state::check_range("credit.round_accounts_max", credit.round_accounts_max, round_max)?;
        let factor_denominator = NonZeroU64::new(credit.factor_denominator)
            .ok_or_else(|| GenesisError::field("app_state.credit.factor_denominator", 0, "expected at least 1"))?;
        let (payouts, own_payouts) = self.check_payouts()?;
        check_own_payouts(&own_payouts, operators, payouts.len())?;
        Ok(db3_settlement_state::Genesis {
            peers: self.check_peers(&network)?,
            network,
            shards: self.shards,
            epoch_secs,
            genesis_time: time,
            prices: self.prices.check()?,
            expiry_max_secs: self.expiry_max_secs,
            factor_num: credit.factor_numerator,
            factor_den: factor_denominator,
            treasury: address("app_state.treasury", &self.treasury)?,
            lease_epochs: credit.lease_epochs,
            deadline_secs: credit.deadline_secs,
            grace_epochs: credit.grace_epochs,
            seize_epochs: credit.seize_epochs,
            write_off_epochs: credit.write_off_epochs,
            round_accounts_max: credit.round_accounts_max,
            accounts: self.check_accounts()?,
            payouts,
            own_payouts,
            validators: operators.iter().map(Operator::as_validator).collect(),
        })
    }

    fn check_peers(&self, network: &NetworkName) -> Result<Vec<db3_carry::Peer>, GenesisError> {
        if u32::try_from(self.peers.len()) != Ok(self.shards) {
            let expected = format!("expected one for each of the {} shards, in order", self.shards);
            return Err(GenesisError::field("app_state.peers", format!("{} entries", self.peers.len()), expected));
        }
        self.peers
            .iter()
            .zip(0..)
            .map(|(peer, shard)| {
                peer.check(&format!("app_state.peers[{shard}]"), &ChainId::shard(network, ShardId::new(shard)))
            })
            .collect()
    }

    fn check_accounts(&self) -> Result<Vec<GenesisAccount>, GenesisError> {
        let mut accounts: Vec<GenesisAccount> = Vec::with_capacity(self.accounts.len());
        for (at, entry) in self.accounts.iter().enumerate() {
            let field = |name: &str| format!("app_state.accounts[{at}].{name}");
            let account = address(&field("account"), &entry.account)?;
            if accounts.last().is_some_and(|last| last.account >= account) {
                let expected = "expected each account once, in order of address";
                return Err(GenesisError::field(field("account"), &entry.account, expected));
            }
            accounts.push(GenesisAccount {
                account,
                balance: amount(&field("balance_tai"), &entry.balance_tai)?,
                collateral: amount(&field("collateral_tai"), &entry.collateral_tai)?,
                trust: amount(&field("trust_tai"), &entry.trust_tai)?,
                wants: self.check_wants(&field("wants"), &entry.wants)?,
            });
        }
        Ok(accounts)
    }

    fn check_wants(&self, field: &str, entries: &[WantEntry]) -> Result<Vec<(ShardId, Tai)>, GenesisError> {
        let mut wants: Vec<(ShardId, Tai)> = Vec::with_capacity(entries.len());
        for (at, entry) in entries.iter().enumerate() {
            let shard = ShardId::new(entry.shard);
            if entry.shard >= self.shards || wants.last().is_some_and(|(last, _)| *last >= shard) {
                let expected = format!("expected less than {}, each shard once, in order", self.shards);
                return Err(GenesisError::field(format!("{field}[{at}].shard"), entry.shard, expected));
            }
            wants.push((shard, amount(&format!("{field}[{at}].want_tai"), &entry.want_tai)?));
        }
        Ok(wants)
    }

    /// Payouts of the shards, and of the settlement chain.
    #[expect(clippy::type_complexity, reason = "two lists of address and power, as the state machine takes them")]
    fn check_payouts(&self) -> Result<(Vec<Vec<(Address, u64)>>, Vec<(Address, u64)>), GenesisError> {
        let lists = self
            .payouts
            .iter()
            .enumerate()
            .map(|(at, entries)| check_shares(&format!("app_state.payouts[{at}]"), entries))
            .collect::<Result<Vec<_>, GenesisError>>()?;
        match lists.split_last() {
            Some((own, shards)) if u32::try_from(shards.len()) == Ok(self.shards) => Ok((shards.to_vec(), own.clone())),
            _ => Err(GenesisError::field(
                "app_state.payouts",
                format!("{} lists", self.payouts.len()),
                format!("expected one for each of the {} shards and one for the settlement chain", self.shards),
            )),
        }
    }
}

fn check_shares(field: &str, entries: &[PayoutEntry]) -> Result<Vec<(Address, u64)>, GenesisError> {
    if entries.is_empty() {
        return Err(GenesisError::field(field, "[]", "expected at least one address to pay"));
    }
    let mut shares: Vec<(Address, u64)> = Vec::with_capacity(entries.len());
    for (at, entry) in entries.iter().enumerate() {
        if entry.power == 0 {
            return Err(GenesisError::field(format!("{field}[{at}].power"), 0, "expected a power of 1 or more"));
        }
        let to = address(&format!("{field}[{at}].address"), &entry.address)?;
        if shares.iter().any(|(known, _)| *known == to) {
            let expected = "expected each address once; add up its powers";
            return Err(GenesisError::field(format!("{field}[{at}].address"), &entry.address, expected));
        }
        shares.push((to, entry.power));
    }
    Ok(shares)
}

/// That what the settlement chain earns goes to its validators' payout accounts, if it names them.
fn check_own_payouts(own: &[(Address, u64)], operators: &[Operator], at: usize) -> Result<(), GenesisError> {
    let mut sorted = own.to_vec();
    sorted.sort_unstable();
    if operators.is_empty() || sorted == operators::payouts(operators) {
        return Ok(());
    }
    let expected = "expected the payout accounts of app_state.operators, each with the power of its validators";
    Err(GenesisError::field(format!("app_state.payouts[{at}]"), format!("{} entries", own.len()), expected))
}

fn address(field: &str, text: &str) -> Result<Address, GenesisError> {
    text.parse().map_err(|error| GenesisError::field(field, text, error))
}
