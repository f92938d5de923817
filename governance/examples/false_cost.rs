//! What a decision that nobody made costs: `cargo run -p db3-governance --example false_cost`.
//!
//! Prints, for the longest body (three chains of 1 000 validators each), the shortest time in which it is read and judged: with
//! a wrong number, signed by somebody who is no operator, in both schemes, and signed by all, where its keys are looked at.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a measurement on the developer's machine"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use db3_carry::Peer;
use db3_governance::{Action, GovernanceLeaf, Proposal, Replacement, Session, SignedProposal, Subject, Validator};
use db3_light_client::{Options, TrustRoot, UnixTime};
use db3_merkle_log::Frontier;
use db3_primitives::{Address, BlockTime, Height, Scheme, SecretKey, key};
use db3_state_tree::Tree;

/// A chain that hears nobody, and looks at whom it is told to hear.
#[derive(Clone)]
struct Deaf;

impl Subject for Deaf {
    fn change(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::ReplaceChannel(replacement) => replacement.peer.check().map(|_| ()).map_err(|e| e.to_string()),
            other => Err(other.to_string()),
        }
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

fn main() {
    let operator = SecretKey::from_bytes([7; 32]).unwrap();
    let validator = Validator { key: key_of(0), power: 1, operator: operator.address(), payout: Address::new([1; 20]) };
    let leaf = GovernanceLeaf::new(&[validator]).unwrap();
    let tree = Tree::new().apply(vec![(key::governance(), Some(leaf.to_bytes()))]).unwrap();
    let proposal = Proposal {
        chain_id: "cost-settlement".parse().unwrap(),
        sequence: 1,
        at_height: Height::new(0),
        expire_unix_secs: 1_000,
        actions: (0..3).map(|chain| replacement(chain * 1_000)).collect(),
    };
    let numbered = Proposal { sequence: 2, ..proposal.clone() };
    let stranger = SecretKey::from_bytes([8; 32]).unwrap();
    println!("{} bytes", proposal.to_bytes().len());
    for (name, proposal, key, scheme) in [
        ("wrong number", &numbered, &operator, Scheme::Raw),
        ("signed by a stranger, raw", &proposal, &stranger, Scheme::Raw),
        ("signed by a stranger, EIP-191", &proposal, &stranger, Scheme::Eip191),
        ("signed by all", &proposal, &operator, Scheme::Raw),
    ] {
        let mut signed = SignedProposal::unsigned(proposal.clone());
        signed.sign(key, scheme);
        let (body, signatures) = (signed.proposal.to_bytes(), signed.signatures);
        let judge = || {
            let proposal = Proposal::from_bytes(black_box(&body)).unwrap();
            let signed = SignedProposal { proposal, signatures: signatures.clone() };
            let own = "cost-settlement".parse().unwrap();
            Session::of(&tree).judge(&own, Height::new(5), BlockTime::from_secs(9), &signed, &Deaf).map(|_| ())
        };
        println!("{name}: {:?}, {:?}", shortest(|| drop(black_box(judge()))), judge().map_err(|error| error.code()));
    }
}

fn key_of(number: u32) -> [u8; 32] {
    let mut seed = [3; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    ed25519_consensus::SigningKey::from(seed).verification_key().to_bytes()
}

fn replacement(first: u32) -> Action {
    let validators: Vec<_> = (first..first + 1_000).map(|number| (key_of(number), 1)).collect();
    let root = TrustRoot::new("cost-shard-0", 5, UnixTime::new(1, 0).unwrap(), &validators).unwrap();
    let peer = Peer { root, options: Options::never_expires() }.claim();
    Action::ReplaceChannel(Box::new(Replacement { peer, inbox: Frontier::new(), catch_up: None }))
}

fn shortest(work: impl Fn()) -> Duration {
    let time = |_| {
        let begun = Instant::now();
        work();
        begun.elapsed()
    };
    (0..50).map(time).min().unwrap_or_default()
}
