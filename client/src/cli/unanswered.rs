//! What a command says where some chains answered and others did not: their names, on standard error and in JSON, so that
//! nobody takes what is shown for all that there is.

use std::io::Write;

use super::failure::Failure;
use super::session::Session;
use super::value::{Object, Value};
use crate::console::OutputFormat;
use crate::{ClientError, Unanswered};

/// The chains that did not answer one command, each with what is not shown therefore.
#[derive(Debug, Default)]
pub struct Missing {
    chains: Vec<(Unanswered, &'static str)>,
    answered: bool,
}

impl Missing {
    /// Notes that a chain answered.
    pub fn answered(&mut self) {
        self.answered = true;
    }

    /// Whether any did.
    #[must_use]
    pub fn has_answer(&self) -> bool {
        self.answered
    }

    /// Whether all did.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chains.is_empty()
    }

    /// Notes chains that did not.
    pub fn add(&mut self, chains: impl IntoIterator<Item = Unanswered>, lack: &'static str) {
        for chain in chains {
            if !self.chains.iter().any(|(known, _)| known.chain_id == chain.chain_id) {
                self.chains.push((chain, lack));
            }
        }
    }

    /// The value, or none where nobody answered; any other error ends the command.
    pub fn take<T>(&mut self, outcome: Result<T, ClientError>, lack: &'static str) -> Result<Option<T>, Failure> {
        match outcome {
            Ok(value) => {
                self.answered();
                Ok(Some(value))
            }
            Err(error) => {
                self.add([Unanswered::of(error)?], lack);
                Ok(None)
            }
        }
    }

    /// Adds the field `unreachable` where chains did not answer.
    #[must_use]
    pub fn mark(&self, object: Object) -> Object {
        let names: Vec<String> = self.chains.iter().map(|(chain, _)| chain.chain_id.clone()).collect();
        object.with_some("unreachable", Some(names).filter(|names| !names.is_empty()))
    }

    /// An error where a chain did not answer without which nothing is certain.
    pub fn refuse(self) -> Result<(), Failure> {
        match self.chains.first() {
            Some((chain, lack)) => Err(Failure::unreachable(&format!("{}; {lack}", chain.detail)).of_read()),
            None => Ok(()),
        }
    }

    /// Says who did not answer and what is not shown therefore; an error where nobody answered at all.
    pub fn say(self, session: &Session) -> Result<(), Failure> {
        let Some((first, _)) = self.chains.first() else { return Ok(()) };
        if !self.answered {
            return Err(Failure::unreachable(&first.detail).of_read());
        }
        for (chain, lack) in &self.chains {
            // Even for those who asked for quiet: what is printed is not all that there is.
            let _closed = writeln!(std::io::stderr().lock(), "{}", warning(session, chain, lack));
        }
        Ok(())
    }
}

fn warning(session: &Session, chain: &Unanswered, lack: &str) -> String {
    match session.output.format {
        OutputFormat::Json => {
            let details = Object::new()
                .with("chain_id", chain.chain_id.as_str())
                .with("message", chain.detail.as_str())
                .with("lack", lack);
            Object::new().with("warning", Value::Object(details)).to_json()
        }
        OutputFormat::Table | OutputFormat::Csv => format!("warning: {}; {lack}", chain.detail),
    }
}
