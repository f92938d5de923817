use db3_primitives::{Address, AddressError, SecretKey};
use proptest::prelude::*;

const CHECKSUMMED: [&str; 8] = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
];

#[test]
fn the_examples_of_eip_55_read_and_write_as_given() {
    for text in CHECKSUMMED {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
    }
}

#[test]
fn digits_in_one_case_carry_no_checksum() {
    for text in CHECKSUMMED {
        let address: Address = text.parse().unwrap();
        assert_eq!(text.to_lowercase().parse(), Ok(address));
        assert_eq!(format!("0x{}", text[2..].to_uppercase()).parse(), Ok(address));
        assert_eq!(address.lower_hex(), text.to_lowercase());
    }
}

#[test]
fn a_wrong_capital_is_a_typing_error_that_names_the_right_form() {
    let error = "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed".parse::<Address>().unwrap_err();
    assert!(error.to_string().contains("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"), "{error}");
    assert!(matches!(error, AddressError::Checksum { .. }));
}

#[test]
fn what_is_no_address_is_refused_with_its_text() {
    for text in [
        "",
        "0x",
        "de709f2102306220921060314715629080e2fb77",
        "0xde709f2102306220921060314715629080e2fb7",
        "0xde709f2102306220921060314715629080e2fb777",
        "0xge709f2102306220921060314715629080e2fb77",
        "0Xde709f2102306220921060314715629080e2fb77",
        " 0xde709f2102306220921060314715629080e2fb77",
        "0x\u{663}",
    ] {
        let error = text.parse::<Address>().unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }
    assert_eq!(Address::from_slice(&[0; 19]), Err(AddressError::Length { bytes: 19 }));
    assert_eq!(Address::from_slice(&[0; 21]), Err(AddressError::Length { bytes: 21 }));
}

#[test]
fn a_long_or_invisible_text_is_shown_short_and_escaped() {
    let error = format!("\u{202e}{}", "x".repeat(10_000)).parse::<Address>().unwrap_err().to_string();
    assert!(error.len() < 300 && error.contains("\\u{202e}") && error.contains("(cut)"), "{error}");
}

#[test]
fn the_first_development_account_has_its_well_known_address() {
    let secret = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    let key = SecretKey::from_bytes(hex::decode(secret).unwrap().try_into().unwrap()).unwrap();
    assert_eq!(key.address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
}

proptest! {
    #[test]
    fn every_address_reads_back(bytes: [u8; 20]) {
        let address = Address::new(bytes);
        prop_assert_eq!(address.to_string().parse(), Ok(address));
        prop_assert_eq!(address.lower_hex().parse(), Ok(address));
    }

    #[test]
    fn addresses_are_in_the_order_of_their_bytes(one: [u8; 20], mut other: [u8; 20], shared in 0..=20_usize) {
        other[..shared].copy_from_slice(&one[..shared]);
        prop_assert_eq!(Address::new(one).cmp(&Address::new(other)), one.cmp(&other));
        prop_assert_eq!(Address::new(one).partial_cmp(&Address::new(other)), Some(one.cmp(&other)));
    }

    #[test]
    fn reading_an_address_never_panics(text: String) {
        let _ = text.parse::<Address>();
    }
}
