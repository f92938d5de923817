//! Secret keys at rest: Web3 Secret Storage V3 files, the format that geth and every Ethereum wallet reads.
//!
//! A file holds one secp256k1 key, encrypted with AES-128-CTR under a key derived from a password. This module
//! writes scrypt and reads scrypt and PBKDF2-HMAC-SHA-256. It never prints a secret, never writes one unencrypted
//! and never trusts the cost parameters of a file: they are bounded before any memory is taken.
//!
//! Source: <https://ethereum.org/en/developers/docs/data-structures-and-encoding/web3-secret-storage/>.

mod document;
mod error;
mod folder;
mod seal;

pub use document::KeyFile;
pub use error::KeystoreError;
pub use folder::{Folder, StoredAccount};
pub use seal::{ScryptCost, open, seal};
