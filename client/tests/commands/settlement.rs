//! Money: transfers, credit, and the way of a bill from its shard to the posting that paid it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::network::{Devnet, text};
use crate::number;

/// A devnet of its own: its time is moved, and balances are counted. An epoch has just begun, so that none ends by itself
/// while a test looks.
pub fn fresh() -> Devnet {
    let net = Devnet::start(&["--epoch-secs", "600"]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    net.ok(["devnet", "advance", &(601 - now % 600).to_string()]);
    net
}

pub fn credit(net: &Devnet, account: &str) -> Value {
    net.json(&["credit", "show", "--account", account])
}

fn sum(rows: &[Value], field: &str) -> u128 {
    rows.iter().map(|row| number(&row[field])).sum()
}

#[test]
fn a_bill_goes_from_open_to_paid_and_every_figure_on_its_way_agrees() {
    let net = fresh();
    net.ok(["namespace", "create", "town"]);
    net.ok(["table", "create", "town/streets"]);
    for n in 0..4 {
        net.ok(["put", "notes", &format!("k{n}"), "v", "--wait", "committed"]);
        net.ok(["put", "town/streets", &format!("k{n}"), "v", "--wait", "committed"]);
    }
    let bills = net.lines(&["bill", "list"]);
    let fees = sum(&bills, "fee_tai");
    assert!(bills.iter().all(|bill| bill["status"] == "open") && bills.len() == 10);
    let before = credit(&net, "dev0");
    assert_eq!(number(&before["owed_tai"]), fees, "what was spent is owed, though no epoch has closed");
    assert_eq!(number(&before["outstanding_tai"]), 0);

    net.ok(["devnet", "advance", "600"]);
    let after = credit(&net, "dev0");
    assert_eq!(number(&after["owed_tai"]), 0);
    assert_eq!(number(&before["balance_tai"]) - number(&after["balance_tai"]), fees, "one debit paid it all");
    let statements = net.lines(&["statement", "list"]);
    assert_eq!((sum(&statements, "amount_tai"), sum(&statements, "paid_tai")), (fees, fees));
    assert!(statements.iter().all(|one| one["status"] == "paid" && one["verified"] == true));
    let paid = net.lines(&["bill", "list", "--status", "paid"]);
    assert_eq!(sum(&paid, "fee_tai"), fees);
    for status in ["open", "closed", "outstanding", "written_off"] {
        assert!(net.lines(&["bill", "list", "--status", status]).is_empty(), "{status}");
    }
    assert_eq!(net.lines(&["bill", "list", "--status", "settled"]).len(), paid.len());

    let shown = net.json(&["bill", "verify", paid[0]["reference"].as_str().unwrap()]);
    assert_eq!((&shown["verified"], &shown["covered_kind"]), (&Value::from(true), &Value::from("round")));
    assert_eq!(shown["debited_by"], shown["covered_by"], "what was debited was paid by the same posting");
    assert!(net.lines(&["epoch", "list"]).iter().any(|epoch| epoch["status"] == "settled"));

    let csv = net.ok(["--output", "csv", "statement", "export"]);
    assert!(csv.starts_with("network,account,shard,epoch,last_epoch,period_start,period_end,opening_tai,"), "{csv}");
    let times: Vec<&str> = csv.split([',', '\n']).filter(|cell| cell.ends_with('Z')).collect();
    assert!(times.len() >= 5 && times.iter().all(|time| !time.contains('.')), "dates as spreadsheets read them: {csv}");
    let exported = net.lines(&["statement", "export"]);
    for row in &exported {
        let shown = &net.lines(&["statement", "show", "last"])[usize::from(row["shard"] == 1)];
        assert_eq!(row["debited_time"], shown["debit"]["block_time"], "{row}");
        assert_eq!((&row["covered_kind"], &row["covered_time"]), (&"round".into(), &shown["cover"]["block_time"]));
        assert_eq!(row["payee"], format!("devnet-shard-{}", row["shard"]));
    }
    assert_eq!((exported.len(), sum(&exported, "amount_tai")), (statements.len(), fees));
    let charges = net.lines(&["statement", "export", "last", "--charges"]);
    assert_eq!(sum(&charges, "amount_tai"), fees);
    let shown = net.lines(&["statement", "show", "last"]);
    assert_eq!(shown.iter().map(|one| one["bills"].as_array().unwrap().len()).sum::<usize>(), bills.len());

    // Everything is in the tables too.
    for arguments in [
        &["credit", "show"][..],
        &["statement", "list"],
        &["statement", "show", "last"],
        &["bill", "verify", paid[0]["bill"].as_str().unwrap()],
        &["status"],
        &["epoch", "list"],
    ] {
        assert!(!net.ok(arguments).is_empty());
    }
}

#[test]
fn transfers_move_money_to_the_tai_and_a_dry_run_moves_none() {
    let net = fresh();
    let (from, to) = (credit(&net, "dev1"), credit(&net, "dev2"));
    let estimate = net.json(&["transfer", "dev2", "5db3", "--account", "dev1", "--dry-run"]);
    assert_eq!(credit(&net, "dev2")["balance_tai"], to["balance_tai"]);
    let receipt = net.json(&["transfer", "dev2", "5db3", "--account", "dev1", "--signed-file", "transfer.bin"]);
    assert_eq!(receipt["state"], "applied");
    assert_eq!(receipt["fee_tai"], estimate["fee_tai"]);
    let amount = 5_000_000_000;
    let (after_from, after_to) = (credit(&net, "dev1"), credit(&net, "dev2"));
    assert_eq!(number(&after_to["balance_tai"]) - number(&to["balance_tai"]), amount);
    let gone = number(&from["balance_tai"]) - number(&after_from["balance_tai"]);
    assert_eq!(gone, amount + number(&receipt["fee_tai"]));
    let decoded = net.json(&["decode", "transfer.bin"]);
    assert_eq!(
        (&decoded["kind"], &decoded["operations"][0]["op"]),
        (&Value::from("transaction"), &Value::from("transfer"))
    );
    assert_eq!(net.json(&["receipt", receipt["id"].as_str().unwrap()])["state"], "applied");
    let poor = net.fails(1, ["transfer", "dev2", "1000000000db3", "--account", "dev1"]);
    assert!(poor.contains("307 BALANCE_TOO_LOW") && !poor.contains("credit pay"), "{poor}");
    let poor = net.fails(1, ["credit", "deposit", "1000000000db3", "--account", "dev1"]);
    assert!(!poor.contains("operation 0"), "a command makes the operations: {poor}");
    let priced = net.ok(["transfer", "dev2", "1000000000db3", "--account", "dev1", "--dry-run"]);
    assert!(priced.contains("307 BALANCE_TOO_LOW") && !priced.contains('{') && !priced.contains("operation 0"));
    let bare = net.fails(2, ["transfer", "dev2", "5", "--account", "dev1"]);
    assert!(bare.contains("5db3"), "{bare}");
    net.fails(2, ["transfer", "nobody", "5db3", "--account", "dev1"]);
}

#[test]
fn collateral_and_lines_change_as_asked_and_credit_in_use_stays() {
    let net = fresh();
    let before = credit(&net, "dev3");
    net.ok(["credit", "deposit", "7db3", "--account", "dev3", "--no-lines"]);
    let deposited = credit(&net, "dev3");
    assert_eq!(number(&deposited["collateral_tai"]) - number(&before["collateral_tai"]), 7_000_000_000);
    net.ok(["credit", "withdraw", "7db3", "--account", "dev3"]);
    assert_eq!(credit(&net, "dev3")["collateral_tai"], before["collateral_tai"]);
    let in_use = net.fails(1, ["credit", "withdraw", "1000db3", "--account", "dev3"]);
    assert!(in_use.contains("309 ") || in_use.contains("310 "), "{in_use}");
    net.ok(["credit", "allocate", "--shard", "1", "3db3", "--account", "dev3"]);
    let lines = credit(&net, "dev3");
    assert_eq!(number(&lines["lines"][1]["want_tai"]), 3_000_000_000);
    let nothing = net.fails(1, ["credit", "pay", "--account", "dev3"]);
    assert!(nothing.contains("312 NOTHING_OWED"), "{nothing}");
    let shard = net.fails(2, ["credit", "allocate", "--shard", "9", "3db3", "--account", "dev3"]);
    assert!(shard.contains("no shard 9"), "{shard}");
}

#[test]
fn a_new_account_is_told_how_to_get_credit_and_gets_it() {
    let net = fresh();
    std::fs::write(net.path("pass.txt"), "correct horse\n").unwrap();
    let with = |words: &[&str]| -> Vec<String> {
        [words, &["--account", "maker", "--password-file", "pass.txt"]]
            .concat()
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let address = net.json(&["account", "new", "maker", "--password-file", "pass.txt"])["address"].clone();
    let broke = net.fails(1, with(&["put", "t", "k", "v"]));
    assert!(broke.contains("212 LINE_MISSING") && broke.contains("db3 transfer"), "{broke}");
    net.ok(["transfer", address.as_str().unwrap(), "20db3"]);
    let nothing = net.fails(2, ["devnet", "fund", address.as_str().unwrap(), "0tai"]);
    assert!(nothing.contains("0tai") && nothing.contains("say more than 0"), "{nothing}");
    let poor = net.fails(1, with(&["put", "t", "k", "v"]));
    assert!(poor.contains("db3 credit deposit"), "{poor}");
    // What helps this account, and not as well what would help another one.
    for said in [&broke, &poor] {
        assert!(!said.contains("Deposit collateral") && !said.contains("db3 devnet fund"), "{said}");
    }
    net.ok(with(&["credit", "deposit", "10db3"]));
    // Where the line is still on its way to its shard, --yes waits for it and sends again.
    net.ok(with(&["put", "t", "k", "v", "--yes"]));
    assert_eq!(net.ok(with(&["get", "t", "k"])), "v");
    let shown = credit(&net, "maker");
    assert!(number(&shown["allocated_tai"]) > 0 && number(&shown["allocated_tai"]) <= number(&shown["limit_tai"]));
    // Credit that no line holds, and a namespace on the shard where it has none.
    net.ok(with(&["credit", "deposit", "2db3", "--no-lines"]));
    let elsewhere = (0..40).find_map(|n| {
        let output = net.run(with(&["namespace", "create", &format!("maker-{n}")]));
        (!output.status.success()).then(|| text(&output.stderr))
    });
    let elsewhere = elsewhere.unwrap();
    assert!(elsewhere.contains("212 LINE_MISSING") && elsewhere.contains("tai` opens a line there"), "{elsewhere}");
    assert!(!elsewhere.contains("Deposit collateral"), "{elsewhere}");
}

#[test]
fn most_of_a_line_used_is_warned_of() {
    let net = fresh();
    let slot = net.json(&["account", "show", "dev4"])["slot"].as_u64().unwrap();
    let shard = u8::from(slot >= 512).to_string();
    let spent = net.json(&["put", "t", "k", "v", "--account", "dev4"]);
    let want = number(&spent["fee_tai"]) * 20;
    net.ok(["credit", "allocate", "--shard", &shard, &format!("{want}tai"), "--account", "dev4"]);
    // With the next round the line is what was asked for.
    net.ok(["devnet", "advance", "600"]);
    net.ok(["devnet", "advance", "600"]);
    let (mut said, value) = (String::new(), "v".repeat(1_000));
    for n in 0..60 {
        let output = net.run(["put", "t", &format!("k{n}"), &value, "--account", "dev4"]);
        said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        if said.contains("of the line on shard") {
            break;
        }
    }
    assert!(said.contains("of the line on shard"), "{said}");
    let refused = (0..20).find_map(|n| {
        let output = net.run(["put", "t", &format!("m{n}"), &value, "--account", "dev4"]);
        (!output.status.success()).then(|| text(&output.stderr))
    });
    let refused = refused.unwrap();
    for part in ["211 CREDIT_EXHAUSTED", &format!("on shard {shard}"), "granted 0.", "used 0.", "`db3 credit allocate"]
    {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    assert!(!refused.contains(" tai"), "{refused}");
    let quiet = net.run(["credit", "show", "--account", "dev4", "--quiet"]);
    assert!(quiet.stderr.is_empty(), "{}", text(&quiet.stderr));
}

/// A network file in which nobody answers for a chain: its node is stopped, as far as the commands can tell.
fn without(net: &Devnet, chain: &str) -> String {
    let rows = net.lines(&["status"]);
    let row = rows.iter().find(|row| row["chain_id"] == chain).unwrap();
    let file = std::fs::read_to_string(net.network_file()).unwrap();
    let name = format!("without-{chain}");
    let changed = file.replace(row["endpoint"].as_str().unwrap(), "http://127.0.0.1:1");
    assert_ne!(changed, file);
    std::fs::write(net.network_file().with_file_name(format!("{name}.toml")), changed).unwrap();
    name
}

#[test]
fn a_stopped_shard_hides_only_what_it_alone_knows() {
    let net = fresh();
    for n in 0..2 {
        net.ok(["put", "t", &format!("k{n}"), "v", "--wait", "committed"]);
    }
    net.ok(["devnet", "advance", "600"]);
    let before = credit(&net, "dev0");
    let slot = net.json(&["account", "show", "dev0"])["slot"].as_u64().unwrap();
    let stopped = format!("devnet-shard-{}", u8::from(slot >= 512));
    let half = without(&net, &stopped);
    let said = |arguments: &[&str]| {
        let output = net.run([&["--network", &half, "--output", "json"], arguments].concat());
        let (out, error) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {}\n{error}", output.status);
        let warning: Value = serde_json::from_str(error.lines().last().unwrap()).unwrap();
        assert_eq!(warning["warning"]["chain_id"], stopped.as_str(), "{arguments:?}: {error}");
        let rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(rows.iter().all(|row| row["unreachable"][0] == stopped.as_str()), "{arguments:?}: {out}");
        rows
    };
    let shown = said(&["credit", "show"]).remove(0);
    for field in ["balance_tai", "collateral_tai", "allocated_tai", "outstanding_tai", "stage"] {
        assert_eq!(shown[field], before[field], "{field}");
    }
    let paid = |money: &Value| sum(money["lines"].as_array().unwrap(), "paid_tai");
    assert_eq!(paid(&shown), paid(&before), "settlement knows the line of the stopped shard too");
    let statements = said(&["statement", "list"]);
    assert_eq!(statements[0]["status"], "paid");
    assert_eq!(said(&["statement", "export"])[0]["amount_tai"], statements[0]["amount_tai"]);
    let shown = said(&["statement", "show", "last"]).remove(0);
    assert!(shown.get("bills").is_none() && shown["cover"]["verified"] == true, "{shown}");
    assert!(said(&["bill", "list"]).is_empty() && said(&["epoch", "list"]).len() > 1);
    let its_number = stopped.rsplit('-').next().unwrap();
    net.fails(3, ["--network", &half, "bill", "list", "--shard", its_number]);
    net.fails(3, ["--network", &half, "epoch", "list", "--shard", its_number]);

    let output = net.run(["--network", &half, "--output", "json", "status"]);
    assert_eq!(output.status.code(), Some(3));
    let printed = text(&output.stdout);
    let rows: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let row = rows.iter().find(|row| row["chain_id"] == stopped.as_str()).unwrap();
    assert!(row["state"] == "unreachable" && number(&row["closed_epoch"]) > 0, "settlement knows its closes: {row}");
    let said = text(&output.stderr);
    assert!(
        said.contains("devnet status") && !said.contains("nothing was sent") && !said.contains("(db3 status"),
        "{said}"
    );
    let link = rows.iter().find(|row| row["from"] == "devnet-settlement" && row["to"] == stopped.as_str()).unwrap();
    assert!(link["problem"].as_str().unwrap().contains("does not answer") && number(&link["size"]) > 0, "{link}");

    let shards_alone = without(&net, "devnet-settlement");
    let bills = net.run(["--network", &shards_alone, "bill", "list"]);
    assert!(bills.status.success() && text(&bills.stderr).contains("statuses are what the shards know"));
    net.fails(3, ["--network", &shards_alone, "statement", "list"]);
    // What the shard proves of a bill is shown; that it was paid is not, and so it does not count as verified.
    let bill = net.lines(&["bill", "list"])[0]["reference"].as_str().unwrap().to_owned();
    let verified = net.run(["--network", &shards_alone, "--output", "json", "bill", "verify", &bill]);
    let shown: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!((&shown["under"], &shown["verified"]), (&"the close of its epoch".into(), &false.into()), "{shown}");
    let error = text(&verified.stderr);
    assert!(verified.status.code() == Some(3) && error.contains("devnet-settlement"), "{error}");
    let shown = net.run(["--network", &shards_alone, "bill", "show", &bill]);
    assert!(shown.status.success() && text(&shown.stderr).contains("statuses are what the shards know"));
}

#[test]
fn postings_pools_and_payouts_agree_with_what_was_charged() {
    let net = fresh();
    net.ok(["put", "t", "k", "v"]);
    net.ok(["transfer", "dev1", "1db3"]);
    net.ok(["devnet", "advance", "600"]);
    let fees = sum(&net.lines(&["bill", "list"]), "fee_tai");
    let postings = net.lines(&["posting", "list"]);
    assert_eq!((sum(&postings, "debit_tai"), sum(&postings, "paid_tai")), (fees, fees));
    assert!(postings.iter().all(|one| one["verified"] == true && one["kind"] == "round"), "{postings:?}");
    let first = &postings[0];
    assert_eq!(net.json(&["posting", "show", first["index"].as_str().unwrap()])["lines"], first["lines"]);
    assert!(net.lines(&["posting", "list", "--kind", "write_off"]).is_empty());
    assert!(net.lines(&["posting", "list", "--until", "2020-01-01T00:00:00Z"]).is_empty());
    net.fails(1, ["posting", "show", "999"]);

    let pools = net.lines(&["pool", "list"]);
    assert_eq!(pools.len(), 3, "two shards, and the settlement chain's own fees");
    let shards: Vec<Value> = pools.iter().filter(|pool| pool["chain_id"] != "devnet-settlement").cloned().collect();
    assert_eq!(sum(&shards, "income_tai"), fees);
    let own = pools.iter().find(|pool| pool["chain_id"] == "devnet-settlement").unwrap();
    assert!(number(&own["income_tai"]) > 0, "the fee of the transfer");
    let payouts = net.lines(&["pool", "payouts"]);
    for pool in &pools {
        let received = payouts.iter().filter(|one| one["chain_id"] == pool["chain_id"]).cloned().collect::<Vec<_>>();
        assert_eq!(sum(&received, "amount_tai"), number(&pool["paid_out_tai"]), "{pool}");
    }
    let payee = payouts[0]["account"].as_str().unwrap();
    let theirs = net.lines(&["posting", "list", "--kind", "payout", "--account", payee]);
    assert!(!theirs.is_empty() && theirs.iter().all(|one| one["kind"] == "payout"));
    net.fails(2, ["pool", "payouts", "--chain", "nowhere"]);
    for arguments in [&["posting", "list"][..], &["posting", "show", "0"], &["pool", "list"], &["pool", "payouts"]] {
        assert!(!net.ok(arguments).is_empty() && !net.ok([&["--output", "csv"], arguments].concat()).is_empty());
    }
}

#[test]
fn the_status_shows_who_hears_whom() {
    let net = fresh();
    net.ok(["put", "t", "k", "v"]);
    let rows = net.lines(&["status"]);
    let links: Vec<&Value> = rows.iter().filter(|row| row.get("from").is_some()).collect();
    assert_eq!((rows.len(), links.len()), (7, 4), "three chains, and both directions of each shard");
    assert!(links.iter().all(|link| link["frozen"] == false && link.get("lag").is_some()));
    // After its time was moved, the chains' time is ahead of this machine's: ages are still counted.
    assert!(links.iter().all(|link| number(&link["lag_secs"]) <= 700 && number(&link["header_age_secs"]) <= 700));
    assert_eq!(rows[0]["chain_id"], "devnet-settlement");
    let csv = net.ok(["--output", "csv", "status"]);
    let cells: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let column = |name: &str| cells[0].iter().position(|cell| *cell == name).unwrap_or_else(|| panic!("{name}: {csv}"));
    for lag in ["to_settlement_lag", "to_settlement_lag_secs", "from_settlement_lag", "from_settlement_lag_secs"] {
        assert!(cells[2..].iter().all(|row| row[column(lag)].parse::<u64>().is_ok()), "{lag}: {csv}");
        assert_eq!(cells[1][column(lag)], "", "they stand with the shards");
    }
    assert_eq!((cells.len(), cells[2][column("fault")]), (4, ""));
    assert!(net.ok(["status"]).contains("for ever"), "what the devnet's chains trust has no end");
    let carried = net.lines(&["relay", "--for", "2s", "--jitter", "10ms"]);
    assert!(carried.iter().all(|row| row["condition"] == "idle" || row["condition"] == "behind"), "{carried:?}");
}
