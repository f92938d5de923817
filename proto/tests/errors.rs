//! Rejections as gRPC errors: what the surface promises, for every code, and back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::time::Duration;

use db3_primitives::{Address, BlockTime, ChainId, Epoch, Height, Nonce, Rejection, ShardId, Slot, Tai, mutation_id};
use db3_proto::status::{
    CallError, from_status, to_message, to_mutation_error, to_status, to_status_at, to_status_with,
};
use db3_proto::v1::rejection::Detail;
use proptest::prelude::*;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

fn address(byte: u8) -> Address {
    Address::new([byte; 20])
}

/// One of every variant.
fn all() -> Vec<Rejection> {
    let namespace = || "library".parse().unwrap();
    let table = || "books".parse().unwrap();
    let network = |name: &str| name.parse().unwrap();
    vec![
        Rejection::EnvelopeMalformed { detail: "cut".into() },
        Rejection::MutationTooLarge { bytes: 9, max: 8 },
        Rejection::BodyMalformed { detail: "cut".into() },
        Rejection::BodyNotCanonical,
        Rejection::BodyVersionUnknown { version: 2 },
        Rejection::OperationUnknown { index: 0 },
        Rejection::BatchEmpty,
        Rejection::TooManyOperations { count: 9, max: 8 },
        Rejection::SchemeUnknown { scheme: 3 },
        Rejection::SignatureMalformed { detail: "high s".into() },
        Rejection::SignerMismatch { account: address(1), recovered: address(2), digest: [3; 32] },
        Rejection::NetworkMismatch { network: network("a"), expected: network("b") },
        Rejection::NetworkNameInvalid { name: "A".into() },
        Rejection::AccountInvalid { text: "x".into() },
        Rejection::NamespaceInvalid { name: "?".into() },
        Rejection::TableInvalid { operation: Some(4), name: "?".into() },
        Rejection::KeyInvalid { operation: None, bytes: 0, max: 256 },
        Rejection::PairTooLarge { operation: 5, bytes: 9, max: 8 },
        Rejection::FeeLimitInvalid { text: "x".into() },
        Rejection::NonceZero,
        Rejection::OperationMisplaced { index: 2 },
        Rejection::NamespaceReserved { name: namespace() },
        Rejection::Expired { expire: 10, block_time: 20 },
        Rejection::ExpiryTooFar { expire: 30, latest: 20 },
        Rejection::WrongShard {
            namespace: namespace(),
            slot: Slot::new(700).unwrap(),
            chain_id: ChainId::shard(&network("devnet"), ShardId::new(1)),
            map_version: 4,
        },
        Rejection::NamespaceNotFound { namespace: namespace() },
        Rejection::NamespaceTaken { namespace: namespace(), owner: address(1) },
        Rejection::NotPermitted { namespace: namespace(), owner: address(1), account: address(2) },
        Rejection::NonceUsed { nonce: Nonce::new(5), next: Nonce::new(6) },
        Rejection::NonceTooFar { nonce: Nonce::new(9_999), highest: Nonce::new(4_096) },
        Rejection::NonceOrder { nonce: Nonce::new(5), after: Nonce::new(6) },
        Rejection::FeeOverLimit { max_fee: Tai::new(1), bound: Tai::new(2) },
        Rejection::CreditExhausted {
            shard: ShardId::new(3),
            ceiling: Tai::new(9),
            available: Tai::new(1),
            fee: Tai::new(2),
        },
        Rejection::LineMissing { account: address(1) },
        Rejection::LeaseEnded { epoch: Epoch::new(9), lease: Epoch::new(8) },
        Rejection::BlockFull { what: "operations" },
        Rejection::RecordExists { operation: 0, version: 7 },
        Rejection::RecordNotFound { operation: 1 },
        Rejection::VersionMismatch { operation: 2, expected: 0, actual: 7 },
        Rejection::TableNotFound { operation: 3, table: table() },
        Rejection::TableExists { operation: 4, table: table() },
        Rejection::NamespaceExists { namespace: namespace() },
        Rejection::RequestInvalid { field: "key".into(), detail: "is empty".into() },
        Rejection::HeightUnavailable { height: Height::new(1), earliest: Height::new(5), latest: Height::new(9) },
        Rejection::PageTokenInvalid,
        Rejection::BillNotFound { bill: "1/0x/1".into() },
        Rejection::EpochNotFound { epoch: Epoch::new(3) },
        Rejection::BlockNotFound { height: Height::new(3) },
        Rejection::TooManyItems { count: 9, max: 8 },
        Rejection::Overloaded { what: "queue" },
        Rejection::NotReady,
        Rejection::Stopping,
        Rejection::HistoryMissing { what: "bill 1/0x/1".into(), from: Height::new(9) },
    ]
    .into_iter()
    .chain(of_settlement())
    .collect()
}

