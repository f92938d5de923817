//! How a node knows the relay that runs in it: a word that only this process knows, shown with each delivery.
//!
//! The word is another for each chain, so that what one chain's node is shown says nothing to another chain's. An endpoint of
//! the node's own chain is the node's own; so nobody else ever learns what lets a delivery in there.

use db3_primitives::hash::hex_text;
use db3_primitives::{ChainId, Hash32, sha256};

/// The header of a call under which the word stands.
pub const PASS_KEY: &str = "db3-relay-pass";

/// The words of one relay.
#[derive(Clone)]
pub struct Passes {
    secret: Hash32,
}

// The secret stays out of logs.
impl std::fmt::Debug for Passes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passes")
    }
}

impl Passes {
    /// New ones; none, where the system has no randomness: then the relay is a stranger like any other.
    pub fn new() -> Option<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).ok().map(|()| Self { secret })
    }

    /// What is shown to a chain.
    pub fn of(&self, chain: &ChainId) -> String {
        hex_text(&sha256(&[&self.secret, chain.as_str().as_bytes()]))
    }

    /// Whether this was shown to that chain. How long the answer takes does not tell how much of it is right.
    pub fn is_of(&self, chain: &ChainId, shown: &[u8]) -> bool {
        sha256(&[shown]) == sha256(&[self.of(chain).as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_word_is_good_for_one_relay_and_one_chain() {
        let (one, other) = (Passes::new().unwrap(), Passes::new().unwrap());
        let [shard, settlement] = ["test-shard-0", "test-settlement"].map(|name| ChainId::parse(name).unwrap());
        let word = one.of(&shard);
        assert!(one.is_of(&shard, word.as_bytes()));
        assert!(!one.is_of(&settlement, word.as_bytes()) && !other.is_of(&shard, word.as_bytes()));
        assert!(!one.is_of(&shard, b"") && !format!("{one:?}").contains(&word));
    }
}
