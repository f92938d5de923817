//! What must stay bounded, and who must not be kept waiting.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use db3_primitives::limits::MUTATION_BYTES_MAX;
use db3_primitives::{BlockTime, Height, Rejection};

use super::support::{Account, commit, home, now, put, settings, start};
use crate::machine::Machine as _;
use crate::version::{Version, Versions};
use crate::{AdvanceError, ChainConfig, ChainHandle, QueryError, ShardMachine, SubmitError};

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_is_not_committed_is_not_shown() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    commit(&chain, Account::new(1).put(now(&chain), "k", 1)).await;
    // Nothing is to be done, so this is as the engine leaves it between writing a block and its commit.
    let next = chain.committed().height.next().unwrap();
    chain.store().put_block(next, b"block", b"light block").unwrap();
    assert_eq!(chain.store().light_block(next).unwrap().unwrap(), b"light block");
    let hidden = |error| matches!(error, QueryError::Rejected(Rejection::BlockNotFound { height }) if height == next);
    assert!(hidden(chain.light_block(next).unwrap_err()));
    assert!(hidden(chain.block(next).unwrap_err()));
    assert!(hidden(chain.block_event(next).unwrap_err()));
    assert_eq!(chain.status().unwrap().blocks.unwrap().1, chain.committed().height);
    assert!(chain.light_block(chain.committed().height).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_past_the_year_9999_is_refused_and_the_chain_starts_again() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    for secs in [u64::MAX, 253_402_300_799] {
        let error = chain.advance_time(secs).unwrap_err();
        let AdvanceError::TooFar { largest, .. } = error else { panic!("{error}") };
        assert!(error.to_string().contains(&largest.to_string()), "{error}");
    }
    assert_eq!(chain.store().offset_secs().unwrap(), 0);
    commit(&chain, Account::new(1).put(now(&chain), "k", 1)).await;
    chain.shutdown().await;
    drop(chain);
    let chain = start(&home).await;
    // The largest step there is leaves a chain that works and starts.
    let Err(AdvanceError::TooFar { largest, .. }) = chain.advance_time(u64::MAX) else { panic!("moved") };
    chain.advance_time(largest - 60).unwrap();
    commit(&chain, Account::new(2).put(now(&chain), "k", 1)).await;
    chain.shutdown().await;
    drop(chain);
    let chain = start(&home).await;
    commit(&chain, Account::new(3).put(now(&chain), "k", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_steps_of_time_add_up() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..5).for_each(|_| assert!(chain.advance_time(1).is_ok())));
        }
    });
    assert_eq!(chain.store().offset_secs().unwrap(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_snapshot_thread_that_has_ended() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    chain.inner().snapshotter.stop();
    let (sender, receiver) = mpsc::channel();
    let asking = chain.clone();
    std::thread::spawn(move || sender.send(asking.make_snapshot()));
    let answer = receiver.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(answer.unwrap_err().contains("stopped"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_that_is_too_large_is_refused_in_its_place() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    let mut account = Account::new(1);
    let large = Bytes::from(vec![0; MUTATION_BYTES_MAX + 1]);
    let (first, last) = (account.put(now(&chain), "a", 1), account.put(now(&chain), "b", 1));
    let results = chain.submit_batch(vec![first, large, last]).await;
    assert!(results[0].is_ok() && results[2].is_ok());
    match &results[1] {
        Err(SubmitError::Rejected { rejection: Rejection::MutationTooLarge { bytes, .. }, .. }) => {
            assert_eq!(*bytes, MUTATION_BYTES_MAX as u64 + 1);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mempool_counts_what_operations_take() {
    let (_folder, home) = home();
    let config = ChainConfig { mempool_bytes: 20_000, ..settings(&home) };
    let chain = ChainHandle::start(config).await.unwrap();
    let account = Account::new(1);
    let small = account.mutation(now(&chain), 1, (0..200).map(|number| put(&number.to_string(), b"")).collect());
    let envelope = account.sign(&small);
    assert!(envelope.len() < 10_000);
    assert!(matches!(chain.submit(envelope).await, Err(SubmitError::Overloaded { .. })));
}

#[test]
fn a_full_set_of_pins_keeps_those_that_are_there() {
    let (_folder, home) = home();
    let genesis = db3_genesis::GenesisDocument::load(&crate::genesis_file(&home)).unwrap();
    let state = ShardMachine::genesis(&genesis).unwrap();
    let version = |height| Version::new(Height::new(height), BlockTime::from_secs(1), state.clone());
    let config = ChainConfig { pins_max: 2, versions_kept: 1, ..settings(&home) };
    let versions = Versions::new(version(9), &config);
    let pin = |height| versions.pin(&Arc::new(version(height)));
    pin(1);
    pin(2);
    pin(3);
    // Again, which costs nobody a place.
    pin(1);
    assert!(versions.at(Height::new(1)).is_ok() && versions.at(Height::new(2)).is_ok());
    assert!(versions.at(Height::new(3)).is_err());
}

#[test]
fn a_height_that_is_not_kept_is_told_with_heights_that_can_be_asked_for() {
    let (_folder, home) = home();
    let genesis = db3_genesis::GenesisDocument::load(&crate::genesis_file(&home)).unwrap();
    let state = ShardMachine::genesis(&genesis).unwrap();
    let version = |height| Version::new(Height::new(height), BlockTime::from_secs(1), state.clone());
    let versions = Versions::new(version(0), &settings(&home));
    for height in 0..3 {
        versions.prove(&version(height), Arc::from([].as_slice()));
    }
    let Err(error) = versions.at(Height::new(9)) else { panic!("it is not kept") };
    // 0 asks for the newest.
    let (height, earliest, latest) = (Height::new(9), Height::new(1), Height::new(2));
    assert_eq!(error, Rejection::HeightUnavailable { height, earliest, latest });
    assert_eq!(versions.earliest(), earliest);
}
