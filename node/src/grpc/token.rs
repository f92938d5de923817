//! Page tokens: where a list goes on, at which height, and for which question.
//!
//! Layout before base64url (no padding): `format u8 = 1 ‖ height u64 BE ‖ question [8] ‖ cursor ‖ check [4]`.
//! `question` is the start of a SHA-256 over the call and its filters, so that a token cannot be carried to another
//! list; `check` is the start of a SHA-256 over all that precedes it, so that a mistyped token is refused instead of
//! answered wrongly. A token is no secret and grants nothing. It must never be trusted for anything but where to go
//! on: every cursor that it yields is a place inside the list that was asked for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db3_primitives::Rejection;
use sha2::{Digest as _, Sha256};

const FORMAT: u8 = 1;
const QUESTION_BYTES: usize = 8;
const CHECK_BYTES: usize = 4;
/// Long enough for the longest cursor, a tree key, and its frame.
const TEXT_BYTES_MAX: usize = 1_024;

/// What a list is about: its call and its filters, folded into eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question([u8; QUESTION_BYTES]);

impl Question {
    /// Folds the parts, each with its length, so that no two lists of parts collide by concatenation.
    #[must_use]
    pub fn new(call: &str, filters: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in std::iter::once(call.as_bytes()).chain(filters.iter().copied()) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(first(&hash.finalize()))
    }
}

/// A token, opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken {
    /// The height of every page of this list.
    pub height: u64,
    /// The place after the last item that was given; its meaning belongs to the list.
    pub cursor: Vec<u8>,
}

impl PageToken {
    /// The token's text.
    #[must_use]
    pub fn seal(&self, question: Question) -> String {
        let mut bytes = Vec::with_capacity(self.cursor.len().saturating_add(32));
        bytes.push(FORMAT);
        bytes.extend_from_slice(&self.height.to_be_bytes());
        bytes.extend_from_slice(&question.0);
        bytes.extend_from_slice(&self.cursor);
        let check: [u8; CHECK_BYTES] = first(&Sha256::digest(&bytes));
        bytes.extend_from_slice(&check);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Opens a token's text; the empty text is the first page, `None`.
    pub fn open(text: &str, question: Question) -> Result<Option<Self>, Rejection> {
        if text.is_empty() {
            return Ok(None);
        }
        Self::decode(text, question).map(Some).ok_or(Rejection::PageTokenInvalid)
    }

    fn decode(text: &str, question: Question) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, check) = bytes.split_last_chunk::<CHECK_BYTES>()?;
        if *check != first::<CHECK_BYTES>(&Sha256::digest(body)) {
            return None;
        }
        let (&format, rest) = body.split_first()?;
        let (height, rest) = rest.split_first_chunk::<8>()?;
        let (asked, cursor) = rest.split_first_chunk::<QUESTION_BYTES>()?;
        (format == FORMAT && *asked == question.0)
            .then(|| Self { height: u64::from_be_bytes(*height), cursor: cursor.to_vec() })
    }
}

fn first<const N: usize>(hash: &[u8]) -> [u8; N] {
    let mut start = [0; N];
    start.iter_mut().zip(hash).for_each(|(to, from)| *to = *from);
    start
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn token() -> PageToken {
        PageToken { height: 77, cursor: b"rec/2notes/k".to_vec() }
    }

    #[test]
    fn a_token_opens_to_what_was_sealed() {
        let question = Question::new("ScanRecords", &[b"ns", b"table"]);
        let text = token().seal(question);
        assert_eq!(PageToken::open(&text, question).unwrap(), Some(token()));
        assert_eq!(PageToken::open("", question).unwrap(), None);
    }

    #[test]
    fn a_token_of_another_list_is_refused() {
        let text = token().seal(Question::new("ScanRecords", &[b"a", b"bc"]));
        for other in [Question::new("ScanRecords", &[b"ab", b"c"]), Question::new("ListTables", &[b"a", b"bc"])] {
            assert!(PageToken::open(&text, other).is_err());
        }
    }

    #[test]
    fn every_changed_character_is_refused() {
        let question = Question::new("ListBills", &[]);
        let text = token().seal(question);
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            let slot = bytes.get_mut(at).unwrap();
            *slot = if *slot == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            if changed != text {
                assert!(PageToken::open(&changed, question).is_err(), "at {at}");
            }
        }
        assert!(PageToken::open("not base64 !", question).is_err());
        assert!(PageToken::open(&"A".repeat(4_096), question).is_err());
    }
}