/// One of every variant that deliveries and the settlement chain have.
fn of_settlement() -> Vec<Rejection> {
    let chain_id = || ChainId::shard(&"devnet".parse().unwrap(), ShardId::new(1));
    let tai = Tai::new;
    vec![
        Rejection::DeliveryMalformed { detail: "cut".into() },
        Rejection::AmountInvalid { operation: 1, text: "-1".into() },
        Rejection::DeliverySourceUnknown { chain_id: chain_id() },
        Rejection::DeliveryGap { cursor: 3, start: 5 },
        Rejection::DeliveryStale { cursor: 3 },
        Rejection::DeliveryFalse { detail: "another root".into() },
        Rejection::HeaderRefused { detail: "no signature".into() },
        Rejection::HeaderTooEarly { detail: "by an hour".into() },
        Rejection::ChannelFrozen { chain_id: chain_id(), detail: "two headers".into() },
        Rejection::HeadersNotDue { height: Height::new(7) },
        Rejection::BalanceTooLowForFee { balance: tai(1), fee: tai(2) },
        Rejection::GovernanceMalformed { detail: "cut short".into() },
        Rejection::GovernanceUnavailable { chain_id: chain_id() },
        Rejection::GovernanceOtherChain { chain_id: chain_id(), expected: chain_id() },
        Rejection::GovernanceSequence { sequence: 3, next: 5 },
        Rejection::GovernanceHeight { at_height: Height::new(3), earliest: Height::new(5), latest: Height::new(9) },
        Rejection::GovernanceSigner { signer: address(1) },
        Rejection::GovernanceSignedTwice { signer: address(1) },
        Rejection::GovernancePower { signed: 20, total: 30 },
        Rejection::GovernanceAction { action: 0, detail: "power 0 of the last".into() },
        Rejection::GovernanceFull { max: 16 },
        Rejection::GovernanceEngine,
        Rejection::BalanceTooLow { operation: 0, balance: tai(1), amount: tai(2) },
        Rejection::DebtOutstanding { operation: 1, account: address(7), outstanding: tai(9) },
        Rejection::CollateralTooLow { operation: 2, collateral: tai(1), amount: tai(2) },
        Rejection::CreditInUse { operation: 3, held: tai(9), limit: tai(8) },
        Rejection::ShardUnknown { operation: 4, shard: ShardId::new(9), shards: 2 },
        Rejection::NothingOwed { operation: 5 },
        Rejection::StatementNotFound { statement: "1/0x/3".into() },
        Rejection::SettlementNotFound { settlement: "7".into() },
        Rejection::ChainUnknown { chain_id: chain_id() },
    ]
}

#[test]
fn the_list_of_this_test_has_every_code() {
    let mut codes: Vec<u32> = all().iter().map(Rejection::code).collect();
    codes.sort_unstable();
    let table: Vec<u32> = Rejection::TABLE.iter().map(|row| row.code).collect();
    assert_eq!(codes, table);
}

#[test]
fn every_rejection_travels_as_the_surface_says() {
    for rejection in all() {
        let status = to_status(&rejection);
        assert_eq!(status.code() as i32, rejection.grpc().number(), "{rejection}");
        assert_eq!(status.message(), rejection.to_string());
        let details = status.get_error_details();
        let info = details.error_info().expect("ErrorInfo");
        assert_eq!(info.reason, rejection.name());
        assert_eq!(info.domain, "db3");
        assert_eq!(info.metadata["code"], rejection.code().to_string());
        assert_eq!(details.retry_info().is_some(), rejection.retryable(), "{rejection}");
        let invalid = status.code() == Code::InvalidArgument;
        assert!(invalid || details.bad_request().is_none());
        if let Some(request) = details.bad_request() {
            assert_eq!(request.field_violations.len(), 1);
            assert_eq!(request.field_violations[0].description, rejection.to_string());
        }
        let message = from_status(&status).expect("db3.v1.Rejection");
        assert_eq!(message, to_message(&rejection, None));
        assert_eq!(message.code, rejection.code());
        assert_eq!(message.charged, (300..400).contains(&rejection.code()));
        assert_eq!(message.operation_index, rejection.operation_index());
        let error = CallError::from(status);
        assert_eq!(error.rejection_code(), Some(rejection.code()));
        assert_eq!(error.retry_after.is_some(), rejection.retryable());
        assert_eq!(error.to_string(), rejection.to_string());
    }
}

