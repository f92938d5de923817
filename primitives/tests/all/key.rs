use std::collections::BTreeSet;

use db3_primitives::{Address, ChainId, Epoch, Namespace, RecordKey, ShardId, TableName, key};
use proptest::prelude::*;

fn address() -> Address {
    Address::new([0xab; 20])
}

fn namespace(text: &str) -> Namespace {
    text.parse().unwrap()
}

fn table(text: &str) -> TableName {
    text.parse().unwrap()
}

fn record_key(bytes: &[u8]) -> RecordKey {
    RecordKey::try_from(bytes).unwrap()
}

#[test]
fn tree_keys_are_pinned() {
    let ab = "ab".repeat(20);
    let notes = namespace("notes");
    let cities = table("cities");
    for (made, expected) in [
        (key::account(&address()), format!("616363742f{ab}")),
        (key::chain(), hex::encode("chain")),
        (key::emission(), hex::encode("close")),
        (key::epoch(Epoch::new(7)), format!("{}0000000000000007", hex::encode("epoch/"))),
        (key::namespace(&notes), hex::encode("ns/notes")),
        (key::open_epoch(), hex::encode("open")),
        (key::outbox(&ChainId::parse("devnet-settlement").unwrap()), hex::encode("outbox/devnet-settlement")),
        (key::acknowledged(&ChainId::parse("devnet-settlement").unwrap()), hex::encode("acked/devnet-settlement")),
        (key::owned(&address(), &notes), format!("6f776e2f{ab}{}", hex::encode("notes"))),
        (key::record(&notes, &cities, &record_key(b"berlin")), hex::encode("rec/\x05notes\x06citiesberlin")),
        (key::table(&notes, &cities), hex::encode("tbl/\x05notescities")),
        (key::window(&address(), &notes), format!("77696e2f{ab}{}", hex::encode("notes"))),
        (key::inbox(&ChainId::parse("devnet-shard-1").unwrap()), hex::encode("inbox/devnet-shard-1")),
        (key::client(&ChainId::parse("devnet-shard-1").unwrap()), hex::encode("client/devnet-shard-1")),
        (key::peer(&ChainId::parse("devnet-shard-1").unwrap()), hex::encode("peer/devnet-shard-1")),
        (key::balance(&address()), format!("{}{ab}", hex::encode("bal/"))),
        (key::line(&address(), ShardId::new(1)), format!("{}{ab}00000001", hex::encode("line/"))),
        (key::shard(ShardId::new(1)), format!("{}00000001", hex::encode("shard/"))),
        (key::due(&address()), format!("{}{ab}", hex::encode("due/"))),
        (key::dues(&address(), ShardId::new(1), 7), format!("{}{ab}000000010000000000000007", hex::encode("dues/"))),
        (key::cut(ShardId::new(1), 7), format!("{}000000010000000000000007", hex::encode("cut/"))),
        (key::passed(ShardId::new(1)), format!("{}00000001", hex::encode("passed/"))),
        (key::payout(ShardId::new(1)), format!("{}00000001", hex::encode("payout/"))),
        (key::postings(), hex::encode("postings")),
        (key::round(), hex::encode("round")),
        (key::supply(), hex::encode("supply")),
        (key::sweep(), hex::encode("sweep")),
        (key::own_window(&address()), format!("{}{ab}", hex::encode("win/"))),
    ] {
        assert_eq!(hex::encode(made), expected);
    }
}

#[test]
fn names_and_keys_that_run_together_make_different_tree_keys() {
    let mut seen = BTreeSet::new();
    for (ns, tb, k) in
        [("a", "bc", "d"), ("ab", "c", "d"), ("a", "b", "cd"), ("a", "b", "c"), ("abc", "d", "x"), ("a", "bcd", "x")]
    {
        assert!(seen.insert(key::record(&namespace(ns), &table(tb), &record_key(k.as_bytes()))), "{ns} {tb} {k}");
        assert!(seen.insert(key::table(&namespace(ns), &table(tb))) || ns == "a", "{ns} {tb}");
    }
    assert_ne!(key::table(&namespace("a"), &table("bc")), key::table(&namespace("ab"), &table("c")));
    // One table's prefix is no prefix of another's keys.
    let other = key::record(&namespace("a"), &table("bc"), &record_key(b"d"));
    assert!(!other.starts_with(&key::record_prefix(&namespace("a"), &table("b"))));
}

#[test]
fn the_end_of_a_prefix_is_the_least_key_above_it() {
    assert_eq!(key::prefix_end(b"ab"), Some(b"ac".to_vec()));
    assert_eq!(key::prefix_end(&[1, 0xff, 0xff]), Some(vec![2]));
    assert_eq!(key::prefix_end(&[0xff, 0xff]), None);
    assert_eq!(key::prefix_end(&[]), None);
}

prop_compose! {
    fn names()(ns in "[a-z0-9][a-z0-9._-]{0,63}", tb in "[a-z0-9][a-z0-9._-]{0,63}") -> (Namespace, TableName) {
        (namespace(&ns), table(&tb))
    }
}

