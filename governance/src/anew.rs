//! The governance of a chain that goes on from an exported state with other validators.
//!
//! Who validated the old chain has nothing to say in the new one, and consensus would stop at an update of a validator that it
//! does not know. So the new chain's validators take the old ones' place, or nobody governs it; what was scheduled is
//! dropped. The number of the last transaction stays, so that nothing that was signed for the old chain, which had the
//! same name, is accepted again; evidence stays as well, and a key that misbehaved cannot come back.

use db3_primitives::{DecodeError, key};
use db3_state_tree::{Batch, Tree};

use crate::leaf::{GovernanceLeaf, Validator, ValidatorError};

/// Why a state's governance cannot begin anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnewError {
    /// The leaf that is there is none.
    #[error(transparent)]
    Leaf(#[from] DecodeError),
    /// These validators can be no chain's.
    #[error(transparent)]
    Validators(#[from] ValidatorError),
    /// There is no number to go on from.
    #[error("the exported chain was governed by nobody, so nobody can govern the chain that continues from it")]
    Ungoverned,
}

/// What changes in a state, by tree key, so that `validators` govern the chain that goes on from it; nobody if there are
/// none.
pub fn begin_anew(tree: &Tree, validators: &[Validator]) -> Result<Batch, AnewError> {
    let before = tree.get(&key::governance()).map(GovernanceLeaf::from_bytes).transpose()?;
    let mut changes = Batch::new();
    match (before, validators) {
        (None, []) => {}
        (None, _) => return Err(AnewError::Ungoverned),
        (Some(_), []) => changes.push((key::governance(), None)),
        (Some(before), _) => {
            let leaf = GovernanceLeaf { sequence: before.sequence(), ..GovernanceLeaf::new(validators)? };
            changes.push((key::governance(), Some(leaf.to_bytes())));
        }
    }
    changes.extend(tree.prefix(&key::plan_prefix()).map(|(key, _)| (key.to_vec(), None)));
    changes.sort();
    Ok(changes)
}
