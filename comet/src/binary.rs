//! The one `CometBFT` that is spoken to: where it is, and whether it is the right version.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::CometError;
use crate::settings::CometSettings;

/// The one version that is spoken to; scripts/install-cometbft installs it.
pub const COMETBFT_VERSION: &str = "0.38.26";

/// Names the folder where scripts/install-cometbft puts it. (`DB3_COMETBFT_` begins the variables of a section.)
const FOLDER_VARIABLE: &str = "DB3_INSTALLED_BIN";

/// A `CometBFT` of the right version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    path: PathBuf,
}

impl Binary {
    /// The program that the settings name; else the first of the right version in `PATH` and where
    /// scripts/install-cometbft puts it.
    ///
    /// # Errors
    /// There is none, or it is another version.
    pub fn find(settings: &CometSettings) -> Result<Self, CometError> {
        if let Some(path) = &settings.binary {
            return Self::check(path);
        }
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let named = std::env::split_paths(&folders).map(|folder| folder.join("cometbft"));
        let found: Vec<_> = named.chain(installed()).filter(|path| path.is_file()).collect();
        let mut first_error = None;
        for path in &found {
            match Self::check(path) {
                Ok(binary) => return Ok(binary),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        let looked = || std::iter::once("PATH".to_owned()).chain(installed().map(|path| path.display().to_string()));
        Err(first_error
            .unwrap_or_else(|| CometError::NoBinary { expected: COMETBFT_VERSION, looked: looked().collect() }))
    }

    /// Asks a program for its version.
    fn check(path: &Path) -> Result<Self, CometError> {
        let asked = Command::new(path).arg("version").stdin(Stdio::null()).output();
        let output = asked.map_err(|source| CometError::Run { path: path.to_owned(), source })?;
        let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() && found == COMETBFT_VERSION {
            return Ok(Self { path: path.to_owned() });
        }
        let found = match found.lines().next() {
            Some(line) if !line.is_empty() => line.chars().take(64).collect(),
            _ => "of no known version".to_owned(),
        };
        Err(CometError::OtherVersion { path: path.to_owned(), found, expected: COMETBFT_VERSION })
    }

    /// The program.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Where scripts/install-cometbft puts it.
fn installed() -> impl Iterator<Item = PathBuf> {
    let named = std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    named.or_else(|| cache.map(|cache| cache.join("db3").join("bin"))).map(|folder| folder.join("cometbft")).into_iter()
}
