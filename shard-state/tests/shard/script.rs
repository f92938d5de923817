//! A small language for scenarios: one line a step, columns separated by `|`, `#` begins a comment.
//!
//! ```text
//! lines alice=1000000 bob=5000      accounts with a line, by ceiling in tai; comes first
//! block 10                          the lines below form the next block, 10 s later
//! alice | notes | 1 | ns; table cities; put cities/berlin=x | ok | 0 0 1 | 3 99 872
//! same                              the last block changed no byte of the state
//! record notes/cities/berlin = x v1 alice
//! absent notes/cities/paris
//! spent alice 12345 2               sum in tai and number of bills
//! ```
//!
//! Columns of a mutation: sender, namespace (`own`: the sender's own), nonce, operations, what becomes of it (`ok`, or
//! the name of the rejection), and where wanted the versions, and the metered operations, key bytes and stored bytes.
//! Operations: `put T/K=V`, `insert T/K=V`, `update T/K=V`, `delete T/K`, `table T`, `ns`; ` @N` at the end is a
//! condition on the version. Options after the operations, in braces: `{max=5 expire=20 network=other}`.
//!
//! Whatever the table says, every step checks: a refusal has no fee, a failure has the code in its bill and pays for
//! no operation, and every fee is the sum that version 1 of the prices gives for what was metered.

use std::collections::BTreeMap;

use db3_primitives::{Metered, Mutation, Namespace, Nonce, Operation, Tai, Write};
use db3_shard_state::{Effects, Receipt, ReceiptOutcome};

use crate::support::{Actor, Chain, actor, genesis, key, mutation, namespace, sign, table};

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

pub fn name(text: &str) -> Actor {
    let position = NAMES.iter().position(|name| *name == text).unwrap_or_else(|| panic!("who is {text}?"));
    actor(u8::try_from(position).unwrap() + 1)
}

struct Expected {
    line: String,
    outcome: String,
    versions: Option<String>,
    meters: Option<String>,
    bytes: u32,
}

/// Runs a scenario. Gives back the chain for what a table cannot say.
pub fn run(script: &str) -> Chain {
    let mut runner = Runner { chain: None, block: None, root_before: [0; 32], now: 0 };
    for line in script.lines().map(|line| line.split('#').next().unwrap().trim()).filter(|line| !line.is_empty()) {
        runner.line(line);
    }
    runner.end_block();
    runner.chain.expect("a scenario has lines")
}

struct Runner {
    chain: Option<Chain>,
    block: Option<(u64, Vec<(db3_primitives::VerifiedMutation, Expected)>)>,
    root_before: [u8; 32],
    now: u64,
}

impl Runner {
    fn line(&mut self, line: &str) {
        if line.contains('|') {
            let step = self.step(line);
            self.block.as_mut().expect("block first").1.push(step);
            return;
        }
        self.end_block();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "lines" => {
                let lines: Vec<_> = rest
                    .split_whitespace()
                    .map(|entry| entry.split_once('=').unwrap())
                    .map(|(who, ceiling)| (name(who).address, ceiling.parse().unwrap()))
                    .collect();
                let chain = Chain::new(&genesis(&lines));
                self.now = chain.time;
                self.chain = Some(chain);
            }
            "block" => {
                let secs = rest.trim().parse().unwrap();
                self.now += secs;
                self.block = Some((secs, Vec::new()));
            }
            "same" => assert_eq!(self.chain().state.root(), self.root_before, "the block changed the state"),
            "record" => self.record(rest),
            "absent" => assert!(self.find(rest.trim()).is_none(), "{line}"),
            "spent" => {
                let mut words = rest.split_whitespace();
                let leaf = self.chain().state.account(&name(words.next().unwrap()).address).unwrap();
                assert_eq!(leaf.spent, words.next().unwrap().parse().unwrap(), "{line}");
                assert_eq!(leaf.bill_count, words.next().unwrap().parse::<u64>().unwrap(), "{line}");
            }
            other => panic!("{other} is no word of a scenario"),
        }
    }

    fn chain(&self) -> &Chain {
        self.chain.as_ref().expect("lines first")
    }

    fn step(&self, line: &str) -> (db3_primitives::VerifiedMutation, Expected) {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let sender = name(columns[0]);
        let (operations, options) = columns[3].split_once('{').unwrap_or((columns[3], ""));
        let options: BTreeMap<&str, &str> =
            options.trim_end_matches('}').split_whitespace().map(|option| option.split_once('=').unwrap()).collect();
        let operations = operations.split(';').map(str::trim).filter(|text| !text.is_empty()).map(operation).collect();
        let base = mutation(&sender, columns[2].parse().unwrap(), operations);
        let mutation = Mutation {
            namespace: if columns[1] == "own" { Namespace::own(&sender.address) } else { namespace(columns[1]) },
            nonce: Nonce::new(columns[2].parse().unwrap()),
            expire_unix_secs: options
                .get("expire")
                .map_or(self.now + 60, |secs| self.now.saturating_add_signed(secs.parse().unwrap())),
            max_fee: options.get("max").map_or(base.max_fee, |max| max.parse().unwrap()),
            network: options.get("network").map_or(base.network.clone(), |network| network.parse().unwrap()),
            ..base
        };
        let verified = sign(&sender, &mutation);
        let expected = Expected {
            line: line.to_owned(),
            outcome: columns[4].to_owned(),
            versions: columns.get(5).filter(|text| !text.is_empty()).map(|text| (*text).to_owned()),
            meters: columns.get(6).filter(|text| !text.is_empty()).map(|text| (*text).to_owned()),
            bytes: verified.bytes(),
        };
        (verified, expected)
    }

    fn end_block(&mut self) {
        let Some((secs, steps)) = self.block.take() else { return };
        let chain = self.chain.as_mut().expect("lines first");
        self.root_before = chain.state.root();
        let (mutations, expected): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
        let effects = chain.block(secs, &mutations);
        assert_eq!(effects.receipts.len(), expected.len());
        for (receipt, expected) in effects.receipts.iter().zip(&expected) {
            check(receipt, &effects, expected);
        }
    }

    fn find(&self, path: &str) -> Option<(db3_primitives::RecordHeader, Vec<u8>)> {
        let mut parts = path.splitn(3, '/');
        let space = parts.next().unwrap();
        let space = NAMES
            .iter()
            .find(|name| **name == space)
            .map_or_else(|| namespace(space), |_| Namespace::own(&name(space).address));
        let (in_table, record) = (table(parts.next().unwrap()), key(parts.next().unwrap()));
        self.chain().state.record(&space, &in_table, &record).map(|(header, value)| (header, value.to_vec()))
    }

    fn record(&self, text: &str) {
        let (path, rest) = text.split_once(" = ").unwrap();
        let words: Vec<&str> = rest.split_whitespace().collect();
        let (header, value) = self.find(path.trim()).unwrap_or_else(|| panic!("no record: {text}"));
        assert_eq!(String::from_utf8_lossy(&value), words[0], "{text}");
        assert_eq!(format!("v{}", header.version), words[1], "{text}");
        assert_eq!(header.owner, name(words[2]).address, "{text}");
    }
}

