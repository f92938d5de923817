//! A genesis folder that was touched, and what is worth a second look.

use std::fs;

use db3_network::{NetworkError, Roster, Validator, build, folder, warnings};
use db3_primitives::BlockTime;

use crate::support::{plan, roster, validator};

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
    assert!(broken.contains("line") && broken.matches("mine-settlement.json").count() == 1, "{broken}");
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
    fs::create_dir(&stranger).unwrap();
    let told = folder::check(&path).unwrap_err().to_string();
    assert!(told.contains("notes.txt") && told.contains("remove it"), "{told}");
    fs::remove_dir(&stranger).unwrap();
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
        warnings(&plan, &Roster::new(&plan, validators, "test").unwrap(), plan.time).join("\n")
    };
    assert!(!told(&[1, 1, 1, 1], &|_| {}).contains("holds"));
    assert!(told(&[2, 1, 1, 1], &|_| {}).contains("v1 holds 2 of 5, a third or more"));
    assert!(told(&[7, 1, 1, 1], &|_| {}).contains("it decides alone"));
    let local = told(&[1, 1, 1, 1], &|one| one.candidate.chains[0].p2p = "127.0.0.1:1".parse().unwrap());
    assert!(local.contains("v1: no other machine"), "{local}");
    assert!(told(&[1], &|one| one.candidate.chains[1].endpoint = None).contains("mine-shard-0 has no endpoint"));
    let roster = Roster::new(&plan, vec![validator(&plan, 1, 1)], "test").unwrap();
    let at = |days: u64| warnings(&plan, &roster, BlockTime::from_secs(plan.time.secs - days * 86_400)).join("\n");
    assert!(!at(30).contains("until then no node makes a block") && at(400).contains("in 400 days"));
}
