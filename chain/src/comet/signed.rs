//! Whether this node's key has signed what its signing state knows nothing of: then the state is an older copy, or another
//! process signs with the key, and the next vote could be a second one for its height.
//!
//! `CometBFT` writes down what it signs before anybody hears of it, so every block that has a vote of this node's key is
//! of a height that the file has reached. A node with older files fetches the blocks that it lacks before it signs again, and
//! the first of them that has its own vote tells. What it cannot tell: votes of the one height that is not decided.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use db3_comet::keys::load_validator_key;
use db3_comet::{CometSettings, Layout};
use tendermint_proto::v0_38::abci::RequestFinalizeBlock;
use tendermint_proto::v0_38::types::BlockIdFlag;

use crate::error::FatalError;

/// The key of this machine and its signing state.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    address: [u8; 20],
    layout: Layout,
    /// Height that the file had reached when it was read last.
    known: Arc<AtomicU64>,
}

impl Signed {
    /// None where no key of this machine signs.
    pub(super) fn of(layout: &Layout, settings: &CometSettings) -> Option<Self> {
        let key = load_validator_key(layout.home()).ok().filter(|_| settings.priv_validator_laddr.is_none())?;
        Some(Self { address: key.address(), layout: layout.clone(), known: Arc::default() })
    }

    /// Looks at the votes for the block before this one.
    pub(super) fn check(&self, block: &RequestFinalizeBlock) -> Result<(), FatalError> {
        let votes = block.decided_last_commit.iter().flat_map(|commit| &commit.votes);
        let mut own = votes.filter(|vote| vote.validator.as_ref().is_some_and(|it| it.address == self.address[..]));
        let height = u64::try_from(block.height).unwrap_or_default().saturating_sub(1);
        let is_signed = own.any(|vote| matches!(vote.block_id_flag(), BlockIdFlag::Commit | BlockIdFlag::Nil));
        if !is_signed || self.known.load(Ordering::Relaxed) >= height {
            return Ok(());
        }
        let known = match self.layout.signed_height() {
            Ok(known) => known,
            Err(error) => {
                // CometBFT itself signs nothing that it cannot write down there.
                tracing::warn!(%error, "comet.signed: it cannot be told whether this key signs elsewhere");
                return Ok(());
            }
        };
        self.known.store(known, Ordering::Relaxed);
        if known >= height { Ok(()) } else { Err(self.older(height, known)) }
    }

    fn older(&self, height: u64, known: u64) -> FatalError {
        FatalError::SignedElsewhere { height, known, path: self.path() }
    }

    fn path(&self) -> PathBuf {
        self.layout.signing_state()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use db3_comet::keys::new_validator_key;
    use tendermint_proto::v0_38::abci::{CommitInfo, Validator, VoteInfo};

    use super::*;

    fn block(height: i64, address: &[u8; 20], flag: BlockIdFlag) -> RequestFinalizeBlock {
        let validator = Validator { address: address.to_vec().into(), power: 1 };
        let votes = vec![VoteInfo { validator: Some(validator), block_id_flag: flag.into() }];
        RequestFinalizeBlock {
            height,
            decided_last_commit: Some(CommitInfo { round: 0, votes }),
            ..RequestFinalizeBlock::default()
        }
    }

    #[test]
    fn a_vote_that_the_signing_state_knows_nothing_of_stops_the_node() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("config")).unwrap();
        std::fs::create_dir_all(folder.path().join("cometbft/data")).unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        let own = new_validator_key(folder.path()).unwrap().address();
        let signed = Signed::of(&layout, &CometSettings::default()).unwrap();
        let state = |height: &str| {
            std::fs::write(layout.signing_state(), format!(r#"{{"height":"{height}","round":0,"step":3}}"#)).unwrap();
        };
        let check = |height, flag| signed.check(&block(height, &own, flag));
        // Nothing was ever signed here, by this file.
        assert!(check(5, BlockIdFlag::Commit).is_err());
        state("4");
        check(5, BlockIdFlag::Commit).unwrap();
        check(9, BlockIdFlag::Absent).unwrap();
        signed.check(&block(9, &[7; 20], BlockIdFlag::Commit)).unwrap();
        for flag in [BlockIdFlag::Commit, BlockIdFlag::Nil] {
            let error = check(9, flag).unwrap_err().to_string();
            for part in ["block 8", "up to height 4", "priv_validator_state.json"] {
                assert!(error.contains(part), "{part}: {error}");
            }
        }
        state("8");
        check(9, BlockIdFlag::Commit).unwrap();
        // What cannot be read is for CometBFT to refuse.
        state("eight");
        check(20, BlockIdFlag::Commit).unwrap();
        let remote = CometSettings { priv_validator_laddr: Some("tcp://127.0.0.1:1".to_owned()), ..Default::default() };
        assert!(Signed::of(&layout, &remote).is_none());
    }
}