fn operation(text: &str) -> Operation {
    let (text, if_version) = match text.split_once(" @") {
        Some((text, version)) => (text.trim(), Some(version.trim().parse().unwrap())),
        None => (text, None),
    };
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    let write = || {
        let (path, value) = rest.split_once('=').unwrap();
        let (in_table, record) = path.split_once('/').unwrap();
        Write { table: table(in_table), key: key(record), value: value.as_bytes().to_vec(), if_version }
    };
    match word {
        "put" => Operation::Put(write()),
        "insert" => Operation::Insert(write()),
        "update" => Operation::Update(write()),
        "delete" => {
            let (in_table, record) = rest.split_once('/').unwrap();
            Operation::Delete { table: table(in_table), key: key(record), if_version }
        }
        "table" => Operation::CreateTable { table: table(rest) },
        "ns" => Operation::CreateNamespace,
        other => panic!("{other} is no operation"),
    }
}

fn check(receipt: &Receipt, effects: &Effects, expected: &Expected) {
    let line = &expected.line;
    let bill = effects.bills.iter().find(|bill| bill.index == receipt.index);
    let (outcome, failed) = match &receipt.outcome {
        ReceiptOutcome::Applied => ("ok", false),
        ReceiptOutcome::Failed(rejection) => (rejection.name(), true),
        ReceiptOutcome::Refused(rejection) => {
            assert!(
                bill.is_none() && receipt.fee == Tai::ZERO && receipt.bill_seq.is_none(),
                "{line}: a refusal is free"
            );
            assert!(!rejection.charged(), "{line}");
            assert_eq!(rejection.name(), expected.outcome, "{line}");
            return;
        }
    };
    assert_eq!(outcome, expected.outcome, "{line}");
    let bill = bill.unwrap_or_else(|| panic!("I1: {line} has no bill"));
    assert_eq!((bill.outcome_code, bill.reference), (receipt.outcome.code(), receipt.id.0), "{line}");
    assert_eq!((bill.fee, Some(bill.seq)), (receipt.fee, receipt.bill_seq), "{line}");
    let Metered { mutations, bytes_in, operations, key_bytes, bytes_stored } = bill.metered;
    assert_eq!((mutations, bytes_in), (1, expected.bytes), "{line}");
    assert!(
        !failed || (operations == 0 && key_bytes == 0),
        "{line}: a failure pays for its bytes and its window alone"
    );
    let fee = 2_000
        + 5 * u128::from(bytes_in)
        + 500 * u128::from(operations)
        + 20 * u128::from(key_bytes)
        + 20 * u128::from(bytes_stored);
    assert_eq!(bill.fee, Tai::new(fee), "{line}");
    if let Some(versions) = &expected.versions {
        let shown: Vec<String> = receipt.versions.iter().map(ToString::to_string).collect();
        assert_eq!(shown.join(" "), *versions, "{line}");
    }
    if let Some(meters) = &expected.meters {
        assert_eq!(format!("{operations} {key_bytes} {bytes_stored}"), *meters, "{line}");
    }
}
