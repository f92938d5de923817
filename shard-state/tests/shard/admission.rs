//! What is answered before a mutation is in a block: the ladder, its order, shards, estimates.

use db3_primitives::{
    Address, BlockTime, ChainId, ChainLeaf, Mutation, Namespace, Nonce, Operation, Rejection, ShardId, Tai, key,
};
use db3_shard_state::{BlockItem, GenesisError, Outcome, ReceiptOutcome, ShardState};

use crate::settlement::settlement_peer;
use crate::support::{
    Chain, Genesis, START_SECS, actor, genesis, mutation, namespace, put, refusal, sign, table, write,
};

const NOW: BlockTime = BlockTime { secs: START_SECS, nanos: 0 };
const RICH: u128 = 1 << 100;

/// What admission and execution say; they must agree.
fn rejection(chain: &Chain, sender: u8, mutation: &Mutation) -> Rejection {
    let signed = sign(&actor(sender), mutation);
    let admitted = chain.state.admit(mutation, signed.bytes(), NOW).unwrap_err();
    assert_eq!(refusal(chain.executor(0).apply(&signed)), admitted);
    admitted
}

#[test]
fn the_first_rung_that_breaks_is_the_answer() {
    let alice = actor(1);
    let chain = Chain::new(&Genesis { lease_epoch: START_SECS / 10, ..genesis(&[(actor(2).address, RICH)]) });
    // Everything is wrong with it; one thing after the other is put right.
    let mut wrong = Mutation {
        network: "other".parse().unwrap(),
        namespace: namespace("nowhere"),
        nonce: Nonce::new(0),
        expire_unix_secs: START_SECS,
        max_fee: Tai::ZERO,
        ..mutation(&alice, 0, vec![])
    };
    let mut seen = Vec::new();
    let mut fix = |wrong: &mut Mutation, repair: fn(&mut Mutation)| {
        seen.push(rejection(&chain, 1, wrong).name());
        repair(wrong);
    };
    fix(&mut wrong, |wrong| wrong.operations = vec![put("t", "k", "v")]);
    fix(&mut wrong, |wrong| wrong.nonce = Nonce::new(5_000));
    fix(&mut wrong, |wrong| wrong.network = "test".parse().unwrap());
    fix(&mut wrong, |wrong| wrong.expire_unix_secs = START_SECS + 1);
    fix(&mut wrong, |wrong| wrong.namespace = Namespace::own(&wrong.account));
    fix(&mut wrong, |wrong| wrong.nonce = Nonce::new(1));
    fix(&mut wrong, |wrong| wrong.max_fee = Tai::MAX);
    fix(&mut wrong, |_| {});
    assert_eq!(
        seen,
        [
            "BATCH_EMPTY",
            "NONCE_ZERO",
            "NETWORK_MISMATCH",
            "EXPIRED",
            "NAMESPACE_NOT_FOUND",
            "NONCE_TOO_FAR",
            "FEE_OVER_LIMIT",
            "LINE_MISSING"
        ]
    );
}

#[test]
fn another_shards_namespace_is_refused_by_the_name_of_its_chain() {
    let alice = actor(1);
    let shards = 4;
    for number in 0..shards {
        let config = Genesis { shards, shard: ShardId::new(number), ..genesis(&[(alice.address, RICH)]) };
        let chain = Chain::new(&config);
        for name in ["a", "b", "c", "d", "e", "f", "g", "h"].map(namespace) {
            let home = u32::from(name.slot().get()) * shards / 1_024;
            let create = Mutation { namespace: name.clone(), ..mutation(&alice, 1, vec![Operation::CreateNamespace]) };
            let signed = sign(&alice, &create);
            let admitted = chain.state.admit(&create, signed.bytes(), NOW);
            if home == number {
                admitted.unwrap();
                continue;
            }
            let expected = Rejection::WrongShard {
                slot: name.slot(),
                chain_id: ChainId::parse(&format!("test-shard-{home}")).unwrap(),
                namespace: name,
                map_version: 1,
            };
            assert_eq!(admitted.unwrap_err(), expected);
            assert_eq!(refusal(chain.executor(0).apply(&signed)), expected);
        }
    }
}

