//! Deliveries and the consensus transactions that hold them: one encoding each, nothing beside, within the limits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use db3_carry::{Delivery, HeaderUpdate};
use db3_primitives::limits::{DELIVERY_ENTRIES_MAX, DELIVERY_HEADERS_MAX, DELIVERY_TX_BYTES_MAX};
use db3_primitives::{ChainId, Rejection};
use db3_proto::{
    BlockTx, decode_delivery, decode_delivery_message, decode_tx, delivery_id, delivery_message, encode_bundle,
    encode_delivery, encode_delivery_tx, v1,
};
use db3_state_tree::{ExistenceProof, PathStep, Side};
use proptest::prelude::*;
use prost::Message as _;

fn source() -> ChainId {
    ChainId::parse("devnet-shard-1").unwrap()
}

fn header(byte: u8) -> HeaderUpdate {
    HeaderUpdate { light_block: vec![byte; 40], trusted_next_validators: (byte % 2 == 1).then(|| vec![byte; 9]) }
}

fn delivery() -> Delivery {
    let path = vec![PathStep { side: Side::Left, sibling: [3; 32] }, PathStep { side: Side::Right, sibling: [4; 32] }];
    Delivery {
        source: source(),
        headers: vec![header(1), header(2)],
        proof_height: 9,
        outbox_leaf: vec![5; 40],
        proof: Some(ExistenceProof { key: b"outbox/devnet-settlement".to_vec(), value: vec![5; 40], path }),
        log: db3_merkle_log::Delivery {
            start: 3,
            entries: vec![b"one".to_vec(), b"two".to_vec()],
            size: 8,
            right: vec![[6; 32], [7; 32]],
        },
    }
}

fn detail(rejection: Rejection) -> String {
    let Rejection::DeliveryMalformed { detail } = rejection else { panic!("{rejection}") };
    detail
}

fn refusal(edit: impl FnOnce(&mut v1::Delivery)) -> String {
    let mut message = delivery_message(&delivery());
    edit(&mut message);
    let read = decode_delivery(&message.encode_to_vec()).unwrap_err();
    assert_eq!(decode_delivery_message(message).unwrap_err(), read, "both ways of reading agree");
    detail(read)
}

#[test]
fn a_transaction_holds_envelopes_or_a_delivery() {
    let tx = encode_delivery_tx(&delivery());
    assert_eq!(decode_tx(&tx).unwrap(), BlockTx::Delivery(delivery()));
    let bundle = v1::Bundle { mutations: vec![], delivery: Some(delivery_message(&delivery())), governance: None };
    assert_eq!(bundle.encode_to_vec(), tx, "the transaction is a Bundle with a delivery");
    let bundle = encode_bundle([b"one".as_slice(), b"two"]);
    assert_eq!(decode_tx(&bundle).unwrap(), BlockTx::Bundle(vec![b"one", b"two"]));
    for both in [[tx.clone(), bundle.clone()].concat(), [bundle, tx.clone()].concat(), [tx.clone(), tx].concat()] {
        assert!(decode_tx(&both).is_err(), "never both, and never two");
    }
    assert!(decode_tx(&[]).is_err());
}

#[test]
fn headers_may_come_alone_and_then_nothing_else_is_set() {
    let alone = Delivery::of_headers(source(), vec![header(1)]);
    assert_eq!(decode_tx(&encode_delivery_tx(&alone)).unwrap(), BlockTx::Delivery(alone.clone()));
    for edit in [
        (|message| message.start_index = 1) as fn(&mut v1::Delivery),
        |message| message.size = 1,
        |message| message.right_hashes = vec![vec![0; 32].into()],
        |message| message.proof_height = 1,
        |message| message.outbox_leaf = vec![1].into(),
    ] {
        let mut message = delivery_message(&alone);
        edit(&mut message);
        assert!(detail(decode_delivery_message(message).unwrap_err()).contains("more than source and headers"));
    }
    let nothing = v1::Delivery { source: source().to_string(), ..v1::Delivery::default() };
    assert!(detail(decode_delivery_message(nothing).unwrap_err()).contains("neither entries nor headers"));
}

