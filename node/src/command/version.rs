//! `version`: which program this is, and what it speaks.

use serde_json::json;

use super::Output;

/// Prints it.
pub fn run(program: &str, output: Output) {
    let profile = if cfg!(debug_assertions) { "debug" } else { "optimised" };
    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    match output {
        Output::Json => println!(
            "{}",
            json!({
                "version": env!("CARGO_PKG_VERSION"),
                "api": "db3.v1",
                "engine": "solo",
                "target": target,
                "build": profile,
            })
        ),
        Output::Table => {
            println!("{program} {} (db3.v1, solo engine, {target}, {profile})", env!("CARGO_PKG_VERSION"));
        }
    }
}
