//! The commands against a devnet: what they print, how they end, and what they refuse before anything is sent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

mod network;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use network::Devnet;
use serde_json::Value;

/// One devnet serves the tests that run at the same time; each has its own account or table. The last one stops it.
fn net() -> Arc<Devnet> {
    static SHARED: Mutex<Weak<Devnet>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let net = Arc::new(Devnet::start(&["--epoch-secs", "600"]));
        *shared = Arc::downgrade(&net);
        net
    })
}

fn number(value: &Value) -> u128 {
    value.as_str().unwrap_or_else(|| panic!("{value} is no decimal string")).parse().unwrap()
}

#[test]
fn a_record_is_written_read_updated_and_removed() {
    let net = net();
    let receipt = net.json(&["put", "life", "k", "one"]);
    assert_eq!(
        (receipt["state"].as_str(), &receipt["versions"][0]),
        (Some("RECEIPT_STATE_APPLIED"), &Value::from("1"))
    );
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
fn a_mutation_that_no_chain_would_take_is_refused_before_anything_is_sent() {
    let net = net();
    let value = "x".repeat(9_000);
    let operation = |n: u32| format!("{{\"op\":\"put\",\"table\":\"large\",\"key\":\"k{n}\",\"value\":\"{value}\"}}");
    std::fs::write(net.path("large.ndjson"), (0..600).map(operation).collect::<Vec<_>>().join("\n")).unwrap();
    let said = net.fails(2, ["mutate", "large.ndjson"]);
    assert!(said.contains("102 MUTATION_TOO_LARGE"), "{said}");
}

#[test]
fn arguments_and_settings_that_are_none_are_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let net = net();
    let word = std::ffi::OsStr::from_bytes(b"\xff");
    let output = net.command().args(["get", "notes"]).arg(word).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    let output = net.command().env("DB3_UNVERIFIED", "maybe").args(["get", "notes", "a"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "a typo must not turn verification off");
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
fn an_import_writes_everything_once_and_comes_back_the_same() {
    let net = net();
    let row = |n: u32| format!("{n:03};\"name; {n}\";{}", n.pow(2));
    let rows = (0..500).map(row).collect::<Vec<_>>().join("\n");
    std::fs::write(net.path("squares.txt"), &rows).unwrap();
    let import = [
        "import",
        "squares",
        "squares.txt",
        "--delimiter",
        ";",
        "--columns",
        "code,name,square",
        "--key",
        "code",
        "--batch",
        "50",
        "--receipts",
        "receipts.ndjson",
        "--account",
        "dev5",
    ];
    let first = net.json(&import);
    assert_eq!((number(&first["records"]), number(&first["written"]), number(&first["mutations"])), (500, 500, 10));
    let receipts = std::fs::read_to_string(net.path("receipts.ndjson")).unwrap();
    let receipts: Vec<Value> = receipts.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(receipts.iter().map(|receipt| number(&receipt["records"])).sum::<u128>(), 500);
    let second = net.json(&import);
    assert_eq!((number(&second["written"]), number(&second["unchanged"]), number(&second["mutations"])), (0, 500, 0));

    let csv = net.ok(["export", "squares", "--format", "csv", "--account", "dev5"]);
    assert!(csv.starts_with("code,name,square\n000,name; 0,0\n"), "{}", &csv[..80]);
    std::fs::write(net.path("squares.csv"), csv).unwrap();
    let third = net.json(&["import", "squares", "squares.csv", "--key", "code", "--account", "dev5"]);
    assert_eq!(number(&third["mutations"]), 0, "an export is the same import");
    net.ok(["export", "squares", "--pairs", "--file", "pairs.ndjson", "--account", "dev5"]);
    let fourth = net.json(&["import", "squares", "pairs.ndjson", "--pairs", "--account", "dev5"]);
    assert_eq!(number(&fourth["mutations"]), 0);
    let exported = net.lines(&["export", "squares", "--account", "dev5"]);
    assert!(exported.len() == 500 && exported.iter().all(|record| record["version"] == "1"));

    let fees: u128 =
        net.lines(&["bill", "list", "--account", "dev5"]).iter().map(|bill| number(&bill["fee_tai"])).sum();
    assert_eq!(fees, number(&first["fee_tai"]));
}

#[test]
fn a_file_that_cannot_be_imported_says_where_and_nothing_is_sent() {
    let net = net();
    let try_file = |name: &str, content: &[u8], more: &[&str]| {
        std::fs::write(net.path(name), content).unwrap();
        let said = net.fails(2, [&["import", "bad", name, "--account", "dev6"], more].concat());
        assert!(said.contains("nothing was sent") || said.contains("UTF-8"), "{said}");
        said
    };
    let said = try_file("a.csv", b"k,v\n1,2\n3\n", &["--key", "k"]);
    assert!(said.contains("a.csv:3:1"), "{said}");
    let said = try_file("b.ndjson", b"{\"k\":\"1\"}\n{\"k\" 2}\n", &["--key", "k"]);
    assert!(said.contains("b.ndjson:2:6"), "{said}");
    let said = try_file("c.csv", b"k,v\n1,a\n2,b\n1,c\n", &["--key", "k"]);
    assert!(said.contains("c.csv:4") && said.contains("line 2"), "{said}");
    let long = format!("k,v\n{},x\n", "y".repeat(257));
    let said = try_file("d.csv", long.as_bytes(), &["--key", "k"]);
    assert!(said.contains("257") && said.contains("256"), "{said}");
    let large = format!("k,v\na,{}\n", "y".repeat(11_000));
    assert!(try_file("e.csv", large.as_bytes(), &["--key", "k"]).contains("10240"));
    assert!(try_file("f.csv", b"k,v\n1,2\n", &["--key", "x"]).contains("k, v"));
    assert!(try_file("g.csv", b"k,v\n1,\xff\n", &["--key", "k"]).contains("g.csv:2:3"));
    assert!(net.lines(&["bill", "list", "--account", "dev6"]).is_empty());
}

#[test]
fn a_kept_proof_holds_and_any_changed_byte_breaks_it() {
    let net = net();
    net.ok(["put", "kept", "k", "value"]);
    net.ok(["put", "kept", "m", "plain"]);
    net.ok(["get", "kept", "k", "--proof-file", "record.proof"]);
    net.fails(4, ["get", "kept", "nothing", "--proof-file", "absence.proof"]);
    net.ok(["scan", "kept", "--proof-file", "range.proof"]);
    net.ok(["scan", "kept", "--limit", "1", "--proof-file", "cut.proof"]);
    for (file, shows) in
        [("record.proof", "record"), ("absence.proof", "absence"), ("range.proof", "range"), ("cut.proof", "range")]
    {
        let verified = net.json(&["verify", file]);
        assert_eq!((&verified["verified"], &verified["shows"]), (&Value::from(true), &Value::from(shows)));
    }
    // Every byte, through the library; a few through the command.
    let network = db3_client::load_network(&net.network_file()).unwrap();
    for file in ["record.proof", "absence.proof", "cut.proof"] {
        let good = std::fs::read(net.path(file)).unwrap();
        let holds =
            |bytes: &[u8]| db3_client::KeptProof::from_json(file, bytes).and_then(|kept| kept.verify(&network)).is_ok();
        assert!(holds(&good));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            assert!(!holds(&bad), "{file}: byte {at} does not count");
        }
        assert!(!holds(&[good.as_slice(), b"\n"].concat()) && !holds(&good[..good.len() - 1]));
    }
    let mut bad = std::fs::read(net.path("record.proof")).unwrap();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    std::fs::write(net.path("bad.proof"), bad).unwrap();
    net.fails(5, ["verify", "bad.proof"]);
    std::fs::write(net.path("other.proof"), "{}").unwrap();
    net.fails(2, ["verify", "other.proof"]);
}

#[test]
fn a_forged_proof_with_a_good_digest_does_not_hold() {
    let net = net();
    net.ok(["put", "forged", "k", "truth"]);
    net.ok(["get", "forged", "k", "--proof-file", "truth.proof"]);
    let text = std::fs::read_to_string(net.path("truth.proof")).unwrap();
    let lie = text.replace("\"truth\"", "\"fraud\"");
    let network = db3_client::load_network(&net.network_file()).unwrap();
    // Whoever forges can compute a digest too: over the compact JSON of version, statement and evidence.
    let parsed: Value = serde_json::from_str(&lie).unwrap();
    let covered = {
        let start = lie.find("\"statement\"").unwrap();
        let end = lie.rfind(",\n  \"sha256\"").unwrap();
        let compact: String = compact(&lie[start..end]);
        let (statement, evidence) = compact.split_once(",\"evidence\":").unwrap();
        format!("[1,{},{evidence}]", statement.trim_start_matches("\"statement\":"))
    };
    let digest = format!("0x{}", hex::encode(db3_client::primitives::sha256(&[covered.as_bytes()])));
    let lie = lie.replace(parsed["sha256"].as_str().unwrap(), &digest);
    let kept = db3_client::KeptProof::from_json("lie", lie.as_bytes()).expect("its digest is right");
    assert!(kept.verify(&network).is_err());
}

/// JSON without white space between its tokens.
fn compact(text: &str) -> String {
    let (mut in_string, mut compact) = (false, String::new());
    for letter in text.chars() {
        if letter == '"' {
            in_string = !in_string;
        }
        if in_string || !letter.is_ascii_whitespace() {
            compact.push(letter);
        }
    }
    compact
}

#[test]
fn bills_say_why_and_add_up_to_the_credit_that_was_used() {
    let net = net();
    for n in 0..5 {
        net.ok(["put", "paid", &format!("k{n}"), "v", "--account", "dev7", "--wait", "committed"]);
    }
    let bills = net.lines(&["bill", "list", "--account", "dev7"]);
    assert_eq!(bills.len(), 5);
    let mut total = 0;
    for bill in &bills {
        let charges: u128 =
            bill["charges"].as_array().unwrap().iter().map(|charge| number(&charge["amount_tai"])).sum();
        assert_eq!(charges, number(&bill["fee_tai"]));
        assert_eq!(bill["status"], "BILL_STATUS_OPEN");
        total += number(&bill["fee_tai"]);
    }
    let lines = net.lines(&["credit", "show", "--account", "dev7"]);
    assert_eq!(lines.iter().map(|line| number(&line["spent_tai"])).sum::<u128>(), total);
    let sums = net.lines(&["bill", "list", "--account", "dev7", "--sum-by", "namespace"]);
    assert_eq!((number(&sums[0]["bills"]), number(&sums[0]["fee_tai"])), (5, total));
    assert!(net.lines(&["bill", "list", "--account", "dev7", "--status", "closed"]).is_empty());
    assert_eq!(net.lines(&["bill", "list", "--account", "dev7", "--since", "2100-01-01T00:00:00Z"]).len(), 0);
    let id = bills[0]["reference"].as_str().unwrap();
    assert_eq!(net.json(&["bill", "verify", id])["verified"], true);
    assert_eq!(net.json(&["bill", "show", bills[0]["bill"].as_str().unwrap()])["reference"], id);
    net.fails(1, ["bill", "show", &format!("0x{}", "00".repeat(32))]);
}

#[test]
fn a_dry_run_prices_and_sends_nothing() {
    let net = net();
    let estimate = net.json(&["put", "dry", "k", "v", "--account", "dev8", "--dry-run"]);
    assert!(number(&estimate["fee_tai"]) <= number(&estimate["bound_tai"]));
    net.fails(4, ["get", "dry", "k", "--account", "dev8"]);
    let small = net.fails(1, ["put", "dry", "k", "v", "--account", "dev8", "--max-fee", "1tai"]);
    assert!(small.contains("210 FEE_OVER_LIMIT"), "{small}");
    let receipt = net.json(&["put", "dry", "k", "v", "--account", "dev8"]);
    assert_eq!(receipt["fee_tai"], estimate["fee_tai"]);
}

#[test]
fn wrong_input_ends_with_2_and_is_one_json_object_where_asked_for() {
    let net = net();
    for arguments in [
        &["put", "UPPER", "k", "v"][..],
        &["put", "t", "", "v"],
        &["put", "t", "k", "v", "--max-fee", "5"],
        &["put", "t", "k"],
        &["get", "t", "k", "--encoding", "nonsense"],
        &["--encoding", "hex", "get", "t", "xyz"],
        &["nonsense"],
        &["receipt", "0x12"],
        &["--network", "nowhere", "status"],
        &["--account", "nobody", "put", "t", "k", "v"],
        &["verify", "no such file"],
        &["bill", "list", "--since", "yesterday"],
        &["bill", "list", "--shard", "9"],
    ] {
        net.fails(2, arguments);
        let said = net.fails(2, [&["--output", "json"], arguments].concat());
        let error: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {said}"));
        assert_eq!(error["error"]["exit_code"], 2);
        assert!(!error["error"]["message"].as_str().unwrap().is_empty());
    }
    let large = "x".repeat(10_241);
    let said = net.fails(2, ["--output", "json", "put", "t", "k", &large]);
    let error: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&error["error"]["code"], &error["error"]["reason"]),
        (&Value::from(118), &Value::from("PAIR_TOO_LARGE"))
    );
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
fn development_accounts_are_refused_on_any_other_network() {
    let net = net();
    let text = std::fs::read_to_string(net.network_file()).unwrap().replace("kind = \"devnet\"", "kind = \"solo\"");
    std::fs::write(net.path("home/networks/serious.toml"), text).unwrap();
    let said = net.fails(2, ["--network", "serious", "--account", "dev0", "put", "t", "k", "v"]);
    assert!(said.contains("everybody has the key"), "{said}");
}

