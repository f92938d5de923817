use std::num::NonZeroU64;

use db3_primitives::{BlockTime, Epoch, Height, ShardMap, Slot};
use proptest::prelude::*;

#[test]
fn epochs_are_the_same_on_all_chains() {
    let ten_minutes = NonZeroU64::new(600).unwrap();
    for (secs, epoch) in [(0, 0), (599, 0), (600, 1), (1_769_851_800, 2_949_753), (u64::MAX, u64::MAX / 600)] {
        assert_eq!(Epoch::of(secs, ten_minutes), Epoch::new(epoch));
    }
    assert_eq!(Epoch::new(7).start_secs(ten_minutes), Some(4_200));
    assert_eq!(Epoch::new(u64::MAX).start_secs(ten_minutes), None);
    assert_eq!(Height::new(u64::MAX).next(), None);
    assert_eq!(Height::new(1).next(), Some(Height::new(2)));
}

#[test]
fn times_are_written_by_rfc_3339() {
    for (secs, nanos, text) in [
        (0, 0, "1970-01-01T00:00:00Z"),
        (1, 500_000_000, "1970-01-01T00:00:01.5Z"),
        (951_782_399, 0, "2000-02-28T23:59:59Z"),
        (951_782_400, 0, "2000-02-29T00:00:00Z"),
        (951_868_800, 0, "2000-03-01T00:00:00Z"),
        (1_769_851_800, 1, "2026-01-31T09:30:00.000000001Z"),
        (4_107_542_400, 0, "2100-03-01T00:00:00Z"),
        (253_402_300_799, 999_999_999, "9999-12-31T23:59:59.999999999Z"),
    ] {
        let time = BlockTime::new(secs, nanos).unwrap();
        assert_eq!(time.rfc3339(), text);
        assert_eq!(text.parse(), Ok(time));
    }
    assert_eq!(BlockTime::from_secs(253_402_300_800).rfc3339(), "Unix second 253402300800");
    assert_eq!(BlockTime::from_secs(u64::MAX).rfc3339(), "Unix second 18446744073709551615");
    assert_eq!(BlockTime::new(0, 1_000_000_000), None);
}

#[test]
fn times_with_offsets_are_turned_to_utc() {
    for text in [
        "2026-01-31T11:00:00+01:30",
        "2026-01-31T04:30:00-05:00",
        "2026-01-31t09:30:00z",
        "2026-01-31 09:30:00Z",
        "2026-01-31T09:30:00.000Z",
    ] {
        assert_eq!(text.parse(), Ok(BlockTime::from_secs(1_769_851_800)), "{text}");
    }
}

#[test]
fn what_is_no_time_is_refused() {
    for text in [
        "",
        "2026-01-31",
        "2026-01-31T09:30Z",
        "2026-01-31T09:30:00",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T09:60:00Z",
        "2026-12-31T23:59:60Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "2026-01-31T09:30:00.Z",
        "2026-01-31T09:30:00.1234567890Z",
        "2026-01-31T09:30:00Zx",
        "2026-01-31T09:30:00+1:30",
        "9999-12-31T23:59:59-00:01",
        "+026-01-31T09:30:00Z",
        "２026-01-31T09:30:00Z",
    ] {
        assert!(text.parse::<BlockTime>().is_err(), "{text}");
    }
}

#[test]
fn shards_hold_contiguous_even_ranges_of_slots() {
    for shards in [1, 2, 3, 7, 500, 1_023, 1_024] {
        let map = ShardMap::new(5, shards).unwrap();
        let ranges = map.ranges();
        assert_eq!(ranges.len(), usize::try_from(shards).unwrap());
        let mut next = 0;
        for (shard, range) in (0..).zip(&ranges) {
            assert_eq!((range.shard.get(), range.first.get()), (shard, next));
            let slots = range.last.get() + 1 - next;
            assert!(
                (1_024 / shards..=1_024_u32.div_ceil(shards)).contains(&slots.into()),
                "{shards} shards, {slots} slots"
            );
            next = range.last.get() + 1;
        }
        assert_eq!(next, 1_024);
        assert_eq!(ShardMap::from_bytes(&map.to_bytes()), Ok(map));
    }
    assert!(ShardMap::new(1, 0).is_err());
    assert!(ShardMap::new(1, 1_025).is_err());
    assert_eq!(Slot::new(1_024), None);
}

#[test]
fn two_shards_split_the_slots_in_half() {
    let map = ShardMap::new(1, 2).unwrap();
    assert_eq!(map.shard_of(Slot::new(511).unwrap()).get(), 0);
    assert_eq!(map.shard_of(Slot::new(512).unwrap()).get(), 1);
    assert_eq!(map.shard_of_namespace(&"notes".parse().unwrap()).get(), 1);
}

proptest! {
    #[test]
    fn every_time_reads_back(secs in 0..=253_402_300_799u64, nanos in 0..1_000_000_000u32) {
        let time = BlockTime::new(secs, nanos).unwrap();
        prop_assert_eq!(time.rfc3339().parse(), Ok(time));
    }

    #[test]
    fn reading_a_time_never_panics(text: String, shaped in "[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,11})?([zZ]|[+-][0-9]{2}:[0-9]{2})?") {
        let _ = text.parse::<BlockTime>();
        let _ = shaped.parse::<BlockTime>();
    }
}
