//! `db3-genesis` as it is typed: every example of every `--help`, and exit codes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_db3-genesis");
const COMMANDS: [&str; 6] = ["init", "keys", "add-validator", "build", "check", "join"];
const ALICE: &str = "0x52908400098527886E0F7030069857D2E4169EE7";
const DEV0: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

/// Runs a line as a shell would, in a folder that is its user's home too.
fn line(folder: &Path, line: &str) -> Output {
    let typed = line.replacen("db3-genesis", PROGRAM, 1);
    let mut shell = Command::new("sh");
    // Help is wrapped at the width of the terminal, and so would be the examples.
    shell.env("HOME", folder).env_remove("DB3_HOME").env("COLUMNS", "1000");
    shell.args(["-c", &typed]).current_dir(folder);
    shell.output().unwrap()
}

#[track_caller]
fn done(folder: &Path, typed: &str) -> String {
    let output = line(folder, typed);
    assert!(output.status.success(), "{typed}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(folder: &Path, typed: &str, code: i32) -> String {
    let output = line(folder, typed);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{typed}\n{told}");
    told
}

/// The examples that end the help of a command, continued lines joined.
fn examples(folder: &Path, command: &str) -> Vec<String> {
    let help = done(folder, &format!("db3-genesis {command} --help")).replace("\\\n", " ");
    let (_, examples) = help.split_once("Examples:").unwrap_or_else(|| panic!("{command} has no examples"));
    examples.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn every_example_of_the_help_does_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    for command in COMMANDS {
        let examples = examples(folder.path(), command);
        assert_eq!(examples.len(), 2, "{command}: {examples:?}");
        for example in examples {
            done(folder.path(), &example);
        }
    }
    assert!(folder.path().join("homes/mine-shard-1/config/priv_validator_key.json").exists());
    assert!(folder.path().join("bob/units/db3-mine-settlement.service").exists());
    // Whose machine it is, is not guessed from what was left of their keys' folders.
    let join = "db3-genesis join ./follower --genesis ./mine-genesis";
    assert!(refused(folder.path(), join, 2).contains("--no-validator"));
    done(folder.path(), &format!("{join} --no-validator"));
    assert!(folder.path().join("follower/mine-settlement/config/node.toml").exists());
    assert!(!folder.path().join("follower/mine-settlement/config/priv_validator_key.json").exists());
    refused(folder.path(), &format!("{join} --no-validator --validator alice"), 2);
}

/// The command that makes a validator's keys.
fn keys(name: &str, more: &str) -> String {
    format!("db3-genesis keys --name {name} --p2p-address {name}.example --operator {ALICE} --payout {ALICE} {more}")
}

/// A network of one, made in `made`, and its genesis folder alone beside it.
fn a_network_of_alice(here: &Path) {
    std::fs::create_dir(here.join("made")).unwrap();
    let made = here.join("made");
    done(&made, "db3-genesis init mine --shards 1");
    done(&made, &keys("alice", "--out alice.toml --keys ./alice"));
    done(&made, "db3-genesis add-validator alice.toml --power 10");
    done(&made, "db3-genesis build");
    std::fs::rename(made.join("genesis"), here.join("genesis")).unwrap();
}

/// Every file under a folder with its bytes.
fn files(folder: &Path) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(next) = pending.pop() {
        // A folder counts too: none may be left behind.
        found.insert(next.clone(), Vec::new());
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                found.insert(path, bytes);
            }
        }
    }
    found
}

