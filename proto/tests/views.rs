//! Words as messages and back: what a `checked_…` function returns is what the hashed bytes say, and a message whose decoded view
//! says anything else is refused, whichever field it is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::num::NonZeroU64;

use bytes::Bytes;
use db3_primitives::{
    AccountLeaf, Address, Bill, BillKind, BlockTime, ChainLeaf, Epoch, EpochClose, Height, LogEntry, Metered,
    Namespace, NamespaceLeaf, Nonce, NonceWindow, Payee, PriceTable, RecordHeader, ShardId, ShardMap, Statement,
    TableKind, TableLeaf, TableName, Tai, sha256,
};
use db3_proto::convert::{
    BillAbout, RecordLeaf, bill_message, block_time, checked_bill, checked_credit_line, checked_epoch,
    checked_namespace, checked_outbox_entry, checked_params, checked_record, checked_table, checked_window,
    credit_line_message, epoch_message, namespace_message, open_epoch_message, outbox_entry_message, params_message,
    record_key_message, record_message, request, shard_map_message, table_message, timestamp, window_message,
};
use db3_proto::v1;
use proptest::prelude::*;
use prost::Message;

const EPOCH_SECS: NonZeroU64 = NonZeroU64::new(600).unwrap();
const SHARD: ShardId = ShardId::new(1);

fn account(byte: u8) -> Address {
    Address::new([byte; 20])
}

fn namespace() -> Namespace {
    "library".parse().unwrap()
}

fn table() -> TableName {
    "books".parse().unwrap()
}

fn header() -> RecordHeader {
    RecordHeader { owner: account(1), version: 3, height: 40, time_secs: 1_800_000_000 }
}

fn bill() -> Bill {
    let metered = Metered { mutations: 1, bytes_in: 300, operations: 2, key_bytes: 40, bytes_stored: 500 };
    Bill {
        shard: SHARD,
        height: Height::new(40),
        index: 2,
        account: account(1),
        payee: Payee::ValidatorPool,
        kind: BillKind::Mutation,
        reference: [5; 32],
        outcome_code: 0,
        metered,
        price_version: 1,
        fee: PriceTable::v1().fee(&metered).unwrap(),
        seq: 7,
        cum_after: Tai::new(1_000_000),
    }
}

fn billed() -> v1::Bill {
    let namespace = namespace();
    let about = BillAbout {
        block_time: BlockTime::new(1_800_000_000, 5).unwrap(),
        epoch: Epoch::new(3_000_000),
        signer: account(1),
        namespace: &namespace,
        prices: &PriceTable::v1(),
        status: v1::BillStatus::Open,
    };
    bill_message(&bill(), &about)
}

fn close() -> EpochClose {
    EpochClose {
        shard: SHARD,
        first: Epoch::new(100),
        last: Epoch::new(102),
        first_height: Height::new(5),
        last_height: Height::new(9),
        bills_root: [1; 32],
        bill_count: 4,
        statements: 2,
        total: Tai::new(99),
        inbox_cursor: 0,
        previous: [2; 32],
    }
}

/// Every message that differs from `message` in one field of its encoding: a varint off by one, a byte of a string or of bytes
/// changed, the field left out.
fn altered<M: Message + Default + PartialEq>(message: &M) -> Vec<M> {
    let bytes = message.encode_to_vec();
    let mut found = Vec::new();
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[place] ^= 1 << bit;
            if let Ok(other) = M::decode(changed.as_slice())
                && other != *message
            {
                found.push(other);
            }
        }
    }
    assert!(found.len() > 20, "{}", found.len());
    found
}

#[test]
fn a_record_is_what_its_bytes_say() {
    let message = record_message(&namespace(), &table(), b"key", &header(), b"value");
    let record = checked_record(&message).unwrap();
    assert_eq!(record.value(), Some(b"value".as_slice()));
    let leaf = header().leaf(b"value");
    assert_eq!(record.leaf, RecordLeaf::Whole { header: header(), leaf: leaf.clone() });
    assert_eq!(record.tree_key(), db3_primitives::key::record(&record.namespace, &record.table, &record.key));
    assert_eq!(leaf, [message.stored_header.as_ref(), message.value.as_ref()].concat());
    for other in altered(&message) {
        // What passes is another record, which its proof must bear out.
        if let Ok(found) = checked_record(&other) {
            assert_ne!(found, record, "{other:?}");
        }
    }
}

