//! How a network begins: its parameters, and who has what.

use db3_primitives::{Address, ShardId, ShardMap, Tai};
use db3_settlement_state::GenesisAccount;

use crate::model::{Account, Books, Params};
use crate::network::Size;
use crate::rng::Rng;
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
