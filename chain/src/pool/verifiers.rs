//! The threads that decode, check and verify what is submitted: one for every core, fed by one bounded queue.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::lock;
use crate::metrics::Metrics;

/// Work on some mutations.
type Job = Box<dyn FnOnce() + Send>;

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
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<(NonZeroUsize, Job)>,
    mutations: usize,
    stopped: bool,
}

impl Verifiers {
    pub(crate) fn start(threads: usize, mutations_max: usize, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new(), metrics });
        let mut handles = Vec::with_capacity(threads);
        for number in 0..threads {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("verify-{number}"));
            handles.push(thread.spawn(move || shared.work())?);
        }
        Ok(Self { shared, threads: Mutex::new(handles), mutations_max })
    }

    /// Queues work on so many mutations, if the queue has room for all of them.
    pub(crate) fn submit(&self, mutations: NonZeroUsize, job: Job) -> Result<(), QueueFull> {
        let mut queue = lock(&self.shared.queue);
        let after = queue.mutations.saturating_add(mutations.get());
        // What is larger than the queue has to wait until it is empty, not for ever.
        if queue.stopped || (after > self.mutations_max && queue.mutations > 0) {
            return Err(QueueFull);
        }
        queue.mutations = after;
        queue.jobs.push_back((mutations, job));
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
            // A thread that panicked has lost its own job only.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn work(&self) {
        while let Some((mutations, job)) = self.next() {
            job();
            let mut queue = lock(&self.queue);
            queue.mutations = queue.mutations.saturating_sub(mutations.get());
            let left = queue.mutations;
            drop(queue);
            self.metrics.verify_queue.set(left as u64);
        }
    }

    fn next(&self) -> Option<(NonZeroUsize, Job)> {
        let queue = lock(&self.queue);
        let waiting = |queue: &mut Queue| queue.jobs.is_empty() && !queue.stopped;
        let mut queue = self.changed.wait_while(queue, waiting).unwrap_or_else(PoisonError::into_inner);
        queue.jobs.pop_front()
    }
}
