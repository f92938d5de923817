//! `SubmitTransaction` and `EstimateTransactionFee`.

use db3_node::grpc::{Refusal, Wait};
use db3_primitives::{Rejection, transaction_id, transaction_upper_bound};
use db3_proto::convert::request::invalid;
use db3_proto::convert::{charge_message, charges_message};
use db3_proto::status::to_message;
use db3_proto::{decode_transaction_body, decode_transaction_envelope, envelope_bytes, v1};
use tokio::time::Instant;

use super::SettlementNode;

impl SettlementNode {
    pub(super) async fn submit_transaction(
        &self,
        request: v1::SubmitTransactionRequest,
        deadline: Instant,
    ) -> Result<v1::SubmitTransactionResponse, Refusal> {
        let wait = Wait::read(request.wait)?;
        let missing = || invalid("transaction", "is missing; send a signed envelope");
        let envelope = request.transaction.ok_or_else(missing)?;
        let (id, receipt) = self.node.submit(&envelope, &transaction_id(&envelope.body), wait, deadline).await?;
        Ok(v1::SubmitTransactionResponse { id, receipt: Some(receipt) })
    }

    pub(super) fn estimate_transaction_fee(
        &self,
        request: v1::EstimateTransactionFeeRequest,
    ) -> Result<v1::EstimateTransactionFeeResponse, Rejection> {
        use v1::estimate_transaction_fee_request::Subject;
        let (transaction, bytes) = match request.subject {
            Some(Subject::Body(body)) => {
                (decode_transaction_body(&body)?, u32::try_from(envelope_bytes(body.len())).unwrap_or(u32::MAX))
            }
            Some(Subject::Transaction(envelope)) => {
                let signed = decode_transaction_envelope(envelope)?;
                (signed.content, signed.bytes)
            }
            None => return Err(invalid("subject", "is missing; send a body or a signed transaction")),
        };
        let version = self.node.chain().committed();
        let state = &version.state;
        let estimate = state.estimate(&transaction, bytes)?;
        let prices = &state.chain().prices;
        Ok(v1::EstimateTransactionFeeResponse {
            fee_tai: estimate.fee.to_string(),
            bound_tai: estimate.bound.to_string(),
            charges: estimate.charges.iter().map(charge_message).collect(),
            bound_charges: charges_message(prices, &transaction_upper_bound(&transaction, bytes)),
            price_version: prices.version,
            height: version.height.get(),
            rejection: estimate.failure.map(|rejection| to_message(&rejection, None)),
        })
    }
}
