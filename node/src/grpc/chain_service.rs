//! `ChainService`: reads the deadline, calls the method, and turns what it says into an answer or a status.

use std::net::{IpAddr, Ipv4Addr};

use db3_proto::v1;
use db3_proto::v1::chain_service_server::ChainService;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::Node;
use super::refusal::{Refusal, answer};
use crate::kind::Kind;

#[tonic::async_trait]
impl<K: Kind> ChainService for Node<K> {
    type WatchReceiptsStream = ReceiverStream<Result<v1::WatchReceiptsResponse, Status>>;
    type SubscribeStream = ReceiverStream<Result<v1::SubscribeResponse, Status>>;

    async fn get_status(
        &self,
        _request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        answer(self.get_status().await)
    }

    async fn get_params(
        &self,
        request: Request<v1::GetParamsRequest>,
    ) -> Result<Response<v1::GetParamsResponse>, Status> {
        let deadline = self.deadline(request.metadata());
        answer(self.get_params(request.into_inner(), deadline).await)
    }

    async fn get_shard_map(
        &self,
        _request: Request<v1::GetShardMapRequest>,
    ) -> Result<Response<v1::GetShardMapResponse>, Status> {
        Ok(Response::new(self.get_shard_map()))
    }

    async fn get_light_block(
        &self,
        request: Request<v1::GetLightBlockRequest>,
    ) -> Result<Response<v1::GetLightBlockResponse>, Status> {
        answer(self.get_light_block(request.into_inner()).await)
    }

    async fn get_receipt(
        &self,
        request: Request<v1::GetReceiptRequest>,
    ) -> Result<Response<v1::GetReceiptResponse>, Status> {
        answer(self.get_receipt(request.into_inner()).await)
    }

    async fn watch_receipts(
        &self,
        request: Request<v1::WatchReceiptsRequest>,
    ) -> Result<Response<Self::WatchReceiptsStream>, Status> {
        let place = self.stream_place().map_err(Refusal::from)?;
        answer(self.watch_receipts(&request.into_inner(), place).map(ReceiverStream::new))
    }

    async fn get_block(&self, request: Request<v1::GetBlockRequest>) -> Result<Response<v1::GetBlockResponse>, Status> {
        answer(self.get_block(request.into_inner()).await)
    }

    async fn list_blocks(
        &self,
        request: Request<v1::ListBlocksRequest>,
    ) -> Result<Response<v1::ListBlocksResponse>, Status> {
        answer(self.list_blocks(request.into_inner()).await)
    }

    async fn subscribe(
        &self,
        request: Request<v1::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let place = self.stream_place().map_err(Refusal::from)?;
        answer(self.subscribe(request.into_inner(), place).map(ReceiverStream::new))
    }

    async fn list_outbox(
        &self,
        request: Request<v1::ListOutboxRequest>,
    ) -> Result<Response<v1::ListOutboxResponse>, Status> {
        let deadline = self.deadline(request.metadata());
        answer(self.list_outbox(request.into_inner(), deadline).await)
    }

    async fn submit_delivery(
        &self,
        request: Request<v1::SubmitDeliveryRequest>,
    ) -> Result<Response<v1::SubmitDeliveryResponse>, Status> {
        let deadline = self.deadline(request.metadata());
        let peer = request.remote_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        let bearer = self.bearer(request.metadata());
        answer(self.submit_delivery(request.into_inner(), bearer, peer, deadline).await)
    }

    async fn get_inbox(&self, request: Request<v1::GetInboxRequest>) -> Result<Response<v1::GetInboxResponse>, Status> {
        let deadline = self.deadline(request.metadata());
        answer(self.get_inbox(request.into_inner(), deadline).await)
    }

    async fn submit_governance(
        &self,
        request: Request<v1::SubmitGovernanceRequest>,
    ) -> Result<Response<v1::SubmitGovernanceResponse>, Status> {
        let deadline = self.deadline(request.metadata());
        answer(self.submit_governance(request.into_inner(), deadline).await)
    }

    async fn get_governance(
        &self,
        request: Request<v1::GetGovernanceRequest>,
    ) -> Result<Response<v1::GetGovernanceResponse>, Status> {
        let deadline = self.deadline(request.metadata());
        answer(self.get_governance(request.into_inner(), deadline).await)
    }
}
