use std::collections::BTreeMap;

use db3_primitives::limits::CEILING_TAI_MAX;
use db3_primitives::{
    Address, Body, Meter, Mutation, Nonce, PriceTable, Rejection, Scheme, SecretKey, ShardId, SignedTransaction, Tai,
    Transaction, TransactionOperation, Verified, key, mutation_id, sign, signing_digest, transaction_id,
    transaction_upper_bound,
};

use super::body;

fn key_of(byte: u8) -> SecretKey {
    SecretKey::from_bytes([byte; 32]).unwrap()
}

fn other() -> Address {
    Address::new([0x22; 20])
}

fn transaction(operations: Vec<TransactionOperation>) -> Transaction {
    Transaction {
        network: "devnet".parse().unwrap(),
        account: key_of(7).address(),
        nonce: Nonce::new(3),
        expire_unix_secs: 1_769_851_800,
        max_fee: Tai::new(500_000),
        operations,
    }
}

const PAY_ALL: TransactionOperation = TransactionOperation::Pay { amount: Tai::ZERO };

fn refusal(operations: Vec<TransactionOperation>) -> Rejection {
    transaction(operations).validate().unwrap_err()
}

#[test]
fn a_transaction_has_1_to_64_operations_and_a_nonce() {
    assert_eq!(refusal(vec![]), Rejection::BatchEmpty);
    assert_eq!(transaction(vec![PAY_ALL; 64]).validate(), Ok(()));
    assert_eq!(refusal(vec![PAY_ALL; 65]), Rejection::TooManyOperations { count: 65, max: 64 });
    let without = Transaction { nonce: Nonce::new(0), ..transaction(vec![PAY_ALL]) };
    assert_eq!(without.validate(), Err(Rejection::NonceZero));
}

#[test]
fn amounts_are_more_than_nothing_and_no_more_than_can_exist() {
    use TransactionOperation::{Allocate, Deposit, Pay, Transfer, Withdraw};
    let (to, shard) = (other(), ShardId::new(0));
    let with = |amount| {
        [
            Transfer { to, amount },
            Deposit { to, amount },
            Withdraw { amount },
            Allocate { shard, want: amount },
            Pay { amount },
        ]
    };
    for operation in with(Tai::new(1)).into_iter().chain(with(CEILING_TAI_MAX)) {
        assert_eq!(transaction(vec![operation]).validate(), Ok(()), "{operation:?}");
    }
    for operation in with(CEILING_TAI_MAX.checked_add(Tai::new(1)).unwrap()) {
        let refused = refusal(vec![PAY_ALL, operation]);
        assert!(matches!(refused, Rejection::AmountInvalid { operation: 1, .. }), "{operation:?}: {refused}");
    }
    for operation in with(Tai::ZERO) {
        let may = matches!(operation, Allocate { .. } | Pay { .. });
        assert_eq!(transaction(vec![operation]).validate().is_ok(), may, "{operation:?}");
    }
    let text = refusal(vec![Withdraw { amount: Tai::ZERO }]).to_string();
    assert!(
        text.starts_with(
            "operation 0: it takes no amount of 0 tai, the smallest is 1 tai (0.000000001 DB3), the largest"
        ),
        "{text}"
    );
}

fn signed(scheme: Scheme) -> SignedTransaction {
    let transaction = transaction(vec![PAY_ALL]);
    let envelope = sign(&key_of(7), &transaction, body::encode_transaction(&transaction), scheme);
    SignedTransaction::new(transaction, envelope, 200)
}

#[test]
fn a_transaction_is_signed_by_its_account_under_either_scheme() {
    for scheme in [Scheme::Raw, Scheme::Eip191] {
        let verified = signed(scheme).verify().unwrap();
        assert_eq!((verified.signer(), verified.id()), (key_of(7).address(), signed(scheme).id));
        assert_eq!(verified.transaction(), verified.content());
        let mut forged = signed(scheme);
        let digest = signing_digest(&forged.content, &forged.envelope.body, scheme);
        forged.envelope.signature = key_of(8).sign(&digest);
        assert!(matches!(forged.verify().unwrap_err().1, Rejection::SignerMismatch { .. }));
    }
}

