//! A made-up chain that writes logs for others, for tests of whatever reads one: a state of outboxes, real headers over it, and
//! honest deliveries. No chain runs on it.

mod log;
mod source;

pub use log::WrittenLog;
pub use source::{Source, SourceError, assemble, header_update};
