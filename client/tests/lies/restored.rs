//! What is told of a node that came from a snapshot: it stands before a whole one, and keeps back what is older.

use db3_client::primitives::{Height, Rejection};
use db3_proto::status::to_status;
use db3_proto::v1;

use super::Town;
use super::network::text;
use super::proxy::{Liar, answer, refusal};

/// A node whose history begins at a height, as one that was restored answers.
fn restored(upstream: &str, from: u64) -> Liar {
    let receipt = answer("GetReceipt", move |answer: &mut v1::GetReceiptResponse| {
        let receipt = answer.receipt.as_mut().unwrap();
        if receipt.height < from {
            *receipt = v1::Receipt {
                id: receipt.id.clone(),
                chain_id: receipt.chain_id.clone(),
                state: v1::ReceiptState::Unknown.into(),
                history_from_height: from,
                ..v1::Receipt::default()
            };
        }
    });
    let bill = refusal("GetBill", move |answer: v1::GetBillResponse| {
        let bill = answer.bill.unwrap();
        let what = format!("bill number {}", bill.seq);
        (bill.height < from).then(|| to_status(&Rejection::HistoryMissing { what, from: Height::new(from) }))
    });
    let bills = answer("ListBills", move |answer: &mut v1::ListBillsResponse| {
        answer.bills.retain(|bill| bill.height >= from);
        answer.history_from_height = from;
    });
    Liar::telling(upstream, vec![receipt, bill, bills])
}

