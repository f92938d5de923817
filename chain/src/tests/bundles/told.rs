//! What senders are told of mutations that other nodes hold as well: nothing that turns out false.

use db3_primitives::{BlockTime, CreditEntry, Epoch, Heartbeat, Tai};
use db3_proto::encode_delivery_tx;

use super::super::support::{CEILING, EPOCH_SECS, Settlement, home_with, lines_of};
use super::*;
use crate::InitInput;
use crate::machine::Machine as _;

/// What a small mutation may cost.
fn price() -> Tai {
    let (apps, _folders) = nodes(1);
    let app = &apps[0];
    let signed = decode_mutation(&Account::new(1).put_with_nonce(time(app), "k", 1, 1)).unwrap();
    app.inner.versions.committed().state.estimate(&signed.content, signed.bytes).unwrap().bound
}

#[test]
fn what_was_sent_to_two_nodes_and_only_one_of_it_can_be_paid_waits_nowhere_and_is_not_called_final() {
    let lines = [(Account::new(1).address(), price()), (Account::new(2).address(), Tai::new(CEILING))];
    let (apps, _folders) = nodes_of(home_with(&lines), 2);
    let account = Account::new(1);
    let [one, two] = [1, 2].map(|nonce| account.put_with_nonce(time(&apps[0]), "k", 1, nonce));
    // In the same moment, so that neither node knows of the other one.
    let waits = admit(&apps[1], two.clone());
    let tx = bundle(&[two.clone(), Account::new(2).put_with_nonce(time(&apps[0]), "k", 1, 1)]);
    assert!(checks(&apps[1], &tx, false));
    // The node that holds the second one does not propose.
    decide(&apps[1], &[bundle(&[one])]);
    assert_eq!(waits.receipt.now(), ReceiptState::Unknown, "a raised line may let another node commit it");
    assert_eq!((waiting(&apps[1]), apps[1].inner.mempool.ended(&id(&two))), (1, None));
    assert!(checks(&apps[1], &tx, true), "the rest of the bundle still waits");
    // Nor does it end for good where its node proposes.
    assert!(!prepare(&apps[1], &[tx]).is_empty());
    let refused = apps[1].inner.admit(vec![two]).remove(0).unwrap_err();
    assert_eq!(refused.rejection().name(), "CREDIT_EXHAUSTED", "whoever sends it again is told why");
}

#[test]
fn of_what_an_account_cannot_pay_any_more_the_newest_goes_first() {
    let lines = [(Account::new(1).address(), Tai::new(price().get() * 3)), (Account::new(2).address(), Tai::new(1))];
    let (apps, _folders) = nodes_of(home_with(&lines), 1);
    let app = &apps[0];
    let account = Account::new(1);
    let waits = [1, 2, 3].map(|nonce| admit(app, account.put_with_nonce(time(app), "k", 1, nonce)));
    decide(app, &[bundle(&[account.put_with_nonce(time(app), "k", 1, 7)])]);
    let told = waits.map(|submitted| submitted.receipt.now());
    assert_eq!(told, [ReceiptState::Pending, ReceiptState::Pending, ReceiptState::Unknown]);
}

#[test]
fn what_waits_while_the_lease_has_ended_is_in_a_block_when_it_is_longer() {
    let now = crate::app::Clock::default().now().secs;
    let mut settlement = Settlement::leasing(Epoch::new(now / EPOCH_SECS + 1));
    settlement.says_lines(&lines_of(1..3));
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("node");
    let input: InitInput = settlement.shard(None);
    crate::init(&home, &input, &settings(&home)).unwrap();
    let app = open::<ShardMachine>(settings(&home)).unwrap().app;
    decide(&app, &[Bytes::from(encode_delivery_tx(&settlement.delivery(0, 0)))]);

    let account = Account::new(1);
    let envelope = account.put_with_nonce(time(&app), "k", 1, 1);
    let submitted = admit(&app, envelope.clone());
    let tx = bundle(&[envelope]);
    assert!(checks(&app, &tx, false));
    // Epochs pass, and the heartbeat is late.
    assert!(prepare_after(&app, 180, std::slice::from_ref(&tx)).is_empty(), "nothing can be charged");
    decide_after(&app, 180, &[]);
    assert_eq!(submitted.receipt.now(), ReceiptState::Pending);
    assert!(checks(&app, &tx, true));
    let lease = Heartbeat { epoch: Epoch::new(0), lease: Epoch::new(u64::MAX), inbox_cursor: 0 };
    settlement.says(CreditEntry::Heartbeat(lease));
    let trusted = settlement.source.headers().height();
    decide(&app, &[Bytes::from(encode_delivery_tx(&settlement.delivery(3, trusted)))]);
    let proposed = prepare(&app, std::slice::from_ref(&tx));
    assert_eq!(proposed, [tx]);
    decide(&app, &proposed);
    assert!(matches!(submitted.receipt.now(), ReceiptState::Done(_)));
}

#[test]
fn a_mutation_that_a_block_took_while_it_was_verified_is_told_as_its_block_has_it() {
    let (apps, _folders) = nodes(1);
    let app = &apps[0];
    let account = Account { expires_in: 60, ..Account::new(1) };
    let envelope = account.put_with_nonce(time(app), "k", 1, 1);
    // One thread looks at it,
    let version = app.inner.versions.committed();
    let Ok(looked) = app.inner.verdicts.look(&envelope) else { panic!("it can be read") };
    let bound = ShardMachine::admit(&version.state, looked.content(), looked.bytes(), BlockTime::from_secs(time(app)));
    let verified = app.inner.verdicts.verify(vec![looked], 1).remove(0).ok().unwrap();
    // and before it has a place, its block comes from others.
    decide(app, &[bundle(std::slice::from_ref(&envelope))]);
    let inserted = app.inner.mempool.insert(verified, envelope.clone(), bound.unwrap(), &app.inner.versions);
    assert_eq!(inserted.unwrap_err().name(), "NONCE_USED");
    decide_after(app, 100, &[]);
    assert_eq!(app.inner.mempool.ended(&id(&envelope)), None, "it did not expire");
    let told = admit(app, envelope);
    assert!(matches!(told.receipt.now(), ReceiptState::Done(_)));
}
