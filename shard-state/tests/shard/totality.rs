//! No verified mutation, however odd, at whatever time, on whatever state, makes execution panic; and a state that is
//! damaged is refused when it is loaded, not when it is used.

use db3_primitives::{Mutation, Namespace, Nonce, Operation, Tai, Write, key};
use db3_shard_state::{Outcome, ShardState, StateError};
use proptest::prelude::*;

use crate::support::{Chain, Genesis, actor, genesis, mutation, put, sign_bytes};

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9][a-z0-9._-]{0,63}", "[ab]", Just("0x".to_owned()), "0x[0-9a-f]{40}"]
}

fn operation() -> impl Strategy<Value = Operation> {
    let write = || {
        (
            name(),
            prop::collection::vec(any::<u8>(), 1..257),
            prop::collection::vec(any::<u8>(), 0..300),
            any::<Option<u64>>(),
        )
            .prop_map(|(table, key, value, if_version)| Write {
                table: table.parse().unwrap(),
                key: key.try_into().unwrap(),
                value,
                if_version,
            })
    };
    prop_oneof![
        write().prop_map(Operation::Put),
        write().prop_map(Operation::Insert),
        write().prop_map(Operation::Update),
        write().prop_map(|write| Operation::Delete {
            table: write.table,
            key: write.key,
            if_version: write.if_version
        }),
        Just(Operation::CreateNamespace),
        name().prop_map(|table| Operation::CreateTable { table: table.parse().unwrap() }),
    ]
}

fn edge() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(u64::MAX - 1), 0_u64..5_000, any::<u64>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn execution_is_total(
        spaces in prop::collection::vec(name(), 1..8),
        batches in prop::collection::vec(prop::collection::vec(operation(), 0..6), 8),
        nonces in prop::collection::vec(edge(), 8),
        expiries in prop::collection::vec(edge(), 8),
        times in prop::collection::vec(edge(), 8),
        bytes in prop::collection::vec(any::<u32>(), 8),
        ceiling in prop_oneof![Just(u128::MAX), any::<u128>()],
        max_fee in prop_oneof![Just(u128::MAX), any::<u128>()],
        epoch_secs in 1_u64..86_400,
    ) {
        let alice = actor(1);
        let config = Genesis {
            epoch_secs: epoch_secs.try_into().unwrap(),
            expiry_max_secs: u64::MAX,
            lease_epoch: u64::MAX,
            close_accounts_max: 1,
            ..genesis(&[(alice.address, ceiling)])
        };
        let mut chain = Chain::new(&config);
        for (number, space) in spaces.iter().enumerate() {
            let own = Namespace::own(&alice.address);
            let space = if number % 2 == 0 { own } else { space.parse().unwrap() };
            let odd = Mutation {
                namespace: space,
                nonce: Nonce::new(nonces[number]),
                expire_unix_secs: expiries[number],
                max_fee: Tai::new(max_fee),
                ..mutation(&alice, 1, batches[number].clone())
            };
            let usable = Mutation { nonce: Nonce::new(number as u64 + 1), expire_unix_secs: u64::MAX, ..odd.clone() };
            // Time goes forward, to the end of it.
            chain.time = chain.time.max(times[number]);
            for (mutation, bytes) in [(odd, bytes[number]), (usable, bytes[number] % 300_000)] {
                let _ = chain.state.estimate(&mutation, bytes);
                let signed = sign_bytes(&alice, &mutation, format!("{number}").into_bytes(), bytes);
                let _ = chain.block(0, &[signed]);
            }
        }
        ShardState::from_tree(chain.state.tree().clone()).unwrap();
    }

    #[test]
    fn a_damaged_leaf_is_found_when_the_state_is_loaded(which in any::<prop::sample::Index>(), cut in any::<bool>()) {
        let alice = actor(1);
        let mut chain = Chain::new(&genesis(&[(alice.address, 1 << 100)]));
        let in_table = "t".parse().unwrap();
        let create = vec![
            Operation::CreateNamespace,
            Operation::CreateTable { table: in_table },
            put("t", "k", "v"),
        ];
        chain.run(&alice, &Mutation { namespace: "notes".parse().unwrap(), ..mutation(&alice, 1, create) });
        chain.block(10, &[]);
        let leaves: Vec<(Vec<u8>, Vec<u8>)> =
            chain.state.tree().range(&[], None).map(|(key, leaf)| (key.to_vec(), leaf.to_vec())).collect();
        prop_assert_eq!(leaves.len(), 13, "one leaf of every kind but the emission's");
        let (damaged_key, leaf) = which.get(&leaves);
        let damaged = if cut { leaf[..leaf.len() - 1].to_vec() } else { vec![0xff; 7] };
        prop_assume!(!damaged.is_empty());
        let tree = chain.state.tree().apply(vec![(damaged_key.clone(), Some(damaged))]).unwrap();
        let shorter_value = cut && damaged_key.starts_with(b"rec/");
        match ShardState::from_tree(tree) {
            Ok(_) => prop_assert!(shorter_value, "{}", String::from_utf8_lossy(damaged_key)),
            Err(error) => prop_assert!(matches!(error, StateError::LeafMalformed { .. }), "{error}"),
        }
    }
}

#[test]
fn a_key_of_no_object_and_a_missing_leaf_are_found_when_the_state_is_loaded() {
    let state = genesis(&[]).state();
    let with = |key: &[u8], leaf: Option<&[u8]>| {
        ShardState::from_tree(state.tree().apply(vec![(key.to_vec(), leaf.map(<[u8]>::to_vec))]).unwrap())
    };
    for stray in [&b"x"[..], b"chain/", b"acct/short", b"epoch/short", b"rec/\x05notes", b"zzz/", b"own/", b"win/x"] {
        assert!(matches!(with(stray, Some(b"1")), Err(StateError::KeyUnknown { .. })), "{stray:?}");
    }
    for needed in [key::chain(), key::open_epoch()] {
        assert!(matches!(with(&needed, None), Err(StateError::Missing { .. })));
    }
}

#[test]
fn an_executor_that_is_dropped_has_changed_nothing() {
    let alice = actor(1);
    let chain = Chain::new(&genesis(&[(alice.address, 1 << 100)]));
    let before = chain.state.root();
    let mut executor = chain.executor(100);
    let signed = crate::support::sign(
        &alice,
        &Mutation { expire_unix_secs: 2_000, ..mutation(&alice, 1, vec![put("t", "k", "v")]) },
    );
    assert!(matches!(executor.apply(&signed), Outcome::Applied(_)));
    drop(executor);
    assert_eq!(chain.state.root(), before);
}
