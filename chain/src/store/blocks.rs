//! Blocks, their headers with commits, and one row about each that stays when the block is pruned.
//!
//! Summary row, 184 bytes: hash (32) ‖ time (12) ‖ root before (32) ‖ root after (32) ‖ proposer (20) ‖ transactions (4)
//! ‖ their bytes (8) ‖ deliveries (4) ‖ mutations (4) ‖ applied (4) ‖ failed (4) ‖ fees (16) ‖ outbox entries (4) ‖ open
//! epoch (8).

use db3_primitives::{BlockTime, Epoch, Hash32, Height, Tai};
use prost::Message as _;
use rocksdb::{Direction, IteratorMode, WriteBatch};
use tendermint_proto::v0_38::types::Block;

use super::row::{Row, time_bytes};
use super::{Family, Step, Store, StoreError};

/// A block in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockSummary {
    /// Its height.
    pub height: Height,
    /// Hash of its header.
    pub hash: Hash32,
    /// Its time.
    pub time: BlockTime,
    /// Root of the state before it, which its header carries.
    pub app_hash: Hash32,
    /// Root of the state after it.
    pub root: Hash32,
    /// Address of the validator that proposed it.
    pub proposer: [u8; 20],
    /// Consensus transactions (bundles and deliveries).
    pub transactions: u32,
    /// Their bytes.
    pub transaction_bytes: u64,
    /// Deliveries among them.
    pub deliveries: u32,
    /// Mutations in the bundles (on the settlement chain its transactions), refused ones counted.
    pub mutations: u32,
    /// How many of those were applied.
    pub applied: u32,
    /// How many failed, and were charged.
    pub failed: u32,
    /// What was charged.
    pub fees: Tai,
    /// Entries that it appended to its outboxes.
    pub outbox_entries: u32,
    /// Epoch that was open in it.
    pub epoch: Epoch,
}

impl BlockSummary {
    fn to_bytes(&self) -> Vec<u8> {
        [
            self.hash.as_slice(),
            &time_bytes(self.time),
            &self.app_hash,
            &self.root,
            &self.proposer,
            &self.transactions.to_be_bytes(),
            &self.transaction_bytes.to_be_bytes(),
            &self.deliveries.to_be_bytes(),
            &self.mutations.to_be_bytes(),
            &self.applied.to_be_bytes(),
            &self.failed.to_be_bytes(),
            &self.fees.get().to_be_bytes(),
            &self.outbox_entries.to_be_bytes(),
            &self.epoch.get().to_be_bytes(),
        ]
        .concat()
    }

    fn from_bytes(height: Height, bytes: &[u8]) -> Result<Self, StoreError> {
        Row::new("block summary", &height_key(height), bytes).only(|row| {
            Ok(Self {
                height,
                hash: row.hash()?,
                time: row.time()?,
                app_hash: row.hash()?,
                root: row.hash()?,
                proposer: row.array()?,
                transactions: row.u32()?,
                transaction_bytes: row.u64()?,
                deliveries: row.u32()?,
                mutations: row.u32()?,
                applied: row.u32()?,
                failed: row.u32()?,
                fees: row.tai()?,
                outbox_entries: row.u32()?,
                epoch: Epoch::new(row.u64()?),
            })
        })
    }
}

