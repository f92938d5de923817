//! `db3 epoch`: the epochs of the shards, and whether they are settled.

use std::collections::BTreeMap;

use super::args::{EpochChoice, EpochCommand};
use super::bill::{OnShard, epoch_on, shards};
use super::failure::Failure;
use super::render;
use super::session::Session;
use super::value::{Object, Value};
use crate::{BillStatus, Client, EpochView};

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

/// How far settlement is: the last close that it has from each shard, and the epoch of the newest round.
struct Settled {
    closes: BTreeMap<u32, u64>,
    round: Option<u64>,
}

impl Settled {
    async fn of(client: &Client) -> Result<Self, Failure> {
        if client.network().settlement().is_none() {
            return Ok(Self { closes: BTreeMap::new(), round: None });
        }
        let shards = client.settlement_shards().await?.value;
        let closes = shards.iter().filter_map(|(shard, leaf)| Some((shard.get(), leaf.last_close?.get())));
        let round = client.round().await?.value;
        Ok(Self { closes: closes.collect(), round: round.settled.map(db3_primitives::Epoch::get) })
    }

    /// An epoch is settled when its close has arrived and a round of its epoch, or of a later one, has ended.
    fn status(&self, shard: u32, epoch: &EpochView) -> BillStatus {
        let told = epoch.message.status();
        let arrived = self.closes.get(&shard).is_some_and(|last| *last >= epoch.last());
        let is_settled = arrived && self.round.is_some_and(|round| round >= epoch.last());
        if told == BillStatus::Closed && is_settled { BillStatus::Settled } else { told }
    }
}

/// `db3 epoch`
pub async fn epoch(session: &Session, command: &EpochCommand) -> Result<(), Failure> {
    let client = session.client().await?;
    let settled = Settled::of(&client).await?;
    let mut list = session.output.list(COLUMNS);
    match command {
        EpochCommand::List { shard, limit } => {
            let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
            for shard in shards(&client, *shard)? {
                for epoch in client.epochs(shard, limit).await? {
                    list.push(&render(shard, &epoch, &settled))?;
                }
            }
            list.finish("no epochs")
        }
        EpochCommand::Show { epoch, shard } => {
            for shard in shards(&client, *shard)? {
                let number = match epoch_on(&client, shard, Some(*epoch)).await? {
                    Some(OnShard::Number(number)) => Some(number),
                    Some(OnShard::Any) | None => continue,
                };
                let number = if *epoch == EpochChoice::Open { None } else { number };
                let view = client.epoch(shard, number).await?;
                let proven = view.close.is_some() && view.at.as_ref().is_some_and(|at| at.verified);
                let waits = view.close.is_none() && view.message.status() != BillStatus::Open;
                list.push(&render(shard, &view, &settled).with("verified", proven).with("closing", waits))?;
            }
            list.finish("no such epoch")
        }
    }
}

fn render(shard: u32, epoch: &EpochView, settled: &Settled) -> Object {
    let mut object = Object::new();
    for (name, value) in render::epoch(shard, epoch).fields() {
        let status = || Value::Enum(settled.status(shard, epoch).as_str_name(), "BILL_STATUS_");
        object = object.with(name, if *name == "status" { status() } else { value.clone() });
    }
    object.with("arrived", settled.closes.get(&shard).is_some_and(|last| *last >= epoch.last()))
}
