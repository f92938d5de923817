//! The bytes that are signed and kept: one encoding, and any other bytes are refused without a panic.

use db3_carry::{ClaimedPeer, Peer};
use db3_governance::{Action, CatchUp, Evidence, Parameter, Proposal, Replacement, Signature, SignedProposal, decodes};
use db3_light_client::{Options, TrustRoot, UnixTime};
use db3_merkle_log::Frontier;
use db3_primitives::hash::hex_text;
use db3_primitives::{Address, Epoch, Height, PriceTable, Scheme, ShardId, Tai, key};
use proptest::prelude::*;

use crate::support::{Chain, chain_id, operator, signed, validator, validator_key};

fn every_action() -> Vec<Action> {
    let time = UnixTime::new(900, 5).unwrap();
    let root = TrustRoot::new("test-settlement", 6, time, &[(validator_key(1), 3), (validator_key(2), 4)]).unwrap();
    let peer = Peer { root, options: Options::new(1_000_000, 30).unwrap() };
    let mut inbox = Frontier::new();
    for entry in 0..5_u8 {
        let _ = inbox.append(&[entry]);
    }
    let [a, b] = [1, 2].map(|byte| Address::new([byte; 20]));
    let statements = vec![(a, Tai::new(5)), (b, Tai::new(6))];
    let catch_up = Some(CatchUp { last: Epoch::new(7), hash: [9; 32], statements });
    vec![
        Action::SetValidator(validator(5, 7)),
        Action::RemoveValidator { key: validator_key(1) },
        Action::SetPrices(PriceTable { version: 2, ..PriceTable::v1() }),
        Action::SetParameter { parameter: Parameter::GraceEpochs, value: 3 },
        Action::SetTreasury { treasury: a },
        Action::SetTrust { account: b, trust: Tai::new(1 << 70) },
        Action::SetPayouts { shard: ShardId::new(1), recipients: vec![(a, 1), (b, 2)] },
        Action::ReplaceChannel(Box::new(Replacement { peer: peer.claim(), inbox: inbox.clone(), catch_up })),
        Action::ReplaceChannel(Box::new(Replacement { peer: peer.claim(), inbox, catch_up: None })),
        Action::Cancel { sequence: 4 },
    ]
}

fn proposal() -> Proposal {
    Proposal {
        chain_id: chain_id(),
        sequence: 3,
        at_height: Height::new(1_000),
        expire_unix_secs: 1_769_850_600,
        actions: every_action(),
    }
}

#[test]
fn every_action_is_read_back_and_shown() {
    let proposal = proposal();
    assert_eq!(Proposal::from_bytes(&proposal.to_bytes()), Ok(proposal.clone()));
    let text = proposal.signing_text();
    for part in [
        "DB3 governance\n\nChain: test-shard-0\nNumber: 3\nTakes effect: at height 1000\nExpires: 2026-01-31T09:10:00Z\n",
        "Actions: 10\n- set validator 0x",
        "- set grace_epochs to 3\n",
        "5 entries of its log applied",
        "- cancel the change of transaction 4\n\nBody SHA-256: 0x",
    ] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
}

/// A proposal of a peer whose keys are no points of the curve.
fn with_false_keys(proposal: Proposal) -> Proposal {
    let root = TrustRoot::new("test-settlement", 6, UnixTime::new(900, 5).unwrap(), &[(validator_key(1), 3)]).unwrap();
    let peer = Peer { root, options: Options::new(1_000_000, 30).unwrap() };
    let is_none = |key: &[u8; 32]| ed25519_consensus::VerificationKey::try_from(*key).is_err();
    let none = (0..=u8::MAX).map(|byte| [byte; 32]).find(is_none).unwrap();
    let bytes = peer.to_bytes();
    let bytes = [&bytes[..bytes.len() - 40], &none, &3_u64.to_be_bytes()].concat();
    let peer = ClaimedPeer::from_bytes(&bytes).unwrap();
    let replacement = Replacement { peer, inbox: Frontier::new(), catch_up: None };
    Proposal { actions: vec![Action::ReplaceChannel(Box::new(replacement))], ..proposal }
}

