#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use proptest::prelude::*;

use crate::call::{Arguments, Call, Kind, Outcome};
use crate::checker::check;

fn call(kind: Kind, arguments: Arguments, result: Outcome, (start, end): (u64, u64)) -> Call {
    Call { client: 0, alone: false, call: kind, arguments, result, start, end, node: String::new() }
}

fn ok(version: u64, value: Option<&str>) -> Outcome {
    Outcome::Ok { version, value: value.map(str::to_owned), height: 1, id: None }
}

fn read(version: u64, value: &str, times: (u64, u64)) -> Call {
    let value = Some(value).filter(|value| !value.is_empty());
    call(Kind::Read, Arguments { key: "k".into(), ..Arguments::default() }, ok(version, value), times)
}

fn put(value: &str, version: u64, times: (u64, u64)) -> Call {
    let arguments = Arguments { key: "k".into(), value: Some(value.into()), if_version: None };
    call(Kind::Put, arguments, ok(version, None), times)
}

fn put_if(value: &str, if_version: u64, result: Outcome, times: (u64, u64)) -> Call {
    let arguments = Arguments { key: "k".into(), value: Some(value.into()), if_version: Some(if_version) };
    call(Kind::PutIf, arguments, result, times)
}

fn mismatch() -> Outcome {
    Outcome::Mismatch { height: 1, id: String::new() }
}

fn info() -> Outcome {
    Outcome::Info { why: "no answer".into(), id: String::new() }
}

#[test]
fn calls_one_after_the_other_are_linearizable() {
    let calls = [
        read(0, "", (0, 1)),
        put("a", 1, (2, 3)),
        read(1, "a", (4, 5)),
        put_if("b", 1, ok(2, None), (6, 7)),
        put_if("c", 1, mismatch(), (8, 9)),
        read(2, "b", (10, 11)),
    ];
    let report = check(&calls).unwrap();
    assert_eq!((report.keys, report.answered, report.unknown), (1, 6, 0));
}

#[test]
fn calls_at_the_same_time_may_take_effect_in_either_order() {
    for seen in [read(0, "", (1, 9)), read(1, "a", (1, 9)), read(2, "b", (1, 9))] {
        assert!(check(&[put("a", 1, (0, 8)), put("b", 2, (0, 8)), seen]).is_ok());
    }
    // b came first; the order of the lines says nothing.
    assert!(check(&[put("a", 2, (0, 8)), put("b", 1, (1, 8)), read(2, "a", (9, 10))]).is_ok());
}

#[test]
fn a_read_of_what_was_overwritten_before_it_began_is_refused() {
    let calls = [put("a", 1, (0, 1)), put("b", 2, (2, 3)), read(1, "a", (4, 5))];
    let violation = check(&calls).unwrap_err();
    assert_eq!((violation.ordered, violation.answered), (2, 3));
    assert_eq!(violation.stuck, [calls[2].clone()]);
    assert!(violation.to_string().contains("version 2 (b)"), "{violation}");
}

#[test]
fn a_read_that_goes_back_is_refused() {
    // The write is under way all the time, so either answer is right, but not this order of them.
    let calls = [put("a", 1, (0, 9)), read(1, "a", (1, 2)), read(0, "", (3, 4))];
    assert!(check(&calls).is_err());
    assert!(check(&[calls[0].clone(), read(0, "", (1, 2)), read(1, "a", (3, 4))]).is_ok());
}

#[test]
fn two_conditional_writes_onto_one_version_are_refused() {
    let calls = [put("a", 1, (0, 1)), put_if("b", 1, ok(2, None), (2, 8)), put_if("c", 1, ok(2, None), (2, 8))];
    assert!(check(&calls).is_err());
    let calls = [calls[0].clone(), calls[1].clone(), put_if("c", 1, mismatch(), (2, 8))];
    assert!(check(&calls).is_ok());
}

