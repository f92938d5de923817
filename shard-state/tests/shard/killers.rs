//! What killed the ancestors: one bad mutation that halted the chain, a replay, a key rolled back, money out of
//! nothing. None of it may do anything but be refused or fail, by name, and the next block goes on.

use db3_primitives::limits::{KEY_BYTES_MAX, MUTATION_BYTES_MAX, OPERATIONS_PER_MUTATION_MAX, PAIR_BYTES_MAX};
use db3_primitives::{
    Mutation, Namespace, Operation, PriceTable, RecordKey, Rejection, Scheme, SignedMutation, Tai, Write, sign_mutation,
};
use db3_shard_state::{ReceiptOutcome, ShardState};
use db3_state_tree::{EMPTY_ROOT, Tree};

use crate::support::{
    Actor, Chain, Genesis, actor, body, genesis, key, mutation, namespace, put, refusal, sign, sign_bytes, table, write,
};

const RICH: u128 = 1 << 100;

fn chain_of(actors: &[&Actor]) -> Chain {
    let lines: Vec<_> = actors.iter().map(|actor| (actor.address, RICH)).collect();
    Chain::new(&genesis(&lines))
}

/// Offers a mutation; it must be refused without a trace, in a block as well as before one.
fn refused(chain: &mut Chain, actor: &Actor, mutation: &Mutation) -> Rejection {
    let before = chain.state.root();
    let rejection = refusal(chain.executor(0).apply(&sign(actor, mutation)));
    let receipt = chain.run(actor, mutation);
    assert_eq!(receipt.outcome, ReceiptOutcome::Refused(rejection.clone()));
    assert_eq!((receipt.fee, receipt.bill_seq), (Tai::ZERO, None), "a refusal is free");
    assert_eq!(chain.state.root(), before, "a refusal changes no byte");
    rejection
}

/// The chain still works.
fn goes_on(chain: &mut Chain, actor: &Actor, nonce: u64) {
    let receipt = chain.run(actor, &mutation(actor, nonce, vec![put("alive", "yes", "indeed")]));
    assert_eq!(receipt.outcome, ReceiptOutcome::Applied);
}

#[test]
fn an_over_long_or_empty_key_cannot_be_written_down() {
    for bytes in [0, KEY_BYTES_MAX + 1, 1_000_000] {
        let rejection = RecordKey::new(vec![1; bytes]).unwrap_err();
        assert_eq!(rejection.name(), "KEY_INVALID");
    }
    let alice = actor(1);
    let mut chain = chain_of(&[&alice]);
    let longest =
        Write { table: table(&"t".repeat(64)), key: key([255; KEY_BYTES_MAX]), value: vec![], if_version: None };
    let receipt = chain.run(&alice, &mutation(&alice, 1, vec![Operation::Put(longest)]));
    assert_eq!(receipt.outcome, ReceiptOutcome::Applied);
    goes_on(&mut chain, &alice, 2);
}

#[test]
fn an_over_long_pair_or_mutation_or_batch_is_refused() {
    let alice = actor(1);
    let mut chain = chain_of(&[&alice]);
    let pair = |bytes: usize| Operation::Put(Write { value: vec![0; bytes - 1], ..write("t", "k", "") });
    let rejection =
        refused(&mut chain, &alice, &mutation(&alice, 1, vec![put("t", "k", ""), pair(PAIR_BYTES_MAX + 1)]));
    assert_eq!(rejection.name(), "PAIR_TOO_LARGE");
    assert_eq!(rejection.operation_index(), Some(1));
    let many = vec![put("t", "k", "v"); OPERATIONS_PER_MUTATION_MAX + 1];
    assert_eq!(refused(&mut chain, &alice, &mutation(&alice, 1, many)).name(), "TOO_MANY_OPERATIONS");
    let fits = mutation(&alice, 1, vec![pair(PAIR_BYTES_MAX)]);
    let bytes = u32::try_from(MUTATION_BYTES_MAX + 1).unwrap();
    let too_large = sign_bytes(&alice, &fits, body(&fits), bytes);
    assert_eq!(refusal(chain.executor(0).apply(&too_large)).name(), "MUTATION_TOO_LARGE");
    assert_eq!(chain.run(&alice, &fits).outcome, ReceiptOutcome::Applied);
    let most = vec![put("t", "k", "v"); OPERATIONS_PER_MUTATION_MAX];
    assert_eq!(chain.run(&alice, &mutation(&alice, 2, most)).versions.last(), Some(&1_001));
}

