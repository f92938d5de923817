//! Files of records, in and out.

use serde_json::Value;

use crate::{net, number};

#[test]
fn an_import_writes_everything_once_and_comes_back_the_same() {
    let net = net();
    let row = |n: u32| format!("{n:03};\"name; {n}\";{}", n.pow(2));
    let rows = (0..500).map(row).collect::<Vec<_>>().join("\n");
    std::fs::write(net.path("squares.txt"), &rows).unwrap();
    let import = [
        "import",
        "squares",
        "squares.txt",
        "--delimiter",
        ";",
        "--columns",
        "code,name,square",
        "--key",
        "code",
        "--batch",
        "50",
        "--receipts",
        "receipts.ndjson",
        "--account",
        "dev5",
    ];
    let first = net.json(&import);
    assert_eq!((number(&first["records"]), number(&first["written"]), number(&first["mutations"])), (500, 500, 10));
    let receipts = std::fs::read_to_string(net.path("receipts.ndjson")).unwrap();
    let receipts: Vec<Value> = receipts.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(receipts.iter().map(|receipt| number(&receipt["records"])).sum::<u128>(), 500);
    let second = net.json(&import);
    assert_eq!((number(&second["written"]), number(&second["unchanged"]), number(&second["mutations"])), (0, 500, 0));

    let csv = net.ok(["export", "squares", "--format", "csv", "--account", "dev5"]);
    assert!(csv.starts_with("code,name,square\n000,name; 0,0\n"), "{}", &csv[..80]);
    std::fs::write(net.path("squares.csv"), csv).unwrap();
    let third = net.json(&["import", "squares", "squares.csv", "--key", "code", "--account", "dev5"]);
    assert_eq!(number(&third["mutations"]), 0, "an export is the same import");
    net.ok(["export", "squares", "--pairs", "--file", "pairs.ndjson", "--account", "dev5"]);
    let there = net.fails(2, ["export", "squares", "--file", "pairs.ndjson", "--account", "dev5"]);
    assert!(there.contains("exists already") && there.contains("--yes"), "{there}");
    net.ok(["export", "squares", "--pairs", "--file", "pairs.ndjson", "--account", "dev5", "--yes"]);
    let fourth = net.json(&["import", "squares", "pairs.ndjson", "--pairs", "--account", "dev5"]);
    assert_eq!(number(&fourth["mutations"]), 0);
    let exported = net.lines(&["export", "squares", "--account", "dev5"]);
    assert!(exported.len() == 500 && exported.iter().all(|record| record["version"] == "1"));

    let fees: u128 =
        net.lines(&["bill", "list", "--account", "dev5"]).iter().map(|bill| number(&bill["fee_tai"])).sum();
    assert_eq!(fees, number(&first["fee_tai"]));
}

#[test]
fn a_file_that_cannot_be_imported_says_where_and_nothing_is_sent() {
    let net = net();
    let try_file = |name: &str, content: &[u8], more: &[&str]| {
        std::fs::write(net.path(name), content).unwrap();
        let said = net.fails(2, [&["import", "bad", name, "--account", "dev6"], more].concat());
        assert!(said.contains("nothing was sent") || said.contains("UTF-8"), "{said}");
        said
    };
    let said = try_file("a.csv", b"k,v\n1,2\n3\n", &["--key", "k"]);
    assert!(said.contains("a.csv:3:1"), "{said}");
    let said = try_file("b.ndjson", b"{\"k\":\"1\"}\n{\"k\" 2}\n", &["--key", "k"]);
    assert!(said.contains("b.ndjson:2:6"), "{said}");
    let said = try_file("c.csv", b"k,v\n1,a\n2,b\n1,c\n", &["--key", "k"]);
    assert!(said.contains("c.csv:4") && said.contains("line 2"), "{said}");
    let long = format!("k,v\n{},x\n", "y".repeat(257));
    let said = try_file("d.csv", long.as_bytes(), &["--key", "k"]);
    assert!(said.contains("257") && said.contains("256"), "{said}");
    let large = format!("k,v\na,{}\n", "y".repeat(11_000));
    assert!(try_file("e.csv", large.as_bytes(), &["--key", "k"]).contains("10240"));
    assert!(try_file("f.csv", b"k,v\n1,2\n", &["--key", "x"]).contains("k, v"));
    assert!(try_file("g.csv", b"k,v\n1,\xff\n", &["--key", "k"]).contains("g.csv:2:3"));
    assert!(net.lines(&["bill", "list", "--account", "dev6"]).is_empty());
}

#[test]
fn what_a_file_holds_has_the_number_that_the_network_has_for_it() {
    let net = net();
    let code = |arguments: &[&str]| {
        let said = net.fails(2, [&["--output", "json"], arguments].concat());
        let error: Value = serde_json::from_str(&said).unwrap();
        assert!(error["error"]["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{said}");
        error["error"]["code"].clone()
    };
    std::fs::write(net.path("large.csv"), format!("id,text\n1,{}\n", "x".repeat(10_300))).unwrap();
    assert_eq!(code(&["import", "t", "large.csv", "--key", "id"]), 118);
    std::fs::write(net.path("long.csv"), format!("id\n{}\n", "k".repeat(300))).unwrap();
    assert_eq!(code(&["import", "t", "long.csv", "--key", "id"]), 117);
    std::fs::write(net.path("keyless.csv"), "id,text\n,x\n").unwrap();
    assert_eq!(code(&["import", "t", "keyless.csv", "--key", "id"]), 117);
    std::fs::write(net.path("nothing.ndjson"), "").unwrap();
    assert_eq!(code(&["mutate", "nothing.ndjson"]), 107);
    std::fs::write(net.path("unknown.ndjson"), "{\"op\":\"frob\",\"table\":\"t\",\"key\":\"k\"}\n").unwrap();
    assert_eq!(code(&["mutate", "unknown.ndjson"]), 106);
    assert_eq!(code(&["scan", "t", "--from", "z", "--to", "a"]), Value::Null);
    std::fs::write(net.path("header.csv"), "id\n").unwrap();
    assert_eq!(code(&["import", "t", "header.csv", "--key", "nope"]), Value::Null);
    std::fs::write(net.path("broken.toml"), "name = \n").unwrap();
    assert_eq!(code(&["network", "add", "broken.toml"]), Value::Null);
}
