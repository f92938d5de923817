//! `db3 pool`: what the validators of each chain have earned, what of it waits to be paid out, and who received the rest.

use db3_primitives::leaf::settlement::FEE_POOL;
use db3_primitives::{BlockTime, PostingKind, ShardId, Tai};

use super::args::PoolCommand;
use super::failure::Failure;
use super::session::Session;
use super::value::Object;
use crate::{Books, Client, ClientError, SettlementFilter, SettlementRef, SettlementView};

const COLUMNS: &[&str] = &["chain_id", "income_tai", "paid_out_tai", "pool_tai"];
const PAYOUT_COLUMNS: &[&str] = &["chain_id", "block_time", "account", "amount_tai", "paid_out_tai", "epoch", "index"];

/// One chain's pool.
struct Pool {
    number: ShardId,
    chain_id: String,
    /// All that was ever earned.
    income: Tai,
    /// What of it waits.
    waits: Tai,
}

impl Pool {
    fn paid_out(&self) -> Tai {
        self.income.saturating_sub(self.waits)
    }
}

/// `db3 pool`
pub async fn pool(session: &Session, command: &PoolCommand) -> Result<(), Failure> {
    let client = session.client().await?;
    match command {
        PoolCommand::List => list(session, &client).await,
        PoolCommand::Payouts { chain, limit } => payouts(session, &client, chain.as_deref(), *limit).await,
    }
}

async fn list(session: &Session, client: &Client) -> Result<(), Failure> {
    let books = client.settlement_books().await?;
    let mut list = session.output.list(COLUMNS);
    for pool in pools(client, &books.value) {
        list.push(
            &Object::new()
                .with("chain_id", pool.chain_id.as_str())
                .with("income_tai", pool.income)
                .with("paid_out_tai", pool.paid_out())
                .with("pool_tai", pool.waits)
                .with("height", books.at.height)
                .with("verified", books.at.verified),
        )?;
    }
    list.finish("no chains")
}

/// The settlement chain's own pool of fees, then those of the shards.
fn pools(client: &Client, books: &Books) -> Vec<Pool> {
    let settlement = client.network().settlement().map(|entry| Pool {
        number: FEE_POOL,
        chain_id: entry.chain_id.to_string(),
        income: books.supply.fee_income,
        waits: books.supply.fee_pool,
    });
    let shards = books.shards.iter().filter_map(|(number, leaf)| {
        let chain_id = client.network().shard(*number)?.chain_id.to_string();
        Some(Pool { number: *number, chain_id, income: leaf.income, waits: leaf.pool })
    });
    settlement.into_iter().chain(shards).collect()
}

/// Payouts, newest first. What each pool has paid out in all is proven, and each payout says which stretch of it it was:
/// so none can be left out or made up.
async fn payouts(session: &Session, client: &Client, only: Option<&str>, limit: u64) -> Result<(), Failure> {
    let mut pools = pools(client, &client.settlement_books().await?.value);
    let known: Vec<String> = pools.iter().map(|pool| pool.chain_id.clone()).collect();
    pools.retain(|pool| only.is_none_or(|chain| pool.chain_id == chain));
    if let (Some(chain), true) = (only, pools.is_empty()) {
        return Err(Failure::input(
            format!("{chain} is no chain of the network {}", client.network().name),
            format!("its chains are {}", known.join(", ")),
        ));
    }
    let is_checked = !client.options().unverified;
    // How much of each pool is accounted for by what follows.
    let mut left: Vec<(Pool, Option<Tai>)> = pools.into_iter().map(|pool| (pool, None)).collect();
    let mut list = session.output.list(PAYOUT_COLUMNS);
    let mut wanted = limit;
    let filter = SettlementFilter { kind: Some(PostingKind::Payout), ..SettlementFilter::default() };
    let mut pages = client.settlements(&filter)?;
    while wanted > 0
        && let Some(page) = pages.next_page().await?
    {
        for listed in page {
            let Some(line) = listed.posting.lines.first().copied() else { continue };
            let Some((pool, begins)) = left.iter_mut().find(|(pool, _)| pool.number == line.shard) else { continue };
            if wanted == 0 {
                break;
            }
            let view = if is_checked { proven(client, listed).await? } else { listed };
            let fits = begins.map_or(line.covered_to >= pool.paid_out(), |begins| line.covered_to == begins);
            if is_checked && !fits {
                return Err(left_out(client, pool).into());
            }
            *begins = Some(line.covered_from);
            wanted = wanted.saturating_sub(1);
            list.push(
                &Object::new()
                    .with("chain_id", pool.chain_id.as_str())
                    .with("block_time", BlockTime::from_secs(view.posting.time_secs))
                    .with("account", view.posting.account.to_string())
                    .with("amount_tai", view.posting.paid)
                    .with("paid_out_tai", line.covered_to)
                    .with("epoch", view.posting.epoch.get())
                    .with("index", view.index)
                    .with("height", view.posting.height.get())
                    .with("verified", view.place.as_ref().is_some_and(|place| place.at.verified)),
            )?;
        }
    }
    if is_checked && wanted > 0 {
        for (pool, begins) in &left {
            if begins.unwrap_or_else(|| pool.paid_out()) != Tai::ZERO {
                return Err(left_out(client, pool).into());
            }
        }
    }
    list.finish("no payouts yet; the first comes with the round that settles the first bill")
}

async fn proven(client: &Client, listed: SettlementView) -> Result<SettlementView, ClientError> {
    match client.settlement_of(SettlementRef::Index(listed.index)).await? {
        Some(view) if view.posting == listed.posting => Ok(view),
        Some(_) | None => Err(ClientError::Proof {
            chain_id: client.network().settlement().map(|entry| entry.chain_id.to_string()).unwrap_or_default(),
            detail: format!("posting {} is not what was listed under its index", listed.index),
        }),
    }
}

fn left_out(client: &Client, pool: &Pool) -> ClientError {
    ClientError::Proof {
        chain_id: client.network().settlement().map(|entry| entry.chain_id.to_string()).unwrap_or_default(),
        detail: format!("payouts of {} are left out: {} tai were paid out (proven)", pool.chain_id, pool.paid_out()),
    }
}
