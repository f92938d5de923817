//! `db3 governance`: what the operators of a chain decide together. A proposal is a file that goes from operator to
//! operator; each looks at what it says, and signs.

mod accounts;
mod file;
mod newcomer;
mod propose;

use std::path::Path;

use db3_genesis::NetworkFile;
use db3_governance::{MisbehaviourKind, SignedProposal};
use db3_primitives::{Address, BlockTime, ChainId, Scheme, ShardId};
use db3_proto::v1;

use super::args::GovernanceCommand;
use super::failure::Failure;
use super::render::{at, hex};
use super::session::Session;
use super::value::{Object, Value};
use crate::console::OutputFormat;
use crate::{Client, GovernanceView};

/// `db3 governance`
pub async fn governance(session: &Session, command: &GovernanceCommand) -> Result<(), Failure> {
    match command {
        GovernanceCommand::Propose(args) => propose::propose(session, args).await,
        GovernanceCommand::Sign { file } => sign(session, file).await,
        GovernanceCommand::Unsign { file, account } => unsign(session, file, account),
        GovernanceCommand::Submit { file } => submit(session, file).await,
        GovernanceCommand::Show { file: Some(file), .. } => show_file(session, file).await,
        GovernanceCommand::Show { file: None, shard } => {
            let client = session.client().await?;
            let chain_id = chain_of(&client, *shard)?;
            show(session, &client, &chain_id).await
        }
    }
}

/// The chain that is meant.
fn chain_of(client: &Client, shard: Option<u32>) -> Result<ChainId, Failure> {
    let network = client.network();
    let entry = match shard {
        Some(shard) => network.shard(ShardId::new(shard)),
        None => network.settlement(),
    };
    let what = || shard.map_or_else(|| "settlement chain".to_owned(), |shard| format!("shard {shard}"));
    entry.map(|entry| entry.chain_id.clone()).ok_or_else(|| {
        Failure::input(format!("the network {} has no {}", network.name, what()), "see `db3 status` for its chains")
    })
}

/// Signs raw: the text of the file is what the operator has read.
async fn sign(session: &Session, path: &Path) -> Result<(), Failure> {
    let mut signed = file::read(path)?;
    let network = session.network()?;
    let known = network.file.chains.iter().any(|entry| entry.chain_id == signed.proposal.chain_id);
    if !known {
        return Err(Failure::input(
            format!("the proposal is for {}, which is no chain of {}", signed.proposal.chain_id, network.file.name),
            "choose its network with --network",
        ));
    }
    session.output.say(&signed.proposal.signing_text());
    accounts::check(&network.file, &signed.proposal.actions)?;
    let key = session.signer(&network)?;
    if signed.signers()?.contains(&key.address()) {
        session.output.say(&format!("{} has signed it already", key.address()));
        return Ok(());
    }
    if !counts(session, network.file, &signed.proposal.chain_id, &key.address()).await? {
        return Err(Failure::input(
            "it was not signed",
            "choose the operator's account with --account: `db3 governance show` lists them",
        ));
    }
    signed.sign(&key, Scheme::Raw);
    file::write(path, &signed)?;
    session.output.say(&format!("{} has signed {}", key.address(), path.display()));
    Ok(())
}

/// Whether a signature of this account is wanted: one that is no operator's stands in the way of all others. A network
/// that nobody answers for is no hindrance: keys may be where no network is.
async fn counts(
    session: &Session,
    network: NetworkFile,
    chain_id: &ChainId,
    signer: &Address,
) -> Result<bool, Failure> {
    let asked = async { Ok::<_, Failure>(session.client_of(network).await?.governance(chain_id).await?) };
    match asked.await {
        Ok(answer) if answer.value.leaf.as_ref().is_none_or(|leaf| leaf.operated_by(signer).is_none()) => session
            .confirm(&format!(
                "{signer} operates no validator of {chain_id} now, and the chain refuses a proposal with such a signature; \
                 sign all the same?"
            )),
        Ok(_) => Ok(true),
        Err(failure) => {
            session.output.say(&format!("whether {signer} operates a validator of {chain_id} is not known: {failure}"));
            Ok(true)
        }
    }
}

