use db3_primitives::leaf::split_record;
use db3_primitives::{AccountLeaf, AcknowledgedLeaf, Address, DecodeError, RecordHeader, Tai};
use proptest::prelude::*;

#[test]
fn a_record_leaf_splits_into_header_and_value() {
    let header = RecordHeader { owner: Address::new([1; 20]), version: 3, height: 4, time_secs: 5 };
    assert_eq!(split_record(&header.leaf(b"value")), Some((header, &b"value"[..])));
    assert_eq!(split_record(&header.leaf(b"")), Some((header, &b""[..])));
    assert_eq!(split_record(&header.to_bytes()[..44]), None);
    assert_eq!(split_record(&RecordHeader { version: 0, ..header }.to_bytes()), None);
}

#[test]
fn the_leaf_of_what_was_acknowledged_is_its_format_and_a_number() {
    let leaf = AcknowledgedLeaf { entries: 0x0102 };
    assert_eq!(hex::encode(leaf.to_bytes()), "010000000000000102");
    assert_eq!(leaf.to_bytes().len(), AcknowledgedLeaf::BYTES);
    assert_eq!(AcknowledgedLeaf::from_bytes(&leaf.to_bytes()), Ok(leaf));
    for bytes in [&leaf.to_bytes()[..8], &[leaf.to_bytes(), vec![0]].concat()[..], &[2; 9]] {
        assert!(AcknowledgedLeaf::from_bytes(bytes).is_err());
    }
    assert!(matches!(AcknowledgedLeaf::from_bytes(&[]), Err(DecodeError::Truncated { .. })));
}

#[test]
fn a_charge_over_the_ceiling_is_none() {
    let line = AccountLeaf::with_ceiling(Tai::new(10));
    let line = line.charge(Tai::new(10), 5).unwrap();
    assert_eq!((line.available(), line.bill_count), (Tai::ZERO, 1));
    assert_eq!(line.charge(Tai::new(1), 5), None);
    assert!(line.charge(Tai::ZERO, 5).is_some());
    assert_eq!(line.charge(Tai::ZERO, 4), None, "an epoch that is over takes no bill");
}

#[test]
fn a_charge_near_the_largest_amount_does_not_overflow() {
    let line =
        AccountLeaf { ceiling: Tai::MAX, spent: Tai::new(u128::MAX - 1), bill_count: 1, ..AccountLeaf::default() };
    assert_eq!(line.charge(Tai::new(2), 0), None);
    assert!(line.charge(Tai::new(1), 0).is_some());
    let line = AccountLeaf { bill_count: u64::MAX, ..AccountLeaf::with_ceiling(Tai::MAX) };
    assert_eq!(line.charge(Tai::ZERO, 0), None);
}

proptest! {
    /// Fees with the epochs they fall in, against the plain list of them.
    #[test]
    fn the_two_newest_epochs_with_bills_can_be_stated(steps in prop::collection::vec((0..3u64, 0..100u128), 0..40)) {
        let mut line = AccountLeaf::with_ceiling(Tai::MAX);
        let mut bills: Vec<(u64, u128)> = Vec::new();
        let mut epoch = 0;
        for (ahead, fee) in steps {
            epoch += ahead;
            line = line.charge(Tai::new(fee), epoch).unwrap();
            bills.push((epoch, fee));
            let mut epochs: Vec<u64> = bills.iter().map(|(epoch, _)| *epoch).collect();
            epochs.dedup();
            for (back, stated) in epochs.iter().rev().enumerate() {
                let Some(sums) = line.sums_of(*stated) else {
                    prop_assert!(back >= 2, "epoch {stated} is one of the two newest");
                    continue;
                };
                let before = |limit: u64| -> (u64, u128) {
                    let part = bills.iter().filter(|(epoch, _)| *epoch < limit);
                    (part.clone().count() as u64, part.map(|(_, fee)| fee).sum())
                };
                prop_assert_eq!((sums.opening_bills, sums.opening_spent.get()), before(*stated));
                prop_assert_eq!((sums.closing_bills, sums.closing_spent.get()), before(stated + 1));
            }
            prop_assert_eq!(line.sums_of(epoch + 1), None);
        }
    }
}
