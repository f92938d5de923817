//! What operators decide, as they type it: above all the way out where a light client froze.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use db3_carry::{Delivery, HeaderUpdate};
use db3_client::{Client, InboxView, Options, load_network};
use db3_light_client::UnixTime;
use db3_light_client::build::HeaderChain;
use db3_network::{Candidate, KeysInput, Plan};
use db3_primitives::{Address, ChainId};
use db3_proto::v1::chain_service_client::ChainServiceClient;
use db3_proto::{delivery_message, v1};
use serde_json::Value;

use crate::network::Devnet;
use crate::number;

const SETTLEMENT: &str = "devnet-settlement";
const SHARD: &str = "devnet-shard-0";
/// Where dev0 writes, and is billed.
const OWN_SHARD: &str = "devnet-shard-1";

/// What the settlement chain has heard of the shard.
async fn heard(client: &Client) -> InboxView {
    let id = |name: &str| name.parse::<ChainId>().unwrap();
    client.inbox(&id(SETTLEMENT), &id(SHARD)).await.unwrap()
}

/// A second header at a height of the shard, signed with its validator's key, as only a thief of that key could make it.
fn forged(net: &Devnet, height: u64, time: UnixTime) -> Vec<u8> {
    let file = net.path(&format!("home/devnet/{SHARD}/config/priv_validator_key.json"));
    let key: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let secret = STANDARD.decode(key["priv_key"]["value"].as_str().unwrap()).unwrap();
    let before = UnixTime::new(time.secs() - 1, 0).unwrap();
    let mut headers = HeaderChain::new(SHARD, &[(*secret.first_chunk().unwrap(), 10)], before).unwrap();
    for made in 1..height {
        headers.make([66; 32], UnixTime::new(time.secs() - 1, u32::try_from(made).unwrap()).unwrap()).unwrap();
    }
    headers.make([66; 32], time).unwrap();
    headers.light_block(height).unwrap().to_vec()
}

/// How the settlement chain hears a shard.
fn link(net: &Devnet, shard: &str) -> Value {
    let rows = net.lines(&["status"]);
    rows.into_iter().find(|row| row["from"] == shard && row["to"] == SETTLEMENT).unwrap()
}

/// A decision, once it is told to stand like this.
fn decision(net: &Devnet, sequence: &Value, state: &str) -> Value {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let shown = net.json(&["governance", "show"]);
        let decisions = shown["decisions"].as_array().unwrap();
        match decisions.iter().find(|one| &one["sequence"] == sequence) {
            Some(found) if found["state"] == state => return found.clone(),
            _ => assert!(Instant::now() < end, "never {state}: {shown}"),
        }
    }
}

