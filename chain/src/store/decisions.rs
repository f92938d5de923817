//! What became of what operators decided: the state keeps what waits, these rows what was accepted and how it ended.
//!
//! Rows `decision/` ‖ number of the transaction (8) of `meta`: identifier (32) ‖ height of the block that accepted it, 0
//! where this folder's history begins later (8) ‖ height of its change (8) ‖ how it ended: 0 it waits, 1 done, 2 dropped, 3
//! taken back (1) ‖ height of the block in which it ended (8) ‖ number of the transaction that took it back (8) ‖
//! `db3.v1.Rejection`, why it was dropped. A node that came by a snapshot has them from there on.

use db3_governance::Report;
use db3_primitives::{Height, Identifier};
use db3_proto::{status, v1};
use prost::Message as _;
use rocksdb::{Direction, IteratorMode, WriteBatch};

use super::{Family, Row, Store, StoreError};

const PREFIX: &[u8] = b"decision/";

/// A governance transaction that a block accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionRow {
    /// Its number.
    pub sequence: u64,
    /// Its identifier.
    pub id: Identifier,
    /// The block that accepted it; none where this folder's history begins later.
    pub accepted: Option<Height>,
    /// The block that begins with its change.
    pub at_height: Height,
    /// How it ended, and in which block; none while it waits.
    pub ended: Option<(Height, DecisionEnd)>,
}

/// How a decision ended.
#[derive(Clone, Debug, PartialEq)]
pub enum DecisionEnd {
    /// Its change was made.
    Done,
    /// Nothing of it could be done any more, and why.
    Dropped(Box<v1::Rejection>),
    /// A later decision took it back.
    Cancelled {
        /// The number of that one.
        by: u64,
    },
}

fn row_key(sequence: u64) -> Vec<u8> {
    [PREFIX, &sequence.to_be_bytes()].concat()
}

impl DecisionRow {
    fn to_bytes(&self) -> Vec<u8> {
        let (kind, height, by, why) = match &self.ended {
            None => (0, Height::new(0), 0, Vec::new()),
            Some((height, DecisionEnd::Done)) => (1, *height, 0, Vec::new()),
            Some((height, DecisionEnd::Dropped(why))) => (2, *height, 0, why.encode_to_vec()),
            Some((height, DecisionEnd::Cancelled { by })) => (3, *height, *by, Vec::new()),
        };
        let accepted = self.accepted.unwrap_or(Height::new(0));
        [
            self.id.as_bytes().as_slice(),
            &accepted.get().to_be_bytes(),
            &self.at_height.get().to_be_bytes(),
            &[kind],
            &height.get().to_be_bytes(),
            &by.to_be_bytes(),
            &why,
        ]
        .concat()
    }

    fn from_bytes(key: &[u8], bytes: &[u8]) -> Result<Self, StoreError> {
        let mut row = Row::new("decision", key, bytes);
        let sequence = key.strip_prefix(PREFIX).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes);
        let sequence = sequence.ok_or_else(|| row.damaged("has no number"))?;
        let id = Identifier(row.hash()?);
        let (accepted, at_height) = (Height::new(row.u64()?), Height::new(row.u64()?));
        let [kind] = row.array()?;
        let (height, by) = (Height::new(row.u64()?), row.u64()?);
        let (unknown, malformed) = (row.damaged("ended in no way that is known"), row.damaged("names no reason"));
        let why = row.rest();
        let ended = match kind {
            0 => None,
            1 => Some((height, DecisionEnd::Done)),
            2 => Some((height, DecisionEnd::Dropped(Box::new(v1::Rejection::decode(why).map_err(|_| malformed)?)))),
            3 => Some((height, DecisionEnd::Cancelled { by })),
            _ => return Err(unknown),
        };
        Ok(Self { sequence, id, accepted: Some(accepted).filter(|height| height.get() > 0), at_height, ended })
    }
}

impl Store {
    /// Notes what governance did in the block of this height. The block began with what was due.
    pub(crate) fn add_decisions(
        &self,
        batch: &mut WriteBatch,
        height: Height,
        report: &Report,
    ) -> Result<(), StoreError> {
        for applied in &report.applied {
            let end = match &applied.failure {
                None => DecisionEnd::Done,
                Some(rejection) => DecisionEnd::Dropped(Box::new(status::to_message(rejection, None))),
            };
            let known = self.decision(applied.sequence)?;
            let accepted = known.and_then(|row| row.accepted);
            let (sequence, id, at_height) = (applied.sequence, applied.id, height);
            self.add_decision(batch, &DecisionRow { sequence, id, accepted, at_height, ended: Some((height, end)) })?;
        }
        for cancelled in &report.cancelled {
            let known = self.decision(cancelled.sequence)?;
            let accepted = known.and_then(|row| row.accepted);
            let (sequence, id, at_height) = (cancelled.sequence, cancelled.id, cancelled.at_height);
            let ended = Some((height, DecisionEnd::Cancelled { by: cancelled.by }));
            self.add_decision(batch, &DecisionRow { sequence, id, accepted, at_height, ended })?;
        }
        for accepted in &report.accepted {
            let (sequence, id, at_height) = (accepted.sequence, accepted.id, accepted.at_height);
            self.add_decision(batch, &DecisionRow { sequence, id, accepted: Some(height), at_height, ended: None })?;
        }
        Ok(())
    }

    fn add_decision(&self, batch: &mut WriteBatch, row: &DecisionRow) -> Result<(), StoreError> {
        batch.put_cf(self.family(Family::Meta)?, row_key(row.sequence), row.to_bytes());
        Ok(())
    }

    fn decision(&self, sequence: u64) -> Result<Option<DecisionRow>, StoreError> {
        let key = row_key(sequence);
        self.get(Family::Meta, &key)?.map(|bytes| DecisionRow::from_bytes(&key, &bytes)).transpose()
    }

    /// The newest decisions that blocks up to this height accepted, at most `limit`, newest first. What ended later waits.
    pub fn decisions(&self, height: Height, limit: usize) -> Result<Vec<DecisionRow>, StoreError> {
        let newest = row_key(u64::MAX);
        let mut found = Vec::new();
        for row in self.rows(Family::Meta, IteratorMode::From(&newest, Direction::Reverse))? {
            let (key, value) = row?;
            if found.len() >= limit || !key.starts_with(PREFIX) {
                break;
            }
            let mut row = DecisionRow::from_bytes(&key, &value)?;
            if row.accepted.is_some_and(|accepted| accepted > height) {
                continue;
            }
            row.ended = row.ended.filter(|(ended, _)| *ended <= height);
            found.push(row);
        }
        Ok(found)
    }
}