#[test]
fn a_line_is_enough_to_the_last_tai() {
    let alice = actor(1);
    let probe = mutation(&alice, 1, vec![put("t", "k", "v")]);
    let bytes = sign(&alice, &probe).bytes();
    let rich = Chain::new(&genesis(&[(alice.address, RICH)]));
    let bound = rich.state.admit(&probe, bytes, NOW).unwrap().bound.get();
    let enough = Chain::new(&genesis(&[(alice.address, bound)]));
    enough.state.admit(&probe, bytes, NOW).unwrap();
    let short = Chain::new(&genesis(&[(alice.address, bound - 1)]));
    let expected = Rejection::CreditExhausted {
        shard: short.state.chain().shard,
        ceiling: Tai::new(bound - 1),
        available: Tai::new(bound - 1),
        fee: Tai::new(bound),
    };
    assert_eq!(rejection(&short, 1, &probe), expected);
    let limit = |max_fee: u128| Mutation { max_fee: Tai::new(max_fee), ..probe.clone() };
    let signed = |mutation: &Mutation| sign(&alice, mutation).bytes();
    // The limit stands in the body, so the bound moves with its digits.
    let exact = (bound - 50..bound + 50)
        .find(|max_fee| rich.state.admit(&limit(*max_fee), signed(&limit(*max_fee)), NOW).is_ok())
        .unwrap();
    assert_eq!(rich.state.admit(&limit(exact), signed(&limit(exact)), NOW).unwrap().bound.get(), exact);
    assert_eq!(rejection(&rich, 1, &limit(exact - 1)).name(), "FEE_OVER_LIMIT");
}

#[test]
fn earlier_mutations_of_a_block_count_against_the_line() {
    let alice = actor(1);
    let first = sign(&alice, &mutation(&alice, 1, vec![put("t", "k", "v")]));
    let second = sign(&alice, &mutation(&alice, 2, vec![put("t", "j", "v")]));
    let rich = Chain::new(&genesis(&[(alice.address, RICH)]));
    let bound = rich.state.admit(first.mutation(), first.bytes(), NOW).unwrap().bound.get();
    let mut chain = Chain::new(&genesis(&[(alice.address, bound)]));
    // Alone each of them would do.
    for mutation in [&first, &second] {
        chain.state.admit(mutation.mutation(), mutation.bytes(), NOW).unwrap();
    }
    let effects = chain.block(0, &[first, second]);
    assert_eq!(effects.receipts[1].outcome.code(), 211);
    assert_eq!(effects.bills.len(), 1);
}

#[test]
fn an_estimate_is_what_is_charged_and_its_charges_add_up() {
    let alice = actor(1);
    let mut chain = Chain::new(&genesis(&[(alice.address, RICH)]));
    let steps = [
        mutation(&alice, 1, vec![put("t", "k", "value")]),
        mutation(&alice, 2, vec![put("t", "k", "longer value"), put("u", "k", "")]),
        mutation(&alice, 3, vec![Operation::Update(write("t", "missing", "v"))]),
        mutation(
            &alice,
            4,
            vec![Operation::Delete { table: table("t"), key: crate::support::key("k"), if_version: None }],
        ),
    ];
    for step in &steps {
        let signed = sign(&alice, step);
        // Not signed yet: no nonce, no fee limit, no expiry.
        let unsigned = Mutation { nonce: Nonce::new(1), expire_unix_secs: 0, max_fee: Tai::ZERO, ..step.clone() };
        let before = chain.state.root();
        let estimate = chain.state.estimate(&unsigned, signed.bytes()).unwrap();
        assert_eq!(chain.state.root(), before);
        let receipt = chain.run(&alice, step);
        assert_eq!(receipt.fee, estimate.fee);
        assert!(estimate.fee <= estimate.bound);
        let sum: u128 = estimate.charges.iter().map(|charge| charge.amount.get()).sum();
        assert_eq!(sum, estimate.fee.get());
        let failure = match receipt.outcome {
            ReceiptOutcome::Applied => None,
            ReceiptOutcome::Failed(rejection) | ReceiptOutcome::Refused(rejection) => Some(rejection),
        };
        assert_eq!(estimate.failure, failure);
    }
    let foreign = Mutation { namespace: Namespace::own(&actor(2).address), ..steps[0].clone() };
    assert_eq!(chain.state.estimate(&foreign, 100).unwrap_err().name(), "NOT_PERMITTED");
}

#[test]
fn a_full_block_refuses_last_and_leaves_the_mutation_good() {
    let alice = actor(1);
    let mut chain = Chain::new(&genesis(&[(alice.address, RICH)]));
    let small = ChainLeaf { block_mutations_max: 2, ..chain.state.chain().clone() };
    let tree = chain.state.tree().apply(vec![(key::chain(), Some(small.to_bytes()))]).unwrap();
    chain.state = ShardState::from_tree(tree).unwrap();
    let signed: Vec<_> =
        (1..=3).map(|nonce| sign(&alice, &mutation(&alice, nonce, vec![put("t", "k", "v")]))).collect();
    let mut executor = chain.executor(0);
    assert!(matches!(executor.apply(&signed[0]), Outcome::Applied(_)));
    assert!(matches!(executor.apply(&signed[1]), Outcome::Applied(_)));
    assert_eq!(executor.executed(), 2);
    assert_eq!(refusal(executor.apply(&signed[2])), Rejection::BlockFull { what: "mutations" });
    // What is wrong in itself is told first.
    assert_eq!(refusal(executor.apply(&signed[0])).name(), "NONCE_USED");
    drop(executor);
    assert_eq!(chain.block(0, &signed).receipts[2].outcome.code(), 214);
    assert_eq!(chain.block(0, &signed[2..]).receipts[0].outcome, ReceiptOutcome::Applied);
}

