//! What is taken in and what is not: bounds, reservations, expiry.

use std::time::Duration;

use bytes::Bytes;
use db3_primitives::{Epoch, Rejection, Tai};

use super::support::{
    Account, CEILING, EPOCH_SECS, Settlement, commit, home, home_with, lines_of, now, settings, soon, start, until,
};
use crate::app::Clock;
use crate::{ChainConfig, ChainHandle, ReceiptState, SubmitError, init};

#[track_caller]
fn rejection(result: Result<crate::Submitted, SubmitError>) -> Rejection {
    match result {
        Err(SubmitError::Rejected { rejection, .. }) => rejection,
        other => panic!("{other:?}"),
    }
}

/// A chain that made a block with content just now and makes the next one in a minute.
async fn waiting_chain(home: &std::path::Path, config: ChainConfig) -> ChainHandle {
    let chain = ChainHandle::start(ChainConfig { block_ms: 60_000, ..config }).await.unwrap();
    assert_eq!(chain.config().home, home);
    commit(&chain, Account::new(9).put(now(&chain), "first", 1)).await;
    chain
}

#[tokio::test(flavor = "multi_thread")]
async fn credit_for_one_mutation_admits_one() {
    let price = {
        let (_folder, home) = home();
        let chain = start(&home).await;
        let mut account = Account::new(1);
        let envelope = account.put(now(&chain), "k0", 1);
        let signed = db3_proto::decode_mutation(&envelope).unwrap();
        chain.committed().state.estimate(&signed.content, signed.bytes).unwrap().bound
    };
    let lines = [(Account::new(1).address(), price), (Account::new(9).address(), Tai::new(CEILING))];
    let (_folder, home) = home_with(&lines);
    let chain = waiting_chain(&home, settings(&home)).await;
    let mut account = Account::new(1);
    let time = now(&chain);
    let envelopes: Vec<_> = (0..500).map(|number| account.put(time, &format!("k{}", number % 10), 1)).collect();
    let results = chain.submit_batch(envelopes).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for result in results {
        if let Err(error) = result {
            assert_eq!(error.rejection().name(), "CREDIT_EXHAUSTED");
        }
    }
    assert_eq!(chain.status().unwrap().pool_mutations, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_mempool_says_so_and_takes_nothing_more() {
    let (_folder, home) = home();
    let config = ChainConfig { mempool_mutations: 10, ..settings(&home) };
    let chain = waiting_chain(&home, config).await;
    let mut account = Account::new(1);
    let time = now(&chain);
    let envelopes: Vec<_> = (0..50).map(|number| account.put(time, &format!("k{number}"), 1)).collect();
    let results = chain.submit_batch(envelopes).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 10);
    assert_eq!(results.iter().filter(|result| matches!(result, Err(SubmitError::Overloaded { .. }))).count(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mempool_is_bounded_in_bytes() {
    let (_folder, home) = home();
    let config = ChainConfig { mempool_bytes: 2_000, ..settings(&home) };
    let chain = waiting_chain(&home, config).await;
    let mut account = Account::new(1);
    let time = now(&chain);
    let envelopes: Vec<_> = (0..50).map(|number| account.put(time, &format!("k{number}"), 1)).collect();
    let taken = chain.submit_batch(envelopes).await.iter().filter(|result| result.is_ok()).count();
    assert!(taken > 1 && taken < 20, "{taken}");
    assert!(chain.status().unwrap().pool_bytes <= 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_verification_queue_says_so() {
    let (_folder, home) = home();
    let config = ChainConfig { verify_queue_mutations: 8, verify_threads: 1, ..settings(&home) };
    let chain = ChainHandle::start(config).await.unwrap();
    let mut account = Account::new(1);
    let time = now(&chain);
    let envelopes: Vec<_> = (0..2_000).map(|number| account.put(time, &format!("k{number}"), 1)).collect();
    let results = chain.submit_batch(envelopes).await;
    let overloaded = results.iter().filter(|result| matches!(result, Err(SubmitError::Overloaded { .. }))).count();
    assert!(overloaded > 0 && overloaded < 2_000, "{overloaded}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_with_its_code() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    let time = now(&chain);
    let account = Account::new(1);
    let good = account.put_with_nonce(time, "k", 1, 1);
    let mut forged = good.to_vec();
    // The last bytes are the signature's.
    let at = forged.len() - 10;
    forged[at] ^= 1;
    let other = Account::new(2).sign(&account.mutation(time, 1, vec![super::support::put("k", b"v")]));
    let poor = Account::new(200).put_with_nonce(time, "k", 1, 1);
    let late = Account { expires_in: 0, ..Account::new(1) }.put_with_nonce(time - 10, "k", 1, 1);
    let far = Account { expires_in: 90_000, ..Account::new(1) }.put_with_nonce(time, "k", 1, 1);
    let jump = account.put_with_nonce(time, "k", 1, 5_000);
    let cases = [
        (Bytes::from_static(b"\xff\xff"), "ENVELOPE_MALFORMED"),
        (other, "SIGNER_MISMATCH"),
        (poor, "LINE_MISSING"),
        (late, "EXPIRED"),
        (far, "EXPIRY_TOO_FAR"),
        (jump, "NONCE_TOO_FAR"),
    ];
    for (envelope, name) in cases {
        assert_eq!(rejection(chain.submit(envelope).await).name(), name);
    }
    let forged = rejection(chain.submit(Bytes::from(forged)).await);
    assert!(["SIGNER_MISMATCH", "SIGNATURE_MALFORMED"].contains(&forged.name()), "{forged}");
    commit(&chain, good).await;
    let used = account.put_with_nonce(time, "other", 1, 1);
    assert_eq!(rejection(chain.submit(used).await).name(), "NONCE_USED");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_mutations_with_one_nonce_the_first_waits() {
    let (_folder, home) = home();
    let chain = waiting_chain(&home, settings(&home)).await;
    let account = Account::new(1);
    let time = now(&chain);
    chain.submit(account.put_with_nonce(time, "a", 1, 3)).await.unwrap();
    assert_eq!(rejection(chain.submit(account.put_with_nonce(time, "b", 1, 3)).await).name(), "NONCE_USED");
    chain.submit(account.put_with_nonce(time, "b", 1, 2)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_expires_when_a_block_says_that_its_time_is_over() {
    let (_folder, home) = home();
    let chain = waiting_chain(&home, settings(&home)).await;
    let envelope = Account::new(1).put_with_nonce(now(&chain), "k", 1, 1);
    let mut submitted = chain.submit(envelope.clone()).await.unwrap();
    assert_eq!(chain.receipt(&submitted.id).unwrap(), ReceiptState::Pending);
    let state = submitted.receipt.committed(tokio::time::Instant::now() + Duration::from_millis(50)).await;
    assert_eq!(state, ReceiptState::Pending);
    // The epoch's end makes a block, whose time is past the expiry.
    chain.advance_time(7_200).unwrap();
    assert_eq!(submitted.receipt.committed(soon()).await, ReceiptState::Expired);
    assert_eq!(chain.receipt(&submitted.id).unwrap(), ReceiptState::Expired);
    assert_eq!(rejection(chain.submit(envelope).await).name(), "EXPIRED");
    assert_eq!(chain.status().unwrap().pool_mutations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_impossible_while_it_waits_is_told() {
    let (_folder, home) = home();
    let chain = ChainHandle::start(ChainConfig { block_ms: 300, ..settings(&home) }).await.unwrap();
    commit(&chain, Account::new(9).put(now(&chain), "first", 1)).await;
    let named = |number: u8| {
        let account = Account::new(number);
        let create = vec![db3_primitives::Operation::CreateNamespace];
        let mutation = account.mutation(now(&chain), 1, create);
        account.sign(&db3_primitives::Mutation { namespace: "shared".parse().unwrap(), ..mutation })
    };
    // Both may create it when they are taken in; only one is first.
    let mut first = chain.submit(named(1)).await.unwrap();
    let mut second = chain.submit(named(2)).await.unwrap();
    assert!(matches!(first.receipt.committed(soon()).await, ReceiptState::Done(_)));
    match second.receipt.committed(soon()).await {
        ReceiptState::Rejected(rejection) => assert_eq!(rejection.name(), "NAMESPACE_TAKEN"),
        other => panic!("{other:?}"),
    }
    until("the mempool is empty", || chain.status().unwrap().pool_mutations == 0).await;
    assert_eq!(chain.committed().state.window(&Account::new(2).address(), &"shared".parse().unwrap()).next().get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_longer_lease_does_not_make_one_block_after_the_other() {
    let epoch = Epoch::new(Clock::default().now().secs / EPOCH_SECS);
    let mut settlement = Settlement::leasing(epoch.next().unwrap());
    settlement.says_lines(&lines_of(1..2));
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("node");
    init(&home, &settlement.shard(None), &settings(&home)).unwrap();
    let interval = Duration::from_secs(2);
    let chain = ChainHandle::start(ChainConfig { block_ms: 2_000, ..settings(&home) }).await.unwrap();
    let funded = chain.submit_delivery(settlement.delivery(0, 0)).await.unwrap().block(soon()).await.unwrap();
    chain.wait_height(funded.unwrap(), soon()).await.unwrap();
    let submitted = chain.submit(Account::new(1).put(now(&chain), "k", 1)).await.unwrap();
    chain.advance_time(180).unwrap();
    let closed = || chain.committed().state.open_epoch().0.get() > epoch.get() + 1;
    until("the epochs are closed", closed).await;
    let (begun, height) = (tokio::time::Instant::now(), chain.committed().height.get());
    // One for the root after the close, and then one in each interval.
    until("blocks", || chain.committed().height.get() > height + 3).await;
    assert!(begun.elapsed() > interval, "{:?}", begun.elapsed());
    assert_eq!(submitted.receipt.now(), ReceiptState::Pending);
    chain.shutdown().await;
}
