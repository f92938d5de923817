//! Decisions of operators as consensus transactions: one encoding, and nothing else is taken.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "tests"
)]

use db3_governance::{Action, Proposal, SignedProposal};
use db3_primitives::{Height, Scheme, SecretKey};
use db3_proto::{BlockTx, TxKind, decode_governance_message, decode_tx, encode_governance_tx, governance_message, v1};
use proptest::prelude::*;
use prost::Message as _;

fn signed() -> SignedProposal {
    let proposal = Proposal {
        chain_id: "test-settlement".parse().unwrap(),
        sequence: 1,
        at_height: Height::new(0),
        expire_unix_secs: 1_769_850_600,
        actions: vec![Action::Cancel { sequence: 7 }],
    };
    let mut signed = SignedProposal::unsigned(proposal);
    for (seed, scheme) in [(1, Scheme::Raw), (2, Scheme::Eip191)] {
        signed.sign(&SecretKey::from_bytes([seed; 32]).unwrap(), scheme);
    }
    signed
}

fn code(tx: &[u8]) -> u32 {
    decode_tx(tx).unwrap_err().code()
}

#[test]
fn a_decision_is_read_back_and_is_what_protobuf_writes() {
    let tx = encode_governance_tx(&signed());
    assert_eq!(decode_tx(&tx).unwrap(), BlockTx::Governance(signed()));
    let bundle = v1::Bundle { governance: Some(governance_message(&signed())), ..v1::Bundle::default() };
    assert_eq!(bundle.encode_to_vec(), tx);
    assert_eq!(decode_governance_message(&governance_message(&signed())), Ok(signed()));
    assert_eq!([tx.as_slice(), &[0x1a], &[0x12], &[0x0a], &[]].map(TxKind::of), {
        use TxKind::{Bundle, Delivery, Governance};
        [Governance, Governance, Delivery, Bundle, Bundle]
    });
}

#[test]
fn padded_doubled_and_foreign_bytes_are_refused() {
    let tx = encode_governance_tx(&signed());
    assert_eq!(code(&[tx.as_slice(), &tx].concat()), 125);
    assert_eq!(code(&tx[..tx.len() - 1]), 125);
    assert_eq!(code(&[0x1a, 0]), 125);
    assert_eq!(code(&[&[0x1a, 0x80 | tx[1], 0x80 | tx[2], 0], &tx[3..]].concat()), 125, "a longer length");
    let mut unknown = governance_message(&signed());
    unknown.signatures[0].scheme = 3;
    assert_eq!(decode_governance_message(&unknown).unwrap_err().code(), 109);
    let mut short = governance_message(&signed());
    short.signatures[0].signature = short.signatures[0].signature.slice(..64);
    assert_eq!(decode_governance_message(&short).unwrap_err().code(), 110);
    let mut many = governance_message(&signed());
    many.signatures = vec![many.signatures[0].clone(); 1_001];
    assert_eq!(decode_governance_message(&many).unwrap_err().code(), 125);
    let tx = v1::Bundle { governance: Some(many), ..v1::Bundle::default() }.encode_to_vec();
    assert_eq!(code(&tx), 125);
}

proptest! {
    #[test]
    fn any_bytes_after_the_tag_are_judged_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let tx = [&[0x1a], bytes.as_slice()].concat();
        if let Ok(BlockTx::Governance(signed)) = decode_tx(&tx) {
            prop_assert_eq!(encode_governance_tx(&signed), tx);
        }
    }
}
