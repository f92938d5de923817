//! How a client behaves; nothing here changes what an answer must prove.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of a [`Client`](crate::Client).
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a call may take altogether, retries included.
    pub timeout: Duration,
    /// How long to keep trying to reach a network that has not answered once. Zero: the first refusal is final.
    pub connect_patience: Duration,
    /// Folder in which the newest verified headers are remembered; none: in memory only.
    pub headers_folder: Option<PathBuf>,
    /// Whether to believe nodes without proof.
    pub unverified: bool,
    /// An address to ask instead of those of the network file, for the chain that it serves.
    pub endpoint: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            connect_patience: Duration::ZERO,
            headers_folder: None,
            unverified: false,
            endpoint: None,
        }
    }
}