/// Takes signatures out again, such as one that does not count.
fn unsign(session: &Session, path: &Path, account: &str) -> Result<(), Failure> {
    let mut signed = file::read(path)?;
    // An address needs no network.
    let network = session.network().ok();
    let account = session.account_named(account, network.as_ref())?.address;
    if signed.remove(&account)? == 0 {
        let names = signed.signers()?.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let names = if names.is_empty() { "nobody has".to_owned() } else { format!("who has: {names}") };
        return Err(Failure::input(
            format!("{account} has not signed {}", path.display()),
            format!("name one that has signed ({names})"),
        ));
    }
    file::write(path, &signed)?;
    session.output.say(&format!("the signature of {account} is no longer in {}", path.display()));
    Ok(())
}

async fn submit(session: &Session, path: &Path) -> Result<(), Failure> {
    let signed = file::read(path)?;
    let client = session.client().await?;
    let answer = client.submit_governance(&signed).await?;
    let object = Object::new()
        .with("id", hex(&answer.id))
        .with("chain_id", signed.proposal.chain_id.as_str())
        .with("sequence", signed.proposal.sequence)
        .with_some("height", Some(answer.height).filter(|height| *height > 0))
        .with_some("at_height", Some(answer.at_height).filter(|height| *height > 0));
    session.output.object(&object)
}

/// What a file says, and what its signatures are worth to the chain.
async fn show_file(session: &Session, path: &Path) -> Result<(), Failure> {
    let signed = file::read(path)?;
    let client = session.client().await?;
    let governance = client.governance(&signed.proposal.chain_id).await?.value;
    let object = proposal_object(&signed, &governance)?;
    if session.output.format == OutputFormat::Table {
        session.output.raw(format!("{}\n\n", signed.proposal.signing_text()).as_bytes())?;
    }
    session.output.object(&object)
}

fn proposal_object(signed: &SignedProposal, governance: &GovernanceView) -> Result<Object, Failure> {
    let proposal = &signed.proposal;
    let power = |signer: &Address| governance.leaf.as_ref().and_then(|leaf| leaf.operated_by(signer));
    let shown = |signer: &Address| {
        Value::Object(Object::new().with("operator", signer.to_string()).with("power", power(signer).unwrap_or(0)))
    };
    let signers = signed.signers()?;
    let total = governance.leaf.as_ref().map_or(0, db3_governance::GovernanceLeaf::total_power);
    let verdict = match &governance.leaf {
        None => Err(db3_primitives::Rejection::GovernanceUnavailable { chain_id: proposal.chain_id.clone() }),
        Some(leaf) => signed.check(leaf),
    };
    Ok(Object::new()
        .with("id", proposal.id().to_string())
        .with("chain_id", proposal.chain_id.as_str())
        .with("sequence", proposal.sequence)
        .with("next_sequence", governance.next_sequence())
        .with_some("at_height", Some(proposal.at_height.get()).filter(|height| *height > 0))
        .with("expire_time", BlockTime::from_secs(proposal.expire_unix_secs).to_string())
        .with("actions", proposal.actions.iter().map(|action| Value::from(action.to_string())).collect::<Vec<_>>())
        .with("signers", signers.iter().map(shown).collect::<Vec<_>>())
        .with("total_power", total)
        .with("enough", verdict.is_ok())
        .with_some("problem", verdict.err().map(|rejection| rejection.to_string())))
}

