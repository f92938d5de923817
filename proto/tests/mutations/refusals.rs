//! What is wrong has its own number, found in the order of the ladder, within the limits.

use db3_primitives::Rejection;
use db3_primitives::limits::{MUTATION_BYTES_MAX, OPERATIONS_PER_MUTATION_MAX, PAIR_BYTES_MAX};
use db3_proto::{decode_envelope, decode_mutation, encode_body, encode_envelope, envelope_bytes, envelope_message, v1};

use crate::example::{bytes_field, edited, envelope, example, refusal, split};

#[test]
fn an_unknown_operation_is_refused_with_its_position() {
    let fields = split(&encode_body(&example()));
    for (content, position) in [
        (bytes_field(20, b"grant"), 7),
        (bytes_field(5, b""), 8),
        (vec![0x08 | 0xa0, 0x06, 1], 9),
        (Vec::new(), 10),
        ([bytes_field(1, b""), bytes_field(40, b"call")].concat(), 8),
    ] {
        let mut unknown = fields.clone();
        unknown[position] = bytes_field(8, &content);
        let operation = u32::try_from(position - 7).unwrap();
        assert_eq!(refusal(&unknown.concat()), Rejection::OperationUnknown { index: operation });
    }
}

#[test]
fn another_version_is_refused_before_anything_else_of_the_body() {
    for version in [0, 2, u32::MAX] {
        let refused = edited(|message| {
            message.version = version;
            message.network = "NOT A NAME".to_owned();
            message.operations.clear();
        });
        assert_eq!(refused, Rejection::BodyVersionUnknown { version });
    }
    assert_eq!(refusal(&[]), Rejection::BodyVersionUnknown { version: 0 });
    // A later version may give field 8 another meaning.
    let later = [vec![0x08, 2], vec![0x40, 1]].concat();
    assert_eq!(refusal(&later), Rejection::BodyVersionUnknown { version: 2 });
}

#[test]
fn bytes_that_are_no_protobuf_are_refused_as_malformed() {
    for bytes in [
        [0x08, 1, 0x0b].as_slice(),
        &[0x08, 1, 0x12, 5, b'a'],
        &[0x08, 1, 0x12, 1, 0xff],
        &[0x08, 1, 0x40, 1],
        &[0x08, 1, 0x10, 1],
        &[0x08, 1, 0x42, 2, 0x0a, 5],
        &[0x08, 1, 0x42, 3, 0x0a, 1, 0x0f],
    ] {
        let refused = refusal(bytes);
        assert!(matches!(refused, Rejection::BodyMalformed { .. }), "{bytes:02x?} {refused}");
    }
}

#[test]
fn nested_groups_do_not_exhaust_the_stack() {
    for depth in [1, 50, 200, 100_000] {
        let groups = [vec![0x7b; depth], vec![0x7c; depth]].concat();
        let put = [bytes_field(1, b"books"), bytes_field(2, b"a"), groups.clone()].concat();
        let mut fields = split(&encode_body(&example()));
        fields[7] = bytes_field(8, &bytes_field(1, &put));
        assert_eq!(refusal(&fields.concat()).class(), db3_primitives::Class::Malformed);
        let mut bytes = encode_envelope(&envelope(encode_body(&example())));
        bytes.extend(groups);
        assert_eq!(decode_mutation(&bytes).unwrap_err().name(), "ENVELOPE_MALFORMED");
    }
}

