//! docs/state.md shows the key and the leaf of every object by an example. The examples are leaves of a state that is
//! executed here.
//!
//! The test fills the examples into the text again, and compares. After a change on purpose: `DB3_UPDATE_DOCS=1 cargo
//! test -p db3-shard-state docs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroU64;

use db3_primitives::hash::hex_text;
use db3_primitives::{
    Bill, BlockTime, CreditEntry, Epoch, Heartbeat, Height, LineEntry, LogEntry, Mutation, Namespace, Operation, Tai,
};
use db3_shard_state::{Effects, Executor, Outcome, ShardState};
use db3_state_tree::Tree;

use crate::governance;
use crate::settlement::{ALL, Settlement};
use crate::support::{
    Actor, Chain, Genesis, actor, genesis, key, log_entry, mutation, namespace, put, sign_bytes, table,
};

const DOCUMENT: &str = "../docs/state.md";
/// 2026-01-01, a boundary of epochs.
const GENESIS_SECS: u64 = 1_767_225_600;

/// A state in which every object has a leaf, and the leaves of its logs.
struct Example {
    state: ShardState,
    bill: Bill,
    statement: Vec<u8>,
    close: Vec<u8>,
    line: Vec<u8>,
    heartbeat: Vec<u8>,
}

fn example() -> Example {
    let (alice, bob) = (actor(1), actor(2));
    let setup = Genesis {
        network: "devnet".parse().unwrap(),
        epoch_secs: NonZeroU64::new(600).unwrap(),
        genesis_time: BlockTime::from_secs(GENESIS_SECS),
        lease_epoch: GENESIS_SECS / 600 + 1_000,
        close_accounts_max: 1,
        ..genesis(&[(alice.address, 1_000_000_000), (bob.address, 250_000_000)])
    };
    let mut chain = governance::governed_by_three(Chain::new(&setup));
    let mut settlement = Settlement::of(&setup);
    settlement.time = GENESIS_SECS;
    let line = LineEntry { account: alice.address, ceiling: Tai::new(1_000_000_000) };
    let [settled, lease] = [GENESIS_SECS / 600 - 1, GENESIS_SECS / 600 + 1_000].map(Epoch::new);
    let heartbeat = Heartbeat { epoch: settled, lease, inbox_cursor: 0 };
    settlement.says(&[CreditEntry::Line(line), CreditEntry::Heartbeat(heartbeat)]);
    let signed = |actor: &Actor, space: &Namespace, nonce: u64, operations: Vec<Operation>| {
        let base = mutation(actor, nonce, operations);
        let mutation = Mutation {
            network: "devnet".parse().unwrap(),
            namespace: space.clone(),
            expire_unix_secs: GENESIS_SECS + 3_600,
            ..base
        };
        sign_bytes(actor, &mutation, format!("example {nonce}").into_bytes(), 232)
    };
    let notes = namespace("notes");
    let create = vec![
        Operation::CreateNamespace,
        Operation::CreateTable { table: table("cities") },
        put("cities", "berlin", "Spree"),
        put("cities", "bonn", "Rhein"),
        Operation::Delete { table: table("cities"), key: key("bonn"), if_version: None },
    ];
    let own = Namespace::own(&bob.address);
    let news = settlement.tells(&chain, ALL);
    let (height, time) = (Height::new(1), BlockTime::from_secs(GENESIS_SECS + 1));
    let mut executor = Executor::begin(&chain.state, height, time, &[governance::deed(3)]);
    let _ = executor.deliver(&news).unwrap();
    let _ = executor.govern(&governance::later(&chain, 1_000, &[1, 2])).unwrap();
    for mutation in [signed(&alice, &notes, 1, create), signed(&bob, &own, 1, vec![put("t", "k", "v")])] {
        assert!(matches!(executor.apply(&mutation), Outcome::Applied(_)));
    }
    let first = chain.take(1, executor);
    // Nonce 3 before nonce 2.
    chain.block(1, &[signed(&alice, &notes, 3, vec![put("cities", "berlin", "Spree, Havel")])]);
    let effects = [chain.block(600, &[signed(&bob, &own, 2, vec![put("t", "k", "w")])]), chain.block(1, &[])];
    let heartbeat = Heartbeat { epoch: Epoch::new(settled.get() + 1), inbox_cursor: 2, ..heartbeat };
    settlement.says(&[CreditEntry::Heartbeat(heartbeat)]);
    assert!(chain.hear(&settlement.tells(&chain, ALL)).deliveries[0].refused.is_empty());
    // The next close: one account visited, one to go.
    chain.block(600, &[signed(&bob, &own, 3, vec![put("t", "k", "x")])]);
    assert!(chain.state.emission().is_some());
    let entries = || effects.iter().flat_map(|effects: &Effects| &effects.entries).map(log_entry);
    let statement = entries().find(|entry| matches!(entry, LogEntry::Statement(_))).unwrap().to_bytes();
    let close = entries().find(|entry| matches!(entry, LogEntry::EpochClose(_))).unwrap().to_bytes();
    Example {
        state: chain.state,
        bill: first.bills[0].clone(),
        statement,
        close,
        line: line.to_bytes(),
        heartbeat: heartbeat.to_bytes(),
    }
}

