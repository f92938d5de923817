//! Shares independent pieces of work between the caller and one more thread.
//!
//! Which thread does a piece decides nothing: results come back in the order of the pieces. If no thread can be had, the
//! caller does all of them.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

/// Most threads at work for one batch, the caller's included.
pub(crate) const THREADS_MAX: usize = 2;

/// Threads worth using on this machine.
pub(crate) fn available() -> usize {
    static AVAILABLE: OnceLock<usize> = OnceLock::new();
    *AVAILABLE.get_or_init(|| thread::available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS_MAX))
}

/// `work` done on every piece, results in the order of the pieces.
pub(crate) fn share<P: Send, R: Send>(
    threads: usize,
    pieces: impl Iterator<Item = P> + Send,
    work: impl Fn(P) -> R + Sync,
) -> Vec<R> {
    if threads < 2 {
        return pieces.map(work).collect();
    }
    let queue = Mutex::new(pieces.enumerate());
    let take_all = || {
        let mut results = Vec::new();
        loop {
            let piece = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            match piece {
                Some((place, piece)) => results.push((place, work(piece))),
                None => return results,
            }
        }
    };
    let mut results = thread::scope(|scope| {
        let others: Vec<_> =
            (1..threads).map_while(|_| thread::Builder::new().spawn_scoped(scope, take_all).ok()).collect();
        let mut results = take_all();
        for other in others {
            match other.join() {
                Ok(more) => results.extend(more),
                Err(panic) => resume_unwind(panic),
            }
        }
        results
    });
    results.sort_unstable_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_pieces() {
        for threads in [1, 2, 4] {
            let squares = share(threads, 0..1000_u64, |n| n.wrapping_mul(n));
            assert!(squares.iter().enumerate().all(|(n, square)| *square == (n as u64).wrapping_mul(n as u64)));
        }
    }
}
