//! A folder of keystore files, one account a file: `<name>.json`. Files are made with mode 0600, whole or not at all.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use db3_primitives::Address;

use super::{KeyFile, KeystoreError};

/// A folder of keystore files. It need not exist until something is written.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// One account of a folder.
#[derive(Clone, Debug)]
pub struct StoredAccount {
    /// The file's name without `.json`.
    pub name: String,
    /// The address that the file names.
    pub address: Address,
    /// Where it is.
    pub path: PathBuf,
}

impl StoredAccount {
    /// Reads the file.
    pub fn key_file(&self) -> Result<KeyFile, KeystoreError> {
        read(&self.path)
    }
}

impl Folder {
    /// A folder at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All accounts, in order of name (`dev2` before `dev10`). Files that are no keystore files are passed over.
    pub fn list(&self) -> Result<Vec<StoredAccount>, KeystoreError> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(io("read", &self.path, source)),
        };
        let mut accounts = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| io("read", &self.path, source))?.path();
            accounts.extend(account_at(&path));
        }
        accounts.sort_by_cached_key(|account| natural_order(&account.name));
        Ok(accounts)
    }

    /// The account of that name or address, if there is one.
    pub fn find(&self, name_or_address: &str) -> Result<Option<StoredAccount>, KeystoreError> {
        let address = name_or_address.parse::<Address>().ok();
        let accounts = self.list()?;
        Ok(accounts.into_iter().find(|account| account.name == name_or_address || Some(account.address) == address))
    }

    /// Whether a new account may have this name: whether it is well formed, and no file has it yet.
    pub fn check_new(&self, name: &str) -> Result<(), KeystoreError> {
        check_name(name)?;
        if self.path.join(format!("{name}.json")).exists() {
            return Err(KeystoreError::NameTaken { name: name.to_owned(), folder: self.path.clone() });
        }
        Ok(())
    }

    /// Writes a new account. Never replaces a file.
    pub fn add(&self, name: &str, file: &KeyFile) -> Result<PathBuf, KeystoreError> {
        check_name(name)?;
        fs::create_dir_all(&self.path).map_err(|source| io("make", &self.path, source))?;
        let target = self.path.join(format!("{name}.json"));
        let mut temporary = tempfile_in(&self.path, name);
        write_private(&mut temporary, &file.to_json())?;
        // A hard link, unlike a rename, refuses to replace what is there.
        let linked = fs::hard_link(&temporary, &target);
        let removed = fs::remove_file(&temporary);
        match linked {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(KeystoreError::NameTaken { name: name.to_owned(), folder: self.path.clone() });
            }
            Err(source) => return Err(io("write", &target, source)),
        }
        removed.map_err(|source| io("remove", &temporary, source))?;
        Ok(target)
    }
}

/// Reads and parses one file.
pub(super) fn read(path: &Path) -> Result<KeyFile, KeystoreError> {
    let text = fs::read_to_string(path).map_err(|source| io("read", path, source))?;
    KeyFile::parse(&path.display().to_string(), &text)
}

fn account_at(path: &Path) -> Option<StoredAccount> {
    let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
    let address = format!("0x{}", read(path).ok()?.address_hex()?).parse().ok()?;
    Some(StoredAccount { name, address, path: path.to_owned() })
}

fn check_name(name: &str) -> Result<(), KeystoreError> {
    let good = (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.parse::<Address>().is_err();
    if good { Ok(()) } else { Err(KeystoreError::InvalidName { name: name.to_owned() }) }
}

/// Text and the number at its end, so that names with counters sort as people count.
fn natural_order(name: &str) -> (String, u64, String) {
    let stem = name.trim_end_matches(|last: char| last.is_ascii_digit());
    let number = name.get(stem.len()..).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    (stem.to_owned(), number, name.to_owned())
}

fn tempfile_in(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!(".{name}.{}.tmp", std::process::id()))
}

fn write_private(path: &mut Path, text: &str) -> Result<(), KeystoreError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&*path).map_err(|source| io("write", path, source))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|source| io("write", path, source))
}

fn io(doing: &'static str, path: &Path, source: std::io::Error) -> KeystoreError {
    KeystoreError::Io { doing, path: path.to_owned(), source }
}
