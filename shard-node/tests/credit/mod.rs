//! A shard's folder for tests, and credit for its accounts: a made-up settlement chain gives it, as a real one would.

use std::num::NonZeroU64;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use db3_carry::Delivery;
use db3_carry::build::Source;
use db3_chain::{ChainConfig, InitInput};
use db3_genesis::{AppState, PeerEntry, ShardGenesis, TrustEntry, Validator};
use db3_light_client::{Options, UnixTime};
use db3_primitives::{
    Address, BlockTime, ChainId, CreditEntry, Epoch, Heartbeat, Height, LineEntry, NetworkName, ShardId, Tai,
};

/// Makes the folder of shard `shard` of `shards`, beginning now; gives the delivery that brings a lease and a line for
/// every account.
pub fn make(
    home: &Path,
    (shard, shards): (u32, u32),
    epoch_secs: u64,
    accounts: &[Address],
    settings: &ChainConfig,
) -> Delivery {
    let network: NetworkName = "test".parse().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let at = |secs: u64| UnixTime::new(i64::try_from(secs).unwrap(), 0).unwrap();
    let (settlement, own) = (ChainId::settlement(&network), ChainId::shard(&network, ShardId::new(shard)));
    let mut source = Source::new(settlement.clone(), &[([9; 32], 10)], at(now)).unwrap();
    let root = source.peer(Options::never_expires()).root;
    let validators = root.validators().validators().into_iter();
    let validators = validators.map(|(pubkey, power)| Validator { pubkey, power }).collect();
    let time = BlockTime::from_secs(now);
    let trust = TrustEntry::before(Height::new(1), time, validators);
    let peer = PeerEntry::new(&settlement, &trust, None);
    let epoch_secs = NonZeroU64::new(epoch_secs).unwrap();
    let state = ShardGenesis::new(&network, ShardId::new(shard), shards, epoch_secs, peer);
    let input = InitInput { app_state: AppState::Shard(state), time: Some(time) };
    db3_chain::init(home, &input, settings).unwrap();
    let epoch = Epoch::new(now / epoch_secs.get());
    let lease = Heartbeat { epoch, lease: Epoch::new(epoch.get() + 1_000_000), inbox_cursor: 0 };
    source.append(&own, &CreditEntry::Heartbeat(lease).to_bytes()).unwrap();
    for account in accounts {
        let line = LineEntry { account: *account, ceiling: Tai::new(1_000_000_000_000) };
        source.append(&own, &CreditEntry::Line(line).to_bytes()).unwrap();
    }
    source.block(at(now)).unwrap();
    source.delivery(&own, 0, 1 << 16, 0).unwrap()
}
