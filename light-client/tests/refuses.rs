//! Headers that must not be trusted, and what is said of each.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod support;

use db3_light_client::build::{light_block_bytes, sign_commit};
use db3_light_client::limits::{HEIGHT_MAX, LIGHT_BLOCK_BYTES_MAX, VALIDATOR_SET_BYTES_MAX, VALIDATORS_MAX};
use db3_light_client::{
    Conflict, LightClient, LightClientError, Options, OptionsError, SignedBy, TrustRoot, TrustRootError, UnixTime,
    ValidatorSet, ValidatorSetError,
};
use prost::Message;
use support::*;
use tendermint_proto::v0_38::types::{CommitSig, LightBlock as RawLightBlock};

/// The same light block with a change in its message.
fn changed(made: &Made, change: impl FnOnce(&mut RawLightBlock)) -> Vec<u8> {
    let mut raw = RawLightBlock::decode(made.light.as_slice()).unwrap();
    change(&mut raw);
    raw.encode_to_vec()
}

fn is_malformed(error: &LightClientError, part: &str) -> bool {
    matches!(error, LightClientError::Malformed { detail } if detail.contains(part))
}

#[test]
fn two_verified_headers_at_one_height_freeze_the_client() {
    let set = members(0, 4);
    let blocks = chain(8, |_| set.clone());
    for height in [8_u64, 5] {
        let mut client = client(&set);
        for block in [&blocks[2], &blocks[4], &blocks[7]] {
            client.verify(&block.light, None, now()).unwrap();
        }
        let index = usize::try_from(height).unwrap() - 1;
        let twist = Twist { app_hash: &[0xbb; 32], ..Twist::default() };
        let other = block(height, Some(&blocks[index - 1]), &set, &set, twist);

        // Not verified, it is no conflict.
        let unsigned = block(height, Some(&blocks[index - 1]), &set, &set, Twist { signers: 2, ..twist });
        let error = client.verify(&unsigned.light, None, now()).unwrap_err();
        assert!(matches!(error, LightClientError::NotEnoughPower { .. }), "{error}");
        assert_eq!(client.frozen(), None);

        let conflict = Conflict { height, trusted: blocks[index].hash(), conflicting: other.hash() };
        assert_eq!(client.verify(&other.light, None, now()), Err(LightClientError::Conflict(conflict)));
        assert_eq!(client.frozen(), Some(conflict));
        for block in &blocks {
            assert_eq!(client.verify(&block.light, None, now()), Err(LightClientError::Frozen(conflict)));
        }
        let resumed = LightClient::resume(root(&set), Options::never_expires(), &client.to_bytes()).unwrap();
        assert_eq!(resumed.frozen(), Some(conflict));
    }
}

#[test]
fn two_commits_of_one_header_are_no_conflict() {
    let set = members(0, 4);
    let made = block(1, None, &set, &set, Twist::default());
    let keys: Vec<_> = set.iter().map(|(number, _)| key(*number)).collect();
    let later = sign_commit(&keys, &made.validators, CHAIN, 1, 3, made.id, time(GENESIS_SECS + 5)).unwrap();
    let mut client = client(&set);
    let header = client.verify(&made.light, None, now()).unwrap();
    let again = light_block_bytes(&made.header, &later, &made.validators);
    assert_eq!(client.verify(&again, None, now()), Ok(header));
}

