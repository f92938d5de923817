//! What the money commands do with a node that lies: each lie ends with exit code 5 and a sentence that says what does not
//! hold, and only `--unverified` believes it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "tests"
)]

#[path = "../network/mod.rs"]
mod network;
mod proxy;
mod restored;

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use db3_proto::v1;
use network::Devnet;
use proxy::{Liar, Lie, answer, question};
use serde_json::Value;

/// A devnet with two accounts on one shard, each with bills in two epochs that are settled and in the open one.
struct Town {
    net: Devnet,
    /// The shard of both accounts' own namespaces.
    shard: usize,
    /// Another account on that shard.
    other: String,
    /// Addresses of dev0 and the other.
    addresses: [Bytes; 2],
    /// The newest settled epoch with bills of dev0.
    epoch: String,
}

impl Town {
    fn new() -> Self {
        let net = Devnet::start(&["--epoch-secs", "600"]);
        let shard_of = |name: &str| usize::from(net.json(&["account", "show", name])["slot"].as_u64().unwrap() >= 512);
        let shard = shard_of("dev0");
        let other = (1..10).map(|n| format!("dev{n}")).find(|name| shard_of(name) == shard).unwrap();
        let address = |name: &str| {
            let shown = net.json(&["account", "show", name]);
            let text = shown["address"].as_str().unwrap().trim_start_matches("0x").to_owned();
            Bytes::from(hex::decode(text).unwrap())
        };
        let addresses = [address("dev0"), address(&other)];
        // An epoch has just begun, so that none ends by itself while a test looks.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        net.ok(["devnet", "advance", &(601 - now % 600).to_string()]);
        for round in 0..3 {
            for n in 0..3 {
                net.ok(["put", "t", &format!("k{n}"), &format!("{round}"), "--wait", "committed"]);
                net.ok(["put", "t", &format!("k{n}"), "v", "--wait", "committed", "--account", &other]);
            }
            if round < 2 {
                net.ok(["devnet", "advance", "600"]);
            }
        }
        let epoch = net.lines(&["statement", "list"]).last().unwrap()["epoch"].as_str().unwrap().to_owned();
        Self { net, shard, other, addresses, epoch }
    }

    fn endpoint(&self, chain: &str) -> String {
        let rows = self.net.lines(&["status"]);
        let row = rows.iter().find(|row| row["chain_id"] == chain).unwrap();
        row["endpoint"].as_str().unwrap().to_owned()
    }

    /// Every one of these commands, asked of a node that tells the lie, ends with 5.
    fn caught(&self, chain: &str, what: &str, lie: Lie, commands: &[&[&str]]) {
        let liar = Liar::before(&self.endpoint(chain), lie);
        for command in commands {
            let words = [&["--endpoint", &liar.url], *command].concat();
            let output = self.net.run(&words);
            let said = network::text(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(5),
                "{what}: db3 {command:?}\n{}\n{said}",
                network::text(&output.stdout)
            );
            assert!(said.contains(chain) && said.contains("cannot be trusted"), "{what}: db3 {command:?}\n{said}");
        }
    }

    /// A lie of the settlement chain's node.
    fn by_settlement(&self, what: &str, lie: Lie, commands: &[&[&str]]) {
        self.caught("devnet-settlement", what, lie, commands);
    }

    /// A lie of the shard's node.
    fn by_shard(&self, what: &str, lie: Lie, commands: &[&[&str]]) {
        self.caught(&format!("devnet-shard-{}", self.shard), what, lie, commands);
    }
}

/// Adds one to an amount that travels as text.
fn more(text: &mut String) {
    *text = (text.parse::<u128>().unwrap() + 1).to_string();
}

/// What a lying node does to a page of transactions.
type TransactionsLie = fn(&mut v1::ListTransactionsResponse);

