//! Load shedding: a call that finds no free place is refused at once, with OVERLOADED and a time to try again.
//!
//! A call keeps its place until its answer is sent to the end. The streams of reflection and of health, which the
//! services do not count, have few places of their own. It must never queue: a queue only moves the wait to where
//! nobody sees it, and grows memory with it. A single health check passes always, because a node that is busy is not a
//! node that is ill.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use db3_primitives::Rejection;
use db3_proto::status::to_status;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tower::{Layer, Service};

/// This call is never refused.
const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";
/// Calls below these paths are streams that no service of ours counts.
const SIDE_STREAMS: [&str; 2] = ["/grpc.health.v1.Health/", "/grpc.reflection."];

/// Allows as many calls at once, over all connections, as the semaphores have places.
#[derive(Clone, Debug)]
pub struct ShedLayer {
    calls: Arc<Semaphore>,
    side_streams: Arc<Semaphore>,
}

impl ShedLayer {
    /// At most `calls_max` calls at once, `side_streams_max` of them streams of reflection and of health.
    #[must_use]
    pub fn new(calls_max: usize, side_streams_max: usize) -> Self {
        Self { calls: Arc::new(Semaphore::new(calls_max)), side_streams: Arc::new(Semaphore::new(side_streams_max)) }
    }

    /// The places that a call of this path takes.
    fn places(&self, path: &str) -> Result<Places, Rejection> {
        let take = |from: &Arc<Semaphore>, what| {
            Arc::clone(from).try_acquire_owned().map_err(|_| Rejection::Overloaded { what })
        };
        let side = SIDE_STREAMS.iter().any(|start| path.starts_with(start));
        Ok(Places {
            _call: take(&self.calls, "calls at once")?,
            _side_stream: if side { Some(take(&self.side_streams, "streams of reflection and health")?) } else { None },
        })
    }
}

impl<S> Layer<S> for ShedLayer {
    type Service = Shed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Shed { inner, layer: self.clone() }
    }
}

/// What a call holds until its answer is sent.
struct Places {
    _call: OwnedSemaphorePermit,
    _side_stream: Option<OwnedSemaphorePermit>,
}

/// The service that [`ShedLayer`] makes.
#[derive(Clone, Debug)]
pub struct Shed<S> {
    inner: S,
    layer: ShedLayer,
}

impl<S, B> Service<Request<B>> for Shed<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        if path == HEALTH_CHECK {
            return Box::pin(self.inner.call(request));
        }
        let places = match self.layer.places(path) {
            Ok(places) => places,
            Err(rejection) => return Box::pin(async move { Ok(to_status(&rejection).into_http()) }),
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            Ok(answer.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    // The closure lives as long as the body, and the places with it.
                    let _held = &places;
                    frame
                }))
            }))
        })
    }
}