/// Who governs a chain.
async fn show(session: &Session, client: &Client, chain_id: &ChainId) -> Result<(), Failure> {
    let answer = client.governance(chain_id).await?;
    let governance = &answer.value;
    let validators: Vec<Object> =
        governance.leaf.iter().flat_map(db3_governance::GovernanceLeaf::validators).map(validator).collect();
    let scheduled: Vec<Object> = governance
        .scheduled
        .iter()
        .map(|(at_height, proposal)| {
            let actions = proposal.actions.iter().map(|action| Value::from(action.to_string())).collect::<Vec<_>>();
            Object::new().with("at_height", *at_height).with("sequence", proposal.sequence).with("actions", actions)
        })
        .collect();
    let decisions: Vec<Object> = governance.decisions.iter().map(decided).collect();
    let evidence: Vec<Object> = governance.evidence.iter().map(recorded).collect();
    let object = at(Object::new(), &answer.at).with("next_sequence", governance.next_sequence());
    if session.output.format != OutputFormat::Table {
        let object = object.with("validators", validators).with("scheduled", scheduled);
        let object = object.with("decisions", decisions).with("evidence", evidence);
        return session.output.object(&object);
    }
    session.output.object(&object)?;
    for (columns, rows, empty) in [
        (&["key", "power", "operator", "payout"][..], validators, "nobody governs this chain"),
        (&["at_height", "sequence", "actions"][..], scheduled, "nothing is scheduled"),
        (
            &["sequence", "state", "height", "at_height", "end_height", "why"][..],
            decisions,
            "this node knows of no decision",
        ),
        (
            &["validator", "key", "deed", "height", "recorded_height", "power", "removed"][..],
            evidence,
            "no validator misbehaved",
        ),
    ] {
        session.output.raw(b"\n")?;
        let mut list = session.output.list(columns);
        rows.iter().try_for_each(|row| list.push(row))?;
        list.finish(empty)?;
    }
    Ok(())
}

fn validator(validator: &db3_governance::Validator) -> Object {
    Object::new()
        .with("key", hex(&validator.key))
        .with("power", validator.power)
        .with("operator", validator.operator.to_string())
        .with("payout", validator.payout.to_string())
}

/// What became of a decision.
fn decided(decision: &v1::Decision) -> Object {
    let state = match decision.state() {
        v1::DecisionState::Scheduled => "scheduled",
        v1::DecisionState::Done => "done",
        v1::DecisionState::Dropped => "dropped",
        v1::DecisionState::Cancelled => "cancelled",
        v1::DecisionState::Unspecified => "unknown",
    };
    let why = decision.rejection.as_ref().map(|rejection| rejection.message.clone());
    let by = Some(decision.cancelled_by).filter(|by| *by > 0);
    Object::new()
        .with("sequence", decision.sequence)
        .with("id", hex(&decision.id))
        .with("state", state)
        .with_some("height", Some(decision.height).filter(|height| *height > 0))
        .with("at_height", decision.at_height)
        .with_some("end_height", Some(decision.end_height).filter(|height| *height > 0))
        .with_some("code", decision.rejection.as_ref().map(|rejection| u64::from(rejection.code)))
        .with_some("cancelled_by", by)
        .with_some("why", why.or_else(|| by.map(|by| format!("taken back by decision {by}"))))
}

fn recorded(evidence: &v1::ValidatorEvidence) -> Object {
    // Of one that had left before, the address is all that there is.
    let known = !evidence.key.is_empty();
    let deed = i32::try_from(evidence.kind).ok().and_then(MisbehaviourKind::from_number);
    Object::new()
        .with("validator", hex(&evidence.validator))
        .with_some("key", known.then(|| hex(&evidence.key)))
        .with("kind", evidence.kind)
        .with_some("deed", deed.map(MisbehaviourKind::text))
        .with("height", evidence.height)
        .with_some("time", evidence.time.as_ref().and_then(db3_proto::convert::block_time))
        .with("recorded_height", evidence.recorded_height)
        .with_some("power", known.then_some(evidence.power))
        .with_some("operator", known.then(|| hex(&evidence.operator)))
        .with("removed", evidence.removed)
}
