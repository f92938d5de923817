use std::collections::BTreeSet;
use std::path::Path;

use db3_primitives::rejection::codes_markdown;
use db3_primitives::{Class, GrpcCode, Nonce, Rejection, TableName};

/// What was published. A line may be added; none may ever change or go.
const PUBLISHED: &[(u32, &str)] = &[
    (101, "ENVELOPE_MALFORMED"),
    (102, "MUTATION_TOO_LARGE"),
    (103, "BODY_MALFORMED"),
    (104, "BODY_NOT_CANONICAL"),
    (105, "BODY_VERSION_UNKNOWN"),
    (106, "OPERATION_UNKNOWN"),
    (107, "BATCH_EMPTY"),
    (108, "TOO_MANY_OPERATIONS"),
    (109, "SCHEME_UNKNOWN"),
    (110, "SIGNATURE_MALFORMED"),
    (111, "SIGNER_MISMATCH"),
    (112, "NETWORK_MISMATCH"),
    (113, "NETWORK_NAME_INVALID"),
    (114, "ACCOUNT_INVALID"),
    (115, "NAMESPACE_INVALID"),
    (116, "TABLE_INVALID"),
    (117, "KEY_INVALID"),
    (118, "PAIR_TOO_LARGE"),
    (119, "FEE_LIMIT_INVALID"),
    (120, "NONCE_ZERO"),
    (121, "OPERATION_MISPLACED"),
    (122, "NAMESPACE_RESERVED"),
    (123, "DELIVERY_MALFORMED"),
    (124, "AMOUNT_INVALID"),
    (125, "GOVERNANCE_MALFORMED"),
    (201, "EXPIRED"),
    (202, "EXPIRY_TOO_FAR"),
    (203, "WRONG_SHARD"),
    (204, "NAMESPACE_NOT_FOUND"),
    (205, "NAMESPACE_TAKEN"),
    (206, "NOT_PERMITTED"),
    (207, "NONCE_USED"),
    (208, "NONCE_TOO_FAR"),
    (209, "NONCE_ORDER"),
    (210, "FEE_OVER_LIMIT"),
    (211, "CREDIT_EXHAUSTED"),
    (212, "LINE_MISSING"),
    (213, "LEASE_ENDED"),
    (214, "BLOCK_FULL"),
    (215, "DELIVERY_SOURCE_UNKNOWN"),
    (216, "DELIVERY_GAP"),
    (217, "DELIVERY_STALE"),
    (218, "DELIVERY_FALSE"),
    (219, "HEADER_REFUSED"),
    (220, "HEADER_TOO_EARLY"),
    (221, "CHANNEL_FROZEN"),
    (222, "HEADERS_NOT_DUE"),
    (223, "BALANCE_TOO_LOW_FOR_FEE"),
    (224, "GOVERNANCE_UNAVAILABLE"),
    (225, "GOVERNANCE_OTHER_CHAIN"),
    (226, "GOVERNANCE_SEQUENCE"),
    (227, "GOVERNANCE_HEIGHT"),
    (228, "GOVERNANCE_SIGNER"),
    (229, "GOVERNANCE_SIGNED_TWICE"),
    (230, "GOVERNANCE_POWER"),
    (231, "GOVERNANCE_ACTION"),
    (232, "GOVERNANCE_FULL"),
    (233, "GOVERNANCE_ENGINE"),
    (301, "RECORD_EXISTS"),
    (302, "RECORD_NOT_FOUND"),
    (303, "VERSION_MISMATCH"),
    (304, "TABLE_NOT_FOUND"),
    (305, "TABLE_EXISTS"),
    (306, "NAMESPACE_EXISTS"),
    (307, "BALANCE_TOO_LOW"),
    (308, "DEBT_OUTSTANDING"),
    (309, "COLLATERAL_TOO_LOW"),
    (310, "CREDIT_IN_USE"),
    (311, "SHARD_UNKNOWN"),
    (312, "NOTHING_OWED"),
    (401, "REQUEST_INVALID"),
    (402, "HEIGHT_UNAVAILABLE"),
    (403, "PAGE_TOKEN_INVALID"),
    (404, "BILL_NOT_FOUND"),
    (405, "EPOCH_NOT_FOUND"),
    (406, "BLOCK_NOT_FOUND"),
    (407, "TOO_MANY_ITEMS"),
    (408, "STATEMENT_NOT_FOUND"),
    (409, "SETTLEMENT_NOT_FOUND"),
    (410, "CHAIN_UNKNOWN"),
    (501, "OVERLOADED"),
    (502, "NOT_READY"),
    (503, "STOPPING"),
    (504, "HISTORY_MISSING"),
];

