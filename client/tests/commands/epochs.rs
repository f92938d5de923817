//! Bills and statements by their epochs, on several shards, and what closed together.

use serde_json::Value;

use crate::network::Devnet;
use crate::number;
use crate::settlement::fresh;

#[test]
fn bills_and_epochs_of_several_shards_come_newest_first_and_a_limit_keeps_the_newest() {
    let net = fresh();
    for n in 0..8 {
        net.ok(["namespace", "create", &format!("order-{n}"), "--wait", "committed"]);
    }
    let bills = net.lines(&["bill", "list"]);
    let times: Vec<&str> =
        bills.iter().map(|bill| bill["block_time"].as_str().unwrap().trim_end_matches('Z')).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");
    assert!(bills.iter().any(|bill| bill["shard"] == 0) && bills.iter().any(|bill| bill["shard"] == 1), "{bills:?}");
    for n in 0..8 {
        let written = net.json(&["table", "create", &format!("order-{n}/t"), "--wait", "committed"]);
        let newest = net.lines(&["bill", "list", "--limit", "1"]);
        assert_eq!((newest.len(), &newest[0]["reference"]), (1, &written["id"]));
    }
    assert_eq!(net.lines(&["bill", "list", "--limit", "3"])[..], net.lines(&["bill", "list"])[..3]);
    let advanced = net.lines(&["devnet", "advance", "1200"]);
    assert!(number(&advanced[0]["settled_epoch"]) > 0, "{advanced:?}");
    closed_together(&net);
    let epochs: Vec<u128> = net.lines(&["epoch", "list"]).iter().map(|epoch| number(&epoch["epoch"])).collect();
    assert!(epochs.is_sorted_by(|newer, older| newer >= older), "{epochs:?}");
}

/// Two epochs passed at once and closed as one: every command calls them by the first, says which is the last, and finds
/// them by either.
fn closed_together(net: &Devnet) {
    let close = net.lines(&["epoch", "show", "last", "--shard", "0"]).remove(0);
    let (first, last) = (number(&close["epoch"]).to_string(), number(&close["last_epoch"]).to_string());
    assert_eq!(number(&close["last_epoch"]), number(&close["epoch"]) + 1, "{close}");
    let is_of = |row: &&Value| row["shard"] == 0 && row["epoch"] == close["epoch"];
    let listed = net.lines(&["statement", "list"]);
    let statement = listed.iter().find(is_of).unwrap_or_else(|| panic!("{listed:?}"));
    assert_eq!(statement["last_epoch"], close["last_epoch"], "{statement}");
    for row in net.lines(&["statement", "export", &last]).iter().filter(|row| row["shard"] == 0) {
        assert_eq!((&row["epoch"], &row["last_epoch"]), (&close["epoch"], &close["last_epoch"]), "{row}");
    }
    for epoch in [&first, &last] {
        let bills = net.lines(&["bill", "list", "--epoch", epoch, "--shard", "0"]);
        assert_eq!(bills.len(), usize::try_from(number(&close["bill_count"])).unwrap(), "bills of epoch {epoch}");
        let shown = net.lines(&["statement", "show", epoch]);
        let shown = shown.iter().find(is_of).unwrap_or_else(|| panic!("{shown:?}"));
        assert_eq!(shown["bills"].as_array().map(Vec::len), Some(bills.len()), "{shown}");
        assert_eq!(shown["last_epoch"], close["last_epoch"], "{shown}");
    }
    let unknown = net.fails(1, ["bill", "list", "--epoch", "77777777777"]);
    assert!(unknown.contains("77777777777") && unknown.contains("db3 epoch list"), "{unknown}");
}
