//! Honest chains.

use std::time::{Duration, Instant};

use db3_light_client::Options;
use db3_relay::{Condition, Relay};

use crate::fake::{entry, seeds};
use crate::pair::{Pair, run_until, within};

fn numbered(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(entry).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_logs_arrive_and_the_reports_say_so() {
    let pair = Pair::new().await;
    let (shard, settlement) = (pair.shard.id(), pair.settlement.id());
    pair.shard.write(&settlement, 7);
    pair.settlement.write(&shard, 3);
    let reports = run_until(&pair.both_ways(), |reports| {
        reports.iter().all(|report| report.condition == Condition::Idle && report.entries > 0)
    })
    .await;
    assert_eq!(pair.carried(), numbered(7));
    assert_eq!(pair.shard.read_from(&settlement), numbered(3));
    let [up, down] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((&up.from, &up.to, &down.from, &down.to), (&shard, &settlement, &settlement, &shard));
    assert_eq!((up.cursor, up.size, up.lag_entries(), up.lag_secs), (7, 7, 0, 0));
    assert_eq!((down.deliveries, down.entries, down.refused, down.failures), (1, 3, 0, 0));
    assert_eq!((up.trusting_period_secs, up.last_error.as_deref(), up.frozen_reason.as_deref()), (None, None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_goes_in_pages_and_deliveries_as_large_as_allowed() {
    let pair = Pair::new().await;
    let settlement = pair.settlement.id();
    pair.shard.write(&settlement, 20_000);
    let reports = run_until(&pair.one_way(), |reports| reports[0].cursor == 20_000).await;
    assert_eq!(pair.carried(), numbered(20_000));
    // 16 000 entries are sixteen pages; with a seventeenth there would be too many.
    assert_eq!((reports[0].deliveries, reports[0].entries), (2, 20_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn three_relays_at_once_never_make_each_other_fail() {
    let pair = Pair::new().await;
    let settlement = pair.settlement.id();
    let config = pair.one_way();
    let relays: Vec<Relay> = (0..3).map(|_| Relay::new(&config).unwrap()).collect();
    let monitors: Vec<_> = relays.iter().map(Relay::monitor).collect();
    let running: Vec<_> = relays.into_iter().map(|relay| tokio::spawn(relay.run(std::future::pending()))).collect();
    for round in 1..=30_u64 {
        pair.shard.write(&settlement, 3);
        let arrived = async {
            while pair.settlement.cursor(&pair.shard.id()) < 3 * round {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        within(arrived, || format!("{:?}", monitors.iter().map(db3_relay::Monitor::reports).collect::<Vec<_>>())).await;
    }
    running.iter().for_each(tokio::task::JoinHandle::abort);
    assert_eq!(pair.carried(), numbered(90));
    let reports: Vec<_> = monitors.iter().flat_map(db3_relay::Monitor::reports).collect();
    assert_eq!(reports.iter().map(|report| report.refused).sum::<u64>(), 0, "{reports:?}");
    assert!(reports.iter().all(|report| report.last_error.is_none()), "{reports:?}");
    let refused = &pair.settlement.lock().refused;
    assert!(refused.iter().all(|code| *code == 217), "only what was there already is refused: {refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waker_makes_it_look_at_once() {
    let pair = Pair::new().await;
    let settlement = pair.settlement.id();
    let mut config = pair.one_way();
    config.poll = Duration::from_secs(3_600);
    let relay = Relay::new(&config).unwrap();
    let (monitor, waker) = (relay.monitor(), relay.waker());
    let running = tokio::spawn(relay.run(std::future::pending()));
    let becomes = async |condition, cursor| {
        while (monitor.reports()[0].condition, monitor.reports()[0].cursor) != (condition, cursor) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    within(becomes(Condition::Idle, 0), || format!("{:?}", monitor.reports())).await;
    let begun = Instant::now();
    for round in 1..=3 {
        pair.shard.write(&settlement, 1);
        waker.wake();
        within(becomes(Condition::Idle, round), || format!("{:?}", monitor.reports())).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(3_600));
    running.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_jitter_it_looks_again_before_it_does_what_another_did() {
    let pair = Pair::new().await;
    let settlement = pair.settlement.id();
    pair.shard.write(&settlement, 5);
    let mut config = pair.one_way();
    config.jitter = Duration::from_millis(50);
    let reports = run_until(&config, |reports| reports[0].cursor == 5).await;
    assert_eq!((reports[0].deliveries, reports[0].stale), (1, 0));
    assert!(pair.settlement.calls("GetInbox") >= 3, "before the wait, after it, and after the delivery");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_light_client_is_kept_awake_with_headers_alone() {
    let pair = Pair::with(Options::new(3_000, 30).unwrap()).await;
    // The reader's time passes, and nobody writes an entry. (The clock of this machine is far ahead of both.)
    let (shard, trusted) =
        (pair.shard.id(), |pair: &Pair| pair.settlement.lock().channels[&pair.shard.id()].trusted_height());
    assert_eq!(trusted(&pair), 0);
    for step in 1..=3_u64 {
        pair.shard.block_after(1_100);
        pair.settlement.block_after(1_100);
        let height = pair.shard.lock().source.headers().height();
        let reports = run_until(&pair.one_way(), |_| trusted(&pair) == height).await;
        assert_eq!(reports[0].trusting_period_secs, Some(3_000));
        assert_eq!(height, step + 1);
    }
    assert_eq!(pair.settlement.cursor(&shard), 0);
    let reports = run_until(&pair.one_way(), |reports| reports[0].condition == Condition::Idle).await;
    assert_eq!(reports[0].headers_alone, 0, "the newest header is there already");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_validators_are_followed_through_the_headers_between() {
    let pair = Pair::new().await;
    let (shard, settlement) = (pair.shard.id(), pair.settlement.id());
    // Each header names a set of which one of four is new, twelve times over.
    let rotate = |from: u8| {
        for first in from..from + 12 {
            pair.shard.lock().source.headers_mut().change_validators(&seeds(first, first + 4)).unwrap();
            pair.shard.write(&settlement, 2);
        }
    };
    rotate(1);
    // From the trust root on, and from a trusted header on.
    run_until(&pair.one_way(), |reports| reports[0].cursor == 24).await;
    rotate(13);
    let reports = run_until(&pair.one_way(), |reports| reports[0].cursor == 48).await;
    assert_eq!(pair.carried(), numbered(48));
    assert_eq!((reports[0].deliveries, reports[0].refused), (1, 0));
    assert!(pair.settlement.lock().channels[&shard].client().headers().len() >= 6);
}

/// A set of which nobody was in the one before, every other height.
fn restless(pair: &Pair, heights: std::ops::RangeInclusive<u8>, entries: usize) {
    let settlement = pair.settlement.id();
    for height in heights {
        let first = 4 * height.div_ceil(2);
        pair.shard.lock().source.headers_mut().change_validators(&seeds(first, first + 4)).unwrap();
        if entries > 0 { pair.shard.write(&settlement, entries) } else { pair.shard.block() }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_headers_than_one_delivery_holds_come_in_several_before_the_entries() {
    let pair = Pair::new().await;
    let shard = pair.shard.id();
    restless(&pair, 1..=40, 1);
    let reports = run_until(&pair.one_way(), |reports| reports[0].cursor == 40).await;
    assert_eq!(pair.carried(), numbered(40));
    assert!(reports[0].headers_alone >= 1, "{reports:?}");
    assert_eq!((reports[0].refused, reports[0].failures), (0, 0));
    // It goes on from a header that it trusts as from the root.
    restless(&pair, 41..=60, 0);
    pair.shard.write(&pair.settlement.id(), 1);
    run_until(&pair.one_way(), |reports| reports[0].cursor == 41).await;
    assert_eq!(pair.settlement.lock().channels[&shard].trusted_height(), pair.shard.lock().source.headers().height());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_relays_lead_a_reader_through_changes_of_all_validators_together() {
    for (every, relays) in [(1, 2), (2, 3), (3, 3), (5, 2)] {
        let pair = Pair::new().await;
        let settlement = pair.settlement.id();
        for height in 0..40_u8 {
            let first = 4 * height.div_ceil(every);
            pair.shard.lock().source.headers_mut().change_validators(&seeds(first, first + 4)).unwrap();
            pair.shard.write(&settlement, 1);
        }
        let config = pair.one_way();
        let relays: Vec<Relay> = (0..relays).map(|_| Relay::new(&config).unwrap()).collect();
        let monitors: Vec<_> = relays.iter().map(Relay::monitor).collect();
        let running: Vec<_> = relays.into_iter().map(|relay| tokio::spawn(relay.run(std::future::pending()))).collect();
        let arrived = async {
            while pair.settlement.cursor(&pair.shard.id()) < 40 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        within(arrived, || format!("{:?}", monitors.iter().map(db3_relay::Monitor::reports).collect::<Vec<_>>())).await;
        for relay in running {
            relay.abort();
        }
        assert_eq!(pair.carried(), numbered(40));
        // Who comes second is told that it is done, or to look again.
        let refused = pair.settlement.lock().refused.clone();
        assert!(refused.iter().all(|code| [217, 222].contains(code)), "{refused:?}");
    }
}
