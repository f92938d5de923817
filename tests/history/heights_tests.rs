#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]

use crate::call::{Arguments, Call, Kind, Outcome};
use crate::heights::check;

fn call(client: u32, kind: Kind, value: Option<&str>, result: Outcome, start: u64) -> Call {
    let arguments = Arguments { key: "k".into(), value: value.map(str::to_owned), if_version: None };
    Call { client, alone: true, call: kind, arguments, result, start, end: start + 1, node: String::new() }
}

fn read(client: u32, version: u64, value: &str, height: u64, start: u64) -> Call {
    let value = Some(value.to_owned()).filter(|value| !value.is_empty());
    call(client, Kind::Read, None, Outcome::Ok { version, value, height, id: None }, start)
}

fn put(client: u32, value: &str, version: u64, height: u64, start: u64) -> Call {
    call(client, Kind::Put, Some(value), Outcome::Ok { version, value: None, height, id: None }, start)
}

fn unknown(value: &str, start: u64) -> Call {
    call(9, Kind::Put, Some(value), Outcome::Info { why: String::new(), id: String::new() }, start)
}

#[test]
fn an_older_state_is_no_fault_and_is_counted() {
    let calls = [put(1, "a", 1, 5, 0), put(1, "b", 2, 7, 10), read(2, 0, "", 4, 20), read(2, 1, "a", 6, 30)];
    let report = check(&calls).unwrap();
    assert_eq!((report.alone, report.behind), (2, 2));
    assert_eq!(check(&[put(1, "a", 1, 5, 0), read(2, 1, "a", 5, 20)]).unwrap().behind, 0);
}

#[test]
fn a_state_that_was_no_blocks_is_refused() {
    let written = [put(1, "a", 1, 5, 0), put(1, "b", 2, 7, 10)];
    for wrong in [
        read(2, 0, "", 5, 20),
        read(2, 1, "a", 4, 20),
        read(2, 1, "a", 7, 20),
        read(2, 1, "b", 6, 20),
        read(2, 2, "b", 6, 20),
        read(2, 3, "c", 9, 20),
        read(2, 1, "", 6, 20),
    ] {
        assert!(check(&[written[0].clone(), written[1].clone(), wrong.clone()]).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_client_is_never_taken_back() {
    let older = [read(1, 0, "", 6, 0), read(1, 0, "", 5, 10)];
    assert!(check(&older).is_err());
    assert!(check(&[older[0].clone(), Call { client: 2, ..older[1].clone() }]).is_ok(), "another may be");
    assert!(check(&[put(1, "a", 1, 8, 0), read(1, 0, "", 7, 10)]).is_err(), "its own write");
    assert!(check(&[put(1, "a", 1, 8, 0), read(2, 0, "", 7, 10)]).is_ok());
    let found_out = Call { end: 99, ..put(1, "a", 1, 8, 0) };
    assert!(check(&[found_out, read(1, 0, "", 7, 10)]).is_ok(), "it was not told");
}

#[test]
fn what_an_unknown_write_wrote_may_be_there_but_one_value_a_version() {
    assert!(check(&[unknown("u", 0), read(1, 1, "u", 3, 10), read(2, 0, "", 2, 20)]).is_ok());
    assert!(check(&[unknown("u", 0), unknown("w", 0), read(1, 1, "u", 3, 10), read(2, 1, "w", 3, 20)]).is_err());
    let mut onto = unknown("u", 0);
    onto.arguments.if_version = Some(4);
    assert!(check(&[onto.clone(), read(1, 5, "u", 3, 10)]).is_ok());
    assert!(check(&[onto, read(1, 1, "u", 3, 10)]).is_err());
}

#[test]
fn blocks_make_versions_in_order() {
    assert!(check(&[put(1, "a", 1, 5, 0), put(2, "b", 2, 4, 10)]).is_err());
    assert!(check(&[put(1, "a", 1, 5, 0), put(2, "b", 1, 5, 10)]).is_err());
}
