//! What a signature costs, verified alone and together with others.
//!
//! `cargo run -p db3-primitives --example signature_cost`
#![allow(
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    reason = "a measurement stands above the line"
)]

use std::time::Instant;

use db3_primitives::signature::{Claim, KnownKeys, verify_all};
use db3_primitives::{SecretKey, sha256, verify};

/// Signatures verified for one figure.
const SIGNATURES: usize = 40_000;

fn main() {
    println!("{:>10} {:>9} {:>11} {:>11}", "signatures", "accounts", "alone µs", "together µs");
    for (count, accounts) in [(16, 1), (32, 1), (64, 1), (64, 64), (128, 8), (950, 1), (950, 32), (950, 950)] {
        let key = |number: usize| SecretKey::from_bytes(sha256(&[&number.to_be_bytes()]));
        let keys: Vec<SecretKey> = (0..accounts).filter_map(|number| key(number).ok()).collect();
        let made: Vec<_> = keys
            .iter()
            .cycle()
            .zip(0..count)
            .map(|(key, number)| {
                let digest = sha256(&[b"digest", &usize::to_be_bytes(number)]);
                (digest, key.sign(&digest), key.address())
            })
            .collect();
        let claims: Vec<Claim<'_>> = made
            .iter()
            .map(|(digest, signature, signer)| Claim { digest: *digest, signature, signer: *signer })
            .collect();
        let known = KnownKeys::default();
        let together =
            || verify_all(&claims, &known).iter().zip(&claims).all(|(answer, claim)| *answer == Ok(claim.signer));
        let alone = || claims.iter().all(|claim| verify(&claim.digest, claim.signature) == Ok(claim.signer));
        // Accounts have signed before.
        assert!(together() && together(), "every signature is good");
        println!("{count:>10} {accounts:>9} {:>11.1} {:>11.1}", micros(count, alone), micros(count, together));
    }
}

/// Microseconds a signature, the median of five.
fn micros(count: usize, work: impl Fn() -> bool) -> f64 {
    let rounds = (SIGNATURES / count / 5).max(1);
    let mut times: Vec<f64> = (0..5)
        .map(|_| {
            let start = Instant::now();
            let good = (0..rounds).all(|_| work());
            assert!(good, "every signature is good");
            start.elapsed().as_secs_f64() * 1e6 / (rounds * count) as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[2]
}
