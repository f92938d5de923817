//! Two made-up shards that write for a settlement chain, and the reader's state as a map of leaves.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;

use db3_carry::build::Source;
use db3_carry::{Advanced, Channel, Delivery};
use db3_light_client::{Options, UnixTime};
use db3_primitives::{ChainId, Rejection};

pub const GENESIS_SECS: i64 = 1_700_000_000;

pub fn chain(name: &str) -> ChainId {
    ChainId::parse(name).unwrap()
}

pub fn shard() -> ChainId {
    chain("test-shard-0")
}

pub fn reader() -> ChainId {
    chain("test-settlement")
}

/// So many seconds after genesis.
pub fn at(secs: i64) -> UnixTime {
    UnixTime::new(GENESIS_SECS + secs, 0).unwrap()
}

/// Seeds `from` to `to` with power 10 each.
pub fn seeds(from: u8, to: u8) -> Vec<([u8; 32], u64)> {
    (from..to).map(|seed| ([seed + 1; 32], 10)).collect()
}

pub fn source_named(name: &str) -> Source {
    Source::new(chain(name), &seeds(0, 4), at(0)).unwrap()
}

pub fn source() -> Source {
    source_named("test-shard-0")
}

pub fn entry(index: usize) -> Vec<u8> {
    format!("entry number {index}").into_bytes()
}

/// A source with so many entries for the reader, proven by its first header.
pub fn source_with(entries: usize) -> Source {
    let mut source = source();
    for index in 0..entries {
        source.append(&reader(), &entry(index)).unwrap();
    }
    source.block(at(10)).unwrap();
    source
}

/// What a chain that hears the source keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    pub leaves: BTreeMap<Vec<u8>, Vec<u8>>,
    pub read: Vec<Vec<u8>>,
}

impl Reader {
    pub fn of(source: &Source, options: Options) -> Self {
        let channel = Channel::new(source.peer(options)).unwrap();
        Self { leaves: channel.leaves().into_iter().collect(), read: Vec::new() }
    }

    pub fn new(source: &Source) -> Self {
        Self::of(source, Options::never_expires())
    }

    pub fn channel_of(&self, source: &ChainId) -> Option<Channel> {
        Channel::load(|key| self.leaves.get(key).map(Vec::as_slice), source).unwrap()
    }

    pub fn channel(&self) -> Channel {
        self.channel_of(&shard()).unwrap()
    }

    /// Takes all that a delivery brings, from whichever source it names.
    pub fn take(&mut self, delivery: &Delivery, now: UnixTime) -> Result<Advanced, Rejection> {
        self.take_part(delivery, now, usize::MAX)
    }

    pub fn take_part(&mut self, delivery: &Delivery, now: UnixTime, most: usize) -> Result<Advanced, Rejection> {
        let channel = self.channel();
        let received = channel.receive(&reader(), delivery, now)?;
        assert_eq!(received.first(), channel.cursor());
        let taken = received.entries().len().min(most);
        self.read.extend_from_slice(&received.entries()[..taken]);
        let advanced = received.advance(taken);
        assert_eq!(advanced.channel.cursor(), channel.cursor() + taken as u64);
        self.leaves.extend(advanced.leaves.clone());
        assert_eq!(self.channel(), advanced.channel);
        Ok(advanced)
    }
}
