//! What operators decide about a shard: prices and limits from a block on, the channel from the settlement chain anew, and
//! validators that come, go and misbehave. The rules of signatures and numbers have their tests in `db3-governance`.

use db3_carry::build::Source;
use db3_carry::{ClaimedPeer, Delivery, HeaderUpdate, Peer};
use db3_governance::{
    Action, CatchUp, GovernanceLeaf, Misbehaviour, MisbehaviourKind, Parameter, Proposal, Replacement, SignedProposal,
    Validator, validator_address,
};
use db3_light_client::build::ValidatorKey;
use db3_light_client::{Options, TrustRoot, UnixTime, ValidatorSet};
use db3_merkle_log::Frontier;
use db3_primitives::{
    Address, BlockTime, ChainId, CreditEntry, Epoch, Height, LineEntry, PriceTable, Rejection, Scheme, SecretKey, Tai,
    key as tree_key,
};
use db3_shard_state::{Effects, Executor, Outcome, ShardState};
use db3_state_tree::Tree;

use crate::settlement::{ALL, Settlement};
use crate::support::{Actor, Chain, START_SECS, actor, genesis, mutation, put, refusal, sign};

fn operator(number: u8) -> SecretKey {
    SecretKey::from_bytes([number; 32]).unwrap()
}

fn validator(number: u8, power: u64) -> Validator {
    let key = ValidatorKey::from_seed([number; 32]).public_key();
    Validator { key, power, operator: operator(number).address(), payout: Address::new([number; 20]) }
}

/// A shard of three validators, alice with a line on it, and the settlement chain that it hears.
fn governed() -> (Chain, Settlement, Actor) {
    let alice = actor(1);
    let setup = genesis(&[(alice.address, 1_000_000_000)]);
    (governed_by_three(Chain::new(&setup)), Settlement::of(&setup), alice)
}

/// The same chain, as if its genesis had named three validators.
pub fn governed_by_three(mut chain: Chain) -> Chain {
    let leaf = GovernanceLeaf::new(&[validator(1, 10), validator(2, 10), validator(3, 10)]).unwrap();
    let tree = chain.state.tree().apply(vec![(tree_key::governance(), Some(leaf.to_bytes()))]).unwrap();
    chain.state = ShardState::from_tree(tree).unwrap();
    chain
}

/// A validator voted twice.
pub fn deed(number: u8) -> Misbehaviour {
    Misbehaviour {
        validator: validator_address(&validator(number, 10).key),
        kind: MisbehaviourKind::DuplicateVote,
        height: Height::new(1),
        time: BlockTime::from_secs(START_SECS),
    }
}

/// A change of the furthest expiry at a height, signed by these operators.
pub fn later(chain: &Chain, at_height: u64, by: &[u8]) -> SignedProposal {
    let proposal = proposal(chain, vec![set(Parameter::ExpiryMaxSecs, 1_800)]);
    let at_height = Height::new(at_height);
    let mut signed = SignedProposal::unsigned(Proposal { at_height, expire_unix_secs: chain.time + 3_600, ..proposal });
    for number in by {
        signed.sign(&operator(*number), Scheme::Raw);
    }
    signed
}

fn proposal(chain: &Chain, actions: Vec<Action>) -> Proposal {
    Proposal {
        chain_id: chain.state.chain().chain_id(),
        sequence: chain.state.governance().leaf().unwrap().sequence() + 1,
        at_height: Height::new(0),
        expire_unix_secs: START_SECS + 3_600,
        actions,
    }
}

fn signed(proposal: Proposal) -> SignedProposal {
    let mut signed = SignedProposal::unsigned(proposal);
    for number in 1..=3 {
        signed.sign(&operator(number), Scheme::Raw);
    }
    signed
}

/// A block that accepts these actions, for the next one.
fn accept(chain: &mut Chain, actions: Vec<Action>) {
    let mut executor = chain.executor(0);
    let _ = executor.govern(&signed(proposal(chain, actions))).unwrap();
    chain.take(0, executor);
}