#[test]
fn keys_are_looked_at_after_chain_number_and_signatures() {
    let chain = Chain::new();
    let next = chain.proposal(Vec::new());
    let other = Proposal { chain_id: "test-shard-1".parse().unwrap(), ..next.clone() };
    for (proposal, by, code) in [
        (other, &[1, 2, 3][..], 225),
        (Proposal { sequence: next.sequence + 1, ..next.clone() }, &[1, 2, 3], 226),
        (next.clone(), &[1, 2], 230),
        (next.clone(), &[1, 2, 9], 228),
        (next.clone(), &[1, 2, 3], 231),
    ] {
        let proposal = with_false_keys(proposal);
        assert_eq!(Proposal::from_bytes(&proposal.to_bytes()), Ok(proposal.clone()));
        assert_eq!(chain.judge(&signed(proposal, by)).unwrap_err().code(), code);
    }
    // Whoever asks for signatures, or signs, looks before; and so does whoever takes over a state.
    let proposal = with_false_keys(next);
    assert_eq!(proposal.check_keys().unwrap_err().code(), 231);
    let leaf = |proposal: &Proposal| [&[1], proposal.to_bytes().as_slice()].concat();
    let place = key::plan(Height::new(9), proposal.sequence);
    assert_eq!(decodes(&place, &leaf(&proposal)), Some(false));
    let good = Proposal { actions: every_action(), ..proposal };
    assert_eq!((good.check_keys(), decodes(&place, &leaf(&good))), (Ok(()), Some(true)));
}

#[test]
fn signed_bytes_are_pinned() {
    let proposal = Proposal { actions: vec![Action::Cancel { sequence: 2 }], ..proposal() };
    let bytes = concat!(
        "0x010c746573742d73686172642d30",
        "0000000000000003",
        "00000000000003e8",
        "00000000697dc6e8",
        "0001",
        "09",
        "00000008",
        "0000000000000002"
    );
    assert_eq!(hex_text(&proposal.to_bytes()), bytes);
    let digests = [Scheme::Raw, Scheme::Eip191].map(|scheme| proposal.digest(scheme));
    assert_ne!(digests[0], digests[1]);
    let by = |scheme| {
        let mut signed = SignedProposal::unsigned(proposal.clone());
        signed.sign(&operator(1), scheme);
        signed.signers().unwrap()
    };
    assert_eq!([by(Scheme::Raw), by(Scheme::Eip191)], [vec![operator(1).address()], vec![operator(1).address()]]);
}

#[test]
fn empty_unknown_and_padded_bodies_are_refused() {
    let good = proposal().to_bytes();
    let refused = |bytes: &[u8]| assert_eq!(Proposal::from_bytes(bytes).unwrap_err().code(), 125);
    refused(&[]);
    refused(&Proposal { actions: Vec::new(), ..proposal() }.to_bytes());
    refused(&[good.as_slice(), &[0]].concat());
    refused(&[&[2], &good[1..]].concat());
    refused(&vec![1; 200_000]);
    let mut unknown = Proposal { actions: vec![Action::Cancel { sequence: 2 }], ..proposal() }.to_bytes();
    let kind = unknown.len() - 13;
    unknown[kind] = 10;
    refused(&unknown);
}

#[test]
fn a_signature_that_is_none_is_refused_as_such() {
    let chain = Chain::new();
    let mut bad = signed(chain.proposal(vec![crate::support::set(2)]), &[1, 2]);
    bad.signatures.push(Signature { scheme: Scheme::Raw, bytes: [0xff; 65] });
    assert_eq!(chain.judge(&bad).unwrap_err().code(), 110);
}

proptest! {
    #[test]
    fn any_bytes_give_a_proposal_or_a_refusal(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(proposal) = Proposal::from_bytes(&bytes) {
            prop_assert_eq!(proposal.to_bytes(), bytes);
        }
    }

    #[test]
    fn an_altered_body_is_another_proposal_or_none(at in any::<proptest::sample::Index>(), by in 1..=255_u8) {
        let good = proposal();
        let mut bytes = good.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        if let Ok(altered) = Proposal::from_bytes(&bytes) {
            prop_assert_ne!(&altered, &good);
            prop_assert_eq!(altered.to_bytes(), bytes);
        }
    }

    #[test]
    fn any_leaf_is_judged_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for tree_key in [key::governance(), key::plan(Height::new(1), 1), key::evidence(&[1; 20])] {
            prop_assert!(decodes(&tree_key, &bytes).is_some());
        }
        if let Ok(evidence) = Evidence::from_bytes([1; 20], &bytes) {
            prop_assert_eq!(evidence.to_bytes(), bytes.clone());
        }
        prop_assert_eq!(decodes(b"chain", &bytes), None);
    }
}
