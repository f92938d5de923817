//! Benchmarks that need other projects' libraries beside ours. Nothing depends on this package, and it is no default
//! member of the workspace, so that those libraries are built only to be measured.

pub mod tree;