impl Store {
    /// Writes a block and its light block, not synced: the history batch that follows is.
    pub(crate) fn put_block(&self, height: Height, block: &[u8], light_block: &[u8]) -> Result<(), StoreError> {
        Step::BeforeBlock.reached();
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(Family::Blocks)?, height_key(height), block);
        batch.put_cf(self.family(Family::LightBlocks)?, height_key(height), light_block);
        self.write(batch, false)?;
        Step::AfterBlock.reached();
        Ok(())
    }

    /// A block; none where it is pruned or not yet made.
    pub fn block(&self, height: Height) -> Result<Option<Block>, StoreError> {
        let Some(bytes) = self.block_bytes(height)? else { return Ok(None) };
        Block::decode(bytes.as_slice())
            .map(Some)
            .map_err(|error| StoreError::damaged("block", &height_key(height), error))
    }

    /// A block's bytes, `tendermint.types.Block`.
    pub(crate) fn block_bytes(&self, height: Height) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(Family::Blocks, &height_key(height))
    }

    /// Header, commit and validators of a height, `tendermint.types.LightBlock`; none where it is pruned or not yet
    /// made.
    pub fn light_block(&self, height: Height) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(Family::LightBlocks, &height_key(height))
    }

    /// Writes a header with its commit, whose block the engine keeps. Not synced: the engine has it as well.
    pub(crate) fn put_light_block(&self, height: Height, light_block: &[u8]) -> Result<(), StoreError> {
        self.put(Family::LightBlocks, &height_key(height), light_block, false)
    }

    /// Heights of the oldest and the newest block that are kept, or whose headers are where the engine keeps the blocks.
    pub fn block_range(&self) -> Result<Option<(Height, Height)>, StoreError> {
        let first = self.rows(Family::LightBlocks, IteratorMode::Start)?.next().transpose()?;
        let last = self.rows(Family::LightBlocks, IteratorMode::End)?.next().transpose()?;
        match (first, last) {
            (Some((first, _)), Some((last, _))) => {
                Ok(Some((height_of("light block", &first)?, height_of("light block", &last)?)))
            }
            _ => Ok(None),
        }
    }

    /// Height of the oldest block that there is a row about. A node that came from a snapshot has none before it.
    pub(crate) fn first_summary(&self) -> Result<Option<Height>, StoreError> {
        let first = self.rows(Family::Summaries, IteratorMode::Start)?.next().transpose()?;
        first.map(|(key, _)| height_of("block summary", &key)).transpose()
    }

    /// Height of the oldest header that is kept.
    pub(crate) fn first_light_block(&self) -> Result<Option<Height>, StoreError> {
        let first = self.rows(Family::LightBlocks, IteratorMode::Start)?.next().transpose()?;
        first.map(|(key, _)| height_of("light block", &key)).transpose()
    }

    /// A block in short.
    pub fn summary(&self, height: Height) -> Result<Option<BlockSummary>, StoreError> {
        let row = self.get(Family::Summaries, &height_key(height))?;
        row.map(|bytes| BlockSummary::from_bytes(height, &bytes)).transpose()
    }

    /// At most `limit` blocks in short, from `from` down; blocks without a transaction only if `empty`. The second
    /// value is the height to go on from; none at the end. At most `visits` rows are looked at.
    pub fn summaries(
        &self,
        from: Height,
        limit: usize,
        empty: bool,
        visits: usize,
    ) -> Result<(Vec<BlockSummary>, Option<Height>), StoreError> {
        let key = height_key(from);
        let mut found = Vec::new();
        for (visited, row) in self.rows(Family::Summaries, IteratorMode::From(&key, Direction::Reverse))?.enumerate() {
            let (key, value) = row?;
            let height = height_of("block summary", &key)?;
            if found.len() >= limit || visited >= visits {
                return Ok((found, Some(height)));
            }
            let summary = BlockSummary::from_bytes(height, &value)?;
            if empty || summary.transactions > 0 {
                found.push(summary);
            }
        }
        Ok((found, None))
    }

    pub(crate) fn add_summary(&self, batch: &mut WriteBatch, summary: &BlockSummary) -> Result<(), StoreError> {
        batch.put_cf(self.family(Family::Summaries)?, height_key(summary.height), summary.to_bytes());
        Ok(())
    }

    /// Removes blocks and light blocks below `height`. Whoever calls knows that a durable snapshot stands at or above
    /// `height`.
    pub(crate) fn prune_blocks(&self, height: Height) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for family in [Family::Blocks, Family::LightBlocks] {
            batch.delete_range_cf(self.family(family)?, height_key(Height::new(0)), height_key(height));
        }
        self.write(batch, false)?;
        Step::AfterPrune.reached();
        Ok(())
    }
}

/// The key of a height.
pub(crate) fn height_key(height: Height) -> [u8; 8] {
    height.get().to_be_bytes()
}

/// The height in a key.
pub(crate) fn height_of(what: &'static str, key: &[u8]) -> Result<Height, StoreError> {
    Row::new(what, key, key).only(Row::u64).map(Height::new)
}
