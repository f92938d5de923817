//! What operators decide about the settlement chain: parameters, trust, payouts, and the channel from a shard anew. No block
//! of it may break a rule of the money. The rules of signatures and numbers have their tests in `db3-governance`.

use db3_carry::{Delivery, HeaderUpdate, Peer};
use db3_governance::{
    Action, CatchUp, Misbehaviour, MisbehaviourKind, Parameter, Proposal, Replacement, Report, SignedProposal,
    Validator, validator_address,
};
use db3_light_client::build::ValidatorKey;
use db3_light_client::{Options, TrustRoot};
use db3_merkle_log::Frontier;
use db3_primitives::leaf::settlement::FEE_POOL;
use db3_primitives::{
    Address, BlockTime, Epoch, Height, PassedLeaf, PriceTable, Rejection, Scheme, SecretKey, ShardFault, ShardId, Tai,
    TransactionOperation, VerifiedTransaction,
};
use db3_settlement_state::{Executor, Genesis, GenesisAccount, Outcome, SettlementState};

use crate::support::{BEGIN, EPOCH_SECS, FIRST_EPOCH, Net, account, actor, genesis, settlement};

const SHARD: ShardId = ShardId::new(0);

fn operator(number: u8) -> SecretKey {
    SecretKey::from_bytes([100 + number; 32]).unwrap()
}

fn validator(number: u8, power: u64) -> Validator {
    let key = ValidatorKey::from_seed([100 + number; 32]).public_key();
    Validator { key, power, operator: operator(number).address(), payout: Address::new([100 + number; 20]) }
}

/// One shard, three validators of the settlement chain; alice has collateral 500 and wants 100 on the shard.
fn net() -> (Net, crate::support::Actor) {
    let alice = actor(1);
    let accounts = vec![account(alice.address, 1_000_000, 500, &[(0, 100)])];
    let mut net = Net::with(1, |sources| Genesis { validators: validators(), ..genesis(sources, accounts) });
    net.settle();
    (net, alice)
}

/// Three of them, each with an operator of its own.
pub fn validators() -> Vec<Validator> {
    vec![validator(1, 10), validator(2, 10), validator(3, 10)]
}

/// A block in which one of them is found to have misbehaved, and the other two decide something for a later height.
pub fn later(net: &mut Net, at_height: u64) {
    let mut signed = net.proposal(vec![set(Parameter::ExpiryMaxSecs, 1_800)]);
    signed.proposal.at_height = Height::new(at_height);
    signed.signatures.clear();
    for number in 1..=2 {
        signed.sign(&operator(number), Scheme::Raw);
    }
    net.height += 1;
    let (height, time) = (Height::new(net.height), BlockTime::from_secs(net.now));
    let mut executor = Executor::begin(&net.state, height, time, &[deed(3)]);
    let _ = executor.govern(&signed).unwrap();
    net.state = executor.finish().0;
}

/// A block that accepts another factor, with which the next one begins.
pub fn another_factor(net: &mut Net) {
    let mut signed = net.proposal(vec![set(Parameter::FactorNumerator, 2)]);
    signed.signatures.truncate(2);
    net.height += 1;
    let mut executor = Executor::new(&net.state, Height::new(net.height), BlockTime::from_secs(net.now));
    let _ = executor.govern(&signed).unwrap();
    net.state = executor.finish().0;
}

fn deed(number: u8) -> Misbehaviour {
    Misbehaviour {
        validator: validator_address(&validator(number, 1).key),
        kind: MisbehaviourKind::DuplicateVote,
        height: Height::new(1),
        time: BlockTime::from_secs(BEGIN),
    }
}

impl Net {
    fn proposal(&self, actions: Vec<Action>) -> SignedProposal {
        let proposal = Proposal {
            chain_id: settlement(),
            sequence: self.state.governance().leaf().unwrap().sequence() + 1,
            at_height: Height::new(0),
            expire_unix_secs: self.now + 3_600,
            actions,
        };
        let mut signed = SignedProposal::unsigned(proposal);
        for number in 1..=3 {
            signed.sign(&operator(number), Scheme::Raw);
        }
        signed
    }

    fn refuses(&self, actions: Vec<Action>) -> Rejection {
        let (height, now) = (Height::new(self.height + 1), BlockTime::from_secs(self.now));
        self.state.check_governance(&self.proposal(actions), height, now).unwrap_err()
    }

    /// Accepts these actions in one block; the next one begins with their change and holds these transactions.
    fn govern(&mut self, actions: Vec<Action>, transactions: &[VerifiedTransaction]) -> Report {
        let signed = self.proposal(actions);
        self.height += 1;
        let mut executor = Executor::new(&self.state, Height::new(self.height), BlockTime::from_secs(self.now));
        let _ = executor.govern(&signed).unwrap();
        self.state = executor.finish().0;
        self.block(1, &[], transactions).governance
    }
}

