//! What a chain shows to the outside: real headers over its states, and its logs for others, from which deliveries are made.

use std::collections::{BTreeMap, VecDeque};

use db3_carry::build::{WrittenLog, assemble, header_update};
use db3_carry::{Delivery, OutboundEntry, Peer};
use db3_light_client::build::HeaderChain;
use db3_light_client::{Options, UnixTime};
use db3_primitives::{BlockTime, ChainId, Height, key};
use db3_state_tree::Tree;

/// How many states can still be proven.
const TREES_KEPT: usize = 60;

/// See the module's text.
pub struct Timeline {
    pub id: ChainId,
    headers: HeaderChain,
    /// The state under the app hash of each of the newest headers.
    trees: VecDeque<Tree>,
    logs: BTreeMap<ChainId, WrittenLog>,
    time: BlockTime,
}

impl Timeline {
    pub fn new(id: ChainId, seed: u8, genesis: BlockTime) -> Self {
        let headers = HeaderChain::new(id.as_str(), &[([seed; 32], 10)], unix(genesis)).unwrap();
        Self { id, headers, trees: VecDeque::new(), logs: BTreeMap::new(), time: genesis }
    }

    pub fn peer(&self, options: Options) -> Peer {
        Peer { root: self.headers.root().clone(), options }
    }

    pub fn height(&self) -> u64 {
        self.headers.height()
    }

    pub fn time(&self) -> BlockTime {
        self.time
    }

    /// Makes the next block's header, which carries the root of `state`. Times grow.
    pub fn header(&mut self, state: &Tree, time: BlockTime) -> (Height, BlockTime) {
        let BlockTime { secs, nanos } = self.time;
        let later = if nanos < 999_000_000 { (secs, nanos + 1_000_000) } else { (secs + 1, 0) };
        self.time = time.max(BlockTime::new(later.0, later.1).unwrap());
        let height = self.headers.make(state.root(), unix(self.time)).unwrap();
        self.trees.push_back(state.clone());
        if self.trees.len() > TREES_KEPT {
            self.trees.pop_front();
        }
        (Height::new(height), self.time)
    }

    /// Writes what a block appended to its logs.
    pub fn append(&mut self, entries: &[OutboundEntry]) {
        for entry in entries {
            let index = self.logs.entry(entry.destination.clone()).or_default().append(&entry.bytes).unwrap();
            assert_eq!(index, entry.index, "I4: entries are numbered without gaps");
        }
    }

    /// Writes entries that the chain's state knows nothing of, under a header whose root says that it does.
    pub fn lie(&mut self, state: &Tree, destination: &ChainId, entries: &[Vec<u8>], time: BlockTime) {
        let log = self.logs.entry(destination.clone()).or_default();
        for entry in entries {
            log.append(entry).unwrap();
        }
        let outbox = (key::outbox(destination), Some(log.frontier().to_bytes()));
        self.header(&state.apply(vec![outbox]).unwrap(), time);
    }

    pub fn log(&self, destination: &ChainId) -> &[Vec<u8>] {
        self.logs.get(destination).map_or(&[], WrittenLog::entries)
    }

    /// Heights that a delivery can be proven at.
    pub fn provable(&self) -> std::ops::RangeInclusive<u64> {
        let newest = self.height();
        newest.saturating_sub(self.trees.len() as u64) + 1..=newest
    }

    /// Entries from `from` on, for a reader that trusts `trusted`; `None` if nothing is proven to it at that height.
    pub fn delivery(
        &self,
        destination: &ChainId,
        from: u64,
        bytes_max: usize,
        height: u64,
        trusted: u64,
    ) -> Option<Delivery> {
        let place = usize::try_from(height.checked_sub(*self.provable().start())?).unwrap();
        let headers = header_update(&self.headers, height, trusted).into_iter().collect();
        let (tree, log) = (self.trees.get(place)?, self.logs.get(destination)?);
        assemble(&self.id, headers, height, tree, destination, log, from, bytes_max).unwrap()
    }

    /// The state under the app hash of the newest header.
    pub fn proven(&self) -> &Tree {
        self.trees.back().unwrap()
    }

    /// The newest header alone.
    pub fn newest_header(&self, trusted: u64) -> Option<Delivery> {
        let update = header_update(&self.headers, self.height(), trusted)?;
        Some(Delivery::of_headers(self.id.clone(), vec![update]))
    }

    /// The frontier of the log to a chain.
    pub fn frontier_bytes(&self, destination: &ChainId) -> Vec<u8> {
        self.logs.get(destination).map_or_else(Vec::new, |log| log.frontier().to_bytes())
    }
}

pub fn unix(time: BlockTime) -> UnixTime {
    UnixTime::new(i64::try_from(time.secs).unwrap(), time.nanos).unwrap()
}
