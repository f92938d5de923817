//! Decisions that nobody made: what they cost the engine's thread, on every way in.

use bytes::Bytes;
use db3_carry::{ClaimedPeer, Peer};
use db3_governance::{Action, Proposal, Replacement, Signature, SignedProposal};
use db3_light_client::build::ValidatorKey;
use db3_light_client::{Options, TrustRoot, UnixTime, ValidatorSet};
use db3_merkle_log::Frontier;
use db3_primitives::limits::BLOCK_GOVERNANCE_MAX;
use db3_primitives::{Rejection, Scheme, SecretKey};
use db3_proto::encode_governance_tx;

use super::governance::{Driven, expiry, operator, signed};
use crate::app::{FalseDecisions, place};
use crate::lock;

/// Three sets of 1 000 keys that are no points of the curve: whoever looked at one would say so.
fn heavy() -> Vec<Action> {
    let key = ValidatorKey::from_seed([1; 32]).public_key();
    let root = TrustRoot::new("test-settlement", 6, UnixTime::new(900, 0).unwrap(), &[(key, 1)]).unwrap();
    let head = Peer { root, options: Options::never_expires() }.to_bytes();
    let is_none = |key: &[u8; 32]| ValidatorSet::new(&[(*key, 1)]).is_err();
    let none = (0..=u8::MAX).map(|byte| [byte; 32]).find(is_none).unwrap();
    let validator = [&none[..], &1_u64.to_be_bytes()].concat();
    let bytes = [&head[..head.len() - 42], &1_000_u16.to_be_bytes(), &validator.repeat(1_000)].concat();
    let peer = ClaimedPeer::from_bytes(&bytes).unwrap();
    let replacement = Replacement { peer, inbox: Frontier::new(), catch_up: None };
    vec![Action::ReplaceChannel(Box::new(replacement)); 3]
}

fn tx(signed: &SignedProposal) -> Bytes {
    Bytes::from(encode_governance_tx(signed))
}

/// The same, signed by somebody who is no operator.
fn forged(signed: &SignedProposal) -> SignedProposal {
    let mut forged = SignedProposal::unsigned(signed.proposal.clone());
    forged.sign(&SecretKey::from_bytes([66; 32]).unwrap(), Scheme::Raw);
    forged
}

#[test]
fn no_key_in_a_decision_is_looked_at_before_its_chain_its_number_and_its_signatures() {
    let chain = Driven::new();
    let next = chain.signed(heavy());
    let with = |change: &dyn Fn(&mut Proposal)| {
        let mut proposal = next.proposal.clone();
        change(&mut proposal);
        SignedProposal { proposal, ..next.clone() }
    };
    let elsewhere = with(&|proposal| proposal.chain_id = "test-shard-1".parse().unwrap());
    let numbered = with(&|proposal| proposal.sequence += 1);
    let over = with(&|proposal| proposal.expire_unix_secs = 1);
    for (false_one, code) in
        [(&elsewhere, 225), (&numbered, 226), (&over, Rejection::Expired { expire: 1, block_time: 2 }.code())]
    {
        assert_eq!(chain.check(tx(false_one)), code);
    }
    assert_eq!(chain.check(tx(&forged(&next))), 228);
    for false_one in [tx(&elsewhere), tx(&numbered), tx(&forged(&next))] {
        assert!(chain.prepare(vec![false_one.clone()]).is_empty());
        assert!(!chain.accepts(vec![false_one.clone()]));
        chain.decide(vec![false_one], Vec::new());
        assert_eq!(chain.leaf().sequence(), 0);
    }
    // What the operators did sign tells of its keys.
    let inner = &chain.app.inner;
    let refused = inner.take_governance(chain.signed(heavy())).unwrap_err();
    assert!(matches!(refused, Rejection::GovernanceAction { action: 0, .. }), "{refused}");
}

