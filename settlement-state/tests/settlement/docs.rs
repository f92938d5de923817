//! docs/settlement-state.md shows the key and the leaf of every object of the settlement chain by an example. The
//! examples are leaves of a state that is executed here.
//!
//! The test fills the examples into the text again, and compares. After a change on purpose: `DB3_UPDATE_DOCS=1 cargo
//! test -p db3-settlement-state docs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use db3_primitives::hash::hex_text;
use db3_primitives::leaf::settlement::FEE_POOL;
use db3_primitives::{CreditEntry, Epoch};
use db3_primitives::{Heartbeat, LineEntry, PassedLeaf, PostingKind, ShardId, Tai, TransactionOperation, key};
use db3_settlement_state::{Genesis, SettlementState};
use db3_state_tree::Tree;

use crate::governance;
use crate::support::{EPOCH_SECS, FIRST_EPOCH, Net, account, actor, genesis};

const DOCUMENT: &str = "../docs/settlement-state.md";

/// A state in which every object has a leaf, and the leaf of a posting.
struct Example {
    state: SettlementState,
    posting: Vec<u8>,
}

fn example() -> Example {
    let (alice, bob, carol) = (actor(1), actor(2), actor(3));
    let accounts = vec![
        account(alice.address, 1_000_000_000, 500_000_000, &[(0, 200_000_000)]),
        account(bob.address, 250_000_000, 0, &[]),
        // She will owe, and so stay marked as due.
        account(carol.address, 500, 4_000, &[(0, 4_000)]),
    ];
    let validators = governance::validators();
    let mut net = Net::with(1, |sources| Genesis { round_accounts_max: 1, validators, ..genesis(sources, accounts) });
    net.settle();
    governance::later(&mut net, 1_000);
    let deposit = TransactionOperation::Deposit { to: bob.address, amount: Tai::new(50_000_000) };
    let allocate = TransactionOperation::Allocate { shard: ShardId::new(0), want: Tai::new(5_000_000) };
    // Nonce 3 before nonce 2.
    let signed = [
        net.sign(&bob, vec![deposit]),
        crate::support::sign(&bob, &net.transaction(&bob, db3_primitives::Nonce::new(3), vec![allocate])),
    ];
    net.block(1, &[], &signed);
    let mut posting = Vec::new();
    for (epoch, spent) in [(FIRST_EPOCH, 1_500_000), (FIRST_EPOCH + 1, 2_000_000)] {
        let mut stated = [(alice.address, spent), (bob.address, spent / 2), (carol.address, 3_000)];
        stated.sort();
        for (account, spent) in stated {
            net.state_of(0, account, spent);
        }
        // A shard that has heard nothing of the cut.
        let mut close = net.close_of(0, epoch);
        close.inbox_cursor = 2;
        net.now = net.now.max((epoch + 1) * EPOCH_SECS);
        net.close(0, &close);
        net.carry(0);
        let effects = if epoch == FIRST_EPOCH { net.settle() } else { vec![net.block(1, &[], &[])] };
        let postings = effects.iter().flat_map(|effects| &effects.postings);
        let mut rounds = postings.filter(|(_, posting)| posting.kind == PostingKind::Round);
        posting = rounds.next().unwrap().1.to_bytes();
    }
    governance::another_factor(&mut net);
    net.state_of(0, alice.address.max(bob.address), 2_100_000);
    net.carry(0);
    assert!(net.state.round().running.is_some());
    Example { state: net.state, posting }
}

fn hex(bytes: &[u8]) -> String {
    hex_text(bytes).trim_start_matches("0x").to_owned()
}

/// What a key begins with: up to its first slash, or all of it.
fn kind(key: &[u8]) -> &[u8] {
    key.split_inclusive(|byte| *byte == b'/').next().unwrap()
}

impl Example {
    /// For every kind of key the leaf with the longest value, and of those the first in which most bytes are not zero.
    fn objects(&self) -> BTreeMap<String, (Vec<u8>, Vec<u8>)> {
        let weight = |leaf: &[u8]| (leaf.len(), leaf.iter().filter(|byte| **byte != 0).count());
        let mut objects: BTreeMap<String, (Vec<u8>, Vec<u8>)> = BTreeMap::new();
        for (key, leaf) in self.state.tree().range(&[], None) {
            let kind = String::from_utf8(kind(key).to_vec()).unwrap();
            let fees = key == key::payout(FEE_POOL);
            if !fees && objects.get(&kind).is_none_or(|(_, best)| weight(leaf) > weight(best)) {
                objects.insert(kind, (key.to_vec(), leaf.to_vec()));
            }
        }
        objects
    }

    /// The tables of a section, by what its title says in backquotes.
    fn tables(&self, title: &str) -> Vec<Vec<u8>> {
        let word = title.split('`').nth(1).unwrap_or_else(|| panic!("{title} names no key"));
        match word {
            "Posting" => vec![self.posting.clone()],
            "Line" => {
                let entry = LineEntry { account: actor(1).address, ceiling: Tai::new(200_000_000) };
                vec![CreditEntry::Line(entry).to_bytes()]
            }
            "Heartbeat" => {
                let lease = Epoch::new(FIRST_EPOCH + 3);
                let heartbeat = Heartbeat { epoch: Epoch::new(FIRST_EPOCH - 1), lease, inbox_cursor: 9 };
                vec![CreditEntry::Heartbeat(heartbeat).to_bytes()]
            }
            "passed/" => {
                let leaf = PassedLeaf::beginning(40).forgiving(41);
                vec![key::passed(ShardId::new(0)), leaf.to_bytes()]
            }
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
fn docs_show_every_object_of_the_settlement_chain_as_execution_stores_it() {
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
            "docs/settlement-state.md; if on purpose: DB3_UPDATE_DOCS=1 cargo test -p db3-settlement-state docs"
        );
    }
    assert_eq!(text, rendered);
    for kind in example.objects().keys() {
        assert!(text.contains(&format!("`{kind}`")), "docs/settlement-state.md says nothing of {kind}");
    }
}

#[test]
fn docs_list_leaves_that_hash_to_the_root_they_name() {
    let text = std::fs::read_to_string(DOCUMENT).unwrap();
    let block =
        |name: &str| text.split(&format!("```{name}\n")).nth(1).unwrap().split("```").next().unwrap().to_owned();
    let bytes = |digits: &str| -> Vec<u8> {
        let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    };
    let leaves = block("leaves");
    let pairs = leaves.lines().map(|line| line.split_once(' ').unwrap());
    let tree = Tree::new().apply(pairs.map(|(key, leaf)| (bytes(key), Some(bytes(leaf)))).collect()).unwrap();
    assert_eq!(hex(&tree.root()), block("root").trim());
    SettlementState::from_tree(tree).unwrap();
}
