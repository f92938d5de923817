//! What a person is told of credit and of slips: what was granted, what is missing, and what helps.

use crate::network::{Devnet, text};
use crate::{net, number};

#[test]
fn an_allocation_says_how_much_of_it_is_granted_and_what_secures_more() {
    let net = net();
    let before = net.json(&["credit", "show", "--account", "dev5"]);
    let whole = number(&before["limit_tai"]);
    let asked = format!("{}tai", whole * 2);
    let output = net.run(["--output", "json", "credit", "allocate", "--shard", "0", &asked, "--account", "dev5"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let receipt: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let granted = number(&receipt["granted_tai"]);
    assert_eq!((&receipt["shard"], number(&receipt["want_tai"])), (&0.into(), whole * 2));
    assert!(granted > 0 && granted <= whole, "{receipt}");
    let said = text(&output.stderr);
    assert!(said.contains("are granted") && said.contains("db3 credit deposit"), "{said}");
    let shown = net.json(&["credit", "show", "--account", "dev5"]);
    assert_eq!(number(&shown["lines"][0]["granted_tai"]), granted);
    let less = net.json(&["credit", "allocate", "--shard", "0", "1db3", "--account", "dev5"]);
    assert_eq!((number(&less["want_tai"]), number(&less["granted_tai"])), (1_000_000_000, 1_000_000_000));
}

#[test]
fn slips_of_the_hand_are_refused_before_anything_is_paid() {
    let net = net();
    let own = net.fails(2, ["transfer", "dev6", "1db3", "--account", "dev6"]);
    assert!(own.contains("would transfer to itself"), "{own}");
    let span = ["--since", "2026-02-01T00:00:00Z", "--until", "2026-01-01T00:00:00Z"];
    for list in [&["bill", "list"][..], &["posting", "list"], &["statement", "export"]] {
        let said = net.fails(2, [list, &span].concat());
        assert!(said.contains("2026-02-01T00:00:00Z") && said.contains("2026-01-01T00:00:00Z"), "{said}");
    }
    let nothing = net.fails(2, ["transfer", "dev1", "0tai", "--account", "dev6"]);
    assert!(nothing.contains("error: it takes no amount of 0 tai") && nothing.contains("0.000000001 DB3"), "{nothing}");
    let poor = net.fails(1, ["--output", "json", "transfer", "dev1", "1000000000db3", "--account", "dev6"]);
    assert!(poor.contains("1000000000 DB3") && !poor.contains("operation 0") && !poor.contains(" tai"), "{poor}");
}

#[test]
fn bills_in_csv_have_a_column_for_every_meter_and_name_their_outcome() {
    let net = net();
    net.ok(["insert", "columns", "k", "v", "--account", "dev6"]);
    net.fails(1, ["insert", "columns", "k", "v", "--account", "dev6"]);
    let csv = net.ok(["--output", "csv", "bill", "list", "--account", "dev6"]);
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let column = |name: &str| header.iter().position(|field| *field == name).unwrap_or_else(|| panic!("{name}: {csv}"));
    let rows: Vec<_> = lines.collect();
    assert!(rows.iter().all(|row| row.len() == header.len()), "{csv}");
    let meters = ["mutations_tai", "bytes_in_tai", "operations_tai", "key_bytes_tai", "bytes_stored_tai"];
    for row in &rows {
        let tai = |name: &str| row[column(name)].parse::<u128>().unwrap();
        assert_eq!(meters.iter().map(|meter| tai(meter)).sum::<u128>(), tai("fee_tai"), "{row:?}");
        assert_eq!(row[column("mutations")], "1");
    }
    let outcomes: Vec<&str> = rows.iter().map(|row| row[column("outcome")]).collect();
    assert!(outcomes.contains(&"APPLIED") && outcomes.contains(&"RECORD_EXISTS"), "{outcomes:?}");
}

#[test]
fn before_the_first_close_the_last_epoch_is_refused_with_the_time_of_that_close() {
    let net = Devnet::start(&["--epoch-secs", "86400"]);
    let last = net.fails(1, ["epoch", "show", "last"]);
    assert!(last.contains("405 EPOCH_NOT_FOUND") && last.contains("closes with the first block from 20"), "{last}");
    let number = net.fails(1, ["epoch", "show", "99", "--shard", "1"]);
    assert!(number.contains("405 EPOCH_NOT_FOUND") && number.contains("`db3 epoch list --shard 1`"), "{number}");

    // Another home: the network is the one that is named.
    let elsewhere = |words: &[&str]| {
        let file = net.path("home/devnet/network.toml");
        let mut command = net.command();
        command.env("DB3_HOME", net.path("elsewhere")).arg("--network").arg(file).args(words);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    std::fs::write(net.path("pass.txt"), "correct horse\n").unwrap();
    net.ok(["account", "new", "maker", "--password-file", "pass.txt"]);
    let funded = net.ok(["devnet", "fund", "maker", "5db3"]);
    assert!(funded.contains("5 DB3 to pay with") && funded.contains("free: `db3 credit allocate"), "{funded}");
    let more = elsewhere(&["devnet", "fund", "dev1", "5db3"]);
    assert!(more.contains("10005 DB3 to pay with"), "{more}");
    assert!(elsewhere(&["devnet", "advance", "60"]).contains("block time is"));
    let nobody = net.fails(2, ["devnet", "fund", "nobody", "5db3"]);
    assert!(nobody.contains("no account nobody"), "{nobody}");
}

/// Options of the account that owes.
const POOR: [&str; 4] = ["--account", "poor", "--password-file", "pass.txt"];

/// A network of long epochs, with an account that spent more than it had to pay with.
fn with_debtor() -> Devnet {
    let net = Devnet::start(&["--epoch-secs", "86400"]);
    std::fs::write(net.path("pass.txt"), "correct horse\n").unwrap();
    let made = net.json(&["account", "new", "poor", "--password-file", "pass.txt"]);
    net.ok(["credit", "deposit", "1db3", "--to", made["address"].as_str().unwrap()]);
    net.ok(["transfer", "poor", "0.00003db3"]);
    for n in 0..6 {
        net.ok([&["put", "t", &format!("k{n}"), "value", "--yes"][..], &POOR].concat());
    }
    net.ok(["devnet", "advance", "86400"]);
    net
}

#[test]
fn a_debt_says_in_which_round_collateral_pays_and_how_much_can_be_paid_now() {
    let (net, poor) = (with_debtor(), POOR);
    let shown = net.json(&[&["credit", "show"][..], &poor].concat());
    assert_eq!((&shown["stage"], number(&shown["balance_tai"])), (&"outstanding".into(), 0), "{shown}");
    let rounds = ["stage_since_epoch", "delinquent_epoch", "seizure_epoch", "write_off_epoch"];
    assert!(rounds.map(|field| number(&shown[field])).is_sorted(), "{shown}");
    assert!(shown["seizure_time"].as_str().unwrap().ends_with("T00:00:00Z"), "the end of an epoch: {shown}");
    let broke = net.fails(1, [&["credit", "pay"][..], &poor].concat());
    assert!(broke.contains("223 BALANCE_TOO_LOW_FOR_FEE") && broke.contains("DB3 are outstanding"), "{broke}");
    assert!(broke.contains("\n  transaction 0x"), "{broke}");
    net.ok(["transfer", "poor", "0.00004db3"]);
    let much = net.fails(1, [&["credit", "pay", "1db3"][..], &poor].concat());
    assert!(much.contains("307 BALANCE_TOO_LOW") && much.contains("DB3 can be paid now: `db3 credit pay 0."), "{much}");
}

#[test]
fn who_owes_is_named_and_given_money_to_pay_with() {
    let net = with_debtor();
    let shown = || net.json(&[&["credit", "show"][..], &POOR].concat());
    let before = shown();
    let owed = number(&before["outstanding_tai"]);
    // It is not the depositor who owes.
    let refused = net.fails(1, ["credit", "deposit", "1db3", "--to", "poor"]);
    let named = format!("{} owes 0.", before["account"].as_str().unwrap());
    assert!(refused.contains("308 DEBT_OUTSTANDING") && refused.contains(&named), "{refused}");

    let output = net.run(["--output", "json", "devnet", "fund", "poor", "5db3"]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let funded: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((number(&funded["owed_tai"]), number(&funded["balance_tai"])), (owed, 5_000_000_000));
    assert!(said.contains("no collateral") && said.contains("db3 credit pay"), "{said}");
    net.ok([&["credit", "pay"][..], &POOR].concat());
    assert_eq!((number(&shown()["outstanding_tai"]), &shown()["collateral_tai"]), (0, &before["collateral_tai"]));
    // And now both.
    let funded = net.json(&["devnet", "fund", "poor", "5db3"]);
    assert!(funded.get("owed_tai").is_none(), "{funded}");
    assert_eq!(number(&shown()["collateral_tai"]), number(&before["collateral_tai"]) + 5_000_000_000);
}
