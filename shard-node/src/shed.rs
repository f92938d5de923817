//! Load shedding: a call that finds no free place is refused at once, with OVERLOADED and a time to try again.
//!
//! It must never queue: a queue only moves the wait to where nobody sees it, and grows memory with it. Health
//! checks pass always, because a node that is busy is not a node that is ill.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use db3_primitives::Rejection;
use db3_proto::status::to_status;
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tower::{Layer, Service};

/// Calls below this path are never refused.
const HEALTH_PATH: &str = "/grpc.health.v1.Health/";

/// Allows as many calls at once, over all connections, as the semaphore has places.
#[derive(Clone, Debug)]
pub struct ShedLayer {
    places: Arc<Semaphore>,
}

impl ShedLayer {
    /// At most `calls_max` calls at once.
    #[must_use]
    pub fn new(calls_max: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(calls_max)) }
    }
}

impl<S> Layer<S> for ShedLayer {
    type Service = Shed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Shed { inner, places: Arc::clone(&self.places) }
    }
}

/// The service that [`ShedLayer`] makes.
#[derive(Clone, Debug)]
pub struct Shed<S> {
    inner: S,
    places: Arc<Semaphore>,
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
        if request.uri().path().starts_with(HEALTH_PATH) {
            return Box::pin(self.inner.call(request));
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let status = to_status(&Rejection::Overloaded { what: "calls at once" });
            return Box::pin(async move { Ok(status.into_http()) });
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(place);
            answer
        })
    }
}
