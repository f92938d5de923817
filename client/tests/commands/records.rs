//! Records: written, read, followed.

use serde_json::Value;

use crate::{net, number};

#[test]
fn a_record_is_written_read_updated_and_removed() {
    let net = net();
    let receipt = net.json(&["put", "life", "k", "one"]);
    assert_eq!((receipt["state"].as_str(), &receipt["versions"][0]), (Some("applied"), &Value::from("1")));
    assert_eq!(net.ok(["get", "life", "k"]), "one");
    let got = net.json(&["get", "life", "k"]);
    assert_eq!(
        (&got["value"], &got["version"], &got["verified"]),
        (&Value::from("one"), &Value::from("1"), &Value::from(true))
    );
    net.ok(["update", "life", "k", "two", "--if-version", "1"]);
    let stale = net.fails(1, ["update", "life", "k", "three", "--if-version", "1"]);
    assert!(stale.contains("303 VERSION_MISMATCH") && stale.contains("charged"), "{stale}");
    let exists = net.fails(1, ["insert", "life", "k", "x"]);
    assert!(exists.contains("301 RECORD_EXISTS"), "{exists}");
    net.ok(["delete", "life", "k"]);
    let absent = net.fails(4, ["get", "life", "k"]);
    assert!(absent.contains("proven"), "{absent}");
    net.ok(["insert", "life", "k", "again"]);
    assert_eq!(net.json(&["get", "life", "k"])["version"], "3", "versions are never repeated");
}

#[test]
fn values_come_from_arguments_files_and_standard_input() {
    use std::io::Write as _;
    let net = net();
    std::fs::write(net.path("value.bin"), [0u8, 255, 10]).unwrap();
    net.ok(["put", "sources", "file", "--value-file", "value.bin"]);
    assert_eq!(net.run(["get", "sources", "file"]).stdout, [0u8, 255, 10]);
    assert_eq!(net.json(&["get", "sources", "file"])["value_hex"], "0x00ff0a");
    assert_eq!(net.ok(["--encoding", "hex", "get", "sources", "0x66696c65"]), "0x00ff0a\n");
    let mut child = net
        .command()
        .args(["put", "sources", "piped", "-"])
        .stdout(std::process::Stdio::null())
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"from a pipe").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(net.ok(["get", "sources", "piped"]), "from a pipe");
}

