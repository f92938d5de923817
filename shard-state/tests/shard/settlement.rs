//! A settlement chain that says what a test wants, with real headers and proofs.

use db3_carry::build::Source;
use db3_carry::{Delivery, HeaderUpdate, Peer};
use db3_light_client::build::HeaderChain;
use db3_light_client::{Options, UnixTime};
use db3_primitives::{ChainId, CreditEntry, NetworkName};
use db3_shard_state::Effects;

use crate::support::{Chain, Genesis, START_SECS};

/// As many bytes as there are.
pub const ALL: usize = usize::MAX;
/// Its only validator.
const SEED: [u8; 32] = [200; 32];

/// See the module's text.
#[derive(Clone)]
pub struct Settlement {
    source: Source,
    pub shard: ChainId,
    pub time: u64,
}

/// How a shard's genesis names it.
pub fn settlement_peer(network: &NetworkName) -> Peer {
    source(network).peer(Options::never_expires())
}

fn source(network: &NetworkName) -> Source {
    Source::new(ChainId::settlement(network), &[(SEED, 1)], unix(START_SECS)).unwrap()
}

fn unix(secs: u64) -> UnixTime {
    UnixTime::new(i64::try_from(secs).unwrap(), 0).unwrap()
}

impl Settlement {
    /// The one that a shard with this genesis hears.
    pub fn of(genesis: &Genesis) -> Self {
        Self {
            source: source(&genesis.network),
            shard: ChainId::shard(&genesis.network, genesis.shard),
            time: START_SECS,
        }
    }

    /// Writes entries and the block whose header proves them.
    pub fn says(&mut self, entries: &[CreditEntry]) {
        for entry in entries {
            self.writes(&entry.to_bytes());
        }
        self.block();
    }

    /// Writes any bytes.
    pub fn writes(&mut self, entry: &[u8]) {
        self.source.append(&self.shard, entry).unwrap();
    }

    /// Makes a block. Its time grows, as every header's does.
    pub fn block(&mut self) {
        let nanos = u32::try_from(self.source.headers().height()).unwrap();
        let time = UnixTime::new(i64::try_from(self.time).unwrap(), nanos).unwrap();
        self.source.block(time).unwrap();
    }

    /// What a relayer would bring this shard now.
    pub fn tells(&self, chain: &Chain, bytes_max: usize) -> Delivery {
        let channel = chain.state.channel(self.source.chain_id()).unwrap();
        self.from(channel.cursor(), channel.trusted_height(), bytes_max)
    }

    /// Entries from an index on, for a reader that trusts the header of this height.
    pub fn from(&self, cursor: u64, trusted_height: u64, bytes_max: usize) -> Delivery {
        self.source.delivery(&self.shard, cursor, bytes_max, trusted_height).unwrap()
    }

    /// All that it ever wrote to this shard.
    pub fn entries(&self) -> Vec<Vec<u8>> {
        self.source.log(&self.shard).map_or_else(Vec::new, |log| log.entries().to_vec())
    }

    /// Its headers.
    pub fn headers_of(&self) -> &HeaderChain {
        self.source.headers()
    }

    /// The newest header.
    pub fn headers(&self) -> Vec<HeaderUpdate> {
        let headers = self.source.headers();
        db3_carry::build::header_update(headers, headers.height(), 0).into_iter().collect()
    }
}

impl Chain {
    /// A block, at the same time, with one delivery that must be good.
    pub fn hear(&mut self, delivery: &Delivery) -> Effects {
        self.block_with(0, std::slice::from_ref(delivery), &[])
    }
}
