//! Properties over any transaction and any bytes.

use db3_primitives::{Address, Nonce, Scheme, ShardId, SignedEnvelope, Tai, Transaction, TransactionOperation};
use db3_proto::{
    decode_transaction, decode_transaction_body, decode_transaction_envelope, encode_envelope, encode_transaction_body,
    envelope_bytes, envelope_message,
};
use proptest::prelude::*;

fn operation() -> impl Strategy<Value = TransactionOperation> {
    let address = any::<[u8; 20]>().prop_map(Address::new);
    let amount = (1_u128..=1 << 96).prop_map(Tai::new);
    (0..6, address, amount, any::<u32>()).prop_map(|(kind, to, amount, shard)| match kind {
        0 => TransactionOperation::Transfer { to, amount },
        1 => TransactionOperation::Deposit { to, amount },
        2 => TransactionOperation::Withdraw { amount },
        3 => TransactionOperation::Allocate { shard: ShardId::new(shard), want: amount },
        4 => TransactionOperation::Allocate { shard: ShardId::new(shard), want: Tai::ZERO },
        _ => TransactionOperation::Pay { amount: if shard % 2 == 0 { Tai::ZERO } else { amount } },
    })
}

fn transaction() -> impl Strategy<Value = Transaction> {
    (
        "[a-z0-9-]{1,32}",
        any::<[u8; 20]>(),
        1..=u64::MAX,
        any::<u64>(),
        any::<u128>(),
        proptest::collection::vec(operation(), 1..=64),
    )
        .prop_map(|(network, account, nonce, expire_unix_secs, max_fee, operations)| Transaction {
            network: network.parse().unwrap(),
            account: Address::new(account),
            nonce: Nonce::new(nonce),
            expire_unix_secs,
            max_fee: Tai::new(max_fee),
            operations,
        })
}

/// A body is accepted only as the very bytes that its transaction encodes to.
fn assert_one_encoding(body: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(transaction) = decode_transaction_body(body) {
        prop_assert_eq!(encode_transaction_body(&transaction), body);
    }
    Ok(())
}

proptest! {
    #[test]
    fn transactions_survive_the_round_trip(transaction in transaction(), eip191: bool) {
        let body = encode_transaction_body(&transaction);
        prop_assert_eq!(&decode_transaction_body(&body).unwrap(), &transaction);
        let scheme = if eip191 { Scheme::Eip191 } else { Scheme::Raw };
        let envelope = SignedEnvelope { body, scheme, signature: [9; 65] };
        let bytes = encode_envelope(&envelope);
        prop_assert_eq!(bytes.len(), envelope_bytes(envelope.body.len()));
        let signed = decode_transaction(&bytes).unwrap();
        prop_assert_eq!(&signed.content, &transaction);
        prop_assert_eq!(signed.bytes as usize, bytes.len());
        prop_assert_eq!(signed.id, db3_primitives::transaction_id(&envelope.body));
        prop_assert_eq!(decode_transaction_envelope(envelope_message(&envelope)).unwrap(), signed);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = decode_transaction(&bytes);
        assert_one_encoding(&bytes)?;
        assert_one_encoding(&[[0x08, 1].as_slice(), &bytes].concat())?;
    }

    #[test]
    fn a_changed_body_is_refused_or_another_canonical_body(
        transaction in transaction(),
        place: prop::sample::Index,
        put in proptest::collection::vec(any::<u8>(), 0..4),
        taken in 0_usize..4,
    ) {
        let mut body = encode_transaction_body(&transaction);
        let start = place.index(body.len());
        let end = body.len().min(start + taken);
        body.splice(start..end, put);
        assert_one_encoding(&body)?;
    }
}
