//! The JSON shape of a Web3 Secret Storage V3 file. Only shape: nothing here decrypts or derives.

use serde::{Deserialize, Serialize};

use super::KeystoreError;

/// The largest file that is looked at; real ones have about 500 bytes.
const FILE_BYTES_MAX: usize = 64 * 1024;

/// One parsed keystore file.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct KeyFile {
    /// Address, hex without `0x` as geth writes it; files of others may have the prefix or leave the field out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<String>,
    #[serde(alias = "Crypto")]
    pub(super) crypto: Crypto,
    #[serde(default)]
    pub(super) id: String,
    pub(super) version: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Crypto {
    pub cipher: String,
    pub cipherparams: CipherParams,
    pub ciphertext: String,
    pub kdf: String,
    pub kdfparams: KdfParams,
    pub mac: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct CipherParams {
    pub iv: String,
}

/// The union of both derivations' parameters; `kdf` says which are needed.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct KdfParams {
    pub dklen: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub c: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prf: Option<String>,
    pub salt: String,
}

impl KeyFile {
    /// Parses a file's text. `path` is named in the error.
    pub fn parse(path: &str, text: &str) -> Result<Self, KeystoreError> {
        if text.len() > FILE_BYTES_MAX {
            return Err(KeystoreError::Unreadable {
                path: path.to_owned(),
                detail: format!("it has {} bytes, more than {FILE_BYTES_MAX}", text.len()),
            });
        }
        let file: Self = serde_json::from_str(text)
            .map_err(|error| KeystoreError::Unreadable { path: path.to_owned(), detail: error.to_string() })?;
        if file.version != 3 {
            return Err(KeystoreError::Version { version: file.version });
        }
        Ok(file)
    }

    /// The file's text, as geth would write it, with a line feed at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The address that the file names, without `0x` and in lower case, if it names one.
    #[must_use]
    pub fn address_hex(&self) -> Option<String> {
        let text = self.address.as_deref()?;
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        (digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| digits.to_ascii_lowercase())
    }
}
