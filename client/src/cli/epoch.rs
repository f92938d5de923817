//! `db3 epoch`: the epochs of the shards, and whether they are settled.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::num::NonZeroU64;

use db3_primitives::{BlockTime, Epoch, Rejection};

use super::args::{EpochChoice, EpochCommand};
use super::bill::end_of_history;
use super::failure::{Exit, Failure};
use super::on_shard::{EPOCH_NOT_FOUND, OnShard, epoch_on, no_such_epoch, shards};
use super::render;
use super::session::Session;
use super::unanswered::Missing;
use super::value::{Object, Value};
use crate::{BillStatus, Client, ClientError, EpochList, EpochView, Unanswered};

const COLUMNS: &[&str] = &[
    "shard",
    "epoch",
    "last_epoch",
    "status",
    "start_time",
    "first_height",
    "last_height",
    "bill_count",
    "statement_count",
    "total_tai",
];

/// How far settlement is: the epoch of the newest round, what its parameters say of late shards, and when each close
/// arrived.
struct Settled {
    round: Option<Epoch>,
    deadline_secs: u64,
    epoch_secs: NonZeroU64,
    /// Newest epoch that each shard has closed.
    closes: BTreeMap<u32, u64>,
    /// When the close of a shard's epoch arrived.
    arrivals: BTreeMap<(u32, u64), BlockTime>,
}

impl Settled {
    /// None where the network has no settlement chain, or it does not answer.
    async fn of(client: &Client, missing: &mut Missing) -> Result<Option<Self>, Failure> {
        const LACK: &str = "whether epochs are settled is not shown";
        if client.network().settlement().is_none() {
            return Ok(None);
        }
        let params = match client.settlement_params().await {
            Ok(params) => params,
            Err(error) => {
                // Epochs are the shards' to tell: that settlement answers is no answer yet.
                missing.add([Unanswered::of(error)?], LACK);
                return Ok(None);
            }
        };
        let shards = client.settlement_shards().await?.value;
        let closes = shards.iter().filter_map(|(shard, leaf)| Some((shard.get(), leaf.last_close?.get())));
        Ok(Some(Self {
            round: client.round().await?.value.settled,
            deadline_secs: params.value.deadline_secs,
            epoch_secs: params.value.epoch_secs,
            closes: closes.collect(),
            arrivals: BTreeMap::new(),
        }))
    }

    /// Learns when a shard's closes arrived, from the one of an epoch on, newest first.
    async fn learn(&mut self, client: &Client, shard: u32, from: Option<u64>, limit: usize) -> Result<(), ClientError> {
        for one in client.arrived_closes(shard, from, limit).await? {
            if let Some(time) = one.received_time {
                self.arrivals.insert((shard, one.close.last.get()), time);
            }
        }
        Ok(())
    }

    fn has_arrived(&self, shard: u32, epoch: &EpochView) -> bool {
        self.closes.get(&shard).is_some_and(|last| *last >= epoch.last())
    }

    /// An epoch is settled when a round has ended that found its close there.
    fn status(&self, shard: u32, epoch: &EpochView) -> BillStatus {
        let told = epoch.message.status();
        let round = self.arrivals.get(&(shard, epoch.last())).and_then(|time| self.round_for(epoch.last(), time.secs));
        let is_settled = round.is_some_and(|round| self.round >= Some(round));
        if told == BillStatus::Closed && is_settled && self.has_arrived(shard, epoch) {
            BillStatus::Settled
        } else {
            told
        }
    }

    /// The first round that surely finds a close there which arrived at this time. As long as a shard has not closed an
    /// epoch, the round of that epoch waits for it, until its deadline; a late close joins the next.
    fn round_for(&self, last: u64, arrived_secs: u64) -> Option<Epoch> {
        let end = Epoch::new(last).next()?.start_secs(self.epoch_secs)?;
        let late_secs = arrived_secs.saturating_sub(end.checked_add(self.deadline_secs)?);
        // At the deadline itself the round may have begun: it is the next that is sure.
        let is_late = arrived_secs >= end.checked_add(self.deadline_secs)?;
        let missed = if is_late { late_secs.checked_div(self.epoch_secs.get())?.checked_add(1)? } else { 0 };
        last.checked_add(missed).map(Epoch::new)
    }
}

/// No epoch has closed yet, and when the first one does.
async fn none_closed(client: &Client, shard: u32) -> Result<Failure, Failure> {
    let open = client.epoch(shard, None).await?;
    let end = open.end().map_or_else(|| "no time".to_owned(), |time| time.rfc3339());
    let number = open.message.epoch;
    let failure = Failure::new(
        Exit::Refused,
        format!("no epoch has closed on shard {shard} yet"),
        format!(
            "epoch {number} is open and closes with the first block from {end} on; on a local network `db3 devnet advance SECS` brings that nearer"
        ),
    );
    Ok(failure.numbered(Rejection::EpochNotFound { epoch: Epoch::new(number) }))
}

