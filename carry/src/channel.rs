//! The reading end of one chain's log: a light client of that chain and an inbox.

use db3_light_client::{Conflict, LightClient, UnixTime};
use db3_merkle_log::Inbox;
use db3_primitives::ChainId;

use crate::peer::{Peer, PeerError};

/// What a chain keeps of another one that it hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    source: ChainId,
    peer: Peer,
    client: LightClient,
    inbox: Inbox,
}

impl Channel {
    /// A channel through which nothing has come yet.
    pub fn new(peer: Peer) -> Result<Self, PeerError> {
        let client = LightClient::from_root(peer.root.clone(), peer.options);
        Ok(Self { source: peer.chain_id()?, peer, client, inbox: Inbox::new() })
    }

    /// The chain that it hears.
    #[must_use]
    pub fn source(&self) -> &ChainId {
        &self.source
    }

    /// Where trust in that chain begins.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The light client of that chain.
    #[must_use]
    pub fn client(&self) -> &LightClient {
        &self.client
    }

    /// What was applied.
    #[must_use]
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// The next index to apply.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        self.inbox.cursor()
    }

    /// Height of the newest trusted header, or that of the root.
    #[must_use]
    pub fn trusted_height(&self) -> u64 {
        self.client.newest_height()
    }

    /// Time of the newest trusted header, or that of the root.
    #[must_use]
    pub fn trusted_time(&self) -> UnixTime {
        self.client.newest().map_or(self.peer.root.time(), |header| header.time)
    }

    /// Two headers at one height, both verified, if that was ever seen: nothing is accepted any more.
    #[must_use]
    pub fn frozen(&self) -> Option<Conflict> {
        self.client.frozen()
    }
}
