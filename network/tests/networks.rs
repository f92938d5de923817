//! Networks of validators from plan to homes: the same bytes wherever they are built, and what is wrong is named.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use db3_comet::{CometSettings, keys};
use db3_genesis::{AppState, GenesisDocument, NetworkFile, NetworkKind};
use db3_network::folder::{self, GenesisFolder};
use db3_network::join::{JoinInput, validator_here};
use db3_network::{
    Candidate, CandidateChain, Funded, HostPort, KeysInput, NetworkError, Plan, Roster, Validator, build, warnings,
};
use db3_primitives::{Address, BlockTime, ShardId, Tai};
use proptest::prelude::*;

const DEV0: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

fn plan(shards: u32) -> Plan {
    let time = BlockTime::parse_rfc3339("2026-01-31T09:30:00Z").unwrap();
    let mut plan = Plan::new("mine".parse().unwrap(), shards, NonZeroU64::new(600).unwrap(), time);
    let account = |number: u8| Funded {
        account: Address::new([number; 20]),
        balance: Tai::new(1_000),
        credit: Tai::new(u128::from(number)),
    };
    plan.accounts = vec![account(201), account(202)];
    plan
}

/// A validator whose keys nobody has: what stands in the files is all that building looks at.
fn validator(plan: &Plan, number: u8, power: u64) -> Validator {
    let chain = |(at, chain_id): (usize, db3_primitives::ChainId)| {
        let at = u8::try_from(at).unwrap();
        let host = HostPort::parse(&format!("v{number}.example:{}", 26_656 + u16::from(at)), 1).unwrap();
        CandidateChain {
            chain_id,
            pubkey: *keyed(number, at).public_key().first_chunk().unwrap(),
            node_id: [number.wrapping_mul(16).wrapping_add(at); 20],
            p2p: host,
            endpoint: Some(format!("https://v{number}.example:{}", 7_300 + u16::from(at))),
        }
    };
    let candidate = Candidate {
        network: plan.network.clone(),
        shards: plan.shards,
        name: format!("v{number}"),
        operator: Address::new([number + 100; 20]),
        payout: Address::new([number / 2 + 150; 20]),
        chains: plan.chains().enumerate().map(chain).collect(),
    };
    Validator { power, candidate }
}

fn keyed(number: u8, at: u8) -> db3_light_client::build::ValidatorKey {
    db3_light_client::build::ValidatorKey::from_seed([number.wrapping_mul(16).wrapping_add(at); 32])
}

fn roster(plan: &Plan, numbers: &[u8]) -> Result<Roster, NetworkError> {
    Roster::new(plan, numbers.iter().map(|number| validator(plan, *number, u64::from(*number) + 9)).collect(), "test")
}

