//! A node that lies: it stands before an honest one, passes every call on, and changes one kind of question or answer.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::PathAndQuery;
use axum::response::Response;
use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;

type Change = Arc<dyn Fn(Bytes) -> Bytes + Send + Sync>;
type Refuse = Arc<dyn Fn(&Bytes) -> Option<Status> + Send + Sync>;

/// What a node says wrongly.
#[derive(Clone)]
pub struct Lie {
    method: &'static str,
    question: Option<Change>,
    answer: Option<Change>,
    refuse: Option<Refuse>,
}

/// Changes the answers of a method.
pub fn answer<M: Message + Default>(method: &'static str, change: impl Fn(&mut M) + Send + Sync + 'static) -> Lie {
    Lie { method, question: None, answer: Some(changed(change)), refuse: None }
}

/// Answers another question than was asked.
pub fn question<M: Message + Default>(method: &'static str, change: impl Fn(&mut M) + Send + Sync + 'static) -> Lie {
    Lie { method, question: Some(changed(change)), answer: None, refuse: None }
}

/// Refuses the answers of a method that are of a kind.
pub fn refusal<M: Message + Default>(
    method: &'static str,
    refuse: impl Fn(M) -> Option<Status> + Send + Sync + 'static,
) -> Lie {
    let refuse = move |bytes: &Bytes| refuse(M::decode(bytes.clone()).expect("the message is of that type"));
    Lie { method, question: None, answer: None, refuse: Some(Arc::new(refuse)) }
}

fn changed<M: Message + Default>(change: impl Fn(&mut M) + Send + Sync + 'static) -> Change {
    Arc::new(move |bytes| {
        let mut message = M::decode(bytes).expect("the message is of that type");
        change(&mut message);
        message.encode_to_vec().into()
    })
}

/// A lying node before the honest one at `upstream`. It is gone when this is dropped.
pub struct Liar {
    pub url: String,
    _runtime: tokio::runtime::Runtime,
}

impl Liar {
    pub fn before(upstream: &str, lie: Lie) -> Self {
        Self::telling(upstream, vec![lie])
    }

    /// The same with several lies, of a method each.
    pub fn telling(upstream: &str, lies: Vec<Lie>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let channel = Channel::from_shared(upstream.to_owned()).unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move {
            let router = axum::Router::new().fallback(forward).with_state((channel.connect_lazy(), lies));
            let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
            tonic::transport::Server::builder()
                .add_routes(tonic::service::Routes::from(router))
                .serve_with_incoming(incoming)
                .await
        });
        Self { url, _runtime: runtime }
    }
}

async fn forward(State((channel, lies)): State<(Channel, Vec<Lie>)>, request: Request) -> Response {
    let path = request.uri().path_and_query().expect("a call has a path").clone();
    let lie = lies.into_iter().find(|lie| path.path().ends_with(&format!("/{}", lie.method)));
    let service = tower::service_fn(move |request: tonic::Request<Bytes>| {
        pass_on(channel.clone(), lie.clone(), path.clone(), request.into_inner())
    });
    tonic::server::Grpc::new(Raw).unary(service, request).await.map(axum::body::Body::new)
}

async fn pass_on(
    channel: Channel,
    lie: Option<Lie>,
    path: PathAndQuery,
    mut question: Bytes,
) -> Result<tonic::Response<Bytes>, Status> {
    let Lie { question: asked, answer: said, refuse, .. } =
        lie.unwrap_or(Lie { method: "", question: None, answer: None, refuse: None });
    if let Some(change) = asked {
        question = change(question);
    }
    let mut upstream = tonic::client::Grpc::new(channel).max_decoding_message_size(64 << 20);
    upstream.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let answer = upstream.unary(tonic::Request::new(question), path, Raw).await?.into_inner();
    if let Some(status) = refuse.and_then(|refuse| refuse(&answer)) {
        return Err(status);
    }
    let answer = said.map_or(answer.clone(), |change| change(answer));
    Ok(tonic::Response::new(answer))
}

/// Messages as they travel.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length)))
    }
}
