//! Making a devnet's chains, or finding them as they were made. What shapes the states holds until `reset`.
//!
//! Every chain's genesis names the validators of the chains that it hears, and the moment at which all begin. That
//! moment is kept before anything is made, so what was interrupted is gone on with and fits together.

use std::num::NonZeroU64;

use anyhow::{Context as _, Result, bail};
use db3_chain::{ChainConfig, InitInput, genesis_file, make_key};
use db3_client::devnet_args::{ACCOUNTS_DEFAULT, EPOCH_SECS_DEFAULT, SHARDS_DEFAULT, StartArgs};
use db3_genesis::{
    AccountEntry, AppState, CreditRules, GenesisOperator, PayoutEntry, PeerEntry, SettlementGenesis, ShardGenesis,
    TrustEntry,
};
use db3_primitives::{Address, BlockTime, ChainId, Height, NetworkName, ShardId, TAI_PER_DB3, Tai};

use crate::accounts::{DevAccount, Keys};
use crate::failure::Failure;
use crate::home::{Home, Made};
use crate::publish::NETWORK;

/// Layout of `devnet.json`.
const FORMAT: u32 = 2;
/// What each account can pay with, DB3.
const BALANCE_DB3: u64 = 10_000;
/// The credit of each account on each shard, DB3.
const CREDIT_DB3: u64 = 1_000;
/// What the faucet has to give, DB3.
const FAUCET_DB3: u64 = 1_000_000_000;
/// How often a block may be made, milliseconds: money crosses four blocks before the network is ready.
const BLOCK_MS: u64 = 20;

/// How long a round waits for a shard's close, seconds: some thirty years. All shards live in this process, and time
/// that is moved past a boundary would be past a short deadline as well, before the closes have crossed.
const DEADLINE_SECS: u64 = 1_000_000_000;

/// The chains of a devnet.
pub struct Chains {
    /// The settlement chain.
    pub settlement: ChainId,
    /// The shards, in order.
    pub shards: Vec<ChainId>,
}

impl Chains {
    /// Of a network with so many shards.
    pub fn of(shards: u32) -> Result<Self> {
        let network = network_name()?;
        let shards = (0..shards).map(|shard| ChainId::shard(&network, ShardId::new(shard))).collect();
        Ok(Self { settlement: ChainId::settlement(&network), shards })
    }

    /// The settlement chain and then the shards.
    pub fn all(&self) -> impl Iterator<Item = &ChainId> {
        std::iter::once(&self.settlement).chain(&self.shards)
    }
}

/// The network's name.
pub fn network_name() -> Result<NetworkName> {
    Ok(NETWORK.parse::<NetworkName>()?)
}

/// What the network in this folder is made with: as it was, or as the options say for a new one. An option that
/// differs from what was made is refused; an account that was not funded yet is the caller's to fund.
pub fn settle(home: &Home, args: &StartArgs) -> Result<Made> {
    let Some(made) = home.made()? else {
        return Ok(Made {
            format: FORMAT,
            time: now()?.rfc3339(),
            shards: args.shards.unwrap_or(SHARDS_DEFAULT),
            epoch_secs: args.epoch_secs.unwrap_or(EPOCH_SECS_DEFAULT),
            accounts: args.accounts.unwrap_or(ACCOUNTS_DEFAULT),
            funded: args.fund.iter().map(ToString::to_string).collect(),
        });
    };
    if made.format != FORMAT {
        bail!(differs(home, &format!("was made by another version of this program (layout {})", made.format)));
    }
    let numbers = [
        ("--shards", u64::from(made.shards), args.shards.map(u64::from)),
        ("--epoch-secs", made.epoch_secs, args.epoch_secs),
        ("--accounts", u64::from(made.accounts), args.accounts.map(u64::from)),
    ];
    for (option, made, asked) in numbers {
        if let Some(asked) = asked.filter(|asked| *asked != made) {
            bail!(differs(home, &format!("was made with {option} {made}, not {asked}")));
        }
    }
    Ok(made)
}

fn differs(home: &Home, what: &str) -> Failure {
    Failure::Wrong(format!(
        "the devnet in {} {what}; leave the option out to go on with it, run `db3 devnet reset` to begin anew, or name \
         another folder with --home",
        home.path().display()
    ))
}

