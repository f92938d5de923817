//! What operators sign: a change of one chain, its number and when it takes effect.
//!
//! Identifier: SHA-256 of `"db3.v1.Governance/id"` ‖ 0x00 ‖ body. Scheme 1, raw: Keccak-256 of 0x19 ‖
//! `"db3.v1.Governance/raw"` ‖ 0x00 ‖ body. Scheme 2, EIP-191: `personal_sign` of [`Proposal::signing_text`]. The tags
//! are no other kind's, so a signature serves here alone; chain id and number are in the body, so it serves once.

use db3_primitives::signature::eip191_digest;
use db3_primitives::{ChainId, Hash32, Height, Identifier, Scheme, keccak256, sha256};

use crate::action::Action;

const ID_TAG: &[u8] = b"db3.v1.Governance/id\0";
const RAW_TAG: &[u8] = b"\x19db3.v1.Governance/raw\0";

/// A change that operators propose. [`to_bytes`](Self::to_bytes) is what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The chain that it is for.
    pub chain_id: ChainId,
    /// Its number: one above the last that the chain accepted.
    pub sequence: u64,
    /// The block that begins with its change; 0 for the one after the block that holds it.
    pub at_height: Height,
    /// It may stand in a block whose time is before this Unix second.
    pub expire_unix_secs: u64,
    /// What it changes, in this order; all of it or nothing.
    pub actions: Vec<Action>,
}

impl Proposal {
    /// The identifier.
    #[must_use]
    pub fn id(&self) -> Identifier {
        Identifier(sha256(&[ID_TAG, &self.to_bytes()]))
    }

    /// The digest that is signed.
    #[must_use]
    pub fn digest(&self, scheme: Scheme) -> Hash32 {
        match scheme {
            Scheme::Raw => keccak256(&[RAW_TAG, &self.to_bytes()]),
            Scheme::Eip191 => eip191_digest(&self.signing_text()),
        }
    }
}