#[test]
fn a_record_by_its_key_alone_shows_nothing_that_is_not_proven() {
    let hash = sha256(&[&header().leaf(b"value")]);
    let message = record_key_message(&namespace(), &table(), b"key", &hash);
    let record = checked_record(&message).unwrap();
    assert_eq!((record.value(), &record.leaf), (None, &RecordLeaf::Hash(hash)));
    for other in [
        v1::Record { version: 1, ..message.clone() },
        v1::Record { value: Bytes::from_static(b"v"), ..message.clone() },
        v1::Record { owner: vec![1; 20].into(), ..message.clone() },
        v1::Record { value_hash: vec![1; 31].into(), ..message },
    ] {
        checked_record(&other).expect_err("an unproven field");
    }
}

#[test]
fn a_bill_is_what_its_bytes_say() {
    let message = billed();
    assert_eq!(checked_bill(&message).unwrap(), bill());
    for other in altered(&message) {
        let beside = v1::Bill {
            block_time: message.block_time,
            epoch: message.epoch,
            signer: message.signer.clone(),
            namespace: message.namespace.clone(),
            status: message.status,
            proof: message.proof.clone(),
            charges: message.charges.clone(),
            ..other.clone()
        };
        // Only what stands beside the bytes may differ, or the unit prices and amounts if they still make the fee.
        if let Ok(found) = checked_bill(&other) {
            assert_eq!((found, beside), (bill(), message.clone()), "{other:?}");
        }
    }
}

#[test]
fn charges_that_do_not_make_the_fee_are_refused() {
    let edit = |change: fn(&mut v1::Charge)| {
        let mut message = billed();
        change(&mut message.charges[1]);
        checked_bill(&message).expect_err("other charges");
    };
    edit(|charge| charge.quantity += 1);
    edit(|charge| charge.amount_tai = "1".to_owned());
    edit(|charge| charge.unit_price_tai = "6".to_owned());
    edit(|charge| charge.unit_price_tai = "9".repeat(60));
    edit(|charge| charge.meter = "fuel".to_owned());
    let mut message = billed();
    message.charges.pop();
    checked_bill(&message).expect_err("a charge is missing");
    message.charges.clear();
    checked_bill(&message).expect("a bill without its charges");
}

#[test]
fn an_epoch_is_what_its_close_says() {
    let message = epoch_message(&close(), EPOCH_SECS);
    assert_eq!(message.start_time.unwrap().seconds, 60_000);
    assert_eq!(message.end_time.unwrap().seconds, 61_800);
    assert_eq!(checked_epoch(&message, EPOCH_SECS).unwrap(), Some(close()));
    for other in altered(&message) {
        if let Ok(Some(found)) = checked_epoch(&other, EPOCH_SECS) {
            let same_view = v1::Epoch { status: message.status, ..other.clone() } == message;
            assert!(same_view || found != close(), "{other:?}");
        }
    }
    let open = open_epoch_message(SHARD, Epoch::new(103), Height::new(10), ([0; 32], 0, Tai::ZERO), EPOCH_SECS);
    assert_eq!(checked_epoch(&open, EPOCH_SECS).unwrap(), None);
    assert_eq!(open.status(), v1::BillStatus::Open);
}

#[test]
fn outbox_entries_are_what_their_bytes_say() {
    let statement = Statement { account: account(1), payee: Payee::ValidatorPool, cumulative: Tai::new(77) };
    for entry in [LogEntry::Statement(statement), LogEntry::EpochClose(close())] {
        let message = outbox_entry_message(12, &entry, SHARD, EPOCH_SECS);
        assert_eq!(message.leaf, entry.to_bytes());
        assert_eq!(checked_outbox_entry(&message, SHARD, EPOCH_SECS).unwrap(), entry);
        for other in altered(&message) {
            if let Ok(found) = checked_outbox_entry(&other, SHARD, EPOCH_SECS) {
                assert!(found != entry || other.index != message.index, "{other:?}");
            }
        }
    }
}

