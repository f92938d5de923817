//! Every mutation has one encoding; all others are refused.

use db3_primitives::Rejection;
use db3_proto::{decode_body, decode_mutation, encode_body, encode_envelope, v1};
use prost::Message as _;

use crate::example::{bytes_field, envelope, example, lengthened, message, refusal, split};

#[test]
fn a_decoded_body_says_what_was_signed() {
    let body = encode_body(&example());
    assert_eq!(decode_body(&body).unwrap(), example());
}

#[test]
fn every_reordering_of_fields_is_refused() {
    let fields = split(&encode_body(&example()));
    for a in 0..fields.len() {
        for b in a + 1..fields.len() {
            let mut swapped = fields.clone();
            swapped.swap(a, b);
            // Two operations may change places: that is another mutation.
            if fields[a][0] == fields[b][0] {
                decode_body(&swapped.concat()).unwrap();
            } else {
                assert_eq!(refusal(&swapped.concat()), Rejection::BodyNotCanonical, "{a} {b}");
            }
        }
    }
}

#[test]
fn every_longer_varint_is_refused() {
    let fields = split(&encode_body(&example()));
    for index in 0..fields.len() {
        for skip_tag in [false, true] {
            let mut longer = fields.clone();
            longer[index] = lengthened(&fields[index], skip_tag);
            assert_eq!(refusal(&longer.concat()), Rejection::BodyNotCanonical, "{index}");
        }
    }
}

#[test]
fn a_longer_varint_within_an_operation_is_refused() {
    let kind = split(&message().operations[0].encode_to_vec()).concat();
    let put = message().operations[0].clone();
    let Some(v1::operation::Kind::Put(put)) = put.kind else {
        panic!("the example begins with a put");
    };
    let mut variants = vec![lengthened(&kind, false), lengthened(&kind, true)];
    let fields = split(&put.encode_to_vec());
    for index in 0..fields.len() {
        for skip_tag in [false, true] {
            let mut longer = fields.clone();
            longer[index] = lengthened(&fields[index], skip_tag);
            variants.push(bytes_field(1, &longer.concat()));
        }
    }
    for operation in variants {
        let mut fields = split(&encode_body(&example()));
        fields[7] = bytes_field(8, &operation);
        assert_eq!(refusal(&fields.concat()), Rejection::BodyNotCanonical, "{operation:02x?}");
    }
}

#[test]
fn every_repeated_field_is_refused() {
    let fields = split(&encode_body(&example()));
    for index in 0..7 {
        let mut repeated = fields.clone();
        repeated.insert(index, fields[index].clone());
        assert_eq!(refusal(&repeated.concat()), Rejection::BodyNotCanonical, "{index}");
    }
}

#[test]
fn explicit_defaults_are_refused() {
    let fields = split(&encode_body(&example()));
    let mut with_expiry = fields.clone();
    with_expiry[5] = vec![0x30, 0];
    assert_eq!(refusal(&with_expiry.concat()), Rejection::BodyNotCanonical);
    // An empty value, written out.
    let put = [bytes_field(1, b"books"), bytes_field(2, b"a"), bytes_field(3, b"")].concat();
    let mut with_value = fields;
    with_value[7] = bytes_field(8, &bytes_field(1, &put));
    assert_eq!(refusal(&with_value.concat()), Rejection::BodyNotCanonical);
}

#[test]
fn unknown_fields_are_refused_wherever_they_stand() {
    let body = encode_body(&example());
    let mut after = body.clone();
    after.extend([0x78, 1]);
    assert_eq!(refusal(&after), Rejection::BodyNotCanonical);
    let mut before = vec![0x78, 1];
    before.extend(&body);
    assert_eq!(refusal(&before), Rejection::BodyNotCanonical);
    let put = [bytes_field(1, b"books"), bytes_field(2, b"a"), vec![0x78, 1]].concat();
    let mut fields = split(&body);
    fields[7] = bytes_field(8, &bytes_field(1, &put));
    assert_eq!(refusal(&fields.concat()), Rejection::BodyNotCanonical);
    fields[7] = bytes_field(8, &bytes_field(10, &[0x08, 1]));
    assert_eq!(refusal(&fields.concat()), Rejection::BodyNotCanonical);
}

#[test]
fn an_operation_of_two_kinds_is_refused() {
    let create = bytes_field(10, b"");
    let table = bytes_field(11, &bytes_field(1, b"books"));
    let mut fields = split(&encode_body(&example()));
    fields[7] = bytes_field(8, &[create, table].concat());
    assert_eq!(refusal(&fields.concat()), Rejection::BodyNotCanonical);
}

#[test]
fn an_envelope_has_one_encoding() {
    let bytes = encode_envelope(&envelope(encode_body(&example())));
    assert!(decode_mutation(&bytes).is_ok());
    let fields = split(&bytes);
    let mut variants = Vec::new();
    for a in 0..fields.len() {
        for b in a + 1..fields.len() {
            let mut swapped = fields.clone();
            swapped.swap(a, b);
            variants.push(swapped.concat());
        }
        for skip_tag in [false, true] {
            let mut longer = fields.clone();
            longer[a] = lengthened(&fields[a], skip_tag);
            variants.push(longer.concat());
        }
        let mut repeated = fields.clone();
        repeated.insert(a, fields[a].clone());
        variants.push(repeated.concat());
    }
    variants.push([bytes.clone(), vec![0x78, 1]].concat());
    variants.push([bytes.clone(), bytes_field(4, b"padding")].concat());
    for variant in variants {
        let refused = decode_mutation(&variant).expect_err("refused");
        assert!(matches!(refused, Rejection::EnvelopeMalformed { .. }), "{refused}");
    }
}

#[test]
fn every_truncated_envelope_is_refused() {
    let bytes = encode_envelope(&envelope(encode_body(&example())));
    for length in 0..bytes.len() {
        assert!(decode_mutation(&bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn a_truncated_body_is_refused_or_a_mutation_of_fewer_operations() {
    let body = encode_body(&example());
    let mut shorter = Vec::new();
    for length in 0..body.len() {
        match decode_body(&body[..length]) {
            Ok(mutation) => shorter.push(mutation.operations.len()),
            Err(refused) => assert_eq!(refused.class(), db3_primitives::Class::Malformed),
        }
    }
    // A cut between two operations is another mutation with another identifier, and no signature covers it.
    assert_eq!(shorter, [1, 2, 3]);
}