#[test]
fn a_write_that_is_lost_after_it_was_acknowledged_is_refused() {
    assert!(check(&[put("a", 1, (0, 1)), read(0, "", (2, 3))]).is_err());
    assert!(check(&[put("a", 1, (0, 1)), put("b", 1, (2, 3))]).is_err());
}

#[test]
fn a_write_that_is_applied_twice_is_refused() {
    assert!(check(&[put("a", 1, (0, 1)), read(2, "a", (2, 3))]).is_err());
}

#[test]
fn a_mismatch_where_the_version_stood_is_refused() {
    assert!(check(&[put("a", 1, (0, 1)), put_if("b", 1, mismatch(), (2, 3))]).is_err());
}

#[test]
fn an_unknown_write_may_have_happened_or_not_and_late() {
    let unknown = put_if("a", 0, info(), (0, 1));
    assert!(check(&[unknown.clone(), read(0, "", (2, 3))]).is_ok());
    assert!(check(&[unknown.clone(), read(1, "a", (2, 3))]).is_ok());
    assert!(check(&[unknown.clone(), read(0, "", (2, 3)), read(1, "a", (4, 5))]).is_ok(), "late");
    assert!(check(&[unknown.clone(), read(1, "a", (2, 3)), read(0, "", (4, 5))]).is_err(), "not taken back");
    assert!(check(&[put("b", 1, (0, 1)), put_if("a", 0, info(), (2, 3)), read(2, "a", (4, 5))]).is_err());
    assert!(check(&[read(1, "a", (0, 1)), put_if("a", 0, info(), (2, 3))]).is_err(), "not before it began");
}

fn unknown_put(value: &str, times: (u64, u64)) -> Call {
    let arguments = Arguments { key: "k".into(), value: Some(value.into()), if_version: None };
    call(Kind::Put, arguments, info(), times)
}

#[test]
fn unknown_writes_do_not_multiply_the_ways_to_look_at() {
    let mut calls: Vec<_> = (0..300).map(|at| unknown_put(&format!("u{at}"), (at, at + 1))).collect();
    for version in 1..=2_000 {
        let (start, value) = (1_000 * version, format!("w{version}"));
        calls.push(put(&value, version, (start, start + 700)));
        calls.push(read(version, &value, (start + 300, start + 1_200)));
    }
    // None of them happened; and all of them did, before the rest, with nobody looking.
    assert!(check(&calls).unwrap().visited < 10_000);
    for call in &mut calls {
        if let Outcome::Ok { version, .. } = &mut call.result {
            *version += 300;
        }
    }
    assert!(check(&calls).unwrap().visited < 10_000);
    // One more than there are.
    calls.push(read(2_302, "u7", (4_000_000, 4_000_001)));
    assert!(check(&calls).is_err());
}

#[test]
fn an_unknown_write_explains_a_mismatch_that_nothing_else_does() {
    let mismatch = put_if("c", 1, mismatch(), (4, 5));
    assert!(check(&[put("a", 1, (0, 1)), unknown_put("b", (2, 3)), mismatch.clone()]).is_ok());
    assert!(check(&[put("a", 1, (0, 1)), unknown_put("b", (6, 7)), mismatch]).is_err());
}

#[test]
fn a_read_that_asked_for_no_newer_state_has_no_place_in_the_order() {
    let stale = Call { alone: true, ..read(1, "a", (4, 5)) };
    assert!(check(&[put("a", 1, (0, 1)), put("b", 2, (2, 3)), stale]).is_ok());
    let write = Call { alone: true, ..put("c", 2, (4, 5)) };
    assert!(check(&[put("a", 1, (0, 1)), put("b", 2, (2, 3)), write]).is_err());
}

#[test]
fn calls_without_effect_say_nothing() {
    let arguments = Arguments { key: "k".into(), value: Some("a".into()), if_version: None };
    let refused = call(Kind::Put, arguments, Outcome::None { why: "overloaded".into() }, (0, 1));
    assert!(check(&[refused.clone(), read(0, "", (2, 3))]).is_ok());
    assert!(check(&[refused, read(1, "a", (2, 3))]).is_err());
}

