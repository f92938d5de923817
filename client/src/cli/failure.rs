//! How a command ends that could not do what it was asked: the exit code, and what is said.

use std::io::Write;

use db3_console::StdoutError;

use crate::console::{ColorChoice, OutputFormat};
use crate::{ClientError, KeptProofError, Refusal};

use super::session::Session;
use super::value::Object;

/// The exit codes of `db3`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// 1: the network said no.
    Refused = 1,
    /// 2: wrong usage or input.
    Input = 2,
    /// 3: nobody answered, and nothing was sent.
    Unreachable = 3,
    /// 4: absent, and that is proven.
    Absent = 4,
    /// 5: a proof does not hold.
    Proof = 5,
    /// 6: sent, outcome unknown.
    Unknown = 6,
    /// 130: interrupted.
    Interrupted = 130,
}

/// What is sent to a shard.
const MUTATION: &str = "mutation";
/// How a rejection begins that is about the first operation.
const FIRST_OPERATION: &str = "operation 0: ";

/// Why a command ended early.
#[derive(Debug)]
pub struct Failure(Box<Details>);

#[derive(Debug)]
struct Details {
    exit: Exit,
    what: String,
    remedy: String,
    refusal: Option<Box<Refusal>>,
    /// What people call that which was sent.
    noun: &'static str,
    mutation_id: Option<String>,
    fee: Option<db3_primitives::Tai>,
    /// Mutations that were sent and whose outcome is unknown.
    unknown: Vec<String>,
    /// Nothing is to be said: the reader of standard output went away.
    silent: bool,
}

impl Failure {
    /// A failure with its exit code.
    pub fn new(exit: Exit, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (what, remedy) = (what.into(), remedy.into());
        Self(Box::new(Details {
            exit,
            what,
            remedy,
            refusal: None,
            noun: MUTATION,
            mutation_id: None,
            fee: None,
            unknown: Vec::new(),
            silent: false,
        }))
    }

