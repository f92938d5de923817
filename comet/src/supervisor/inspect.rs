//! What `CometBFT` has stored, asked of its own `inspect` command: a folder whose process does not run. It makes no
//! block, connects with nobody and needs no application.

use std::thread;
use std::time::{Duration, Instant};

use tendermint_proto::v0_38::types::Block;

use super::log::Said;
use super::process;
use super::words::Words;
use crate::binary::Binary;
use crate::error::CometError;
use crate::layout::Layout;
use crate::rpc::Rpc;

/// How long it may take until it answers, and how often it is asked meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// What is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Height of the newest block.
    pub height: u64,
    /// The block that was asked for; none if it is not there.
    pub block: Option<Block>,
}

/// Looks for the newest block of a folder that has blocks, and for the one of `wanted`.
///
/// # Errors
/// `CometBFT` cannot be run, or does not answer: the process has the folder open, or its databases are damaged.
pub fn inspect(layout: &Layout, binary: &Binary, wanted: u64) -> Result<Stored, CometError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| CometError::Thread { source })?;
    // In a thread of its own: whoever calls may drive a runtime with theirs.
    thread::scope(|scope| {
        let asking = thread::Builder::new().name("inspect".to_owned());
        let asking = asking.spawn_scoped(scope, move || runtime.block_on(ask(layout, binary, wanted)));
        let asked = asking.map_err(|source| CometError::Thread { source })?.join();
        let panicked =
            || CometError::Inspect { path: layout.data(), detail: "the thread that asked panicked".to_owned() };
        asked.unwrap_or_else(|_| Err(panicked()))
    })
}

async fn ask(layout: &Layout, binary: &Binary, wanted: u64) -> Result<Stored, CometError> {
    layout.make_folders()?;
    // The folder may be a copy, whose configuration names the socket of the one that it was made from.
    let socket = format!("unix://{}", layout.rpc_socket().display());
    let mut process = process::start(layout, binary, &["inspect", "--rpc.laddr", &socket])
        .map_err(|source| CometError::Run { path: binary.path().to_owned(), source })?;
    let rpc = Rpc::new(&layout.rpc_socket());
    let since = Instant::now();
    let mut words = Words::default();
    let found = loop {
        match rpc.newest_stored().await {
            Ok(height) => break Ok(height),
            Err(error) if since.elapsed() >= PATIENCE => break Err(error.to_string()),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
        if process.child.try_wait().ok().flatten().is_some() {
            while let Some(said) = process.said.recv().await {
                if let Said::Plain(line) = said {
                    words.take(line);
                }
            }
            break Err(words.line());
        }
    };
    let found = match found {
        Ok(height) => Ok(Stored { height, block: rpc.block(wanted).await.ok() }),
        Err(detail) => Err(CometError::Inspect { path: layout.data(), detail }),
    };
    process.stop().await;
    found
}
