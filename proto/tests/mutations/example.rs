//! A mutation to take apart, and the tools for it.

use db3_primitives::{
    Address, Mutation, Nonce, Operation, RecordKey, Rejection, Scheme, SignedEnvelope, TableName, Tai, Write,
};
use db3_proto::{decode_body, decode_mutation, encode_body, encode_envelope, v1};
use prost::Message as _;

pub fn envelope(body: Vec<u8>) -> SignedEnvelope {
    SignedEnvelope { body, scheme: Scheme::Raw, signature: [7; 65] }
}

/// A put, a put with a version, a delete and a new table.
pub fn example() -> Mutation {
    let table: TableName = "books".parse().unwrap();
    let write = |key: &[u8], value: &[u8], if_version| Write {
        table: table.clone(),
        key: RecordKey::new(key.to_vec()).unwrap(),
        value: value.to_vec(),
        if_version,
    };
    Mutation {
        network: "devnet".parse().unwrap(),
        account: Address::new([0x11; 20]),
        namespace: "library".parse().unwrap(),
        nonce: Nonce::new(5),
        expire_unix_secs: 1_800_000_000,
        max_fee: Tai::new(250_000),
        operations: vec![
            Operation::Put(write(b"a", b"one", None)),
            Operation::Insert(write(b"b", b"", Some(0))),
            Operation::Delete {
                table: table.clone(),
                key: RecordKey::new(b"c".to_vec()).unwrap(),
                if_version: Some(3),
            },
            Operation::CreateTable { table },
        ],
    }
}

pub fn message() -> v1::MutationBody {
    v1::MutationBody::decode(encode_body(&example()).as_slice()).unwrap()
}

pub fn refusal(body: &[u8]) -> Rejection {
    let refused = decode_body(body).expect_err("the body is refused");
    let within = encode_envelope(&envelope(body.to_vec()));
    assert_eq!(decode_mutation(&within).expect_err("the envelope is refused"), refused, "body and envelope agree");
    refused
}

pub fn edited(edit: impl FnOnce(&mut v1::MutationBody)) -> Rejection {
    let mut message = message();
    edit(&mut message);
    refusal(&message.encode_to_vec())
}

/// The top-level fields of a message, each with its tag.
pub fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut fields = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let before = rest;
        let (_, wire_type) = prost::encoding::decode_key(&mut rest).unwrap();
        match wire_type {
            prost::encoding::WireType::Varint => {
                prost::encoding::decode_varint(&mut rest).unwrap();
            }
            prost::encoding::WireType::LengthDelimited => {
                let length = prost::encoding::decode_varint(&mut rest).unwrap();
                rest = &rest[usize::try_from(length).unwrap()..];
            }
            other => panic!("{other:?}"),
        }
        fields.push(before[..before.len() - rest.len()].to_vec());
    }
    fields
}

/// The same field with its first varint (the tag), or the one after it, written one byte longer.
pub fn lengthened(field: &[u8], skip_tag: bool) -> Vec<u8> {
    let start = usize::from(skip_tag);
    let end = start + field[start..].iter().position(|byte| byte & 0x80 == 0).unwrap();
    let mut longer = field[..end].to_vec();
    longer.extend([field[end] | 0x80, 0]);
    longer.extend(&field[end + 1..]);
    longer
}

pub fn bytes_field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::bytes::encode(number, &content.to_vec(), &mut bytes);
    bytes
}