#[test]
fn a_proposal_with_more_decisions_than_may_be_is_refused_before_one_is_read() {
    let chain = Driven::new();
    let judged = |txs: Vec<Bytes>| {
        let (height, time, _) = chain.place();
        chain.app.inner.check(place(height, time, txs, &[]).unwrap()).map(|_| ()).unwrap_err()
    };
    // Nothing that could be read: who reads one says that it is malformed.
    let unread = |number| vec![Bytes::from_static(&[0x1a, 0xff]); number];
    assert_eq!(judged(unread(BLOCK_GOVERNANCE_MAX + 1)), Rejection::BlockFull { what: "governance transactions" });
    assert_eq!(judged(unread(BLOCK_GOVERNANCE_MAX)).code(), 125);
}

#[test]
fn while_false_decisions_have_cost_too_much_only_those_that_this_node_was_sent_go_on() {
    let chain = Driven::new();
    let inner = &chain.app.inner;
    let overloaded = Rejection::Overloaded { what: "" }.code();
    let own = chain.signed(expiry(1_800));
    inner.take_governance(own.clone()).unwrap();
    lock(&inner.false_decisions).exhaust();
    let other = chain.signed(expiry(900));
    assert_eq!(chain.check(tx(&other)), overloaded, "its signatures are not looked at");
    let mut numbered = other.clone();
    numbered.proposal.sequence += 1;
    assert_eq!(chain.check(tx(&numbered)), 226, "what costs nothing is said");
    assert_eq!(chain.check(tx(&own)), 0);
    // It is not remembered for what others cost.
    *lock(&inner.false_decisions) = FalseDecisions::default();
    assert_eq!(chain.check(tx(&other)), 0);
}

#[test]
fn only_a_decision_that_no_state_makes_good_is_remembered() {
    let chain = Driven::new();
    let remembers = |tx: &[u8]| lock(&chain.app.inner.false_bundles).remembers(tx);
    let good = chain.signed(expiry(1_800));
    let mut nonsense = SignedProposal::unsigned(good.proposal.clone());
    nonsense.signatures.push(Signature { scheme: Scheme::Raw, bytes: [0xff; 65] });
    let mut twice = good.clone();
    twice.sign(&operator(), Scheme::Raw);
    let mut cut = tx(&good).to_vec();
    cut.pop();
    for (never, code) in [(tx(&nonsense), 110), (tx(&twice), 229), (Bytes::from(cut), 125)] {
        assert_eq!(chain.check(never.clone()), code);
        assert!(remembers(&never));
        lock(&chain.app.inner.false_decisions).exhaust();
        assert_eq!(chain.check(never), code, "one hash is all that it costs again");
        *lock(&chain.app.inner.false_decisions) = FalseDecisions::default();
    }
    // Whose turn comes later, or whose signer may become an operator.
    let mut ahead = signed(&chain.leaf(), chain.place().2, 0, expiry(900)).proposal;
    ahead.sequence += 1;
    let mut later = SignedProposal::unsigned(ahead);
    later.sign(&operator(), Scheme::Raw);
    for (not_yet, code) in [(tx(&later), 226), (tx(&forged(&good)), 228)] {
        assert_eq!(chain.check(not_yet.clone()), code);
        assert!(!remembers(&not_yet));
    }
    chain.decide(vec![tx(&good)], Vec::new());
    assert_eq!(chain.check(tx(&later)), 0, "its number has come");
}

#[test]
fn a_decision_that_waits_is_not_checked_again_and_no_other_signatures_of_it_are() {
    let chain = Driven::new();
    let (raw, other) = (chain.signed(expiry(1_800)), {
        let mut other = SignedProposal::unsigned(chain.signed(expiry(1_800)).proposal);
        other.sign(&operator(), Scheme::Eip191);
        other
    });
    assert_eq!(chain.check(tx(&raw)), 0);
    assert_eq!(chain.check(tx(&other)), Rejection::Overloaded { what: "" }.code());
    lock(&chain.app.inner.false_decisions).exhaust();
    assert_eq!((chain.check(tx(&raw)), chain.recheck(tx(&raw))), (0, 0));
    chain.decide(vec![tx(&raw)], Vec::new());
    assert_ne!(chain.recheck(tx(&raw)), 0);
    assert_eq!(chain.check(tx(&other)), 226);
}
