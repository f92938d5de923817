//! Why a received message is not what its hashed bytes say.

use db3_primitives::{DecodeError, Rejection};

/// A decoded view that its bytes do not bear out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The hashed bytes are no encoding.
    #[error("{what}: its bytes are malformed: {source}")]
    Leaf {
        /// Kind of object.
        what: &'static str,
        /// Why.
        source: DecodeError,
    },
    /// A name or key breaks the rules.
    #[error("{what}: {rejection}")]
    Name {
        /// Kind of object.
        what: &'static str,
        /// Which rule.
        rejection: Box<Rejection>,
    },
    /// The decoded view says something else than the bytes.
    #[error("{what}: its decoded fields say something else than the bytes that are proven")]
    Differs {
        /// Kind of object.
        what: &'static str,
    },
}

impl ViewError {
    pub(super) fn leaf(what: &'static str) -> impl Fn(DecodeError) -> Self {
        move |source| Self::Leaf { what, source }
    }

    pub(super) fn name(what: &'static str) -> impl Fn(Rejection) -> Self {
        move |rejection| Self::Name { what, rejection: Box::new(rejection) }
    }
}

/// Accepts a message that equals the one that its bytes give.
pub(super) fn same<M: PartialEq>(what: &'static str, given: &M, wanted: &M) -> Result<(), ViewError> {
    if given == wanted { Ok(()) } else { Err(ViewError::Differs { what }) }
}
