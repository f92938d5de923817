//! The threads that decode, check and verify what is submitted: one for every core, fed by one bounded queue.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::error::FatalError;
use crate::lock;
use crate::metrics::Metrics;

/// Bytes of mutations that may wait for a verification.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Work on some mutations.
type Job = Box<dyn FnOnce() + Send>;

struct Work {
    mutations: NonZeroUsize,
    bytes: usize,
    job: Job,
}

/// The queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueFull;

/// The threads and their queue.
pub(crate) struct Verifiers {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    mutations_max: usize,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    metrics: Arc<Metrics>,
    failed: Box<dyn Fn(FatalError) + Send + Sync>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Work>,
    mutations: usize,
    bytes: usize,
    stopped: bool,
}

impl Verifiers {
    /// Starts the threads. `failed` is told when one of them panicked with its work.
    pub(crate) fn start(
        threads: usize,
        mutations_max: usize,
        metrics: Arc<Metrics>,
        failed: impl Fn(FatalError) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let failed = Box::new(failed);
        let shared = Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new(), metrics, failed });
        let mut handles = Vec::with_capacity(threads);
        for number in 0..threads {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("verify-{number}"));
            handles.push(thread.spawn(move || shared.work())?);
        }
        Ok(Self { shared, threads: Mutex::new(handles), mutations_max })
    }

    /// Queues work on so many mutations and bytes, if the queue has room for all of them.
    pub(crate) fn submit(&self, mutations: NonZeroUsize, bytes: usize, job: Job) -> Result<(), QueueFull> {
        let mut queue = lock(&self.shared.queue);
        let after = queue.mutations.saturating_add(mutations.get());
        let bytes_after = queue.bytes.saturating_add(bytes);
        let over = after > self.mutations_max || bytes_after > WAITING_BYTES_MAX;
        // What is larger than the queue has to wait until it is empty, not for ever.
        if queue.stopped || (over && queue.mutations > 0) {
            return Err(QueueFull);
        }
        (queue.mutations, queue.bytes) = (after, bytes_after);
        queue.jobs.push_back(Work { mutations, bytes, job });
        drop(queue);
        self.shared.metrics.verify_queue.set(after as u64);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Takes no more work, drops what waits and ends the threads.
    pub(crate) fn stop(&self) {
        let waiting = {
            let mut queue = lock(&self.shared.queue);
            queue.stopped = true;
            std::mem::take(&mut queue.jobs)
        };
        drop(waiting);
        self.shared.changed.notify_all();
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            // It catches what its jobs panic with.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn work(&self) {
        while let Some(Work { mutations, bytes, job }) = self.next() {
            let ended = catch_unwind(AssertUnwindSafe(job));
            let mut queue = lock(&self.queue);
            queue.mutations = queue.mutations.saturating_sub(mutations.get());
            queue.bytes = queue.bytes.saturating_sub(bytes);
            let left = queue.mutations;
            drop(queue);
            self.metrics.verify_queue.set(left as u64);
            if let Err(panic) = ended {
                (self.failed)(FatalError::of_panic("verify", panic.as_ref()));
            }
        }
    }

    fn next(&self) -> Option<Work> {
        let queue = lock(&self.queue);
        let waiting = |queue: &mut Queue| queue.jobs.is_empty() && !queue.stopped;
        let mut queue = self.changed.wait_while(queue, waiting).unwrap_or_else(PoisonError::into_inner);
        queue.jobs.pop_front()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use std::sync::mpsc;

    use super::*;

    fn verifiers() -> (Verifiers, mpsc::Receiver<FatalError>) {
        let (sender, receiver) = mpsc::channel();
        let failed = move |error| sender.send(error).unwrap();
        (Verifiers::start(1, 4, Arc::new(Metrics::new("test-shard-0")), failed).unwrap(), receiver)
    }

    #[test]
    fn a_job_that_panics_leaves_its_place_and_is_told() {
        let (verifiers, failures) = verifiers();
        let all = NonZeroUsize::new(4).unwrap();
        verifiers.submit(all, 1, Box::new(|| panic!("on purpose"))).unwrap();
        let failure = failures.recv().unwrap();
        assert!(failure.to_string().contains("on purpose"), "{failure}");
        let (sender, done) = mpsc::channel();
        verifiers.submit(all, 1, Box::new(move || sender.send(()).unwrap())).unwrap();
        done.recv().unwrap();
        verifiers.stop();
    }

    #[test]
    fn the_queue_is_bounded_in_bytes() {
        let (verifiers, _failures) = verifiers();
        let one = NonZeroUsize::MIN;
        let (end, blocked) = mpsc::channel::<()>();
        // What is too large alone is taken when nothing waits.
        let wait = move || assert!(blocked.recv().is_err(), "nothing is sent");
        verifiers.submit(one, WAITING_BYTES_MAX + 1, Box::new(wait)).unwrap();
        assert_eq!(verifiers.submit(one, 1, Box::new(|| ())), Err(QueueFull));
        drop(end);
        verifiers.stop();
    }
}
