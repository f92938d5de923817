//! Which version of the state an answer is read from, and how the answer says so.
//!
//! Reads see committed versions only, and by default the newest whose root a header carries. They must never wait for
//! execution: the one wait here is for a height that the caller asked for.

use std::sync::Arc;

use bytes::Bytes;
use db3_chain::{Machine as _, VersionOf};
use db3_primitives::{Height, Rejection};
use db3_proto::convert::timestamp;
use db3_proto::{ics23, v1};
use db3_state_tree::Tree;
use tokio::time::Instant;

use super::Node;
use crate::kind::{Kind, State};

/// A version, and how much proof the caller wants of it.
pub struct View<K: Kind> {
    version: Arc<VersionOf<K::Machine>>,
    prove: bool,
    chain_id: String,
    /// The one that carries the root, unless the caller trusts its header already.
    light_block: Option<v1::LightBlock>,
}

impl<K: Kind> Node<K> {
    /// The version that `options` ask for. A page token's height stands above the options'.
    pub async fn view(
        &self,
        options: Option<v1::ReadOptions>,
        token_height: Option<u64>,
        deadline: Instant,
    ) -> Result<View<K>, Rejection> {
        let options = options.unwrap_or_default();
        let asked = token_height.unwrap_or(options.height);
        if asked != 0 && options.min_height > asked {
            return Err(Rejection::RequestInvalid {
                field: "read.min_height".to_owned(),
                detail: format!("is {}, above the height {asked} that is asked for", options.min_height),
            });
        }
        if options.min_height > self.chain.provable().height.get() {
            self.chain.wait_height(Height::new(options.min_height), deadline).await?;
        }
        let version = match asked {
            0 => self.chain.provable(),
            height => self.chain.version_at(Height::new(height))?,
        };
        if version.light_block.is_none() {
            // The chain has just been started, and no header carries a root yet.
            return Err(Rejection::NotReady);
        }
        let proves_above =
            (options.prove && version.height.get() >= options.trusted_height).then_some(options.trusted_height);
        let light_block = match proves_above {
            Some(trusted) => self.light_block_of(&version, trusted).await,
            None => None,
        };
        Ok(View { version, prove: options.prove, chain_id: self.chain_id.to_string(), light_block })
    }
}

impl<K: Kind> View<K> {
    /// The state.
    pub fn state(&self) -> &State<K> {
        &self.version.state
    }

    /// Its tree.
    pub fn tree(&self) -> &Tree {
        K::Machine::tree(&self.version.state)
    }

    /// The version itself.
    pub fn version(&self) -> &Arc<VersionOf<K::Machine>> {
        &self.version
    }

    /// Its height.
    pub fn height(&self) -> u64 {
        self.version.height.get()
    }

    /// Whether proofs are wanted.
    pub fn proves(&self) -> bool {
        self.prove
    }

    /// The ICS-23 proof of a tree key's value or absence, empty unless wanted.
    pub fn proof_of(&self, key: &[u8]) -> Bytes {
        if self.prove { Bytes::from(ics23::to_bytes(&self.tree().prove(key))) } else { Bytes::new() }
    }

    /// The bytes under a tree key; empty if there are none.
    pub fn stored(&self, key: &[u8]) -> Bytes {
        Bytes::copy_from_slice(self.tree().get(key).unwrap_or_default())
    }

    /// What the answer says of where it was read.
    pub fn context(&self) -> v1::ReadContext {
        let version = &self.version;
        v1::ReadContext {
            chain_id: self.chain_id.clone(),
            height: version.height.get(),
            root: Bytes::copy_from_slice(&version.root),
            block_time: Some(timestamp(version.time)),
            light_block: self.light_block.clone(),
        }
    }
}