#[test]
fn a_validator_that_comes_later_makes_keys_and_homes_with_the_genesis_folder_alone() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    a_network_of_alice(here);
    let told = refused(here, &keys("dave", "--out dave.toml"), 2);
    assert!(told.contains("--genesis"), "{told}");
    // Whose name is taken comes under another.
    let told = refused(here, &keys("alice", "--out dave.toml --genesis genesis"), 2);
    assert!(told.contains("alice has it"), "{told}");
    assert!(!here.join(".db3").exists() && !here.join("dave.toml").exists(), "nothing was made");
    let told = done(here, &keys("dave", "--out dave.toml --genesis genesis"));
    assert!(told.contains("db3 governance propose shard-0.json --shard 0 --add-validator dave.toml=POWER"), "{told}");
    // It is the one whose keys are here.
    let joined = done(here, "db3-genesis join homes --genesis genesis --port 7500 --output json");
    let joined: serde_json::Value = serde_json::from_str(&joined).unwrap();
    assert_eq!(joined["validator"], "dave");
    let public: toml::Table = std::fs::read_to_string(here.join("dave.toml")).unwrap().parse().unwrap();
    for (home, chain) in joined["homes"].as_array().unwrap().iter().zip(public["chains"].as_array().unwrap()) {
        let config = Path::new(home["home"].as_str().unwrap()).join("config");
        let key = db3_comet::keys::ensure(config.parent().unwrap()).unwrap();
        assert_eq!(hex::encode(key.validator), chain["pubkey"].as_str().unwrap());
        let settings = std::fs::read_to_string(config.join("node.toml")).unwrap();
        assert!(
            settings.contains("p2p_external = \"dave.example:") && settings.contains("@alice.example:"),
            "{settings}"
        );
    }
    // Whoever has neither keys nor a public file is nobody.
    assert!(
        refused(here, "db3-genesis join other --genesis genesis --validator carol", 2)
            .contains("expected one of alice")
    );
    assert!(!here.join("other").exists());
}

#[test]
fn keys_are_made_once_and_what_is_refused_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    a_network_of_alice(here);
    let nothing = files(here);
    let dave = |more: &str| keys("dave", &format!("--genesis genesis {more}"));
    for (more, told) in [
        ("--out nodir/dave.toml", "there is no nodir"),
        ("--out genesis", "--out"),
        ("--out genesis/plan.toml", "another file"),
        ("--out dave.toml --endpoint nowhere", "--endpoint"),
        ("--out dave.toml --signer-key mine-shard-0=q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=", "--signer-key"),
    ] {
        let said = refused(here, &dave(more), 2);
        assert!(said.contains(told), "{more}: {said}");
        assert_eq!(files(here), nothing, "{more}");
    }
    done(here, &dave("--out dave.toml"));
    // Until they are moved, the same keys again: under another address, and never in the place of another's.
    let first = std::fs::read_to_string(here.join("dave.toml")).unwrap();
    done(here, &keys("erin", "--genesis genesis --out erin.toml"));
    assert!(refused(here, &dave("--out erin.toml"), 2).contains("erin.toml is there already"));
    done(here, &dave("--out dave.toml --endpoint http://dave.example"));
    let second = std::fs::read_to_string(here.join("dave.toml")).unwrap();
    assert_eq!(second.replace("endpoint = ", "").lines().count(), first.lines().count() + 2);
    done(here, "db3-genesis join homes --genesis genesis --validator dave");
    let joined = files(here);
    for out in ["dave.toml", "again.toml"] {
        let told = refused(here, &dave(&format!("--out {out}")), 2);
        assert!(told.contains("keys/mine-dave/mine-settlement") && told.contains("--name"), "{told}");
        assert_eq!(files(here), joined, "nothing is lost, and nothing is made");
    }
}

#[test]
fn a_joined_home_names_the_cometbft_that_the_operator_installed() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    a_network_of_alice(here);
    let join = |homes: &str, with: &str| {
        let join = format!("db3-genesis join {homes} --genesis genesis");
        let typed = format!("env -u XDG_CACHE_HOME -u DB3_INSTALLED_BIN PATH=/usr/bin:/bin {with} {join}");
        let output = line(here, &typed);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{told}");
        let settings = std::fs::read_to_string(here.join(homes).join("mine-shard-0/config/node.toml")).unwrap();
        let settings: toml::Table = settings.parse().unwrap();
        (settings["cometbft"].get("binary").and_then(toml::Value::as_str).map(str::to_owned), told)
    };
    let (binary, told) = join("without", "");
    assert_eq!(binary, None);
    assert!(told.contains("scripts/install-cometbft") && told.contains("`binary` under [cometbft]"), "{told}");
    let program = here.join("installed/cometbft");
    std::fs::create_dir(here.join("installed")).unwrap();
    std::fs::write(&program, format!("#!/bin/sh\necho {}\n", db3_comet::COMETBFT_VERSION)).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for (homes, with) in [("named", "DB3_INSTALLED_BIN=$PWD/installed"), ("in-path", "PATH=installed:/usr/bin:/bin")] {
        let (binary, told) = join(homes, with);
        assert_eq!((binary.as_deref(), told.as_str()), (program.to_str(), ""));
    }
}