fn document(files: &std::collections::BTreeMap<String, String>, name: &str) -> GenesisDocument {
    GenesisDocument::from_json(files[name].as_bytes(), Path::new(name)).unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, NetworkError>) -> (String, String) {
    match result {
        Err(NetworkError::Field { field, expected, .. }) => (field, expected),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn neither_the_order_of_validators_nor_that_of_accounts_changes_a_byte(
        numbers in Just((1u8..=7).collect::<Vec<_>>()).prop_shuffle(),
        shards in 1u32..4,
    ) {
        let plan = plan(shards);
        let mut turned = plan.clone();
        turned.accounts.reverse();
        let turned = Plan::from_toml(&turned.to_toml().unwrap(), "plan.toml").unwrap();
        let sorted = build(&plan, &roster(&plan, &[1, 2, 3, 4, 5, 6, 7]).unwrap()).unwrap();
        let shuffled = build(&turned, &roster(&turned, &numbers).unwrap()).unwrap();
        prop_assert_eq!(sorted, shuffled);
    }

    #[test]
    fn no_text_makes_a_plan_or_a_validator_panic(text in "\\PC{0,200}", at in 0usize..2_000) {
        let plan = plan(1);
        let _ = Plan::from_toml(&text, "plan.toml");
        let _ = Validator::from_toml(&text, "v.toml");
        let whole = validator(&plan, 1, 1).to_toml().unwrap();
        let cut: String = whole.chars().take(at).chain(text.chars()).collect();
        let _ = Validator::from_toml(&cut, "v.toml");
    }
}

#[test]
fn each_chain_holds_the_first_validators_of_the_others() {
    let plan = plan(2);
    let built = build(&plan, &roster(&plan, &[3, 1, 2]).unwrap()).unwrap();
    let names: Vec<&str> = built.files.keys().map(String::as_str).collect();
    let expected = [
        "mine-settlement.json",
        "mine-shard-0.json",
        "mine-shard-1.json",
        "network.toml",
        "plan.toml",
        "validators.toml",
    ];
    assert_eq!(names, expected);
    let settlement = document(&built.files, "mine-settlement.json");
    let AppState::Settlement(state) = settlement.app_state() else { panic!("a settlement chain") };
    for (at, name) in ["mine-shard-0.json", "mine-shard-1.json"].into_iter().enumerate() {
        let shard = document(&built.files, name);
        let AppState::Shard(own) = shard.app_state() else { panic!("a shard") };
        let keys = |document: &GenesisDocument| -> Vec<String> {
            document.validators().iter().map(|validator| hex::encode(validator.pubkey)).collect()
        };
        let of_peer = |peer: &db3_genesis::PeerEntry| -> Vec<String> {
            peer.validators.iter().map(|validator| validator.pubkey.clone()).collect()
        };
        assert_eq!(of_peer(&own.peers[0]), keys(&settlement));
        assert_eq!(of_peer(&state.peers[at]), keys(&shard));
        assert_eq!(own.peers[0].trusting_period_secs, plan.trusting_period_secs);
        assert_ne!(keys(&shard), keys(&settlement), "a key for each chain");
    }
    let network = NetworkFile::from_toml(&built.files["network.toml"], Path::new("network.toml")).unwrap();
    assert_eq!(network.kind, NetworkKind::Validators);
    let endpoints = &network.shard(ShardId::new(1)).unwrap().endpoints;
    assert_eq!(endpoints, &["https://v1.example:7302", "https://v2.example:7302", "https://v3.example:7302"]);
}

#[test]
fn pools_are_paid_to_the_validators_payout_accounts_by_power() {
    let plan = plan(1);
    let built = build(&plan, &roster(&plan, &[2, 3, 4]).unwrap()).unwrap();
    let settlement = document(&built.files, "mine-settlement.json");
    let AppState::Settlement(state) = settlement.app_state() else { panic!("a settlement chain") };
    let shares: Vec<(String, u64)> =
        state.payouts[0].iter().map(|entry| (entry.address.clone(), entry.power)).collect();
    // Validators 2 and 3 are paid at one account.
    let account = |number: u8| Address::new([number; 20]).to_string();
    assert_eq!(shares, [(account(151), 11 + 12), (account(152), 13)]);
    assert_eq!(state.payouts[0], state.payouts[1]);
    assert_eq!(state.treasury, account(151), "the first validator's, since the plan names none");
    let operators: Vec<Address> = settlement.operators().iter().map(|operator| operator.operator).collect();
    assert_eq!(operators, [Address::new([102; 20]), Address::new([103; 20]), Address::new([104; 20])]);
}

#[test]
fn a_plan_reads_as_it_was_written_and_names_what_is_wrong() {
    let plan = plan(2);
    let text = plan.to_toml().unwrap();
    assert_eq!(Plan::from_toml(&text, "plan.toml").unwrap(), plan);
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} is not in {text}");
        Plan::from_toml(&text.replacen(from, to, 1), "plan.toml")
    };
    assert_eq!(refused(changed("shards = 2", "shards = 0")).0, "shards");
    assert_eq!(refused(changed("epoch_secs = 600", "epoch_secs = 0")).0, "epoch_secs");
    assert_eq!(refused(changed("time = \"2026", "time = \"year 2026")).0, "time");
    assert_eq!(refused(changed("\"mine\"", "\"Mine!\"")).0, "network");
    assert_eq!(
        refused(changed("trusting_period_secs = 604800", "trusting_period_secs = 3599")).0,
        "trusting_period_secs"
    );
    assert_eq!(refused(changed("format = 1", "format = 2")).0, "format");
    let account = Address::new([201; 20]).to_string();
    let (field, expected) = refused(changed(&account, DEV0));
    assert!(field == "accounts[0].address" && expected.contains("everybody has the key"), "{expected}");
    assert_eq!(refused(changed(&account, &Address::new([202; 20]).to_string())).0, "accounts[1].address");
    assert!(matches!(changed("shards = 2", "shards = 2\nspeed = 9"), Err(NetworkError::Malformed { .. })));
    let credit = changed("factor_denominator = 1", "factor_denominator = 0").unwrap();
    let error = build(&credit, &roster(&credit, &[1]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("mine-settlement") && error.contains("factor_denominator"), "{error}");
}

