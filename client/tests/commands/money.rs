//! What it costs, and why.

use crate::{net, number};

#[test]
fn bills_say_why_and_add_up_to_the_credit_that_was_used() {
    let net = net();
    for n in 0..5 {
        net.ok(["put", "paid", &format!("k{n}"), "v", "--account", "dev7", "--wait", "committed"]);
    }
    let bills = net.lines(&["bill", "list", "--account", "dev7"]);
    assert_eq!(bills.len(), 5);
    let mut total = 0;
    for bill in &bills {
        let charges: u128 =
            bill["charges"].as_array().unwrap().iter().map(|charge| number(&charge["amount_tai"])).sum();
        assert_eq!(charges, number(&bill["fee_tai"]));
        assert_eq!(bill["status"], "open");
        total += number(&bill["fee_tai"]);
    }
    let shown = net.json(&["credit", "show", "--account", "dev7"]);
    assert_eq!(shown["lines"].as_array().unwrap().iter().map(|line| number(&line["spent_tai"])).sum::<u128>(), total);
    let sums = net.lines(&["bill", "list", "--account", "dev7", "--sum-by", "namespace"]);
    assert_eq!((number(&sums[0]["bills"]), number(&sums[0]["fee_tai"])), (5, total));
    assert!(net.lines(&["bill", "list", "--account", "dev7", "--status", "closed"]).is_empty());
    assert_eq!(net.lines(&["bill", "list", "--account", "dev7", "--since", "2100-01-01T00:00:00Z"]).len(), 0);
    let id = bills[0]["reference"].as_str().unwrap();
    assert_eq!(net.json(&["bill", "verify", id])["verified"], true);
    assert_eq!(net.json(&["bill", "show", bills[0]["bill"].as_str().unwrap()])["reference"], id);
    assert_eq!(net.json(&["bill", "show", &format!("{}/dev7/1", bills[0]["shard"])])["seq"], "1");
    let nobody = net.fails(2, ["bill", "show", "0/nobody/1"]);
    assert!(nobody.contains("no account nobody"), "{nobody}");
    net.fails(1, ["bill", "show", &format!("0x{}", "00".repeat(32))]);
}

#[test]
fn a_dry_run_prices_and_sends_nothing() {
    let net = net();
    let estimate = net.json(&["put", "dry", "k", "v", "--account", "dev8", "--dry-run"]);
    assert!(number(&estimate["fee_tai"]) <= number(&estimate["bound_tai"]));
    net.fails(4, ["get", "dry", "k", "--account", "dev8"]);
    let small = net.fails(1, ["put", "dry", "k", "v", "--account", "dev8", "--max-fee", "1tai"]);
    assert!(small.contains("210 FEE_OVER_LIMIT"), "{small}");
    let receipt = net.json(&["put", "dry", "k", "v", "--account", "dev8"]);
    assert_eq!(receipt["fee_tai"], estimate["fee_tai"]);
}
