//! Requests of one connection that were read and not yet answered. Bounded by the bytes that they take, not by their number:
//! a reader goes on through everything that `CometBFT` asks about after a block, and what strangers send it cannot fill the
//! memory.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::lock;

/// The end that puts things in. The other end takes what there is, and then nothing, once it is dropped.
pub(super) struct Sender<T> {
    shared: Arc<Shared<T>>,
    bytes_max: usize,
}

/// The end that takes things out. Nothing more is put in once it is dropped.
pub(super) struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    queue: Mutex<Queue<T>>,
    changed: Condvar,
}

struct Queue<T> {
    things: VecDeque<(T, usize)>,
    bytes: usize,
    /// One end is gone.
    closed: bool,
}

/// A queue for so many bytes. What is longer alone has to wait until it is empty.
pub(super) fn queue<T>(bytes_max: usize) -> (Sender<T>, Receiver<T>) {
    let queue = Queue { things: VecDeque::new(), bytes: 0, closed: false };
    let shared = Arc::new(Shared { queue: Mutex::new(queue), changed: Condvar::new() });
    (Sender { shared: Arc::clone(&shared), bytes_max }, Receiver { shared })
}

impl<T> Sender<T> {
    /// Puts something of so many bytes in, when there is room; false where nobody takes it any more.
    pub(super) fn send(&self, thing: T, bytes: usize) -> bool {
        let is_full = |queue: &mut Queue<T>| {
            !queue.closed && queue.bytes > 0 && queue.bytes.saturating_add(bytes) > self.bytes_max
        };
        let queue = lock(&self.shared.queue);
        let mut queue = self.shared.changed.wait_while(queue, is_full).unwrap_or_else(PoisonError::into_inner);
        if queue.closed {
            return false;
        }
        queue.bytes = queue.bytes.saturating_add(bytes);
        queue.things.push_back((thing, bytes));
        drop(queue);
        self.shared.changed.notify_one();
        true
    }
}

impl<T> Receiver<T> {
    /// The next thing, as soon as there is one; none where nothing more comes.
    pub(super) fn recv(&self) -> Option<T> {
        let is_empty = |queue: &mut Queue<T>| !queue.closed && queue.things.is_empty();
        let queue = lock(&self.shared.queue);
        let queue = self.shared.changed.wait_while(queue, is_empty).unwrap_or_else(PoisonError::into_inner);
        self.shared.next(queue)
    }

    /// The next thing, if there is one now.
    pub(super) fn try_recv(&self) -> Option<T> {
        self.shared.next(lock(&self.shared.queue))
    }
}

impl<T> Shared<T> {
    fn next(&self, mut queue: std::sync::MutexGuard<'_, Queue<T>>) -> Option<T> {
        let (thing, bytes) = queue.things.pop_front()?;
        queue.bytes = queue.bytes.saturating_sub(bytes);
        drop(queue);
        self.changed.notify_one();
        Some(thing)
    }

    fn close(&self) {
        lock(&self.queue).closed = true;
        self.changed.notify_all();
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.close();
        let left = std::mem::take(&mut lock(&self.shared.queue).things);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn what_does_not_fit_waits_until_something_was_taken() {
        let (sender, receiver) = queue(10);
        assert!(sender.send(1, 6));
        let (done, sent) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                let taken = sender.send(2, 5);
                done.send(taken).unwrap();
                // Longer than the queue alone.
                assert!(sender.send(3, 50));
            });
            assert_eq!((sent.try_recv(), receiver.recv()), (Err(mpsc::TryRecvError::Empty), Some(1)));
            assert!(sent.recv().unwrap());
            assert_eq!((receiver.recv(), receiver.recv(), receiver.recv()), (Some(2), Some(3), None));
        });
        assert_eq!(receiver.try_recv(), None);
    }

    #[test]
    fn many_small_things_wait_side_by_side() {
        let (sender, receiver) = queue(100_000);
        assert!((0..100_000).all(|number| sender.send(number, 1)));
        assert!((0..100_000).all(|number| receiver.try_recv() == Some(number)));
    }

    #[test]
    fn who_waits_for_room_is_told_when_nobody_takes_anything_more() {
        let (sender, receiver) = queue(1);
        assert!(sender.send(1, 1));
        thread::scope(|scope| {
            let waits = scope.spawn(|| sender.send(2, 1));
            drop(receiver);
            assert!(!waits.join().unwrap());
        });
    }
}
