//! Rebuilds a subtree with its changes, from the top down and, joining, up again.
//!
//! It keeps its own stack, so that no depth of a tree overflows the thread's.

use crate::bits::{BitPos, bit, first_difference};
use crate::locate::Op;
use crate::node::Child;
use crate::plan::sides;

/// A subtree and the located changes that fall into it.
#[derive(Clone, Copy)]
struct Work<'t> {
    old: Option<&'t Child>,
    ops: &'t [Op<'t>],
}

enum Step<'t> {
    Done(Option<Child>),
    /// Keys first differ at this bit; the work on either side of it.
    Split(BitPos, Work<'t>, Work<'t>),
}

enum Task<'t> {
    Visit(Work<'t>),
    Join(BitPos),
}

/// The subtree after its changes, which must have been located in it and have an effect.
pub(crate) fn rebuild(old: Option<&Child>, ops: &[Op<'_>]) -> Option<Child> {
    let mut scratch = Vec::new();
    let mut tasks = vec![Task::Visit(Work { old, ops })];
    let mut built: Vec<Option<Child>> = Vec::new();
    while let Some(task) = tasks.pop() {
        match task {
            Task::Visit(work) => match step(work, &mut scratch) {
                Step::Done(subtree) => built.push(subtree),
                Step::Split(pos, left, right) => {
                    tasks.extend([Task::Join(pos), Task::Visit(right), Task::Visit(left)]);
                }
            },
            Task::Join(pos) => {
                let right = built.pop().flatten();
                let left = built.pop().flatten();
                built.push(join(pos, left, right));
            }
        }
    }
    built.pop().flatten()
}

/// Two subtrees, of which either may have become empty, under one node.
pub(crate) fn join(pos: BitPos, left: Option<Child>, right: Option<Child>) -> Option<Child> {
    match (left, right) {
        (Some(left), Some(right)) => Some(Child::join(pos, left, right)),
        (one, other) => one.or(other),
    }
}

/// One node's share of the work.
fn step<'t>(work: Work<'t>, scratch: &mut Vec<u8>) -> Step<'t> {
    match (work.old, work.ops) {
        (old, []) => Step::Done(old.cloned()),
        (None, [op]) => Step::Done(leaf(op, scratch)),
        (None, [first, .., last]) => split(work, first_difference(first.key, last.key)),
        (Some(old), [op, ..]) => {
            let parting = work.ops.iter().map(|op| op.parts).min().unwrap_or(BitPos::NONE);
            match parting.min(old.pos()) {
                // The one change of this very record.
                BitPos::NONE => Step::Done(leaf(op, scratch)),
                pos => split(work, pos),
            }
        }
    }
}

fn leaf(op: &Op<'_>, scratch: &mut Vec<u8>) -> Option<Child> {
    op.value.map(|value| Child::leaf(op.key, value, scratch))
}

fn split(work: Work<'_>, pos: BitPos) -> Step<'_> {
    let (left, right) = work.ops.split_at(work.ops.partition_point(|op| !bit(op.key, pos)));
    // Where a change parts from the old subtree's keys, they are on the other side.
    let old_is_right = work.old.is_some() && left.iter().any(|op| op.parts == pos);
    let (old_left, old_right) = sides(work.old, pos, old_is_right);
    Step::Split(pos, Work { old: old_left, ops: left }, Work { old: old_right, ops: right })
}