    /// Wrong usage or input.
    pub fn input(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Exit::Input, what, remedy)
    }

    /// Standard output cannot be written; a reader that had enough is no failure worth a word.
    pub fn from_stdout(error: impl Into<StdoutError>) -> Self {
        let error = error.into();
        let text = error.to_string();
        let (what, remedy) = text.rsplit_once("; ").unwrap_or((&text, ""));
        let mut failure = Self::input(what, remedy);
        failure.0.silent = error.is_closed();
        failure
    }

    /// Nobody answered, and nothing was sent.
    pub fn unreachable(what: &str) -> Self {
        Self::new(
            Exit::Unreachable,
            what,
            "check that its node runs (db3 status; of a local network, db3 devnet status), and the address (--endpoint); nothing was sent",
        )
    }

    /// Leaves out that nothing was sent, where nothing was to be.
    #[must_use]
    pub fn of_read(mut self) -> Self {
        if let Some(length) = self.0.remedy.strip_suffix("; nothing was sent").map(str::len) {
            self.0.remedy.truncate(length);
        }
        self
    }

    /// Says what to do where `db3 status` itself finds that nobody answers: it sends nothing, and asks no other command.
    #[must_use]
    pub fn of_status(mut self) -> Self {
        if self.0.exit == Exit::Unreachable {
            "check that its node runs (on its machine; of a local network, db3 devnet status), and the address in the network's file or of --endpoint".clone_into(&mut self.0.remedy);
        }
        self
    }

    /// A file that cannot be read or written.
    pub fn file(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::input(format!("cannot {doing} {}: {error}", path.display()), "check the path and its permissions")
    }

    /// Says which mutation it is about, and what it cost nevertheless.
    #[must_use]
    pub fn about(mut self, id: db3_primitives::MutationId, fee: Option<db3_primitives::Tai>) -> Self {
        self.0.mutation_id = Some(id.to_string());
        self.0.fee = fee;
        self
    }

    /// Says of what kind of order it is, by the word that people use, and leaves out the number of an only operation. A
    /// transaction's have none that its sender gave: a command makes them.
    #[must_use]
    pub fn of_order(mut self, noun: &'static str, operations: usize) -> Self {
        self.0.noun = noun;
        if noun != MUTATION {
            let what = self.0.what.replacen("the mutation ", &format!("the {noun} "), 1);
            without_number(&what).clone_into(&mut self.0.what);
        } else if operations <= 1 && self.0.what.starts_with(FIRST_OPERATION) {
            self.0.what.replace_range(..FIRST_OPERATION.len(), "");
        }
        self
    }

    /// Says more of what was wrong than the network did, and what helps here.
    #[must_use]
    pub fn explained(mut self, detail: &str, remedy: impl Into<String>) -> Self {
        if !detail.is_empty() {
            self.0.what = format!("{} ({detail})", self.0.what);
        }
        self.0.remedy = remedy.into();
        self
    }

    /// Says it as a warning, where the command goes on.
    pub fn warn(&self, session: &Session) {
        let history_from = self.0.refusal.as_ref().and_then(|refusal| refusal.history_from);
        let details = Object::new().with_some("history_from_height", history_from);
        session.output.warn(&self.0.what, &self.0.remedy, &details);
    }

    /// What there was, where the rejection says that it is too little.
    pub fn available(&self) -> Option<db3_primitives::Tai> {
        self.0.refusal.as_ref().and_then(|refusal| refusal.available)
    }

    /// The number of the rejection, if it is one.
    pub fn code(&self) -> Option<u32> {
        self.0.refusal.as_ref().map(|refusal| refusal.code)
    }

    /// Gives it the number that the network has for it; the words stay.
    #[must_use]
    pub fn numbered(mut self, rejection: db3_primitives::Rejection) -> Self {
        self.0.refusal = Self::from(rejection).0.refusal;
        self
    }

    /// Names the mutations that were sent and whose outcome is unknown.
    #[must_use]
    pub fn with_unknown(mut self, ids: impl IntoIterator<Item = db3_primitives::MutationId>) -> Self {
        self.0.unknown = ids.into_iter().map(|id| id.to_string()).collect();
        self
    }

    /// Says where in a file it is.
    #[must_use]
    pub fn at(mut self, place: &str) -> Self {
        self.0.what = format!("{place}: {}", self.0.what);
        self
    }

    /// Prints it on standard error and returns the code to end with.
    #[must_use]
    pub fn report(&self, format: OutputFormat, color: ColorChoice) -> u8 {
        let code = self.0.exit as u8;
        if self.0.silent {
            return 0;
        }
        let text = match format {
            OutputFormat::Json => self.to_json(),
            OutputFormat::Table | OutputFormat::Csv => self.to_text(color.on_stderr()),
        };
        let _closed = writeln!(std::io::stderr().lock(), "{text}");
        code
    }

    fn to_text(&self, color: bool) -> String {
        let label = if color { "\u{1b}[1;31merror\u{1b}[0m" } else { "error" };
        let code = self.0.refusal.as_ref().map(|refusal| format!(" ({} {})", refusal.code, refusal.name));
        let fee = self.0.fee.filter(|fee| *fee > db3_primitives::Tai::ZERO);
        [
            Some(format!("{label}: {}{}", self.0.what, code.unwrap_or_default())),
            fee.map(|fee| format!("  charged {} DB3", fee.to_db3_string())),
            self.0.mutation_id.as_ref().map(|id| format!("  {} {id}", self.0.noun)),
            Some(format!("  {}", self.0.remedy)).filter(|_| !self.0.remedy.is_empty()),
        ]
        .into_iter()
        .flatten()
        .chain(self.0.unknown.iter().map(|id| format!("  sent, outcome unknown: db3 receipt {id} --wait")))
        .collect::<Vec<_>>()
        .join("\n")
    }

    fn to_json(&self) -> String {
        let refusal = self.0.refusal.as_deref();
        let details = Object::new()
            .with("exit_code", self.0.exit as u32)
            .with_some("code", refusal.map(|refusal| refusal.code))
            .with_some("reason", refusal.map(|refusal| refusal.name.clone()))
            .with("message", self.0.what.clone())
            .with("remedy", self.0.remedy.clone())
            .with_some("field", refusal.and_then(|refusal| refusal.field.clone()))
            .with_some("operation_index", refusal.and_then(|refusal| refusal.operation_index))
            .with_some("charged", refusal.map(|refusal| refusal.charged))
            .with_some("history_from_height", refusal.and_then(|refusal| refusal.history_from))
            .with_some("fee_tai", self.0.fee)
            .with_some(
                if self.0.noun == MUTATION { "mutation_id" } else { "transaction_id" },
                self.0.mutation_id.clone(),
            )
            .with_some("unknown_mutation_ids", Some(self.0.unknown.clone()).filter(|ids| !ids.is_empty()));
        Object::new().with("error", details).to_json()
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.what)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let text = error.to_string();
        match error {
            ClientError::Rejected(refusal) => {
                let exit = if is_wrong_input(&refusal) { Exit::Input } else { Exit::Refused };
                let mut failure = Self::new(exit, refusal.message.clone(), refusal.remedy.clone());
                failure.0.mutation_id = refusal.mutation_id.map(|id| id.to_string());
                failure.0.refusal = Some(refusal);
                failure
            }
            ClientError::OutcomeUnknown { id, detail } => Self::new(
                Exit::Unknown,
                format!("the mutation was sent, and its outcome is unknown: {detail}"),
                format!("db3 receipt {id} --wait"),
            )
            .about(id, None),
            ClientError::Unreachable { chain_id, endpoint, detail } => {
                Self::unreachable(&format!("nobody answers for {chain_id} at {endpoint}: {detail}"))
            }
            ClientError::Proof { .. } | ClientError::Malformed { .. } | ClientError::Behind { .. } => {
                split(Exit::Proof, &text)
            }
            ClientError::Input { what, remedy } => Self::input(what, remedy),
            ClientError::NetworkFile(_) => {
                Self::input(text.trim_end(), "correct the file, or get it again from whoever runs the network")
            }
            ClientError::Keystore(_) | ClientError::File { .. } => split(Exit::Input, &text),
        }
    }
}

