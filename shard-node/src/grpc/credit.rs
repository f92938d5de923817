//! `GetCreditLine`, `GetNonceWindow` and `EstimateFee`: what an account may do, and what it would cost.

use db3_node::grpc::{Refusal, named};
use db3_primitives::{Namespace, Rejection, key, upper_bound};
use db3_proto::convert::request::{account, invalid};
use db3_proto::convert::{charge_message, charges_message, credit_line_message, window_message};
use db3_proto::status::to_message;
use db3_proto::{decode_body, decode_envelope, envelope_bytes, v1};
use tokio::time::Instant;

use super::ShardNode;

impl ShardNode {
    pub(super) async fn get_credit_line(
        &self,
        request: v1::GetCreditLineRequest,
        deadline: Instant,
    ) -> Result<v1::GetCreditLineResponse, Rejection> {
        let account = account("account", &request.account)?;
        let view = self.node.view(request.read, None, deadline).await?;
        let state = view.state();
        let chain = state.chain();
        let leaf = state.account(&account);
        let line = v1::CreditLine {
            ics23_proof: view.proof_of(&key::account(&account)),
            context: Some(view.context()),
            ..credit_line_message(&account, chain.shard, leaf.as_ref(), chain.lease_epoch)
        };
        Ok(v1::GetCreditLineResponse { line: Some(line) })
    }

    pub(super) async fn get_nonce_window(
        &self,
        request: v1::GetNonceWindowRequest,
        deadline: Instant,
    ) -> Result<v1::GetNonceWindowResponse, Refusal> {
        let account = account("account", &request.account)?;
        let namespace: Namespace = named("namespace", &request.namespace)?;
        let view = self.node.view(request.read, None, deadline).await?;
        self.check_shard(view.state(), &namespace)?;
        let tree_key = key::window(&account, &namespace);
        let window = view.state().window(&account, &namespace);
        Ok(v1::GetNonceWindowResponse {
            window: Some(window_message(&account, &namespace, &window)),
            ics23_proof: view.proof_of(&tree_key),
            context: Some(view.context()),
            stored: view.stored(&tree_key),
        })
    }

    pub(super) fn estimate_fee(&self, request: v1::EstimateFeeRequest) -> Result<v1::EstimateFeeResponse, Rejection> {
        use v1::estimate_fee_request::Subject;
        let (mutation, bytes) = match request.subject {
            Some(Subject::Body(body)) => {
                (decode_body(&body)?, u32::try_from(envelope_bytes(body.len())).unwrap_or(u32::MAX))
            }
            Some(Subject::Mutation(envelope)) => {
                let signed = decode_envelope(envelope)?;
                (signed.content, signed.bytes)
            }
            None => return Err(invalid("subject", "is missing; send a body or a signed mutation")),
        };
        let version = self.node.chain().committed();
        let state = &version.state;
        let estimate = state.estimate(&mutation, bytes)?;
        let prices = &state.chain().prices;
        Ok(v1::EstimateFeeResponse {
            fee_tai: estimate.fee.to_string(),
            bound_tai: estimate.bound.to_string(),
            charges: estimate.charges.iter().map(charge_message).collect(),
            bound_charges: charges_message(prices, &upper_bound(&mutation, bytes)),
            price_version: prices.version,
            height: version.height.get(),
            rejection: estimate.failure.map(|rejection| to_message(&rejection, None)),
        })
    }
}
