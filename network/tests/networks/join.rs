//! Keys of one's own or of a signer elsewhere, and the homes of a machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use db3_comet::{CometSettings, keys};
use db3_genesis::{GenesisDocument, NetworkFile, NetworkKind};
use db3_network::join::{JoinInput, Joined, validator_here};
use db3_network::moved::MoveInput;
use db3_network::{KeysInput, NetworkError};
use db3_primitives::{Address, ChainId};

use crate::support::{DEV0, Network, keyed, refused};

#[test]
fn keys_made_twice_are_the_same_and_are_secret() {
    let network = Network::new();
    let plan = &network.genesis.plan;
    let input = KeysInput {
        plan,
        roster: None,
        name: "alice",
        p2p_address: "127.0.0.1",
        endpoint: Some("http://127.0.0.1"),
        operator: Address::new([101; 20]),
        payout: Address::new([102; 20]),
        keys: &network.keys("alice"),
        signers: &BTreeMap::new(),
    };
    let again = input.prepare().unwrap().write(&network.folder.path().join("alice.toml")).unwrap();
    assert_eq!(again, network.genesis.roster.find("alice").unwrap().candidate);
    let text = again.to_toml().unwrap();
    for chain in plan.chains() {
        let file = keys::validator_key_file(&network.keys("alice").join(chain.as_str()));
        let secret: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        assert!(!text.contains(secret["priv_key"]["value"].as_str().unwrap()));
    }
    // 32 bytes that are no point of the curve.
    let no_keys = plan.chains().map(|chain| (chain, [2; 32])).collect();
    for (wrong, field) in [
        (KeysInput { name: "Alice", ..input }, "name"),
        (KeysInput { p2p_address: "http://a", ..input }, "host"),
        (KeysInput { p2p_address: "a:65535", ..input }, "port"),
        (KeysInput { endpoint: Some("a.example"), ..input }, "url"),
        (KeysInput { operator: DEV0.parse().unwrap(), ..input }, "account"),
        (KeysInput { payout: DEV0.parse().unwrap(), ..input }, "account"),
        (KeysInput { signers: &no_keys, ..input }, "mine-settlement"),
    ] {
        assert_eq!(refused(wrong.prepare().map(|_| ())).0, field);
    }
}

#[test]
fn a_joined_home_has_genesis_settings_keys_and_unit() {
    let network = Network::new();
    let keys_of_alice = network.keys("alice");
    let joined = network.join("homes", Some(("alice", &keys_of_alice))).unwrap();
    assert_eq!(joined.homes.iter().map(|home| home.listen.port()).collect::<Vec<_>>(), [7_400, 7_401]);
    let shard = &joined.homes[1];
    let document = GenesisDocument::load(&shard.genesis_file()).unwrap();
    assert_eq!(document.chain_id().as_str(), "mine-shard-0");
    let settings: toml::Table = fs::read_to_string(shard.path.join("config/node.toml")).unwrap().parse().unwrap();
    assert_eq!(settings["chain"]["engine"].as_str(), Some("cometbft"));
    assert_eq!(settings["serve"]["network_file"].as_str(), Some("../mine.toml"), "all of them can move together");
    let comet: CometSettings = settings["cometbft"].clone().try_into().unwrap();
    comet.check().unwrap();
    let bob = &network.genesis.roster.find("bob").unwrap().candidate.chains[1];
    assert_eq!(comet.persistent_peers, [bob.peer()]);
    assert_eq!((comet.p2p_listen.as_str(), comet.p2p_external.as_str()), ("127.0.0.1:26657", "127.0.0.1:26657"));
    assert!(comet.private_network);
    assert_eq!(comet.binary.as_deref(), Some(Path::new("/opt/comet/cometbft")), "whoever starts it");
    assert_eq!(settings["relay"]["endpoints"]["mine-settlement"][0].as_str(), Some("http://127.0.0.1:7400"));
    assert_eq!(NetworkFile::load(&joined.network_file).unwrap().kind, NetworkKind::Validators);
    let unit = fs::read_to_string(joined.units.join("db3-mine-shard-0.service")).unwrap();
    let start = format!("ExecStart=\"/opt/db3/shard-node\" start --home \"{}\"", shard.path.display());
    assert!(unit.contains(&start) && unit.contains("RestartPreventExitStatus=2 70") && !unit.contains('{'), "{unit}");
    // The keys moved: they are in one place, and only their owner reads them.
    let key = keys::validator_key_file(&shard.path);
    assert!(!keys::validator_key_file(&keys_of_alice.join("mine-shard-0")).exists());
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&key).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let alice = &network.genesis.roster.find("alice").unwrap().candidate.chains[1];
    assert_eq!(keys::ensure(&shard.path).unwrap().validator, alice.pubkey);
}