fn refused(chain: &Chain, actions: Vec<Action>) -> Rejection {
    let signed = signed(proposal(chain, actions));
    let (height, now) = (Height::new(chain.height + 1), BlockTime::from_secs(chain.time));
    let told = chain.state.check_governance(&signed, height, now).unwrap_err();
    assert_eq!(chain.executor(0).govern(&signed).unwrap_err(), told, "admission and execution agree");
    told
}

fn set(parameter: Parameter, value: u64) -> Action {
    Action::SetParameter { parameter, value }
}

#[test]
fn prices_and_limits_count_from_the_next_block_on() {
    let (mut chain, _, alice) = governed();
    let dear = PriceTable { version: 2, per_mutation: Tai::new(90_000), ..PriceTable::v1() };
    let write = |nonce| sign(&alice, &mutation(&alice, nonce, vec![put("t", "k", "v")]));
    let mut executor = chain.executor(0);
    let change = vec![Action::SetPrices(dear), set(Parameter::BlockMutationsMax, 1)];
    let _ = executor.govern(&signed(proposal(&chain, change))).unwrap();
    assert!(matches!(executor.apply(&write(1)), Outcome::Applied(_)));
    let before = chain.take(0, executor).bills.remove(0);
    assert_eq!((before.price_version, chain.state.chain().prices.version), (1, 1));
    let mut executor = chain.executor(0);
    let Outcome::Applied(receipt) = executor.apply(&write(2)) else { panic!() };
    assert_eq!(refusal(executor.apply(&write(3))), Rejection::BlockFull { what: "mutations" });
    let effects = chain.take(0, executor);
    assert_eq!((effects.bills[0].price_version, receipt.fee > Tai::new(90_000)), (2, true));
    assert_eq!(chain.state.chain().prices, dear);
    assert!(effects.governance.validator_updates.is_empty());
}

#[test]
fn what_would_stop_the_shard_is_refused() {
    let (chain, _, _) = governed();
    for (parameter, value) in [
        (Parameter::BlockMutationsMax, 0),
        (Parameter::BlockMutationsMax, 20_001),
        (Parameter::BlockMutationsMax, u64::MAX),
        (Parameter::CloseAccountsMax, 0),
        (Parameter::ExpiryMaxSecs, 0),
        (Parameter::LeaseEpochs, 5),
    ] {
        assert_eq!(refused(&chain, vec![set(parameter, value)]).code(), 231, "{parameter:?} {value}");
    }
    let dearest = PriceTable { version: 2, per_byte_in: Tai::MAX, ..PriceTable::v1() };
    for prices in [PriceTable::v1(), dearest] {
        assert_eq!(refused(&chain, vec![Action::SetPrices(prices)]).code(), 231);
    }
    let [account, treasury] = [1, 2].map(|byte| Address::new([byte; 20]));
    let shard = chain.state.chain().shard;
    for foreign in [
        Action::SetTreasury { treasury },
        Action::SetTrust { account, trust: Tai::new(1) },
        Action::SetPayouts { shard, recipients: vec![(account, 1)] },
    ] {
        assert_eq!(refused(&chain, vec![foreign]).code(), 231);
    }
}

