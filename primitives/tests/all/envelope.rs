use db3_primitives::{
    Address, Mutation, MutationId, Nonce, Operation, RecordKey, Rejection, Scheme, SecretKey, SignedMutation, Tai,
    Write, mutation_id, sign_mutation, signing_digest, signing_text,
};

use super::body;

fn key() -> SecretKey {
    SecretKey::from_bytes([7; 32]).unwrap()
}

fn write(key: &[u8]) -> Write {
    Write {
        table: "cities".parse().unwrap(),
        key: RecordKey::try_from(key).unwrap(),
        value: b"3 700 000 ppl".to_vec(),
        if_version: None,
    }
}

fn mutation(operations: Vec<Operation>) -> Mutation {
    Mutation {
        network: "devnet".parse().unwrap(),
        account: key().address(),
        namespace: "notes".parse().unwrap(),
        nonce: Nonce::new(7),
        expire_unix_secs: 1_769_851_800,
        max_fee: Tai::new(500_000),
        operations,
    }
}

fn signed(scheme: Scheme) -> SignedMutation {
    let mutation = mutation(vec![Operation::Put(write(b"berlin"))]);
    let envelope = sign_mutation(&key(), &mutation, body::encode(&mutation), scheme);
    SignedMutation::new(mutation, envelope, 300)
}

#[test]
fn a_good_signature_of_either_scheme_is_accepted() {
    for scheme in [Scheme::Raw, Scheme::Eip191] {
        let signed = signed(scheme);
        let verified = signed.clone().verify().unwrap();
        assert_eq!((verified.signer(), verified.id(), verified.bytes()), (key().address(), signed.id, 300));
        assert_eq!((verified.mutation(), verified.envelope()), (&signed.content, &signed.envelope));
    }
}

#[test]
fn a_strangers_signature_is_refused_by_name() {
    let stranger = SecretKey::from_bytes([8; 32]).unwrap();
    let mut signed = signed(Scheme::Raw);
    let digest = signing_digest(&signed.content, &signed.envelope.body, Scheme::Raw);
    signed.envelope.signature = stranger.sign(&digest);
    let (back, rejection) = signed.clone().verify().unwrap_err();
    assert_eq!(*back, signed);
    let (account, recovered) = (key().address(), stranger.address());
    assert_eq!(rejection, Rejection::SignerMismatch { account, recovered, digest });
    let text = rejection.to_string();
    assert!(
        text.contains(&account.to_string())
            && text.contains(&recovered.to_string())
            && text.contains(&hex::encode(digest))
    );
}

#[test]
fn a_signature_of_one_scheme_is_none_of_the_other() {
    for (made, claimed) in [(Scheme::Raw, Scheme::Eip191), (Scheme::Eip191, Scheme::Raw)] {
        let mut signed = signed(made);
        signed.envelope.scheme = claimed;
        let refused = signed.verify().unwrap_err().1;
        assert!(matches!(refused, Rejection::SignerMismatch { .. } | Rejection::SignatureMalformed { .. }));
    }
}

#[test]
fn a_signature_that_is_none_is_malformed() {
    for (byte, value) in [(64, 27), (32, 0xff)] {
        let mut signed = signed(Scheme::Raw);
        signed.envelope.signature[byte] = value;
        assert!(matches!(signed.verify().unwrap_err().1, Rejection::SignatureMalformed { .. }));
    }
}

#[test]
fn every_changed_bit_of_body_or_signature_is_refused() {
    let good = signed(Scheme::Raw);
    for bit in 0..good.envelope.body.len() * 8 {
        let mut changed = good.clone();
        changed.envelope.body[bit / 8] ^= 1 << (bit % 8);
        assert!(changed.verify().is_err());
    }
    for bit in 0..65 * 8 {
        let mut changed = good.clone();
        changed.envelope.signature[bit / 8] ^= 1 << (bit % 8);
        assert!(changed.verify().is_err());
    }
}

#[test]
fn a_second_signature_of_the_same_body_is_not_a_second_mutation() {
    assert_eq!(signed(Scheme::Raw).id, signed(Scheme::Eip191).id);
    assert_ne!(mutation_id(b"a"), mutation_id(b"b"));
    let id = mutation_id(b"a");
    assert_eq!(id.to_string().parse(), Ok(id));
    assert!("0x12".parse::<MutationId>().is_err());
}

