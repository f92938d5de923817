//! The light client on another chain follows validators that governance and misbehaviour change, by itself: a shard's state
//! is governed, its validator updates decide who signs its headers, two heights later as `CometBFT` has it, and a channel
//! takes what it says.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use db3_carry::Channel;
use db3_carry::build::Source;
use db3_governance::{Action, Misbehaviour, MisbehaviourKind, Proposal, SignedProposal, Validator, validator_address};
use db3_light_client::build::ValidatorKey;
use db3_light_client::{Options, UnixTime};
use db3_primitives::{BlockTime, ChainId, Height, NetworkName, PriceTable, Scheme, SecretKey, ShardId};
use db3_shard_state::{Executor, Genesis, ShardState};

const BEGIN: u64 = 1_767_225_600;

fn seed(number: u8) -> [u8; 32] {
    [number; 32]
}

fn validator(number: u8, power: u64) -> Validator {
    let operator = SecretKey::from_bytes(seed(number)).unwrap().address();
    Validator { key: ValidatorKey::from_seed(seed(number)).public_key(), power, operator, payout: operator }
}

fn unix(secs: u64) -> UnixTime {
    UnixTime::new(i64::try_from(secs).unwrap(), 0).unwrap()
}

/// A governed shard, its headers, and the settlement chain's channel from it.
struct Network {
    shard: ShardState,
    source: Source,
    channel: Channel,
    settlement: ChainId,
    height: u64,
    /// Seeds by key, and who validates now.
    seeds: BTreeMap<[u8; 32], [u8; 32]>,
    powers: BTreeMap<[u8; 32], u64>,
}

impl Network {
    fn new(validators: &[Validator]) -> Self {
        let network: NetworkName = "test".parse().unwrap();
        let (shard_id, settlement) = (ChainId::shard(&network, ShardId::new(0)), ChainId::settlement(&network));
        let seeds: BTreeMap<_, _> =
            (1..=20).map(|number| (ValidatorKey::from_seed(seed(number)).public_key(), seed(number))).collect();
        let powers: BTreeMap<_, _> = validators.iter().map(|validator| (validator.key, validator.power)).collect();
        let keys: Vec<_> = powers.iter().map(|(key, power)| (seeds[key], *power)).collect();
        let source = Source::new(shard_id, &keys, unix(BEGIN)).unwrap();
        let other = Source::new(settlement.clone(), &[(seed(20), 1)], unix(BEGIN)).unwrap();
        let shard = ShardState::genesis(&Genesis {
            network,
            shard: ShardId::new(0),
            shards: 1,
            epoch_secs: NonZeroU64::new(600).unwrap(),
            genesis_time: BlockTime::from_secs(BEGIN),
            prices: PriceTable::v1(),
            close_accounts_max: 10,
            expiry_max_secs: 3_600,
            settlement: other.peer(Options::never_expires()),
            validators: validators.to_vec(),
        });
        let channel = Channel::new(source.peer(Options::new(86_400, 30).unwrap())).unwrap();
        Self { shard: shard.unwrap(), source, channel, settlement, height: 0, seeds, powers }
    }

    fn block(&mut self, misbehaviours: &[Misbehaviour], decision: Option<Vec<Action>>) {
        self.height += 1;
        let time = BlockTime::from_secs(BEGIN + self.height);
        let mut executor = Executor::begin(&self.shard, Height::new(self.height), time, misbehaviours);
        if let Some(actions) = decision {
            let _ = executor.govern(&self.decide(actions)).unwrap();
        }
        let (shard, effects) = executor.finish();
        self.shard = shard;
        self.source.append(&self.settlement, &self.height.to_be_bytes()).unwrap();
        // The header of this height names the same validators for the next one; the next header names the new ones.
        self.source.block(unix(time.secs)).unwrap();
        for (key, power) in effects.governance.validator_updates {
            if power == 0 {
                self.powers.remove(&key);
            } else {
                self.powers.insert(key, power);
            }
        }
        let keys: Vec<_> = self.powers.iter().map(|(key, power)| (self.seeds[key], *power)).collect();
        self.source.headers_mut().change_validators(&keys).unwrap();
    }

    fn blocks(&mut self, count: usize) {
        for _ in 0..count {
            self.block(&[], None);
        }
    }

    /// Signed by all operators.
    fn decide(&self, actions: Vec<Action>) -> SignedProposal {
        let session = self.shard.governance();
        let leaf = session.leaf().unwrap();
        let proposal = Proposal {
            chain_id: self.shard.chain().chain_id(),
            sequence: leaf.sequence() + 1,
            at_height: Height::new(0),
            expire_unix_secs: BEGIN + 100_000,
            actions,
        };
        let mut signed = SignedProposal::unsigned(proposal);
        for validator in leaf.validators() {
            signed.sign(&SecretKey::from_bytes(self.seeds[&validator.key]).unwrap(), Scheme::Raw);
        }
        signed
    }

    /// A relay brings what there is, as it would: the newest header, and the validators that the reader asks for.
    fn carry(&mut self) -> Result<(), db3_primitives::Rejection> {
        let (cursor, trusted) = (self.channel.cursor(), self.channel.trusted_height());
        let delivery = self.source.delivery(&self.settlement, cursor, usize::MAX, trusted).unwrap();
        let received = self.channel.receive(&self.settlement, &delivery, unix(BEGIN + self.height))?;
        self.channel = received.advance(usize::MAX).channel;
        Ok(())
    }
}

#[test]
fn a_light_client_follows_every_change_that_governance_makes() {
    let mut net = Network::new(&[validator(1, 10), validator(2, 10), validator(3, 10), validator(4, 10)]);
    net.block(&[], None);
    net.carry().unwrap();
    // One at a time all four are exchanged; the channel hears of each change only some blocks later.
    for (old, new) in [(1, 11), (2, 12), (3, 13), (4, 14)] {
        let swap =
            vec![Action::SetValidator(validator(new, 10)), Action::RemoveValidator { key: validator(old, 10).key }];
        net.block(&[], Some(swap));
        net.blocks(3);
        net.carry().unwrap();
        assert_eq!(net.channel.cursor(), net.height);
    }
    let deed = Misbehaviour {
        validator: validator_address(&validator(14, 10).key),
        kind: MisbehaviourKind::DuplicateVote,
        height: Height::new(net.height),
        time: BlockTime::from_secs(BEGIN),
    };
    net.block(&[deed], None);
    net.blocks(3);
    net.carry().unwrap();
    assert_eq!((net.channel.cursor(), net.powers.len()), (net.height, 3));
    assert_eq!(net.channel.frozen(), None);
}

#[test]
fn a_change_of_everybody_at_once_is_followed_header_by_header() {
    let mut net = Network::new(&[validator(1, 10), validator(2, 10)]);
    net.block(&[], None);
    net.carry().unwrap();
    let everybody = [(1, 15), (2, 16)].into_iter().flat_map(|(old, new)| {
        [Action::SetValidator(validator(new, 5)), Action::RemoveValidator { key: validator(old, 10).key }]
    });
    net.block(&[], Some(everybody.collect()));
    for _ in 0..4 {
        net.carry().unwrap();
        net.block(&[], None);
    }
    net.carry().unwrap();
    assert_eq!(net.channel.cursor(), net.height);
}