#[test]
fn registers_are_looked_at_one_by_one() {
    let mut other = put("a", 1, (0, 1));
    other.arguments.key = "l".into();
    assert_eq!(check(&[other, put("b", 1, (0, 1)), read(1, "b", (2, 3))]).unwrap().keys, 2);
}

/// Whether some order of the calls fits, by trying all of them.
fn by_trying(calls: &[Call], rest: &[usize], version: u64, value: Option<&str>) -> bool {
    if rest.iter().all(|at| matches!(calls[*at].result, Outcome::Info { .. })) {
        return true;
    }
    rest.iter().any(|&at| {
        let call = &calls[at];
        let answered = |at: &usize| !matches!(calls[*at].result, Outcome::Info { .. });
        if rest.iter().any(|other| answered(other) && calls[*other].end < call.start) {
            return false;
        }
        let rest: Vec<_> = rest.iter().copied().filter(|other| *other != at).collect();
        let holds = call.arguments.if_version.is_none_or(|wanted| wanted == version);
        match (&call.result, call.call) {
            (Outcome::Ok { version: seen, value: found, .. }, Kind::Read) => {
                *seen == version && found.as_deref() == value && by_trying(calls, &rest, version, value)
            }
            (Outcome::Mismatch { .. }, _) => !holds && by_trying(calls, &rest, version, value),
            (Outcome::Ok { version: made, .. }, _) => {
                holds && *made == version + 1 && by_trying(calls, &rest, *made, call.arguments.value.as_deref())
            }
            _ => holds && by_trying(calls, &rest, version + 1, call.arguments.value.as_deref()),
        }
    })
}

fn any_call(at: usize) -> impl Strategy<Value = Call> {
    let times = (0_u64..12, 0_u64..5);
    (0..9_u8, 0_u64..4, 0_u64..4, 0_usize..4, times).prop_map(
        move |(kind, version, condition, seen, (start, lasts))| {
            let times = (start, start + lasts);
            let own = format!("v{at}");
            match kind {
                0 | 1 => read(version, &if version == 0 { String::new() } else { format!("v{seen}") }, times),
                2 => put(&own, version, times),
                3 => put_if(&own, condition, ok(condition + 1, None), times),
                4 => put_if(&own, condition, mismatch(), times),
                5 | 6 => put_if(&own, condition, info(), times),
                _ => unknown_put(&own, times),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8_000))]

    #[test]
    fn the_search_finds_an_order_exactly_where_there_is_one(
        calls in (any_call(0), any_call(1), any_call(2), any_call(3), any_call(4))
    ) {
        let calls = [calls.0, calls.1, calls.2, calls.3, calls.4];
        prop_assert_eq!(check(&calls).is_ok(), by_trying(&calls, &[0, 1, 2, 3, 4], 0, None));
    }

    #[test]
    fn what_a_register_answers_is_accepted(steps in proptest::collection::vec((0..4_u8, 0_u64..6, 0_u64..6), 1..60)) {
        // Every call takes effect at its own moment, and began before and ended after others did.
        let (mut version, mut value) = (0_u64, String::new());
        let calls: Vec<_> = steps.iter().enumerate().map(|(at, &(kind, before, after))| {
            let moment = 10 * at as u64 + 60;
            let times = (moment - before * 10, moment + after * 10);
            let own = format!("v{at}");
            let condition = version;
            if matches!(kind, 1 | 2) {
                version += 1;
                value.clone_from(&own);
            }
            match kind {
                0 => read(version, &value, times),
                1 => put(&own, version, times),
                2 => put_if(&own, condition, ok(version, None), times),
                _ => put_if(&own, version + 1 + before, mismatch(), times),
            }
        }).collect();
        prop_assert!(check(&calls).is_ok());
    }
}
