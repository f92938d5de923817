//! The gRPC of a shard: `ShardService` and `ChainService` over one chain, with gRPC-Web, reflection and health on the
//! same port, and metrics on another.
//!
//! Everything is bounded: connections, calls, streams, messages, pages, deadlines, mutations in flight. What is too
//! much is refused at once, with a time to try again; it must never make memory grow.

mod accept;
mod cors;
mod deadline;
mod grpc;
mod metrics_http;
mod server;
mod settings;
mod shed;
mod unreadable;

pub use cors::Cors;
pub use server::{ServeError, Served, bind, serve, serve_on};
pub use settings::{ServeConfig, ServeLimits, ShardEndpoints};
