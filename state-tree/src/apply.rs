//! [`Tree::apply`]: the next version from a batch of changes, in one pass, hashes included.
//!
//! The batch is cut along the tree into pieces ([`plan`]); each piece's subtree is rebuilt ([`rebuild`]), and the pieces
//! are joined. Subtrees without a change are shared with the older version. Two threads take pieces of a large batch.

use std::ops::Range;
use std::sync::Arc;

use crate::batch::{self, Batch, BatchError};
use crate::locate::{Effect, Op, locate};
use crate::node::Child;
use crate::plan::{Part, Work, plan};
use crate::rebuild::{join, rebuild};
use crate::tree::Tree;
use crate::workers;

/// A second thread pays from this many changes on: in a million records it gains nothing at 64 and a quarter at 256.
const SHARED_CHANGES_MIN: usize = 128;
/// Most changes in a piece: what is read for them stays in the processor's second cache until they are made, and a large
/// batch has enough pieces for two threads to end at nearly the same time.
const PIECE_CHANGES_MAX: usize = 64;

impl Tree {
    /// The next version: `batch` applied to this one, which stays as it is.
    ///
    /// Keys must be strictly ascending, 1 to [`KEY_BYTES_MAX`](crate::KEY_BYTES_MAX) bytes long, and values not empty;
    /// `None` deletes, and deleting an absent key does nothing. Two threads work on large batches. If nothing changes,
    /// the result is this same version.
    pub fn apply(&self, batch: Batch) -> Result<Self, BatchError> {
        self.apply_on(workers::available(), batch)
    }

    /// As [`apply`](Self::apply), on at most `threads` threads; the result is the same for any number.
    pub fn apply_on(&self, threads: usize, batch: Batch) -> Result<Self, BatchError> {
        batch::check(&batch)?;
        let threads = if batch.len() < SHARED_CHANGES_MIN { 1 } else { threads };
        let batch = Arc::new(batch);
        let parts = plan(Work { old: self.top(), changes: &batch }, PIECE_CHANGES_MAX);
        let works = parts.iter().filter_map(Part::piece);
        let made: Vec<Made> =
            if threads < 2 { works.map(make).collect() } else { workers::share(pieces(works), on(Arc::clone(&batch))) };
        if !made.iter().any(|piece| piece.changed) {
            return Ok(self.clone());
        }
        let count = |of: fn(&Made) -> u64| made.iter().map(of).sum::<u64>();
        let len = self.len().saturating_add(count(|piece| piece.inserted)).saturating_sub(count(|piece| piece.deleted));
        Ok(Self::from_parts(assemble(&parts, made.into_iter().map(|piece| piece.subtree)), len))
    }
}

/// A piece for any thread: its subtree, which the version before holds as long as it is worked on, and its changes' places
/// in the batch.
struct Piece {
    old: Option<Child>,
    changes: Range<usize>,
}

/// Each change falls into one piece, and they come in order.
fn pieces<'t>(works: impl Iterator<Item = Work<'t>>) -> Vec<Piece> {
    let mut end = 0usize;
    works
        .map(|work| {
            let start = end;
            end = start.saturating_add(work.changes.len());
            Piece { old: work.old.cloned(), changes: start..end }
        })
        .collect()
}

/// Makes pieces of a batch.
fn on(batch: Arc<Batch>) -> impl Fn(Piece) -> Made {
    move |Piece { old, changes }| make(Work { old: old.as_ref(), changes: batch.get(changes).unwrap_or_default() })
}

/// A piece, done.
struct Made {
    subtree: Option<Child>,
    changed: bool,
    inserted: u64,
    deleted: u64,
}

fn make(piece: Work<'_>) -> Made {
    let mut ops: Vec<Op<'_>> = piece.changes.iter().map(|(key, value)| Op::new(key, value.as_deref())).collect();
    if let Some(old) = piece.old {
        locate(old, &mut ops);
    }
    ops.retain(|op| op.effect != Effect::Nothing);
    let count = |effect| ops.iter().filter(|op| op.effect == effect).count() as u64;
    Made {
        subtree: rebuild(piece.old, &ops),
        changed: !ops.is_empty(),
        inserted: count(Effect::Insert),
        deleted: count(Effect::Delete),
    }
}

/// Joins the pieces as planned.
fn assemble(parts: &[Part<'_>], mut pieces: impl Iterator<Item = Option<Child>>) -> Option<Child> {
    let mut built: Vec<Option<Child>> = Vec::new();
    for part in parts {
        let subtree = match part {
            Part::Piece(_) => pieces.next().flatten(),
            Part::Unchanged(subtree) => Some((*subtree).clone()),
            Part::Join(pos) => {
                let right = built.pop().flatten();
                let left = built.pop().flatten();
                join(*pos, left, right)
            }
        };
        built.push(subtree);
    }
    built.pop().flatten()
}
