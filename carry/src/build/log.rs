//! A log with everything that its writer keeps of it: entries and the hashes of all perfect subtrees.

use std::collections::BTreeMap;
use std::convert::Infallible;

use db3_merkle_log::{EntryTooLong, Frontier, Hash, LogSource, NodeSource, Outbox};

/// An outbox and its stores.
#[derive(Clone, Debug, Default)]
pub struct WrittenLog {
    outbox: Outbox,
    entries: Vec<Vec<u8>>,
    nodes: BTreeMap<(u8, u64), Hash>,
}

impl WrittenLog {
    /// Appends an entry and returns its index.
    pub fn append(&mut self, entry: &[u8]) -> Result<u64, EntryTooLong> {
        let appended = self.outbox.append(entry)?;
        self.nodes.extend(appended.nodes.iter().map(|node| ((node.level, node.index), node.hash)));
        self.entries.push(entry.to_vec());
        Ok(appended.index)
    }

    /// Size and hashes.
    #[must_use]
    pub fn frontier(&self) -> &Frontier {
        self.outbox.frontier()
    }

    /// All entries, in order.
    #[must_use]
    pub fn entries(&self) -> &[Vec<u8>] {
        &self.entries
    }
}

impl NodeSource for WrittenLog {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Option<Hash>, Infallible> {
        Ok(self.nodes.get(&(level, index)).copied())
    }
}

impl LogSource for WrittenLog {
    fn entry(&self, index: u64) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(usize::try_from(index).ok().and_then(|index| self.entries.get(index)).cloned())
    }
}
