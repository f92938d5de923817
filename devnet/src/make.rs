//! Making a devnet's chains, or finding them as they were made. What shapes the state holds until `reset`.

use std::num::NonZeroU64;

use anyhow::{Context as _, Result, bail};
use db3_chain::{ChainConfig, InitInput, genesis_file};
use db3_client::devnet_args::{ACCOUNTS_DEFAULT, EPOCH_SECS_DEFAULT, SHARDS_DEFAULT, StartArgs};
use db3_primitives::{Address, BlockTime, ChainId, NetworkName, ShardId, TAI_PER_DB3, Tai};

use crate::accounts::DevAccount;
use crate::banner::CREDIT_DB3;
use crate::failure::Failure;
use crate::home::{Home, Made};
use crate::publish::NETWORK;

/// Layout of `devnet.json`.
const FORMAT: u32 = 1;

/// The network's name.
pub fn network_name() -> Result<NetworkName> {
    Ok(NETWORK.parse::<NetworkName>()?)
}

/// What the network in this folder is made with: as it was, or as the options say for a new one. An option that
/// differs from what was made is refused.
pub fn settle(home: &Home, args: &StartArgs) -> Result<Made> {
    let funded: Vec<String> = args.fund.iter().map(ToString::to_string).collect();
    let Some(made) = home.made()? else {
        return Ok(Made {
            format: FORMAT,
            shards: args.shards.unwrap_or(SHARDS_DEFAULT),
            epoch_secs: args.epoch_secs.unwrap_or(EPOCH_SECS_DEFAULT),
            accounts: args.accounts.unwrap_or(ACCOUNTS_DEFAULT),
            funded,
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
    if let Some(new) = funded.iter().find(|address| !made.funded.contains(*address)) {
        bail!(differs(home, &format!("was made without --fund {new}")));
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
pub fn make_chains(home: &Home, made: &Made, accounts: &[DevAccount]) -> Result<Vec<ChainId>> {
    let network = network_name()?;
    let epoch_secs = NonZeroU64::new(made.epoch_secs).context("epochs of no length")?;
    let lines = lines(made, accounts)?;
    let time = now()?;
    let chains: Vec<ChainId> = (0..made.shards).map(|shard| ChainId::shard(&network, ShardId::new(shard))).collect();
    for (chain_id, shard) in chains.iter().zip(0_u32..) {
        let folder = home.chain(chain_id);
        if genesis_file(&folder).exists() {
            continue;
        }
        let input = InitInput {
            network: network.clone(),
            shard: ShardId::new(shard),
            shards: made.shards,
            epoch_secs,
            lines: lines.clone(),
            time: Some(time),
        };
        db3_chain::init(&folder, &input, &settings(home, chain_id))?;
    }
    Ok(chains)
}

/// Settings of a chain of a devnet: every block is kept.
pub fn settings(home: &Home, chain_id: &ChainId) -> ChainConfig {
    ChainConfig { blocks_kept: 0, ..ChainConfig::new(home.chain(chain_id)) }
}

/// One moment for all chains.
fn now() -> Result<BlockTime> {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .context("this machine's clock stands before 1970")?;
    BlockTime::new(since.as_secs(), since.subsec_nanos()).context("this machine's clock")
}

fn lines(made: &Made, accounts: &[DevAccount]) -> Result<Vec<(Address, Tai)>> {
    let credit = Tai::new(TAI_PER_DB3).checked_mul(CREDIT_DB3).context("the credit of an account")?;
    let funded = made.funded.iter().map(|address| address.parse::<Address>());
    let mut lines = accounts
        .iter()
        .map(|account| Ok(account.address))
        .chain(funded)
        .map(|address| Ok((address?, credit)))
        .collect::<Result<Vec<_>, db3_primitives::AddressError>>()?;
    lines.sort_by_key(|(address, _)| *address);
    lines.dedup_by_key(|(address, _)| *address);
    Ok(lines)
}
