//! A proposal with signatures, and who made them.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use db3_primitives::{Address, Hash32, Rejection, Scheme, SecretKey, verify};

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

    /// Takes out the signatures of an account. Gives how many there were.
    pub fn remove(&mut self, signer: &Address) -> Result<usize, Rejection> {
        let before = self.signatures.len();
        let mut signers = self.signers()?.into_iter();
        self.signatures.retain(|_| signers.next().is_none_or(|made_by| made_by != *signer));
        Ok(before.saturating_sub(self.signatures.len()))
    }

    /// Who signed, in the order of the signatures: what they are worth is for [`check`](Self::check) to say.
    pub fn signers(&self) -> Result<Vec<Address>, Rejection> {
        let digests = Digests::of(&self.proposal);
        self.signatures.iter().map(|signature| digests.signer(signature)).collect()
    }

    /// Whether the signers operate more than two thirds of the power. The first signature that does not count ends it, and
    /// names its signer: so no more are looked at than the chain has operators, and one.
    pub fn check(&self, leaf: &GovernanceLeaf) -> Result<(), Rejection> {
        let digests = Digests::of(&self.proposal);
        let mut seen = BTreeSet::new();
        let mut signed = 0_u64;
        for signature in &self.signatures {
            let by = digests.signer(signature)?;
            let power = leaf.operated_by(&by).ok_or(Rejection::GovernanceSigner { signer: by })?;
            if !seen.insert(by) {
                return Err(Rejection::GovernanceSignedTwice { signer: by });
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

/// What is signed of a proposal, each made once: a body is long, and there may be many signatures.
struct Digests<'p> {
    proposal: &'p Proposal,
    raw: OnceCell<Hash32>,
    eip191: OnceCell<Hash32>,
}

impl<'p> Digests<'p> {
    fn of(proposal: &'p Proposal) -> Self {
        Self { proposal, raw: OnceCell::new(), eip191: OnceCell::new() }
    }

    fn signer(&self, signature: &Signature) -> Result<Address, Rejection> {
        let known = match signature.scheme {
            Scheme::Raw => &self.raw,
            Scheme::Eip191 => &self.eip191,
        };
        let digest = known.get_or_init(|| self.proposal.digest(signature.scheme));
        verify(digest, &signature.bytes).map_err(|error| Rejection::SignatureMalformed { detail: error.to_string() })
    }
}
