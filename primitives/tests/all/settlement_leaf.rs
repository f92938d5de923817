//! The leaves of the settlement chain and its postings: pinned, exact, total.

use std::num::NonZeroU64;

use db3_primitives::leaf::settlement::{DUE_VALUE, FEE_POOL};
use db3_primitives::*;
use proptest::prelude::*;

fn address(byte: u8) -> Address {
    Address::new([byte; 20])
}

fn balance() -> BalanceLeaf {
    BalanceLeaf {
        balance: Tai::new(1),
        collateral: Tai::new(2),
        trust: Tai::new(3),
        stage: Stage::Delinquent,
        since: Epoch::new(4),
        postings: 5,
    }
}

fn line() -> LineLeaf {
    LineLeaf {
        want: Tai::new(10),
        ceiling: Tai::new(9),
        held: Tai::new(12),
        cut: Some(Cut { index: 7, lease: Epoch::new(8) }),
        reported: Tai::new(6),
        debited: Tai::new(5),
        paid: Tai::new(3),
        written_off: Tai::new(1),
    }
}

fn shard() -> ShardLeaf {
    ShardLeaf {
        lease: Epoch::new(1),
        last_close: Some(Epoch::new(2)),
        close_hash: [3; 32],
        inbox_cursor: 4,
        statements: 5,
        total: Tai::new(6),
        last_account: Some(address(7)),
        pool: Tai::new(8),
        income: Tai::new(9),
        fault: Some(Fault { code: ShardFault::CloseTotal, index: 10 }),
    }
}

fn round(phase: RoundPhase) -> RoundLeaf {
    let running = Running { epoch: Epoch::new(2), phase, postings: 3, debited: Tai::new(4), paid: Tai::new(5) };
    RoundLeaf { settled: Some(Epoch::new(1)), rounds: 6, running: Some(running) }
}

fn chain() -> SettlementLeaf {
    SettlementLeaf {
        network: "devnet".parse().unwrap(),
        epoch_secs: NonZeroU64::new(600).unwrap(),
        prices: PriceTable::v1(),
        shard_map: ShardMap::new(1, 2).unwrap(),
        expiry_max_secs: 3_600,
        factor_num: 3,
        factor_den: NonZeroU64::new(2).unwrap(),
        treasury: address(9),
        lease_epochs: 3,
        deadline_secs: 120,
        grace_epochs: 1,
        seize_epochs: 2,
        write_off_epochs: 3,
        round_accounts_max: 4_096,
    }
}

fn posting() -> Posting {
    let line = |shard| PostingLine {
        shard: ShardId::new(shard),
        debited_from: Tai::new(1),
        debited_to: Tai::new(2),
        covered_from: Tai::new(3),
        covered_to: Tai::new(4),
    };
    Posting {
        kind: PostingKind::Round,
        epoch: Epoch::new(1),
        height: Height::new(2),
        time_secs: 3,
        account: address(4),
        number: 5,
        debit: Tai::new(6),
        paid: Tai::new(7),
        written_off: Tai::new(8),
        outstanding: Tai::new(9),
        balance: Tai::new(10),
        collateral: Tai::new(11),
        lines: vec![line(0), line(3)],
    }
}

fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

