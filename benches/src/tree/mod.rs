//! The state tree and its peers as subjects of one measurement.

pub mod jellyfish;
pub mod measure;
pub mod nearly_optimal;
pub mod ours;
pub mod report;
pub mod sparse;
pub mod subject;
pub mod workload;