fn set(parameter: Parameter, value: u64) -> Action {
    Action::SetParameter { parameter, value }
}

#[test]
fn parameters_change_together_and_only_to_what_a_chain_can_have() {
    let (mut net, _) = net();
    let prices = PriceTable { version: 2, ..PriceTable::v1() };
    let treasury = Address::new([0xcc; 20]);
    let report = net.govern(
        vec![
            Action::SetPrices(prices),
            Action::SetTreasury { treasury },
            set(Parameter::WriteOffEpochs, 9),
            set(Parameter::SeizeEpochs, 8),
            set(Parameter::GraceEpochs, 7),
            Action::SetPayouts { shard: SHARD, recipients: vec![(treasury, 3)] },
        ],
        &[],
    );
    assert_eq!(report.applied[0].failure, None);
    let chain = net.state.chain();
    assert_eq!((chain.prices, chain.treasury), (prices, treasury));
    assert_eq!((chain.grace_epochs, chain.seize_epochs, chain.write_off_epochs), (7, 8, 9));
    assert_eq!(net.state.payouts(SHARD).recipients(), [(treasury, 3)]);
    for actions in [
        vec![set(Parameter::GraceEpochs, 99)],
        vec![set(Parameter::FactorDenominator, 0)],
        vec![set(Parameter::FactorNumerator, u64::MAX)],
        vec![set(Parameter::LeaseEpochs, 0)],
        vec![set(Parameter::RoundAccountsMax, 0)],
        vec![set(Parameter::ExpiryMaxSecs, 0)],
        vec![set(Parameter::BlockMutationsMax, 5)],
        vec![Action::SetTrust { account: Address::new([9; 20]), trust: Tai::new(5) }],
        vec![Action::SetTrust { account: actor(1).address, trust: Tai::MAX }],
        vec![Action::SetPayouts { shard: ShardId::new(1), recipients: vec![(treasury, 3)] }],
        vec![Action::SetPayouts { shard: SHARD, recipients: vec![(treasury, 0)] }],
    ] {
        assert_eq!(net.refuses(actions.clone()).code(), 231, "{actions:?}");
    }
}

#[test]
fn who_shares_the_chains_own_fees_follows_its_validators() {
    let (mut net, _) = net();
    net.govern(vec![Action::SetValidator(validator(4, 30)), Action::RemoveValidator { key: validator(1, 0).key }], &[]);
    let expected: Vec<_> = [(2, 10), (3, 10), (4, 30)].map(|(n, power)| (Address::new([100 + n; 20]), power)).into();
    assert_eq!(net.state.payouts(FEE_POOL).recipients(), expected);
    let (height, time) = (Height::new(net.height + 1), BlockTime::from_secs(net.now));
    let (state, effects) = Executor::begin(&net.state, height, time, &[deed(4)]).finish();
    assert_eq!(effects.governance.validator_updates, [(validator(4, 30).key, 0)]);
    assert_eq!(state.payouts(FEE_POOL).recipients(), &expected[..2]);
}

#[test]
fn trust_gives_credit_and_taking_it_leaves_an_excess_that_does_not_grow() {
    let (mut net, alice) = net();
    let allocate = |want| TransactionOperation::Allocate { shard: SHARD, want: Tai::new(want) };
    let trust = |tai| vec![Action::SetTrust { account: alice.address, trust: Tai::new(tai) }];
    let want = net.sign(&alice, vec![allocate(900)]);
    net.govern(trust(1_000), &[want]);
    let view = net.state.account(&alice.address);
    assert_eq!((view.limit, view.held), (Tai::new(1_500), Tai::new(900)));
    // Taken away in the block in which the account asks for more.
    let more = net.sign(&alice, vec![allocate(1_200)]);
    net.govern(trust(0), &[more]);
    let view = net.state.account(&alice.address);
    assert_eq!((view.limit, view.held), (Tai::new(500), Tai::new(900)), "over its limit, and no more than before");
    let outcome = net.transact(&alice, vec![TransactionOperation::Withdraw { amount: Tai::new(1) }]);
    assert!(matches!(outcome, Outcome::Failed(receipt) if receipt.outcome.code() == 310));
}

#[test]
fn a_lower_factor_in_the_block_of_a_round_breaks_no_rule() {
    let (mut net, alice) = net();
    net.state_of(0, alice.address, 60);
    let close = net.close_of(0, FIRST_EPOCH);
    net.close(0, &close);
    net.now = net.now.max(BEGIN + EPOCH_SECS);
    net.carry(0);
    // The round is due in the very block that begins with the change.
    net.govern(vec![set(Parameter::FactorNumerator, 1), set(Parameter::FactorDenominator, 10)], &[]);
    net.settle();
    let view = net.state.account(&alice.address);
    assert_eq!((view.limit, net.state.line(&alice.address, SHARD).unwrap().paid), (Tai::new(50), Tai::new(60)));
}