#[test]
fn an_empty_batch_and_nonce_zero_are_refused() {
    let alice = actor(1);
    let mut chain = chain_of(&[&alice]);
    assert_eq!(refused(&mut chain, &alice, &mutation(&alice, 1, vec![])), Rejection::BatchEmpty);
    assert_eq!(refused(&mut chain, &alice, &mutation(&alice, 0, vec![put("t", "k", "v")])), Rejection::NonceZero);
    goes_on(&mut chain, &alice, 1);
}

#[test]
fn an_empty_tree_is_no_state_and_an_empty_shard_works() {
    assert_eq!(Tree::new().root(), EMPTY_ROOT);
    assert!(ShardState::from_tree(Tree::new()).is_err());
    let mut chain = Chain::new(&genesis(&[]));
    let before = chain.state.root();
    chain.block(0, &[]);
    assert_eq!(chain.state.root(), before);
    // A close with nobody to visit.
    let closed = chain.block(10, &[]).closed.unwrap();
    assert_eq!((closed.bill_count, closed.statements, closed.total), (0, 0, Tai::ZERO));
    assert_eq!(closed.bills_root, EMPTY_ROOT);
}

#[test]
fn an_operation_where_it_may_not_stand_is_refused() {
    let alice = actor(1);
    let mut chain = chain_of(&[&alice]);
    let misplaced = Mutation {
        namespace: namespace("notes"),
        ..mutation(&alice, 1, vec![Operation::CreateNamespace, Operation::CreateNamespace])
    };
    assert_eq!(refused(&mut chain, &alice, &misplaced).name(), "OPERATION_MISPLACED");
    let reserved = mutation(&alice, 1, vec![Operation::CreateNamespace]);
    assert_eq!(refused(&mut chain, &alice, &reserved).name(), "NAMESPACE_RESERVED");
    goes_on(&mut chain, &alice, 1);
}

#[test]
fn an_update_or_delete_of_a_missing_record_fails_and_pays_and_the_block_goes_on() {
    let alice = actor(1);
    let mut chain = chain_of(&[&alice]);
    let delete = Operation::Delete { table: table("t"), key: key("k"), if_version: None };
    let update = Operation::Update(write("t", "k", "v"));
    let mutations = [
        sign(&alice, &mutation(&alice, 1, vec![put("t", "j", "v"), update])),
        sign(&alice, &mutation(&alice, 2, vec![delete])),
        sign(&alice, &mutation(&alice, 3, vec![put("t", "k", "v")])),
    ];
    let effects = chain.block(0, &mutations);
    assert_eq!(
        effects.receipts[0].outcome,
        ReceiptOutcome::Failed(Rejection::RecordNotFound { operation: 1 }),
        "it names the operation"
    );
    assert_eq!(effects.receipts[1].outcome, ReceiptOutcome::Failed(Rejection::RecordNotFound { operation: 0 }));
    assert_eq!(effects.receipts[2].outcome, ReceiptOutcome::Applied);
    assert_eq!(effects.bills.iter().map(|bill| bill.outcome_code).collect::<Vec<_>>(), [302, 302, 0]);
    assert!(effects.bills.iter().all(|bill| bill.fee > Tai::new(2_000)), "a failure pays for its bytes");
    assert_eq!(chain.value(&Namespace::own(&alice.address), "t", "j"), None, "a mutation is atomic");
    assert_eq!(effects.changes.len(), 1, "what did not happen is no event");
}

