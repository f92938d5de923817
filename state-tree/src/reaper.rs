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
    let Some(queue) = QUEUE.get_or_init(start) else {
        return free(root);
    };
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
