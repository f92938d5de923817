//! What senders are told of mutations that other nodes hold as well: nothing that turns out false.

use db3_primitives::BlockTime;

use super::*;
use crate::machine::Machine as _;

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
