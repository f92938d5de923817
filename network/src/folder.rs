//! A genesis folder on a disk: written whole, and looked over before anything begins with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use db3_genesis::{GenesisDocument, NetworkFile, write_atomic};
use db3_primitives::Hash32;

use crate::build::{self, Built, NETWORK_FILE, PLAN_FILE, VALIDATORS_FILE, build};
use crate::{NetworkError, Plan, Roster, difference};

/// A genesis folder in which everything fits together.
#[derive(Clone, Debug)]
pub struct GenesisFolder {
    /// Where it is.
    pub path: PathBuf,
    /// What is decided for the network.
    pub plan: Plan,
    /// Its validators.
    pub roster: Roster,
    /// Its files, and the hash that validators compare.
    pub built: Built,
}

/// What is wrong with a genesis folder: at least one sentence.
#[derive(Debug, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct Wrong {
    /// One sentence for each thing.
    pub problems: Vec<String>,
    /// Whether no folder is there at all: another was meant.
    pub absent: bool,
}

/// Writes the files of a genesis folder. A folder that holds the same already stays; one that holds anything else is
/// refused.
pub fn write(path: &Path, built: &Built) -> Result<(), NetworkError> {
    if path.exists() {
        let same = read(path).is_ok_and(|files| files == built.files);
        let remedy = "it holds something else; remove it, or choose another with --genesis";
        return if same { Ok(()) } else { Err(NetworkError::Taken { path: path.to_owned(), remedy }) };
    }
    for (name, text) in &built.files {
        let file = path.join(name);
        write_atomic(&file, text.as_bytes()).map_err(NetworkError::file(&file))?;
    }
    Ok(())
}

/// Reads a genesis folder and looks whether every file is what its plan and its validators make.
pub fn check(path: &Path) -> Result<GenesisFolder, Wrong> {
    let absent = |error| Wrong { absent: !path.is_dir(), ..one(&error) };
    let found = read(path).map_err(absent)?;
    let mut problems = Vec::new();
    let (plan, roster) = match parts(path, &found) {
        Ok(parts) => parts,
        Err(error) => return Err(one(&error)),
    };
    let built = build(&plan, &roster).map_err(|error| one(&error))?;
    for (name, expected) in &built.files {
        match found.get(name) {
            None => problems.push(format!("there is no {}: take the folder anew", path.join(name).display())),
            Some(text) if text != expected => problems.push(told(path, name, text, expected)),
            Some(_) => {}
        }
    }
    for name in found.keys().filter(|name| !built.files.contains_key(*name)) {
        problems.push(format!("{} does not belong in a genesis folder: remove it", path.join(name).display()));
    }
    if problems.is_empty() {
        Ok(GenesisFolder { path: path.to_owned(), plan, roster, built })
    } else {
        Err(Wrong { problems, absent: false })
    }
}

/// That the folder is the one whose hash validators agreed on.
pub fn check_hash(folder: &GenesisFolder, expected: &Hash32) -> Result<(), Wrong> {
    if folder.built.hash == *expected {
        return Ok(());
    }
    let (found, expected) = (hex::encode(folder.built.hash), hex::encode(expected));
    let path = folder.path.display();
    Err(Wrong {
        problems: vec![format!("{path} has the hash 0x{found}, expected 0x{expected}: it is another network's")],
        absent: false,
    })
}

fn one(error: &NetworkError) -> Wrong {
    Wrong { problems: vec![error.to_string()], absent: false }
}

fn parts(path: &Path, found: &BTreeMap<String, String>) -> Result<(Plan, Roster), NetworkError> {
    let text = |name: &str| {
        let missing = || NetworkError::Missing {
            path: path.join(name),
            remedy: "this is no genesis folder; `db3-genesis build` makes one".to_owned(),
        };
        found.get(name).ok_or_else(missing)
    };
    let label = |name: &str| path.join(name).display().to_string();
    let plan = Plan::from_toml(text(PLAN_FILE)?, &label(PLAN_FILE))?;
    let roster = Roster::from_toml(&plan, text(VALIDATORS_FILE)?, &label(VALIDATORS_FILE))?;
    Ok((plan, roster))
}

/// What is wrong with a file that is not what it should be.
fn told(path: &Path, name: &str, found: &str, expected: &str) -> String {
    let file = path.join(name);
    if name == NETWORK_FILE {
        return match NetworkFile::from_toml(found, &file) {
            Err(error) => error.to_string(),
            Ok(_) => format!("{} is not what plan and validators make: take it anew", file.display()),
        };
    }
    let shown = file.display();
    if matches!(name, PLAN_FILE | VALIDATORS_FILE) {
        return format!("{shown} is not written as `db3-genesis build` writes it: take it anew");
    }
    if let Err(error) = GenesisDocument::from_json(found.as_bytes(), &file) {
        let told = error.to_string();
        return if told.starts_with(&shown.to_string()) { told } else { format!("{shown}: {told}") };
    }
    match difference::first(found, expected) {
        Some((field, found, expected)) => {
            format!("{shown}: `{field}` is `{found}`: expected `{expected}` by {PLAN_FILE} and {VALIDATORS_FILE}")
        }
        None => format!("{shown} says the right thing in other bytes: take it anew"),
    }
}

/// Every file of a folder, by name.
fn read(path: &Path) -> Result<BTreeMap<String, String>, NetworkError> {
    if !path.is_dir() {
        let remedy = "name the genesis folder with --genesis, or make it with `db3-genesis build`".to_owned();
        return Err(NetworkError::Missing { path: path.to_owned(), remedy });
    }
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(path).map_err(NetworkError::file(path))? {
        let file = entry.map_err(NetworkError::file(path))?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if file.is_dir() {
            let remedy = "a genesis folder has files alone; remove it";
            return Err(NetworkError::Taken { path: file, remedy });
        }
        let text = fs::read_to_string(&file).map_err(NetworkError::file(&file))?;
        files.insert(name, text);
    }
    Ok(files)
}

pub use build::document_file;