#[test]
fn a_frozen_light_client_is_replaced_by_operators_and_what_waited_is_carried() {
    let net = Devnet::start(&["--epoch-secs", "600"]);
    net.ok(["put", "t", "k", "v"]);
    // With the first close comes the first header.
    net.ok(["devnet", "advance", "600"]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let network = load_network(&net.network_file()).unwrap();
    let endpoint = network.settlement().unwrap().endpoints[0].clone();
    runtime.block_on(async {
        let client = Client::connect(network, Options::default()).await.unwrap();
        let inbox = heard(&client).await;
        let trusted = inbox.trusted_time().unwrap();
        let time = UnixTime::new(i64::try_from(trusted.secs).unwrap(), trusted.nanos).unwrap();
        let light_block = forged(&net, inbox.message.trusted_height, time);
        let headers = vec![HeaderUpdate { light_block, trusted_next_validators: None }];
        let delivery = delivery_message(&Delivery::of_headers(SHARD.parse().unwrap(), headers));
        let request = v1::SubmitDeliveryRequest { delivery: Some(delivery), wait: v1::WaitMode::Committed.into() };
        let channel = tonic::transport::Endpoint::from_shared(endpoint).unwrap().connect().await.unwrap();
        let mut chain = ChainServiceClient::new(channel);
        chain.submit_delivery(request).await.unwrap();
    });
    // Both headers are proven, so nothing is believed any more, and everybody sees it.
    let frozen = link(&net, SHARD);
    assert!(frozen["frozen"] == true && !frozen["problem"].as_str().unwrap().is_empty(), "{frozen}");
    net.ok(["put", "t", "k2", "v"]);
    let cursor = number(&frozen["cursor"]);

    net.ok(["governance", "propose", "replace.db3", "--replace-channel", SHARD]);
    net.fails(1, ["governance", "submit", "replace.db3"]);
    net.ok(["governance", "sign", "replace.db3", "--account", "dev0"]);
    let sent = net.json(&["governance", "submit", "replace.db3"]);
    decision(&net, &sent["sequence"], "done");
    assert_eq!(link(&net, SHARD)["frozen"], false);

    // What the shard writes from here on is taken in, and settled.
    net.ok(["devnet", "advance", "600"]);
    let now = link(&net, SHARD);
    assert!(number(&now["cursor"]) > cursor && now["frozen"] == false, "{now}");
    let bills = net.lines(&["bill", "list"]);
    assert!(bills.len() >= 2 && bills.iter().all(|bill| bill["status"] == "paid"), "{bills:?}");
}

#[test]
fn an_expired_light_client_is_replaced_by_operators_and_what_waited_is_carried() {
    let net = Devnet::start(&["--epoch-secs", "600"]);
    net.ok(["put", "t", "k", "v"]);
    let replace = |period: &str| {
        let anew = ["--replace-channel", OWN_SHARD, "--trusting-period", period];
        net.ok(["governance", "propose", "replace.db3", "--yes"].into_iter().chain(anew));
        net.ok(["governance", "sign", "replace.db3", "--account", "dev0"]);
        let sent = net.json(&["governance", "submit", "replace.db3"]);
        decision(&net, &sent["sequence"], "done");
        std::fs::remove_file(net.path("replace.db3")).unwrap();
    };
    replace("90s");
    let before = link(&net, OWN_SHARD);
    assert_eq!((number(&before["trusted_secs"]), &before["frozen"]), (90, &Value::Bool(false)), "{before}");

    // Ten minutes pass at once: the shard closes its epoch, and nobody can bring that any more.
    let mut closing = net.command().args(["devnet", "advance", "600"]).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    let refused = loop {
        let reports = net.lines(&["relay", "--poll", "50ms", "--jitter", "1ms", "--for", "1s"]);
        let told =
            |report: &Value| report["problem"].as_str().is_some_and(|problem| problem.contains("was trusted until"));
        match reports.into_iter().find(told) {
            Some(report) => break report,
            None => assert!(Instant::now() < end, "nobody is refused"),
        }
    };
    assert_eq!((&refused["from"], &refused["to"]), (&OWN_SHARD.into(), &SETTLEMENT.into()), "{refused}");
    let expired = link(&net, OWN_SHARD);
    assert!(number(&expired["header_age_secs"]) > 90 && number(&expired["lag"]) > 0, "{expired}");
    assert_eq!((&expired["cursor"], &expired["frozen"]), (&before["cursor"], &Value::Bool(false)), "{expired}");

    replace("1h");
    assert!(closing.wait().unwrap().success());
    net.ok(["devnet", "advance", "600"]);
    let now = link(&net, OWN_SHARD);
    assert!(number(&now["cursor"]) > number(&expired["cursor"]) && number(&now["lag"]) == 0, "{now}");
    let bills = net.lines(&["bill", "list"]);
    assert!(!bills.is_empty() && bills.iter().all(|bill| bill["status"] == "paid"), "{bills:?}");
}

#[test]
fn a_signature_that_does_not_count_is_asked_about_named_when_it_stands_in_the_way_and_taken_out() {
    let net = crate::net();
    let sign = |account: &'static str, more: &[&'static str]| {
        [&["governance", "sign", "stray.db3", "--account", account], more].concat()
    };
    net.ok(["governance", "propose", "stray.db3", "--shard", "0", "--set", "expiry_max_secs=1800"]);
    net.ok(sign("dev0", &[]));
    let told = net.fails(2, sign("dev1", &[]));
    assert!(told.contains("operates no validator of devnet-shard-0") && told.contains("--yes"), "{told}");
    assert!(net.fails(2, ["governance", "unsign", "stray.db3", "dev1"]).contains("has not signed"));

    net.ok(sign("dev1", &["--yes"]));
    let shown = net.json(&["governance", "show", "stray.db3"]);
    let stranger = shown["signers"][1]["operator"].as_str().unwrap().to_owned();
    assert!(shown["enough"] == false && shown["problem"].as_str().unwrap().contains(&stranger), "{shown}");
    let told = net.fails(1, ["governance", "submit", "stray.db3", "--output", "json"]);
    let told: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!(told["error"]["code"], 228, "{told}");
    assert!(told["error"]["remedy"].as_str().unwrap().contains("governance unsign"), "{told}");

    net.ok(["governance", "unsign", "stray.db3", &stranger]);
    assert_eq!(net.json(&["governance", "show", "stray.db3"])["enough"], true);
}