#[test]
fn a_scheduled_change_lives_on_in_a_state_that_was_restored_from_its_leaves() {
    let (mut chain, _, alice) = governed();
    let mut later = proposal(&chain, vec![set(Parameter::ExpiryMaxSecs, 60), Action::SetValidator(validator(4, 5))]);
    later.at_height = Height::new(4);
    let mut executor = chain.executor(0);
    let _ = executor.govern(&signed(later)).unwrap();
    chain.take(0, executor);
    let leaves = chain.state.tree().range(&[], None).map(|(key, leaf)| (key.to_vec(), Some(leaf.to_vec())));
    let tree = Tree::new().apply(leaves.collect()).unwrap();
    let (height, time) = (chain.height, chain.time);
    let mut restored = Chain { state: ShardState::from_tree(tree).unwrap(), height, time };
    let mut original = Chain { state: chain.state, height, time };
    for chain in [&mut original, &mut restored] {
        chain.block(1, &[sign(&alice, &mutation(&alice, 1, vec![put("t", "k", "v")]))]);
        assert_eq!(chain.state.chain().expiry_max_secs, 3_600);
        let _ = chain.block(1, &[]);
        let effects = chain.block(1, &[]);
        assert_eq!(effects.governance.validator_updates, [(validator(4, 5).key, 5)]);
        assert_eq!(chain.state.chain().expiry_max_secs, 60);
    }
    assert_eq!(original.state.root(), restored.state.root());
    let root = original.state.root();
    original.block(0, &[]);
    assert_eq!(original.state.root(), root, "nothing is left to do");
}

#[test]
fn misbehaviour_costs_the_power_and_again_nothing() {
    let (mut chain, _, _) = governed();
    let deed = deed(2);
    let mut block = |deeds: &[Misbehaviour]| -> Effects {
        let (height, time) = (Height::new(chain.height + 1), BlockTime::from_secs(chain.time));
        let executor = Executor::begin(&chain.state, height, time, deeds);
        chain.take(0, executor)
    };
    let effects = block(&[deed, deed]);
    assert_eq!(effects.governance.validator_updates, [(validator(2, 10).key, 0)]);
    assert_eq!(block(&[deed]).governance, db3_governance::Report::default());
    assert_eq!(chain.state.governance().evidence().count(), 1);
}

/// The settlement chain after its validators were exchanged: another key signs, the log is what it was.
fn renewed(settlement: &Settlement, time: u64) -> Source {
    let chain_id = ChainId::settlement(&"test".parse().unwrap());
    let began = UnixTime::new(i64::try_from(time).unwrap(), 0).unwrap();
    let mut source = Source::new(chain_id, &[([77; 32], 1)], began).unwrap();
    for entry in settlement.entries() {
        source.append(&settlement.shard, &entry).unwrap();
    }
    source
}

fn replacement(peer: &Peer, inbox: Frontier) -> Action {
    Action::ReplaceChannel(Box::new(Replacement { peer: peer.claim(), inbox, catch_up: None }))
}

#[test]
fn a_frozen_channel_begins_anew_where_it_stopped() {
    let (mut chain, mut settlement, alice) = governed();
    let ceiling = |tai| CreditEntry::Line(LineEntry { account: alice.address, ceiling: Tai::new(tai) });
    settlement.says(&[ceiling(5_000)]);
    let first = settlement.tells(&chain, ALL);
    chain.hear(&first);
    // Its validators sign a second header of that height: nothing more is heard of it.
    let source = first.source.clone();
    let fraud = Delivery::of_headers(source.clone(), vec![settlement.fraud(1)]);
    chain.hear(&fraud);
    settlement.says(&[ceiling(6_000)]);
    let frozen = chain.check(&settlement.from(1, 1, ALL)).unwrap_err();
    assert_eq!(frozen.code(), 221);

    let mut healed = renewed(&settlement, chain.time);
    let peer = healed.peer(Options::never_expires());
    let inbox = chain.state.channel(&source).unwrap().inbox().frontier().clone();
    accept(&mut chain, vec![replacement(&peer, inbox)]);
    assert_eq!(chain.check(&settlement.from(1, 1, ALL)).unwrap_err().code(), 221, "not yet");
    chain.block(1, &[]);
    let channel = chain.state.channel(&source).unwrap();
    assert_eq!((channel.frozen(), channel.cursor(), channel.trusted_height()), (None, 1, 0));
    healed.block(UnixTime::new(i64::try_from(chain.time).unwrap(), 1).unwrap()).unwrap();
    let delivery = healed.delivery(&settlement.shard, 1, usize::MAX, 0).unwrap();
    chain.hear(&delivery);
    assert_eq!(chain.state.account(&alice.address).unwrap().ceiling, Tai::new(6_000));
    // The former validators are nobody now.
    assert_eq!(chain.check(&settlement.from(1, 1, ALL)).unwrap_err().code(), 217);
}

