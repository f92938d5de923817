//! `version`: which program this is, what it speaks, and which data and which `CometBFT` it goes on with.

use db3_chain::DATA_LAYOUT;
use db3_comet::COMETBFT_VERSION;
use db3_console::{StdoutError, out};
use serde_json::json;

use super::Output;

/// Prints it.
pub fn run(program: &str, output: Output) -> Result<(), StdoutError> {
    let profile = if cfg!(debug_assertions) { "debug" } else { "optimised" };
    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    match output {
        Output::Json => out!(
            "{}",
            json!({
                "version": env!("CARGO_PKG_VERSION"),
                "api": "db3.v1",
                "cometbft": COMETBFT_VERSION,
                "data_layout": DATA_LAYOUT,
                "target": target,
                "build": profile,
            })
        )?,
        Output::Table => out!(
            "{program} {} (db3.v1, CometBFT {COMETBFT_VERSION} or embedded engine, data of layout {DATA_LAYOUT}, {target}, \
             {profile})",
            env!("CARGO_PKG_VERSION")
        )?,
    }
    Ok(())
}