#[test]
fn a_key_twice_in_one_batch_is_two_writes_in_order() {
    let alice = actor(1);
    let mut chain = chain_of(&[&alice]);
    let batch = vec![put("t", "k", "first"), put("t", "k", "second"), put("t", "k", "third")];
    let receipt = chain.run(&alice, &mutation(&alice, 1, batch));
    assert_eq!(receipt.versions, [1, 2, 3]);
    assert_eq!(chain.value(&Namespace::own(&alice.address), "t", "k").unwrap(), b"third");
    let twice = vec![Operation::Insert(write("t", "new", "a")), Operation::Insert(write("t", "new", "b"))];
    let receipt = chain.run(&alice, &mutation(&alice, 2, twice));
    assert_eq!(receipt.outcome, ReceiptOutcome::Failed(Rejection::RecordExists { operation: 1, version: 1 }));
    assert_eq!(chain.value(&Namespace::own(&alice.address), "t", "new"), None);
}

#[test]
fn names_and_keys_that_read_the_same_when_joined_are_different_records() {
    let alice = actor(1);
    let mut chain = chain_of(&[&alice]);
    // (namespace, table, key): every one joins to "abcd", or to a neighbour of it.
    let names =
        [("a", "b", "cd"), ("ab", "c", "d"), ("a", "bc", "d"), ("a", "b", "c"), ("ab", "cd", "\0"), ("a", "b.c", "d")];
    for (number, space) in (1_u64..).zip(["a", "ab"]) {
        let create = vec![Operation::CreateNamespace];
        let created = chain.run(&alice, &Mutation { namespace: namespace(space), ..mutation(&alice, 1, create) });
        assert_eq!(created.bill_seq, Some(number));
    }
    let mut nonce = 1;
    for (space, in_table, record) in names {
        nonce += 1;
        let mut batch = vec![put(in_table, record, &format!("{space}|{in_table}|{record}"))];
        if chain.state.table(&namespace(space), &table(in_table)).is_none() {
            batch.insert(0, Operation::CreateTable { table: table(in_table) });
        }
        let receipt = chain.run(&alice, &Mutation { namespace: namespace(space), ..mutation(&alice, nonce, batch) });
        assert_eq!(receipt.outcome, ReceiptOutcome::Applied);
    }
    for (space, in_table, record) in names {
        let value = chain.value(&namespace(space), in_table, record).unwrap();
        assert_eq!(value, format!("{space}|{in_table}|{record}").into_bytes());
    }
    assert_eq!(chain.state.tree().prefix(b"rec/").count(), names.len());
    let tables: Vec<String> = chain.state.tables(&namespace("a")).map(|(name, _)| name.to_string()).collect();
    assert_eq!(tables, ["b", "b.c", "bc"], "a namespace lists its own tables only");
}

#[test]
fn a_replayed_mutation_is_refused_in_the_same_block_and_in_every_later_one() {
    let alice = actor(1);
    let mut chain = chain_of(&[&alice]);
    let first = sign(&alice, &mutation(&alice, 1, vec![put("t", "k", "old")]));
    let effects = chain.block(0, &[first.clone(), first.clone()]);
    assert_eq!(effects.receipts[0].outcome, ReceiptOutcome::Applied);
    assert_eq!(effects.receipts[1].outcome.code(), 207);
    assert_eq!(effects.bills.len(), 1);
    chain.run(&alice, &mutation(&alice, 2, vec![put("t", "k", "new")]));
    let before = chain.state.root();
    assert_eq!(chain.block(1, &[first]).receipts[0].outcome.code(), 207);
    assert_eq!(chain.state.root(), before, "nobody rolls a key back");
}

