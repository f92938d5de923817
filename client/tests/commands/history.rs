//! What moved an account's money, one by one, held against the balances that are proven.

use serde_json::Value;

use crate::network::Devnet;
use crate::number;
use crate::settlement::{credit, fresh};

/// The history of an account, newest first, whose sums must follow from one another down to what it began with.
fn history(net: &Devnet, account: &str) -> (Vec<Value>, [u128; 2]) {
    let rows = net.lines(&["credit", "history", "--account", account]);
    let shown = credit(net, account);
    assert_eq!(
        (&rows[0]["balance_tai"], &rows[0]["collateral_tai"]),
        (&shown["balance_tai"], &shown["collateral_tai"])
    );
    let moved = |row: &Value, field: &str| row.get(field).map_or(0, number);
    let before = |row: &Value| {
        [
            number(&row["balance_tai"]) + moved(row, "out_tai") - moved(row, "in_tai"),
            number(&row["collateral_tai"]) + moved(row, "collateral_out_tai") - moved(row, "collateral_in_tai"),
        ]
    };
    for pair in rows.windows(2) {
        let after = [number(&pair[1]["balance_tai"]), number(&pair[1]["collateral_tai"])];
        assert_eq!(before(&pair[0]), after, "{} after {}", pair[0], pair[1]);
    }
    assert!(rows.iter().all(|row| row["verified"] == true));
    let begun = before(rows.last().unwrap());
    (rows, begun)
}

fn kinds(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["kind"].as_str().unwrap()).collect()
}

#[test]
fn all_that_moved_an_accounts_money_is_listed_for_both_ends_and_comes_to_the_proven_balance() {
    let net = fresh();
    let [from, to] = ["dev1", "dev2"].map(|name| credit(&net, name));
    net.ok(["put", "t", "k", "v", "--account", "dev1"]);
    let sent = net.json(&["transfer", "dev2", "5db3", "--account", "dev1"]);
    net.ok(["devnet", "advance", "600"]);
    net.ok(["credit", "deposit", "2db3", "--no-lines", "--account", "dev1"]);
    net.ok(["credit", "deposit", "3db3", "--to", "dev1", "--account", "dev2"]);
    net.ok(["credit", "withdraw", "1db3", "--account", "dev1"]);
    net.ok(["credit", "allocate", "--shard", "0", "2db3", "--account", "dev1"]);
    net.ok(["transfer", "dev1", "4db3", "--account", "dev2"]);

    let (rows, begun) = history(&net, "dev1");
    // What both began with in genesis is all that has no entry.
    let own = [number(&from["balance_tai"]), number(&from["collateral_tai"])];
    assert_eq!(begun, own, "{rows:?}");
    let all = ["transfer_in", "fee", "fee", "withdraw", "deposit_in", "fee", "deposit", "round", "fee", "transfer_out"];
    assert_eq!(kinds(&rows), all);
    let round = &rows[7];
    let posting = net.json(&["posting", "show", round["posting"].as_str().unwrap()]);
    assert_eq!([&round["balance_tai"], &round["out_tai"]], [&posting["balance_tai"], &posting["paid_tai"]]);
    assert_eq!((&rows[9]["transaction_id"], number(&rows[9]["out_tai"])), (&sent["id"], 5_000_000_000));

    let (theirs, begun) = history(&net, "dev2");
    assert_eq!(begun, [number(&to["balance_tai"]), number(&to["collateral_tai"])]);
    assert_eq!(kinds(&theirs), ["fee", "transfer_out", "fee", "deposit_out", "transfer_in"]);
    let received = theirs.last().unwrap();
    assert_eq!((&received["transaction_id"], &received["in_tai"]), (&sent["id"], &rows[9]["out_tai"]));
    assert_eq!(received["other"], rows[9]["account"]);

    let newest = net.lines(&["credit", "history", "--account", "dev1", "--limit", "2"]);
    assert_eq!(newest[..], rows[..2]);
    let since = rows[7]["block_time"].as_str().unwrap();
    let later = net.lines(&["credit", "history", "--account", "dev1", "--since", since]);
    let earlier = net.lines(&["credit", "history", "--account", "dev1", "--until", since]);
    assert_eq!([later, earlier].concat(), rows, "the two halves are the whole");
    assert!(net.ok(["credit", "history", "--account", "dev1"]).contains("transfer_out"));
    let csv = net.ok(["--output", "csv", "credit", "history", "--account", "dev1"]);
    assert_eq!(csv.lines().count(), rows.len() + 1);
    assert!(csv.starts_with("network,account,block_time,height,kind,other,in_tai,out_tai,balance_tai,"), "{csv}");
}

#[test]
fn what_did_not_happen_leaves_no_entry_but_its_fee_and_an_account_nobody_knows_has_no_history() {
    let net = fresh();
    let before = credit(&net, "dev3");
    net.fails(1, ["credit", "withdraw", "100000db3", "--account", "dev3"]);
    let paid = number(&before["balance_tai"]) - number(&credit(&net, "dev3")["balance_tai"]);
    let rows = net.lines(&["credit", "history", "--account", "dev3"]);
    let fees: u128 = rows.iter().map(|row| number(&row["out_tai"])).sum();
    assert!(fees == paid && kinds(&rows).iter().all(|kind| *kind == "fee"), "{rows:?}");
    let nobody = ["credit", "history", "--account", "0x1111111111111111111111111111111111111111"];
    assert!(net.lines(&nobody).is_empty());
}
