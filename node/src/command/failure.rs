//! What ends a command, and the exit code that goes with it.

use db3_chain::transfer::TransferError;
use db3_chain::{RollbackError, StartError, StoreError};
use db3_comet::CometError;
use db3_console::{STDOUT_EXIT_CODE, StdoutError};

/// An error with an exit code of its own. Any other error is 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Wrong usage or input: exit code 2.
    #[error("{0}")]
    Wrong(String),
    /// No node answers: exit code 3.
    #[error("{0}")]
    NobodyAnswered(String),
    /// The node must not be started again as it is: exit code 70.
    #[error("{0}")]
    Fatal(String),
}

/// An error and its causes in one line. A cause that the text before it already tells is not told again.
pub fn text(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| {
        let cause = cause.to_string();
        if told.is_empty() {
            cause
        } else if told.contains(&cause) {
            told
        } else {
            format!("{told}: {cause}")
        }
    })
}

/// The exit code of an error.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return match failure {
            Failure::Wrong(_) => 2,
            Failure::NobodyAnswered(_) => 3,
            Failure::Fatal(_) => 70,
        };
    }
    if error.is::<StdoutError>() {
        return STDOUT_EXIT_CODE;
    }
    if let Some(error) = error.downcast_ref::<StartError>() {
        return of_start(error);
    }
    if let Some(error) = error.downcast_ref::<RollbackError>() {
        return of_rollback(error);
    }
    match error.downcast_ref::<TransferError>() {
        Some(TransferError::Start(error)) => of_start(error),
        Some(TransferError::Store(error)) => of_store(error),
        Some(TransferError::Malformed { .. } | TransferError::NoBlocks { .. }) => 2,
        Some(TransferError::File { .. } | TransferError::Stream(_) | TransferError::NoBlock) | None => 1,
    }
}

fn of_store(error: &StoreError) -> u8 {
    match error {
        StoreError::OtherChain { .. } => 2,
        error if error.is_fatal() => 70,
        _ => 1,
    }
}

/// 2 where nothing but another setting or another folder helps: no start does.
fn of_start(error: &StartError) -> u8 {
    match error {
        StartError::Config(_)
        | StartError::Genesis(_)
        | StartError::State(_)
        | StartError::SettlementState(_)
        | StartError::OtherKind { .. }
        | StartError::NotTheValidator { .. }
        | StartError::NoBlocks { .. }
        | StartError::NotEmpty(_) => 2,
        StartError::CometBft(error) => of_comet(error),
        StartError::Store(error) => of_store(error),
        error if error.is_fatal() => 70,
        _ => 1,
    }
}

fn of_rollback(error: &RollbackError) -> u8 {
    match error {
        RollbackError::Solo | RollbackError::Genesis(_) => 2,
        RollbackError::Store(error) => of_store(error),
        RollbackError::CometBft(error) => of_comet(error),
        RollbackError::SnapshotAhead { .. } => 1,
    }
}

fn of_comet(error: &CometError) -> u8 {
    match error {
        CometError::Setting { .. }
        | CometError::NoBinary { .. }
        | CometError::OtherVersion { .. }
        | CometError::Run { .. }
        | CometError::Key { .. } => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn what_no_start_can_mend_is_not_started_again() {
        let comet = |error| exit_code(&StartError::CometBft(error).into());
        let other = CometError::OtherVersion { path: "/cometbft".into(), found: "1.0".to_owned(), expected: "0.38.26" };
        assert_eq!(comet(other), 2);
        assert_eq!(comet(CometError::NoBinary { expected: "0.38.26", looked: Vec::new() }), 2);
        assert_eq!(comet(CometError::Thread { source: std::io::Error::other("none") }), 1);
        let height = db3_primitives::Height::new(7);
        assert_eq!(exit_code(&StartError::NoBlocks { home: "/home".into(), height }.into()), 2);
        let few = StartError::FewBlocks { home: "/home".into(), found: height, expected: height };
        assert_eq!(exit_code(&few.into()), 70);
        assert_eq!(exit_code(&RollbackError::Solo.into()), 2);
    }

    #[test]
    fn a_node_that_had_no_room_is_started_again() {
        let file = |code| {
            let source = std::io::Error::from_raw_os_error(code);
            exit_code(&StartError::Store(StoreError::File { path: "/data".into(), source }).into())
        };
        let (io, no_space, quota, files) = (5, 28, 122, 24);
        assert_eq!([file(no_space), file(quota), file(files), file(io)], [1, 1, 1, 70]);
    }

    #[test]
    fn a_cause_is_told_once() {
        let file = || std::io::Error::other("disk is full");
        let told = StoreError::File { path: "/data".into(), source: file() };
        let error = Err::<(), _>(told).context("cannot start").err().map(|error| text(&error)).unwrap_or_default();
        assert_eq!(error.matches("disk is full").count(), 1, "{error}");
        assert!(error.starts_with("cannot start: "), "{error}");
        let untold = Err::<(), _>(file()).context("cannot start").err().map(|error| text(&error));
        assert_eq!(untold.as_deref(), Some("cannot start: disk is full"));
    }
}