#[test]
fn schemes_have_their_numbers_and_others_are_unknown() {
    for scheme in [Scheme::Raw, Scheme::Eip191] {
        assert_eq!(Scheme::from_number(scheme.number()), Ok(scheme));
    }
    for scheme in [-1, 0, 3, 4, i32::MAX] {
        assert_eq!(Scheme::from_number(scheme), Err(Rejection::SchemeUnknown { scheme }));
    }
}

fn operation_lines(operations: Vec<Operation>) -> Vec<String> {
    let mutation = mutation(operations);
    let text = signing_text(&mutation, &body::encode(&mutation));
    text.lines()
        .skip_while(|line| !line.starts_with("Operations"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_text_says_what_each_operation_does() {
    let table = || "cities".parse().unwrap();
    let if_version = |version| Write { if_version: Some(version), ..write(b"berlin") };
    let delete =
        |if_version| Operation::Delete { table: table(), key: RecordKey::try_from(&b"paris"[..]).unwrap(), if_version };
    assert_eq!(
        operation_lines(vec![
            Operation::CreateNamespace,
            Operation::CreateTable { table: table() },
            Operation::Put(write(b"berlin")),
            Operation::Insert(if_version(0)),
            Operation::Update(if_version(4)),
            delete(None),
            delete(Some(9)),
        ]),
        [
            "- create the namespace",
            "- create table cities",
            "- put cities/berlin, 13 bytes",
            "- insert cities/berlin, 13 bytes, if absent",
            "- update cities/berlin, 13 bytes, if version 4",
            "- delete cities/paris",
            "- delete cities/paris, if version 9",
        ]
    );
}

#[test]
fn the_text_shows_eight_operations_and_counts_the_rest() {
    let puts = |count| vec![Operation::Put(write(b"k")); count];
    assert_eq!(operation_lines(puts(8)).len(), 8);
    assert_eq!(operation_lines(puts(9)).last().unwrap(), "and 1 more");
    assert_eq!(operation_lines(puts(1_000)).last().unwrap(), "and 992 more");
}

#[test]
fn keys_that_would_not_show_themselves_stand_in_hexadecimal() {
    let shown = |key: &[u8]| operation_lines(vec![Operation::Put(write(key))]).join("|");
    assert_eq!(shown("münchen".as_bytes()), "- put cities/münchen, 13 bytes");
    assert_eq!(shown(b"\xff\x00"), "- put cities/0xff00, 13 bytes");
    assert_eq!(shown(b"a\nNonce: 8"), "- put cities/0x610a4e6f6e63653a2038, 13 bytes");
    assert_eq!(shown("a\u{202e}b".as_bytes()), "- put cities/0x61e280ae62, 13 bytes");
    assert_eq!(shown("a\u{200b}".as_bytes()), "- put cities/0x61e2808b, 13 bytes");
    assert_eq!(shown(b" a"), "- put cities/0x2061, 13 bytes");
    // A key that reads like hexadecimal is not mistaken for one that is shown so.
    assert_eq!(shown(b"0xff00"), "- put cities/0x307866663030, 13 bytes");
    assert_eq!(shown(&[b'k'; 65]), format!("- put cities/{}…, 13 bytes", "k".repeat(64)));
    assert_eq!(shown(&[b'k'; 64]), format!("- put cities/{}, 13 bytes", "k".repeat(64)));
    assert_eq!(shown(&[0; 256]), format!("- put cities/0x{}…, 13 bytes", "0".repeat(62)));
}

#[test]
fn a_time_after_the_year_9999_is_a_number() {
    let mutation = Mutation { expire_unix_secs: u64::MAX, ..mutation(vec![Operation::CreateNamespace]) };
    assert!(signing_text(&mutation, b"").contains("\nExpires: Unix second 18446744073709551615\n"));
}

#[test]
fn the_account_of_another_cannot_be_charged_by_changing_the_decoded_view() {
    // The text scheme signs what the view says, so a view that differs from the body does not verify.
    let mut signed = signed(Scheme::Eip191);
    signed.content.account = Address::new([9; 20]);
    assert!(signed.verify().is_err());
}