/// `db3 epoch`
pub async fn epoch(session: &Session, command: &EpochCommand) -> Result<(), Failure> {
    let client = session.client().await?;
    let mut missing = Missing::default();
    let mut settled = Settled::of(&client, &mut missing).await?;
    let (EpochCommand::List { shard: only, .. } | EpochCommand::Show { shard: only, .. }) = command;
    let mut rows = Vec::new();
    let mut cut = Vec::new();
    let mut answered = false;
    let mut not_closed = None;
    for shard in shards(&client, *only)? {
        let listed = match command {
            EpochCommand::List { limit, .. } => list(&client, shard, *limit, &mut settled, &mut cut).await,
            EpochCommand::Show { epoch, .. } => show(&client, shard, *epoch, &mut settled).await,
        };
        match listed {
            Ok(found) => {
                answered = true;
                if found.is_empty() {
                    not_closed.get_or_insert(shard);
                }
                rows.extend(found.into_iter().map(|(epoch, object)| ((Reverse(epoch), shard), object)));
            }
            Err(ClientError::Rejected(refusal)) if refusal.code == EPOCH_NOT_FOUND => {
                return Err(no_such_epoch(shard, refusal));
            }
            Err(error) => missing.add([Unanswered::of(error)?], "its epochs are not shown"),
        }
    }
    let mut list = session.output.list(COLUMNS);
    if answered {
        missing.answered();
        if let (EpochCommand::Show { .. }, Some(shard), true) = (command, not_closed, rows.is_empty()) {
            return Err(none_closed(&client, shard).await?);
        }
        rows.sort_by_key(|(place, _)| *place);
        rows.into_iter().try_for_each(|(_, row)| list.push(&missing.mark(row)))?;
        list.finish("no such epoch")?;
    }
    missing.say(session)?;
    end_of_history(session, cut)
}

async fn list(
    client: &Client,
    shard: u32,
    limit: u64,
    settled: &mut Option<Settled>,
    cut: &mut Vec<ClientError>,
) -> Result<Vec<(u64, Object)>, ClientError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let EpochList { epochs, missing } = client.epochs(shard, limit).await?;
    cut.extend(missing);
    if let Some(settled) = settled {
        settled.learn(client, shard, None, limit).await?;
    }
    Ok(epochs.iter().map(|epoch| (epoch.message.epoch, render(shard, epoch, settled.as_ref()))).collect())
}

async fn show(
    client: &Client,
    shard: u32,
    epoch: EpochChoice,
    settled: &mut Option<Settled>,
) -> Result<Vec<(u64, Object)>, ClientError> {
    let number = match epoch {
        EpochChoice::Open => None,
        EpochChoice::Number(number) => Some(number),
        EpochChoice::Last => match epoch_on(client, shard, Some(epoch)).await? {
            Some(OnShard::Number(number)) => Some(number),
            Some(OnShard::Any) | None => return Ok(Vec::new()),
        },
    };
    let view = client.epoch(shard, number).await?;
    if let Some(settled) = settled {
        settled.learn(client, shard, Some(view.last()), 1).await?;
    }
    let proven = view.close.is_some() && view.at.as_ref().is_some_and(|at| at.verified);
    let waits = view.close.is_none() && view.message.status() != BillStatus::Open;
    let object = render(shard, &view, settled.as_ref()).with("verified", proven).with("closing", waits);
    Ok(vec![(view.message.epoch, object)])
}

fn render(shard: u32, epoch: &EpochView, settled: Option<&Settled>) -> Object {
    let mut object = Object::new();
    for (name, value) in render::epoch(shard, epoch).fields() {
        let status = settled.map_or(epoch.message.status(), |settled| settled.status(shard, epoch));
        let status = || Value::Enum(status.as_str_name(), "BILL_STATUS_");
        object = object.with(name, if *name == "status" { status() } else { value.clone() });
    }
    object.with_some("arrived", settled.map(|settled| settled.has_arrived(shard, epoch)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_close_is_settled_by_the_round_that_finds_it() {
        let settled = Settled {
            round: None,
            deadline_secs: 300,
            epoch_secs: NonZeroU64::MIN.saturating_add(599),
            closes: BTreeMap::new(),
            arrivals: BTreeMap::new(),
        };
        let round = |arrived_secs| settled.round_for(10, arrived_secs).map(Epoch::get);
        // Epoch 10 ends at 6 600, and its round waits for a shard until 6 900.
        assert_eq!((round(6_601), round(6_899)), (Some(10), Some(10)), "in time");
        assert_eq!(
            (round(6_900), round(7_499)),
            (Some(11), Some(11)),
            "the round of epoch 11 begins at 7 500 without it"
        );
        assert_eq!(round(7_500), Some(12));
    }
}