#[test]
fn each_bad_field_has_its_own_number() {
    let put = |message: &mut v1::MutationBody| -> v1::PutRecord {
        match message.operations[0].kind.take() {
            Some(v1::operation::Kind::Put(put)) => put,
            other => panic!("{other:?}"),
        }
    };
    let with_put = |edit: fn(&mut v1::PutRecord)| {
        edited(|message| {
            let mut changed = put(message);
            edit(&mut changed);
            message.operations[0].kind = Some(v1::operation::Kind::Put(changed));
        })
    };
    let table: Vec<(Rejection, &str)> = vec![
        (edited(|m| m.network = "Devnet".to_owned()), "NETWORK_NAME_INVALID"),
        (edited(|m| m.network.clear()), "NETWORK_NAME_INVALID"),
        (edited(|m| m.account = vec![1; 19].into()), "ACCOUNT_INVALID"),
        (edited(|m| m.account.clear()), "ACCOUNT_INVALID"),
        (edited(|m| m.account = vec![1; 32].into()), "ACCOUNT_INVALID"),
        (edited(|m| m.namespace = "Library".to_owned()), "NAMESPACE_INVALID"),
        (edited(|m| m.namespace.clear()), "NAMESPACE_INVALID"),
        (edited(|m| m.namespace = format!("0x{}", "AB".repeat(20))), "BODY_NOT_CANONICAL"),
        (edited(|m| m.max_fee_tai = "0x10".to_owned()), "FEE_LIMIT_INVALID"),
        (edited(|m| m.max_fee_tai = "007".to_owned()), "FEE_LIMIT_INVALID"),
        (edited(|m| m.max_fee_tai = "-1".to_owned()), "FEE_LIMIT_INVALID"),
        (edited(|m| m.max_fee_tai = "+1".to_owned()), "FEE_LIMIT_INVALID"),
        (edited(|m| m.max_fee_tai.clear()), "FEE_LIMIT_INVALID"),
        (edited(|m| m.max_fee_tai = "9".repeat(40)), "FEE_LIMIT_INVALID"),
        (edited(|m| m.nonce = 0), "NONCE_ZERO"),
        (edited(|m| m.operations.clear()), "BATCH_EMPTY"),
        (with_put(|put| put.table = "Bad Table".to_owned()), "TABLE_INVALID"),
        (with_put(|put| put.key.clear()), "KEY_INVALID"),
        (with_put(|put| put.key = vec![0; 257].into()), "KEY_INVALID"),
        (with_put(|put| put.value = vec![0; PAIR_BYTES_MAX].into()), "PAIR_TOO_LARGE"),
    ];
    for (index, (refused, wanted)) in table.into_iter().enumerate() {
        assert_eq!(refused.name(), wanted, "row {index}: {refused}");
    }
}

#[test]
fn a_bad_table_or_key_names_its_operation() {
    for index in [0, 3, 6] {
        let operations = |bad: v1::operation::Kind| {
            edited(|message| {
                let good = message.operations[0].clone();
                message.operations = vec![good; 7];
                message.operations[index].kind = Some(bad);
            })
        };
        let table = operations(v1::operation::Kind::CreateTable(v1::CreateTable { table: "?".to_owned() }));
        let key = operations(v1::operation::Kind::Delete(v1::DeleteRecord {
            table: "t".to_owned(),
            ..v1::DeleteRecord::default()
        }));
        for refused in [table, key] {
            assert_eq!(refused.operation_index(), Some(u32::try_from(index).unwrap()), "{refused}");
        }
    }
}

#[test]
fn too_many_operations_are_refused_before_they_are_allocated() {
    let mut body = vec![0x08, 1];
    body.extend([0x42, 0].repeat(OPERATIONS_PER_MUTATION_MAX + 1));
    assert!(matches!(
        refusal(&body),
        Rejection::TooManyOperations { count, .. } if count == 1 + OPERATIONS_PER_MUTATION_MAX as u64
    ));
}

#[test]
fn a_mutation_over_the_size_limit_is_refused_by_its_size() {
    let within = MUTATION_BYTES_MAX - envelope_bytes(0) - 2;
    assert_eq!(envelope_bytes(within), MUTATION_BYTES_MAX);
    let refused = refusal(&vec![0xff; within]);
    assert!(matches!(refused, Rejection::BodyMalformed { .. }), "{refused}");
    let refused = refusal(&vec![0xff; within + 1]);
    assert!(
        matches!(refused, Rejection::MutationTooLarge { bytes, .. } if bytes == 1 + MUTATION_BYTES_MAX as u64),
        "{refused}"
    );
}

#[test]
fn schemes_and_signature_lengths_are_checked() {
    let good = envelope_message(&envelope(encode_body(&example())));
    for scheme in [0, 3, 4, -1, i32::MAX] {
        let refused = decode_envelope(v1::SignedEnvelope { scheme, ..good.clone() });
        assert_eq!(refused.unwrap_err().name(), "SCHEME_UNKNOWN");
    }
    for length in [0, 64, 66, 130] {
        let refused = decode_envelope(v1::SignedEnvelope { signature: vec![1; length].into(), ..good.clone() });
        assert_eq!(refused.unwrap_err().name(), "SIGNATURE_MALFORMED");
    }
}