#[test]
fn a_folder_has_the_same_hash_whoever_builds_it_and_a_touched_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    done(here, "db3-genesis init mine --shards 1 --time 2026-01-31T09:30:00Z");
    for name in ["alice", "bob"] {
        done(
            here,
            &format!(
                "db3-genesis keys --name {name} --p2p-address {name}.example --operator {ALICE} --payout {ALICE} --out {name}.toml"
            ),
        );
    }
    let hash = |dir: &str, order: [&str; 2]| {
        for name in order {
            done(here, &format!("db3-genesis add-validator {name}.toml --power 10 --dir {dir}"));
        }
        let built: serde_json::Value =
            serde_json::from_str(&done(here, &format!("db3-genesis build --dir {dir} --output json"))).unwrap();
        built["hash"].as_str().unwrap().to_owned()
    };
    std::fs::create_dir(here.join("elsewhere")).unwrap();
    std::fs::copy(here.join("plan.toml"), here.join("elsewhere/plan.toml")).unwrap();
    let first = hash(".", ["alice", "bob"]);
    assert_eq!(hash("elsewhere", ["bob", "alice"]), first);
    done(here, &format!("db3-genesis check --hash {first}"));
    assert!(refused(here, &format!("db3-genesis check --hash 0x{}", "0".repeat(64)), 1).contains("another network"));
    let file = here.join("genesis/mine-shard-0.json");
    let text = std::fs::read_to_string(&file).unwrap().replacen("\"power\": \"10\"", "\"power\": \"11\"", 1);
    std::fs::write(&file, text).unwrap();
    let told = refused(here, "db3-genesis check", 1);
    assert!(told.contains("validators[0].power"), "{told}");
    refused(here, "db3-genesis join ./homes --validator alice", 1);
    assert!(!here.join("homes").exists());
}

#[test]
fn wrong_input_ends_with_2_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    assert!(refused(here, "db3-genesis build", 2).contains("db3-genesis init"));
    assert!(
        refused(here, &format!("db3-genesis init mine --shards 1 --treasury {DEV0}"), 2)
            .contains("everybody has the key")
    );
    assert!(!here.join("plan.toml").exists(), "a refused plan is not written");
    refused(here, "db3-genesis init Mine --shards 1", 2);
    refused(here, "db3-genesis init mine --shards 0", 2);
    done(here, "db3-genesis init mine --shards 1");
    assert!(refused(here, "db3-genesis init mine --shards 1", 2).contains("--dir"));
    assert!(refused(here, "db3-genesis build", 2).contains("add-validator"));
    let keys = |operator: &str| {
        format!(
            "db3-genesis keys --name alice --p2p-address a.example --operator {operator} --payout {ALICE} --out alice.toml"
        )
    };
    assert!(refused(here, &keys(DEV0), 2).contains("everybody has the key"));
    done(here, &keys(ALICE));
    refused(here, "db3-genesis add-validator alice.toml --power 0", 2);
    done(here, "db3-genesis add-validator alice.toml --power 10");
    assert!(refused(here, "db3-genesis add-validator alice.toml --power 10", 2).contains("--replace"));
    done(here, "db3-genesis add-validator alice.toml --power 20 --replace");
    let error = refused(here, "db3-genesis join homes --output json", 2);
    let object: serde_json::Value = serde_json::from_str(&error).unwrap();
    assert_eq!(object["error"]["exit_code"], 2);
}
