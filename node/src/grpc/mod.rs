//! The service that every chain has, `ChainService`, and the parts that the services of each kind are made of: the
//! version that a read sees, pages and their tokens, refusals, receipts, waiting.
//!
//! Nothing here decides anything about state. A method reads its request, asks the chain, and says what it answered.

mod blocks;
mod chain_service;
mod context;
mod follow;
mod governance;
mod inbox;
mod light_blocks;
mod outbox;
mod pages;
mod peers;
mod receipts;
mod refusal;
mod status;
mod subscribe;
mod token;
mod watch_receipts;
mod writes;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use db3_chain::store::Store;
use db3_chain::{Chain, StoreError};
use db3_primitives::{ChainId, Rejection};
use db3_relay::Monitor;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tonic::metadata::MetadataMap;

use crate::deadline;
use crate::kind::Kind;
use crate::settings::{ChainEndpoints, ServeConfig, ServeLimits};
use light_blocks::Newest;
use peers::Peers;

pub use context::View;
pub use pages::{Ask, Page, PageFrame};
pub use receipts::Fate;
pub use refusal::{Refusal, answer, named};
pub use token::{PageToken, Question};
pub use writes::{Wait, encode};

/// What every method works with. A clone is a handful of pointers.
#[derive(Clone)]
pub struct Node<K: Kind> {
    chain: Chain<K::Machine>,
    chain_id: Arc<str>,
    limits: Arc<ServeLimits>,
    endpoints: Arc<[ChainEndpoints]>,
    streams: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    history_reads: Arc<Semaphore>,
    deliverers: Peers,
    relay: Option<Monitor>,
    stopped: watch::Receiver<bool>,
    newest: Arc<ArcSwapOption<Newest>>,
}

impl<K: Kind> Node<K> {
    /// Serves this chain; `stopped` turns true when streams are to end.
    #[must_use]
    pub fn new(chain: Chain<K::Machine>, config: &ServeConfig, stopped: watch::Receiver<bool>) -> Self {
        Self {
            chain_id: chain.chain_id().into(),
            chain,
            limits: Arc::new(config.limits.clone()),
            endpoints: config.endpoints.clone().into(),
            streams: Arc::new(Semaphore::new(config.limits.streams_max)),
            reads: Arc::new(Semaphore::new(config.limits.reads_max)),
            history_reads: Arc::new(Semaphore::new(config.limits.history_reads_max)),
            deliverers: Peers::default(),
            relay: config.relay.clone(),
            stopped,
            newest: Arc::default(),
        }
    }

    /// The chain.
    #[must_use]
    pub fn chain(&self) -> &Chain<K::Machine> {
        &self.chain
    }

    /// The server's bounds.
    #[must_use]
    pub fn limits(&self) -> &ServeLimits {
        &self.limits
    }

    /// When the answer to a call with these headers must be ready.
    #[must_use]
    pub fn deadline(&self, metadata: &MetadataMap) -> Instant {
        deadline::deadline(metadata, self.limits.call_time_max)
    }

    /// A place for one more stream.
    pub fn stream_place(&self) -> Result<OwnedSemaphorePermit, Rejection> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| Rejection::Overloaded { what: "streams at once" })
    }

    /// Ends when the server is told to stop.
    pub async fn told(&self) {
        told(&mut self.stopped.clone()).await;
    }

    /// Reads the chain's files on a thread that may block, if there is a place for one more read.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let place = Arc::clone(&self.reads).try_acquire_owned();
        let place = place.map_err(|_| Rejection::Overloaded { what: "reads of the node's files at once" })?;
        self.read_at(place, read).await
    }

    /// Reads for a stream, which waits for its place: no more wait than there are streams.
    async fn read_in_turn<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let place = Arc::clone(&self.reads).acquire_owned().await.map_err(|_| Refusal::Lost)?;
        self.read_at(place, read).await
    }

    async fn read_at<T: Send + 'static>(
        &self,
        place: OwnedSemaphorePermit,
        read: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let chain = self.chain.clone();
        let job = move || {
            let result = read(chain.store());
            // Held by the reading itself: a caller who went away does not make room before it has ended.
            drop(place);
            result
        };
        match tokio::task::spawn_blocking(job).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(Refusal::Lost),
        }
    }

    fn endpoints_of(&self, chain_id: &ChainId) -> Vec<String> {
        let known = self.endpoints.iter().find(|known| known.chain_id == *chain_id);
        known.map(|known| known.endpoints.clone()).unwrap_or_default()
    }
}

/// Ends when the server is told to stop.
async fn told(stopped: &mut watch::Receiver<bool>) {
    // A sender that is gone has stopped as well.
    let _ = stopped.wait_for(|stop| *stop).await;
}
