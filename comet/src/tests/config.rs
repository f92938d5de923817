//! Settings, folders and files.

use base64::Engine as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::network::{genesis, settings};
use crate::limits::SOCKET_PATH_BYTES_MAX;
use crate::{
    AbciAddress, Binary, COMETBFT_VERSION, CometError, CometSettings, Layout, StateSyncSettings, keys, write_config,
};

fn sync() -> StateSyncSettings {
    StateSyncSettings {
        trust_height: 7,
        trust_hash: format!("0x{}", "ab".repeat(32)),
        peers: vec!["http://one:1".to_owned(), "http://two:2".to_owned()],
        trust_hours: 24,
    }
}

#[test]
fn settings_go_through_toml_and_back_and_unknown_ones_are_refused() {
    let settings = CometSettings { state_sync: Some(sync()), ..settings() };
    let json = serde_json::to_value(&settings).unwrap();
    assert_eq!(serde_json::from_value::<CometSettings>(json.clone()).unwrap(), settings);
    let mut more = json;
    more["timeout_comit_ms"] = 5.into();
    assert!(serde_json::from_value::<CometSettings>(more).is_err());
    assert_eq!(serde_json::from_str::<CometSettings>("{}").unwrap(), CometSettings::default());
}

#[test]
fn settings_that_cannot_be_are_named() {
    type Change = fn(&mut CometSettings);
    let wrong: [(&str, Change); 12] = [
        ("p2p_listen", |s| s.p2p_listen = "nowhere".to_owned()),
        ("p2p_external", |s| s.p2p_external = "a\"b:1".to_owned()),
        ("persistent_peers", |s| s.persistent_peers = vec!["abc@host:1".to_owned()]),
        ("abci", |s| s.abci = "grpc://localhost:1".to_owned()),
        // Whoever connects there drives the application.
        ("abci", |s| s.abci = "tcp://0.0.0.0:26658".to_owned()),
        ("abci", |s| s.abci = "tcp://192.0.2.1:26658".to_owned()),
        ("abci", |s| s.abci = "tcp://localhost:26658".to_owned()),
        ("priv_validator_laddr", |s| s.priv_validator_laddr = Some("tcp://a,b:1".to_owned())),
        ("log_level", |s| s.log_level = "info\"".to_owned()),
        ("timeout_commit_ms", |s| s.timeout_commit_ms = 0),
        ("state_sync.trust_hash", |s| s.state_sync = Some(StateSyncSettings { trust_hash: "ab".to_owned(), ..sync() })),
        ("state_sync.peers", |s| {
            let one = "http://one:1".to_owned();
            s.state_sync = Some(StateSyncSettings { peers: vec![one.clone(), one], ..sync() });
        }),
    ];
    for (expected, change) in wrong {
        let mut settings = settings();
        assert!(settings.check().is_ok());
        change(&mut settings);
        match settings.check() {
            Err(CometError::Setting { name, .. }) => assert_eq!(name, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[test]
fn what_is_written_is_read_by_cometbft_and_signing_state_is_never_overwritten() {
    let home = tempfile::tempdir().unwrap();
    let layout = Layout::new(home.path()).unwrap();
    let settings = CometSettings { state_sync: Some(sync()), ..settings() };
    let abci = layout.abci_address(&settings).unwrap();
    let servers = Some(["127.0.0.1:1001".parse().unwrap(), "127.0.0.1:1002".parse().unwrap()]);
    let genesis = genesis(&[[1; 32]]);
    write_config(&layout, &settings, &abci, &genesis, servers).unwrap();
    let config = std::fs::read_to_string(layout.config().join("config.toml")).unwrap();
    assert!(config.contains(&format!("trust_hash = \"{}\"", "ab".repeat(32))));
    assert!(config.contains("rpc_servers = \"http://127.0.0.1:1001,http://127.0.0.1:1002\""));
    // CometBFT itself reads it, with the keys that it names, and says who the node is.
    let binary = Binary::find(&settings).unwrap();
    let asked = std::process::Command::new(binary.path())
        .args(["show-node-id", "--home"])
        .arg(layout.comet_home())
        .output()
        .unwrap();
    let keys = keys::ensure(home.path()).unwrap();
    assert_eq!(String::from_utf8_lossy(&asked.stdout).trim(), keys.node_id_hex());
    let shown = std::process::Command::new(binary.path())
        .args(["show-validator", "--home"])
        .arg(layout.comet_home())
        .output()
        .unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let public = base64::engine::general_purpose::STANDARD.encode(keys.validator);
    assert_eq!(shown["value"].as_str().unwrap(), public);

    let state = layout.data().join("priv_validator_state.json");
    std::fs::write(&state, "{\"height\": \"9\"}").unwrap();
    write_config(&layout, &settings, &abci, &genesis, None).unwrap();
    assert_eq!(std::fs::read_to_string(&state).unwrap(), "{\"height\": \"9\"}");
    let config = std::fs::read_to_string(layout.config().join("config.toml")).unwrap();
    assert!(!config.contains("[statesync]"), "there is nowhere to ask");
}

#[test]
fn strangers_take_no_place_from_the_peers_that_the_settings_name() {
    let home = tempfile::tempdir().unwrap();
    let layout = Layout::new(home.path()).unwrap();
    let ids = ["0a", "B1"].map(|byte| byte.repeat(20));
    let peers = ids.iter().zip([1, 2]).map(|(id, host)| format!("{id}@192.0.2.{host}:26656")).collect();
    let settings = CometSettings { persistent_peers: peers, ..settings() };
    let abci = layout.abci_address(&settings).unwrap();
    write_config(&layout, &settings, &abci, "{}", None).unwrap();
    let config = std::fs::read_to_string(layout.config().join("config.toml")).unwrap();
    assert!(config.contains(&format!("\nunconditional_peer_ids = \"{}\"\n", ids.join(",").to_lowercase())), "{config}");
}

#[test]
fn where_a_signer_elsewhere_has_the_validators_key_none_is_made_here() {
    let home = tempfile::tempdir().unwrap();
    let layout = Layout::new(home.path()).unwrap();
    let laddr = Some("tcp://127.0.0.1:26659".to_owned());
    let settings = CometSettings { priv_validator_laddr: laddr, ..CometSettings::default() };
    let abci = layout.abci_address(&settings).unwrap();
    write_config(&layout, &settings, &abci, "{}", None).unwrap();
    assert!(keys::node_key_file(home.path()).exists() && !keys::validator_key_file(home.path()).exists());
    let config = std::fs::read_to_string(layout.config().join("config.toml")).unwrap();
    assert!(config.contains("priv_validator_laddr = \"tcp://127.0.0.1:26659\""));
    // CometBFT makes a key where it is told to look for one: not where ours would be.
    assert!(config.contains("priv_validator_key_file = \"data/unused_validator_key.json\""), "{config}");
    let hex = "ab".repeat(32);
    assert_eq!(keys::parse_public(&hex), Some([0xab; 32]));
    assert_eq!(keys::parse_public("q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="), Some([0xab; 32]));
    assert_eq!((keys::parse_public(&hex[2..]), keys::parse_public("key")), (None, None));
}

#[test]
fn keys_are_made_once_and_are_their_owners_alone() {
    let home = tempfile::tempdir().unwrap();
    let first = keys::ensure(home.path()).unwrap();
    assert_eq!(keys::ensure(home.path()).unwrap(), first);
    for file in [keys::validator_key_file(home.path()), keys::node_key_file(home.path())] {
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(keys::load_validator_key(home.path()).unwrap().public_key(), first.validator);
    std::fs::write(keys::node_key_file(home.path()), "{}").unwrap();
    assert!(matches!(keys::ensure(home.path()), Err(CometError::Key { .. })));
}

#[test]
fn sockets_stand_elsewhere_when_the_folder_has_a_long_path() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("x".repeat(90));
    std::fs::create_dir(&long).unwrap();
    let layout = Layout::new(&long).unwrap();
    layout.make_folders().unwrap();
    let AbciAddress::Unix(socket) = layout.abci_address(&settings()).unwrap() else { panic!("a socket") };
    assert!(socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX);
    assert!(!socket.starts_with(&long));
    assert_eq!(std::fs::metadata(layout.sockets()).unwrap().permissions().mode() & 0o777, 0o700);
    let other = folder.path().join("y".repeat(90));
    std::fs::create_dir(&other).unwrap();
    assert_ne!(Layout::new(&other).unwrap().sockets(), layout.sockets());
    std::fs::remove_dir(layout.sockets()).unwrap();
}

#[test]
fn a_folder_whose_path_has_a_comma_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("a,b");
    std::fs::create_dir(&home).unwrap();
    assert!(matches!(Layout::new(&home), Err(CometError::Setting { name: "home", .. })));
}

#[test]
fn another_version_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("cometbft");
    std::fs::write(&program, "#!/bin/sh\necho 1.0.1\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let settings = CometSettings { binary: Some(program), ..settings() };
    let error = Binary::find(&settings).unwrap_err();
    assert!(matches!(&error, CometError::OtherVersion { found, .. } if found == "1.0.1"));
    assert!(error.to_string().contains("scripts/install-cometbft"), "{error}");
    let settings = CometSettings { binary: Some(PathBuf::from("/nowhere/cometbft")), ..settings };
    assert!(matches!(Binary::find(&settings), Err(CometError::Run { .. })));
}

#[test]
fn the_script_installs_the_version_that_is_spoken_to() {
    let script = "../scripts/install-cometbft";
    let script = std::fs::read_to_string(script).unwrap();
    assert!(script.contains(&format!("\nversion={COMETBFT_VERSION}\n")));
}