/// Makes the folders of the chains that are missing.
pub fn make_chains(home: &Home, made: &Made, keys: &Keys) -> Result<Chains> {
    let chains = Chains::of(made.shards)?;
    if chains.all().all(|chain_id| genesis_file(&home.chain(chain_id)).exists()) {
        return Ok(chains);
    }
    let time = BlockTime::parse_rfc3339(&made.time).context("the time in devnet.json")?;
    let epoch_secs = NonZeroU64::new(made.epoch_secs).context("epochs of no length")?;
    let peer = |chain_id: &ChainId| -> Result<PeerEntry> {
        let trust = TrustEntry::before(Height::new(1), time, vec![make_key(&home.chain(chain_id))?]);
        // A devnet may rest for months, so what was trusted once is trusted for ever.
        Ok(PeerEntry::new(chain_id, &trust, None))
    };
    let network = network_name()?;
    let settlement = peer(&chains.settlement)?;
    let shards = chains.shards.iter().map(peer).collect::<Result<Vec<_>>>()?;
    let (own, of_shards) = keys.payouts.split_first().context("no address to pay")?;
    // By the power of its validator, as what it earns is shared among operators.
    let power = make_key(&home.chain(&chains.settlement))?.power;
    let state = settlement_genesis(&network, epoch_secs, made, keys, shards, power)?;
    let operators = operators(home, &chains.settlement, keys, own)?;
    init(home, &chains.settlement, SettlementGenesis { operators, ..state }.into(), time)?;
    for ((chain_id, shard), payout) in chains.shards.iter().zip((0..).map(ShardId::new)).zip(of_shards) {
        let state = ShardGenesis::new(&network, shard, made.shards, epoch_secs, settlement.clone());
        let operators = self::operators(home, chain_id, keys, payout)?;
        init(home, chain_id, ShardGenesis { operators, ..state }.into(), time)?;
    }
    Ok(chains)
}

/// The first account operates every chain's validator, so that parameters and channels can be governed.
fn operators(home: &Home, chain_id: &ChainId, keys: &Keys, payout: &Address) -> Result<Vec<GenesisOperator>> {
    let validator = make_key(&home.chain(chain_id))?;
    let operator = |account: &DevAccount| GenesisOperator::new(&validator.pubkey, &account.address, payout);
    Ok(keys.accounts.first().map(operator).into_iter().collect())
}

fn init(home: &Home, chain_id: &ChainId, app_state: AppState, time: BlockTime) -> Result<()> {
    let folder = home.chain(chain_id);
    if !genesis_file(&folder).exists() {
        db3_chain::init(&folder, &InitInput { app_state, time: Some(time) }, &settings(home, chain_id))?;
    }
    Ok(())
}

/// Settings of a chain of a devnet: every block is kept.
pub fn settings(home: &Home, chain_id: &ChainId) -> ChainConfig {
    ChainConfig { blocks_kept: 0, block_ms: BLOCK_MS, ..ChainConfig::new(home.chain(chain_id)) }
}

fn settlement_genesis(
    network: &NetworkName,
    epoch_secs: NonZeroU64,
    made: &Made,
    keys: &Keys,
    shards: Vec<PeerEntry>,
    power: u64,
) -> Result<SettlementGenesis> {
    let faucet = keys.faucet.address();
    let mut funded = keys.accounts.iter().map(|account| account.address).collect::<Vec<_>>();
    for address in &made.funded {
        funded.push(address.parse::<Address>()?);
    }
    funded.sort_unstable();
    funded.dedup();
    funded.retain(|address| *address != faucet);
    let (balance, credit) = (db3(BALANCE_DB3)?, db3(CREDIT_DB3)?);
    let mut accounts = funded
        .into_iter()
        .map(|address| AccountEntry::with_credit(address, balance, credit, made.shards))
        .collect::<Result<Vec<_>, _>>()?;
    accounts.push(AccountEntry::with_credit(faucet, db3(FAUCET_DB3)?, Tai::ZERO, 0)?);
    let genesis = SettlementGenesis::new(network, epoch_secs, faucet, accounts, shards);
    // Some minutes until a debt is late, taken and given up, so that it can be watched.
    let credit = CreditRules {
        deadline_secs: DEADLINE_SECS,
        grace_epochs: 3,
        seize_epochs: 10,
        write_off_epochs: 20,
        ..CreditRules::new(epoch_secs)
    };
    let payout = |address: &Address| vec![PayoutEntry { address: address.to_string(), power }];
    let (own, of_shards) = keys.payouts.split_first().context("no address to pay")?;
    let payouts = of_shards.iter().chain([own]).map(payout).collect();
    Ok(SettlementGenesis { credit, payouts, ..genesis })
}

/// So many DB3.
pub fn db3(amount: u64) -> Result<Tai> {
    Tai::new(TAI_PER_DB3).checked_mul(amount).context("an amount of more than there can be")
}

/// One moment for all chains.
fn now() -> Result<BlockTime> {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .context("this machine's clock stands before 1970")?;
    BlockTime::new(since.as_secs(), since.subsec_nanos()).context("this machine's clock")
}