#[test]
fn accounts_that_everybody_or_nobody_has_the_key_of_are_given_nothing_outside_a_devnet() {
    let net = crate::net();
    let text = std::fs::read_to_string(net.network_file()).unwrap();
    std::fs::write(net.path("home/networks/solo.toml"), text.replace("kind = \"devnet\"", "kind = \"solo\"")).unwrap();
    let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let (own, dev, nobody) = (format!("0x{}", "11".repeat(20)), "dev1", format!("0x{}", "00".repeat(20)));
    let propose = |network: &str, change: [&str; 2]| -> [String; 8] {
        ["--network", network, "governance", "propose", "given.db3", "--yes", change[0], change[1]].map(str::to_owned)
    };
    let set_validator = |operator: &str, payout: &str| format!("{key}:1:{operator}:{payout}");
    for (change, role) in [
        (["--set-validator", &set_validator(dev, &own)], "operator"),
        (["--set-validator", &set_validator(&own, dev)], "payout account"),
        (["--set-validator", &set_validator(&own, &nobody)], "payout account"),
        (["--treasury", dev], "treasury"),
        (["--trust", "dev1=1db3"], "trusted"),
        (["--payouts", "0=dev1:1"], "paid"),
    ] {
        let told = net.fails(2, propose("solo", change));
        assert!(told.contains("body has the key") && told.contains(role), "{change:?}: {told}");
        net.ok(propose("devnet", change));
        // Who gets such a file from elsewhere does not sign it either.
        let told = net.fails(2, ["--network", "solo", "governance", "sign", "given.db3", "--account", "dev0"]);
        assert!(told.contains("body has the key") && told.contains(role), "{change:?}: {told}");
    }
    net.ok(propose("solo", ["--set-validator", &set_validator(&own, &own)]));
    net.ok(propose("solo", ["--trust", "dev1=0tai"]));
}

#[test]
fn a_decision_is_told_with_what_became_of_it() {
    let net = Devnet::start(&["--epoch-secs", "600"]);
    let decide = |change: &[&str]| {
        let file = "decision.db3";
        net.ok([&["governance", "propose", file, "--yes"], change].concat());
        net.ok(["governance", "sign", file, "--account", "dev0"]);
        net.json(&["governance", "submit", file])
    };
    let first = decide(&["--set", "expiry_max_secs=1800"]);
    let done = decision(&net, &first["sequence"], "done");
    assert_eq!(done["end_height"], first["at_height"], "{done}");
    let far = (number(&first["height"]) + 5_000).to_string();
    let second = decide(&["--set", "expiry_max_secs=900", "--at", &far]);
    let waits = decision(&net, &second["sequence"], "scheduled");
    assert_eq!(waits["at_height"], far.as_str(), "{waits}");
    let third = decide(&["--cancel", second["sequence"].as_str().unwrap()]);
    let cancelled = decision(&net, &second["sequence"], "cancelled");
    assert_eq!(cancelled["cancelled_by"], third["sequence"]);
    let table = net.ok(["governance", "show"]);
    assert!(table.contains("cancelled") && table.contains("taken back by decision 3"), "{table}");
}

#[test]
fn what_no_block_could_do_is_refused_before_anybody_signs_it() {
    let net = Devnet::start(&["--epoch-secs", "600"]);
    let key = "11".repeat(32);
    let validator = format!("{key}:1152921504606846976:dev0:dev0");
    let treasury = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    // The change, and what is said of it: the value, or why not.
    for (change, said) in [
        (&["--set", "expiry_max_secs=0"][..], "expiry_max_secs"),
        (&["--shard", "0", "--set", "expiry_max_secs=0"], "expiry_max_secs cannot be 0"),
        (&["--shard", "0", "--set", "grace_epochs=3"], "a shard has no parameter grace_epochs"),
        (&["--set", "block_mutations_max=3"], "the settlement chain has no parameter block_mutations_max"),
        (&["--set", "round_accounts_max=5000000000"], "5000000000"),
        (&["--shard", "0", "--treasury", treasury], "settlement chain"),
        (&["--set", "grace_epochs=2", "--at", "1"], "height 1"),
        (&["--cancel", "7"], "7 waits"),
        (&["--payouts", "9=dev0:1"], "there is no shard 9"),
        (&["--trust", "0x00000000000000000000000000000000000000a1=5db3"], "never had any money here"),
        (&["--prices", "1,1,1,1,340282366920938463463374607431768211455"], "more than any credit"),
        (&["--set-validator", &validator], "power"),
        (&["--shard", "0", "--replace-channel", "devnet-shard-1"], "devnet-shard-1"),
    ] {
        let output = net.run([&["governance", "propose", "never.db3"], change].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(1 | 2)) && error.contains(said), "{change:?}: {error}");
        assert!(!net.path("never.db3").exists(), "{change:?}");
    }
}

