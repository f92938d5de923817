//! Options, settings, and what is refused before anything is sent.

use serde_json::Value;

use crate::net;

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

#[test]
fn every_switch_can_stand_in_the_environment_and_in_the_settings() {
    let net = net();
    let said = |name: &str, value: &str, arguments: &[&str]| {
        let output = net.command().env(name, value).args(arguments).output().unwrap();
        (output.status.code(), crate::network::text(&output.stderr))
    };
    net.ok(["export", "nothing", "--file", "nothing.ndjson"]);
    assert_eq!(said("DB3_YES", "1", &["export", "nothing", "--file", "nothing.ndjson"]).0, Some(0));
    assert_eq!(said("DB3_NO_INPUT", "true", &["export", "nothing", "--file", "nothing.ndjson"]).0, Some(2));
    assert_eq!(said("DB3_QUIET", "1", &["scan", "nothing"]).1, "");
    assert!(said("DB3_VERBOSE", "1", &["put", "switches", "k", "v"]).1.contains("sending 0x"));
    assert_eq!(said("DB3_QUIET", "perhaps", &["scan", "nothing"]).0, Some(2));
    let home = net.path("settings");
    std::fs::create_dir_all(&home).unwrap();
    let settings = "quiet = true\nverbose = false\nyes = true\nno_input = true\nunverified = false\n\
                    password_file = \"p\"\noutput = \"json\"\nencoding = \"hex\"\ncolor = \"never\"\ntimeout = \"9s\"\n\
                    account = \"dev3\"\nendpoint = \"http://127.0.0.1:1\"\nnetwork = \"devnet\"\ndevnet_port = 7300\n";
    std::fs::write(home.join("config.toml"), settings).unwrap();
    let file = net.network_file();
    let with_settings = |arguments: &[&str]| {
        net.command().env("DB3_HOME", &home).arg("--network").arg(&file).args(arguments).output().unwrap()
    };
    let shown: Value = serde_json::from_slice(&with_settings(&["account", "show"]).stdout).unwrap();
    assert_eq!(shown["name"], "dev3");
    let nobody = with_settings(&["--timeout", "1s", "scan", "nothing"]);
    assert_eq!(nobody.status.code(), Some(3), "nobody is at that endpoint");
}
