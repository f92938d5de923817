//! Chains that lie, and chains that are not there.

use std::time::Duration;

use db3_relay::{ChainEndpoints, Condition, Relay, RelayError, Report};

use crate::fake::{Fake, Lie, entry, seeds};
use crate::pair::{Pair, run_until, within};

fn failing(reports: &[Report]) -> bool {
    reports[0].failures >= 2
}

fn error(reports: &[Report]) -> &str {
    reports[0].last_error.as_deref().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_is_found_before_it_troubles_a_chain_and_named() {
    for (lie, said) in [
        (Lie::WrongEntry, "another root"),
        (Lie::WrongRight, "to the right of the entries needs"),
        (Lie::EndlessPages, "entry 0 stands where"),
        (Lie::EmptyPages, "a page without entries"),
        (Lie::OtherChain, "\"test-shard-99\" and not for test-shard-0"),
        (Lie::OtherHeader, "is not the one over this state"),
    ] {
        let pair = Pair::new().await;
        pair.shard.write(&pair.settlement.id(), 1_500);
        pair.shard.set_lie(lie);
        let reports = run_until(&pair.one_way(), failing).await;
        assert!(error(&reports).contains(said), "{lie:?}: {}", error(&reports));
        assert!(error(&reports).contains(&pair.shard_at.urls[0]), "it names the endpoint: {}", error(&reports));
        assert_eq!(reports[0].condition, Condition::Failing);
        assert_eq!(pair.settlement.calls("SubmitDelivery"), 0, "{lie:?}");
        // And when the lying ends, it goes on by itself.
        pair.shard.set_lie(Lie::None);
        let reports = run_until(&pair.one_way(), |reports| reports[0].cursor == 1_500).await;
        assert_eq!((reports[0].failures, reports[0].last_error.as_deref()), (0, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_or_lying_endpoint_is_left_for_the_next() {
    let pair = Pair::new().await;
    pair.shard.write(&pair.settlement.id(), 2);
    let liar = Fake::new("test-shard-0");
    liar.write(&pair.settlement.id(), 9);
    liar.set_lie(Lie::WrongEntry);
    let (lying, server) = liar.serve().await;
    let gone = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let mut config = pair.one_way();
    let urls = [vec![gone, lying], pair.shard_at.urls.clone()].concat();
    config.directions[0].from = ChainEndpoints { urls, ..pair.shard_at.clone() };
    run_until(&config, |reports| reports[0].cursor == 2).await;
    assert_eq!(pair.carried(), [entry(0), entry(1)]);
    server.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_never_answers_is_given_up() {
    let pair = Pair::new().await;
    pair.shard.set_lie(Lie::Silence);
    let mut config = pair.one_way();
    config.timeout = Duration::from_millis(50);
    let reports = run_until(&config, failing).await;
    assert!(error(&reports).contains("ListOutbox of test-shard-0"), "{}", error(&reports));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_reader_is_reported_and_left_alone() {
    let pair = Pair::new().await;
    pair.shard.write(&pair.settlement.id(), 2);
    pair.settlement.lock().frozen = Some(("statement above H at entry 12".to_owned(), 3));
    let reports = run_until(&pair.one_way(), |reports| reports[0].condition == Condition::Frozen).await;
    assert_eq!(reports[0].frozen_reason.as_deref(), Some("statement above H at entry 12"));
    assert_eq!((reports[0].fault_code, reports[0].failures), (3, 0));
    assert_eq!((pair.shard.calls("ListOutbox"), pair.settlement.calls("SubmitDelivery")), (0, 0));
    // Governance opens the channel again: the relay sees it without help.
    pair.settlement.lock().frozen = None;
    run_until(&pair.one_way(), |reports| reports[0].cursor == 2 && reports[0].condition == Condition::Idle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_takes_deliveries_and_stands_still_is_not_flooded() {
    let pair = Pair::new().await;
    pair.shard.write(&pair.settlement.id(), 2);
    pair.settlement.set_lie(Lie::Forgets);
    let mut config = pair.one_way();
    config.poll = Duration::from_secs(3_600);
    let relay = Relay::new(&config).unwrap();
    let (monitor, waker) = (relay.monitor(), relay.waker());
    let running = tokio::spawn(relay.run(std::future::pending()));
    let delivered = async |deliveries| {
        while monitor.reports()[0].deliveries < deliveries {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // It tries once more and rests; each wake makes one more.
    within(delivered(2), || format!("{:?}", monitor.reports())).await;
    waker.wake();
    within(delivered(3), || format!("{:?}", monitor.reports())).await;
    assert_eq!((pair.settlement.calls("SubmitDelivery"), monitor.reports()[0].lag_entries()), (3, 2));
    running.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reader_refuses_is_counted_and_named() {
    let pair = Pair::new().await;
    // The shard as its own forger makes it: other validators than the settlement chain's genesis names.
    let forger = Fake::new("test-shard-0");
    {
        let source = db3_carry::build::Source::new(forger.id(), &seeds(9, 13), crate::fake::at(0)).unwrap();
        forger.lock().source = source;
    }
    forger.block();
    forger.write(&pair.settlement.id(), 1);
    let (url, server) = forger.serve().await;
    let mut config = pair.one_way();
    config.directions[0].from.urls = vec![url];
    let reports = run_until(&config, failing).await;
    assert!(reports[0].refused >= 2);
    assert!(error(&reports).contains("SubmitDelivery of test-settlement"), "{}", error(&reports));
    assert!(error(&reports).contains("a header is refused"), "{}", error(&reports));
    assert!(pair.settlement.lock().refused.iter().all(|code| *code == 219));
    server.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_without_usable_endpoints_is_refused_by_name() {
    let pair = Pair::new().await;
    let mut config = pair.one_way();
    config.directions[0].to.urls.clear();
    let refused = Relay::new(&config).err().unwrap();
    assert!(matches!(refused, RelayError::NoEndpoint { .. }) && refused.to_string().contains("test-settlement"));
    config.directions[0].to.urls.push("no url".to_owned());
    let refused = Relay::new(&config).err().unwrap();
    assert!(refused.to_string().starts_with("\"no url\" is no endpoint of test-settlement"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_whose_time_is_behind_is_asked_again_and_the_report_says_why() {
    let pair = Pair::new().await;
    pair.shard.write(&pair.settlement.id(), 2);
    pair.settlement.lock().judged_at = Some(crate::fake::at(-1_000));
    let reports = run_until(&pair.one_way(), failing).await;
    assert!(error(&reports).contains("too far ahead"), "{}", error(&reports));
    assert_eq!(reports[0].refused, 0);
    pair.settlement.lock().judged_at = Some(crate::fake::at(1_000));
    run_until(&pair.one_way(), |reports| reports[0].cursor == 2 && reports[0].failures == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_reader_is_silent_what_the_writer_adds_is_counted_and_the_header_grows_older() {
    let pair = Pair::new().await;
    let settlement = pair.settlement.id();
    pair.shard.write(&settlement, 2);
    let mut config = pair.one_way();
    config.timeout = Duration::from_millis(50);
    let relay = Relay::new(&config).unwrap();
    let monitor = relay.monitor();
    let running = tokio::spawn(relay.run(std::future::pending()));
    let becomes = async |is: &dyn Fn(&Report) -> bool| {
        while !is(&monitor.reports()[0]) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let said = || format!("{:?}", monitor.reports());
    within(becomes(&|report| report.cursor == 2 && report.condition == Condition::Idle), said).await;
    pair.settlement.set_lie(Lie::Silence);
    let age = monitor.reports()[0].trusted_age_secs;
    within(becomes(&|report| report.condition == Condition::Failing), said).await;
    assert_eq!((monitor.reports()[0].lag_entries(), monitor.reports()[0].lag_secs), (0, 0), "nothing waits");
    pair.shard.write(&settlement, 3);
    within(becomes(&|report| report.lag_entries() == 3), said).await;
    within(becomes(&|report| report.lag_secs >= 1 && report.trusted_age_secs > age), said).await;
    let report = monitor.reports().remove(0);
    assert!(report.known && report.failures > 0 && report.condition == Condition::Failing, "{report:?}");
    // When it answers again, what waited is carried and counted no more.
    pair.settlement.set_lie(Lie::None);
    within(becomes(&|report| report.cursor == 5 && report.condition == Condition::Idle), said).await;
    let report = monitor.reports().remove(0);
    assert_eq!((report.lag_entries(), report.lag_secs, report.failures), (0, 0, 0));
    running.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_writer_is_silent_entries_may_wait_since_it_answered_last() {
    let pair = Pair::new().await;
    pair.shard.write(&pair.settlement.id(), 2);
    let mut config = pair.one_way();
    config.timeout = Duration::from_millis(50);
    pair.shard.set_lie(Lie::Silence);
    let reports = run_until(&config, |reports| reports[0].lag_secs >= 1).await;
    assert!(!reports[0].known && reports[0].failures > 0, "nothing is known of its log: {:?}", reports[0]);
    assert_eq!(reports[0].lag_entries(), 0);
    pair.shard.set_lie(Lie::None);
    let reports = run_until(&config, |reports| reports[0].cursor == 2 && reports[0].condition == Condition::Idle).await;
    assert!(reports[0].known);
}