/// The public file of a validator of the devnet that comes later, as its machine writes it; with these keys, or new ones.
fn public_file(net: &Devnet, name: &str, shards: u32, signers: &BTreeMap<ChainId, [u8; 32]>) -> Candidate {
    let time = "2026-01-31T09:30:00Z".parse().unwrap();
    let plan = Plan::new("devnet".parse().unwrap(), shards, NonZeroU64::new(600).unwrap(), time);
    let input = KeysInput {
        plan: &plan,
        roster: None,
        name,
        p2p_address: "127.0.0.1",
        endpoint: None,
        operator: Address::new([61; 20]),
        payout: Address::new([62; 20]),
        keys: &net.path(&format!("{name}-keys")),
        signers,
    };
    input.prepare().unwrap().write(&net.path(&format!("{name}.toml"))).unwrap()
}

#[test]
fn operators_add_a_validator_by_its_public_file_alone() {
    let net = crate::net();
    let dave = public_file(&net, "dave", 2, &BTreeMap::new());
    let (operator, payout) = (dave.operator.to_string(), dave.payout.to_string());
    let actions = |file: &str, more: &[&str]| -> Vec<String> {
        net.ok(["governance", "propose", file, "--yes"].iter().chain(more));
        let shown = net.json(&["governance", "show", file]);
        shown["actions"].as_array().unwrap().iter().map(|action| action.as_str().unwrap().to_owned()).collect()
    };
    let key = |at: usize| hex::encode(dave.chains[at].pubkey);

    let of_shard = actions("dave-0.json", &["--shard", "0", "--add-validator", "dave.toml=7"]);
    assert_eq!(of_shard.len(), 1, "{of_shard:?}");
    for part in [&key(1), &operator, &payout] {
        assert!(of_shard[0].contains(part), "{part}: {of_shard:?}");
    }
    // The settlement chain pays it of what every shard earns, beside those who validate the shards already.
    let of_settlement = actions("dave.json", &["--add-validator", "dave.toml=7"]);
    assert_eq!(of_settlement.len(), 3, "{of_settlement:?}");
    assert!(of_settlement[0].contains(&key(0)), "{of_settlement:?}");
    for (shard, action) in of_settlement[1..].iter().enumerate() {
        let known = net.json(&["governance", "show", "--shard", &shard.to_string()])["validators"][0].clone();
        let share = format!("{} by {}", known["payout"].as_str().unwrap(), known["power"].as_str().unwrap());
        assert!(action.contains(&format!("what shard {shard} earns to 2 accounts")), "{action}");
        assert!(action.contains(&share) && action.contains(&format!("{payout} by 7")), "{action}");
    }
    // Unless it is said who shares.
    let said = ["--payouts", "0=dev0:1", "--payouts", "1=validators"];
    let said = actions("said.json", &[&["--add-validator", "dave.toml=7"], &said[..]].concat());
    assert!(said.len() == 3 && said[1].contains("to 1 accounts") && said[2].contains("to 2 accounts"), "{said:?}");

    // A key is taken as CometBFT's files write it, too.
    let base64 = STANDARD.encode(dave.chains[0].pubkey);
    let removed = |key: &str| net.fails(1, ["governance", "propose", "away.json", "--remove-validator", key]);
    assert!(removed(&base64).contains("there is no validator with this key"));
    assert_eq!(removed(&base64), removed(&key(0)));

    let refused = |more: &[&str]| net.fails(2, ["governance", "propose", "no.json"].iter().chain(more));
    assert!(refused(&["--add-validator", "dave.toml"]).contains("FILE=POWER"));
    assert!(refused(&["--add-validator", "dave.toml=0"]).contains("FILE=POWER"));
    assert!(refused(&["--add-validator", "nobody.toml=1"]).contains("nobody.toml"));
    public_file(&net, "other", 1, &BTreeMap::new());
    assert!(refused(&["--add-validator", "other.toml=1"]).contains("with 1 shards"));
    let known = |shard: &[&str]| {
        let shown = net.json(&[&["governance", "show"], shard].concat());
        let key = hex::decode(shown["validators"][0]["key"].as_str().unwrap().trim_start_matches("0x")).unwrap();
        <[u8; 32]>::try_from(key).unwrap()
    };
    let known = [known(&[]), known(&["--shard", "0"]), known(&["--shard", "1"])];
    let chains = dave.chains.iter().map(|chain| chain.chain_id.clone());
    public_file(&net, "known", 2, &chains.zip(known).collect());
    assert!(refused(&["--add-validator", "known.toml=1"]).contains("--set-validator"));
    assert!(!net.path("no.json").exists());
}