#[test]
fn a_settlement_node_that_lies_is_not_believed() {
    let town = Town::new();
    let stranger = town.addresses[1].clone();
    let show: &[&str] = &["credit", "show"];
    let statements: &[&str] = &["statement", "list"];
    let postings: &[&str] = &["posting", "list"];

    let balance = answer("GetAccount", |answer: &mut v1::GetAccountResponse| {
        more(&mut answer.account.as_mut().unwrap().balance_tai);
    });
    town.by_settlement("a balance", balance, &[show, statements, postings, &["bill", "list"]]);
    let stored = answer("GetAccount", |answer: &mut v1::GetAccountResponse| {
        let account = answer.account.as_mut().unwrap();
        // A whole other leaf, so that what is shown agrees with it.
        let mut leaf = db3_client::primitives::BalanceLeaf::from_bytes(&account.stored).unwrap();
        leaf.balance = db3_client::primitives::Tai::new(leaf.balance.get() + 1);
        account.balance_tai = leaf.balance.to_string();
        account.stored = leaf.to_bytes().into();
    });
    town.by_settlement("a balance and its leaf", stored, &[show]);
    let line = answer("GetAccount", |answer: &mut v1::GetAccountResponse| {
        answer.account.as_mut().unwrap().lines.pop();
    });
    town.by_settlement("a line that is left out", line, &[show]);
    let other = stranger.clone();
    let account = question("GetAccount", move |asked: &mut v1::GetAccountRequest| asked.account = other.clone());
    town.by_settlement("another's account", account, &[show]);

    for (what, at) in [("the newest statement left out", 0), ("the oldest statement left out", usize::MAX)] {
        let cut = answer("ListStatements", move |answer: &mut v1::ListStatementsResponse| {
            if !answer.statements.is_empty() {
                answer.statements.remove(at.min(answer.statements.len() - 1));
            }
        });
        town.by_settlement(what, cut, &[statements, &["statement", "export"]]);
    }
    let amount = answer("GetStatement", |answer: &mut v1::GetStatementResponse| {
        more(&mut answer.statement.as_mut().unwrap().cumulative_tai);
    });
    town.by_settlement("a statement", amount, &[statements]);
    let other = stranger.clone();
    let theirs = question("ListStatements", move |asked: &mut v1::ListStatementsRequest| asked.account = other.clone());
    town.by_settlement("another's statements", theirs, &[statements]);

    for (what, at) in
        [("the newest posting left out", 0), ("one between left out", 1), ("the oldest left out", usize::MAX)]
    {
        let cut = answer("ListSettlements", move |answer: &mut v1::ListSettlementsResponse| {
            answer.settlements.remove(at.min(answer.settlements.len() - 1));
        });
        town.by_settlement(what, cut, &[postings, &["posting", "list", "--kind", "round"]]);
    }
    let other = stranger.clone();
    let theirs =
        question("ListSettlements", move |asked: &mut v1::ListSettlementsRequest| asked.account = other.clone());
    town.by_settlement("another's postings", theirs, &[postings]);
    let debit = answer("ListSettlements", |answer: &mut v1::ListSettlementsResponse| {
        answer.settlements.iter_mut().for_each(|posting| more(&mut posting.debit_tai));
    });
    town.by_settlement("what a posting debited", debit, &[postings]);
    let index = question("GetSettlement", |asked: &mut v1::GetSettlementRequest| {
        asked.by = Some(v1::get_settlement_request::By::Index(0));
    });
    let bill = format!("{}/dev0/4", town.shard);
    town.by_settlement("another posting", index, &[&["bill", "verify", &bill], &["statement", "show", "last"]]);

    let close = answer("ListCloses", |answer: &mut v1::ListClosesResponse| {
        answer.closes.iter_mut().filter_map(|close| close.epoch.as_mut()).for_each(|epoch| more(&mut epoch.total_tai));
    });
    town.by_settlement(
        "a close",
        close,
        &[&["statement", "export"], &["statement", "show", "last"], &["epoch", "list"]],
    );
    let income = answer("ListShards", |answer: &mut v1::ListShardsResponse| more(&mut answer.shards[0].income_tai));
    town.by_settlement("what a shard earned", income, &[&["pool", "list"], &["epoch", "list"]]);
    let supply =
        answer("ListShards", |answer: &mut v1::ListShardsResponse| answer.supply_stored = Bytes::from_static(&[1; 49]));
    town.by_settlement("what the settlement chain earned", supply, &[&["pool", "list"]]);
    let payout = answer("ListSettlements", |answer: &mut v1::ListSettlementsResponse| drop(answer.settlements.pop()));
    town.by_settlement("a payout that is left out", payout, &[&["pool", "payouts"]]);

    town.net.ok(["transfer", &town.other, "1db3"]);
    town.net.ok(["transfer", "dev0", "2db3", "--account", &town.other]);
    // What the other alone has.
    town.net.ok(["transfer", "dev2", "1db3", "--account", &town.other]);
    let history: &[&str] = &["credit", "history"];
    let lies: [(&str, TransactionsLie); 5] = [
        ("a transaction left out", |answer| drop(answer.transactions.remove(1))),
        ("all left out", |answer| answer.transactions.clear()),
        ("one twice", |answer| answer.transactions.push(answer.transactions[0].clone())),
        ("what one cost", |answer| more(&mut answer.transactions[1].receipt.as_mut().unwrap().fee_tai)),
        ("what was signed", |answer| {
            let envelope = answer.transactions[0].transaction.as_mut().unwrap();
            let mut body = envelope.body.to_vec();
            *body.last_mut().unwrap() ^= 1;
            envelope.body = body.into();
        }),
    ];
    for (what, change) in lies {
        town.by_settlement(what, answer("ListTransactions", change), &[history]);
    }
    let other = stranger.clone();
    let theirs =
        question("ListTransactions", move |asked: &mut v1::ListTransactionsRequest| asked.account = other.clone());
    town.by_settlement("another's transactions", theirs, &[history]);
}

