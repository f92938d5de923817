//! Every example that a `--help` shows is run, in order, on a devnet, as a newcomer would paste it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

mod network;

use std::process::Command;

use db3_client::cli::examples::EXAMPLES;
use network::{Devnet, text};

/// Words of a line as a shell splits them: single quotes hold words together.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    let split = parts.flat_map(|(index, part)| {
        if index % 2 == 1 { vec![part.to_owned()] } else { part.split_whitespace().map(ToOwned::to_owned).collect() }
    });
    split.collect()
}

fn write_files(net: &Devnet) {
    let files: [(&str, &[u8]); 6] = [
        ("password.txt", b"correct horse\n"),
        ("secret.txt", b"0x0101010101010101010101010101010101010101010101010101010101010101\n"),
        ("picture.png", &[0x89, b'P', b'N', b'G', 0, 255]),
        ("countries.csv", b"code,name\nAW,Aruba\nAF,Afghanistan\n"),
        ("characters.txt", b"0041;LATIN CAPITAL LETTER A\n0042;LATIN CAPITAL LETTER B\n"),
        ("operations.ndjson", b"{\"op\":\"put\",\"table\":\"notes\",\"key\":\"m\",\"value\":\"1\"}\n{\"op\":\"put\",\"table\":\"notes\",\"key\":\"n\",\"value_hex\":\"0xff\"}\n"),
    ];
    for (name, content) in files {
        std::fs::write(net.path(name), content).unwrap();
    }
}

#[test]
fn every_example_of_the_help_runs() {
    let net = Devnet::prepared();
    write_files(&net);
    let mut id = String::new();
    for (path, examples) in EXAMPLES {
        for example in examples {
            prepare(&net, path, example, &mut id);
            let line = example.replace("ID", &id);
            let output = net.run(&words(&line)[1..]);
            assert!(
                output.status.success(),
                "help of `db3 {path}`: {line}: {}\n{}\n{}",
                output.status,
                text(&output.stdout),
                text(&output.stderr)
            );
        }
    }
}

/// What a newcomer has done before the example makes sense.
fn prepare(net: &Devnet, path: &str, example: &str, id: &mut String) {
    match path {
        // Only one devnet runs in a folder.
        "devnet start" | "devnet" if example.contains("--detach") => {
            let _stopped = net.run(["devnet", "stop"]);
            if path == "devnet start" {
                net.ok(["devnet", "reset", "--yes"]);
            }
        }
        "devnet stop" | "devnet reset" if example.ends_with("--quiet") => {
            net.ok(["devnet", "start", "--detach"]);
        }
        "network add" => {
            let file = std::fs::read_to_string(net.network_file()).unwrap();
            let keys = format!("keystore = \"{}\"", net.path("home/devnet/keystore").display());
            let lines = file.lines().map(|line| if line.starts_with("keystore") { &keys } else { line });
            std::fs::write(net.path("network.toml"), lines.collect::<Vec<_>>().join("\n")).unwrap();
        }
        "receipt" => {
            net.ok(["put", "notes", "signed", "x", "--signed-file", "signed.bin"]);
            net.json(&["decode", "signed.bin"])["id"].as_str().unwrap().clone_into(id);
        }
        _ => {}
    }
}

#[test]
fn the_library_example_writes_and_verifies() {
    let net = Devnet::start(&[]);
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_db3")).parent().unwrap();
    let program = folder.join("examples/write_and_verify");
    let output = Command::new(program).arg(net.network_file()).output().expect("the example is built with the tests");
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{printed}{}", text(&output.stderr));
    assert!(printed.contains("in block") && printed.contains("under root 0x"), "{printed}");
}
