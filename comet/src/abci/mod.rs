//! Serving an application to `CometBFT` over a socket: ABCI 2.0, each message as its length (varint) and its protobuf.
//!
//! `CometBFT` opens four connections, in the order query, snapshot, mempool, consensus, and names none of them: each is
//! known by its first distinctive request. One thread of a connection reads, whatever the other one is busy with
//! (`CometBFT`'s client spins while its socket is full), until more waits than a full mempool can ask about twice
//! ([`FrameLimits`]); another answers, gathers replies until nothing waits, and writes them at once.
//! Calls that change the state pass through one lock; the others run beside them.
//!
//! What cannot be read, a call on the wrong connection, a panic in the application and an application that refuses
//! to answer ([`refuse`]) close the connection and are reported as an [`AbciFault`]. There is never a made-up answer:
//! `CometBFT` ends when a connection does, and its supervisor starts it again. After a panic and after what is no
//! request ([`AbciServer::broken`]) the application is to be opened anew as well.

mod address;
mod connection;
mod dispatch;
mod fault;
mod frame;
mod queue;
mod server;

pub use address::AbciAddress;
pub(crate) use address::remove_stale;
pub use dispatch::{ConnectionKind, refuse};
pub use fault::{AbciFault, FaultKind};
pub use frame::{FrameError, FrameLimits};
pub use server::{AbciServer, serve};