#[test]
fn money_that_no_sum_can_hold_makes_no_network() {
    let mut plan = plan(2);
    plan.accounts[0].balance = Tai::new(u128::MAX);
    let error = build(&plan, &roster(&plan, &[1]).unwrap()).unwrap_err();
    assert!(matches!(error, NetworkError::State { .. }), "{error}");
}

#[test]
fn what_belongs_to_two_validators_is_refused() {
    let plan = plan(1);
    let both = |change: &dyn Fn(&mut Candidate, &Candidate)| {
        let one = validator(&plan, 1, 10);
        let mut other = validator(&plan, 2, 10);
        change(&mut other.candidate, &one.candidate);
        Roster::new(&plan, vec![one, other], "test")
    };
    assert!(both(&|_, _| {}).is_ok());
    let field = |change: &dyn Fn(&mut Candidate, &Candidate)| refused(both(change)).0;
    assert_eq!(field(&|other, one| other.name.clone_from(&one.name)), "name of v1");
    assert_eq!(field(&|other, one| other.chains[1].pubkey = one.chains[1].pubkey), "pubkey of v2");
    assert_eq!(field(&|other, one| other.chains[1].pubkey = one.chains[0].pubkey), "pubkey of v2");
    assert_eq!(field(&|other, one| other.chains[0].node_id = one.chains[1].node_id), "node_id of v2");
    assert_eq!(field(&|other, one| other.chains[0].p2p = one.chains[0].p2p.clone()), "p2p of v2");
    assert_eq!(field(&|other, one| other.chains[0].endpoint.clone_from(&one.chains[0].endpoint)), "endpoint of v2");
    assert_eq!(field(&|other, _| other.shards = 2), "network of v2");
    assert_eq!(refused(Roster::new(&plan, Vec::new(), "test")).0, "validators");
    let heavy = Validator { power: 1 << 60, ..validator(&plan, 1, 1) };
    assert_eq!(refused(Roster::new(&plan, vec![heavy], "test")).0, "power");
}

#[test]
fn a_validators_file_names_what_is_wrong() {
    let plan = plan(1);
    let whole = validator(&plan, 1, 10);
    let text = whole.to_toml().unwrap();
    assert_eq!(Validator::from_toml(&text, "v1.toml").unwrap(), whole);
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} is not in {text}");
        Validator::from_toml(&text.replacen(from, to, 1), "v1.toml")
    };
    assert_eq!(refused(changed("power = 10", "power = 0")).0, "power");
    assert_eq!(refused(changed("name = \"v1\"", "name = \"../v1\"")).0, "name");
    assert_eq!(refused(changed("mine-shard-0", "mine-shard-1")).0, "chains[1].chain_id");
    assert_eq!(refused(changed("v1.example:26656", "v1.example")).0, "chains[0].p2p");
    assert_eq!(refused(changed("v1.example:26656", "v1,example:26656")).0, "chains[0].p2p");
    assert_eq!(refused(changed("https://v1.example:7300", "v1.example:7300")).0, "chains[0].endpoint");
    assert_eq!(refused(changed("pubkey = \"", "pubkey = \"0")).0, "chains[0].pubkey");
    assert_eq!(refused(changed("node_id = \"", "node_id = \"x")).0, "chains[0].node_id");
    let operator = Address::new([101; 20]).to_string();
    assert_eq!(refused(changed(&operator, DEV0)).0, "operator");
    assert_eq!(refused(changed(&operator, &Address::new([0; 20]).to_string())).0, "operator");
    // The public file says nothing of power.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v1.toml");
    fs::write(&path, &text).unwrap();
    assert_eq!(refused(Candidate::load(&path)).0, "power");
    fs::write(&path, whole.candidate.to_toml().unwrap()).unwrap();
    assert_eq!(Candidate::load(&path).unwrap(), whole.candidate);
}