#[test]
fn a_credit_line_is_what_its_leaf_says() {
    let leaf = AccountLeaf { spent: Tai::new(30), bill_count: 2, ..AccountLeaf::with_ceiling(Tai::new(100)) };
    let message = credit_line_message(&account(1), SHARD, Some(&leaf), 9);
    assert_eq!(message.available_tai, "70");
    assert_eq!(checked_credit_line(&message, &account(1), SHARD).unwrap(), Some(leaf));
    checked_credit_line(&message, &account(2), SHARD).expect_err("another account's line");
    checked_credit_line(&message, &account(1), ShardId::new(0)).expect_err("another shard's line");
    let richer = v1::CreditLine { available_tai: "71".to_owned(), ..message };
    checked_credit_line(&richer, &account(1), SHARD).expect_err("a made-up sum");
    let none = credit_line_message(&account(1), SHARD, None, 9);
    assert_eq!(none.available_tai, "0");
    assert_eq!(checked_credit_line(&none, &account(1), SHARD).unwrap(), None);
}

#[test]
fn a_nonce_window_is_what_its_leaf_says() {
    let mut window = NonceWindow::new();
    for nonce in [1, 2, 3, 7, 20] {
        window.use_nonce(Nonce::new(nonce)).unwrap();
    }
    let message = window_message(&account(1), &namespace(), &window);
    assert_eq!((message.base, message.next, message.highest), (3, 4, 20));
    for nonce in 4..=message.highest_allowed {
        let bit = usize::try_from(nonce - message.base - 1).unwrap();
        let seen = message.seen.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1);
        assert_eq!(seen, window.is_used(Nonce::new(nonce)), "{nonce}");
    }
    let response = |window: &v1::NonceWindow, stored: &NonceWindow| v1::GetNonceWindowResponse {
        window: Some(window.clone()),
        stored: stored.to_bytes().into(),
        ..v1::GetNonceWindowResponse::default()
    };
    let good = response(&message, &window);
    assert_eq!(checked_window(&good, &account(1), &namespace()).unwrap(), window);
    let next = v1::NonceWindow { next: 5, ..message };
    checked_window(&response(&next, &window), &account(1), &namespace()).expect_err("another nonce");
    checked_window(&good, &account(2), &namespace()).expect_err("another account");
    let free = v1::GetNonceWindowResponse {
        window: Some(window_message(&account(1), &namespace(), &NonceWindow::new())),
        ..v1::GetNonceWindowResponse::default()
    };
    assert_eq!(checked_window(&free, &account(1), &namespace()).unwrap(), NonceWindow::new());
}

#[test]
fn namespaces_and_tables_are_what_their_leaves_say() {
    let leaf = NamespaceLeaf { owner: account(1), created_height: 8 };
    let message = namespace_message(&namespace(), Some(&leaf), SHARD).unwrap();
    assert_eq!(checked_namespace(&message, SHARD).unwrap(), (namespace(), Some(leaf)));
    let stolen = v1::Namespace { owner: vec![2; 20].into(), ..message.clone() };
    checked_namespace(&stolen, SHARD).expect_err("another owner");
    let unstored = v1::Namespace { stored: Bytes::new(), ..message };
    checked_namespace(&unstored, SHARD).expect_err("no leaf");
    assert_eq!(namespace_message(&namespace(), None, SHARD), None);
    let own = Namespace::own(&account(3));
    let message = namespace_message(&own, None, SHARD).unwrap();
    assert_eq!(message.owner.as_ref(), account(3).as_bytes());
    assert_eq!(checked_namespace(&message, SHARD).unwrap(), (own, None));

    let leaf = TableLeaf { kind: TableKind::Plain, created_height: 9, floor: 4 };
    let message = table_message(&namespace(), &table(), &leaf);
    assert_eq!(checked_table(&message, &namespace()).unwrap(), (table(), leaf));
    checked_table(&message, &own_namespace()).expect_err("another namespace");
    let later = v1::Table { create_height: 10, ..message };
    checked_table(&later, &namespace()).expect_err("another height");
}

fn own_namespace() -> Namespace {
    Namespace::own(&account(9))
}

