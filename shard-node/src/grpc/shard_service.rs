//! `ShardService`: reads the deadline, calls the method, and turns what it says into an answer or a status.

use db3_node::grpc::answer;
use db3_proto::v1;
use db3_proto::v1::shard_service_server::ShardService;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::ShardNode;

#[tonic::async_trait]
impl ShardService for ShardNode {
    type StreamMutationsStream = ReceiverStream<Result<v1::StreamMutationsResponse, Status>>;

    async fn submit_mutation(
        &self,
        request: Request<v1::SubmitMutationRequest>,
    ) -> Result<Response<v1::SubmitMutationResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.submit_mutation(request.into_inner(), deadline).await)
    }

    async fn batch_submit_mutations(
        &self,
        request: Request<v1::BatchSubmitMutationsRequest>,
    ) -> Result<Response<v1::BatchSubmitMutationsResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.batch_submit_mutations(request.into_inner(), deadline).await)
    }

    async fn stream_mutations(
        &self,
        request: Request<Streaming<v1::StreamMutationsRequest>>,
    ) -> Result<Response<Self::StreamMutationsStream>, Status> {
        let place = self.node.stream_place();
        answer(place.map(|place| ReceiverStream::new(self.stream_mutations(request.into_inner(), place))))
    }

    async fn estimate_fee(
        &self,
        request: Request<v1::EstimateFeeRequest>,
    ) -> Result<Response<v1::EstimateFeeResponse>, Status> {
        answer(self.estimate_fee(request.into_inner()))
    }

    async fn get_nonce_window(
        &self,
        request: Request<v1::GetNonceWindowRequest>,
    ) -> Result<Response<v1::GetNonceWindowResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.get_nonce_window(request.into_inner(), deadline).await)
    }

    async fn get_record(
        &self,
        request: Request<v1::GetRecordRequest>,
    ) -> Result<Response<v1::GetRecordResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.get_record(request.into_inner(), deadline).await)
    }

    async fn batch_get_records(
        &self,
        request: Request<v1::BatchGetRecordsRequest>,
    ) -> Result<Response<v1::BatchGetRecordsResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.batch_get_records(request.into_inner(), deadline).await)
    }

    async fn scan_records(
        &self,
        request: Request<v1::ScanRecordsRequest>,
    ) -> Result<Response<v1::ScanRecordsResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.scan_records(request.into_inner(), deadline).await)
    }

    async fn get_namespace(
        &self,
        request: Request<v1::GetNamespaceRequest>,
    ) -> Result<Response<v1::GetNamespaceResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.get_namespace(request.into_inner(), deadline).await)
    }

    async fn list_namespaces(
        &self,
        request: Request<v1::ListNamespacesRequest>,
    ) -> Result<Response<v1::ListNamespacesResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.list_namespaces(request.into_inner(), deadline).await)
    }

    async fn list_tables(
        &self,
        request: Request<v1::ListTablesRequest>,
    ) -> Result<Response<v1::ListTablesResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.list_tables(request.into_inner(), deadline).await)
    }

    async fn get_credit_line(
        &self,
        request: Request<v1::GetCreditLineRequest>,
    ) -> Result<Response<v1::GetCreditLineResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.get_credit_line(request.into_inner(), deadline).await)
    }

    async fn get_bill(&self, request: Request<v1::GetBillRequest>) -> Result<Response<v1::GetBillResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.get_bill(request.into_inner(), deadline).await)
    }

    async fn list_bills(
        &self,
        request: Request<v1::ListBillsRequest>,
    ) -> Result<Response<v1::ListBillsResponse>, Status> {
        answer(self.list_bills(request.into_inner()).await)
    }

    async fn get_epoch(&self, request: Request<v1::GetEpochRequest>) -> Result<Response<v1::GetEpochResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.get_epoch(request.into_inner(), deadline).await)
    }

    async fn list_epochs(
        &self,
        request: Request<v1::ListEpochsRequest>,
    ) -> Result<Response<v1::ListEpochsResponse>, Status> {
        answer(self.list_epochs(request.into_inner()).await)
    }
}
