//! The expected results of `tests/vectors/tree.json`, made by an independent program. `DB3_VECTORS` names another folder.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod naive;

use std::path::Path;

use db3_state_tree::{EMPTY_ROOT, LeafValue, Proof, Side, Tree, verify_absence, verify_existence, verify_range};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    empty_root: String,
    states: Vec<State>,
    histories: Vec<History>,
}

#[derive(Deserialize)]
struct State {
    name: String,
    records: Vec<(String, String)>,
    root: String,
    #[serde(default)]
    existence: Vec<Existence>,
    #[serde(default)]
    absence: Vec<Absence>,
    range: Option<Range>,
}

#[derive(Deserialize)]
struct Existence {
    key: String,
    leaf: String,
    path: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    prefix: String,
    suffix: String,
}

#[derive(Deserialize)]
struct Absence {
    key: String,
    left: Option<String>,
    right: Option<String>,
}

#[derive(Deserialize)]
struct Range {
    from: String,
    to: String,
    keys: Vec<String>,
}

#[derive(Deserialize)]
struct History {
    name: String,
    steps: Vec<HistoryStep>,
}

#[derive(Deserialize)]
struct HistoryStep {
    batch: Vec<(String, Option<String>)>,
    root: String,
    records: u64,
}

fn load() -> File {
    let folder = std::env::var("DB3_VECTORS").unwrap_or_else(|_| "../tests/vectors".into());
    let path = Path::new(&folder).join("tree.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn hash(text: &str) -> [u8; 32] {
    hex(text).try_into().unwrap()
}

fn tree_of(records: &[(String, String)]) -> Tree {
    naive::tree(&records.iter().map(|(key, value)| (hex(key), hex(value))).collect())
}

#[test]
fn vectors_of_states_have_these_roots() {
    let file = load();
    assert_eq!(hash(&file.empty_root), EMPTY_ROOT);
    assert_eq!(Tree::new().root(), EMPTY_ROOT);
    for state in &file.states {
        let tree = tree_of(&state.records);
        assert_eq!(tree.root(), hash(&state.root), "{}", state.name);
        assert_eq!(tree.len(), state.records.len() as u64, "{}", state.name);
    }
}

#[test]
fn vectors_of_existence_have_these_leaves_and_paths() {
    for state in load().states {
        let tree = tree_of(&state.records);
        for expected in &state.existence {
            let key = hex(&expected.key);
            let Proof::Exists(proof) = tree.prove(&key) else { panic!("{}: {}", state.name, expected.key) };
            assert_eq!(naive::leaf(&key, &proof.value), hash(&expected.leaf));
            let path: Vec<_> = proof
                .path
                .iter()
                .map(|step| match step.side {
                    Side::Left => ([&[1][..], &step.sibling].concat(), vec![]),
                    Side::Right => (vec![1], step.sibling.to_vec()),
                })
                .collect();
            let expected: Vec<_> = expected.path.iter().map(|step| (hex(&step.prefix), hex(&step.suffix))).collect();
            assert_eq!(path, expected, "{}", state.name);
            assert_eq!(verify_existence(&hash(&state.root), &key, tree.get(&key).unwrap(), &proof), Ok(()));
        }
    }
}

#[test]
fn vectors_of_absence_have_these_neighbours() {
    for state in load().states {
        let tree = tree_of(&state.records);
        for expected in &state.absence {
            let key = hex(&expected.key);
            let Proof::Absent(proof) = tree.prove(&key) else { panic!("{}: {}", state.name, expected.key) };
            assert_eq!(proof.left.as_ref().map(|left| hex::encode(&left.key)), expected.left, "{}", state.name);
            assert_eq!(proof.right.as_ref().map(|right| hex::encode(&right.key)), expected.right, "{}", state.name);
            assert_eq!(verify_absence(&hash(&state.root), &key, &proof), Ok(()));
        }
    }
}

#[test]
fn vectors_of_ranges_have_these_keys_and_are_proved_complete() {
    for state in load().states {
        let tree = tree_of(&state.records);
        let Some(expected) = &state.range else { continue };
        let (from, to) = (hex(&expected.from), hex(&expected.to));
        let keys: Vec<_> = tree.range(&from, Some(&to)).map(|(key, _)| hex::encode(key)).collect();
        assert_eq!(keys, expected.keys, "{}", state.name);
        let records: Vec<_> = tree.range(&from, Some(&to)).map(|(key, value)| (key, LeafValue::Bytes(value))).collect();
        let proof = tree.prove_range(&from, Some(&to), usize::MAX).proof.to_bytes();
        assert_eq!(verify_range(&hash(&state.root), &from, Some(&to), &records, &proof), Ok(()), "{}", state.name);
    }
}

#[test]
fn vectors_of_histories_have_these_roots_after_each_step() {
    for history in load().histories {
        let mut tree = Tree::new();
        for (number, step) in history.steps.iter().enumerate() {
            let mut batch: Vec<_> =
                step.batch.iter().map(|(key, value)| (hex(key), value.as_deref().map(hex))).collect();
            batch.sort();
            tree = tree.apply(batch).unwrap();
            assert_eq!(tree.root(), hash(&step.root), "{}, step {number}", history.name);
            assert_eq!(tree.len(), step.records, "{}, step {number}", history.name);
        }
    }
}