#[test]
fn joining_again_is_possible_until_the_node_has_begun() {
    let network = Network::new();
    let keys_of_alice = network.keys("alice");
    let alice = Some(("alice", keys_of_alice.as_path()));
    let first = network.join("homes", alice).unwrap();
    assert_eq!(network.join("homes", alice).unwrap().homes, first.homes);
    fs::create_dir(first.homes[1].path.join("data")).unwrap();
    assert!(matches!(network.join("homes", alice), Err(NetworkError::Taken { .. })));
    let other = Network::new();
    fs::write(other.genesis.path.parent().unwrap().join("x"), "").unwrap();
    fs::remove_dir(first.homes[1].path.join("data")).unwrap();
    fs::write(first.homes[0].genesis_file(), "{}").unwrap();
    assert!(matches!(network.join("homes", alice), Err(NetworkError::Taken { .. })));
}

#[test]
fn keys_that_are_missing_or_anothers_join_nothing() {
    let network = Network::new();
    let (keys_of_alice, nowhere) = (network.keys("alice"), network.keys("nowhere"));
    assert!(matches!(network.join("homes", Some(("alice", &nowhere))), Err(NetworkError::Missing { .. })));
    let (field, expected) = refused(network.join("homes", Some(("bob", &keys_of_alice))));
    assert!(field.contains("bob on mine-settlement") && expected.contains("genesis folder"), "{field} {expected}");
    assert_eq!(refused(network.join("homes", Some(("carol", &keys_of_alice)))).0, "name");
    assert!(!network.folder.path().join("homes").exists(), "nothing was made");
}

#[test]
fn the_validator_of_a_machine_is_the_one_whose_keys_are_there() {
    let network = Network::new();
    let (home, genesis) = (network.folder.path().join("db3"), &network.genesis);
    let here = |named: Option<&str>| validator_here(genesis, named, &home);
    assert_eq!(here(None).unwrap(), None);
    assert_eq!(here(Some("bob")).unwrap(), Some(("bob".to_owned(), home.join("keys/mine-bob"))));
    fs::create_dir_all(home.join("keys/mine-alice")).unwrap();
    fs::create_dir_all(home.join("keys/other-bob")).unwrap();
    assert_eq!(here(None).unwrap(), Some(("alice".to_owned(), home.join("keys/mine-alice"))));
    fs::create_dir_all(home.join("keys/mine-bob")).unwrap();
    assert!(refused(here(None)).1.contains("--validator"));
}

#[test]
fn a_node_without_keys_follows_every_validator() {
    let network = Network::new();
    let joined = network.join("homes", None).unwrap();
    assert_eq!(joined.homes[0].peers.len(), 2);
    assert_eq!((joined.homes[1].p2p_listen.as_str(), joined.homes[1].p2p_external.as_str()), ("127.0.0.1:27001", ""));
}

#[test]
fn a_node_without_power_does_not_take_over_a_home_that_signs() {
    let network = Network::new();
    let keys_of_alice = network.keys("alice");
    network.join("homes", Some(("alice", &keys_of_alice))).unwrap();
    let taken = network.join("homes", None).unwrap_err();
    assert!(matches!(taken, NetworkError::Taken { .. }) && taken.to_string().contains("--validator"), "{taken}");
    network.join("follower", None).unwrap();
    network.join("follower", None).unwrap();
    // The folder that the keys were moved from still stands; nobody's keys are in it.
    let told = network.join("second", Some(("alice", &keys_of_alice))).unwrap_err().to_string();
    assert!(told.contains("--no-validator"), "{told}");
}

/// A signer's key for every chain of the network.
fn signers(network: &Network) -> BTreeMap<ChainId, [u8; 32]> {
    network.genesis.plan.chains().zip(1..).map(|(chain, at)| (chain, keyed(9, at).public_key())).collect()
}

#[test]
fn keys_of_a_signer_elsewhere_stand_in_the_public_file_and_none_is_made_here() {
    let signers = signers(&Network::new());
    let network = Network::with_signer(&signers);
    let alice = &network.genesis.roster.find("alice").unwrap().candidate;
    assert!(alice.chains.iter().all(|chain| chain.pubkey == signers[&chain.chain_id]));
    for chain in signers.keys() {
        let folder = network.keys("alice").join(chain.as_str());
        assert!(keys::node_key_file(&folder).exists() && !keys::validator_key_file(&folder).exists());
    }
    // For every chain or for none, and none that is no chain's.
    let input = |signers| KeysInput {
        plan: &network.genesis.plan,
        roster: None,
        name: "carol",
        p2p_address: "127.0.0.1",
        endpoint: None,
        operator: Address::new([101; 20]),
        payout: Address::new([102; 20]),
        keys: Path::new("/nowhere"),
        signers,
    };
    let mut some = signers.clone();
    let (first, _) = some.pop_first().unwrap();
    let (field, expected) = refused(input(&some).prepare().map(|_| ()));
    assert!(field == "chains" && expected.contains(first.as_str()), "{field} {expected}");
    let other = BTreeMap::from([("other-shard-0".parse::<ChainId>().unwrap(), [1; 32])]);
    assert_eq!(refused(input(&other).prepare().map(|_| ())).0, "chain");
    // A key that is here would sign beside the signer.
    let bobs = network.keys("bob");
    let taken = KeysInput { keys: &bobs, ..input(&signers) }.prepare().map(|_| ());
    assert!(matches!(taken, Err(NetworkError::Taken { .. })), "{taken:?}");
}

