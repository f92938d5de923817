//! What mutations do to records, versions, nonces and sums, as tables.
//!
//! Metered by hand: a record's tree key is 6 + namespace + table + key bytes, a table's 5 + namespace + table, a
//! namespace's 3 + name and 24 + name in the index by owner, a window's 24 + namespace; a new leaf costs its key, its
//! value and 250, a record's header is 45, a table's leaf 18, a namespace's 29 and 1, a window's 520.

use crate::script::run;

#[test]
fn namespaces_tables_and_records_come_into_being_and_are_metered_as_stored() {
    run("
        lines alice=100000000
        block 0
        # ns: keys 8 + 29, leaves 287 + 280; table: key 16, leaf 284; record: key 23, leaf 319; window 29 + 520 + 250
        alice | notes | 1 | ns; table cities; put cities/berlin=x | ok | 0 0 1 | 3 76 1969
        # own: table: key 48, leaf 316; record: key 52, leaf 350; window 66 + 520 + 250
        alice | own   | 1 | put t/key=abc                         | ok | 1     | 1 52 1502
    ");
}

#[test]
fn what_exists_is_not_stored_again() {
    run("
        lines alice=100000000
        block 0
        alice | own | 1 | put t/key=abc    | ok | 1
        alice | own | 2 | put t/key=abcdef | ok | 2 | 1 52 3
        alice | own | 3 | put t/key=a      | ok | 3 | 1 52 0
        alice | own | 4 | delete t/key     | ok | 0 | 1 52 0
        alice | own | 5 | put t/key=a      | ok | 4 | 1 52 348
    ");
}

#[test]
fn an_operation_sees_those_before_it() {
    run("
        lines alice=100000000
        block 0
        alice | own | 1 | insert t/a=1; update t/a=2; put t/a=3; delete t/a; insert t/a=4 | ok | 1 2 3 0 4
        record alice/t/a = 4 v4 alice
        block 0
        alice | own | 2 | delete t/a; update t/a=5 | RECORD_NOT_FOUND
        record alice/t/a = 4 v4 alice
    ");
}

#[test]
fn a_mutation_is_all_or_nothing() {
    run("
        lines alice=100000000
        block 0
        alice | notes | 1 | ns; table t; put t/a=1; update t/b=2 | RECORD_NOT_FOUND | | 0 0 799
        absent notes/t/a
        block 0
        alice | notes | 2 | put t/a=1             | NAMESPACE_NOT_FOUND
        alice | notes | 2 | ns; table t; put t/a=1 | ok | 0 0 1
        record notes/t/a = 1 v1 alice
        block 0
        alice | notes | 3 | delete t/a; put t/b=2; insert t/b=3 | RECORD_EXISTS | | 0 0 0
        record notes/t/a = 1 v1 alice
        absent notes/t/b
    ");
}

#[test]
fn versions_never_repeat_even_after_deletes() {
    run("
        lines alice=100000000
        block 0
        alice | own | 1 | put t/a=1; put t/a=2; put t/a=3; put t/b=1 | ok | 1 2 3 1
        alice | own | 2 | delete t/a                                 | ok | 0
        # every new key of the table begins above the highest version that was ever deleted
        alice | own | 3 | put t/a=4; put t/c=1; put t/b=2; put u/a=1 | ok | 4 4 2 1
        alice | own | 4 | delete t/b                                 | ok | 0
        alice | own | 5 | insert t/b=3                               | ok | 4
    ");
}

#[test]
fn conditions_on_versions_hold_or_the_mutation_fails() {
    run("
        lines alice=100000000
        block 0
        alice | own | 1  | put t/a=1 @0    | ok | 1
        alice | own | 2  | put t/a=2 @0    | VERSION_MISMATCH
        alice | own | 3  | put t/a=2 @1    | ok | 2
        alice | own | 4  | update t/a=3 @1 | VERSION_MISMATCH
        alice | own | 5  | delete t/a @1   | VERSION_MISMATCH
        alice | own | 6  | delete t/a @2   | ok | 0
        alice | own | 7  | put t/a=4 @2    | VERSION_MISMATCH
        alice | own | 8  | insert t/a=4 @0 | ok | 3
        alice | own | 9  | insert t/a=5 @3 | RECORD_EXISTS
        alice | own | 10 | update t/z=5 @0 | RECORD_NOT_FOUND
        alice | own | 11 | delete t/a @0   | VERSION_MISMATCH
        record alice/t/a = 4 v3 alice
    ");
}

#[test]
fn rights_are_the_owners() {
    run("
        lines alice=100000000 bob=100000000
        block 0
        alice | notes | 1 | ns; table t; put t/a=1 | ok
        bob   | notes | 1 | put t/a=2              | NOT_PERMITTED
        bob   | notes | 1 | ns                     | NAMESPACE_TAKEN
        alice | notes | 2 | ns                     | NAMESPACE_EXISTS
        alice | notes | 3 | table t                | TABLE_EXISTS
        alice | notes | 4 | put u/a=1              | TABLE_NOT_FOUND
        alice | notes | 5 | delete u/a             | TABLE_NOT_FOUND
        bob   | other | 1 | put t/a=1              | NAMESPACE_NOT_FOUND
        bob   | own   | 1 | table t; put t/a=1     | ok | 0 1
        bob   | own   | 2 | table t                | TABLE_EXISTS
        record notes/t/a = 1 v1 alice
    ");
}

#[test]
fn nonces_are_used_once_in_any_order_within_the_window() {
    run("
        lines alice=100000000
        block 0
        alice | own | 3    | put t/a=1  | ok
        alice | own | 4099 | put t/a=1  | NONCE_TOO_FAR
        alice | own | 4096 | put t/a=1  | ok
        alice | own | 4096 | put t/a=1  | NONCE_USED
        alice | own | 1    | put t/a=1  | NONCE_ORDER
        block 0
        alice | own | 1    | put t/a=1  | ok
        alice | own | 2    | update t/z=1 | RECORD_NOT_FOUND      # a failure uses its nonce
        alice | own | 2    | put t/a=1  | NONCE_USED
        alice | own | 4099 | put t/a=1  | ok                      # the base is 3 now
        alice | own | 18446744073709551615 | put t/a=1 | NONCE_TOO_FAR
        block 0
        alice | own | 4    | put t/a=1  | ok
        alice | notes | 1  | ns         | ok                      # every namespace has its own window
    ");
}

#[test]
fn time_and_place_must_fit() {
    run("
        lines alice=100000000
        block 5
        alice | own | 1 | put t/a=1 {expire=0}        | EXPIRED
        alice | own | 1 | put t/a=1 {expire=-1}       | EXPIRED
        alice | own | 1 | put t/a=1 {expire=3601}     | EXPIRY_TOO_FAR
        alice | own | 1 | put t/a=1 {network=other}   | NETWORK_MISMATCH
        same
        block 0
        alice | own | 1 | put t/a=1 {expire=3600}     | ok
        alice | own | 2 | put t/a=1 {expire=1}        | ok
    ");
}

#[test]
fn a_fee_limit_and_a_line_are_needed() {
    run("
        lines alice=100000000 bob=10
        block 0
        alice | own | 1 | put t/a=b {max=1} | FEE_OVER_LIMIT
        bob   | own | 1 | put t/a=b         | CREDIT_EXHAUSTED
        carol | own | 1 | put t/a=b         | LINE_MISSING
        same
    ");
}

#[test]
fn a_refused_mutation_changes_no_byte_and_a_block_of_them_is_an_empty_block() {
    run("
        lines alice=100000000 bob=10
        block 0
        alice | own   | 1    | put t/a=1 | ok
        block 1
        alice | own   | 1    | put t/a=2 | NONCE_USED
        bob   | own   | 1    | put t/a=2 | CREDIT_EXHAUSTED
        bob   | nowhere | 1  | put t/a=2 | NAMESPACE_NOT_FOUND
        same
        spent bob 0 0
        block 1
        same
    ");
}

#[test]
fn an_update_changes_owner_version_and_time_only_for_what_was_written() {
    let chain = run("
        lines alice=100000000
        block 3
        alice | own | 1 | put t/a=1; put t/b=1 | ok
        block 4
        alice | own | 2 | put t/a=2            | ok | 2
    ");
    let own = db3_primitives::Namespace::own(&crate::script::name("alice").address);
    let header =
        |record: &str| chain.state.record(&own, &crate::support::table("t"), &crate::support::key(record)).unwrap().0;
    assert_eq!((header("a").height, header("a").time_secs), (2, 1_007));
    assert_eq!((header("b").height, header("b").time_secs), (1, 1_003));
}