#[test]
fn the_encodings_are_pinned() {
    let tai = |tai: u128| format!("{tai:032x}");
    let long = |number: u64| format!("{number:016x}");
    let money = BalanceLeaf { balance: Tai::new(0x0102_03ff), collateral: Tai::MAX, trust: Tai::ZERO, ..balance() };
    let most = ["10", &"ff".repeat(16)].concat();
    assert_eq!(hex(&money.to_bytes()), ["01", "04010203ff", &most, "00", "02", &long(4), &long(5)].concat());
    let (head, sums) = ("01010a0109010c", "0106010501030101");
    assert_eq!(hex(&line().to_bytes()), [head, "01", &long(7), &long(8), sums].concat());
    assert_eq!(hex(&LineLeaf { cut: None, ..line() }.to_bytes()), [head, "00", sums].concat());
    let close = ["01", &long(2), &"03".repeat(32), &long(4)].concat();
    let stated = [&long(5), tai(6).as_str(), "01", &"07".repeat(20)].concat();
    assert_eq!(hex(&shard().to_bytes()), ["01", &long(1), &close, &stated, &tai(8), &tai(9), "0a", &long(10)].concat());
    let tail = [long(3), tai(4), tai(5)].concat();
    assert_eq!(
        hex(&round(RoundPhase::Accounts { after: Some(address(7)) }).to_bytes()),
        ["01", "01", &long(1), &long(6), "02", &long(2), &"07".repeat(20), "00000000", &tail].concat()
    );
    assert_eq!(
        hex(&round(RoundPhase::Shards { next: ShardId::new(9) }).to_bytes()),
        ["01", "01", &long(1), &long(6), "03", &long(2), &"00".repeat(20), "00000009", &tail].concat()
    );
    let cut = CutLeaf { account: address(7), lease: Epoch::new(8) };
    assert_eq!(hex(&cut.to_bytes()), ["01", &"07".repeat(20), &long(8)].concat());
    let payouts = PayoutLeaf::new(&[(address(2), 5), (address(1), 4), (address(2), 1)]).unwrap();
    assert_eq!(
        hex(&payouts.to_bytes()),
        ["01", "00000002", &"01".repeat(20), &long(4), &"02".repeat(20), &long(6)].concat()
    );
    let passed = PassedLeaf::beginning(6).forgiving(7).forgiving(9);
    assert_eq!(hex(&passed.to_bytes()), ["01", &long(6), &long(7), &long(9)].concat());
    let dues = DuesLeaf::new(vec![address(3), address(4)]).unwrap();
    assert_eq!(hex(&dues.to_bytes()), ["01", &"03".repeat(20), &"04".repeat(20)].concat());
    let supply = SupplyLeaf { supply: Tai::new(9), fee_pool: Tai::new(1), fee_income: Tai::new(2) };
    assert_eq!(hex(&supply.to_bytes()), ["01", &tai(9), &tai(1), &tai(2)].concat());
    let line = |shard: u32| format!("{shard:08x}{}{}{}{}", tai(1), tai(2), tai(3), tai(4));
    assert_eq!(
        hex(&posting().to_bytes()),
        [
            "0101".to_owned(),
            [1, 2, 3].map(long).concat(),
            "04".repeat(20),
            long(5),
            [6, 7, 8, 9, 10, 11].map(tai).concat(),
            "00000002".to_owned(),
            line(0),
            line(3)
        ]
        .concat()
    );
}

#[test]
fn every_leaf_reads_back_at_its_length() {
    assert_eq!((BalanceLeaf::from_bytes(&balance().to_bytes()), balance().to_bytes().len()), (Ok(balance()), 24));
    assert_eq!((LineLeaf::from_bytes(&line().to_bytes()), line().to_bytes().len()), (Ok(line()), 32));
    assert_eq!((ShardLeaf::from_bytes(&shard().to_bytes()), shard().to_bytes().len()), (Ok(shard()), 144));
    assert_eq!((SettlementLeaf::from_bytes(&chain().to_bytes()), chain().to_bytes().len()), (Ok(chain()), 226));
    assert_eq!((Posting::from_bytes(&posting().to_bytes()), posting().to_bytes().len()), (Ok(posting()), 154 + 136));
    for leaf in [
        RoundLeaf::default(),
        round(RoundPhase::Accounts { after: None }),
        round(RoundPhase::Accounts { after: Some(address(0)) }),
        round(RoundPhase::Shards { next: ShardId::new(0) }),
    ] {
        assert_eq!((RoundLeaf::from_bytes(&leaf.to_bytes()), leaf.to_bytes().len()), (Ok(leaf), 91));
    }
    let empty = [LineLeaf::default().to_bytes(), BalanceLeaf::default().to_bytes(), ShardLeaf::default().to_bytes()];
    assert_eq!(LineLeaf::from_bytes(&empty[0]), Ok(LineLeaf::default()));
    assert_eq!(BalanceLeaf::from_bytes(&empty[1]), Ok(BalanceLeaf::default()));
    assert_eq!(ShardLeaf::from_bytes(&empty[2]), Ok(ShardLeaf::default()));
    for fault in ShardFault::ALL {
        assert_eq!(ShardFault::from_number(fault.number()), Some(fault));
        assert!(!fault.text().is_empty());
    }
    assert_eq!(DUE_VALUE, [1]);
    assert!(FEE_POOL.get() >= limits::SHARDS_MAX, "no shard has the number of the fee pool");
}

