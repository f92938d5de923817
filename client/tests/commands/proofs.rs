//! Proofs that are kept, and forged ones.

use serde_json::Value;

use crate::net;

#[test]
fn a_kept_proof_holds_and_any_changed_byte_breaks_it() {
    let net = net();
    net.ok(["put", "kept", "k", "value"]);
    net.ok(["put", "kept", "m", "plain"]);
    net.ok(["get", "kept", "k", "--proof-file", "record.proof"]);
    net.fails(4, ["get", "kept", "nothing", "--proof-file", "absence.proof"]);
    net.ok(["scan", "kept", "--proof-file", "range.proof"]);
    net.ok(["scan", "kept", "--limit", "1", "--proof-file", "cut.proof"]);
    for (file, shows) in
        [("record.proof", "record"), ("absence.proof", "absence"), ("range.proof", "range"), ("cut.proof", "range")]
    {
        let verified = net.json(&["verify", file]);
        assert_eq!((&verified["verified"], &verified["shows"]), (&Value::from(true), &Value::from(shows)));
    }
    // Every byte, through the library; a few through the command.
    let network = db3_client::load_network(&net.network_file()).unwrap();
    for file in ["record.proof", "absence.proof", "cut.proof"] {
        let good = std::fs::read(net.path(file)).unwrap();
        let holds =
            |bytes: &[u8]| db3_client::KeptProof::from_json(file, bytes).and_then(|kept| kept.verify(&network)).is_ok();
        assert!(holds(&good));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            assert!(!holds(&bad), "{file}: byte {at} does not count");
        }
        assert!(!holds(&[good.as_slice(), b"\n"].concat()) && !holds(&good[..good.len() - 1]));
    }
    let mut bad = std::fs::read(net.path("record.proof")).unwrap();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    std::fs::write(net.path("bad.proof"), bad).unwrap();
    net.fails(5, ["verify", "bad.proof"]);
    std::fs::write(net.path("other.proof"), "{}").unwrap();
    net.fails(2, ["verify", "other.proof"]);
}

#[test]
fn a_forged_proof_with_a_good_digest_does_not_hold() {
    let net = net();
    net.ok(["put", "forged", "k", "truth"]);
    net.ok(["get", "forged", "k", "--proof-file", "truth.proof"]);
    let text = std::fs::read_to_string(net.path("truth.proof")).unwrap();
    let lie = text.replace("\"truth\"", "\"fraud\"");
    let network = db3_client::load_network(&net.network_file()).unwrap();
    // Whoever forges can compute a digest too: over the compact JSON of version, statement and evidence.
    let parsed: Value = serde_json::from_str(&lie).unwrap();
    let covered = {
        let start = lie.find("\"statement\"").unwrap();
        let end = lie.rfind(",\n  \"sha256\"").unwrap();
        let compact: String = compact(&lie[start..end]);
        let (statement, evidence) = compact.split_once(",\"evidence\":").unwrap();
        format!("[1,{},{evidence}]", statement.trim_start_matches("\"statement\":"))
    };
    let digest = format!("0x{}", hex::encode(db3_client::primitives::sha256(&[covered.as_bytes()])));
    let lie = lie.replace(parsed["sha256"].as_str().unwrap(), &digest);
    let kept = db3_client::KeptProof::from_json("lie", lie.as_bytes()).expect("its digest is right");
    assert!(kept.verify(&network).is_err());
}

/// JSON without white space between its tokens.
fn compact(text: &str) -> String {
    let (mut in_string, mut compact) = (false, String::new());
    for letter in text.chars() {
        if letter == '"' {
            in_string = !in_string;
        }
        if in_string || !letter.is_ascii_whitespace() {
            compact.push(letter);
        }
    }
    compact
}
