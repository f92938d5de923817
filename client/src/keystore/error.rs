//! What can be wrong with a keystore file or folder. No variant ever carries a secret or a password.

use std::path::PathBuf;

/// Why a keystore file could not be read, written or opened.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The file is no Web3 Secret Storage V3 document.
    #[error(
        "{path} is no Web3 Secret Storage file: {detail}; give a V3 keystore file, as geth and `db3 account export` write it"
    )]
    Unreadable {
        /// The file, or `<text>` when it came from elsewhere.
        path: String,
        /// What the parser found, with line and column.
        detail: String,
    },
    /// The document is one of another version.
    #[error("the keystore file has version {version}, and only version 3 can be read; convert it with geth first")]
    Version {
        /// The version found.
        version: u64,
    },
    /// A cipher, key derivation or pseudo-random function that this format allows but nobody writes.
    #[error("the keystore file uses {what} `{name}`, and only {supported} can be read")]
    Unsupported {
        /// Which part.
        what: &'static str,
        /// Its name in the file.
        name: String,
        /// What can be read.
        supported: &'static str,
    },
    /// A cost parameter outside what is accepted, before any work was done.
    #[error(
        "the keystore file asks for {what} = {value}, which is outside {bounds}; it would take too much memory or time to open"
    )]
    Cost {
        /// The parameter.
        what: &'static str,
        /// The value found.
        value: u64,
        /// What is accepted.
        bounds: &'static str,
    },
    /// A field is missing or has the wrong length or characters.
    #[error("the keystore file is damaged: {field} {detail}; restore it from a copy")]
    Damaged {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The message authentication code does not agree: the password is wrong, or the file was altered.
    #[error("the password does not open this key (or the file was altered); try again with the right password")]
    WrongPassword,
    /// The decrypted key belongs to another address than the file names.
    #[error(
        "the keystore file names address {named}, but its key belongs to {actual}; the file was altered, restore it from a copy"
    )]
    AddressMismatch {
        /// The address in the file.
        named: String,
        /// The address of the key inside.
        actual: String,
    },
    /// The secret is zero or not below the curve order.
    #[error(
        "the secret is no secp256k1 key: it must be 32 bytes, above zero and below the curve order; check that the file holds the whole key, or make a new one with `db3 account new NAME`"
    )]
    InvalidSecret,
    /// An account of that name is there already.
    #[error("an account named `{name}` exists already in {folder}; choose another name")]
    NameTaken {
        /// The name.
        name: String,
        /// The folder.
        folder: PathBuf,
    },
    /// A name that would make no good file name.
    #[error("`{name}` is no account name: use 1 to 64 of a-z A-Z 0-9 . _ - starting with a letter or digit")]
    InvalidName {
        /// The name.
        name: String,
    },
    /// The file system said no.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {detail}")]
    NoRandomness {
        /// Its answer.
        detail: String,
    },
}