#[test]
fn another_chain_is_named() {
    let set = members(0, 1);
    let made = block(1, None, &set, &set, Twist { chain_id: "test-shard-1", ..Twist::default() });
    let error = client(&set).verify(&made.light, None, now()).unwrap_err();
    let expected = LightClientError::WrongChain { expected: CHAIN.to_owned(), got: "test-shard-1".to_owned() };
    assert_eq!(error, expected);
    assert_eq!(error.to_string(), r#"this is a header of the chain "test-shard-1", and "test-shard-0" is wanted"#);
}

#[test]
fn nothing_at_or_below_the_root_is_verified() {
    let set = members(0, 1);
    let blocks = chain(6, |_| set.clone());
    let root = TrustRoot::new(CHAIN, 5, time_at(5), &pairs(&set)).unwrap();
    let mut client = LightClient::from_root(root, Options::never_expires());
    for height in 1..=5_u64 {
        let light = &blocks[usize::try_from(height).unwrap() - 1].light;
        assert_eq!(client.verify(light, None, now()), Err(LightClientError::BelowRoot { height, root: 5 }));
        assert_eq!(client.basis(height), None);
    }
    client.verify(&blocks[5].light, None, now()).unwrap();
}

#[test]
fn trust_ends_after_the_trusting_period() {
    let set = members(0, 4);
    let blocks = chain(4, |_| set.clone());
    let options = Options::new(3_600, 30).unwrap();
    let mut client = LightClient::from_root(root(&set), options);
    let end = time(GENESIS_SECS - 1 + 3_600);
    let error = client.verify(&blocks[0].light, None, end).unwrap_err();
    assert_eq!(error, LightClientError::Expired { trusted_height: 0, expired_at: end, now: end });
    client.verify(&blocks[0].light, None, time(end.secs() - 1)).unwrap();
    let end = time(GENESIS_SECS + 3_600);
    let error = client.verify(&blocks[3].light, None, end).unwrap_err();
    assert_eq!(error, LightClientError::Expired { trusted_height: 1, expired_at: end, now: end });
    client.verify(&blocks[3].light, None, time(end.secs() - 1)).unwrap();
}

#[test]
fn a_header_from_the_future_waits() {
    let set = members(0, 1);
    let made = block(1, None, &set, &set, Twist::default());
    let mut client = client(&set);
    let now = time(GENESIS_SECS - 30);
    let error = client.verify(&made.light, None, now).unwrap_err();
    assert_eq!(error, LightClientError::FromTheFuture { header_time: time(GENESIS_SECS), now });
    client.verify(&made.light, None, time(GENESIS_SECS - 29)).unwrap();
}

#[test]
fn times_at_the_end_of_the_calendar_are_handled() {
    let set = members(0, 1);
    let made = block(1, None, &set, &set, Twist { time: Some(UnixTime::MAX), ..Twist::default() });
    for options in [Options::never_expires(), Options::new(u64::MAX, u64::MAX).unwrap()] {
        let mut client = LightClient::from_root(root(&set), options);
        client.verify(&made.light, None, UnixTime::MAX).unwrap_err();
        let last = UnixTime::new(UnixTime::MAX.secs(), 999_999_998).unwrap();
        client.verify(&made.light, None, last).unwrap_err();
        client.verify(&made.light, None, UnixTime::MIN).unwrap_err();
    }
    let root = TrustRoot::new(CHAIN, 0, UnixTime::MIN, &pairs(&set)).unwrap();
    let mut client = LightClient::from_root(root, Options::never_expires());
    client.verify(&block(1, None, &set, &set, Twist::default()).light, None, now()).unwrap();
}

#[test]
fn heights_at_the_end_of_the_range_are_handled() {
    let set = members(0, 1);
    let root = TrustRoot::new(CHAIN, HEIGHT_MAX - 1, time(GENESIS_SECS - 1), &pairs(&set)).unwrap();
    let mut client = LightClient::from_root(root, Options::never_expires());
    let made = block(HEIGHT_MAX, None, &set, &set, Twist { time: Some(time(GENESIS_SECS)), ..Twist::default() });
    client.verify(&made.light, None, now()).unwrap();
    let raised = changed(&made, |raw| {
        let signed = raw.signed_header.as_mut().unwrap();
        signed.header.as_mut().unwrap().height = i64::MAX;
        signed.commit.as_mut().unwrap().height = i64::MAX;
    });
    assert!(is_malformed(&client.verify(&raised, None, now()).unwrap_err(), "a height is 1 to"));
    let error = TrustRoot::new(CHAIN, HEIGHT_MAX, time(0), &pairs(&set)).unwrap_err();
    assert_eq!(error, TrustRootError::HeightTooLarge { height: HEIGHT_MAX });
}

#[test]
fn times_must_grow_with_heights() {
    let set = members(0, 4);
    let blocks = chain(10, |_| set.clone());
    let mut client = client(&set);
    client.verify(&blocks[4].light, None, now()).unwrap();
    client.verify(&blocks[9].light, None, now()).unwrap();
    for (height, at) in [(7, time_at(5)), (7, time_at(10)), (11, time_at(10)), (1, time(GENESIS_SECS - 1))] {
        let made = block(height, None, &set, &set, Twist { time: Some(at), ..Twist::default() });
        let expected = LightClientError::TimeNotBetween { height, header_time: at };
        assert_eq!(client.verify(&made.light, None, now()), Err(expected));
    }
}

#[test]
fn other_validators_than_those_named_are_refused() {
    let set = members(0, 4);
    let made = block(1, None, &members(4, 8), &set, Twist::default());
    let error = client(&set).verify(&made.light, None, now()).unwrap_err();
    assert_eq!(error, LightClientError::WrongValidators { height: 1 });
    let made = block(2, None, &members(4, 8), &set, Twist::default());
    let error = client(&set).verify(&made.light, None, now()).unwrap_err();
    assert_eq!(error, LightClientError::NotEnoughPower { by: SignedBy::Trusted, tallied: 0, total: 40 });
}

#[test]
fn two_thirds_are_not_more_than_two_thirds() {
    let set = members(0, 3);
    let blocks = chain(2, |_| set.clone());
    for height in [1, 2] {
        let before = (height == 2).then(|| &blocks[0]);
        let made = block(height, before, &set, &set, Twist { signers: 2, ..Twist::default() });
        let error = client(&set).verify(&made.light, None, now()).unwrap_err();
        assert_eq!(error, LightClientError::NotEnoughPower { by: SignedBy::Own, tallied: 20, total: 30 });
    }
}

#[test]
fn votes_for_nothing_do_not_count() {
    let set = members(0, 4);
    let made = block(1, None, &set, &set, Twist::default());
    let nil = |votes: usize| {
        changed(&made, |raw| {
            let commit = raw.signed_header.as_mut().unwrap().commit.as_mut().unwrap();
            for signature in &mut commit.signatures[..votes] {
                signature.block_id_flag = 3;
            }
        })
    };
    client(&set).verify(&nil(1), None, now()).unwrap();
    let error = client(&set).verify(&nil(2), None, now()).unwrap_err();
    assert_eq!(error, LightClientError::NotEnoughPower { by: SignedBy::Own, tallied: 20, total: 40 });
}

#[test]
fn a_false_signature_is_named() {
    let set = members(0, 4);
    let made = block(1, None, &set, &set, Twist::default());
    let bad = changed(&made, |raw| {
        let commit = raw.signed_header.as_mut().unwrap().commit.as_mut().unwrap();
        commit.signatures[1].signature[63] ^= 1;
    });
    let validator = made.validators.addresses()[1];
    assert_eq!(client(&set).verify(&bad, None, now()), Err(LightClientError::BadSignature { validator }));
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let set = members(0, 4);
    let blocks = chain(3, |_| set.clone());
    let made = &blocks[1];
    let cases: [(&str, Vec<u8>); 15] = [
        ("no header", changed(made, |raw| raw.signed_header.as_mut().unwrap().header = None)),
        ("no commit", changed(made, |raw| raw.signed_header.as_mut().unwrap().commit = None)),
        ("no signed header", changed(made, |raw| raw.signed_header = None)),
        ("no validator set", changed(made, |raw| raw.validator_set = None)),
        ("1 to 1000 validators", changed(made, |raw| raw.validator_set.as_mut().unwrap().validators.clear())),
        (
            "validator set",
            changed(made, |raw| {
                // The set's hash does not tell of addresses.
                raw.validator_set.as_mut().unwrap().validators[0].address[0] ^= 1;
            }),
        ),
        (
            "not the one that the header names",
            changed(made, |raw| {
                raw.validator_set.as_mut().unwrap().validators.pop();
                raw.validator_set.as_mut().unwrap().total_voting_power = 30;
            }),
        ),
        (
            "for another header",
            changed(made, |raw| {
                let other = RawLightBlock::decode(blocks[2].light.as_slice()).unwrap();
                let mut commit = other.signed_header.unwrap().commit.unwrap();
                commit.height = 2;
                raw.signed_header.as_mut().unwrap().commit = Some(commit);
            }),
        ),
        (
            "heights of header and commit differ",
            changed(made, |raw| {
                raw.signed_header.as_mut().unwrap().commit.as_mut().unwrap().height = 3;
            }),
        ),
        (
            "pre-commit length",
            changed(made, |raw| {
                raw.signed_header.as_mut().unwrap().commit.as_mut().unwrap().signatures.pop();
            }),
        ),
        (
            "duplicate validator",
            changed(made, |raw| {
                let signatures = &mut raw.signed_header.as_mut().unwrap().commit.as_mut().unwrap().signatures;
                signatures[1] = signatures[0].clone();
            }),
        ),
        (
            "no validator of that height",
            changed(made, |raw| {
                let signatures = &mut raw.signed_header.as_mut().unwrap().commit.as_mut().unwrap().signatures;
                signatures[3].validator_address[0] ^= 1;
            }),
        ),
        (
            "next validators",
            changed(made, |raw| {
                raw.signed_header.as_mut().unwrap().header.as_mut().unwrap().next_validators_hash.clear();
            }),
        ),
        (
            "app hash",
            changed(made, |raw| {
                raw.signed_header.as_mut().unwrap().header.as_mut().unwrap().app_hash = vec![1; 33];
            }),
        ),
        (
            "no signatures",
            changed(made, |raw| {
                for signature in &mut raw.signed_header.as_mut().unwrap().commit.as_mut().unwrap().signatures {
                    *signature = CommitSig { block_id_flag: 1, ..CommitSig::default() };
                }
            }),
        ),
    ];
    for (part, light) in cases {
        let mut client = client(&set);
        let before = client.clone();
        let error = client.verify(&light, None, now()).unwrap_err();
        assert!(is_malformed(&error, part), "{part}: {error}");
        assert_eq!(client, before);
    }
}

#[test]
fn what_is_too_large_is_refused_before_anything_is_decoded() {
    let set = members(0, 1);
    let made = block(1, None, &set, &set, Twist::default());
    let mut client = client(&set);
    let error = client.verify(&vec![0; LIGHT_BLOCK_BYTES_MAX + 1], None, now()).unwrap_err();
    assert!(is_malformed(&error, "at most 262144 bytes"), "{error}");
    let many = changed(&made, |raw| {
        let commit = raw.signed_header.as_mut().unwrap().commit.as_mut().unwrap();
        commit.signatures = vec![CommitSig::default(); VALIDATORS_MAX + 1];
    });
    assert!(is_malformed(&client.verify(&many, None, now()).unwrap_err(), "at most 1000 signatures"));
    let long = vec![0; VALIDATOR_SET_BYTES_MAX + 1];
    assert!(is_malformed(&client.verify(&made.light, Some(&long), now()).unwrap_err(), "at most 131072 bytes"));
    assert!(is_malformed(&client.verify(&made.light, Some(&[7]), now()).unwrap_err(), "validator set"));
    client.verify(&made.light, None, now()).unwrap();
}

#[test]
fn keys_and_powers_that_are_no_set_are_refused() {
    let key = |number| support::key(number).public_key();
    assert_eq!(ValidatorSet::new(&[]), Err(ValidatorSetError::Empty));
    assert_eq!(ValidatorSet::new(&[(key(0), 1), (key(1), 0)]), Err(ValidatorSetError::NoPower { index: 1 }));
    assert_eq!(ValidatorSet::new(&[(key(0), 1), (key(0), 2)]), Err(ValidatorSetError::Duplicate { index: 1 }));
    assert_eq!(ValidatorSet::new(&[(key(0), u64::MAX), (key(1), 2)]), Err(ValidatorSetError::TooMuchPower));
    assert_eq!(ValidatorSet::new(&[(key(0), 1 << 60), (key(1), 1)]), Err(ValidatorSetError::TooMuchPower));
    let no_point = (0..=u8::MAX)
        .map(|byte| [byte; 32])
        .find(|key| ValidatorSet::new(&[(*key, 1)]) == Err(ValidatorSetError::InvalidKey { index: 0 }));
    assert!(no_point.is_some(), "about half of all strings are no points");
    let validators = VALIDATORS_MAX + 1;
    assert_eq!(ValidatorSet::new(&vec![(key(0), 1); validators]), Err(ValidatorSetError::TooMany { validators }));
    let set = ValidatorSet::new(&[(key(0), 1), (key(1), (1 << 60) - 2)]).unwrap();
    assert_eq!((set.total_power(), set.validators()[0].0), ((1 << 60) - 1, key(1)));
    assert_eq!(ValidatorSet::from_proto_bytes(&set.to_proto_bytes()), Ok(set));
}

#[test]
fn roots_and_options_that_make_no_sense_are_refused() {
    let set = pairs(&members(0, 1));
    for chain_id in ["", "a chain", "ü", &"a".repeat(51)] {
        let expected = TrustRootError::InvalidChainId { chain_id: chain_id.to_owned() };
        assert_eq!(TrustRoot::new(chain_id, 0, time(0), &set), Err(expected));
    }
    assert_eq!(TrustRoot::of_genesis(CHAIN, 0, time(0), &set), Err(TrustRootError::NoInitialHeight));
    assert_eq!(Options::new(0, 30), Err(OptionsError::NoTrustingPeriod));
    assert_eq!(Options::new(1, 29), Err(OptionsError::DriftTooSmall { secs: 29 }));
    assert_eq!(UnixTime::new(0, 1_000_000_000), None);
    assert_eq!(UnixTime::new(UnixTime::MAX.secs() + 1, 0), None);
    assert_eq!(UnixTime::new(UnixTime::MIN.secs() - 1, 0), None);
}