#[test]
fn a_block_holds_a_bounded_number_of_operations() {
    let alice = actor(1);
    let mut chain = Chain::new(&genesis(&[(alice.address, RICH)]));
    let batch = |nonce: u64| {
        let many = Mutation { max_fee: Tai::MAX, ..mutation(&alice, nonce, vec![put("t", "k", ""); 1_000]) };
        crate::support::sign_bytes(&alice, &many, format!("{nonce}").into_bytes(), 1_000)
    };
    let mutations: Vec<_> = (1..=61).map(batch).collect();
    let effects = chain.block(0, &mutations);
    assert_eq!(effects.bills.len(), 60);
    assert_eq!(effects.receipts[60].outcome, ReceiptOutcome::Refused(Rejection::BlockFull { what: "operations" }));
}

#[test]
fn items_keep_their_places_in_the_block() {
    let alice = actor(1);
    let mut chain = Chain::new(&genesis(&[(alice.address, RICH)]));
    let good = |nonce| {
        BlockItem::Verified(std::sync::Arc::new(sign(&alice, &mutation(&alice, nonce, vec![put("t", "k", "v")]))))
    };
    let bad = BlockItem::Refused { id: None, rejection: Rejection::BodyNotCanonical };
    let effects = chain.items(0, &[bad.clone(), good(1), good(1), bad, good(2)]);
    let places = |outcome: fn(&ReceiptOutcome) -> bool| -> Vec<u32> {
        effects.receipts.iter().filter(|receipt| outcome(&receipt.outcome)).map(|receipt| receipt.index).collect()
    };
    assert_eq!(places(|outcome| *outcome == ReceiptOutcome::Applied), [1, 4]);
    assert_eq!(places(|outcome| matches!(outcome, ReceiptOutcome::Refused(_))), [2]);
    assert_eq!(effects.refused.iter().map(|item| item.index).collect::<Vec<_>>(), [0, 3]);
    assert_eq!(effects.bills.iter().map(|bill| bill.index).collect::<Vec<_>>(), [1, 4]);
    assert_eq!(effects.changes.iter().map(|change| change.index).collect::<Vec<_>>(), [1, 4]);
}

#[test]
fn a_genesis_that_makes_no_sense_is_refused_by_what_is_wrong() {
    let account: Address = actor(1).address;
    let good = genesis(&[(account, 5)]);
    let error = |genesis: Genesis| ShardState::genesis(&genesis.shard()).unwrap_err();
    assert_eq!(error(Genesis { shards: 0, ..good.clone() }), GenesisError::Shards { shards: 0 });
    assert_eq!(error(Genesis { shards: 1_025, ..good.clone() }), GenesisError::Shards { shards: 1_025 });
    let shard = ShardId::new(2);
    assert_eq!(error(Genesis { shard, shards: 2, ..good.clone() }), GenesisError::Shard { shard, shards: 2 });
    let strange = db3_shard_state::Genesis { settlement: settlement_peer(&"other".parse().unwrap()), ..good.shard() };
    assert!(matches!(ShardState::genesis(&strange), Err(GenesisError::Settlement { .. })));
    for (name, genesis) in [
        ("close_accounts_max", Genesis { close_accounts_max: 0, ..good.clone() }),
        ("close_accounts_max", Genesis { close_accounts_max: 4_097, ..good.clone() }),
        ("expiry_max_secs", Genesis { expiry_max_secs: 0, ..good.clone() }),
    ] {
        assert!(error(genesis).to_string().starts_with(name));
    }
    let epoch_secs = std::num::NonZeroU64::new(86_401).unwrap();
    assert_eq!(error(Genesis { epoch_secs, ..good.clone() }), GenesisError::EpochSecs { epoch_secs });
    let state = ShardState::genesis(&good.shard()).unwrap();
    assert_eq!(state.open_epoch().0.get(), START_SECS / 10);
    assert_eq!((state.account(&account), state.chain().lease_epoch), (None, 0), "nobody may spend yet");
}
