//! Work on many items, shared out over threads that live as long as it takes.
//!
//! The thread that asks is one of them. Which thread does a share decides nothing, and where the system gives no thread,
//! those that there are do all of it.

use std::sync::Mutex;
use std::thread::Builder;

use crate::lock;

/// Results in the order of the items. Each of `threads` threads takes shares, none of fewer than `least` items, and `work`
/// gives as many results as it is given items.
pub(super) fn share_out<T: Send, R: Send>(
    items: Vec<T>,
    threads: usize,
    least: usize,
    work: impl Fn(Vec<T>) -> Vec<R> + Sync,
) -> Vec<R> {
    share_with(Builder::new, items, threads, least, work)
}

fn share_with<T: Send, R: Send>(
    thread: impl Fn() -> Builder,
    mut items: Vec<T>,
    threads: usize,
    least: usize,
    work: impl Fn(Vec<T>) -> Vec<R> + Sync,
) -> Vec<R> {
    let share = items.len().div_ceil(threads.max(1)).max(least);
    if items.len() <= share {
        return work(items);
    }
    let mut shares = Vec::with_capacity(threads);
    while !items.is_empty() {
        let rest = items.split_off(share.min(items.len()));
        shares.push((items, Vec::new()));
        items = rest;
    }
    let others = shares.len().saturating_sub(1);
    let left = Mutex::new(shares.iter_mut());
    let take_all = || {
        loop {
            let Some((items, results)) = lock(&left).next() else { return };
            *results = work(std::mem::take(items));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..others {
            if let Err(error) = thread().spawn_scoped(scope, take_all) {
                tracing::warn!(%error, "pool.shares: no thread; the others do its share");
                break;
            }
        }
        take_all();
    });
    shares.into_iter().flat_map(|(_, results)| results).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "tests")]

    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::thread::{self, ThreadId};

    use super::*;

    fn doubled(items: Vec<u32>) -> Vec<u32> {
        items.into_iter().map(|item| item * 2).collect()
    }

    #[test]
    fn results_come_in_the_order_of_the_items_however_they_are_shared_out() {
        for (count, threads) in [(0, 4), (1, 4), (9, 4), (10, 4), (100, 1), (100, 3), (100, 0), (101, 7)] {
            let results = share_out((0..count).collect(), threads, 3, doubled);
            assert!(results.into_iter().eq((0..count).map(|item| item * 2)), "{count} on {threads}");
        }
    }

    #[test]
    fn each_thread_has_a_share_and_the_one_that_asks_is_one_of_them() {
        let all = Barrier::new(4);
        let threads: HashSet<ThreadId> = share_out(vec![(); 40], 4, 1, |items| {
            all.wait();
            vec![thread::current().id(); items.len()]
        })
        .into_iter()
        .collect();
        assert_eq!(threads.len(), 4);
        assert!(threads.contains(&thread::current().id()));
    }

    #[test]
    fn where_the_system_gives_no_thread_the_one_that_asks_does_all() {
        // No machine has memory for such a stack.
        let none = || Builder::new().stack_size(1 << 60);
        assert!(none().spawn(|| ()).is_err());
        let here = thread::current().id();
        let results = share_with(none, (0..100).collect(), 4, 1, |items| {
            assert_eq!(thread::current().id(), here);
            doubled(items)
        });
        assert!(results.into_iter().eq((0..100).map(|item| item * 2)));
    }
}
