//! What ends a command of the devnet, and the exit code that goes with it (docs: SURFACE's exit codes).

/// An error with an exit code of its own. Any other error is 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Wrong usage or input: exit code 2.
    #[error("{0}")]
    Wrong(String),
    /// No devnet answers: exit code 3.
    #[error("{0}")]
    NobodyAnswered(String),
    /// A running devnet failed and must not be restarted as it is: exit code 70.
    #[error("{0}")]
    Fatal(String),
}

/// The exit code of an error.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Failure>() {
        Some(Failure::Wrong(_)) => 2,
        Some(Failure::NobodyAnswered(_)) => 3,
        Some(Failure::Fatal(_)) => 70,
        None => 1,
    }
}
