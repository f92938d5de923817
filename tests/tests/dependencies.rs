//! The rules that Cargo.toml files must keep: dependencies point down only, what is pure stays pure, versions are
//! pinned in one place, and every licence is one that deny.toml allows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The layers of ARCHITECTURE.md, lowest first. A crate may depend on lower layers alone.
const LAYERS: &[&[&str]] = &[
    &["db3-primitives", "db3-console"],
    &["db3-state-tree", "db3-merkle-log", "db3-light-client"],
    &["db3-carry"],
    &["db3-governance"],
    &["db3-proto", "db3-shard-state", "db3-settlement-state"],
    &["db3-genesis", "db3-relay"],
    &["db3-comet"],
    &["db3-network"],
    &["db3-chain", "db3-client"],
    &["db3-node"],
    &["db3-shard-node", "db3-settlement-node"],
    &["db3-devnet"],
    &["db3-tests", "db3-benches"],
];

/// The crates below the line.
const PURE: &[&str] = &[
    "db3-primitives",
    "db3-state-tree",
    "db3-merkle-log",
    "db3-light-client",
    "db3-carry",
    "db3-governance",
    "db3-shard-state",
    "db3-settlement-state",
];

/// What no pure crate may reach, however indirectly.
const IMPURE: &[&str] = &["tokio", "tonic", "rocksdb", "librocksdb-sys", "rand", "rand_chacha", "async-std", "mio"];

fn root() -> PathBuf {
    Path::new("..").to_path_buf()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn metadata() -> serde_json::Value {
    serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--locked"])).unwrap()
}

fn members(metadata: &serde_json::Value) -> Vec<&serde_json::Value> {
    let ids: BTreeSet<&str> =
        metadata["workspace_members"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    metadata["packages"].as_array().unwrap().iter().filter(|p| ids.contains(p["id"].as_str().unwrap())).collect()
}

fn rank(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

/// The packages that `package` is built from, without build scripts, tests and macros.
fn reached(package: &str) -> BTreeSet<String> {
    cargo(&["tree", "--locked", "-p", package, "-e", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"])
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_crate_stands_in_a_layer_and_depends_on_lower_layers_alone() {
    let metadata = metadata();
    for package in members(&metadata) {
        let name = package["name"].as_str().unwrap();
        let own =
            rank(name).unwrap_or_else(|| panic!("{name} stands in no layer: add it to LAYERS and ARCHITECTURE.md"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            // A test may look sideways at what it checks with; it is no part of the product.
            if dependency["kind"] == "dev" {
                continue;
            }
            if let Some(theirs) = rank(other) {
                assert!(theirs < own, "{name} depends on {other}, which does not stand below it");
            }
        }
    }
}

#[test]
fn pure_crates_reach_no_runtime_no_store_and_no_randomness() {
    for package in PURE {
        let reached = reached(package);
        for impure in IMPURE {
            assert!(!reached.contains(*impure), "{package} reaches {impure}");
        }
        // Light clients stand in the states, and read what Tendermint's protobuf says; nobody else below the line does.
        let through_light_client = *package == "db3-light-client" || reached.contains("db3-light-client");
        assert!(through_light_client || !reached.contains("prost"), "{package} reaches prost");
    }
}

#[test]
fn pure_crates_name_no_clock_file_random_source_or_unordered_map() {
    // getrandom is linked through k256 (rfc6979 wants all of crypto-bigint), but nothing of ours may call it.
    let banned = [
        "std::fs",
        "SystemTime",
        "Instant::now",
        "HashMap",
        "HashSet",
        "getrandom",
        "OsRng",
        "std::env",
        "std::net",
        "f64",
        "f32",
    ];
    for package in PURE {
        let folder = root().join(package.trim_start_matches("db3-")).join("src");
        for (path, text) in sources(&folder) {
            for (number, line) in production_lines(&text) {
                let code = line.split("//").next().unwrap_or_default();
                for word in banned {
                    assert!(!code.contains(word), "{}:{number} names {word}: {line}", path.display());
                }
            }
        }
    }
}

/// The lines of a file before its `#[cfg(test)]` module; files under a `tests` module are left out by `sources`.
fn production_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_path_buf()];
    while let Some(next) = pending.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            if stem == "tests" || stem.ends_with("_tests") {
                continue;
            }
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

#[test]
fn one_crate_alone_knows_each_outside_thing() {
    let metadata = metadata();
    let owners: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("rocksdb", &["db3-chain"][..]),
        ("tendermint-abci", &["db3-chain", "db3-comet"][..]),
        ("tendermint-light-client-verifier", &["db3-light-client"][..]),
        ("secp256k1", &["db3-primitives"][..]),
        ("tonic-prost-build", &["db3-proto"][..]),
    ]);
    for package in members(&metadata) {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            if dependency["kind"] == "dev" || name == "db3-benches" {
                continue;
            }
            if let Some(allowed) = owners.get(dependency["name"].as_str().unwrap()) {
                assert!(allowed.contains(&name), "{name} depends on {}, which is {allowed:?}'s", dependency["name"]);
            }
        }
    }
}

#[test]
fn our_crates_name_each_other_through_the_workspace_and_pin_nothing_twice() {
    for layer in LAYERS {
        for name in *layer {
            let folder = name.trim_start_matches("db3-");
            let text = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
            let manifest: toml::Value = toml::from_str(&text).unwrap();
            // The peers that a benchmark is run beside belong to that package alone.
            if *name == "db3-benches" {
                continue;
            }
            for table in ["dependencies", "build-dependencies"] {
                let Some(dependencies) = manifest.get(table).and_then(toml::Value::as_table) else { continue };
                for (dependency, value) in dependencies {
                    let from_workspace = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                    assert!(from_workspace, "{name}: {dependency} takes its version from elsewhere than the workspace");
                }
            }
            let inherits = manifest["lints"].get("workspace").and_then(toml::Value::as_bool) == Some(true);
            assert!(inherits, "{name} does not inherit the workspace's lints");
        }
    }
}

#[test]
fn every_licence_and_every_source_is_one_that_deny_toml_allows() {
    let deny: toml::Value = toml::from_str(&std::fs::read_to_string(root().join("deny.toml")).unwrap()).unwrap();
    let allowed: BTreeSet<String> = deny["licenses"]["allow"]
        .as_array()
        .unwrap()
        .iter()
        .map(|licence| licence.as_str().unwrap().to_owned())
        .collect();
    let banned: BTreeSet<&str> =
        deny["bans"]["deny"].as_array().unwrap().iter().map(|entry| entry["crate"].as_str().unwrap()).collect();
    // What the product is built from; the peers of benches are not shipped.
    let mut product = BTreeSet::new();
    for layer in LAYERS {
        for name in layer.iter().filter(|name| **name != "db3-benches") {
            product.extend(reached(name));
        }
    }
    let metadata = metadata();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if !product.contains(name) {
            continue;
        }
        assert!(!banned.contains(name), "{name} is banned by deny.toml");
        if let Some(source) = package["source"].as_str() {
            assert!(source.starts_with("registry+"), "{name} comes from {source}");
        }
        let text = package["license"].as_str().unwrap_or_else(|| panic!("{name} states no licence"));
        let expression = spdx::Expression::parse_mode(text, spdx::ParseMode::LAX)
            .unwrap_or_else(|error| panic!("{name}: licence {text:?}: {error}"));
        let fine = expression.evaluate(|requirement| allowed.contains(&requirement.to_string()));
        assert!(fine, "{name}: licence {text:?} is not allowed by deny.toml");
    }
}
