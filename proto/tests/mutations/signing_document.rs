//! The worked examples of docs/signing.md are mutations that this crate writes, reads and finds rightly signed.

use db3_primitives::{Address, Scheme, SignedEnvelope};
use db3_proto::{decode_body, decode_mutation, encode_body, encode_envelope};

/// The value of `name = value` in a block of values.
fn value(name: &str) -> String {
    let path = "../docs/signing.md";
    let text = std::fs::read_to_string(path).expect("docs/signing.md");
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
    found.unwrap_or_else(|| panic!("docs/signing.md has no line `{name} = …`")).to_owned()
}

#[test]
fn the_documented_body_is_the_one_encoding_of_its_mutation() {
    let body = hex::decode(value("body")).unwrap();
    let mutation = decode_body(&body).unwrap();
    assert_eq!(encode_body(&mutation), body);
    assert_eq!(mutation.account, value("account").parse::<Address>().unwrap());
}

#[test]
fn the_documented_signatures_are_those_of_the_account() {
    for (scheme, name) in [(Scheme::Raw, "raw signature"), (Scheme::Eip191, "eip191 signature")] {
        let signature = hex::decode(value(name)).unwrap().try_into().unwrap();
        let body = hex::decode(value("body")).unwrap();
        let bytes = encode_envelope(&SignedEnvelope { body, scheme, signature });
        let verified = decode_mutation(&bytes).unwrap().verify().expect(name);
        assert_eq!(verified.id().to_string(), value("id"));
        assert_eq!(verified.signer(), value("account").parse::<Address>().unwrap());
    }
}
