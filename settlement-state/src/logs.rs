//! What a block appends to logs: ceilings and heartbeats for the shards, and postings. Indexes are known at once, so a
//! cut can name its own; hashing waits for the block's end.
//!
//! A transaction writes one entry for a line at most: a later ceiling takes the place of an earlier one, which the shard need
//! not hear of. What counts against the limit meanwhile was raised all the same, and a cut is confirmed by that one entry. So
//! an operation adds at most one entry to a log, and a block of transactions at most [`BLOCK_LINE_ENTRIES_MAX`].

use std::collections::BTreeMap;

use db3_carry::OutboundEntry;
use db3_merkle_log::{CompletedNode, Frontier, Outbox};
use db3_primitives::limits::BLOCK_LINE_ENTRIES_MAX;
use db3_primitives::{Address, ChainId, CreditEntry, NetworkName, Posting, ShardId, key};
use db3_state_tree::Tree;

use db3_primitives::fatal::{damaged, fatal};

/// The log towards one shard.
struct Outgoing {
    before: Outbox,
    entries: Vec<CreditEntry>,
    /// How many of them transactions caused.
    of_transactions: u32,
}

/// The logs that a block appends to.
#[derive(Default)]
pub(crate) struct Logs {
    outgoing: BTreeMap<ShardId, Outgoing>,
    /// With their indexes.
    postings: Vec<(u64, Posting)>,
    draft: Option<Draft>,
}

/// What a transaction has appended so far.
struct Draft {
    /// The place of a line's entry among those of this block.
    lines: BTreeMap<(ShardId, Address), usize>,
    /// How many postings there were before.
    postings: usize,
}

