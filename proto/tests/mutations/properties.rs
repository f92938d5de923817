//! Properties over any mutation and any bytes.

use db3_primitives::{Address, Mutation, Namespace, Nonce, Operation, RecordKey, Scheme, SignedEnvelope, Tai, Write};
use db3_proto::{
    decode_body, decode_envelope, decode_mutation, encode_body, encode_envelope, envelope_bytes, envelope_message,
};
use proptest::prelude::*;

use crate::example::split;

fn name() -> impl Strategy<Value = String> {
    "[a-z0-9][a-z0-9._-]{0,20}"
}

fn namespace() -> impl Strategy<Value = Namespace> {
    prop_oneof![
        name().prop_map(|name| name.parse().unwrap()),
        any::<[u8; 20]>().prop_map(|bytes| Namespace::own(&Address::new(bytes))),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    (
        name(),
        proptest::collection::vec(any::<u8>(), 1..=256),
        proptest::collection::vec(any::<u8>(), 0..200),
        any::<Option<u64>>(),
    )
        .prop_map(|(table, key, value, if_version)| Write {
            table: table.parse().unwrap(),
            key: RecordKey::new(key).unwrap(),
            value,
            if_version,
        })
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        write().prop_map(Operation::Put),
        write().prop_map(Operation::Insert),
        write().prop_map(Operation::Update),
        write().prop_map(|write| Operation::Delete {
            table: write.table,
            key: write.key,
            if_version: write.if_version,
        }),
        name().prop_map(|table| Operation::CreateTable { table: table.parse().unwrap() }),
    ]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    (
        "[a-z0-9-]{1,32}",
        any::<[u8; 20]>(),
        namespace(),
        1..=u64::MAX,
        any::<u64>(),
        any::<u128>(),
        proptest::collection::vec(operation(), 1..8),
        any::<bool>(),
    )
        .prop_map(|(network, account, namespace, nonce, expire, max_fee, mut operations, create)| {
            if create && namespace.own_address().is_none() {
                operations.insert(0, Operation::CreateNamespace);
            }
            Mutation {
                network: network.parse().unwrap(),
                account: Address::new(account),
                namespace,
                nonce: Nonce::new(nonce),
                expire_unix_secs: expire,
                max_fee: Tai::new(max_fee),
                operations,
            }
        })
}

/// A body is accepted only as the very bytes that its mutation encodes to.
fn assert_one_encoding(body: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(mutation) = decode_body(body) {
        prop_assert_eq!(encode_body(&mutation), body);
    }
    Ok(())
}

proptest! {
    #[test]
    fn mutations_survive_the_round_trip(mutation in mutation(), eip191: bool) {
        let body = encode_body(&mutation);
        prop_assert_eq!(&decode_body(&body).unwrap(), &mutation);
        let scheme = if eip191 { Scheme::Eip191 } else { Scheme::Raw };
        let envelope = SignedEnvelope { body, scheme, signature: [9; 65] };
        let bytes = encode_envelope(&envelope);
        prop_assert_eq!(bytes.len(), envelope_bytes(envelope.body.len()));
        let signed = decode_mutation(&bytes).unwrap();
        prop_assert_eq!(&signed.content, &mutation);
        prop_assert_eq!(&signed.envelope, &envelope);
        prop_assert_eq!(signed.bytes as usize, bytes.len());
        prop_assert_eq!(signed.id, db3_primitives::mutation_id(&envelope.body));
        let again = decode_envelope(envelope_message(&envelope)).unwrap();
        prop_assert_eq!(again.bytes, signed.bytes);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = decode_mutation(&bytes);
        let _ = db3_proto::decode_bundle(&bytes);
        assert_one_encoding(&bytes)?;
        let versioned = [[0x08, 1].as_slice(), &bytes].concat();
        assert_one_encoding(&versioned)?;
    }

    #[test]
    fn a_body_with_changed_bytes_is_refused_or_another_canonical_body(
        mutation in mutation(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut body = encode_body(&mutation);
        for (index, byte) in changes {
            let place = index.index(body.len());
            body[place] = byte;
        }
        assert_one_encoding(&body)?;
    }

    #[test]
    fn a_body_with_bytes_put_in_or_taken_out_is_refused_or_another_canonical_body(
        mutation in mutation(),
        place: prop::sample::Index,
        put in proptest::collection::vec(any::<u8>(), 0..4),
        taken in 0_usize..4,
    ) {
        let mut body = encode_body(&mutation);
        let start = place.index(body.len());
        let end = body.len().min(start + taken);
        body.splice(start..end, put);
        assert_one_encoding(&body)?;
    }

    #[test]
    fn fields_in_any_other_order_are_refused(mutation in mutation(), a in 0_usize..7, b in 0_usize..7) {
        let body = encode_body(&mutation);
        let mut fields = split(&body);
        let (a, b) = (a.min(fields.len() - 1), b.min(fields.len() - 1));
        fields.swap(a, b);
        let swapped = fields.concat();
        if swapped != body {
            prop_assert!(decode_body(&swapped).is_err());
        }
    }
}
