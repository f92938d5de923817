//! What a good delivery brings, and what the reader's state becomes when it takes it, or the first part of it.

use db3_light_client::{LightClient, TrustRoot, UnixTime};
use db3_merkle_log::CompletedNode;

use crate::channel::{Channel, Leaf};

/// What a delivery brings. Nothing has happened until the leaves of [`advance`](Self::advance) are written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a delivery is applied by executing its entries and writing the leaves"]
pub enum Received<'d> {
    /// Entries to execute.
    Entries(NewEntries<'d>),
    /// Nothing but headers: the channel with them.
    Headers(Channel),
    /// Proof that the source has two headers at one height: the channel, frozen. The entries beside it do not count.
    Frozen(Channel),
}

/// The entries of a delivery that were not applied before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntries<'d> {
    before: Box<Channel>,
    client: LightClient,
    new: db3_merkle_log::Received<'d>,
}

/// The reader's state after a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advanced {
    /// The channel.
    pub channel: Channel,
    /// The leaves that change.
    pub leaves: Vec<Leaf>,
    /// The subtrees of the log that the entries completed, for the reader's node store.
    pub nodes: Vec<CompletedNode>,
}

impl<'d> Received<'d> {
    /// The entries to execute, in order; none with headers alone and where the channel froze.
    #[must_use]
    pub fn entries(&self) -> &'d [Vec<u8>] {
        match self {
            Self::Entries(new) => new.new.entries,
            Self::Headers(_) | Self::Frozen(_) => &[],
        }
    }

    /// Index of the first of them: the cursor before.
    #[must_use]
    pub fn first(&self) -> u64 {
        match self {
            Self::Entries(new) => new.new.first,
            Self::Headers(channel) | Self::Frozen(channel) => channel.cursor(),
        }
    }

    /// Time of the newest header that the source's light client trusts with this delivery.
    #[must_use]
    pub fn trusted_time(&self) -> UnixTime {
        match self {
            Self::Entries(new) => new.client.newest().map_or(new.before.peer().root.time(), |header| header.time),
            Self::Headers(channel) | Self::Frozen(channel) => channel.trusted_time(),
        }
    }

    /// Where trust in the source begins.
    #[must_use]
    pub fn root(&self) -> &TrustRoot {
        match self {
            Self::Entries(new) => &new.before.peer().root,
            Self::Headers(channel) | Self::Frozen(channel) => &channel.peer().root,
        }
    }

    /// Whether the channel froze.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        matches!(self, Self::Frozen(_))
    }

    /// The state after the first `taken` entries (all, if it names more). Fewer than all are taken where one of them stops the
    /// channel; that one counts as taken.
    #[must_use]
    pub fn advance(self, taken: usize) -> Advanced {
        match self {
            Self::Entries(new) => new.advance(taken),
            Self::Headers(channel) | Self::Frozen(channel) => {
                Advanced { leaves: vec![channel.client_leaf()], channel, nodes: Vec::new() }
            }
        }
    }
}

impl<'d> NewEntries<'d> {
    pub(crate) fn new(before: &Channel, client: LightClient, new: db3_merkle_log::Received<'d>) -> Self {
        Self { before: Box::new(before.clone()), client, new }
    }

    fn advance(self, taken: usize) -> Advanced {
        let Self { before, client, new } = self;
        let (inbox, nodes) = match new.entries.get(..taken) {
            Some(part) if part.len() < new.entries.len() => before.inbox.after(part),
            _ => (new.inbox, new.nodes),
        };
        let client_changed = client != before.client;
        let channel = Channel { client, inbox, ..*before };
        let mut leaves = vec![channel.inbox_leaf()];
        if client_changed {
            leaves.push(channel.client_leaf());
        }
        Advanced { channel, leaves, nodes }
    }
}
