//! Cuts a batch along the tree into pieces that can be made independently.

use crate::bits::{BitPos, bit, first_difference};
use crate::node::{Child, Node};

/// A subtree and the changes that fall into it, in order of key.
#[derive(Clone, Copy)]
pub(crate) struct Work<'t> {
    pub(crate) old: Option<&'t Child>,
    pub(crate) changes: &'t [(Vec<u8>, Option<Vec<u8>>)],
}

/// A step of putting the tree together; each gives one subtree.
pub(crate) enum Part<'t> {
    Piece(Work<'t>),
    Unchanged(&'t Child),
    /// Joins what the two steps before gave, left and right.
    Join(BitPos),
}

impl<'t> Part<'t> {
    pub(crate) fn piece(&self) -> Option<Work<'t>> {
        match self {
            Part::Piece(work) => Some(*work),
            Part::Unchanged(_) | Part::Join(_) => None,
        }
    }
}

enum Task<'t> {
    Visit(Work<'t>),
    Join(BitPos),
}

/// Steps in the order in which they can be done: pieces of at most `piece_max` changes, and how to join them.
pub(crate) fn plan(whole: Work<'_>, piece_max: usize) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut tasks = vec![Task::Visit(whole)];
    while let Some(task) = tasks.pop() {
        match task {
            Task::Visit(Work { old: Some(old), changes: [] }) => parts.push(Part::Unchanged(old)),
            Task::Visit(work) if work.changes.len() <= piece_max => parts.push(Part::Piece(work)),
            Task::Visit(work) => match split(work) {
                Some((pos, left, right)) => tasks.extend([Task::Join(pos), Task::Visit(right), Task::Visit(left)]),
                None => parts.push(Part::Piece(work)),
            },
            Task::Join(pos) => parts.push(Part::Join(pos)),
        }
    }
    parts
}

/// Splits work where its keys, old and new, first differ; `None` if it has only one key.
fn split(work: Work<'_>) -> Option<(BitPos, Work<'_>, Work<'_>)> {
    let (first, last) = (&work.changes.first()?.0, &work.changes.last()?.0);
    // The keys of the old subtree agree above its top; of the changed keys, the first or the last parts from them first.
    let (pos, old_is_right) = match work.old {
        Some(old) => {
            let some_key = old.descend(first).key();
            let parting = first_difference(some_key, first).min(first_difference(some_key, last));
            let pos = parting.min(old.pos());
            (pos, bit(some_key, pos))
        }
        None => (first_difference(first, last), false),
    };
    if pos == BitPos::NONE {
        return None;
    }
    let (left, right) = work.changes.split_at(work.changes.partition_point(|(key, _)| !bit(key, pos)));
    let (old_left, old_right) = sides(work.old, pos, old_is_right);
    Some((pos, Work { old: old_left, changes: left }, Work { old: old_right, changes: right }))
}

/// What of an old subtree stands on either side of `pos`: its children if that is its top's position, else the whole on
/// one side.
pub(crate) fn sides(old: Option<&Child>, pos: BitPos, old_is_right: bool) -> (Option<&Child>, Option<&Child>) {
    match old.map(|old| &old.node) {
        Some(Node::Inner(top)) if top.pos == pos => (Some(top.child(false)), Some(top.child(true))),
        _ if old_is_right => (None, old),
        _ => (old, None),
    }
}
