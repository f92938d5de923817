//! Keys.

use crate::net;

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
    let empty =
        net.command().env("DB3_PASSWORD", "").args(["--account", "maker", "put", "t", "k", "v"]).output().unwrap();
    let empty = (empty.status.code(), crate::network::text(&empty.stderr));
    assert!(empty.0 == Some(2) && empty.1.contains("DB3_PASSWORD is empty"), "{empty:?}");
    std::fs::write(net.path("short.txt"), "1234567890").unwrap();
    let short = net.fails(2, with(&["account", "import", "short", "short.txt"]));
    assert!(short.contains("64 hexadecimal digits") && !short.contains("1234567890"), "{short}");
    std::fs::write(net.path("zero.txt"), "0".repeat(64)).unwrap();
    let zero = net.fails(2, with(&["account", "import", "zero", "zero.txt"]));
    assert!(zero.contains("curve order") && zero.contains("db3 account new"), "{zero}");
    // It has no credit line, which the network says by name.
    let broke = net.fails(1, with(&["--account", "maker", "put", "t", "k", "v"]));
    assert!(broke.contains("212 LINE_MISSING"), "{broke}");
}
