//! A connection to a network: its chains, and which of the shards holds what.

use std::sync::Arc;

use db3_genesis::{ChainEntry, NetworkFile};
use db3_primitives::{Address, Namespace, ShardId, ShardMap};
use db3_proto::v1;

use crate::chain::Chain;
use crate::error::ClientError;
use crate::mutation::MutationBuilder;
use crate::nonces::{HeldNonce, Nonces};
use crate::options::Options;
use crate::order::Lane;
use crate::window;
use crate::wire::{chain as chain_service, channel, timed};

/// A client of one network. It is cheap to share by reference, and every method may be called concurrently.
pub struct Client {
    network: NetworkFile,
    map: ShardMap,
    shards: Vec<Arc<Chain>>,
    settlement: Option<Arc<Chain>>,
    nonces: Nonces,
    options: Options,
}

impl Client {
    /// Connects to a network. Nothing is sent before the first call, except that `options.endpoint` is asked which
    /// chain it serves.
    pub async fn connect(mut network: NetworkFile, options: Options) -> Result<Self, ClientError> {
        if let Some(url) = &options.endpoint {
            override_endpoint(&mut network, url, &options).await?;
        }
        let map = network.shard_map()?;
        let shards = network
            .shards()
            .map(|entry| Chain::new(network.name.as_str(), network.kind, entry, &options).map(Arc::new));
        let shards = shards.collect::<Result<Vec<_>, _>>()?;
        let settlement = network.settlement();
        let settlement =
            settlement.map(|entry| Chain::new(network.name.as_str(), network.kind, entry, &options).map(Arc::new));
        let settlement = settlement.transpose()?;
        Ok(Self { map, shards, settlement, nonces: Nonces::default(), options, network })
    }

    /// The network file.
    #[must_use]
    pub fn network(&self) -> &NetworkFile {
        &self.network
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The shard that holds a namespace.
    #[must_use]
    pub fn shard_of(&self, namespace: &Namespace) -> ShardId {
        self.map.shard_of_namespace(namespace)
    }

    /// Begins a mutation of a namespace.
    pub fn mutation(&self, namespace: &str) -> MutationBuilder<'_> {
        MutationBuilder::new(self, namespace)
    }

    /// All shards in order.
    pub(crate) fn shards(&self) -> &[Arc<Chain>] {
        &self.shards
    }

    /// A shard by its number.
    pub(crate) fn shard(&self, shard: u32) -> Result<&Arc<Chain>, ClientError> {
        let index = usize::try_from(shard).unwrap_or(usize::MAX);
        self.shards.get(index).ok_or_else(|| {
            ClientError::input(
                format!("the network {} has no shard {shard}", self.network.name),
                format!("its shards are 0 to {}", self.shards.len().saturating_sub(1)),
            )
        })
    }

    /// The chain that holds a namespace.
    pub(crate) fn chain_of(&self, namespace: &Namespace) -> Result<Arc<Chain>, ClientError> {
        self.shard(self.shard_of(namespace).get()).cloned()
    }

    /// The chain that an order is for.
    pub(crate) fn chain_of_lane(&self, lane: &Lane) -> Result<Arc<Chain>, ClientError> {
        match lane {
            Lane::Namespace(namespace) => self.chain_of(namespace),
            Lane::Money => self.settlement().cloned(),
        }
    }

    /// The settlement chain.
    pub(crate) fn settlement(&self) -> Result<&Arc<Chain>, ClientError> {
        self.settlement.as_ref().ok_or_else(|| {
            ClientError::input(
                format!("the file of the network {} names no settlement chain", self.network.name),
                "add the network anew with `db3 network add FILE`, from a file that names all of its chains",
            )
        })
    }

    /// All chains: settlement, then the shards in order.
    pub(crate) fn chains(&self) -> impl Iterator<Item = &Arc<Chain>> {
        self.settlement.iter().chain(&self.shards)
    }

    /// Takes a nonce that no other sender of this client holds.
    pub(crate) async fn nonce(&self, account: Address, lane: &Lane) -> Result<HeldNonce, ClientError> {
        let chain = self.chain_of_lane(lane)?;
        self.nonces.lane(account, lane).take(|| window::told(&chain, &account, lane)).await
    }
}

/// Puts an address in the place of those of the chain that it serves.
async fn override_endpoint(network: &mut NetworkFile, url: &str, options: &Options) -> Result<(), ClientError> {
    let mut service = chain_service(channel(url)?);
    let asked =
        tokio::time::timeout(options.timeout, service.get_status(timed(v1::GetStatusRequest {}, options.timeout)));
    let unreachable = |detail: String| ClientError::Unreachable {
        chain_id: network.name.as_str().to_owned(),
        endpoint: url.to_owned(),
        detail,
    };
    let status = match asked.await {
        Ok(Ok(answer)) => answer.into_inner(),
        Ok(Err(status)) => return Err(unreachable(status.message().to_owned())),
        Err(_) => return Err(unreachable("no answer in time".to_owned())),
    };
    let served = |entry: &&mut ChainEntry| entry.chain_id.as_str() == status.chain_id;
    let Some(entry) = network.chains.iter_mut().find(served) else {
        return Err(ClientError::input(
            format!("{url} serves {}, which is no chain of the network {}", status.chain_id, network.name),
            "give the address of one of its nodes, or choose the network with --network",
        ));
    };
    entry.endpoints = vec![url.to_owned()];
    Ok(())
}