#[test]
fn a_genesis_folder_that_was_touched_is_told() {
    let plan = plan(1);
    let built = build(&plan, &roster(&plan, &[1, 2]).unwrap()).unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("genesis");
    folder::write(&path, &built).unwrap();
    folder::write(&path, &built).unwrap();
    let whole = folder::check(&path).unwrap();
    assert_eq!(whole.built, built);
    folder::check_hash(&whole, &built.hash).unwrap();
    assert!(folder::check_hash(&whole, &[7; 32]).unwrap_err().to_string().contains("another network"));
    let told = |name: &str, from: &str, to: &str| {
        let file = path.join(name);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        fs::write(&file, text.replacen(from, to, 1)).unwrap();
        let error = folder::check(&path).unwrap_err().to_string();
        fs::write(&file, text).unwrap();
        error
    };
    let power = told("mine-shard-0.json", "\"power\": \"10\"", "\"power\": \"11\"");
    assert!(power.contains("validators[0].power") && power.contains("`11`") && power.contains("`10`"), "{power}");
    let price = told("mine-shard-0.json", "\"per_mutation_tai\": \"", "\"per_mutation_tai\": \"9");
    assert!(price.contains("app_state.prices.per_mutation_tai"), "{price}");
    let broken = told("mine-settlement.json", "\"shards\": 1", "\"shards\": two");
    assert!(broken.contains("line"), "{broken}");
    assert!(told("mine-settlement.json", "  ", " ").contains("other bytes"));
    let endpoint = told("network.toml", "https://v1.example:7300", "https://evil.example:7300");
    assert!(endpoint.contains("network.toml") && endpoint.contains("take it anew"), "{endpoint}");
    let changed_plan = told("plan.toml", "epoch_secs = 600", "epoch_secs = 601");
    assert_eq!(changed_plan.lines().count(), 3, "every file that does not fit is told: {changed_plan}");
    assert!(told("validators.toml", "power = 10", "power = 0").contains("power"));
    let stranger = path.join("notes.txt");
    fs::write(&stranger, "x").unwrap();
    assert!(folder::check(&path).unwrap_err().to_string().contains("notes.txt"));
    assert!(matches!(folder::write(&path, &built), Err(NetworkError::Taken { .. })));
    fs::remove_file(&stranger).unwrap();
    fs::remove_file(path.join("network.toml")).unwrap();
    assert!(folder::check(&path).unwrap_err().to_string().contains("network.toml"));
    assert!(folder::check(&temporary.path().join("nowhere")).is_err());
}

#[test]
fn what_is_worth_a_second_look_is_told() {
    let plan = plan(1);
    let told = |powers: &[u64], change: &dyn Fn(&mut Validator)| {
        let validators = powers.iter().zip(1u8..).map(|(power, number)| validator(&plan, number, *power));
        let mut validators: Vec<Validator> = validators.collect();
        change(&mut validators[0]);
        warnings(&plan, &Roster::new(&plan, validators, "test").unwrap()).join("\n")
    };
    assert!(!told(&[1, 1, 1, 1], &|_| {}).contains("holds"));
    assert!(told(&[2, 1, 1, 1], &|_| {}).contains("v1 holds 2 of 5, a third or more"));
    assert!(told(&[7, 1, 1, 1], &|_| {}).contains("it decides alone"));
    let local = told(&[1, 1, 1, 1], &|one| one.candidate.chains[0].p2p = "127.0.0.1:1".parse().unwrap());
    assert!(local.contains("v1: no other machine"), "{local}");
    assert!(told(&[1], &|one| one.candidate.chains[1].endpoint = None).contains("mine-shard-0 has no endpoint"));
}