/// A round of an epoch in which nobody was charged; the shard has applied what was sent.
fn empty_round(net: &mut Net, epoch: u64) {
    for shard in 0..net.sources.len() {
        let close = net.close_of(shard, epoch);
        net.close(shard, &close);
        net.now = net.now.max((epoch + 1) * EPOCH_SECS);
        net.carry(shard);
    }
    net.settle();
}

#[test]
fn a_lower_factor_cuts_the_lines_of_accounts_that_owe_nothing_a_bounded_number_in_a_block() {
    let accounts: Vec<_> = (1..=3).map(|seed| account(actor(seed).address, 1_000, 500, &[(0, 400)])).collect();
    let of_chain =
        |sources: &[_]| Genesis { validators: validators(), round_accounts_max: 1, ..genesis(sources, accounts) };
    let mut net = Net::with(1, of_chain);
    net.settle();
    net.govern(vec![set(Parameter::FactorDenominator, 5)], &[]);
    // One account is marked in the block of the change, and the others in blocks of their own.
    let begun = net.state.root();
    assert!(net.state.work_pending(BlockTime::from_secs(net.now)));
    assert_eq!(net.settle().len(), 2);
    assert_ne!(begun, net.state.root());
    let lines =
        |net: &Net| (1..=3).map(|seed| net.state.line(&actor(seed).address, SHARD).unwrap()).collect::<Vec<_>>();
    empty_round(&mut net, FIRST_EPOCH);
    for line in lines(&net) {
        assert_eq!((line.ceiling, line.held, line.cut.is_some()), (Tai::new(100), Tai::new(400), true));
    }
    // Once the shard has told that it knows, nothing of the excess is left, and nothing is raised again.
    for epoch in 1..4 {
        empty_round(&mut net, FIRST_EPOCH + epoch);
        for line in lines(&net) {
            assert_eq!((line.ceiling, line.held, line.cut), (Tai::new(100), Tai::new(100), None));
        }
    }
    // What the limit allows again is given again.
    net.govern(vec![set(Parameter::FactorDenominator, 1)], &[]);
    net.settle();
    empty_round(&mut net, FIRST_EPOCH + 4);
    assert!(lines(&net).iter().all(|line| line.ceiling == Tai::new(400)));
}

#[test]
fn what_trust_no_longer_covers_is_cut_in_proportion_to_what_the_lines_have_left() {
    let alice = actor(1);
    let trusted = GenesisAccount { trust: Tai::new(250), ..account(alice.address, 1_000, 250, &[(0, 300), (1, 200)]) };
    let mut net = Net::with(2, |sources| Genesis { validators: validators(), ..genesis(sources, vec![trusted]) });
    net.settle();
    net.state_of(0, alice.address, 100);
    net.govern(vec![Action::SetTrust { account: alice.address, trust: Tai::ZERO }], &[]);
    empty_round(&mut net, FIRST_EPOCH);
    let lines: Vec<_> = (0..2).map(|shard| net.state.line(&alice.address, ShardId::new(shard)).unwrap()).collect();
    // 100 of 300 are used and paid; of the 400 that are left the limit bears 250.
    assert_eq!(
        lines.iter().map(|line| (line.paid.get(), line.ceiling.get())).collect::<Vec<_>>(),
        [(100, 225), (0, 125)]
    );
    empty_round(&mut net, FIRST_EPOCH + 1);
    let view = net.state.account(&alice.address);
    assert_eq!((view.limit, view.held), (Tai::new(250), Tai::new(250)));
}

/// How the settlement chain begins anew with its shard, at the shard's newest header.
fn peer(net: &Net) -> Peer {
    let headers = net.sources[0].headers();
    let height = headers.height();
    let validators = headers.next_validators(height).unwrap().validators();
    let root = TrustRoot::new(net.sources[0].chain_id().as_str(), height, headers.time(height).unwrap(), &validators);
    Peer { root: root.unwrap(), options: Options::never_expires() }
}

fn replacement(peer: &Peer, net: &Net, catch_up: Option<CatchUp>) -> Action {
    let inbox = net.state.channel(net.sources[0].chain_id()).unwrap().inbox().frontier().clone();
    Action::ReplaceChannel(Box::new(Replacement { peer: peer.claim(), inbox, catch_up }))
}