#[test]
fn every_part_of_a_delivery_is_checked() {
    assert!(refusal(|message| message.source = "nowhere".into()).contains("is no chain"));
    for edit in [
        (|message| message.proof_height = 0) as fn(&mut v1::Delivery),
        |message| message.outbox_leaf = vec![].into(),
        |message| message.outbox_ics23_proof = vec![].into(),
    ] {
        assert!(refusal(edit).contains("not all of proof_height"));
    }
    assert!(refusal(|message| message.outbox_ics23_proof = vec![1, 2].into()).contains("outbox_ics23_proof"));
    assert!(refusal(|message| message.right_hashes[1] = vec![0; 31].into()).contains("32 bytes"));
    assert!(refusal(|message| message.right_hashes = vec![vec![0; 32].into(); 123]).contains("at most 122"));
    let headers = DELIVERY_HEADERS_MAX + 1;
    assert!(refusal(|message| message.headers = vec![message.headers[0].clone(); headers]).contains("17 headers"));
    let entries = DELIVERY_ENTRIES_MAX + 1;
    assert!(refusal(|message| message.entries = vec![vec![1].into(); entries]).contains("16385 entries"));
    assert!(refusal(|message| message.outbox_leaf = vec![1; DELIVERY_TX_BYTES_MAX].into()).contains("bytes, at most"));
}

#[test]
fn other_encodings_of_a_delivery_are_refused() {
    let encoded = encode_delivery(&delivery());
    // An unknown field, a field twice, a default that is written out.
    for more in [[0x50, 1].as_slice(), &[0x10, 3], &[0x38, 0]] {
        let detail = detail(decode_delivery(&[&encoded, more].concat()).unwrap_err());
        assert!(detail.contains("shortest"), "{detail}");
    }
    let tx = encode_delivery_tx(&delivery());
    let mut longer = vec![0x12, tx[1] | 0x80, tx[2] | 0x80, 0];
    assert!(tx[1] & 0x80 != 0 && tx[2] & 0x80 == 0, "a length of two bytes");
    longer.extend(&tx[3..]);
    assert!(detail(decode_tx(&longer).unwrap_err()).contains("shortest"));
}

#[test]
fn every_changed_bit_gives_another_delivery_or_none() {
    let good = delivery();
    let tx = encode_delivery_tx(&good);
    for bit in 0..tx.len() * 8 {
        let mut changed = tx.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(read) = decode_tx(&changed) {
            assert_ne!(read, BlockTx::Delivery(good.clone()), "bit {bit}");
        }
    }
}

#[test]
fn the_identifier_is_that_of_the_whole_delivery() {
    let mut other = delivery();
    other.headers.pop();
    assert_ne!(delivery_id(&delivery()), delivery_id(&other));
    let encoded = encode_delivery(&delivery());
    let expected = db3_primitives::sha256(&[b"db3.v1.Delivery/id\0", &encoded]);
    assert_eq!(delivery_id(&delivery()).0, expected);
}

fn any_delivery() -> impl Strategy<Value = Delivery> {
    let bytes = |most| proptest::collection::vec(any::<u8>(), 1..most);
    let entries = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..20);
    let headers = proptest::collection::vec((bytes(50), proptest::option::of(bytes(20))), 0..4);
    let right = proptest::collection::vec(any::<[u8; 32]>(), 0..5);
    (entries, headers, right, bytes(60), any::<u64>(), any::<u64>(), 1..=u64::MAX).prop_map(
        |(entries, headers, right, leaf, start, size, proof_height)| Delivery {
            headers: headers
                .into_iter()
                .map(|(light_block, trusted_next_validators)| HeaderUpdate { light_block, trusted_next_validators })
                .collect(),
            proof_height,
            outbox_leaf: leaf,
            log: db3_merkle_log::Delivery { start, entries, size, right },
            ..delivery()
        },
    )
}

proptest! {
    #[test]
    fn deliveries_survive_the_round_trip(delivery in any_delivery()) {
        let encoded = encode_delivery(&delivery);
        prop_assert_eq!(&decode_delivery(&encoded).unwrap(), &delivery);
        prop_assert_eq!(&decode_delivery_message(delivery_message(&delivery)).unwrap(), &delivery);
        let tx = encode_delivery_tx(&delivery);
        prop_assert_eq!(decode_tx(&tx).unwrap(), BlockTx::Delivery(delivery));
    }

    #[test]
    fn only_the_one_encoding_of_a_transaction_is_read(
        delivery in any_delivery(),
        place: prop::sample::Index,
        put in proptest::collection::vec(any::<u8>(), 0..4),
        taken in 0_usize..4,
    ) {
        let mut tx = encode_delivery_tx(&delivery);
        let start = place.index(tx.len());
        let end = tx.len().min(start + taken);
        tx.splice(start..end, put);
        match decode_tx(&tx) {
            Ok(BlockTx::Delivery(read)) => prop_assert_eq!(encode_delivery_tx(&read), tx),
            Ok(BlockTx::Bundle(read)) => prop_assert_eq!(encode_bundle(read), tx),
            Ok(BlockTx::Governance(read)) => prop_assert_eq!(db3_proto::encode_governance_tx(&read), tx),
            Err(_) => {}
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_tx(&bytes);
        let _ = decode_tx(&[[0x12].as_slice(), &bytes].concat());
        let _ = decode_delivery(&bytes);
    }
}