fn hex(bytes: &[u8]) -> String {
    hex_text(bytes).trim_start_matches("0x").to_owned()
}

/// What a key begins with: up to its first slash, or all of it.
fn kind(key: &[u8]) -> &[u8] {
    key.split_inclusive(|byte| *byte == b'/').next().unwrap()
}

impl Example {
    /// For every kind of key the leaf with the longest value.
    fn objects(&self) -> BTreeMap<String, (Vec<u8>, Vec<u8>)> {
        let mut objects: BTreeMap<String, (Vec<u8>, Vec<u8>)> = BTreeMap::new();
        for (key, leaf) in self.state.tree().range(&[], None) {
            let kind = String::from_utf8(kind(key).to_vec()).unwrap();
            if objects.get(&kind).is_none_or(|(_, longest)| leaf.len() > longest.len()) {
                objects.insert(kind, (key.to_vec(), leaf.to_vec()));
            }
        }
        objects
    }

    /// The tables of a section, by what its title says in backquotes.
    fn tables(&self, title: &str) -> Vec<Vec<u8>> {
        let word = title.split('`').nth(1).unwrap_or_else(|| panic!("{title} names no key"));
        match word {
            "Bill" => vec![self.bill.to_bytes()],
            "Statement" => vec![self.statement.clone()],
            "EpochClose" => vec![self.close.clone()],
            "Line" => vec![self.line.clone()],
            "Heartbeat" => vec![self.heartbeat.clone()],
            kind => {
                let (key, leaf) =
                    self.objects().remove(kind).unwrap_or_else(|| panic!("no leaf has a key like {kind}"));
                vec![key, leaf]
            }
        }
    }

    fn all_leaves(&self) -> String {
        let mut text = String::new();
        for (key, leaf) in self.state.tree().range(&[], None) {
            writeln!(text, "{} {}", hex(key), hex(leaf)).unwrap();
        }
        text
    }
}

/// Puts the example's bytes into the third column of a table: as many as the second column says; where that is no
/// number, as many as the row above (`length of …`) says, or the rest.
fn fill(rows: &[String], bytes: &[u8]) -> Vec<String> {
    let (mut rest, mut announced) = (bytes, None);
    let mut filled = Vec::new();
    for row in rows {
        let columns: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let count = columns[1].parse().ok().or(announced).unwrap_or(rest.len());
        let (part, after) = rest.split_at_checked(count).unwrap_or_else(|| panic!("{row}: {count} of {}", rest.len()));
        announced = columns[0].starts_with("length of").then(|| usize::from(part[0]));
        rest = after;
        let shown = if part.is_empty() { String::new() } else { format!("`{}`", hex(part)) };
        filled.push(format!("| {} | {} | {shown} |", columns[0], columns[1]));
    }
    assert!(rest.is_empty(), "{} bytes are not described: {rows:?}", rest.len());
    filled
}

/// The text with all examples computed anew.
fn render(text: &str, example: &Example) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut tables = Vec::new().into_iter();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("### ") {
            assert!(tables.next().is_none(), "a table is missing before {title}");
            tables = example.tables(title).into_iter();
        }
        out.push(line.to_owned());
        if line.starts_with("| part ") {
            out.push(lines.next().unwrap().to_owned());
            let mut rows = Vec::new();
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                rows.push(row.to_owned());
            }
            out.extend(fill(&rows, &tables.next().expect("a table too many")));
        }
        if line == "```leaves" {
            while lines.next_if(|line| *line != "```").is_some() {}
            out.extend(example.all_leaves().lines().map(str::to_owned));
        }
        if line == "```root" {
            while lines.next_if(|line| *line != "```").is_some() {}
            out.push(hex(&example.state.root()));
        }
    }
    assert!(tables.next().is_none(), "a table is missing at the end");
    out.join("\n") + "\n"
}

#[test]
fn docs_state_shows_every_object_as_execution_stores_it() {
    let example = example();
    let text = std::fs::read_to_string(DOCUMENT).unwrap();
    let rendered = render(&text, &example);
    if std::env::var("DB3_UPDATE_DOCS").is_ok() {
        std::fs::write(DOCUMENT, &rendered).unwrap();
        return;
    }
    for (shown, computed) in text.lines().zip(rendered.lines()) {
        assert_eq!(
            shown, computed,
            "docs/state.md; if on purpose: DB3_UPDATE_DOCS=1 cargo test -p db3-shard-state docs"
        );
    }
    assert_eq!(text, rendered);
    for kind in example.objects().keys() {
        assert!(text.contains(&format!("`{kind}`")), "docs/state.md says nothing of {kind}");
    }
}

#[test]
fn docs_state_lists_leaves_that_hash_to_the_root_it_names() {
    let text = std::fs::read_to_string(DOCUMENT).unwrap();
    let block =
        |name: &str| text.split(&format!("```{name}\n")).nth(1).unwrap().split("```").next().unwrap().to_owned();
    let bytes = |digits: &str| -> Vec<u8> {
        digits
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    };
    let leaves = block("leaves");
    let batch: Vec<_> = leaves
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(key, leaf)| (bytes(key), Some(bytes(leaf))))
        .collect();
    let tree = Tree::new().apply(batch).unwrap();
    assert_eq!(hex(&tree.root()), block("root").trim());
    ShardState::from_tree(tree).unwrap();
}
