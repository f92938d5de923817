//! What every node has: its gRPC server with `ChainService`, gRPC-Web, reflection and health on one port, metrics on
//! another, the relay, and the command line. It is written over a [`Kind`] of chain; the programs `shard-node` and
//! `settlement-node` add their kind and its own service.
//!
//! Everything is bounded: connections, calls, streams, messages, pages, deadlines, submissions in flight. What is too
//! much is refused at once, with a time to try again; it must never make memory grow.

mod accept;
pub mod command;
mod cors;
mod deadline;
pub mod grpc;
mod kind;
mod metrics_http;
pub mod relay;
mod server;
mod settings;
mod shed;
mod state_sync;
mod tls;
mod unreadable;

pub use cors::Cors;
pub use kind::{Kind, State};
pub use server::{ServeError, Served, bind, serve, serve_on};
pub use settings::{ChainEndpoints, ServeConfig, ServeLimits};
pub use tls::{TlsError, TlsFiles};
pub use unreadable::unreadable;
