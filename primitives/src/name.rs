//! Names: networks, chains, namespaces, tables and record keys. A value of one of these types obeys the rules of its
//! kind; there is no other way to make one.
//!
//! Namespaces and tables: 1–64 of `a-z 0-9 . _ -`, the first a letter or digit. A namespace of `0x` and 40
//! hexadecimal digits in any case is folded to lower case and belongs to that account alone.
//! Networks: 1–32 of `a-z 0-9 -`. Chain ids: `<network>-shard-<n>` and `<network>-settlement`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::hash::{hex_bytes, sha256};
use crate::limits::{KEY_BYTES_MAX, NAME_BYTES_MAX, NETWORK_NAME_BYTES_MAX};
use crate::quote::quoted;
use crate::{Address, Rejection, ShardId, Slot};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Rejection;

            fn try_from(text: &str) -> Result<Self, Rejection> {
                text.parse()
            }
        }

        impl TryFrom<String> for $name {
            type Error = Rejection;

            fn try_from(text: String) -> Result<Self, Rejection> {
                text.parse()
            }
        }
    };
}

name! {
    /// The name of a network, such as `devnet`.
    NetworkName
}
name! {
    /// The name of a namespace: registered, or an account's own.
    Namespace
}
name! {
    /// The name of a table within its namespace.
    TableName
}
name! {
    /// The name of a chain, which its headers carry.
    ChainId
}

/// The rule that namespaces and tables share.
fn is_name(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    first
        && text.len() <= NAME_BYTES_MAX
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

/// The account that `0x` and 40 hexadecimal digits name.
fn own_address(text: &str) -> Option<Address> {
    text.strip_prefix("0x").and_then(hex_bytes).map(Address::new)
}

impl FromStr for NetworkName {
    type Err = Rejection;

    fn from_str(text: &str) -> Result<Self, Rejection> {
        let valid = (1..=NETWORK_NAME_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if valid { Ok(Self(text.into())) } else { Err(Rejection::NetworkNameInvalid { name: quoted(text) }) }
    }
}

impl FromStr for Namespace {
    type Err = Rejection;

    fn from_str(text: &str) -> Result<Self, Rejection> {
        if let Some(owner) = own_address(text) {
            return Ok(Self::own(&owner));
        }
        if is_name(text) { Ok(Self(text.into())) } else { Err(Rejection::NamespaceInvalid { name: quoted(text) }) }
    }
}

impl Namespace {
    /// The account's own namespace, which needs no creating: `0x` and its 40 lower-case digits.
    #[must_use]
    pub fn own(account: &Address) -> Self {
        Self(account.lower_hex().into())
    }

    /// The account whose own namespace this is, if it is one.
    #[must_use]
    pub fn own_address(&self) -> Option<Address> {
        own_address(&self.0)
    }

    /// The slot that decides the shard: the first ten bits of SHA-256 of the name.
    #[must_use]
    pub fn slot(&self) -> Slot {
        Slot::of_hash(&sha256(&[self.0.as_bytes()]))
    }
}

impl FromStr for TableName {
    type Err = Rejection;

    fn from_str(text: &str) -> Result<Self, Rejection> {
        if is_name(text) {
            Ok(Self(text.into()))
        } else {
            Err(Rejection::TableInvalid { operation: None, name: quoted(text) })
        }
    }
}

/// What a chain of a network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChainRole {
    /// A shard chain.
    Shard(ShardId),
    /// The settlement chain.
    Settlement,
}

impl ChainId {
    /// The id of a shard chain: `<network>-shard-<n>`.
    #[must_use]
    pub fn shard(network: &NetworkName, shard: ShardId) -> Self {
        Self(format!("{network}-shard-{shard}").into())
    }

    /// The id of the settlement chain: `<network>-settlement`.
    #[must_use]
    pub fn settlement(network: &NetworkName) -> Self {
        Self(format!("{network}-settlement").into())
    }

    /// Reads a chain id.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        parts(text).map(|_| Self(text.into())).ok_or_else(|| Rejection::RequestInvalid {
            field: "chain_id".to_owned(),
            detail: format!("{} is no chain: write <network>-shard-<n> or <network>-settlement", quoted(text)),
        })
    }

    /// The network and the role that the id names.
    #[must_use]
    pub fn parts(&self) -> Option<(NetworkName, ChainRole)> {
        parts(&self.0)
    }
}

fn parts(text: &str) -> Option<(NetworkName, ChainRole)> {
    if let Some(network) = text.strip_suffix("-settlement") {
        return Some((network.parse().ok()?, ChainRole::Settlement));
    }
    let (network, number) = text.rsplit_once("-shard-")?;
    let shard: u32 = number.parse().ok()?;
    // A plus sign and leading zeros parse as well, but a chain has one name.
    (shard.to_string() == number).then_some(())?;
    Some((network.parse().ok()?, ChainRole::Shard(ShardId::new(shard))))
}

impl FromStr for ChainId {
    type Err = Rejection;

    fn from_str(text: &str) -> Result<Self, Rejection> {
        Self::parse(text)
    }
}

/// The key of a record within its table: 1–256 bytes of any value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey(Vec<u8>);

impl RecordKey {
    /// The key with these bytes; [`Rejection::KeyInvalid`] if there are none or too many.
    pub fn new(bytes: Vec<u8>) -> Result<Self, Rejection> {
        if (1..=KEY_BYTES_MAX).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(Rejection::KeyInvalid { operation: None, bytes: count(bytes.len()), max: count(KEY_BYTES_MAX) })
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes by value.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A length as it stands in a rejection.
pub(crate) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl AsRef<[u8]> for RecordKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for RecordKey {
    type Error = Rejection;

    fn try_from(bytes: &[u8]) -> Result<Self, Rejection> {
        Self::new(bytes.to_vec())
    }
}

impl TryFrom<Vec<u8>> for RecordKey {
    type Error = Rejection;

    fn try_from(bytes: Vec<u8>) -> Result<Self, Rejection> {
        Self::new(bytes)
    }
}