#[test]
fn a_shard_node_that_lies_is_not_believed() {
    let town = Town::new();
    let [own, stranger] = town.addresses.clone();
    let list: &[&str] = &["bill", "list"];
    let of_epoch: &[&str] = &["bill", "list", "--epoch", &town.epoch];
    let open: &[&str] = &["bill", "list", "--status", "open"];
    let paid: &[&str] = &["bill", "list", "--status", "paid"];
    let bills = town.net.lines(list);
    assert_eq!(bills.len(), 9, "three in each of two settled epochs, and three in the open one");
    let seconds_of = |at: usize| bills[at]["block_time"].as_str().unwrap().to_owned();
    let (newest, oldest) = (seconds_of(0), seconds_of(8));
    let since: &[&str] = &["bill", "list", "--since", &oldest];
    let until: &[&str] = &["bill", "list", "--until", &newest];
    // They say the truth where nobody lies.
    for (command, count) in [(of_epoch, 3), (open, 3), (paid, 6), (since, 9)] {
        assert_eq!(town.net.lines(command).len(), count, "{command:?}");
    }
    assert!(town.net.lines(until).len() < 9);
    let none = town.net.lines(&["bill", "list", "--until", &oldest]);
    assert!(none.is_empty(), "{none:?}");

    for (what, at) in [("the newest bill left out", 0), ("the second left out", 1), ("the oldest left out", usize::MAX)]
    {
        let cut = answer("ListBills", move |answer: &mut v1::ListBillsResponse| {
            answer.bills.remove(at.min(answer.bills.len() - 1));
        });
        town.by_shard(what, cut, &[list, of_epoch, open, paid, since, until, &["statement", "show", &town.epoch]]);
    }
    let nothing = answer("ListBills", |answer: &mut v1::ListBillsResponse| answer.bills.clear());
    town.by_shard("no bills", nothing, &[list, of_epoch, open, paid, since, until]);
    let other = stranger.clone();
    let theirs = question("ListBills", move |asked: &mut v1::ListBillsRequest| asked.account = other.clone());
    town.by_shard("another's bills", theirs, &[list, of_epoch, paid]);
    let fee = answer("ListBills", |answer: &mut v1::ListBillsResponse| more(&mut answer.bills[0].fee_tai));
    town.by_shard("a fee", fee, &[list]);
    let epoch =
        question("ListBills", |asked: &mut v1::ListBillsRequest| asked.epoch = asked.epoch.map(|epoch| epoch - 1));
    town.by_shard("another epoch's bills", epoch, &[of_epoch]);

    let spent = answer("GetCreditLine", |answer: &mut v1::GetCreditLineResponse| {
        more(&mut answer.line.as_mut().unwrap().spent_tai);
    });
    town.by_shard("what was spent", spent, &[&["credit", "show"], list]);
    let other = stranger.clone();
    let line = question("GetCreditLine", move |asked: &mut v1::GetCreditLineRequest| asked.account = other.clone());
    town.by_shard("another's line", line, &[&["credit", "show"], list]);

    let bill = format!("{}/dev0/2", town.shard);
    let next = question("GetBill", |asked: &mut v1::GetBillRequest| {
        if let Some(v1::get_bill_request::By::Name(name)) = asked.by.as_mut() {
            name.seq += 1;
        }
    });
    town.by_shard("another bill", next, &[&["bill", "show", &bill], &["bill", "verify", &bill]]);
    let verify: &[&str] = &["bill", "verify", &bill];
    let proof = answer("GetBill", |answer: &mut v1::GetBillResponse| {
        if let Some(proof) = answer.bill.as_mut().and_then(|bill| bill.proof.as_mut()) {
            proof.leaf_index ^= 1;
        }
    });
    town.by_shard("another place in the log", proof, &[verify]);
    let total =
        answer("GetEpoch", |answer: &mut v1::GetEpochResponse| more(&mut answer.epoch.as_mut().unwrap().total_tai));
    town.by_shard("an epoch's total", total, &[&["epoch", "show", &town.epoch]]);
    let _ = own;
}

#[test]
fn whoever_asks_for_no_proof_gets_none() {
    let town = Town::new();
    let cut = answer("ListBills", |answer: &mut v1::ListBillsResponse| drop(answer.bills.pop()));
    let liar = Liar::before(&town.endpoint(&format!("devnet-shard-{}", town.shard)), cut);
    let rows = town.net.lines(&["--endpoint", &liar.url, "--unverified", "bill", "list"]);
    assert_eq!(rows.len(), 8, "the lie is believed");
    let rows: Vec<Value> = town.net.lines(&["--unverified", "posting", "list", "--account", &town.other]);
    assert!(!rows.is_empty() && rows.iter().all(|row| row["verified"] == false));
}
