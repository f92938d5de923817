//! A proposal with signatures, and who made them.

use std::collections::BTreeSet;

use db3_primitives::limits::GOVERNANCE_SIGNATURES_MAX;
use db3_primitives::{Address, Rejection, Scheme, SecretKey, verify};

use crate::leaf::GovernanceLeaf;
use crate::proposal::Proposal;

/// One operator's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// How it was made.
    pub scheme: Scheme,
    /// r ‖ s ‖ v
    pub bytes: [u8; 65],
}

/// A proposal and signatures of it, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedProposal {
    /// What is proposed.
    pub proposal: Proposal,
    /// By whom it is signed, in any order.
    pub signatures: Vec<Signature>,
}

impl SignedProposal {
    /// A proposal that nobody has signed yet.
    #[must_use]
    pub fn unsigned(proposal: Proposal) -> Self {
        Self { proposal, signatures: Vec::new() }
    }

    /// Adds the signature of a key.
    pub fn sign(&mut self, key: &SecretKey, scheme: Scheme) {
        self.signatures.push(Signature { scheme, bytes: key.sign(&self.proposal.digest(scheme)) });
    }

    /// Who signed, in the order of the signatures: what they are worth is for [`check`](Self::check) to say.
    pub fn signers(&self) -> Result<Vec<Address>, Rejection> {
        let malformed = |detail: String| Rejection::SignatureMalformed { detail };
        let signer = |signature: &Signature| {
            verify(&self.proposal.digest(signature.scheme), &signature.bytes)
                .map_err(|error| malformed(error.to_string()))
        };
        self.signatures.iter().map(signer).collect()
    }

    /// Whether the signers operate more than two thirds of the power. Their number goes first, so that signatures which
    /// cannot all be operators' cost nothing.
    pub fn check(&self, leaf: &GovernanceLeaf) -> Result<(), Rejection> {
        let operators: BTreeSet<Address> = leaf.validators().iter().map(|validator| validator.operator).collect();
        let (count, max) = (self.signatures.len(), operators.len().min(GOVERNANCE_SIGNATURES_MAX));
        if count > max {
            let detail = format!("it has {count} signatures, and the chain has {max} operators");
            return Err(Rejection::GovernanceMalformed { detail });
        }
        let mut seen = BTreeSet::new();
        let mut signed = 0_u64;
        for signer in self.signers()? {
            let power = leaf.operated_by(&signer).ok_or(Rejection::GovernanceSigner { signer })?;
            if !seen.insert(signer) {
                return Err(Rejection::GovernanceSignedTwice { signer });
            }
            signed = signed.saturating_add(power);
        }
        let total = leaf.total_power();
        if u128::from(signed).saturating_mul(3) > u128::from(total).saturating_mul(2) {
            Ok(())
        } else {
            Err(Rejection::GovernancePower { signed, total })
        }
    }
}
