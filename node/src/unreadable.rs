//! Requests that could not be read: too long, no protobuf, in a compression that nobody offered.
//!
//! The gRPC library refuses these before any method of ours sees them, with codes that blame the server and without
//! details. This layer gives them the numbers that everything else has: a mutation that is too long is 102, anything
//! else 401, both `INVALID_ARGUMENT`. A method that there is not is named in words; its code stays `UNIMPLEMENTED`, on
//! which those rely who ask what a server can do. It must never touch a status that one of our methods made.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use db3_primitives::{Rejection, limits};
use db3_proto::status::to_status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::{Code, Status};
use tower::{Layer, Service};

/// A call whose message is one signed envelope.
const ONE_MUTATION: &str = "/db3.v1.ShardService/SubmitMutation";
/// Where the library says which compressions it reads.
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";
/// How the library begins what it says of a message that is longer than allowed.
const TOO_LONG: &str = "Error, decoded message length too large: found ";
/// How it begins what it says of other requests that it cannot read, by code.
const UNREADABLE: [(Code, &str); 7] = [
    (Code::Internal, "failed to decode Protobuf message"),
    (Code::Internal, "protocol error: received message with"),
    (Code::Internal, "Error decompressing: "),
    (Code::Internal, "Missing request message."),
    (Code::Internal, "Unexpected EOF decoding stream."),
    (Code::ResourceExhausted, "Error decompressing: size limit"),
    (Code::Unimplemented, "Content is compressed with "),
];

/// The refusal of a request that the gRPC library could not read; none for any other status.
#[must_use]
pub fn unreadable(path: &str, status: &Status) -> Option<Rejection> {
    if !status.details().is_empty() {
        return None;
    }
    let text = status.message();
    if let Some(rest) = text.strip_prefix(TOO_LONG).filter(|_| status.code() == Code::OutOfRange) {
        let mut numbers = rest.split(' ').filter_map(|word| word.parse::<u64>().ok());
        let (bytes, max) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        if path == ONE_MUTATION {
            return Some(Rejection::MutationTooLarge { bytes, max: max.min(limits::MUTATION_BYTES_MAX as u64) });
        }
        return Some(invalid(format!("the message has {bytes} bytes, at most {max} are allowed")));
    }
    let known = UNREADABLE.iter().any(|(code, start)| status.code() == *code && text.starts_with(start));
    known.then(|| invalid(format!("it cannot be read: {text}")))
}

/// What the caller is told instead of what the library said; none where that stays.
fn refused(path: &str, status: &Status) -> Option<Status> {
    unreadable(path, status).map(|refusal| to_status(&refusal)).or_else(|| unknown_method(path, status))
}

/// The library says nothing of a method that there is not.
fn unknown_method(path: &str, status: &Status) -> Option<Status> {
    let is_it = status.code() == Code::Unimplemented && status.message().is_empty() && status.details().is_empty();
    is_it.then(|| {
        let detail = format!("{path} is none of this node's; its reflection service lists those that there are");
        let numbered = to_status(&Rejection::RequestInvalid { field: "method".to_owned(), detail });
        Status::with_details(Code::Unimplemented, numbered.message(), numbered.details().to_vec().into())
    })
}

fn invalid(detail: String) -> Rejection {
    Rejection::RequestInvalid { field: "request".to_owned(), detail }
}

/// Gives numbers to the library's refusals.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnreadableLayer;

impl<S> Layer<S> for UnreadableLayer {
    type Service = Unreadable<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Unreadable { inner }
    }
}

/// The service that [`UnreadableLayer`] makes.
#[derive(Clone, Debug)]
pub struct Unreadable<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Unreadable<S>
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
        let path = request.uri().path().to_owned();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            let refusal = Status::from_header_map(answer.headers()).and_then(|status| refused(&path, &status));
            let Some(refusal) = refusal else { return Ok(answer) };
            let mut refused = refusal.into_http();
            if let Some(accepted) = answer.headers().get(ACCEPT_ENCODING) {
                refused.headers_mut().insert(ACCEPT_ENCODING, accepted.clone());
            }
            Ok(refused)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const SCAN: &str = "/db3.v1.ShardService/ScanRecords";

    #[test]
    fn what_the_library_refuses_gets_a_number() {
        let long = Status::out_of_range(
            "Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304 bytes",
        );
        assert!(matches!(
            unreadable(ONE_MUTATION, &long),
            Some(Rejection::MutationTooLarge { bytes: 5_000_000, max: 262_144 })
        ));
        let other = unreadable(SCAN, &long).unwrap();
        assert_eq!(other.code(), 401);
        assert!(other.to_string().contains("5000000 bytes, at most 4194304 are"), "{other}");
        let encoded = Status::unimplemented("Content is compressed with `br` which isn't supported");
        assert_eq!(unreadable(SCAN, &encoded).unwrap().code(), 401);
        let broken = Status::internal("failed to decode Protobuf message: invalid varint");
        assert_eq!(unreadable(SCAN, &broken).unwrap().code(), 401);
    }

    #[test]
    fn a_method_that_there_is_not_is_named_and_stays_unimplemented() {
        let told = refused("/db3.v1.ShardService/Nonsense", &Status::unimplemented("")).unwrap();
        assert_eq!(told.code(), Code::Unimplemented);
        assert!(told.message().contains("/db3.v1.ShardService/Nonsense is none of this node's"), "{told:?}");
        assert_eq!(db3_proto::status::from_status(&told).unwrap().code, 401);
        for own in [Status::unimplemented("this chain runs on the embedded engine"), Status::not_found("")] {
            assert!(refused(SCAN, &own).is_none(), "{own:?}");
        }
    }

    #[test]
    fn our_own_refusals_stay() {
        for status in [
            to_status(&Rejection::PageTokenInvalid),
            Status::internal("this node cannot read its files; its operator finds the reason in its log"),
            Status::unimplemented(""),
            Status::ok(""),
        ] {
            assert!(unreadable(SCAN, &status).is_none(), "{status:?}");
        }
    }
}