proptest! {
    #[test]
    fn every_tree_key_splits_back_and_has_the_length_it_is_charged_for(
        (ns, tb) in names(), bytes in prop::collection::vec(any::<u8>(), 1..=256), owner: [u8; 20], epoch: u64,
    ) {
        let (record, owner) = (record_key(&bytes), Address::new(owner));
        let made = key::record(&ns, &tb, &record);
        prop_assert_eq!(made.len(), key::record_bytes(&ns, &tb, bytes.len()));
        prop_assert!(made.len() <= db3_primitives::limits::TREE_KEY_BYTES_MAX);
        prop_assert!(made.starts_with(&key::record_prefix(&ns, &tb)));
        prop_assert_eq!(key::split_record(&made), Some((ns.clone(), tb.clone(), record)));
        let made = key::table(&ns, &tb);
        prop_assert_eq!(made.len(), key::table_bytes(&ns, &tb));
        prop_assert!(made.starts_with(&key::table_prefix(&ns)));
        prop_assert_eq!(key::split_table(&made), Some((ns.clone(), tb)));
        let made = key::namespace(&ns);
        prop_assert_eq!(made.len(), key::namespace_bytes(&ns));
        prop_assert_eq!(key::split_namespace(&made), Some(ns.clone()));
        let made = key::owned(&owner, &ns);
        prop_assert_eq!(made.len(), key::owned_bytes(&ns));
        prop_assert!(made.starts_with(&key::namespaces_of(&owner)));
        prop_assert_eq!(key::split_owned(&made), Some((owner, ns.clone())));
        let made = key::window(&owner, &ns);
        prop_assert_eq!(made.len(), key::window_bytes(&ns));
        prop_assert_eq!(key::split_window(&made), Some((owner, ns)));
        prop_assert_eq!(key::split_account(&key::account(&owner)), Some(owner));
        prop_assert_eq!(key::split_epoch(&key::epoch(Epoch::new(epoch))), Some(Epoch::new(epoch)));
    }

    #[test]
    fn records_of_a_table_sort_by_their_keys((ns, tb) in names(), a in prop::collection::vec(any::<u8>(), 1..9), b in prop::collection::vec(any::<u8>(), 1..9)) {
        let made = |bytes: &[u8]| key::record(&ns, &tb, &record_key(bytes));
        prop_assert_eq!(made(&a).cmp(&made(&b)), a.cmp(&b));
    }

    #[test]
    fn keys_between_a_prefix_and_its_end_are_those_that_begin_with_it(prefix in prop::collection::vec(any::<u8>(), 0..4), probe in prop::collection::vec(any::<u8>(), 0..6)) {
        let below_end = key::prefix_end(&prefix).is_none_or(|end| probe < end);
        prop_assert_eq!(probe.starts_with(&prefix), probe >= prefix && below_end);
    }

    #[test]
    fn splitting_a_tree_key_never_panics(head in "(acct/|epoch/|ns/|own/|rec/|tbl/|win/|)", tail in prop::collection::vec(any::<u8>(), 0..80)) {
        let bytes = [head.as_bytes(), &tail].concat();
        let _ = (key::split_account(&bytes), key::split_epoch(&bytes), key::split_namespace(&bytes), key::split_owned(&bytes));
        let _ = (key::split_record(&bytes), key::split_table(&bytes), key::split_window(&bytes));
    }
}

proptest! {
    #[test]
    fn keys_of_settlement_and_channels_give_back_what_they_are_made_of(account: [u8; 20], shard: u32, index: u64) {
        let (account, shard) = (Address::new(account), ShardId::new(shard));
        let chain = ChainId::shard(&"devnet".parse().unwrap(), shard);
        prop_assert_eq!(key::split_balance(&key::balance(&account)), Some(account));
        prop_assert_eq!(key::split_due(&key::due(&account)), Some(account));
        prop_assert_eq!(key::split_dues(&key::dues(&account, shard, index)), Some((account, shard, index)));
        prop_assert!(!key::dues(&account, shard, index).starts_with(&key::due_prefix()));
        prop_assert_eq!(key::split_own_window(&key::own_window(&account)), Some(account));
        prop_assert_eq!(key::split_line(&key::line(&account, shard)), Some((account, shard)));
        prop_assert_eq!(key::split_shard(&key::shard(shard)), Some(shard));
        prop_assert_eq!(key::split_passed(&key::passed(shard)), Some(shard));
        prop_assert_eq!(key::split_payout(&key::payout(shard)), Some(shard));
        prop_assert_eq!(key::split_cut(&key::cut(shard, index)), Some((shard, index)));
        prop_assert_eq!(key::split_acknowledged(&key::acknowledged(&chain)), Some(chain.clone()));
        prop_assert_eq!(key::split_outbox(&key::outbox(&chain)), Some(chain.clone()));
        prop_assert_eq!(key::split_inbox(&key::inbox(&chain)), Some(chain.clone()));
        prop_assert_eq!(key::split_client(&key::client(&chain)), Some(chain.clone()));
        prop_assert_eq!(key::split_peer(&key::peer(&chain)), Some(chain));
        prop_assert!(key::line(&account, shard).starts_with(&key::line_prefix_of(&account)));
        prop_assert!(key::line(&account, shard).starts_with(&key::line_prefix()));
        prop_assert!(key::cut(shard, index).starts_with(&key::cut_prefix(shard)));
    }

    #[test]
    fn bytes_that_are_no_settlement_key_name_nothing_else(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        for prefix in [key::line_prefix(), key::balance_prefix(), key::shard_prefix(), key::due_prefix(), key::inbox_prefix()] {
            let tried = [prefix, bytes.clone()].concat();
            if let Some((account, shard)) = key::split_line(&tried) {
                prop_assert_eq!(key::line(&account, shard), tried.clone());
            }
            if let Some(account) = key::split_balance(&tried) {
                prop_assert_eq!(key::balance(&account), tried.clone());
            }
            if let Some(shard) = key::split_shard(&tried) {
                prop_assert_eq!(key::shard(shard), tried.clone());
            }
            if let Some(chain) = key::split_inbox(&tried) {
                prop_assert_eq!(key::inbox(&chain), tried);
            }
        }
    }
}
