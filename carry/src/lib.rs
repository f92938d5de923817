//! Delivery of one chain's log to another: what both directions share (DESIGN.md, "Bills, credit, settlement", 5 and 6).
//!
//! A chain writes entries for another into an outbox: a log whose size and frontier stand in its state. Anyone may take them
//! across, and nobody is trusted. The reader keeps, for each chain that it hears, a [`Channel`]: a light client of that chain and
//! an inbox, which is the frontier of what it has applied. [`Channel::receive`] judges a [`Delivery`]; it decides nothing about
//! what an entry means, and guarantees rule I4: each entry is handed out once, in order, as it was written.
//!
//! This crate has no clock and stores nothing: time and leaves are arguments, and the leaves to write are results.

pub mod build;
mod channel;
mod delivery;
mod effects;
mod peer;
mod receive;
mod received;

pub use channel::{Channel, ChannelError, Leaf};
pub use delivery::{Delivery, HeaderUpdate};
pub use effects::{Delivered, OutboundEntry, RefusedEntry};
pub use peer::{ClaimedPeer, Peer, PeerError};
pub use received::{Advanced, NewEntries, Received};
