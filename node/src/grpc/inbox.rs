//! `GetInbox` and `SubmitDelivery`: what this chain has heard from others, and more of it.

use std::net::IpAddr;

use bytes::Bytes;
use db3_carry::Channel;
use db3_chain::{Bearer, Machine as _};
use db3_primitives::{ChainId, Height, Rejection, ShardFault, key};
use db3_proto::convert::request::invalid;
use db3_proto::{decode_delivery_message, delivery_id, v1};
use db3_relay::PASS_KEY;
use tokio::time::Instant;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};

use super::Node;
use super::context::View;
use super::refusal::{Refusal, chain_id};
use super::writes::Wait;
use crate::kind::Kind;

impl<K: Kind> Node<K> {
    /// Who makes a call: the relay of this node, which shows its word, or anybody.
    pub(crate) fn bearer(&self, metadata: &MetadataMap) -> Bearer {
        let shown = metadata.get(PASS_KEY).map(AsciiMetadataValue::as_bytes).unwrap_or_default();
        let own = self.chain.genesis().chain_id();
        match &self.relay {
            Some(relay) if relay.shows(own, shown) => Bearer::Own,
            Some(_) | None => Bearer::Stranger,
        }
    }

    pub(crate) async fn get_inbox(
        &self,
        request: v1::GetInboxRequest,
        deadline: Instant,
    ) -> Result<v1::GetInboxResponse, Refusal> {
        let view = self.view(request.read, None, deadline).await?;
        let sources = match request.source.as_str() {
            "" => sources(&view),
            name => vec![chain_id("source", name)?],
        };
        let inboxes = sources.iter().map(|source| inbox(&view, source)).collect::<Result<Vec<_>, _>>()?;
        Ok(v1::GetInboxResponse { inboxes, context: Some(view.context()) })
    }

    pub(crate) async fn submit_delivery(
        &self,
        request: v1::SubmitDeliveryRequest,
        bearer: Bearer,
        peer: IpAddr,
        deadline: Instant,
    ) -> Result<v1::SubmitDeliveryResponse, Refusal> {
        let wait = Wait::read(request.wait)?;
        let place = match bearer {
            Bearer::Own => None,
            Bearer::Stranger => Some(self.deliverers.place(peer, std::time::Instant::now())?),
        };
        let message = request.delivery.ok_or_else(|| invalid("delivery", "is missing; send a delivery"))?;
        let delivery = decode_delivery_message(message)?;
        let id = delivery_id(&delivery);
        let source = delivery.source.clone();
        let submitted = self.chain.submit_delivery_of(bearer, delivery).await.map_err(|error| error.rejection());
        // It is looked at; waiting for its block costs nothing.
        if let Some(place) = place {
            place.looked_at(submitted.as_ref().err(), std::time::Instant::now());
        }
        let submitted = submitted?;
        let height = match wait {
            Wait::Checked => None,
            Wait::Committed | Wait::Provable => submitted.block(deadline).await?,
        };
        if let (Wait::Provable, Some(height)) = (wait, height) {
            // A deadline that passes now changes nothing of what the block holds.
            let _ = self.chain.wait_height(height, deadline).await;
        }
        let committed = self.chain.committed();
        let channel = K::Machine::channel(&committed.state, &source);
        Ok(v1::SubmitDeliveryResponse {
            id: Bytes::copy_from_slice(id.as_bytes()),
            cursor: channel.map_or(0, |channel| channel.cursor()),
            height: height.map_or(0, Height::get),
        })
    }
}

/// The chains that this one hears, in order of identifier.
pub fn sources<K: Kind>(view: &View<K>) -> Vec<ChainId> {
    let prefix = key::peer_prefix();
    view.tree().prefix(&prefix).filter_map(|(leaf, _)| key::split_peer(leaf)).collect()
}

fn inbox<K: Kind>(view: &View<K>, source: &ChainId) -> Result<v1::Inbox, Rejection> {
    let channel = K::Machine::channel(view.state(), source)
        .ok_or_else(|| Rejection::ChainUnknown { chain_id: source.clone() })?;
    let outbox_size = K::Machine::outbox(view.state(), source).map_or(0, |log| log.size());
    let frozen = frozen(view, &channel);
    let is_frozen = frozen.is_some();
    let (fault_code, frozen_reason) = frozen.unwrap_or_default();
    let time = channel.trusted_time();
    let tree_key = key::inbox(source);
    Ok(v1::Inbox {
        source: source.as_str().to_owned(),
        cursor: channel.cursor(),
        trusted_height: channel.trusted_height(),
        trusted_time: Some(prost_types::Timestamp {
            seconds: time.secs(),
            nanos: i32::try_from(time.nanos()).unwrap_or_default(),
        }),
        trusted_hash: channel
            .client()
            .newest()
            .map_or_else(Bytes::new, |header| Bytes::copy_from_slice(&header.header_hash)),
        trusting_period_secs: channel.peer().options.trusting_period_secs(),
        frozen: is_frozen,
        frozen_reason,
        fault_code,
        outbox_size,
        stored: view.stored(&tree_key),
        ics23_proof: view.proof_of(&tree_key),
    })
}

/// Why nothing is accepted from a source any more: the number of its fault and a sentence.
fn frozen<K: Kind>(view: &View<K>, channel: &Channel) -> Option<(u32, String)> {
    if let Some(conflict) = channel.frozen() {
        let text =
            format!("its headers conflict at height {}; governance must replace its validators", conflict.height);
        return Some((u32::from(ShardFault::HeaderConflict.number()), text));
    }
    K::fault(view.state(), channel.source())
}
