//! `db3 governance propose`: from options to a proposal's file.

use std::collections::BTreeSet;
use std::path::Path;

use db3_carry::Peer;
use db3_governance::{Action, CatchUp, Parameter, Proposal, Replacement, SignedProposal, Validator};
use db3_light_client::Options;
use db3_merkle_log::Frontier;
use db3_network::parse_public;
use db3_primitives::hash::parse_hash;
use db3_primitives::{Address, ChainId, Epoch, Height, PriceTable, ShardId, Tai};
use serde::Deserialize;

use super::newcomer::{self, Newcomer};
use super::{accounts, chain_of, file};
use crate::cli::args::ProposeArgs;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::{Client, ClientError, GovernanceView};

/// Number of the rejection of other validators where the embedded engine runs.
const GOVERNANCE_ENGINE: u32 = 233;

/// `db3 governance propose`
pub async fn propose(session: &Session, args: &ProposeArgs) -> Result<(), Failure> {
    if args.file.exists() && !session.confirm(&format!("{} exists already; replace it?", args.file.display()))? {
        return Err(Failure::input(
            format!("{} exists already", args.file.display()),
            "choose another file, or give --yes",
        ));
    }
    let client = session.client().await?;
    let chain_id = chain_of(&client, args.shard)?;
    let governance = client.governance(&chain_id).await?.value;
    if governance.leaf.is_none() {
        return Err(db3_primitives::Rejection::GovernanceUnavailable { chain_id }.into());
    }
    let asked = Asked { session, client: &client, args, chain_id: &chain_id, governance: &governance };
    let now = asked.block_time_secs().await?;
    let proposal = Proposal {
        sequence: governance.next_sequence(),
        at_height: Height::new(args.at.unwrap_or(0)),
        expire_unix_secs: now.saturating_add(args.expires_in.as_secs()),
        actions: asked.actions().await?,
        chain_id: chain_id.clone(),
    };
    // What is beyond the limits, and what the chain would refuse, is told here and not to those who signed it.
    let proposal = Proposal::from_bytes(&proposal.to_bytes())?;
    accounts::check(client.network(), &proposal.actions)?;
    // The chain itself says whether it could be done, so that nobody signs what never can.
    match client.rehearse_governance(&proposal).await {
        // It may be for when the network has moved, and nothing else is wrong with it.
        Err(ClientError::Rejected(refusal)) if refusal.code == GOVERNANCE_ENGINE => {
            Failure::from(ClientError::Rejected(refusal)).warn(session);
        }
        rehearsed => _ = rehearsed?,
    }
    session.output.say(&proposal.signing_text());
    file::write(&args.file, &SignedProposal::unsigned(proposal))?;
    let file = args.file.display();
    session.output.say(&format!("written to {file}; sign it with `db3 governance sign {file}`"));
    Ok(())
}

/// What is asked for.
struct Asked<'a> {
    session: &'a Session,
    client: &'a Client,
    args: &'a ProposeArgs,
    chain_id: &'a ChainId,
    governance: &'a GovernanceView,
}