#[test]
fn a_re_encoded_body_and_a_second_signature_are_no_second_mutation() {
    let alice = actor(1);
    let mut chain = chain_of(&[&alice]);
    let once = mutation(&alice, 1, vec![put("t", "k", "v")]);
    chain.run(&alice, &once);
    // Other bytes for the same content: another identifier, the same nonce.
    let re_encoded = sign_bytes(&alice, &once, [body(&once), vec![0]].concat(), 500);
    assert_eq!(refusal(chain.executor(0).apply(&re_encoded)).name(), "NONCE_USED");
    // The same body by another scheme: the same identifier.
    let envelope = sign_mutation(&secret(1), &once, body(&once), Scheme::Eip191);
    let again = SignedMutation::new(once.clone(), envelope, 500).verify().unwrap();
    assert_eq!(again.id(), sign(&alice, &once).id());
    assert_eq!(refusal(chain.executor(0).apply(&again)).name(), "NONCE_USED");
}

fn secret(number: u8) -> db3_primitives::SecretKey {
    db3_primitives::SecretKey::from_bytes([number; 32]).unwrap()
}

#[test]
fn nobody_writes_to_anothers_namespace_or_on_anothers_account() {
    let (alice, mallory) = (actor(1), actor(2));
    let mut chain = chain_of(&[&alice, &mallory]);
    goes_on(&mut chain, &alice, 1);
    let own = Namespace::own(&alice.address);
    for operations in [
        vec![put("alive", "yes", "no")],
        vec![Operation::Delete { table: table("alive"), key: key("yes"), if_version: None }],
        vec![Operation::CreateTable { table: table("mine") }],
    ] {
        let foreign = Mutation { namespace: own.clone(), ..mutation(&mallory, 1, operations) };
        assert_eq!(refused(&mut chain, &mallory, &foreign).name(), "NOT_PERMITTED");
    }
    // Written in capitals it is the same namespace.
    let capitals: Namespace = format!("0x{}", &alice.address.lower_hex()[2..].to_uppercase()).parse().unwrap();
    assert_eq!(capitals, own);
    // Another's account with one's own signature never becomes a verified mutation.
    let theft = mutation(&alice, 2, vec![put("t", "k", "v")]);
    let envelope = sign_mutation(&secret(2), &theft, body(&theft), Scheme::Raw);
    let (_, rejection) = SignedMutation::new(theft, envelope, 500).verify().unwrap_err();
    assert_eq!(rejection.name(), "SIGNER_MISMATCH");
}

#[test]
fn a_fee_that_overflows_is_over_every_limit() {
    let alice = actor(1);
    for prices in [
        PriceTable { per_byte_in: Tai::MAX, ..PriceTable::v1() },
        PriceTable { per_mutation: Tai::MAX, ..PriceTable::v1() },
        PriceTable { per_byte_stored: Tai::new(u128::MAX / 2), ..PriceTable::v1() },
    ] {
        let mut chain = Chain::new(&Genesis { prices, ..genesis(&[(alice.address, u128::MAX)]) });
        let greedy = Mutation { max_fee: Tai::MAX, ..mutation(&alice, 1, vec![put("t", "k", "v")]) };
        assert_eq!(refused(&mut chain, &alice, &greedy).name(), "FEE_OVER_LIMIT");
        assert_eq!(chain.state.estimate(&greedy, 500).unwrap_err().name(), "FEE_OVER_LIMIT");
        let open = chain.block(10, &[]).closed.unwrap();
        assert_eq!(open.total, Tai::ZERO);
    }
}

#[test]
fn sums_work_up_to_the_largest_amount() {
    let (alice, bob) = (actor(1), actor(2));
    // One mutation costs a third of everything that can be written.
    let prices = PriceTable {
        per_mutation: Tai::new(u128::MAX / 3),
        per_byte_in: Tai::ZERO,
        per_operation: Tai::ZERO,
        per_key_byte: Tai::ZERO,
        per_byte_stored: Tai::ZERO,
        ..PriceTable::v1()
    };
    let lines = [(alice.address, u128::MAX - 5), (bob.address, 5)];
    let mut chain = Chain::new(&Genesis { prices, ..genesis(&lines) });
    for nonce in 1..=2 {
        let expensive = Mutation { max_fee: Tai::MAX, ..mutation(&alice, nonce, vec![put("t", "k", "v")]) };
        assert_eq!(chain.run(&alice, &expensive).outcome, ReceiptOutcome::Applied);
    }
    let third = Mutation { max_fee: Tai::MAX, ..mutation(&alice, 3, vec![put("t", "k", "v")]) };
    assert_eq!(refused(&mut chain, &alice, &third).name(), "CREDIT_EXHAUSTED");
    let poor = Mutation { max_fee: Tai::MAX, ..mutation(&bob, 1, vec![put("t", "k", "v")]) };
    assert_eq!(refused(&mut chain, &bob, &poor).name(), "CREDIT_EXHAUSTED");
    assert_eq!(chain.block(10, &[]).closed.unwrap().total, Tai::new(u128::MAX / 3 * 2));
}