/// What was appended, hashed.
pub(crate) struct Appended {
    pub(crate) entries: Vec<OutboundEntry>,
    pub(crate) outbox_nodes: Vec<(ChainId, CompletedNode)>,
    pub(crate) postings: Vec<(u64, Posting)>,
    pub(crate) posting_nodes: Vec<CompletedNode>,
    /// The frontiers' leaves.
    pub(crate) leaves: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// The log from the settlement chain to a shard, as a version has it.
pub(crate) fn outbox(tree: &Tree, destination: &ChainId) -> Outbox {
    let key = key::outbox(destination);
    tree.get(&key).map_or_else(Outbox::new, |leaf| Outbox::from_bytes(leaf).unwrap_or_else(|_| damaged(&key)))
}

/// The log of postings, as a version has it.
pub(crate) fn postings(tree: &Tree) -> Frontier {
    let key = key::postings();
    tree.get(&key).map_or_else(Frontier::new, |leaf| Frontier::from_bytes(leaf).unwrap_or_else(|_| damaged(&key)))
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl Logs {
    /// Appends an entry for a shard, or puts it in the place of the one that the same transaction wrote for the same line, and
    /// tells its index.
    pub(crate) fn send(&mut self, base: &Tree, network: &NetworkName, shard: ShardId, entry: CreditEntry) -> u64 {
        let outgoing = self.outgoing.entry(shard).or_insert_with(|| Outgoing {
            before: outbox(base, &ChainId::shard(network, shard)),
            entries: Vec::new(),
            of_transactions: 0,
        });
        let end = outgoing.entries.len();
        let place = match (&mut self.draft, &entry) {
            (Some(draft), CreditEntry::Line(line)) => *draft.lines.entry((shard, line.account)).or_insert(end),
            (Some(_) | None, _) => end,
        };
        if let Some(earlier) = outgoing.entries.get_mut(place) {
            *earlier = entry;
        } else {
            outgoing.entries.push(entry);
            outgoing.of_transactions = outgoing.of_transactions.saturating_add(u32::from(self.draft.is_some()));
        }
        outgoing.before.frontier().size().saturating_add(count(place))
    }

    /// How many entries were ever written for a shard.
    pub(crate) fn sent(&self, base: &Tree, network: &NetworkName, shard: ShardId) -> u64 {
        match self.outgoing.get(&shard) {
            Some(outgoing) => outgoing.before.frontier().size().saturating_add(count(outgoing.entries.len())),
            None => outbox(base, &ChainId::shard(network, shard)).frontier().size(),
        }
    }

    /// Appends a posting.
    pub(crate) fn post(&mut self, base: &Tree, posting: Posting) {
        let index = match self.postings.last() {
            Some((last, _)) => last.saturating_add(1),
            None => postings(base).size(),
        };
        self.postings.push((index, posting));
    }

    /// Makes room for postings that come.
    pub(crate) fn expect(&mut self, postings: usize) {
        self.postings.reserve(postings);
    }

    /// The postings of this block so far.
    pub(crate) fn postings(&self) -> impl ExactSizeIterator<Item = &Posting> {
        self.postings.iter().map(|(_, posting)| posting)
    }

    /// The same, for a test that makes one wrong.
    #[cfg(test)]
    pub(crate) fn postings_mut(&mut self) -> impl Iterator<Item = &mut Posting> {
        self.postings.iter_mut().map(|(_, posting)| posting)
    }

    /// Begins what a transaction appends.
    pub(crate) fn draft(&mut self) {
        self.draft = Some(Draft { lines: BTreeMap::new(), postings: self.postings.len() });
    }

    /// Whether the draft makes a log longer than the transactions of one block may.
    pub(crate) fn is_overfull(&self) -> bool {
        self.draft
            .iter()
            .flat_map(|draft| draft.lines.keys())
            .any(|(shard, _)| self.outgoing.get(shard).is_some_and(|log| log.of_transactions > BLOCK_LINE_ENTRIES_MAX))
    }

    /// Ends the draft; what it appended is the block's.
    pub(crate) fn keep(&mut self) {
        self.draft = None;
    }

    /// Ends the draft and takes back what it appended.
    pub(crate) fn discard(&mut self) {
        let Some(draft) = self.draft.take() else { return };
        self.postings.truncate(draft.postings);
        for (shard, _) in draft.lines.keys() {
            if let Some(log) = self.outgoing.get_mut(shard) {
                log.entries.pop();
                log.of_transactions = log.of_transactions.saturating_sub(1);
            }
        }
    }

    /// Hashes what was appended.
    pub(crate) fn finish(self, base: &Tree, network: &NetworkName) -> Appended {
        let mut appended = Appended {
            entries: Vec::new(),
            outbox_nodes: Vec::new(),
            postings: self.postings,
            posting_nodes: Vec::new(),
            leaves: Vec::new(),
        };
        for (shard, log) in self.outgoing {
            appended.send(&ChainId::shard(network, shard), log);
        }
        if !appended.postings.is_empty() {
            let mut frontier = postings(base);
            appended.posting_nodes.reserve(appended.postings.len().saturating_mul(2));
            for (_, posting) in &appended.postings {
                frontier.append_with(&posting.to_bytes(), |node| appended.posting_nodes.push(node));
            }
            appended.leaves.push((key::postings(), Some(frontier.to_bytes())));
        }
        appended
    }
}

impl Appended {
    fn send(&mut self, destination: &ChainId, log: Outgoing) {
        if log.entries.is_empty() {
            return;
        }
        let mut outbox = log.before;
        self.entries.reserve(log.entries.len());
        self.outbox_nodes.reserve(log.entries.len().saturating_mul(2));
        for entry in log.entries {
            let bytes = entry.to_bytes();
            match outbox.append_with(&bytes, |node| self.outbox_nodes.push((destination.clone(), node))) {
                Ok(index) => self.entries.push(OutboundEntry { destination: destination.clone(), index, bytes }),
                Err(error) => fatal("I4: every entry can be delivered", error),
            }
        }
        self.leaves.push((key::outbox(destination), Some(outbox.to_bytes())));
    }
}
