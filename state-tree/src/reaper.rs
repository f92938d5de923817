//! Frees what a dropped version alone held, on a thread of its own.
//!
//! Dropping a version of a million keys means freeing two million allocations. The caller only puts the version's root
//! in a queue: one pointer. A thread, started with the first drop, takes them one by one and walks them without
//! recursion, so that no depth of a tree overflows a stack. If [`QUEUE_MAX`] roots wait, or no thread can be had, the
//! caller frees this one itself: then memory cannot grow faster than it is freed.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;

use crate::node::Node;

/// Most dropped versions that wait to be freed.
pub(crate) const QUEUE_MAX: usize = 1024;

static QUEUE: OnceLock<Option<SyncSender<Node>>> = OnceLock::new();

/// Drops a root, elsewhere if possible.
pub(crate) fn discard(root: Node) {
    let root = match root {
        Node::Leaf(_) => return,
        Node::Inner(_) => root,
    };
    match QUEUE.get_or_init(start) {
        Some(queue) => hand_over(queue, root),
        None => free(root),
    }
}

/// Leaves a root to the queue's thread, or, where it has no room, frees it here.
fn hand_over(queue: &SyncSender<Node>, root: Node) {
    if let Err(TrySendError::Full(root) | TrySendError::Disconnected(root)) = queue.try_send(root) {
        free(root);
    }
}

fn start() -> Option<SyncSender<Node>> {
    let (sender, receiver) = sync_channel(QUEUE_MAX);
    thread::Builder::new().name("tree-reaper".into()).spawn(move || run(&receiver)).ok().map(|_detached| sender)
}

fn run(queue: &Receiver<Node>) {
    while let Ok(root) = queue.recv() {
        free(root);
    }
}

/// Drops a subtree: nodes that nobody else holds are taken apart, the rest only lose a holder.
fn free(root: Node) {
    let mut pending = vec![root];
    while let Some(node) = pending.pop() {
        if let Node::Inner(shared) = node
            && let Some(inner) = Arc::into_inner(shared)
        {
            let [left, right] = inner.children;
            pending.push(right.node);
            pending.push(left.node);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use std::sync::Weak;

    use super::*;
    use crate::Tree;
    use crate::node::Inner;

    /// A root that nobody else holds, and an eye on whether it is still there.
    fn root() -> (Node, Weak<Inner>) {
        let tree = Tree::new().apply(vec![(vec![1], Some(vec![1])), (vec![2], Some(vec![2]))]).unwrap();
        let Some(Node::Inner(shared)) = tree.top().map(|top| top.node.clone()) else { panic!("two records") };
        let [left, right] = shared.children.clone();
        let own = Arc::new(Inner { pos: shared.pos, children: [left, right] });
        let eye = Arc::downgrade(&own);
        (Node::Inner(own), eye)
    }

    #[test]
    fn what_is_dropped_is_freed_by_the_queues_thread_and_not_by_the_caller() {
        let (sender, receiver) = sync_channel(1);
        let (first, eye) = root();
        hand_over(&sender, first);
        assert!(eye.upgrade().is_some(), "the caller leaves it whole");
        drop(sender);
        let freed = thread::spawn(move || run(&receiver));
        freed.join().unwrap();
        assert!(eye.upgrade().is_none(), "and the thread frees it");
    }

    #[test]
    fn where_the_queue_is_full_or_its_thread_gone_the_caller_frees() {
        let (sender, receiver) = sync_channel(1);
        let ((waiting, eye_of_waiting), (more, eye_of_more), (last, eye_of_last)) = (root(), root(), root());
        hand_over(&sender, waiting);
        hand_over(&sender, more);
        assert!(eye_of_waiting.upgrade().is_some() && eye_of_more.upgrade().is_none());
        drop(receiver);
        hand_over(&sender, last);
        assert!(eye_of_last.upgrade().is_none());
    }

    #[test]
    fn a_dropped_version_goes_to_the_thread() {
        drop(Tree::new().apply(vec![(vec![1], Some(vec![1])), (vec![2], Some(vec![2]))]).unwrap());
        assert!(QUEUE.get().is_some_and(Option::is_some), "it was started for it");
    }
}