#[test]
fn published_codes_keep_their_numbers_and_names() {
    let table: Vec<_> = Rejection::TABLE.iter().map(|row| (row.code, row.name)).collect();
    for line in PUBLISHED {
        assert!(table.contains(line), "{line:?} was published and must stay");
    }
    assert_eq!(table.len(), PUBLISHED.len(), "add the new code to PUBLISHED as well");
}

#[test]
fn codes_are_in_order_and_names_are_unique() {
    assert!(Rejection::TABLE.is_sorted_by(|a, b| a.code < b.code));
    let names: BTreeSet<_> = Rejection::TABLE.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), Rejection::TABLE.len());
}

#[test]
fn codes_say_what_to_do_and_only_failures_in_execution_are_charged() {
    for row in Rejection::TABLE {
        assert!(row.remedy.ends_with('.') && row.meaning.ends_with('.'), "{}", row.name);
        assert_eq!(row.charged(), (300..400).contains(&row.code), "{}", row.name);
        assert_eq!(row.grpc == GrpcCode::ResourceExhausted, row.code == 501, "overload alone is RESOURCE_EXHAUSTED");
    }
}

#[test]
fn codes_page_is_the_one_that_the_table_gives() {
    let path = Path::new("../docs/codes.md");
    if std::env::var_os("DB3_UPDATE_DOCS").is_some() {
        std::fs::write(path, codes_markdown()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == codes_markdown(),
        "docs/codes.md is out of date: DB3_UPDATE_DOCS=1 cargo test -p db3-primitives codes"
    );
}

#[test]
fn codes_of_a_rejection_are_those_of_its_line() {
    let used = Rejection::NonceUsed { nonce: Nonce::new(7), next: Nonce::new(9) };
    assert_eq!((used.code(), used.name(), used.class()), (207, "NONCE_USED", Class::Refused));
    assert_eq!((used.grpc().name(), used.grpc().number()), ("FAILED_PRECONDITION", 9));
    assert_eq!((used.charged(), used.retryable(), used.field()), (false, false, Some("mutation.body.nonce")));
    assert_eq!(used.to_string(), "nonce 7 is used, the lowest unused one is 9");
    let exists = Rejection::RecordExists { operation: 3, version: 8 };
    assert_eq!((exists.charged(), exists.operation_index()), (true, Some(3)));
    assert!(Rejection::Overloaded { what: "the queue is full" }.retryable());
    let field = Rejection::RequestInvalid { field: "page_size".into(), detail: "negative".into() };
    assert_eq!((field.field(), field.to_string()), (Some("page_size"), "page_size: negative".into()));
    for row in Rejection::TABLE {
        assert_eq!(Class::of(row.code), row.class());
    }
}

#[test]
fn a_name_that_is_wrong_learns_its_operation_once() {
    let wrong = "Ä".parse::<TableName>().unwrap_err();
    assert_eq!(wrong.operation_index(), None);
    assert_eq!(wrong.to_string(), "\"Ä\" is no table name");
    let placed = wrong.at_operation(4);
    assert_eq!(placed.to_string(), "operation 4: \"Ä\" is no table name");
    assert_eq!(placed.at_operation(5).operation_index(), Some(4));
}

#[test]
fn times_in_rejections_are_readable() {
    let expired = Rejection::Expired { expire: 1_769_851_800, block_time: 1_769_851_801 };
    assert_eq!(expired.to_string(), "it expired at 2026-01-31T09:30:00Z, the block's time is 2026-01-31T09:30:01Z");
}

#[test]
fn a_rejection_is_small_enough_to_return_by_value() {
    assert!(size_of::<Rejection>() <= 96, "{}", size_of::<Rejection>());
}
