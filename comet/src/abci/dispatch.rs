//! From a request to the application's method and its answer.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;

use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::request::Value;
use tendermint_proto::v0_38::abci::{Request, Response, response};

use super::fault::FaultKind;
use crate::lock;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionKind {
    /// Not yet known.
    Unnamed,
    /// Info and Query.
    Query,
    /// Snapshots.
    Snapshot,
    /// `CheckTx`.
    Mempool,
    /// Blocks.
    Consensus,
}

impl fmt::Display for ConnectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unnamed => "unnamed",
            Self::Query => "query",
            Self::Snapshot => "snapshot",
            Self::Mempool => "mempool",
            Self::Consensus => "consensus",
        })
    }
}

/// What an application throws that cannot answer.
struct Refusal(String);

/// Ends a call without an answer: for an application that cannot go on. The connection is closed and the reason
/// reported ([`FaultKind::Refused`]). To be called within a call of the server, nowhere else.
pub fn refuse(why: impl fmt::Display) -> ! {
    resume_unwind(Box::new(Refusal(why.to_string())))
}

/// The name of a call, and the connection that it belongs on.
pub(super) fn call_of(value: &Value) -> (&'static str, Option<ConnectionKind>) {
    use ConnectionKind::{Consensus, Mempool, Query, Snapshot};
    match value {
        Value::Echo(_) => ("Echo", None),
        Value::Flush(_) => ("Flush", None),
        Value::Info(_) => ("Info", Some(Query)),
        Value::Query(_) => ("Query", Some(Query)),
        Value::CheckTx(_) => ("CheckTx", Some(Mempool)),
        Value::InitChain(_) => ("InitChain", Some(Consensus)),
        Value::PrepareProposal(_) => ("PrepareProposal", Some(Consensus)),
        Value::ProcessProposal(_) => ("ProcessProposal", Some(Consensus)),
        Value::ExtendVote(_) => ("ExtendVote", Some(Consensus)),
        Value::VerifyVoteExtension(_) => ("VerifyVoteExtension", Some(Consensus)),
        Value::FinalizeBlock(_) => ("FinalizeBlock", Some(Consensus)),
        Value::Commit(_) => ("Commit", Some(Consensus)),
        Value::ListSnapshots(_) => ("ListSnapshots", Some(Snapshot)),
        Value::OfferSnapshot(_) => ("OfferSnapshot", Some(Snapshot)),
        Value::LoadSnapshotChunk(_) => ("LoadSnapshotChunk", Some(Snapshot)),
        Value::ApplySnapshotChunk(_) => ("ApplySnapshotChunk", Some(Snapshot)),
    }
}

/// Whether a call changes the state, and so comes after the one before it.
fn writes(value: &Value) -> bool {
    match value {
        Value::Echo(_)
        | Value::Flush(_)
        | Value::Info(_)
        | Value::Query(_)
        | Value::CheckTx(_)
        | Value::ListSnapshots(_)
        | Value::LoadSnapshotChunk(_) => false,
        Value::InitChain(_)
        | Value::PrepareProposal(_)
        | Value::ProcessProposal(_)
        | Value::ExtendVote(_)
        | Value::VerifyVoteExtension(_)
        | Value::FinalizeBlock(_)
        | Value::Commit(_)
        | Value::OfferSnapshot(_)
        | Value::ApplySnapshotChunk(_) => true,
    }
}

/// Answers one request. `kind` is what its connection is known as, and is set by the first distinctive request.
pub(super) fn answer<A: Application>(
    app: &A,
    writer: &Mutex<()>,
    kind: &mut ConnectionKind,
    request: Request,
) -> Result<Response, FaultKind> {
    let value = request.value.ok_or(FaultKind::Empty)?;
    let (call, expected) = call_of(&value);
    if let Some(expected) = expected {
        if *kind == ConnectionKind::Unnamed {
            *kind = expected;
        } else if *kind != expected {
            return Err(FaultKind::WrongConnection { expected });
        }
    }
    let answered = catch_unwind(AssertUnwindSafe(|| {
        let _one_at_a_time = writes(&value).then(|| lock(writer));
        dispatch(app, value)
    }));
    match answered {
        Ok(value) => Ok(Response { value: Some(value) }),
        Err(thrown) => Err(fault_of(call, thrown.as_ref())),
    }
}

fn fault_of(call: &'static str, thrown: &(dyn Any + Send)) -> FaultKind {
    if let Some(Refusal(text)) = thrown.downcast_ref::<Refusal>() {
        return FaultKind::Refused { call, text: text.clone() };
    }
    let text = thrown.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| thrown.downcast_ref::<String>().cloned());
    FaultKind::Panic { call, text: text.unwrap_or_else(|| "without a text".to_owned()) }
}

fn dispatch<A: Application>(app: &A, value: Value) -> response::Value {
    match value {
        Value::Echo(request) => response::Value::Echo(app.echo(request)),
        Value::Flush(_) => response::Value::Flush(app.flush()),
        Value::Info(request) => response::Value::Info(app.info(request)),
        Value::Query(request) => response::Value::Query(app.query(request)),
        Value::CheckTx(request) => response::Value::CheckTx(app.check_tx(request)),
        Value::InitChain(request) => response::Value::InitChain(app.init_chain(request)),
        Value::PrepareProposal(request) => response::Value::PrepareProposal(app.prepare_proposal(request)),
        Value::ProcessProposal(request) => response::Value::ProcessProposal(app.process_proposal(request)),
        Value::ExtendVote(request) => response::Value::ExtendVote(app.extend_vote(request)),
        Value::VerifyVoteExtension(request) => response::Value::VerifyVoteExtension(app.verify_vote_extension(request)),
        Value::FinalizeBlock(request) => response::Value::FinalizeBlock(app.finalize_block(request)),
        Value::Commit(_) => response::Value::Commit(app.commit()),
        Value::ListSnapshots(_) => response::Value::ListSnapshots(app.list_snapshots()),
        Value::OfferSnapshot(request) => response::Value::OfferSnapshot(app.offer_snapshot(request)),
        Value::LoadSnapshotChunk(request) => response::Value::LoadSnapshotChunk(app.load_snapshot_chunk(request)),
        Value::ApplySnapshotChunk(request) => response::Value::ApplySnapshotChunk(app.apply_snapshot_chunk(request)),
    }
}
