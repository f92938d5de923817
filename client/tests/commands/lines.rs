//! Credit lines as commands meet them: one is missing, closed, or nearly used up.

use std::fmt::Write as _;

use serde_json::Value;

use crate::network::{Devnet, text};
use crate::settlement::{credit, fresh};
use crate::{net, number};

/// Makes an account that has balance and no credit.
fn account(net: &Devnet, name: &str) {
    std::fs::write(net.path("pass.txt"), "correct horse\n").unwrap();
    let address = net.json(&["account", "new", name, "--password-file", "pass.txt"])["address"].clone();
    net.ok(["transfer", address.as_str().unwrap(), "20db3", "--account", "dev9"]);
}

fn by<'w>(name: &'w str, words: &[&'w str]) -> Vec<&'w str> {
    [words, &["--account", name, "--password-file", "pass.txt"]].concat()
}

fn csv(net: &Devnet, file: &str, rows: usize, value: &str) {
    let mut text = "code,name\n".to_owned();
    for row in 0..rows {
        let _ = writeln!(text, "{file}{row},{value}");
    }
    std::fs::write(net.path(file), text).unwrap();
}

#[test]
fn an_import_that_meets_no_line_says_what_a_single_write_says_and_opens_one_where_it_may() {
    let net = net();
    account(&net, "importer");
    csv(&net, "towns.csv", 3, "x");
    let import = by("importer", &["import", "towns", "towns.csv", "--key", "code"]);
    let slot = net.json(&["account", "show", "importer"])["slot"].as_u64().unwrap();
    let shard = format!("shard {}", u8::from(slot >= 512));
    let poor = net.fails(1, &import);
    for part in ["212 LINE_MISSING", &shard, "`db3 credit deposit AMOUNT` makes some of its"] {
        assert!(poor.contains(part), "{part}: {poor}");
    }
    net.ok(by("importer", &["credit", "deposit", "10db3", "--no-lines"]));
    let told = net.fails(1, &import);
    assert!(told.contains("tai` opens a line there") && told.contains(&shard), "{told}");
    assert!(!told.contains("Deposit collateral") && !told.contains("records are written"), "nothing was sent: {told}");
    let done: Value = serde_json::from_str(&net.ok([&["--output", "json", "--yes"], &import[..]].concat())).unwrap();
    assert_eq!(number(&done["written"]), 3);
}

#[test]
fn a_deposit_without_lines_binds_nothing_and_a_later_write_opens_one() {
    let net = net();
    account(&net, "saver");
    for _ in 0..2 {
        net.ok(by("saver", &["credit", "deposit", "2db3", "--no-lines"]));
        let shown = credit(&net, "saver");
        assert_eq!((&shown["free_tai"], &shown["allocated_tai"]), (&shown["limit_tai"], &Value::from("0")), "{shown}");
        assert!(shown["lines"].as_array().unwrap().is_empty(), "{shown}");
    }
    let missing = net.fails(1, by("saver", &["put", "t", "k", "v"]));
    assert!(missing.contains("212 LINE_MISSING") && missing.contains("4 DB3 of its credit are free"), "{missing}");
    net.ok(by("saver", &["put", "t", "k", "v", "--yes"]));
    // The line that stands is neither raised nor cut.
    let before = credit(&net, "saver")["lines"].clone();
    net.ok(by("saver", &["credit", "deposit", "2db3", "--no-lines"]));
    assert_eq!(credit(&net, "saver")["lines"][0]["want_tai"], before[0]["want_tai"]);
}

#[test]
fn a_line_for_which_nothing_is_asked_is_opened_as_a_missing_one_is() {
    let net = fresh();
    let slot = net.json(&["account", "show", "dev5"])["slot"].as_u64().unwrap();
    let shard = u8::from(slot >= 512).to_string();
    net.ok(["credit", "allocate", "--shard", &shard, "0tai", "--account", "dev5"]);
    // The cut is confirmed, and its credit free, with the shard's next close.
    net.ok(["devnet", "advance", "600"]);
    net.ok(["devnet", "advance", "600"]);
    let closed = net.fails(1, ["put", "t", "k", "v", "--account", "dev5"]);
    assert!(closed.contains("211 CREDIT_EXHAUSTED") && closed.contains("tai` opens a line there"), "{closed}");
    assert!(!closed.contains("next round"), "no round frees anything there: {closed}");
    net.ok(["put", "t", "k", "v", "--account", "dev5", "--yes"]);
}

#[test]
fn an_import_warns_of_a_line_that_is_nearly_used_and_says_what_is_left_when_it_is() {
    let net = fresh();
    let slot = net.json(&["account", "show", "dev4"])["slot"].as_u64().unwrap();
    let shard = u8::from(slot >= 512);
    let fee = number(&net.json(&["put", "t", "k", "v", "--account", "dev4"])["fee_tai"]);
    let want = format!("{}tai", fee * 100);
    net.ok(["credit", "allocate", "--shard", &shard.to_string(), &want, "--account", "dev4"]);
    net.ok(["devnet", "advance", "600"]);
    net.ok(["devnet", "advance", "600"]);
    let import = |file: &str| {
        csv(&net, file, 3, &"v".repeat(300));
        net.run(["--output", "json", "import", "t", file, "--key", "code", "--account", "dev4"])
    };
    let (mut warned, mut refused) = (None, String::new());
    for n in 0..200 {
        let output = import(&format!("part{n}.csv"));
        let said = text(&output.stderr);
        if !output.status.success() {
            refused = said;
            break;
        }
        let warning: Option<Value> = said.lines().last().map(|line| serde_json::from_str(line).unwrap());
        if let Some(warning) = warning {
            let line = credit(&net, "dev4")["lines"][usize::from(shard)].clone();
            assert_eq!(warning["warning"]["used_percent"], line["used_percent"], "{warning} {line}");
            assert!(warning["warning"]["used_percent"].as_u64().unwrap() >= 80, "{warning}");
            assert_eq!((&warning["warning"]["shard"], &line["shard"]), (&shard.into(), &shard.into()));
            warned = Some(warning);
        }
    }
    assert!(warned.is_some(), "{refused}");
    for part in ["CREDIT_EXHAUSTED", "granted 0.", "used 0."] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let rows = net.ok(["--output", "csv", "credit", "show", "--account", "dev4"]);
    let header = rows.lines().next().unwrap();
    for column in ["balance_tai", "collateral_tai", "limit_tai", "free_tai", "owed_tai", "used_percent"] {
        assert!(header.split(',').any(|name| name == column), "{column}: {header}");
    }
}
