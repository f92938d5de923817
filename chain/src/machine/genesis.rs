//! The genesis of a chain that continues from a state: its parameters as the state has them.

use db3_carry::Peer;
use db3_genesis::{AppState, PayoutEntry, PeerEntry, PeerValidator, Prices, SettlementGenesis, ShardGenesis};
use db3_primitives::leaf::settlement::FEE_POOL;
use db3_primitives::{BlockTime, ChainId, ShardId};
use db3_settlement_state::SettlementState;
use db3_shard_state::ShardState;

/// Of a shard. A state that has no channel to the settlement chain has none.
pub(super) fn of_shard(state: &ShardState) -> Option<AppState> {
    let chain = state.chain();
    let settlement = state.settlement();
    let peer = peer(&settlement, state.channel(&settlement)?.peer());
    let genesis = ShardGenesis::new(&chain.network, chain.shard, chain.shard_map.shards(), chain.epoch_secs, peer);
    Some(AppState::Shard(ShardGenesis {
        close_accounts_max: chain.close_accounts_max,
        expiry_max_secs: chain.expiry_max_secs,
        prices: Prices::from(&chain.prices),
        ..genesis
    }))
}

/// Of the settlement chain. Who has what stands in the state, not here.
pub(super) fn of_settlement(state: &SettlementState) -> Option<AppState> {
    let chain = state.chain();
    let of_shard = |shard: ShardId| {
        let id = ChainId::shard(&chain.network, shard);
        Some(peer(&id, state.channel(&id)?.peer()))
    };
    let peers = state.shards().map(of_shard).collect::<Option<Vec<_>>>()?;
    let genesis = SettlementGenesis::new(&chain.network, chain.epoch_secs, chain.treasury, Vec::new(), peers);
    let payouts = state.shards().chain([FEE_POOL]).map(|pool| {
        let leaf = state.payouts(pool);
        let entry = |(address, power): &(_, u64)| PayoutEntry { address: ToString::to_string(address), power: *power };
        leaf.recipients().iter().map(entry).collect()
    });
    let payouts = payouts.collect();
    let mut credit = genesis.credit.clone();
    credit.factor_numerator = chain.factor_num;
    credit.factor_denominator = chain.factor_den.get();
    credit.lease_epochs = chain.lease_epochs;
    credit.deadline_secs = chain.deadline_secs;
    credit.grace_epochs = chain.grace_epochs;
    credit.seize_epochs = chain.seize_epochs;
    credit.write_off_epochs = chain.write_off_epochs;
    credit.round_accounts_max = chain.round_accounts_max;
    Some(AppState::Settlement(SettlementGenesis {
        expiry_max_secs: chain.expiry_max_secs,
        prices: Prices::from(&chain.prices),
        credit,
        payouts,
        ..genesis
    }))
}

fn peer(chain: &ChainId, peer: &Peer) -> PeerEntry {
    let Peer { root, options } = peer;
    let time = BlockTime { secs: u64::try_from(root.time().secs()).unwrap_or_default(), nanos: root.time().nanos() };
    let validators = root.validators().validators().into_iter();
    PeerEntry {
        chain_id: chain.as_str().to_owned(),
        height: root.height(),
        time: time.rfc3339(),
        validators: validators.map(|(key, power)| PeerValidator { pubkey: hex::encode(key), power }).collect(),
        trusting_period_secs: options.trusting_period_secs(),
        clock_drift_secs: options.clock_drift_secs(),
    }
}
