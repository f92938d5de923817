use db3_primitives::{Address, Mutation, Namespace, Nonce, Operation, RecordKey, Rejection, Tai, Write};

fn write(value_bytes: usize) -> Write {
    Write {
        table: "t".parse().unwrap(),
        key: RecordKey::new(vec![1; 6]).unwrap(),
        value: vec![0; value_bytes],
        if_version: None,
    }
}

fn with(operations: Vec<Operation>) -> Mutation {
    Mutation {
        network: "devnet".parse().unwrap(),
        account: Address::new([0xab; 20]),
        namespace: "notes".parse().unwrap(),
        nonce: Nonce::new(1),
        expire_unix_secs: 1,
        max_fee: Tai::new(1),
        operations,
    }
}

#[test]
fn an_empty_batch_is_refused() {
    assert_eq!(with(vec![]).validate(), Err(Rejection::BatchEmpty));
}

#[test]
fn a_thousand_operations_are_the_most() {
    let many = |count| with(vec![Operation::Put(write(1)); count]);
    assert_eq!(many(1_000).validate(), Ok(()));
    assert_eq!(many(1_001).validate(), Err(Rejection::TooManyOperations { count: 1_001, max: 1_000 }));
}

#[test]
fn nonce_0_is_refused() {
    assert_eq!(
        Mutation { nonce: Nonce::new(0), ..with(vec![Operation::Put(write(1))]) }.validate(),
        Err(Rejection::NonceZero)
    );
}

#[test]
fn a_pair_has_at_most_10_240_bytes() {
    for make in [Operation::Put, Operation::Insert, Operation::Update] {
        assert_eq!(with(vec![make(write(0)), make(write(10_234))]).validate(), Ok(()));
        let refused = Rejection::PairTooLarge { operation: 1, bytes: 10_241, max: 10_240 };
        assert_eq!(with(vec![make(write(0)), make(write(10_235))]).validate(), Err(refused));
    }
}

#[test]
fn a_namespace_is_created_first_and_once() {
    let table = Operation::CreateTable { table: "t".parse().unwrap() };
    assert_eq!(with(vec![Operation::CreateNamespace, table.clone()]).validate(), Ok(()));
    assert_eq!(
        with(vec![table, Operation::CreateNamespace]).validate(),
        Err(Rejection::OperationMisplaced { index: 1 })
    );
    let twice = with(vec![Operation::CreateNamespace, Operation::CreateNamespace]);
    assert_eq!(twice.validate(), Err(Rejection::OperationMisplaced { index: 1 }));
}

#[test]
fn nobody_creates_an_accounts_own_namespace() {
    for owner in [[0xab; 20], [0xcd; 20]] {
        let namespace = Namespace::own(&Address::new(owner));
        let mutation = Mutation { namespace: namespace.clone(), ..with(vec![Operation::CreateNamespace]) };
        assert_eq!(mutation.validate(), Err(Rejection::NamespaceReserved { name: namespace }));
    }
}
