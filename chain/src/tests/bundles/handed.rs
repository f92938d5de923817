//! What of deliveries `CometBFT` is told, however it answers: it may drop what it says it has, and tells nobody.

use std::sync::Mutex;
use std::time::Duration;

use db3_comet::RpcError;
use db3_comet::rpc::Broadcasted;
use db3_proto::encode_delivery_tx;

use super::super::support::{CEILING, home_of, until};
use super::*;
use crate::Bearer;
use crate::comet::bundler::Taker;
use crate::lock;
use crate::tests::deliveries::line;

/// A `CometBFT` that notes what it is given and gives these answers, the last of them for ever.
#[derive(Clone, Default)]
struct Noted {
    given: Arc<Mutex<Vec<Vec<u8>>>>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

#[derive(Clone, Copy)]
enum Answer {
    Known,
    Waiting,
    Refused,
    Silent,
}

impl Noted {
    fn answering(answers: &[Answer]) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.to_vec())), ..Self::default() }
    }

    fn given(&self) -> usize {
        lock(&self.given).len()
    }
}

impl Taker for Noted {
    async fn take(&self, tx: Vec<u8>) -> Result<Broadcasted, RpcError> {
        lock(&self.given).push(tx);
        let answer = {
            let mut answers = lock(&self.answers);
            if answers.len() > 1 { answers.remove(0) } else { answers[0] }
        };
        match answer {
            Answer::Known => Err(RpcError::Refused {
                method: "BroadcastTx".to_owned(),
                code: 2,
                detail: "tx already exists in cache".to_owned(),
            }),
            Answer::Waiting => Ok(Broadcasted::Waiting),
            Answer::Refused => Ok(Broadcasted::Refused { code: 1, log: "not now".to_owned() }),
            Answer::Silent => Err(RpcError::Unavailable { detail: "nobody listens".to_owned() }),
        }
    }
}

/// A node with a delivery that waits, and what hands it over.
async fn delivering(answers: &[Answer]) -> (tempfile::TempDir, ShardApp, Bytes, Noted, Bundler<ShardMachine, Noted>) {
    let (folder, home, mut source) = home_of(settings);
    let app = open::<ShardMachine>(settings(&home)).unwrap().app;
    source.says(line(&Account::new(1), CEILING));
    let delivery = source.delivery(0, 0);
    let tx = Bytes::from(encode_delivery_tx(&delivery));
    app.inner.submit_delivery(delivery, Bearer::Own).await.unwrap();
    let taker = Noted::answering(answers);
    let bundler =
        Bundler::new(Arc::clone(&app.inner), taker.clone(), Handle::current(), Arc::default(), Arc::default());
    (folder, app, tx, taker, bundler.with_pause(Duration::from_millis(5)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_handed_over_again_and_again_until_a_block_holds_it() {
    let (_folder, app, tx, taker, mut bundler) =
        delivering(&[Answer::Silent, Answer::Waiting, Answer::Known, Answer::Known, Answer::Waiting]).await;
    bundler.deliver(0);
    until("it is handed over ten times", || taker.given() >= 10).await;
    assert!(lock(&taker.given).iter().all(|given| *given == tx), "the same bytes each time");
    // While it is on its way, nobody begins it anew.
    bundler.deliver(0);
    assert!(!bundler.is_idle());
    decide(&app, &[tx]);
    bundler.deliver(0);
    until_idle(&mut bundler).await;
    let given = taker.given();
    bundler.deliver(0);
    assert!(bundler.is_idle(), "it waits no more");
    assert_eq!(taker.given(), given);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_refused_is_handed_over_again_when_somebody_looks_and_it_still_waits() {
    let (_folder, app, _, taker, mut bundler) = delivering(&[Answer::Refused]).await;
    for times in 1..4 {
        bundler.deliver(0);
        until_idle(&mut bundler).await;
        assert_eq!(taker.given(), times);
    }
    assert!(!app.inner.deliveries.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_to_a_cometbft_that_was_started_again_goes_to_the_new_one() {
    let (_folder, _app, _, taker, mut bundler) = delivering(&[Answer::Known]).await;
    // Of an earlier start.
    bundler.deliver(7);
    until_idle(&mut bundler).await;
    assert_eq!(taker.given(), 0);
    bundler.deliver(0);
    until("it is handed over", || taker.given() >= 2).await;
}

async fn until_idle(bundler: &mut Bundler<ShardMachine, Noted>) {
    until("nothing is being handed over", || bundler.is_idle()).await;
}
