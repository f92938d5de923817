//! What is made from a plan and its validators, and what makes none.

use std::fs;
use std::path::Path;

use db3_genesis::{AppState, GenesisDocument, NetworkFile, NetworkKind};
use db3_network::{Candidate, NetworkError, Plan, Roster, Validator, build};
use db3_primitives::{Address, ShardId, Tai};
use proptest::prelude::*;

use crate::support::{DEV0, document, plan, refused, roster, validator};

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
