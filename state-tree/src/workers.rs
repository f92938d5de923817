//! Shares independent pieces of work between the caller and one more thread.
//!
//! The thread is made with the first work that is shared, and stays: one for every batch would cost as much as a small batch,
//! and its allocator's pages would go with it. Which thread does a piece decides nothing: results come back in the order of
//! the pieces. Where the thread is busy elsewhere, or none can be had, the caller does all of them.

use std::any::Any;
use std::iter::Enumerate;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::{thread, vec};

/// Most threads at work for one batch, the caller's included.
const THREADS_MAX: usize = 2;
/// Most works that wait for the thread. Others are done by their callers alone.
const QUEUE_MAX: usize = 4;

/// Where a thread takes work from; none if it could not be made.
type Queue = Option<SyncSender<Arc<dyn Help>>>;

static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Threads worth using on this machine.
pub(crate) fn available() -> usize {
    static AVAILABLE: OnceLock<usize> = OnceLock::new();
    *AVAILABLE.get_or_init(|| thread::available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS_MAX))
}

/// `work` done on every piece, results in the order of the pieces.
pub(crate) fn share<P: Send + 'static, R: Send + 'static>(
    pieces: Vec<P>,
    work: impl Fn(P) -> R + Send + Sync + 'static,
) -> Vec<R> {
    share_on(QUEUE.get_or_init(start), pieces, work)
}

fn share_on<P: Send + 'static, R: Send + 'static>(
    queue: &Queue,
    pieces: Vec<P>,
    work: impl Fn(P) -> R + Send + Sync + 'static,
) -> Vec<R> {
    let left = pieces.len();
    let shared = Arc::new(Shared {
        pieces: Mutex::new(pieces.into_iter().enumerate()),
        work,
        done: Mutex::new(Done { results: Vec::with_capacity(left), left, panic: None }),
        all: Condvar::new(),
    });
    if let Some(queue) = queue {
        // A full queue is a busy thread: then the caller does the work.
        let _ = queue.try_send(Arc::<Shared<P, R, _>>::clone(&shared));
    }
    shared.deliver(shared.take_all());
    shared.wait()
}

/// Work of which a thread can take a part.
trait Help: Send + Sync {
    /// Does pieces until there are none.
    fn help(&self);
}

struct Shared<P, R, F> {
    /// Nobody's yet, with their places.
    pieces: Mutex<Enumerate<vec::IntoIter<P>>>,
    work: F,
    done: Mutex<Done<R>>,
    /// All are done, or one panicked.
    all: Condvar,
}

struct Done<R> {
    results: Vec<(usize, R)>,
    /// Pieces without a result.
    left: usize,
    /// What the other thread panicked with.
    panic: Option<Box<dyn Any + Send>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<P, R, F: Fn(P) -> R> Shared<P, R, F> {
    fn take_all(&self) -> Vec<(usize, R)> {
        let mut results = Vec::new();
        loop {
            let piece = lock(&self.pieces).next();
            match piece {
                Some((place, piece)) => results.push((place, (self.work)(piece))),
                None => return results,
            }
        }
    }

    fn deliver(&self, results: Vec<(usize, R)>) {
        let mut done = lock(&self.done);
        done.left = done.left.saturating_sub(results.len());
        done.results.extend(results);
        self.all.notify_all();
    }

    /// Waits for the pieces that the other thread has taken.
    fn wait(&self) -> Vec<R> {
        let done = lock(&self.done);
        let unfinished = |done: &mut Done<R>| done.left > 0 && done.panic.is_none();
        let mut done = self.all.wait_while(done, unfinished).unwrap_or_else(PoisonError::into_inner);
        if let Some(panic) = done.panic.take() {
            drop(done);
            resume_unwind(panic);
        }
        done.results.sort_unstable_by_key(|(place, _)| *place);
        std::mem::take(&mut done.results).into_iter().map(|(_, result)| result).collect()
    }
}

impl<P: Send, R: Send, F: Fn(P) -> R + Send + Sync> Help for Shared<P, R, F> {
    fn help(&self) {
        match catch_unwind(AssertUnwindSafe(|| self.take_all())) {
            Ok(results) => self.deliver(results),
            Err(panic) => {
                lock(&self.done).panic = Some(panic);
                self.all.notify_all();
            }
        }
    }
}

fn start() -> Queue {
    let (sender, receiver) = sync_channel(QUEUE_MAX);
    thread::Builder::new().name("tree-helper".into()).spawn(move || run(&receiver)).ok().map(|_detached| sender)
}

fn run(queue: &Receiver<Arc<dyn Help>>) {
    while let Ok(work) = queue.recv() {
        work.help();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_pieces() {
        for count in [0, 1, 2, 1000_u64] {
            let squares = share((0..count).collect(), |n: u64| n.wrapping_mul(n));
            assert_eq!(squares, (0..count).map(|n| n.wrapping_mul(n)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn many_callers_at_once_all_get_their_own_results() {
        let callers: Vec<_> = (0..16_u64)
            .map(|caller| thread::spawn(move || share((0..200).collect(), move |n: u64| n.wrapping_add(caller))))
            .collect();
        for (caller, made) in (0..).zip(callers) {
            assert_eq!(made.join().unwrap(), (0..200).map(|n: u64| n.wrapping_add(caller)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_panic_in_a_piece_reaches_the_caller_and_leaves_the_thread_at_work() {
        let queue = start();
        for _ in 1..QUEUE_MAX {
            let panic = catch_unwind(AssertUnwindSafe(|| {
                share_on(&queue, (0..100).collect(), |n: u64| if n == 7 { panic!("{n}") } else { n })
            }));
            assert_eq!(*panic.unwrap_err().downcast::<String>().unwrap(), "7");
        }
        // Two pieces that wait for each other need two threads.
        let both = Arc::new(Barrier::new(2));
        let made = share_on(&queue, vec![1, 2], move |n: u64| {
            both.wait();
            n
        });
        assert_eq!(made, [1, 2]);
    }
}
