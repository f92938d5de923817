//! `SettlementService`: reads the deadline, calls the method, and turns what it says into an answer or a status.

use db3_node::grpc::{Refusal, answer};
use db3_proto::v1;
use db3_proto::v1::settlement_service_server::SettlementService;
use tonic::{Request, Response, Status};

use super::SettlementNode;

#[tonic::async_trait]
impl SettlementService for SettlementNode {
    async fn submit_transaction(
        &self,
        request: Request<v1::SubmitTransactionRequest>,
    ) -> Result<Response<v1::SubmitTransactionResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        let submitted = self.submit_transaction(request.into_inner(), deadline).await;
        answer(submitted.map_err(Refusal::of_transaction))
    }

    async fn estimate_transaction_fee(
        &self,
        request: Request<v1::EstimateTransactionFeeRequest>,
    ) -> Result<Response<v1::EstimateTransactionFeeResponse>, Status> {
        answer(
            self.estimate_transaction_fee(request.into_inner()).map_err(|error| Refusal::from(error).of_transaction()),
        )
    }

    async fn get_account(
        &self,
        request: Request<v1::GetAccountRequest>,
    ) -> Result<Response<v1::GetAccountResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.get_account(request.into_inner(), deadline).await)
    }

    async fn get_settlement(
        &self,
        request: Request<v1::GetSettlementRequest>,
    ) -> Result<Response<v1::GetSettlementResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.get_settlement(request.into_inner(), deadline).await)
    }

    async fn list_settlements(
        &self,
        request: Request<v1::ListSettlementsRequest>,
    ) -> Result<Response<v1::ListSettlementsResponse>, Status> {
        answer(self.list_settlements(request.into_inner()).await)
    }

    async fn get_statement(
        &self,
        request: Request<v1::GetStatementRequest>,
    ) -> Result<Response<v1::GetStatementResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.get_statement(request.into_inner(), deadline).await)
    }

    async fn list_statements(
        &self,
        request: Request<v1::ListStatementsRequest>,
    ) -> Result<Response<v1::ListStatementsResponse>, Status> {
        answer(self.list_statements(request.into_inner()).await)
    }

    async fn list_closes(
        &self,
        request: Request<v1::ListClosesRequest>,
    ) -> Result<Response<v1::ListClosesResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.list_closes(request.into_inner(), deadline).await)
    }

    async fn list_shards(
        &self,
        request: Request<v1::ListShardsRequest>,
    ) -> Result<Response<v1::ListShardsResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.list_shards(request.into_inner(), deadline).await)
    }

    async fn list_transactions(
        &self,
        request: Request<v1::ListTransactionsRequest>,
    ) -> Result<Response<v1::ListTransactionsResponse>, Status> {
        answer(self.list_transactions(request.into_inner()).await)
    }

    async fn get_round(&self, request: Request<v1::GetRoundRequest>) -> Result<Response<v1::GetRoundResponse>, Status> {
        let deadline = self.node.deadline(request.metadata());
        answer(self.get_round(request.into_inner(), deadline).await)
    }
}