impl Asked<'_> {
    /// The chain's time, which a devnet's may be far from this machine's.
    async fn block_time_secs(&self) -> Result<u64, Failure> {
        let status = match self.args.shard {
            Some(shard) => self.client.status(shard).await?,
            None => self.client.settlement_status().await?,
        };
        let time = status.block_time.as_ref().and_then(db3_proto::convert::block_time);
        Ok(time.map_or(0, |time| time.secs))
    }

    async fn actions(&self) -> Result<Vec<Action>, Failure> {
        let args = self.args;
        let mut actions: Vec<Action> =
            args.cancel.iter().map(|sequence| Action::Cancel { sequence: *sequence }).collect();
        let newcomers = args.add_validator.iter().map(|text| Newcomer::read(text)).collect::<Result<Vec<_>, _>>()?;
        for newcomer in &newcomers {
            actions.push(newcomer.action(self.client.network(), self.chain_id, self.governance)?);
        }
        for text in &args.set_validator {
            actions.push(self.validator(text)?);
        }
        for text in &args.remove_validator {
            actions.push(Action::RemoveValidator { key: key(text)? });
        }
        for text in &args.set {
            actions.push(parameter(text)?);
        }
        if let Some(text) = &args.prices {
            actions.push(self.prices(text).await?);
        }
        if let Some(text) = &args.treasury {
            actions.push(Action::SetTreasury { treasury: self.account(text)? });
        }
        for text in &args.trust {
            let (account, amount) = halves(text, '=', "--trust", "ACCOUNT=AMOUNT")?;
            let trust = Tai::parse_with_unit(amount);
            let trust = trust.map_err(|error| Failure::input(error.to_string(), "write it as 5db3 or 300tai"))?;
            actions.push(Action::SetTrust { account: self.account(account)?, trust });
        }
        actions.extend(self.payouts(&newcomers).await?);
        if let Some(source) = &args.replace_channel {
            actions.push(self.replacement(source).await?);
        }
        Ok(actions)
    }

    fn account(&self, name: &str) -> Result<Address, Failure> {
        let network = self.session.network()?;
        Ok(self.session.account_named(name, Some(&network))?.address)
    }

    fn validator(&self, text: &str) -> Result<Action, Failure> {
        let parts: Vec<&str> = text.split(':').collect();
        let [validator, power, operator, payout] = parts.as_slice() else {
            return Err(unreadable("--set-validator", text, "KEY:POWER:OPERATOR:PAYOUT"));
        };
        let power = power.parse().map_err(|_| unreadable("--set-validator", text, "KEY:POWER:OPERATOR:PAYOUT"))?;
        let (operator, payout) = (self.account(operator)?, self.account(payout)?);
        Ok(Action::SetValidator(Validator { key: key(validator)?, power, operator, payout }))
    }

    async fn prices(&self, text: &str) -> Result<Action, Failure> {
        let wrong = || unreadable("--prices", text, "five numbers of tai: 2000,5,500,20,20");
        let prices: Vec<Tai> = text.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
        let [per_mutation, per_byte_in, per_operation, per_key_byte, per_byte_stored] = *prices.as_slice() else {
            return Err(wrong());
        };
        let known = match self.args.shard {
            Some(shard) => self.client.params(shard).await?.value.prices,
            None => self.client.settlement_params().await?.value.prices,
        };
        let version = known.version.saturating_add(1);
        let table = PriceTable { version, per_mutation, per_byte_in, per_operation, per_key_byte, per_byte_stored };
        Ok(Action::SetPrices(table))
    }

    /// Who is to share in what shards earn: as is asked for, and, on the settlement chain, newcomers on every other shard.
    async fn payouts(&self, newcomers: &[Newcomer]) -> Result<Vec<Action>, Failure> {
        let form = "SHARD=ACCOUNT:POWER,ACCOUNT:POWER, or SHARD=validators";
        let mut actions = Vec::new();
        let mut named = BTreeSet::new();
        for text in &self.args.payouts {
            let (shard, recipients) = halves(text, '=', "--payouts", form)?;
            let shard = ShardId::new(shard.parse().map_err(|_| unreadable("--payouts", text, form))?);
            named.insert(shard);
            let recipient = |part: &str| {
                let (account, power) = halves(part, ':', "--payouts", form)?;
                let power = power.parse().map_err(|_| unreadable("--payouts", text, form))?;
                Ok((self.account(account)?, power))
            };
            actions.push(match recipients {
                "validators" => newcomer::share(self.client, shard, newcomers).await?,
                _ => Action::SetPayouts {
                    shard,
                    recipients: recipients.split(',').map(recipient).collect::<Result<_, Failure>>()?,
                },
            });
        }
        if self.args.shard.is_none() && !newcomers.is_empty() {
            let shards = self.client.network().shards().map(|entry| ShardId::new(entry.index));
            for shard in shards.filter(|shard| !named.contains(shard)) {
                actions.push(newcomer::share(self.client, shard, newcomers).await?);
            }
        }
        Ok(actions)
    }

    async fn replacement(&self, source: &str) -> Result<Action, Failure> {
        let source: ChainId = source.parse()?;
        let inbox = self.client.inbox(self.chain_id, &source).await?;
        let root = self.client.newest_root(&source).await?;
        let period = self.args.trusting_period.map(|period| period.as_secs());
        let period = period.unwrap_or(inbox.message.trusting_period_secs);
        let options = Options::new(period, self.args.clock_drift.as_secs());
        let options = options.map_err(|error| Failure::input(error.to_string(), "give other times"))?;
        let peer = Peer { root, options };
        let (inbox, catch_up) = match &self.args.catch_up {
            None => (inbox.frontier, None),
            Some(path) => read_catch_up(path).map(|(inbox, catch_up)| (inbox, Some(catch_up)))?,
        };
        self.session.output.say(&format!(
            "the validators of {source} are what its node says now: compare them with what you know before you sign"
        ));
        Ok(Action::ReplaceChannel(Box::new(Replacement { peer: peer.claim(), inbox, catch_up })))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatchUpFile {
    inbox: String,
    last_epoch: u64,
    close_hash: String,
    statements: Vec<StatementLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatementLine {
    account: String,
    cumulative_tai: String,
}

fn read_catch_up(path: &Path) -> Result<(Frontier, CatchUp), Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
    let wrong = |what: String| {
        Failure::input(
            format!("{}: {what}", path.display()),
            "give inbox, last_epoch, close_hash and statements as JSON",
        )
    };
    let file: CatchUpFile = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let inbox = file::bytes(&file.inbox).ok_or_else(|| wrong("inbox is not 0x and hexadecimal digits".to_owned()))?;
    let inbox = Frontier::from_bytes(&inbox).map_err(|error| wrong(error.to_string()))?;
    let hash = parse_hash(&file.close_hash).map_err(|error| wrong(error.to_string()))?;
    let statement = |line: &StatementLine| {
        let account: Address = line.account.parse().map_err(|error| wrong(format!("{error}")))?;
        let sum: Tai = line.cumulative_tai.parse().map_err(|error| wrong(format!("{error}")))?;
        Ok((account, sum))
    };
    let mut statements = file.statements.iter().map(statement).collect::<Result<Vec<_>, Failure>>()?;
    statements.sort_unstable();
    Ok((inbox, CatchUp { last: Epoch::new(file.last_epoch), hash, statements }))
}

/// `NAME=VALUE`
fn parameter(text: &str) -> Result<Action, Failure> {
    let (name, value) = halves(text, '=', "--set", "NAME=VALUE")?;
    let parameter = Parameter::from_name(name).ok_or_else(|| {
        let names = Parameter::ALL.map(Parameter::name).join(", ");
        Failure::input(format!("there is no parameter {name}"), format!("give one of: {names}"))
    })?;
    let value = value.parse().map_err(|_| unreadable("--set", text, "NAME=VALUE, the value a whole number"))?;
    Ok(Action::SetParameter { parameter, value })
}

/// An ed25519 key in hex, with or without `0x`, or in base64.
fn key(text: &str) -> Result<[u8; 32], Failure> {
    parse_public(text.strip_prefix("0x").unwrap_or(text)).ok_or_else(|| {
        Failure::input(
            format!("{text} is no validator's key"),
            "give its 64 hexadecimal digits, or base64 as CometBFT's priv_validator_key.json has it under pub_key",
        )
    })
}

fn halves<'t>(text: &'t str, at: char, option: &str, form: &str) -> Result<(&'t str, &'t str), Failure> {
    text.split_once(at).ok_or_else(|| unreadable(option, text, form))
}

fn unreadable(option: &str, text: &str, form: &str) -> Failure {
    Failure::input(format!("{option} {text} cannot be read"), format!("write it as {form}"))
}