#[test]
fn parameters_are_what_their_leaf_says() {
    let map = ShardMap::new(1, 3).unwrap();
    let leaf = ChainLeaf {
        network: "devnet".parse().unwrap(),
        shard: SHARD,
        epoch_secs: EPOCH_SECS,
        prices: PriceTable::v1(),
        shard_map: map,
        lease_epoch: 55,
        block_mutations_max: 20_000,
        close_accounts_max: 4_096,
        expiry_max_secs: 3_600,
    };
    let message = params_message(&leaf);
    assert_eq!(message.chain_id, "devnet-shard-1");
    assert_eq!(checked_params(&message).unwrap(), leaf);
    for other in altered(&message) {
        if let Ok(found) = checked_params(&other) {
            assert_ne!(found, leaf, "{other:?}");
        }
    }
    let map = shard_map_message(&leaf, |shard| vec![format!("http://127.0.0.1:{}", 7301 + shard.get())]);
    assert_eq!(map.slots, 1024);
    let mut next = 0;
    for (index, range) in (0..).zip(&map.ranges) {
        assert_eq!((range.first_slot, range.shard), (next, index));
        assert_eq!(range.chain_id, format!("devnet-shard-{index}"));
        assert_eq!(range.endpoints, [format!("http://127.0.0.1:{}", 7301 + index)]);
        next = range.last_slot + 1;
    }
    assert_eq!((next, map.ranges.len()), (1024, 3));
}

#[test]
fn request_fields_are_refused_by_name() {
    let named = |rejection: db3_primitives::Rejection, field: &str| {
        assert_eq!((rejection.code(), rejection.field()), (401, Some(field)), "{rejection}");
    };
    named(request::account("owner", &[1; 19]).unwrap_err(), "owner");
    named(request::hash("id", &[]).unwrap_err(), "id");
    named(request::mutation_id("ids[2]", &[0; 33]).unwrap_err(), "ids[2]");
    named(request::tai("amount_tai", "1.5").unwrap_err(), "amount_tai");
    named(request::page_size(-1).unwrap_err(), "page_size");
    named(request::required::<u8>("mutation", None).unwrap_err(), "mutation");
    let before_1970 = prost_types::Timestamp { seconds: -1, nanos: 0 };
    named(request::optional_time("since", Some(&before_1970)).unwrap_err(), "since");
    assert_eq!(request::optional_account("owner", &[]).unwrap(), None);
    assert_eq!((request::page_size(0).unwrap(), request::page_size(7).unwrap()), (100, 7));
    assert_eq!(request::page_size(i32::MAX).unwrap(), 1_000);
    assert_eq!(request::page_token("").unwrap(), None);
    assert_eq!(request::page_token(&"x".repeat(5_000)).unwrap_err().name(), "PAGE_TOKEN_INVALID");
}

proptest! {
    #[test]
    fn times_survive_the_round_trip(secs in 0..=db3_primitives::time::UNIX_SECS_MAX, nanos in 0_u32..1_000_000_000) {
        let time = BlockTime::new(secs, nanos).unwrap();
        prop_assert_eq!(block_time(&timestamp(time)), Some(time));
    }

    #[test]
    fn any_message_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200), leaf in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut leaf = leaf;
        if let Some(first) = leaf.first_mut() {
            *first = 1;
        }
        let leaf = Bytes::from(leaf);
        let _ = v1::Bill::decode(bytes.as_slice()).map(|message| checked_bill(&message));
        let _ = v1::Record::decode(bytes.as_slice()).map(|message| checked_record(&message));
        let _ = v1::Epoch::decode(bytes.as_slice()).map(|message| checked_epoch(&message, EPOCH_SECS));
        let _ = v1::Params::decode(bytes.as_slice()).map(|message| checked_params(&message));
        let _ = checked_bill(&v1::Bill { leaf: leaf.clone(), ..v1::Bill::default() });
        let _ = checked_epoch(&v1::Epoch { leaf: leaf.clone(), ..v1::Epoch::default() }, EPOCH_SECS);
        let entry = v1::OutboxEntry { leaf: leaf.clone(), ..v1::OutboxEntry::default() };
        let _ = checked_outbox_entry(&entry, SHARD, EPOCH_SECS);
        let _ = checked_params(&v1::Params { stored: leaf.clone(), ..v1::Params::default() });
        let line = v1::CreditLine { stored: leaf.clone(), ..v1::CreditLine::default() };
        let _ = checked_credit_line(&line, &account(1), SHARD);
        let named = v1::Namespace { name: "library".to_owned(), stored: leaf, ..v1::Namespace::default() };
        let _ = checked_namespace(&named, SHARD);
    }
}
