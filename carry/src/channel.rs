//! The reading end of one chain's log: a light client of that chain and an inbox. It is what three leaves of the reader's state
//! say: `peer/<source>`, `client/<source>` and `inbox/<source>`; genesis writes all three.

use db3_light_client::{Conflict, LightClient, ResumeError, UnixTime};
use db3_merkle_log::{FrontierError, Inbox};
use db3_primitives::{ChainId, key};

use crate::peer::{Peer, PeerError};

/// A key of the state and its value.
pub type Leaf = (Vec<u8>, Vec<u8>);

/// What a chain keeps of another one that it hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    pub(crate) source: ChainId,
    pub(crate) peer: Peer,
    pub(crate) client: LightClient,
    pub(crate) inbox: Inbox,
}

/// Leaves that are no channel: the state is not one that this program wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// The leaf `peer/`.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// It is about another chain than its key says.
    #[error("the peer {found} stands under the key of {source_id}")]
    OtherChain {
        /// The chain of the key.
        source_id: ChainId,
        /// The chain of the value.
        found: ChainId,
    },
    /// A peer without one of the other two leaves.
    #[error("the state has a peer {source_id} and no leaf {leaf} for it")]
    Missing {
        /// The peer.
        source_id: ChainId,
        /// What its key begins with.
        leaf: &'static str,
    },
    /// The leaf `client/`.
    #[error("the light client of {source_id}: {error}")]
    Client {
        /// The peer.
        source_id: ChainId,
        /// What is wrong.
        error: ResumeError,
    },
    /// The leaf `inbox/`.
    #[error("the inbox of {source_id}: {error}")]
    Inbox {
        /// The peer.
        source_id: ChainId,
        /// What is wrong.
        error: FrontierError,
    },
}

impl Channel {
    /// A channel through which nothing has come yet.
    pub fn new(peer: Peer) -> Result<Self, PeerError> {
        let client = LightClient::from_root(peer.root.clone(), peer.options);
        Ok(Self { source: peer.chain_id()?, peer, client, inbox: Inbox::new() })
    }

    /// A channel that begins anew: with another root, and with this much of the source's log applied.
    pub fn resumed(peer: Peer, inbox: Inbox) -> Result<Self, PeerError> {
        Ok(Self { inbox, ..Self::new(peer)? })
    }

    /// Reads the channel of a source with the state's `get`; none, where the chain does not hear that one.
    pub fn load<'t>(get: impl Fn(&[u8]) -> Option<&'t [u8]>, source: &ChainId) -> Result<Option<Self>, ChannelError> {
        let Some(bytes) = get(&key::peer(source)) else { return Ok(None) };
        let peer = Peer::from_bytes(bytes)?;
        let found = peer.chain_id()?;
        if found != *source {
            return Err(ChannelError::OtherChain { source_id: source.clone(), found });
        }
        let missing = |leaf| ChannelError::Missing { source_id: source.clone(), leaf };
        let client = get(&key::client(source)).ok_or_else(|| missing("client/"))?;
        let client = LightClient::resume(peer.root.clone(), peer.options, client)
            .map_err(|error| ChannelError::Client { source_id: source.clone(), error })?;
        let inbox = get(&key::inbox(source)).ok_or_else(|| missing("inbox/"))?;
        let inbox =
            Inbox::from_bytes(inbox).map_err(|error| ChannelError::Inbox { source_id: source.clone(), error })?;
        Ok(Some(Self { source: source.clone(), peer, client, inbox }))
    }

    /// All three leaves, as genesis writes them.
    #[must_use]
    pub fn leaves(&self) -> Vec<Leaf> {
        vec![(key::peer(&self.source), self.peer.to_bytes()), self.client_leaf(), self.inbox_leaf()]
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

    /// Whether headers alone are welcome: the newest trusted one is at least a third of the trusting period old. Never, where
    /// trust does not expire.
    #[must_use]
    pub fn headers_due(&self, now: UnixTime) -> bool {
        let period = self.peer.options.trusting_period_secs();
        let age = now.saturating_since(self.trusted_time()).as_secs();
        period != u64::MAX && age >= period.div_euclid(3)
    }

    pub(crate) fn client_leaf(&self) -> Leaf {
        (key::client(&self.source), self.client.to_bytes())
    }

    pub(crate) fn inbox_leaf(&self) -> Leaf {
        (key::inbox(&self.source), self.inbox.to_bytes())
    }
}
