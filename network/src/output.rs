//! How `db3-genesis` and the nodes print what they are asked for.

use clap::ValueEnum;

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// One JSON object, or one a line for lists.
    Json,
}