#[test]
fn overload_alone_is_resource_exhausted() {
    for rejection in all() {
        let exhausted = to_status(&rejection).code() == Code::ResourceExhausted;
        assert_eq!(exhausted, rejection.name() == "OVERLOADED", "{rejection}");
    }
}

#[test]
fn the_values_behind_a_rejection_are_typed() {
    let detail = |name: &str| {
        let rejection = all().into_iter().find(|one| one.name() == name).unwrap();
        to_message(&rejection, None).detail.expect(name)
    };
    let Detail::CreditExhausted(credit) = detail("CREDIT_EXHAUSTED") else {
        panic!("another detail");
    };
    assert_eq!((credit.ceiling_tai.as_str(), credit.available_tai.as_str(), credit.fee_tai.as_str()), ("9", "1", "2"));
    assert_eq!(credit.shard, 3);
    let Detail::WrongShard(wrong) = detail("WRONG_SHARD") else {
        panic!("another detail");
    };
    assert_eq!((wrong.chain_id.as_str(), wrong.slot, wrong.map_version), ("devnet-shard-1", 700, 4));
    let Detail::VersionMismatch(version) = detail("VERSION_MISMATCH") else {
        panic!("another detail");
    };
    assert_eq!((version.expected, version.actual), (Some(0), 7));
    let Detail::HeightUnavailable(heights) = detail("HEIGHT_UNAVAILABLE") else {
        panic!("another detail");
    };
    assert_eq!((heights.earliest, heights.latest_provable), (5, 9));
    let Detail::HistoryMissing(history) = detail("HISTORY_MISSING") else {
        panic!("another detail");
    };
    assert_eq!(history.from_height, 9);
    let Detail::Nonce(window) = detail("NONCE_USED") else {
        panic!("another detail");
    };
    assert_eq!(window.next, 6);
    let Detail::Expiry(expiry) = detail("EXPIRED") else {
        panic!("another detail");
    };
    assert_eq!(db3_proto::convert::block_time(&expiry.block_time.unwrap()), Some(BlockTime::from_secs(20)));
}

#[test]
fn the_field_names_the_operation() {
    let field = |rejection| to_message(&rejection, None).field;
    let key = |operation| Rejection::KeyInvalid { operation, bytes: 0, max: 256 };
    assert_eq!(field(key(Some(3))), "mutation.body.operations[3].key");
    assert_eq!(field(key(None)), "mutation.body.operations.key");
    assert_eq!(field(Rejection::OperationUnknown { index: 2 }), "mutation.body.operations[2]");
    let status = to_status_at(&key(None), "names[7].key");
    assert_eq!(from_status(&status).unwrap().field, "names[7].key");
    assert_eq!(status.get_error_details().bad_request().unwrap().field_violations[0].field, "names[7].key");
}

#[test]
fn a_completed_message_travels_as_completed() {
    let rejection = Rejection::NonceZero;
    let id = mutation_id(b"body");
    let message = to_message(&rejection, Some(&id));
    assert_eq!(message.mutation_id.as_ref(), id.as_bytes());
    let status = to_status_with(&rejection, message.clone());
    assert_eq!(from_status(&status), Some(message));
}

#[test]
fn the_error_of_one_of_several_says_what_a_failed_call_says() {
    for rejection in all() {
        let one = CallError::from(to_mutation_error(&rejection, to_message(&rejection, None)));
        let call = CallError::from(to_status(&rejection));
        assert_eq!(one.code, call.code);
        assert_eq!(one.message, call.message);
        assert_eq!(one.rejection, call.rejection);
        assert_eq!(one.retry_after, call.retry_after);
    }
}

#[test]
fn an_error_of_somebody_else_has_no_rejection() {
    let error = CallError::from(Status::unavailable("nobody is there"));
    assert_eq!((error.code, error.rejection_code()), (Code::Unavailable, None));
    assert_eq!(error.retry_after, None::<Duration>);
}

#[test]
fn details_stay_small_whatever_was_sent() {
    let rejection = Rejection::EnvelopeMalformed { detail: "ä".repeat(100_000) };
    let status = to_status(&rejection);
    assert!(status.details().len() < 8_192, "{}", status.details().len());
    assert!(status.message().len() < 1_100);
}

proptest! {
    #[test]
    fn any_details_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let status = Status::with_details(Code::Internal, "odd", bytes.into());
        let error = CallError::from(status);
        prop_assert_eq!(error.code, Code::Internal);
    }
}
