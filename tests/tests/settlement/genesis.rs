//! How a network begins: its parameters, and who has what.

use std::num::NonZeroU64;

use db3_governance::Validator;
use db3_light_client::Options;
use db3_light_client::build::ValidatorKey;
use db3_primitives::{Address, BlockTime, ChainId, NetworkName, PriceTable, SecretKey, ShardId, ShardMap, Tai};
use db3_settlement_state::{GenesisAccount, SettlementState};
use db3_shard_state::ShardState;

use crate::machine::Chain;
use crate::model::{Account, Books, Params};
use crate::network::{GENESIS_SECS, Size};
use crate::rng::Rng;
use crate::timeline::Timeline;
use crate::users::Users;

pub fn params(rng: &mut Rng, size: Size, users: &Users, map: &ShardMap) -> Params {
    let people: Vec<Address> =
        (0..).zip(users.addresses()).filter(|(place, _)| !Users::is_lost(*place)).map(|(_, account)| account).collect();
    let mut recipients = || {
        let mut list: Vec<_> = (0..=rng.below(3)).map(|_| (*rng.pick(&people), 1 + rng.below(9))).collect();
        list.sort_unstable();
        list.dedup_by_key(|(account, _)| *account);
        list
    };
    let payouts = (0..=size.shards).map(|_| recipients()).collect();
    Params {
        epoch_secs: size.epoch_secs,
        factor: *rng.pick(&[(1, 1), (3, 2), (1, 2)]),
        treasury: people[0],
        lease_epochs: 2 + rng.below(2),
        deadline_secs: size.epoch_secs / 3,
        grace_epochs: 1,
        seize_epochs: 2,
        write_off_epochs: 3,
        lines_per_block: 5 + rng.below(40),
        map: *map,
        payouts,
    }
}

/// Some are rich, some have little, some have credit and no money at all.
pub fn accounts(rng: &mut Rng, users: &Users, size: Size, books: &mut Books) -> Vec<GenesisAccount> {
    let mut accounts = Vec::new();
    for (place, address) in users.addresses().into_iter().enumerate() {
        let (balance, collateral, trust) = match place % 4 {
            0 | 1 => (rng.below(200_000_000), 2_000_000 + rng.below(8_000_000), 0),
            2 => (rng.below(2_000_000), rng.below(2_000_000), rng.below(300_000)),
            _ => (rng.below(60_000), rng.below(400_000), 300_000 + rng.below(600_000)),
        };
        let trust = if Users::is_lost(place) { trust + 500_000 } else { trust };
        let mut wants = Vec::new();
        for shard in 0..size.shards {
            if rng.percent(70) {
                wants.push((shard, u128::from(rng.below(2_500_000))));
            }
        }
        let account = Account {
            balance: balance.into(),
            collateral: collateral.into(),
            trust: trust.into(),
            ..Account::default()
        };
        books.open(address, account, &wants);
        accounts.push(GenesisAccount {
            account: address,
            balance: Tai::new(balance.into()),
            collateral: Tai::new(collateral.into()),
            trust: Tai::new(trust.into()),
            wants: wants.into_iter().map(|(shard, want)| (ShardId::new(shard), Tai::new(want))).collect(),
        });
    }
    accounts
}

/// Who decides on the settlement chain, alone.
pub fn operator() -> SecretKey {
    SecretKey::from_bytes([99; 32]).unwrap()
}

/// The settlement chain and the shards, before their first blocks.
pub fn chains(
    size: Size,
    params: &Params,
    accounts: Vec<GenesisAccount>,
) -> (Chain<SettlementState>, Vec<Chain<ShardState>>) {
    let network: NetworkName = "devnet".parse().unwrap();
    let genesis = BlockTime::from_secs(GENESIS_SECS);
    let options = match size.trusting_epochs {
        0 => Options::never_expires(),
        epochs => Options::new(epochs * size.epoch_secs, 30).unwrap(),
    };
    let timelines: Vec<Timeline> = (0..size.shards)
        .map(|shard| {
            Timeline::new(ChainId::shard(&network, ShardId::new(shard)), u8::try_from(shard).unwrap() + 1, genesis)
        })
        .collect();
    let own = Timeline::new(ChainId::settlement(&network), 99, genesis);
    let epoch_secs = NonZeroU64::new(size.epoch_secs).unwrap();
    let settlement = SettlementState::genesis(&db3_settlement_state::Genesis {
        network: network.clone(),
        shards: size.shards,
        epoch_secs,
        genesis_time: genesis,
        prices: PriceTable::v1(),
        expiry_max_secs: 3_600,
        factor_num: u64::try_from(params.factor.0).unwrap(),
        factor_den: NonZeroU64::new(u64::try_from(params.factor.1).unwrap()).unwrap(),
        treasury: params.treasury,
        lease_epochs: params.lease_epochs,
        deadline_secs: params.deadline_secs,
        grace_epochs: params.grace_epochs,
        seize_epochs: params.seize_epochs,
        write_off_epochs: params.write_off_epochs,
        round_accounts_max: u32::try_from(params.lines_per_block).unwrap(),
        accounts,
        payouts: params.payouts[..params.payouts.len() - 1].to_vec(),
        own_payouts: params.payouts.last().unwrap().clone(),
        peers: timelines.iter().map(|timeline| timeline.peer(options)).collect(),
        validators: vec![Validator {
            key: ValidatorKey::from_seed([99; 32]).public_key(),
            power: 10,
            operator: operator().address(),
            payout: params.treasury,
        }],
    })
    .unwrap();
    let shard_state = |shard: u32| {
        ShardState::genesis(&db3_shard_state::Genesis {
            network: network.clone(),
            shard: ShardId::new(shard),
            shards: size.shards,
            epoch_secs,
            genesis_time: genesis,
            prices: PriceTable::v1(),
            close_accounts_max: 7,
            expiry_max_secs: 3_600,
            settlement: own.peer(options),
            validators: Vec::new(),
        })
        .unwrap()
    };
    let shards = (0..).zip(timelines).map(|(shard, timeline)| Chain::new(timeline, shard_state(shard))).collect();
    (Chain::new(own, settlement), shards)
}