#[test]
fn a_home_whose_blocks_a_signer_elsewhere_signs_has_no_validators_key_and_says_where_the_signer_connects() {
    let network = Network::with_signer(&signers(&Network::new()));
    let keys_of_alice = network.keys("alice");
    let alice = Some(("alice", keys_of_alice.as_path()));
    let told = network.join("homes", alice).unwrap_err().to_string();
    assert!(told.contains("--signer"), "{told}");
    let joined = network.join_with("homes", alice, Some("127.0.0.1:26600".parse().unwrap())).unwrap();
    for (home, port) in joined.homes.iter().zip(26_600..) {
        assert!(keys::node_key_file(&home.path).exists() && !keys::validator_key_file(&home.path).exists());
        let settings: toml::Table = fs::read_to_string(home.path.join("config/node.toml")).unwrap().parse().unwrap();
        let comet: CometSettings = settings["cometbft"].clone().try_into().unwrap();
        comet.check().unwrap();
        assert_eq!(comet.priv_validator_laddr, Some(format!("tcp://127.0.0.1:{port}")));
    }
    // Where the key is here, no signer may be asked.
    let bob = network.keys("bob");
    let taken = network.join_with("bob", Some(("bob", &bob)), Some("127.0.0.1:26600".parse().unwrap()));
    assert!(matches!(taken, Err(NetworkError::Taken { .. })), "{taken:?}");
}

#[test]
fn one_port_of_a_machine_is_not_given_twice() {
    let network = Network::with_signer(&signers(&Network::new()));
    let keys_of_alice = network.keys("alice");
    // Peers of the shard connect there.
    let signer = "127.0.0.1:26657".parse().unwrap();
    let (field, expected) = refused(network.join_with("homes", Some(("alice", &keys_of_alice)), Some(signer)));
    assert!(field.contains("p2p of mine-shard-0") && expected.contains("--signer"), "{field} {expected}");
    assert!(!network.folder.path().join("homes").exists(), "nothing was made");
}

#[test]
fn an_archive_keeps_every_block() {
    let network = Network::new();
    let kept = |joined: &Joined| {
        let text = fs::read_to_string(joined.homes[1].path.join("config/node.toml")).unwrap();
        text.parse::<toml::Table>().unwrap()["chain"].get("blocks_kept").and_then(toml::Value::as_integer)
    };
    let homes = network.folder.path().join("archive");
    assert_eq!(kept(&JoinInput { homes: &homes, archive: true, ..network.input(None, None) }.join().unwrap()), Some(0));
    assert_eq!(kept(&JoinInput { homes: &homes, ..network.input(None, None) }.join().unwrap()), None);
}

#[test]
fn homes_of_another_machine_become_this_ones_with_what_was_signed_and_not_without() {
    let network = Network::new();
    let keys_of_alice = network.keys("alice");
    let old = network.join("old", Some(("alice", &keys_of_alice))).unwrap();
    let file = old.homes[1].path.join("config/node.toml");
    let edited = fs::read_to_string(&file).unwrap().replace("\n[serve]", "\n[serve]\nmetrics = \"127.0.0.1:7501\"");
    fs::write(&file, edited).unwrap();
    let new = network.folder.path().join("new");
    fs::rename(network.folder.path().join("old"), &new).unwrap();
    fs::remove_dir_all(new.join("units")).unwrap();
    fs::remove_file(new.join("mine.toml")).unwrap();
    let input = MoveInput {
        folder: &network.genesis,
        homes: &new,
        p2p_address: Some("new.example"),
        programs: Path::new("/opt/new"),
        comet: Some(Path::new("/opt/new/cometbft")),
    };
    let told = input.take().unwrap_err().to_string();
    assert!(told.contains("priv_validator_state.json") && told.contains("second time"), "{told}");
    for home in &old.homes {
        let data = new.join(home.chain_id.as_str()).join("cometbft/data");
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("priv_validator_state.json"), "{}").unwrap();
    }
    let moved = input.take().unwrap();
    assert_eq!(moved.homes[1].p2p_external, "new.example:26657");
    assert!(NetworkFile::load(&moved.network_file).is_ok());
    let settings: toml::Table =
        fs::read_to_string(moved.homes[1].path.join("config/node.toml")).unwrap().parse().unwrap();
    assert_eq!(settings["serve"]["metrics"].as_str(), Some("127.0.0.1:7501"), "what was set stays");
    assert_eq!(settings["cometbft"]["p2p_external"].as_str(), Some("new.example:26657"));
    assert_eq!(settings["cometbft"]["binary"].as_str(), Some("/opt/new/cometbft"), "the old machine's is not here");
    let unit = fs::read_to_string(moved.units.join("db3-mine-shard-0.service")).unwrap();
    assert!(unit.contains(&format!("\"/opt/new/shard-node\" start --home \"{}\"", moved.homes[1].path.display())));
    let elsewhere = MoveInput { homes: &network.folder.path().join("nowhere"), ..input };
    assert!(matches!(elsewhere.take(), Err(NetworkError::Missing { .. })));
}
