use db3_primitives::{Address, CreditEntry, DecodeError, Epoch, Heartbeat, LineEntry, LogEntry, Tai};
use proptest::prelude::*;

fn entries() -> [(CreditEntry, String); 2] {
    let line = LineEntry { account: Address::new([0xab; 20]), ceiling: Tai::new(0x0102) };
    let heartbeat = Heartbeat { epoch: Epoch::new(7), lease: Epoch::new(10), inbox_cursor: 12 };
    [
        (CreditEntry::Line(line), format!("03{}{:032x}", "ab".repeat(20), 0x0102)),
        (CreditEntry::Heartbeat(heartbeat), format!("04{:016x}{:016x}{:016x}", 7, 10, 12)),
    ]
}

#[test]
fn encodings_of_credit_entries_are_pinned() {
    for (entry, expected) in entries() {
        assert_eq!(hex::encode(entry.to_bytes()), expected);
        assert_eq!(CreditEntry::from_bytes(&entry.to_bytes()), Ok(entry));
    }
    assert_eq!((LineEntry::BYTES, Heartbeat::BYTES), (37, 25));
}

#[test]
fn an_entry_of_the_other_direction_is_none_of_this() {
    for (entry, _) in entries() {
        assert!(matches!(LogEntry::from_bytes(&entry.to_bytes()), Err(DecodeError::UnknownFormat { .. })));
    }
    for tag in [0, 1, 2, 5, 255] {
        let bytes = [[tag].as_slice(), &[0; 36]].concat();
        assert!(
            matches!(CreditEntry::from_bytes(&bytes), Err(DecodeError::UnknownFormat { format, .. }) if format == tag)
        );
    }
}

#[test]
fn every_other_length_is_refused() {
    for (entry, _) in entries() {
        let bytes = entry.to_bytes();
        for length in 0..bytes.len() {
            assert!(matches!(CreditEntry::from_bytes(&bytes[..length]), Err(DecodeError::Truncated { .. })));
        }
        let longer = [bytes, vec![0]].concat();
        assert!(matches!(CreditEntry::from_bytes(&longer), Err(DecodeError::Trailing { bytes: 1, .. })));
    }
}

proptest! {
    #[test]
    fn credit_entries_survive_the_round_trip(account: [u8; 20], amount: u128, epoch: u64, lease: u64, inbox_cursor: u64, line: bool) {
        let entry = if line {
            CreditEntry::Line(LineEntry { account: Address::new(account), ceiling: Tai::new(amount) })
        } else {
            CreditEntry::Heartbeat(Heartbeat { epoch: Epoch::new(epoch), lease: Epoch::new(lease), inbox_cursor })
        };
        prop_assert_eq!(CreditEntry::from_bytes(&entry.to_bytes()), Ok(entry));
    }

    #[test]
    fn bytes_that_decode_are_the_encoding_of_what_they_say(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(entry) = CreditEntry::from_bytes(&bytes) {
            prop_assert_eq!(entry.to_bytes(), bytes);
        }
    }
}
