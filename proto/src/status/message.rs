//! A rejection as `db3.v1.Rejection`.

use bytes::Bytes;
use db3_primitives::{MutationId, Rejection};

use super::detail::detail;
use crate::v1;

/// Longest text that is repeated in an answer, bytes: details travel in a header, and peers refuse long headers.
const TEXT_BYTES_MAX: usize = 1_024;

/// The rejection as a message; `id` is the mutation that it concerns, if there is one.
#[must_use]
pub fn to_message(rejection: &Rejection, id: Option<&MutationId>) -> v1::Rejection {
    v1::Rejection {
        code: rejection.code(),
        reason: rejection.name().to_owned(),
        field: field_path(rejection),
        operation_index: rejection.operation_index(),
        mutation_id: id.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(id.as_bytes())),
        charged: rejection.charged(),
        message: shortened(&rejection.to_string()),
        remedy: shortened(rejection.remedy()),
        detail: detail(rejection),
    }
}

/// The field at fault, with the position of the operation in it where there is one.
fn field_path(rejection: &Rejection) -> String {
    let path = shortened(rejection.field().unwrap_or_default());
    match rejection.operation_index() {
        Some(index) => path.replacen("operations", &format!("operations[{index}]"), 1),
        None => path,
    }
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let mut kept = text.get(..end).unwrap_or_default().to_owned();
    if end < text.len() {
        kept.push('…');
    }
    kept
}
