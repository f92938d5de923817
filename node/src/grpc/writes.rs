//! Writes: what is submitted, how long its caller waits, what is answered.
//!
//! An error means that this call put nothing in a block. Whatever a block holds is an answer with its receipt, applied
//! or failed, and so is a deadline that passes while the mutation waits: its receipt says "pending". It must never be
//! an error then, because the mutation may still be written.

use bytes::Bytes;
use db3_chain::{ReceiptState, SubmitError, Submitted};
use db3_primitives::{Identifier, Rejection};
use db3_proto::convert::request::invalid;
use db3_proto::status::to_mutation_error;
use db3_proto::v1;
use prost::Message as _;
use tokio::time::Instant;

use super::Node;
use super::receipts::Fate;
use super::refusal::Refusal;
use crate::kind::Kind;

/// How long a writer waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until admission has passed.
    Checked,
    /// Until its block is on disk.
    Committed,
    /// Until the header with its root exists.
    Provable,
}

impl Wait {
    /// Reads the request's number; unspecified is checked.
    pub fn read(number: i32) -> Result<Self, Rejection> {
        match v1::WaitMode::try_from(number) {
            Ok(v1::WaitMode::Unspecified | v1::WaitMode::Checked) => Ok(Self::Checked),
            Ok(v1::WaitMode::Committed) => Ok(Self::Committed),
            Ok(v1::WaitMode::Provable) => Ok(Self::Provable),
            Err(_) => Err(invalid("wait", format!("{number} is no way to wait; use checked, committed or provable"))),
        }
    }
}

impl<K: Kind> Node<K> {
    /// Submits one envelope and waits: its identifier and its receipt. `claimed` is the identifier of its body.
    pub async fn submit(
        &self,
        envelope: &v1::SignedEnvelope,
        claimed: &Identifier,
        wait: Wait,
        deadline: Instant,
    ) -> Result<(Bytes, v1::Receipt), Refusal> {
        let submitted =
            self.chain.submit(encode(envelope)).await.map_err(|error| self.refuse(error.rejection(), claimed))?;
        match self.outcome(submitted, wait, deadline).await {
            (id, Fate::Known(receipt)) => Ok((id_bytes(&id), *receipt)),
            (id, Fate::Refused(rejection)) => Err(self.refuse(rejection, &id)),
        }
    }

    /// What to answer of one of several mutations.
    pub async fn settle(
        &self,
        claimed: Identifier,
        submitted: Result<Submitted, SubmitError>,
        wait: Wait,
        deadline: Instant,
    ) -> v1::MutationOutcome {
        match submitted {
            Ok(submitted) => match self.outcome(submitted, wait, deadline).await {
                (id, Fate::Known(receipt)) => v1::MutationOutcome {
                    id: id_bytes(&id),
                    outcome: Some(v1::mutation_outcome::Outcome::Receipt(*receipt)),
                },
                (id, Fate::Refused(rejection)) => self.refused(Some(&id), &rejection),
            },
            Err(error) => self.refused(Some(&claimed), &error.rejection()),
        }
    }

    /// The answer for one of several mutations that was refused. It has no identifier where the body could not be read.
    pub fn refused(&self, id: Option<&Identifier>, rejection: &Rejection) -> v1::MutationOutcome {
        let unread = matches!(rejection, Rejection::EnvelopeMalformed { .. } | Rejection::BodyMalformed { .. });
        let id = id.filter(|_| !unread);
        let error = to_mutation_error(rejection, self.explain(rejection, id));
        v1::MutationOutcome {
            id: id.map_or_else(Bytes::new, id_bytes),
            outcome: Some(v1::mutation_outcome::Outcome::Error(error)),
        }
    }

    async fn outcome(&self, submitted: Submitted, wait: Wait, deadline: Instant) -> (Identifier, Fate) {
        let Submitted { id, mut receipt } = submitted;
        let state = match wait {
            Wait::Checked => receipt.now(),
            Wait::Committed => receipt.committed(deadline).await,
            Wait::Provable => receipt.provable(deadline).await,
        };
        // A mutation that was just admitted is pending, whatever the index of receipts has caught up to; so is one that this
        // node let go because it cannot be paid now, while another may hold it.
        let state = if matches!(state, ReceiptState::Unknown) { ReceiptState::Pending } else { state };
        (id, self.fate(&id, state))
    }
}

/// The envelope's bytes as the chain keeps them.
pub fn encode(envelope: &v1::SignedEnvelope) -> Bytes {
    Bytes::from(envelope.encode_to_vec())
}

fn id_bytes(id: &Identifier) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}