/// A network of two validators whose keys are made in a folder.
struct Network {
    folder: tempfile::TempDir,
    genesis: GenesisFolder,
}

impl Network {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(1);
        let candidate = |name: &str, port: u16| {
            let input = KeysInput {
                plan: &plan,
                name,
                p2p_address: &format!("127.0.0.1:{port}"),
                endpoint: Some("http://127.0.0.1"),
                operator: Address::new([101; 20]),
                payout: Address::new([102; 20]),
                keys: &folder.path().join(name),
            };
            input.candidate().unwrap()
        };
        let alice = candidate("alice", 26_656);
        let mut bob = candidate("bob", 26_756);
        bob.chains.iter_mut().for_each(|chain| chain.endpoint = None);
        let validators = [alice, bob].map(|candidate| Validator { power: 10, candidate });
        let roster = Roster::new(&plan, validators.to_vec(), "test").unwrap();
        let path = folder.path().join("genesis");
        folder::write(&path, &build(&plan, &roster).unwrap()).unwrap();
        Self { genesis: folder::check(&path).unwrap(), folder }
    }

    fn keys(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn join(&self, homes: &str, validator: Option<(&str, &Path)>) -> Result<db3_network::join::Joined, NetworkError> {
        let input = JoinInput {
            folder: &self.genesis,
            homes: &self.folder.path().join(homes),
            validator,
            listen: SocketAddr::from(([127, 0, 0, 1], 7_400)),
            p2p_port: 27_000,
            programs: Path::new("/opt/db3"),
        };
        input.join()
    }
}

#[test]
fn keys_made_twice_are_the_same_and_are_secret() {
    let network = Network::new();
    let plan = &network.genesis.plan;
    let input = KeysInput {
        plan,
        name: "alice",
        p2p_address: "127.0.0.1",
        endpoint: Some("http://127.0.0.1"),
        operator: Address::new([101; 20]),
        payout: Address::new([102; 20]),
        keys: &network.keys("alice"),
    };
    let again = input.candidate().unwrap();
    assert_eq!(again, network.genesis.roster.find("alice").unwrap().candidate);
    let text = again.to_toml().unwrap();
    for chain in plan.chains() {
        let file = keys::validator_key_file(&network.keys("alice").join(chain.as_str()));
        let secret: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        assert!(!text.contains(secret["priv_key"]["value"].as_str().unwrap()));
    }
    for (wrong, field) in [
        (KeysInput { name: "Alice", ..input }, "name"),
        (KeysInput { p2p_address: "http://a", ..input }, "host"),
        (KeysInput { p2p_address: "a:65535", ..input }, "port"),
        (KeysInput { endpoint: Some("a.example"), ..input }, "url"),
        (KeysInput { operator: DEV0.parse().unwrap(), ..input }, "account"),
        (KeysInput { payout: DEV0.parse().unwrap(), ..input }, "account"),
    ] {
        assert_eq!(refused(wrong.candidate()).0, field);
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
    let comet: CometSettings = settings["cometbft"].clone().try_into().unwrap();
    comet.check().unwrap();
    let bob = &network.genesis.roster.find("bob").unwrap().candidate.chains[1];
    assert_eq!(comet.persistent_peers, [bob.peer()]);
    assert_eq!((comet.p2p_listen.as_str(), comet.p2p_external.as_str()), ("127.0.0.1:26657", "127.0.0.1:26657"));
    assert!(comet.private_network);
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
