use db3_primitives::limits::TRANSACTION_BYTES_MAX;
use db3_primitives::{
    Address, Nonce, Rejection, Scheme, ShardId, SignedEnvelope, Tai, Transaction, TransactionOperation,
};
use db3_proto::v1::transaction_operation::Kind;
use db3_proto::{decode_transaction, decode_transaction_body, encode_envelope, encode_transaction_body, v1};
use prost::Message as _;

fn example() -> Transaction {
    let to = Address::new([0x22; 20]);
    Transaction {
        network: "devnet".parse().unwrap(),
        account: Address::new([0x11; 20]),
        nonce: Nonce::new(5),
        expire_unix_secs: 1_800_000_000,
        max_fee: Tai::new(250_000),
        operations: vec![
            TransactionOperation::Transfer { to, amount: Tai::new(7) },
            TransactionOperation::Allocate { shard: ShardId::new(0), want: Tai::ZERO },
            TransactionOperation::Pay { amount: Tai::ZERO },
        ],
    }
}

fn message() -> v1::TransactionBody {
    v1::TransactionBody::decode(encode_transaction_body(&example()).as_slice()).unwrap()
}

fn refusal(body: &[u8]) -> Rejection {
    let refused = decode_transaction_body(body).expect_err("the body is refused");
    let envelope = SignedEnvelope { body: body.to_vec(), scheme: Scheme::Raw, signature: [7; 65] };
    assert_eq!(decode_transaction(&encode_envelope(&envelope)).expect_err("the envelope is refused"), refused);
    refused
}

fn edited(edit: impl FnOnce(&mut v1::TransactionBody)) -> Rejection {
    let mut message = message();
    edit(&mut message);
    refusal(&message.encode_to_vec())
}

fn with_kind(kind: Kind) -> Rejection {
    edited(|body| body.operations[1].kind = Some(kind))
}

#[test]
fn every_field_of_a_transaction_is_checked() {
    assert_eq!(edited(|body| body.version = 2), Rejection::BodyVersionUnknown { version: 2 });
    assert!(matches!(edited(|body| body.network = "Dev".into()), Rejection::NetworkNameInvalid { .. }));
    assert!(matches!(edited(|body| body.account = vec![1; 19].into()), Rejection::AccountInvalid { .. }));
    assert_eq!(edited(|body| body.nonce = 0), Rejection::NonceZero);
    assert!(matches!(edited(|body| body.max_fee_tai = "1.5".into()), Rejection::FeeLimitInvalid { .. }));
    assert_eq!(edited(|body| body.operations.clear()), Rejection::BatchEmpty);
    let many = edited(|body| body.operations = vec![body.operations[2].clone(); 65]);
    assert_eq!(many, Rejection::TooManyOperations { count: 65, max: 64 });
}

#[test]
fn every_amount_of_a_transaction_is_checked() {
    let to = vec![1; 20];
    for text in
        ["", "0", "-1", "01", "1.5", "5db3", "340282366920938463463374607431768211456", "79228162514264337593543950337"]
    {
        let transfer = v1::Transfer { to: to.clone().into(), amount_tai: text.into() };
        let refused = with_kind(Kind::Transfer(transfer));
        assert!(matches!(refused, Rejection::AmountInvalid { operation: 1, .. }), "{text:?}: {refused}");
        if text != "0" {
            let refused = with_kind(Kind::Allocate(v1::Allocate { shard: 0, want_tai: text.into() }));
            assert!(matches!(refused, Rejection::AmountInvalid { operation: 1, .. }), "{text:?}: {refused}");
        }
    }
    let transfer = v1::Transfer { to: vec![1; 21].into(), amount_tai: "1".into() };
    assert!(matches!(with_kind(Kind::Transfer(transfer)), Rejection::AccountInvalid { .. }));
}

#[test]
fn an_operation_of_no_known_kind_is_refused() {
    assert_eq!(edited(|body| body.operations[2].kind = None), Rejection::OperationUnknown { index: 2 });
    let mut body = encode_transaction_body(&Transaction { operations: vec![], ..example() });
    body.extend([0x3a, 2, 0x32, 0]);
    assert_eq!(refusal(&body), Rejection::OperationUnknown { index: 0 });
}

#[test]
fn a_mutation_is_no_transaction() {
    let mutation = v1::MutationBody {
        version: 1,
        network: "devnet".into(),
        account: vec![1; 20].into(),
        namespace: "notes".into(),
        nonce: 1,
        expire_unix_secs: 1,
        max_fee_tai: "1".into(),
        operations: vec![v1::Operation { kind: Some(v1::operation::Kind::CreateNamespace(v1::CreateNamespace {})) }],
    };
    assert!(decode_transaction_body(&mutation.encode_to_vec()).is_err());
    assert!(db3_proto::decode_body(&encode_transaction_body(&example())).is_err());
}

#[test]
fn an_envelope_that_is_too_long_is_refused_before_it_is_read() {
    let envelope = SignedEnvelope { body: vec![1; TRANSACTION_BYTES_MAX], scheme: Scheme::Raw, signature: [7; 65] };
    let refused = decode_transaction(&encode_envelope(&envelope)).unwrap_err();
    assert!(matches!(refused, Rejection::MutationTooLarge { max: 16_384, .. }), "{refused}");
}

#[test]
fn the_largest_transaction_fits_its_envelope() {
    let largest = TransactionOperation::Deposit { to: Address::new([1; 20]), amount: Tai::new(1 << 96) };
    let transaction = Transaction {
        network: "n".repeat(32).parse().unwrap(),
        nonce: Nonce::new(u64::MAX),
        expire_unix_secs: u64::MAX,
        max_fee: Tai::MAX,
        operations: vec![largest; 64],
        ..example()
    };
    assert_eq!(decode_transaction_body(&encode_transaction_body(&transaction)).unwrap(), transaction);
}
