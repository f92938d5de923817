//! Writes a record and reads it back with proof. `cargo run --example write_and_verify` after `db3 devnet --detach`.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use db3_client::{Client, Options, load_network, primitives::SecretKey};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("give the network's file, which `db3 network show` names")?;
    let client = Client::connect(load_network(file.as_ref())?, Options::default()).await?;
    // The key of dev0, which everybody has. Elsewhere: db3_client::keystore::open.
    let secret = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    let key = SecretKey::from_bytes(hex::decode(secret)?.as_slice().try_into()?)?;
    let own = key.address().lower_hex();

    let receipt = client.mutation(&own).put("notes", "hello", "world").sign(&key).send().await?.applied()?;
    println!("in block {} for {} tai", receipt.height, receipt.fee);

    let note = client.get(&own, "notes", "hello").await?;
    println!("{:?} under root 0x{}", note.value.map(|record| record.value), hex::encode(note.at.root));
    assert!(note.at.verified, "a header that leads to the network's trust root carries that root");
    Ok(())
}