#[test]
fn what_is_older_than_a_nodes_history_is_asked_of_another_and_else_named_and_denied_by_nobody() {
    let town = Town::new();
    let (net, shard) = (&town.net, town.shard);
    let chain = format!("devnet-shard-{shard}");
    let endpoint = town.endpoint(&chain);
    let bills = net.lines(&["bill", "list"]);
    let number = |bill: &serde_json::Value, field: &str| bill[field].as_str().unwrap().parse::<u64>().unwrap();
    // Newest first, nine in three epochs: the history begins with the fourth.
    let (from, old) = (number(&bills[5], "height"), &bills[8]);
    assert!(number(&bills[6], "height") < from);
    let id = old["reference"].as_str().unwrap().to_owned();
    let node = restored(&endpoint, from);
    let height = format!("height {from}");

    // Alone it says what it lacks.
    let alone = |command: &[&str]| {
        [&["--endpoint", &node.url], command].concat().iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    let said = net.fails(6, alone(&["receipt", &id]));
    assert!(
        said.contains(&height) && said.contains("an older block may hold it") && said.contains("--endpoint"),
        "{said}"
    );
    assert!(!said.contains("can be sent again"), "{said}");
    let json = net.fails(6, alone(&["--output", "json", "receipt", &id]));
    assert!(json.contains(&height), "{json}");
    let name = format!("{shard}/dev0/1");
    for command in [["bill", "show", &name], ["bill", "verify", &name], ["bill", "show", &id]] {
        let said = net.fails(1, alone(&command));
        assert!(said.contains(&height) && said.contains("504 HISTORY_MISSING"), "{command:?}: {said}");
        assert!(said.contains("archive"), "{said}");
    }
    let output = net.run(alone(&["--output", "json", "bill", "list"]));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout).lines().count(), 6, "what it has is shown");
    let said = text(&output.stderr);
    assert!(said.contains("bills 1 to 3 of 0x") && said.contains(&height), "{said}");
    assert!(said.contains(&format!(r#""history_from_height":"{from}""#)) && !said.contains("left out"), "{said}");
    let output = net.run(alone(&["--unverified", "bill", "list"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("bills 1 to 3 of 0x"), "{}", text(&output.stderr));
    // Where its history holds none of them, the list is not called empty either.
    let empty = restored(&endpoint, number(&bills[0], "height") + 1);
    for asked in [&["bill", "list"][..], &["--unverified", "bill", "list"]] {
        let said = net.fails(1, [&["--endpoint", &empty.url], asked].concat());
        assert!(said.contains("bills 1 to 9 of 0x"), "{said}");
    }
    // What lies within its history is whole, and proven to be.
    let newest = bills[0]["epoch"].as_str().unwrap();
    assert_eq!(
        net.lines(&alone(&["bill", "list", "--epoch", newest]).iter().map(String::as_str).collect::<Vec<_>>()).len(),
        3
    );
    // Of an older time nothing is here, and that is not called nothing.
    let until = bills[6]["block_time"].as_str().unwrap();
    let said = net.fails(1, alone(&["bill", "list", "--until", until]));
    assert!(said.contains("bills 1 to 3 of 0x"), "{said}");

    // Beside a node that was there from the beginning nothing is missing.
    let file = std::fs::read_to_string(net.network_file()).unwrap();
    let quoted = format!("\"{endpoint}\"");
    assert!(file.contains(&quoted), "{file}");
    let beside = file.replace(&quoted, &format!("\"{}\", {quoted}", node.url));
    std::fs::write(net.network_file().with_file_name("beside.toml"), beside).unwrap();
    let beside = |command: &[&str]| net.lines(&[&["--network", "beside"], command].concat());
    assert_eq!(beside(&["receipt", &id])[0]["state"], "applied");
    assert_eq!(beside(&["bill", "verify", &name])[0]["verified"], true);
    assert_eq!(beside(&["bill", "show", &id])[0]["bill"], old["bill"]);
    for command in [
        &["bill", "list"][..],
        &["--unverified", "bill", "list"],
        &["bill", "list", "--since", old["block_time"].as_str().unwrap()],
    ] {
        let seen: Vec<_> = beside(command).iter().map(|bill| bill["bill"].clone()).collect();
        assert_eq!(seen, bills.iter().map(|bill| bill["bill"].clone()).collect::<Vec<_>>(), "{command:?}");
    }
    assert_eq!(beside(&["bill", "list", "--until", until]).len(), 2);
}

#[test]
fn closes_that_a_node_does_not_have_are_named_and_asked_of_another() {
    let town = Town::new();
    let (net, shard) = (&town.net, town.shard.to_string());
    let endpoint = town.endpoint(&format!("devnet-shard-{shard}"));
    let list = ["epoch", "list", "--shard", &shard];
    let whole = net.lines(&list);
    let closed: Vec<_> = whole.iter().filter(|epoch| epoch["status"] != "open").collect();
    assert!(closed.len() >= 2, "{whole:?}");
    let number = |epoch: &serde_json::Value| epoch["epoch"].as_str().unwrap().parse::<u64>().unwrap();
    let newest = number(closed[0]);
    let lacking = |first: u64| {
        let epochs = answer("ListEpochs", move |answer: &mut v1::ListEpochsResponse| {
            answer.epochs.retain(|epoch| epoch.epoch >= first);
            answer.history_from_height = 77;
        });
        let close = refusal("GetEpoch", move |answer: v1::GetEpochResponse| {
            let what = "the close".to_owned();
            (answer.epoch.unwrap().epoch < first)
                .then(|| to_status(&Rejection::HistoryMissing { what, from: Height::new(77) }))
        });
        Liar::telling(&endpoint, vec![epochs, close])
    };
    let alone = |node: &Liar, command: &[&str]| {
        let words = [&["--endpoint", node.url.as_str(), "--output", "json"], command].concat();
        net.run(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    };
    // What it has is shown, and of what it does not have it is not said that there is none.
    let node = lacking(newest);
    let output = alone(&node, &list);
    assert_eq!(output.status.code(), Some(1));
    let shown = text(&output.stdout).lines().count();
    assert_eq!(shown, whole.len() + 1 - closed.len(), "{}", text(&output.stdout));
    let said = text(&output.stderr);
    assert!(said.contains(&format!("the closes of shard {shard} before epoch {newest}")), "{said}");
    assert!(said.contains(r#""history_from_height":"77""#), "{said}");
    let few = alone(&node, &[&list[..], &["--limit", &shown.to_string()]].concat());
    assert_eq!(few.status.code(), Some(0), "no more was asked for: {}", text(&few.stderr));
    let empty = lacking(newest + 1);
    for command in [["epoch", "show", "last"], ["epoch", "show", &newest.to_string()]] {
        let output = alone(&empty, &[&command[..], &["--shard", &shard]].concat());
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains("height 77"), "{command:?}: {said}");
        assert!(!said.contains("no epoch has closed"), "{said}");
    }

    // Beside a node that was there from the beginning nothing is missing.
    let file = std::fs::read_to_string(net.network_file()).unwrap();
    let quoted = format!("\"{endpoint}\"");
    let beside = file.replace(&quoted, &format!("\"{}\", {quoted}", empty.url));
    std::fs::write(net.network_file().with_file_name("beside.toml"), beside).unwrap();
    let seen = net.lines(&[&["--network", "beside"], &list[..]].concat());
    assert_eq!(seen.iter().map(number).collect::<Vec<_>>(), whole.iter().map(number).collect::<Vec<_>>());
}