#[test]
fn no_signature_and_no_identifier_serves_two_kinds() {
    assert_ne!(mutation_id(b"body"), transaction_id(b"body"));
    let tags = [Mutation::ID_TAG, Mutation::RAW_TAG, Transaction::ID_TAG, Transaction::RAW_TAG];
    for (index, tag) in tags.iter().enumerate() {
        for other in tags.iter().skip(index + 1) {
            assert!(!tag.starts_with(other) && !other.starts_with(tag), "tags must not be prefixes of each other");
        }
    }
    let mutation = Mutation {
        network: "devnet".parse().unwrap(),
        account: key_of(7).address(),
        namespace: "notes".parse().unwrap(),
        nonce: Nonce::new(3),
        expire_unix_secs: 1_769_851_800,
        max_fee: Tai::new(500_000),
        operations: vec![],
    };
    let transaction = transaction(vec![]);
    for scheme in [Scheme::Raw, Scheme::Eip191] {
        assert_ne!(signing_digest(&mutation, b"same", scheme), signing_digest(&transaction, b"same", scheme));
    }
    // Only verification makes a verified one: this would not compile with another body's type.
    let _: fn(&Verified<Transaction>) -> &Transaction = Verified::transaction;
}

#[test]
fn the_text_says_what_each_operation_does_in_db3() {
    let to = other();
    let amount = Tai::new(1_500_000_000);
    let shard = ShardId::new(2);
    let all = vec![
        TransactionOperation::Transfer { to, amount },
        TransactionOperation::Deposit { to, amount },
        TransactionOperation::Withdraw { amount },
        TransactionOperation::Allocate { shard, want: amount },
        TransactionOperation::Allocate { shard, want: Tai::ZERO },
        TransactionOperation::Pay { amount },
        PAY_ALL,
        PAY_ALL,
        PAY_ALL,
    ];
    let text = transaction(all).signing_text(b"body");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "DB3 settlement transaction");
    assert!(!text.contains("Namespace"));
    let operations: Vec<&str> = lines.iter().copied().skip_while(|line| !line.starts_with("Operations")).collect();
    assert_eq!(
        operations[..10],
        [
            "Operations: 9",
            &format!("- transfer 1.5 DB3 to {to}"),
            &format!("- deposit 1.5 DB3 as collateral of {to}"),
            "- withdraw 1.5 DB3 of collateral",
            "- allocate 1.5 DB3 of credit to shard 2",
            "- close the credit line on shard 2",
            "- pay 1.5 DB3 of what is owed",
            "- pay all that is owed",
            "- pay all that is owed",
            "and 1 more",
        ]
    );
}

#[test]
fn a_transactions_bound_counts_what_may_be_new_once() {
    let to = |byte| Address::new([byte; 20]);
    let transfer = |byte| TransactionOperation::Transfer { to: to(byte), amount: Tai::new(1) };
    let bound = |operations| transaction_upper_bound(&transaction(operations), 200);
    let base = bound(vec![PAY_ALL]);
    assert_eq!((base.mutations, base.bytes_in, base.operations), (1, 200, 1));
    assert_eq!(base.key_bytes as usize, key::BALANCE_BYTES);
    let stored = |operations| bound(operations).bytes_stored;
    assert!(stored(vec![transfer(1)]) > base.bytes_stored);
    assert_eq!(stored(vec![transfer(1); 3]), stored(vec![transfer(1)]));
    assert!(stored(vec![transfer(1), transfer(2)]) > stored(vec![transfer(1)]));
    let allocate = |shard| TransactionOperation::Allocate { shard: ShardId::new(shard), want: Tai::new(1) };
    assert_eq!(stored(vec![allocate(0), allocate(0)]), stored(vec![allocate(0)]));
    assert!(stored(vec![allocate(0), allocate(1)]) > stored(vec![allocate(0)]));
    let charges: BTreeMap<Meter, u64> =
        PriceTable::v1().charges(&base).into_iter().map(|charge| (charge.meter, charge.quantity)).collect();
    assert_eq!(charges[&Meter::Mutation], 1);
}

#[test]
fn lengths_of_settlement_keys_are_their_constants() {
    let account = other();
    assert_eq!(key::balance(&account).len(), key::BALANCE_BYTES);
    assert_eq!(key::line(&account, ShardId::new(9)).len(), key::LINE_BYTES);
    assert_eq!(key::due(&account).len(), key::DUE_BYTES);
    assert_eq!(key::own_window(&account).len(), key::OWN_WINDOW_BYTES);
}
