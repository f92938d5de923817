//! What a client does when a network goes back behind what it has verified, or an answer is lost on its way.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::network::Devnet;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_network_that_was_restored_from_an_old_copy_is_refused_by_name() {
    let net = Devnet::start(&["--epoch-secs", "600"]);
    net.ok(["put", "history", "k", "old"]);
    net.ok(["devnet", "stop"]);
    copy(&net.path("home/devnet"), &net.path("copy"));
    net.ok(["devnet", "start", "--detach"]);
    for n in 0..8 {
        net.ok(["put", "history", "k", &n.to_string()]);
    }
    net.ok(["get", "history", "k"]);
    net.ok(["devnet", "stop"]);
    std::fs::remove_dir_all(net.path("home/devnet")).unwrap();
    copy(&net.path("copy"), &net.path("home/devnet"));
    net.ok(["devnet", "start", "--detach"]);
    let said = net.fails(5, ["--timeout", "3s", "get", "history", "k"]);
    assert!(said.contains("the network devnet has fallen behind") && said.contains("-shard-"), "{said}");
}

/// More than any request but the one that carries the large value.
const SMALL_REQUESTS_BYTES: usize = 8_000;

/// A way to the node on which the answer to the first large request is lost.
fn way_that_loses_an_answer(node: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let node = node.to_owned();
    let cut = Arc::new(AtomicBool::new(false));
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(&node).unwrap();
            let (cut, sent) = (Arc::clone(&cut), Arc::new(AtomicUsize::new(0)));
            let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let cut_by = Arc::clone(&cut);
            std::thread::spawn(move || {
                let mut buffer = [0u8; 8_192];
                while let Ok(count @ 1..) = from_client.read(&mut buffer) {
                    if sent.fetch_add(count, Ordering::SeqCst).saturating_add(count) > SMALL_REQUESTS_BYTES {
                        cut_by.store(true, Ordering::SeqCst);
                    }
                    if to_server.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
            });
            let (mut from_server, mut to_client) = (server, client);
            std::thread::spawn(move || {
                let mut buffer = [0u8; 8_192];
                while let Ok(count @ 1..) = from_server.read(&mut buffer) {
                    if !cut.load(Ordering::SeqCst) && to_client.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    url
}

#[test]
fn a_lost_answer_ends_with_6_and_names_the_mutation_whose_receipt_then_tells() {
    let net = crate::net();
    let status = net.lines(&["status"]);
    let own = net.json(&["account", "show"])["slot"].as_u64().unwrap();
    let chain = format!("devnet-shard-{}", u8::from(own >= 512));
    let at_home = status.iter().find(|row| row["chain_id"] == chain.as_str()).unwrap();
    let node = at_home["endpoint"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let way = way_that_loses_an_answer(&node);
    std::fs::write(net.path("large.txt"), "x".repeat(9_900)).unwrap();
    let said = net.fails(
        6,
        // A limit is given so that no estimate is asked for, which is as large as the mutation.
        ["--endpoint", &way, "--timeout", "2s", "put", "lost", "k", "--value-file", "large.txt", "--max-fee", "1db3"],
    );
    assert!(said.contains("outcome is unknown"), "{said}");
    let id = said.split_whitespace().find(|word| word.starts_with("0x") && word.len() == 66).expect(&said);
    assert!(said.contains(&format!("db3 receipt {id} --wait")), "{said}");
    assert_eq!(net.json(&["receipt", id, "--wait"])["state"], "applied");
    assert_eq!(net.json(&["get", "lost", "k"])["version"], "1");
}
