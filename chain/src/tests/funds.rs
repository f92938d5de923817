//! What waits when a block leaves an account with less than before.

use bytes::Bytes;
use db3_primitives::{CreditEntry, LineEntry, Tai};
use db3_proto::encode_delivery_tx;

use super::bundles::{admit, decide, time};
use super::support::{Account, CEILING, Settlement, home_of, lines_of, settings};
use crate::open::open;
use crate::{ReceiptState, ShardApp, ShardMachine};

/// A block with a delivery of what was said since the last one.
fn hear(app: &ShardApp, settlement: &mut Settlement) {
    let channel = app.inner.versions.committed().state.channel(&super::support::settlement()).unwrap();
    let delivery = settlement.delivery(channel.cursor(), channel.trusted_height());
    decide(app, &[Bytes::from(encode_delivery_tx(&delivery))]);
}

#[test]
fn a_lowered_line_ends_the_newest_of_what_waits_of_its_account_and_nothing_of_others() {
    let (_folder, home, mut settlement) = home_of(settings);
    let app = open::<ShardMachine>(settings(&home)).unwrap().app;
    settlement.says_lines(&lines_of(1..4));
    hear(&app, &mut settlement);
    let now = time(&app);
    let put = |number, nonce| admit(&app, Account::new(number).put_with_nonce(now, "k", 1, nonce));
    let waits = [put(1, 1), put(1, 2), put(2, 1), put(3, 1)];
    let says = |settlement: &mut Settlement, number, ceiling| {
        let line = LineEntry { account: Account::new(number).address(), ceiling: Tai::new(ceiling) };
        settlement.says(CreditEntry::Line(line));
    };
    let told = || waits.each_ref().map(|submitted| submitted.receipt.now());
    says(&mut settlement, 2, 2 * CEILING);
    hear(&app, &mut settlement);
    assert_eq!(told(), [(); 4].map(|()| ReceiptState::Pending));
    // One of two has room.
    let signed = db3_proto::decode_mutation(&Account::new(1).put_with_nonce(now, "k", 1, 1)).unwrap();
    let bound = app.inner.versions.committed().state.estimate(&signed.content, signed.bytes).unwrap().bound;
    says(&mut settlement, 1, bound.get());
    says(&mut settlement, 3, 0);
    hear(&app, &mut settlement);
    assert_eq!(told(), [ReceiptState::Pending, ReceiptState::Unknown, ReceiptState::Pending, ReceiptState::Unknown]);
}