#[test]
fn a_shard_whose_validators_signed_twice_is_heard_again_after_its_channel_is_replaced() {
    let (mut net, alice) = net();
    net.state_of(0, alice.address, 40);
    net.carry(0);
    let fork = net.sources[0].headers().fork(1, [66; 32]).unwrap().unwrap();
    let headers = vec![HeaderUpdate { light_block: fork, trusted_next_validators: None }];
    let fraud = Delivery::of_headers(net.sources[0].chain_id().clone(), headers);
    let effects = net.block(0, &[fraud], &[]);
    assert_eq!(effects.faults[0].fault.code, ShardFault::HeaderConflict);
    let action = replacement(&peer(&net), &net, None);
    net.govern(vec![action], &[]);
    assert_eq!(net.state.shard(SHARD).unwrap().leaf.fault, None);
    assert_eq!(net.state.passed(SHARD), PassedLeaf::default(), "no entry was to blame");
    // What was read of the open close still counts.
    let close = net.close_of(0, FIRST_EPOCH);
    net.close(0, &close);
    net.now = net.now.max(BEGIN + EPOCH_SECS);
    assert_eq!(net.carry(0).faults, []);
    net.settle();
    assert_eq!(net.state.line(&alice.address, SHARD).unwrap().paid, Tai::new(40));
}

#[test]
fn after_an_entry_at_fault_governance_says_what_the_shard_had_stated_and_closed() {
    let (mut net, alice) = net();
    net.write(0, b"nonsense");
    net.state_of(0, alice.address, 70);
    let close = net.close_of(0, FIRST_EPOCH);
    net.close(0, &close);
    net.now = net.now.max(BEGIN + EPOCH_SECS);
    assert_eq!(net.carry(0).faults[0].fault.code, ShardFault::EntryMalformed);
    let frontier = net.sources[0].log(&settlement()).unwrap().frontier().clone();
    let replace = |peer: &Peer, catch_up| {
        Action::ReplaceChannel(Box::new(Replacement { peer: peer.claim(), inbox: frontier.clone(), catch_up }))
    };
    let refused = net.refuses(vec![replace(&peer(&net), None)]).to_string();
    assert!(refused.contains("entries are passed over"), "{refused}");
    let say = |sum, last| {
        let statements = vec![(alice.address, Tai::new(sum))];
        Some(CatchUp { last: Epoch::new(last), hash: close.hash(), statements })
    };
    for (catch_up, why) in [(say(101, FIRST_EPOCH), "may state up to 100"), (say(70, FIRST_EPOCH + 1), "has not ended")]
    {
        let refused = net.refuses(vec![replace(&peer(&net), catch_up)]).to_string();
        assert!(refused.contains(why), "{refused}");
    }
    let action = replace(&peer(&net), say(70, FIRST_EPOCH));
    net.govern(vec![action], &[]);
    // What was read before the frontier that governance gave is no part of the log any more.
    assert_eq!(net.state.passed(SHARD), PassedLeaf::beginning(3));
    // The epoch's round did not wait for a shard that nobody heard; the next one settles this too.
    let line = net.state.line(&alice.address, SHARD).unwrap();
    assert_eq!((line.reported, line.debited), (Tai::new(70), Tai::ZERO));
    // The shard goes on as if nothing had been.
    net.state_of(0, alice.address, 90);
    let close = net.close_of(0, FIRST_EPOCH + 1);
    net.close(0, &close);
    net.now = net.now.max(BEGIN + 2 * EPOCH_SECS);
    assert_eq!(net.carry(0).faults, []);
    net.settle();
    assert_eq!(net.state.line(&alice.address, SHARD).unwrap().paid, Tai::new(90));
}

#[test]
fn an_entry_at_fault_that_governance_forgives_is_noted_and_the_log_goes_on_behind_it() {
    let (mut net, alice) = net();
    net.state_of(0, alice.address, 40);
    net.carry(0);
    // More than her line allows.
    net.state_of(0, alice.address, 4_000_000_000);
    assert_eq!(net.carry(0).faults[0].fault.index, 1);
    let action = replacement(&peer(&net), &net, None);
    net.govern(vec![action], &[]);
    assert_eq!(net.state.passed(SHARD), PassedLeaf::default().forgiving(1));
    assert_eq!(net.state.shard(SHARD).unwrap().leaf.fault, None);
    // Another history of the same length is another log.
    let mut other = Frontier::new();
    other.append(b"one");
    other.append(b"two");
    let Action::ReplaceChannel(replaced) = replacement(&peer(&net), &net, None) else { panic!() };
    net.govern(vec![Action::ReplaceChannel(Box::new(Replacement { inbox: other, ..*replaced }))], &[]);
    assert_eq!(net.state.passed(SHARD), PassedLeaf::beginning(2));
    SettlementState::from_tree(net.state.tree().clone()).unwrap();
}
