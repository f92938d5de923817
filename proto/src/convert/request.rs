//! Fields of requests: parsed once, at the edge, with the number and the field of what is wrong.

use db3_primitives::limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX, PAGE_TOKEN_BYTES_MAX};
use db3_primitives::{Address, BlockTime, Hash32, MutationId, Rejection, Tai};
use prost_types::Timestamp;

use super::time::block_time;

/// A rejection of one field.
#[must_use]
pub fn invalid(field: &str, detail: impl Into<String>) -> Rejection {
    Rejection::RequestInvalid { field: field.to_owned(), detail: detail.into() }
}

/// A message that must be there.
pub fn required<T>(field: &str, value: Option<T>) -> Result<T, Rejection> {
    value.ok_or_else(|| invalid(field, "is missing"))
}

/// An account, 20 bytes.
pub fn account(field: &str, bytes: &[u8]) -> Result<Address, Rejection> {
    Address::from_slice(bytes).map_err(|_| invalid(field, format!("has {} bytes, an account has 20", bytes.len())))
}

/// An account, or none where the field is empty.
pub fn optional_account(field: &str, bytes: &[u8]) -> Result<Option<Address>, Rejection> {
    if bytes.is_empty() { Ok(None) } else { account(field, bytes).map(Some) }
}

/// A hash or identifier, 32 bytes.
pub fn hash(field: &str, bytes: &[u8]) -> Result<Hash32, Rejection> {
    bytes.try_into().map_err(|_| invalid(field, format!("has {} bytes, not 32", bytes.len())))
}

/// A mutation's identifier, 32 bytes.
pub fn mutation_id(field: &str, bytes: &[u8]) -> Result<MutationId, Rejection> {
    hash(field, bytes).map(MutationId)
}

/// An amount of tai, decimal digits.
pub fn tai(field: &str, text: &str) -> Result<Tai, Rejection> {
    text.parse::<Tai>().map_err(|error| invalid(field, error.to_string()))
}

/// A moment, or none where the field is not set.
pub fn optional_time(field: &str, time: Option<&Timestamp>) -> Result<Option<BlockTime>, Rejection> {
    time.map(|time| block_time(time).ok_or_else(|| invalid(field, "is no time after 1970"))).transpose()
}

/// How many items a page may hold: 0 is the default, and more than the most is the most.
pub fn page_size(size: i32) -> Result<usize, Rejection> {
    match usize::try_from(size) {
        Ok(0) => Ok(PAGE_ITEMS_DEFAULT),
        Ok(size) => Ok(size.min(PAGE_ITEMS_MAX)),
        Err(_) => Err(invalid("page_size", format!("is {size}, and must not be negative"))),
    }
}

/// A page token of a length that a list gives.
pub fn page_token(token: &str) -> Result<Option<&str>, Rejection> {
    if token.len() > PAGE_TOKEN_BYTES_MAX {
        return Err(Rejection::PageTokenInvalid);
    }
    Ok(Some(token).filter(|token| !token.is_empty()))
}
