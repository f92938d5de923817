//! A chain as it answers over gRPC: calls with a time limit, the next endpoint when one fails, and answers that are the chain's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use db3_primitives::ChainId;
use db3_primitives::limits::GRPC_MESSAGE_BYTES_MAX;
use db3_proto::status::CallError;
use db3_proto::v1;
use db3_proto::v1::chain_service_client::ChainServiceClient;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Response, Status};

use crate::code;
use crate::config::ChainEndpoints;
use crate::error::RelayError;
use crate::pass::{PASS_KEY, Passes};

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Remote {
    pub chain_id: ChainId,
    endpoints: Arc<[(String, ChainServiceClient<Channel>)]>,
    current: Arc<AtomicUsize>,
    timeout: Duration,
    /// By which the node that this relay runs in knows its deliveries.
    pass: Option<Arc<str>>,
}

impl Remote {
    /// Connects when the first call is made.
    pub fn new(chain: &ChainEndpoints, timeout: Duration, passes: Option<&Passes>) -> Result<Self, RelayError> {
        let client = |url: &String| {
            let invalid = |error: tonic::transport::Error| RelayError::InvalidEndpoint {
                chain_id: chain.chain_id.clone(),
                url: url.clone(),
                detail: error.to_string(),
            };
            let mut endpoint = Endpoint::from_shared(url.clone()).map_err(invalid)?;
            if url.starts_with("https://") {
                endpoint = endpoint.tls_config(ClientTlsConfig::new().with_native_roots()).map_err(invalid)?;
            }
            let channel = endpoint.connect_timeout(timeout).tcp_nodelay(true).connect_lazy();
            let client = ChainServiceClient::new(channel)
                .max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX)
                .max_encoding_message_size(GRPC_MESSAGE_BYTES_MAX);
            Ok((url.clone(), client))
        };
        let endpoints = chain.urls.iter().map(client).collect::<Result<Arc<[_]>, RelayError>>()?;
        if endpoints.is_empty() {
            return Err(RelayError::NoEndpoint { chain_id: chain.chain_id.clone() });
        }
        let pass = passes.map(|passes| passes.of(&chain.chain_id).into());
        let chain_id = chain.chain_id.clone();
        Ok(Self { chain_id, endpoints, current: Arc::new(AtomicUsize::new(0)), timeout, pass })
    }

    pub async fn get_inbox(&self, request: v1::GetInboxRequest) -> Result<v1::GetInboxResponse, RelayError> {
        let request = self.request(request);
        let answer = self.ask("GetInbox", |mut client| async move { client.get_inbox(request).await }).await?;
        self.check_chain(answer.context.as_ref())?;
        Ok(answer)
    }

    pub async fn list_outbox(&self, request: v1::ListOutboxRequest) -> Result<v1::ListOutboxResponse, RelayError> {
        let request = self.request(request);
        let answer = self.ask("ListOutbox", |mut client| async move { client.list_outbox(request).await }).await?;
        self.check_chain(answer.context.as_ref())?;
        Ok(answer)
    }

    /// The light block of a height (0: the newest), with the validators of the height after `trusted_height`.
    pub async fn light_block(&self, height: u64, trusted_height: u64) -> Result<v1::LightBlock, RelayError> {
        let request =
            self.request(v1::GetLightBlockRequest { height, trusted_height, with_proposer_priorities: false });
        let method = "GetLightBlock";
        let answer = self.ask(method, |mut client| async move { client.get_light_block(request).await }).await?;
        let block = answer.light_block.ok_or_else(|| self.false_answer(method, "no light block"))?;
        if height != 0 && block.height != height {
            return Err(self.false_answer(method, format!("height {} was wanted, not {}", height, block.height)));
        }
        Ok(block)
    }

    /// The light block of a height (0: the newest) and its validators' priorities as proposers.
    pub async fn sync_block(&self, height: u64) -> Result<(v1::LightBlock, Vec<i64>), RelayError> {
        let asked = v1::GetLightBlockRequest { height, trusted_height: 0, with_proposer_priorities: true };
        let (request, method) = (self.request(asked), "GetLightBlock");
        let answer = self.ask(method, |mut client| async move { client.get_light_block(request).await }).await?;
        let block = answer.light_block.ok_or_else(|| self.false_answer(method, "no light block"))?;
        Ok((block, answer.proposer_priorities))
    }

    pub async fn submit_delivery(&self, delivery: v1::Delivery) -> Result<v1::SubmitDeliveryResponse, RelayError> {
        let wait = v1::WaitMode::Committed.into();
        let mut request = self.request(v1::SubmitDeliveryRequest { delivery: Some(delivery), wait });
        if let Some(pass) = self.pass.as_ref().and_then(|pass| MetadataValue::try_from(&**pass).ok()) {
            request.metadata_mut().insert(PASS_KEY, pass);
        }
        self.ask("SubmitDelivery", |mut client| async move { client.submit_delivery(request).await }).await
    }

    /// The error that names this chain's endpoint; the next call goes to another.
    pub fn false_answer(&self, method: &'static str, detail: impl Into<String>) -> RelayError {
        let url = self.url();
        self.take_next();
        RelayError::FalseAnswer { chain_id: self.chain_id.clone(), url, method, detail: detail.into() }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout);
        request
    }

    async fn ask<T, F>(
        &self,
        method: &'static str,
        call: impl FnOnce(ChainServiceClient<Channel>) -> F,
    ) -> Result<T, RelayError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let (chain_id, url) = (self.chain_id.clone(), self.url());
        let Some((_, client)) = self.endpoints.get(self.index()) else {
            return Err(RelayError::NoEndpoint { chain_id });
        };
        // The server is told the limit; one that does not keep to it is given a moment more.
        let patience = self.timeout.saturating_add(Duration::from_secs(1));
        match tokio::time::timeout(patience, call(client.clone())).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => {
                let error = CallError::from(status);
                // What the chain refuses by its rules, another node refuses as well.
                if error.rejection_code().is_none_or(|code| code >= code::UNAVAILABLE_MIN) {
                    self.take_next();
                }
                Err(RelayError::Call { chain_id, url, method, error })
            }
            Err(_) => {
                self.take_next();
                Err(RelayError::TimedOut { chain_id, url, method, secs: patience.as_secs() })
            }
        }
    }

    fn check_chain(&self, context: Option<&v1::ReadContext>) -> Result<(), RelayError> {
        let got = context.map_or("", |context| context.chain_id.as_str());
        if got == self.chain_id.as_str() {
            return Ok(());
        }
        let (url, got) = (self.url(), got.chars().take(100).collect());
        self.take_next();
        Err(RelayError::WrongChain { url, expected: self.chain_id.clone(), got })
    }

    fn index(&self) -> usize {
        self.current.load(Ordering::Relaxed).checked_rem(self.endpoints.len()).unwrap_or(0)
    }

    /// The next call goes to another endpoint.
    pub fn take_next(&self) {
        self.current.fetch_add(1, Ordering::Relaxed);
    }

    fn url(&self) -> String {
        self.endpoints.get(self.index()).map(|(url, _)| url.clone()).unwrap_or_default()
    }
}