#[test]
fn a_list_of_due_accounts_that_is_empty_too_long_or_out_of_order_is_none() {
    let ascending = |count: u32| -> Vec<Address> {
        (0..count)
            .map(|number| [&number.to_be_bytes()[..], &[0; 16]].concat())
            .map(|bytes| Address::from_slice(&bytes).unwrap())
            .collect()
    };
    let most = u32::try_from(DuesLeaf::ACCOUNTS_MAX).unwrap();
    for count in [1, 2, most] {
        let leaf = DuesLeaf::new(ascending(count)).unwrap();
        assert_eq!(DuesLeaf::from_bytes(&leaf.to_bytes()), Ok(leaf));
    }
    for wrong in [ascending(0), ascending(most + 1), vec![address(2), address(1)], vec![address(1), address(1)]] {
        let bytes = [&[1][..], &wrong.iter().flat_map(|account| account.to_bytes()).collect::<Vec<_>>()].concat();
        assert!(DuesLeaf::from_bytes(&bytes).is_err());
        assert_eq!(DuesLeaf::new(wrong), None);
    }
    let bytes = DuesLeaf::new(ascending(2)).unwrap().to_bytes();
    assert!(DuesLeaf::from_bytes(&bytes[..40]).is_err() && DuesLeaf::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn an_amount_has_one_encoding() {
    for (amount, read) in [
        ("00", Ok(0)),
        ("0101", Ok(1)),
        ("020100", Ok(0x100)),
        ("10ffffffffffffffffffffffffffffffff", Ok(u128::MAX)),
        ("0100", Err("a leading zero")),
        ("020001", Err("a leading zero")),
        ("1101ffffffffffffffffffffffffffffffff", Err("more than 16 bytes")),
        ("0201", Err("too few")),
    ] {
        let bytes = [&[1][..], &hex::decode(amount).unwrap(), &[0, 0, 0], &[0; 16]].concat();
        let found = BalanceLeaf::from_bytes(&bytes).map(|leaf| leaf.balance.get());
        assert_eq!(found.ok(), read.ok(), "{amount}: {read:?}");
        if let Ok(amount) = read {
            let leaf = BalanceLeaf { balance: Tai::new(amount), ..BalanceLeaf::default() };
            assert_eq!(leaf.to_bytes(), bytes);
        }
    }
}

#[test]
fn a_leaf_of_the_longest_amounts_is_a_little_longer_than_what_is_charged() {
    let most = Tai::MAX;
    let money = BalanceLeaf { balance: most, collateral: most, trust: most, ..balance() };
    assert_eq!(money.to_bytes().len(), BalanceLeaf::BYTES_CHARGED + 3);
    assert_eq!(BalanceLeaf::from_bytes(&money.to_bytes()), Ok(money));
    let half = Tai::new(u128::MAX / 2);
    let all = LineLeaf { want: most, ceiling: most, held: most, reported: most, debited: most, ..line() };
    let all = LineLeaf { paid: half, written_off: half, ..all };
    assert_eq!(all.to_bytes().len(), LineLeaf::BYTES_CHARGED + 7);
    assert_eq!(LineLeaf::from_bytes(&all.to_bytes()), Ok(all));
    // 2^40 tai are 1 100 DB3: with such sums a line is one block of SHA-256, which holds 55 bytes.
    let sum = Tai::new(1 << 40);
    let common =
        LineLeaf { want: sum, ceiling: sum, held: sum, reported: sum, debited: sum, paid: sum, ..LineLeaf::default() };
    assert!(common.to_bytes().len() <= 55);
}

#[test]
fn a_line_whose_sums_are_out_of_order_is_none() {
    for broken in [
        LineLeaf { written_off: Tai::new(3), ..line() },
        LineLeaf { debited: Tai::new(7), ..line() },
        LineLeaf { reported: Tai::new(13), ..line() },
        LineLeaf { ceiling: Tai::new(13), ..line() },
    ] {
        assert!(!broken.is_ordered());
        assert!(LineLeaf::from_bytes(&broken.to_bytes()).is_err());
    }
    let line = line();
    assert_eq!([line.covered(), line.outstanding(), line.unsettled(), line.bound()], [4, 1, 1, 8].map(Tai::new));
}

#[test]
fn the_limit_is_factor_times_collateral_rounded_down_and_trust() {
    let chain = chain();
    assert_eq!(chain.limit(Tai::new(5), Tai::new(10)), Tai::new(17));
    assert_eq!(chain.limit(Tai::MAX, Tai::MAX), Tai::MAX);
}

#[test]
fn a_bill_is_found_by_its_cumulative_sum() {
    let posting = posting();
    let line = posting.line(ShardId::new(3)).unwrap();
    assert!(line.debits(Tai::new(2)) && !line.debits(Tai::new(1)) && !line.debits(Tai::new(3)));
    assert!(line.covers(Tai::new(4)) && !line.covers(Tai::new(3)));
    assert_eq!((line.debit(), line.covered()), (Tai::new(1), Tai::new(1)));
    assert_eq!(posting.line(ShardId::new(1)), None);
}

#[test]
fn recipients_without_power_or_with_too_much_are_refused() {
    assert!(PayoutLeaf::new(&[(address(1), 0)]).is_err());
    assert!(PayoutLeaf::new(&[(address(1), limits::PAYOUT_POWER_MAX), (address(2), 1)]).is_err());
    let many: Vec<(Address, u64)> = (0..=limits::PAYOUTS_MAX)
        .map(|number| {
            let mut bytes = [0; 20];
            bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
            (Address::new(bytes), 1)
        })
        .collect();
    assert!(PayoutLeaf::new(&many).is_err());
    let unordered = [
        &[1u8][..],
        &2u32.to_be_bytes(),
        address(2).as_bytes(),
        &1u64.to_be_bytes(),
        address(1).as_bytes(),
        &1u64.to_be_bytes(),
    ]
    .concat();
    assert!(PayoutLeaf::from_bytes(&unordered).is_err());
}

#[test]
fn what_is_passed_over_of_a_log_is_bounded_and_ascends() {
    let passed = PassedLeaf::beginning(6).forgiving(7).forgiving(7).forgiving(9).forgiving(3);
    assert_eq!((passed.begins(), passed.faults()), (6, [7, 9].as_slice()));
    let held: Vec<u64> = (0..12).filter(|index| passed.holds(*index)).collect();
    assert_eq!(held, [0, 1, 2, 3, 4, 5, 7, 9]);
    let count = limits::FORGIVEN_FAULTS_MAX as u64;
    let full = (0..count).fold(PassedLeaf::default(), PassedLeaf::forgiving);
    assert_eq!(full.faults().len() as u64, count);
    assert_eq!(PassedLeaf::from_bytes(&full.to_bytes()), Ok(full.clone()));
    assert_eq!(full.clone().forgiving(count), PassedLeaf::beginning(count + 1));
    let long = |number: u64| number.to_be_bytes().to_vec();
    for wrong in [vec![long(6), long(5)], vec![long(6), long(8), long(8)], vec![long(6), vec![0; 7]]] {
        assert!(PassedLeaf::from_bytes(&[vec![1], wrong.concat()].concat()).is_err());
    }
    assert!(PassedLeaf::from_bytes(&[full.to_bytes(), long(count)].concat()).is_err(), "too many");
}

proptest! {
    #[test]
    fn any_bytes_decode_to_what_encodes_to_them_or_not_at_all(
        mut bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1u8), any::<u8>()], 0..300),
        formatted in any::<bool>(),
    ) {
        if let (true, Some(first)) = (formatted, bytes.first_mut()) {
            *first = 1;
        }
        if let Ok(leaf) = BalanceLeaf::from_bytes(&bytes) { prop_assert_eq!(leaf.to_bytes(), bytes.clone()); }
        if let Ok(leaf) = LineLeaf::from_bytes(&bytes) { prop_assert_eq!(leaf.to_bytes(), bytes.clone()); }
        if let Ok(leaf) = ShardLeaf::from_bytes(&bytes) { prop_assert_eq!(leaf.to_bytes(), bytes.clone()); }
        if let Ok(leaf) = RoundLeaf::from_bytes(&bytes) { prop_assert_eq!(leaf.to_bytes(), bytes.clone()); }
        if let Ok(leaf) = CutLeaf::from_bytes(&bytes) { prop_assert_eq!(leaf.to_bytes(), bytes.clone()); }
        if let Ok(leaf) = PassedLeaf::from_bytes(&bytes) { prop_assert_eq!(leaf.to_bytes(), bytes.clone()); }
        if let Ok(leaf) = PayoutLeaf::from_bytes(&bytes) { prop_assert_eq!(leaf.to_bytes(), bytes.clone()); }
        if let Ok(leaf) = SupplyLeaf::from_bytes(&bytes) { prop_assert_eq!(leaf.to_bytes(), bytes.clone()); }
        if let Ok(leaf) = SettlementLeaf::from_bytes(&bytes) { prop_assert_eq!(leaf.to_bytes(), bytes.clone()); }
        if let Ok(leaf) = Posting::from_bytes(&bytes) { prop_assert_eq!(leaf.to_bytes(), bytes); }
    }
}