#[test]
fn scans_are_complete_and_ordered_and_ranges_are_half_open() {
    let net = net();
    let operation = |n: u32| format!("{{\"op\":\"put\",\"table\":\"range\",\"key\":\"k{n:02}\",\"value\":\"{n}\"}}");
    let operations = (0..30).map(operation).collect::<Vec<_>>().join("\n");
    std::fs::write(net.path("range.ndjson"), operations).unwrap();
    net.ok(["mutate", "range.ndjson"]);
    let keys = |arguments: &[&str]| -> Vec<String> {
        net.lines(arguments).iter().map(|record| record["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys(&["scan", "range"]).len(), 30);
    assert_eq!(keys(&["scan", "range", "--from", "k05", "--to", "k08"]), ["k05", "k06", "k07"]);
    assert_eq!(keys(&["scan", "range", "--prefix", "k1", "--limit", "3"]), ["k10", "k11", "k12"]);
    assert!(keys(&["scan", "range", "--from", "x"]).is_empty());
    let csv = net.ok(["--output", "csv", "scan", "range", "--limit", "1"]);
    assert!(csv.starts_with("key,key_hex,value,value_hex,version,update_time\nk00,,0,,1,"), "{csv}");
    let said = |arguments: &[&str]| String::from_utf8(net.run(arguments).stderr).unwrap();
    assert!(said(&["scan", "range"]).contains("proven complete"), "a whole range is called complete");
    let cut = said(&["scan", "range", "--limit", "1"]);
    assert!(cut.contains("there may be more") && !cut.contains("complete"), "{cut}");
}

#[test]
fn a_mutation_is_all_or_nothing() {
    let net = net();
    let lines = "{\"op\":\"put\",\"table\":\"atomic\",\"key\":\"a\",\"value\":\"1\"}\n{\"op\":\"update\",\"table\":\"atomic\",\"key\":\"missing\",\"value\":\"1\"}\n";
    std::fs::write(net.path("atomic.ndjson"), lines).unwrap();
    let said = net.fails(1, ["mutate", "atomic.ndjson"]);
    assert!(said.contains("302 RECORD_NOT_FOUND"), "{said}");
    net.fails(4, ["get", "atomic", "a"]);
}

#[test]
fn a_field_that_an_operation_has_no_use_for_is_refused_and_its_line_named() {
    let net = net();
    for (line, takes_no) in [
        (r#"{"op":"delete","table":"t","key":"a","value":"b"}"#, "delete takes no value"),
        (r#"{"op":"create_table","table":"t","key":"a"}"#, "create_table takes no key"),
        (r#"{"op":"create_namespace","table":"t"}"#, "create_namespace takes no table"),
    ] {
        let good = r#"{"op":"put","table":"senseless","key":"a","value":"1"}"#;
        std::fs::write(net.path("senseless.ndjson"), format!("{good}\n{line}\n")).unwrap();
        let said = net.fails(2, ["mutate", "senseless.ndjson"]);
        assert!(said.contains("senseless.ndjson:2") && said.contains(takes_no), "{said}");
    }
    net.fails(4, ["get", "senseless", "a"]);
}

#[test]
fn namespaces_and_tables_are_created_shown_and_owned() {
    let net = net();
    net.ok(["namespace", "create", "town", "--account", "dev3"]);
    let taken = net.fails(1, ["namespace", "create", "town", "--account", "dev4"]);
    assert!(taken.contains("205 NAMESPACE_TAKEN"), "{taken}");
    let missing = net.fails(1, ["put", "town/streets", "a", "b", "--account", "dev3"]);
    assert!(missing.contains("304 TABLE_NOT_FOUND"), "{missing}");
    net.ok(["table", "create", "town/streets", "--account", "dev3"]);
    net.ok(["put", "town/streets", "a", "b", "--account", "dev3"]);
    let foreign = net.fails(1, ["put", "town/streets", "a", "c", "--account", "dev4"]);
    assert!(foreign.contains("206 NOT_PERMITTED"), "{foreign}");
    assert_eq!(net.lines(&["namespace", "list", "--account", "dev3"])[0]["name"], "town");
    assert_eq!(net.lines(&["table", "list", "town"])[0]["name"], "streets");
    net.fails(4, ["namespace", "show", "nowhere"]);
    net.fails(4, ["table", "show", "town/squares"]);
}

#[test]
fn a_watch_shows_changes_as_they_come() {
    let net = net();
    let watch = net
        .command()
        .args(["--output", "json", "watch", "watched", "--count", "2", "--for", "30s"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The watch sees what comes after it began; writing goes on until it has seen two.
    let mut watch = watch;
    let mut n = 0;
    while watch.try_wait().unwrap().is_none() {
        net.ok(["put", "watched", "k", &n.to_string()]);
        n += 1;
    }
    let output = watch.wait_with_output().unwrap();
    let lines: Vec<Value> =
        crate::network::text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line["key"] == "k" && line["verified"] == true));
    assert!(number(&lines[0]["height"]) < number(&lines[1]["height"]));
}

#[test]
fn two_commands_at_once_do_not_get_in_each_others_way() {
    let net = net();
    let children: Vec<_> = (0..6)
        .map(|n| {
            net.command()
                .args(["put", "crowd", &n.to_string(), "v", "--account", "dev2", "--quiet"])
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(net.lines(&["scan", "crowd", "--account", "dev2"]).len(), 6);
}

#[test]
fn an_address_without_its_key_reads_and_does_not_write() {
    let net = net();
    net.ok(["put", "public", "k", "v", "--account", "dev9"]);
    let address = net.json(&["account", "show", "dev9"])["address"].as_str().unwrap().to_owned();
    let other = "0x1111111111111111111111111111111111111111";
    assert_eq!(net.ok(["get", &format!("{address}/public"), "k", "--account", other]), "v");
    let said = net.fails(2, ["put", "public", "k", "w", "--account", other]);
    assert!(said.contains(other), "{said}");
}

#[test]
fn a_receipt_tells_what_became_of_a_mutation() {
    let net = net();
    let sent = net.json(&["put", "receipts", "k", "v", "--signed-file", "sent.bin"]);
    let id = sent["id"].as_str().unwrap();
    let found = net.json(&["receipt", id, "--wait"]);
    assert_eq!((&found["state"], &found["height"]), (&sent["state"], &sent["height"]));
    let decoded = net.json(&["decode", "sent.bin"]);
    assert_eq!((decoded["id"].as_str(), &decoded["signature_valid"]), (Some(id), &Value::from(true)));
    net.fails(6, ["receipt", &format!("0x{}", "11".repeat(32))]);
    let mut bad = std::fs::read(net.path("sent.bin")).unwrap();
    let last = bad.len() - 5;
    bad[last] ^= 1;
    std::fs::write(net.path("altered.bin"), bad).unwrap();
    let output = net.run(["decode", "altered.bin"]);
    assert!(matches!(output.status.code(), Some(2 | 5)));
}