#[test]
fn a_replacement_that_would_apply_twice_or_trust_nothing_is_refused() {
    let (mut chain, mut settlement, alice) = governed();
    let line = LineEntry { account: alice.address, ceiling: Tai::new(5_000) };
    settlement.says(&[CreditEntry::Line(line), CreditEntry::Line(line)]);
    let first = settlement.tells(&chain, ALL);
    chain.hear(&first);
    let healed = renewed(&settlement, chain.time);
    let peer = healed.peer(Options::never_expires());
    let here = chain.state.channel(&first.source).unwrap().inbox().frontier().clone();
    let detail = |action| refused(&chain, vec![action]).to_string();
    assert!(detail(replacement(&peer, Frontier::new())).contains("0 entries would count as applied, and 2 were"));
    let root = |name: &str, secs: u64| {
        let time = UnixTime::new(i64::try_from(secs).unwrap(), 0).unwrap();
        TrustRoot::new(name, 9, time, &peer.root.validators().validators()).unwrap()
    };
    let stranger = Peer { root: root("test-shard-0", chain.time), options: peer.options };
    assert!(detail(replacement(&stranger, here.clone())).contains("hears nothing from test-shard-0"));
    let old = Peer { root: root("test-settlement", chain.time - 500), options: Options::new(500, 30).unwrap() };
    assert!(detail(replacement(&old, here.clone())).contains("would have ended"));
    let early = Peer { root: root("test-settlement", chain.time + 31), options: Options::new(500, 30).unwrap() };
    assert!(detail(replacement(&early, here.clone())).contains("in the future"));
    let catch_up = Some(CatchUp { last: Epoch::new(1), hash: [1; 32], statements: Vec::new() });
    // Its keys are looked at as well, here and not before.
    let is_none = |key: &[u8; 32]| ValidatorSet::new(&[(*key, 1)]).is_err();
    let none = (0..=u8::MAX).map(|byte| [byte; 32]).find(is_none).unwrap();
    let bytes = peer.to_bytes();
    let bytes = [&bytes[..bytes.len() - 40], &none, &1_u64.to_be_bytes()].concat();
    let keyless = Replacement { peer: ClaimedPeer::from_bytes(&bytes).unwrap(), inbox: here.clone(), catch_up: None };
    assert!(detail(Action::ReplaceChannel(Box::new(keyless))).contains("ed25519"));
    let told = Action::ReplaceChannel(Box::new(Replacement { peer: peer.claim(), inbox: here.clone(), catch_up }));
    assert!(detail(told).contains("no statements"));
    // One that was good when it was signed, and is not any more at its height, changes nothing.
    let mut later = proposal(&chain, vec![replacement(&peer, here)]);
    later.at_height = Height::new(chain.height + 2);
    let mut executor = chain.executor(0);
    let _ = executor.govern(&signed(later)).unwrap();
    settlement.says(&[CreditEntry::Line(line)]);
    let _ = executor.deliver(&settlement.from(2, 1, ALL)).unwrap();
    chain.take(0, executor);
    let effects = chain.block(0, &[]);
    assert_eq!(effects.governance.applied[0].failure.as_ref().map(Rejection::code), Some(231));
    assert_eq!(chain.state.channel(&first.source).unwrap().cursor(), 3);
}

impl Settlement {
    /// A second header of a height, by the same validators.
    fn fraud(&self, height: u64) -> HeaderUpdate {
        let light_block = self.headers_of().fork(height, [66; 32]).unwrap().unwrap();
        HeaderUpdate { light_block, trusted_next_validators: None }
    }
}