#[test]
fn keys_are_made_imported_exported_and_used() {
    let net = net();
    std::fs::write(net.path("pass.txt"), "correct horse\n").unwrap();
    let with = |words: &[&'static str]| [words, &["--password-file", "pass.txt"]].concat();
    let made = net.json(&with(&["account", "new", "maker"]));
    net.ok(["account", "export", "maker", "--file", "maker.json"]);
    let taken = net.json(&with(&["account", "import", "copy", "maker.json"]));
    assert_eq!(made["address"], taken["address"]);
    let refused = net.fails(2, with(&["account", "new", "maker"]));
    assert!(refused.contains("exists already"), "{refused}");
    std::fs::write(net.path("wrong.txt"), "wrong").unwrap();
    let said = net.fails(2, ["account", "import", "third", "maker.json", "--password-file", "wrong.txt"]);
    assert!(said.contains("password"), "{said}");
    let unasked = net.fails(2, ["--account", "maker", "put", "t", "k", "v"]);
    assert!(unasked.contains("--password-file"), "{unasked}");
    // It has no credit line, which the network says by name.
    let broke = net.fails(1, with(&["--account", "maker", "put", "t", "k", "v"]));
    assert!(broke.contains("212 LINE_MISSING"), "{broke}");
}

#[test]
fn nobody_answering_ends_with_3() {
    let net = net();
    let text = std::fs::read_to_string(net.network_file()).unwrap();
    let dead: String = text
        .lines()
        .map(|line| {
            if line.starts_with("endpoints") {
                "endpoints = [\"http://127.0.0.1:1\"]\n".to_owned()
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    std::fs::write(net.path("dead.toml"), dead).unwrap();
    let said = net.fails(
        3,
        ["--network", "dead.toml", "--account", "0x1111111111111111111111111111111111111111", "get", "t", "k"],
    );
    assert!(said.contains("127.0.0.1:1"), "{said}");
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
        network::text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
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
fn options_come_before_the_environment_and_that_before_the_settings() {
    let net = net();
    let show = |name: &str, arguments: &[&str]| {
        let output = net
            .command()
            .env("DB3_ACCOUNT", name)
            .args(["--output", "json", "account", "show"])
            .args(arguments)
            .output()
            .unwrap();
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
        shown["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(show("dev4", &[]), "dev4");
    assert_eq!(show("dev4", &["--account", "dev6"]), "dev6");
}