/// What a rejection says of an operation, without its number.
pub fn without_number(message: &str) -> &str {
    let numbered = message.strip_prefix("operation ").and_then(|rest| rest.split_once(": "));
    match numbered {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => message,
    }
}

/// What is malformed in itself was wrong when it was typed.
fn is_wrong_input(refusal: &Refusal) -> bool {
    refusal.class() == db3_primitives::Class::Malformed && refusal.code > 0
}

/// A sentence and its remedy are parted by the last semicolon.
fn split(exit: Exit, text: &str) -> Failure {
    match text.rsplit_once("; ") {
        Some((what, remedy)) => Failure::new(exit, what, remedy),
        None => Failure::new(exit, text, ""),
    }
}

impl From<crate::keystore::KeystoreError> for Failure {
    fn from(error: crate::keystore::KeystoreError) -> Self {
        ClientError::from(error).into()
    }
}

impl From<db3_genesis::NetworkFileError> for Failure {
    fn from(error: db3_genesis::NetworkFileError) -> Self {
        ClientError::from(error).into()
    }
}

impl From<db3_primitives::Rejection> for Failure {
    fn from(rejection: db3_primitives::Rejection) -> Self {
        ClientError::from(rejection).into()
    }
}

impl From<KeptProofError> for Failure {
    fn from(error: KeptProofError) -> Self {
        let exit = match error {
            KeptProofError::Invalid { .. } => Exit::Proof,
            KeptProofError::NotAProof { .. } | KeptProofError::OtherNetwork { .. } => Exit::Input,
        };
        split(exit, &error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use db3_primitives::Rejection;

    use super::*;

    #[test]
    fn what_is_no_mutation_is_not_called_one_and_an_only_operation_has_no_number() {
        let refused = |operations| {
            let poor = Rejection::NothingOwed { operation: 0 };
            let id = db3_primitives::Identifier([7; 32]);
            Failure::from(poor).about(id, None).of_order("transaction", operations)
        };
        assert!(refused(1).to_text(false).starts_with("error: nothing is outstanding (312 NOTHING_OWED)\n"));
        assert!(refused(1).to_text(false).contains("\n  transaction 0x0707"));
        assert!(refused(1).to_json().contains(r#""transaction_id":"0x0707"#));
        assert!(refused(2).to_text(false).starts_with("error: nothing is outstanding"), "the command made both");
        let unknown = ClientError::OutcomeUnknown { id: db3_primitives::Identifier([7; 32]), detail: "cut".to_owned() };
        let said = Failure::from(unknown).of_order("transaction", 1).to_text(false);
        assert!(said.contains("the transaction was sent, and its outcome is unknown"), "{said}");
    }

    #[test]
    fn an_explanation_stands_with_what_the_network_said() {
        let failure = Failure::from(Rejection::NotReady).explained("granted 5 DB3", "wait");
        assert_eq!(failure.to_text(false), "error: the node is still starting (granted 5 DB3) (502 NOT_READY)\n  wait");
    }
}
