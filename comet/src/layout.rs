//! Where things are: `<home>/config` has the keys, `<home>/cometbft/{config,data}` is `CometBFT`'s own, and sockets stand
//! in a private folder with a short path (a socket's path has at most 107 bytes).

use std::fs::{self, DirBuilder};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use db3_primitives::sha256;

use crate::abci::AbciAddress;
use crate::error::CometError;
use crate::limits::SOCKET_PATH_BYTES_MAX;
use crate::settings::CometSettings;

/// What must never be signed a second time; its file.
pub(crate) const SIGNED: &str = "priv_validator_state.json";
/// The longest name of a socket, with the slash before it.
const SOCKET_NAME_BYTES: usize = "/grpc.sock".len();

/// The files of one node that concern `CometBFT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The node's folder.
    home: PathBuf,
    /// Where its sockets are.
    sockets: PathBuf,
}

impl Layout {
    /// The layout of a node's folder, which exists.
    ///
    /// # Errors
    /// The folder's path cannot be resolved or holds what `CometBFT` cannot take, or no folder for sockets is there.
    pub fn new(home: &Path) -> Result<Self, CometError> {
        let home = home.canonicalize().map_err(CometError::file(home))?;
        let text = home.to_str().filter(|text| !text.contains(['"', '\\', ',', '\n', '\r']));
        if text.is_none() {
            return Err(CometError::Setting {
                name: "home",
                value: home.display().to_string(),
                detail: "CometBFT takes no comma, quote, backslash or line break in a path: choose another folder"
                    .to_owned(),
            });
        }
        let beside = home.join("cometbft").join("run");
        let fits = beside.as_os_str().len().saturating_add(SOCKET_NAME_BYTES) <= SOCKET_PATH_BYTES_MAX;
        let sockets = if fits { beside } else { elsewhere(&home) };
        Ok(Self { home, sockets })
    }

    /// The node's folder.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The folder that `CometBFT` is started with.
    #[must_use]
    pub fn comet_home(&self) -> PathBuf {
        self.home.join("cometbft")
    }

    /// `CometBFT`'s configuration, genesis and address book.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.comet_home().join("config")
    }

    /// `CometBFT`'s genesis.
    #[must_use]
    pub fn genesis(&self) -> PathBuf {
        self.config().join("genesis.json")
    }

    /// `CometBFT`'s blocks, states, log of votes and signing state.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.comet_home().join("data")
    }

    /// What `CometBFT` has signed last: a validator must never begin without it a second time.
    #[must_use]
    pub fn signing_state(&self) -> PathBuf {
        self.data().join(SIGNED)
    }

    /// The height up to which the key of this machine has signed, by its signing state; 0 where it has signed nothing.
    ///
    /// # Errors
    /// The file cannot be read, or is none of `CometBFT`'s.
    pub fn signed_height(&self) -> Result<u64, CometError> {
        #[derive(serde::Deserialize)]
        struct State {
            height: String,
        }
        let path = self.signing_state();
        let wrong = |detail: String| CometError::file(&path)(Error::new(ErrorKind::InvalidData, detail));
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(CometError::file(&path)(error)),
        };
        let state: State = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        state.height.parse().map_err(|_| wrong(format!("`{}` is no height", state.height)))
    }

    /// The folder of the sockets.
    #[must_use]
    pub fn sockets(&self) -> &Path {
        &self.sockets
    }

    /// The socket of `CometBFT`'s RPC.
    #[must_use]
    pub fn rpc_socket(&self) -> PathBuf {
        self.sockets.join("rpc.sock")
    }

    /// The socket of `CometBFT`'s broadcast service.
    #[must_use]
    pub fn grpc_socket(&self) -> PathBuf {
        self.sockets.join("grpc.sock")
    }

    /// Where the application is served.
    ///
    /// # Errors
    /// The setting names no address.
    pub fn abci_address(&self, settings: &CometSettings) -> Result<AbciAddress, CometError> {
        if settings.abci == "unix" {
            return Ok(AbciAddress::Unix(self.sockets.join("abci.sock")));
        }
        let address = settings.abci.strip_prefix("tcp://").and_then(|address| address.parse().ok());
        address.map(AbciAddress::Tcp).ok_or_else(|| CometError::Setting {
            name: "abci",
            value: settings.abci.clone(),
            detail: "expected unix or tcp://address:port, the address in numbers".to_owned(),
        })
    }

    /// Whether `CometBFT`'s database of blocks has any row. (A start, and a kill after it, may leave it there and empty.)
    #[must_use]
    pub fn has_blocks(&self) -> bool {
        let entries = fs::read_dir(self.data().join("blockstore.db")).into_iter().flatten().flatten();
        // Rows are in the tables (`ldb`) and in the log that goes before them.
        entries
            .filter_map(|entry| Some((entry.path().extension()?.to_str()?.to_owned(), entry.metadata().ok()?.len())))
            .any(|(extension, bytes)| extension == "ldb" || (extension == "log" && bytes > 0))
    }

    /// Moves `CometBFT`'s data into a folder, which exists: the state first, which is there as a whole or not at all. What was
    /// signed stays where it is. A call after one that was ended on its way moves the rest.
    ///
    /// # Errors
    /// Something cannot be moved; it is named.
    pub fn put_data_aside(&self, aside: &Path) -> std::io::Result<()> {
        let at = |path: &Path, error: &Error| Error::new(error.kind(), format!("{}: {error}", path.display()));
        let data = self.data();
        let state = data.join("state.db");
        let mut paths = vec![state.clone()];
        for entry in fs::read_dir(&data).map_err(|error| at(&data, &error))? {
            let path = entry.map_err(|error| at(&data, &error))?.path();
            if path != state && !path.ends_with(SIGNED) {
                paths.push(path);
            }
        }
        for path in paths {
            let Some(name) = path.file_name() else { continue };
            match fs::rename(&path, aside.join(name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(at(&path, &error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes the folders that are missing.
    ///
    /// # Errors
    /// A folder cannot be made, or the folder of the sockets is somebody else's.
    pub fn make_folders(&self) -> Result<(), CometError> {
        for folder in [self.config(), self.data()] {
            fs::create_dir_all(&folder).map_err(CometError::file(&folder))?;
        }
        let sockets = &self.sockets;
        DirBuilder::new().recursive(true).mode(0o700).create(sockets).map_err(CometError::file(sockets))?;
        let found = fs::symlink_metadata(sockets).map_err(CometError::file(sockets))?;
        if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
            return Err(CometError::Setting {
                name: "home",
                value: self.home.display().to_string(),
                detail: format!("{} for its sockets belongs to somebody else: remove it", sockets.display()),
            });
        }
        fs::set_permissions(sockets, fs::Permissions::from_mode(0o700)).map_err(CometError::file(sockets))
    }
}

/// A short path of this home's own, under the user's folder for such things or the system's.
fn elsewhere(home: &Path) -> PathBuf {
    let hash = sha256(&[home.as_os_str().as_encoded_bytes()]);
    let name = hex::encode(hash.first_chunk::<8>().copied().unwrap_or_default());
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let short = |folder: &PathBuf| {
        let text = folder.to_str().unwrap_or(",");
        folder.is_dir() && text.len() <= 64 && !text.contains([',', '"', '\\'])
    };
    match runtime.filter(short) {
        Some(folder) => folder.join(format!("db3-{name}")),
        None => std::env::temp_dir().join(format!("db3-{}-{name}", rustix::process::geteuid().as_raw())),
    }
}
