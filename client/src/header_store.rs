//! The newest verified headers of each chain, on disk: one file per trust root, `<id of the root>.headers`.
//!
//! A file is replaced whole and under a lock, and never by one whose newest header is lower, so that several commands
//! at once cannot make the client forget. A file that cannot be read is an error, not a reason to start anew: whoever
//! damages it could roll the client back.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use db3_light_client::{LightClient, Options, TrustRoot};

use crate::ClientError;

/// Where one chain's headers are remembered.
#[derive(Clone, Debug)]
pub struct HeaderStore {
    path: PathBuf,
}

impl HeaderStore {
    /// The store of a trust root in a folder.
    #[must_use]
    pub fn new(folder: &Path, root: &TrustRoot) -> Self {
        Self { path: folder.join(format!("{}.headers", hex::encode(root.id()))) }
    }

    /// The light client as it was left, or a new one.
    pub fn load(&self, root: TrustRoot, options: Options) -> Result<LightClient, ClientError> {
        match fs::read(&self.path) {
            Ok(bytes) => LightClient::resume(root, options, &bytes).map_err(|error| {
                ClientError::input(
                    format!("the remembered headers in {} cannot be used: {error}", self.path.display()),
                    "restore the file; removing it makes this client forget which headers it has verified",
                )
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(LightClient::from_root(root, options)),
            Err(source) => Err(self.failed("read", source)),
        }
    }

    /// Remembers the client's headers, unless a newer one is on disk.
    pub fn save(&self, client: &LightClient, options: Options) -> Result<(), ClientError> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|source| self.failed("make the folder of", source))?;
        let lock_path = self.path.with_extension("lock");
        let lock = File::create(lock_path).map_err(|source| self.failed("lock", source))?;
        lock.lock().map_err(|source| self.failed("lock", source))?;
        let stored = self.load(client.root().clone(), options)?;
        let is_news = client.frozen().is_some() || stored.newest_height() <= client.newest_height();
        if stored.frozen().is_some() || !is_news {
            return Ok(());
        }
        let temporary = self.path.with_extension(format!("{}.tmp", std::process::id()));
        let written = fs::write(&temporary, client.to_bytes()).and_then(|()| fs::rename(&temporary, &self.path));
        written.map_err(|source| self.failed("write", source))
        // The lock ends with the file that holds it.
    }

    fn failed(&self, doing: &'static str, source: std::io::Error) -> ClientError {
        ClientError::File { doing, path: self.path.display().to_string(), source }
    }
}

/// Height of the newest remembered header of a trust root; that of the root where none is.
#[cfg(feature = "cli")]
#[must_use]
pub fn newest_known_height(folder: &Path, root: &TrustRoot) -> u64 {
    let store = HeaderStore::new(folder, root);
    store.load(root.clone(), Options::never_expires()).map_or(root.height(), |light| light.newest_height())
}