#[test]
fn nothing_that_can_be_signed_raises_a_ceiling_or_lowers_a_sum() {
    let (alice, bob) = (actor(1), actor(2));
    let mut chain = chain_of(&[&alice, &bob]);
    let ceilings =
        |chain: &Chain| chain.state.accounts().map(|(account, leaf)| (account, leaf.ceiling)).collect::<Vec<_>>();
    let before = ceilings(&chain);
    // Records, tables and namespaces that look like leaves of money, in every field that a signer chooses.
    let leaf = chain.state.account(&alice.address).unwrap().to_bytes();
    let rich = db3_primitives::AccountLeaf::with_ceiling(Tai::MAX).to_bytes();
    let names: [&[u8]; 6] = [b"acct/", b"open", b"close", b"chain", b"outbox/test-settlement", b"epoch/"];
    let mut sums = Vec::new();
    for space in ["acct", "open", "close", "chain", "outbox", "epoch"] {
        let mut operations = vec![Operation::CreateNamespace, Operation::CreateTable { table: table(space) }];
        for name in names {
            for address in [alice.address, bob.address] {
                let record = key([name, address.as_bytes()].concat());
                let forged = Write { table: table(space), key: record, value: rich.clone(), if_version: None };
                operations.push(Operation::Put(forged));
            }
        }
        let attempt = Mutation { namespace: namespace(space), ..mutation(&alice, 1, operations) };
        assert_eq!(chain.run(&alice, &attempt).outcome, ReceiptOutcome::Applied);
        sums.push(chain.state.account(&alice.address).unwrap().spent);
        assert_eq!(ceilings(&chain), before);
    }
    assert!(sums.is_sorted_by(|left, right| left < right), "I2: every mutation costs, and sums only grow");
    assert_eq!(chain.state.accounts().count(), 2);
    assert_eq!(chain.state.account(&bob.address).unwrap().spent, Tai::ZERO);
    assert_ne!(chain.state.account(&alice.address).unwrap().to_bytes(), leaf);
    // Closes state sums and change none.
    let sums = |chain: &Chain| chain.state.accounts().collect::<Vec<_>>();
    let at_close = sums(&chain);
    chain.block(30, &[]);
    chain.block(30, &[]);
    assert_eq!(sums(&chain), at_close);
}

#[test]
fn what_costs_nothing_still_uses_its_nonce_and_writes_its_bill() {
    let alice = actor(1);
    let free = Tai::ZERO;
    let prices = PriceTable {
        per_mutation: free,
        per_byte_in: free,
        per_operation: free,
        per_key_byte: free,
        per_byte_stored: free,
        ..PriceTable::v1()
    };
    let mut chain = Chain::new(&Genesis { prices, ..genesis(&[(alice.address, 0)]) });
    let gift = Mutation { max_fee: free, ..mutation(&alice, 1, vec![put("t", "k", "v")]) };
    assert_eq!(chain.run(&alice, &gift).bill_seq, Some(1));
    assert_eq!(refused(&mut chain, &alice, &gift).name(), "NONCE_USED");
    let closed = chain.block(10, &[]).closed.unwrap();
    assert_eq!((closed.statements, closed.bill_count, closed.total), (1, 1, free));
}
