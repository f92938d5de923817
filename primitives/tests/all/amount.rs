use db3_primitives::{AmountError, Tai};
use proptest::prelude::*;

#[test]
fn amounts_with_units_read_as_tai() {
    for (text, tai) in [
        ("5db3", 5_000_000_000),
        ("0.25db3", 250_000_000),
        ("0.000000001db3", 1),
        ("300tai", 300),
        ("0tai", 0),
        ("0db3", 0),
        ("007tai", 7),
        ("5DB3", 5_000_000_000),
        ("340282366920938463463374607431.768211455db3", u128::MAX),
    ] {
        assert_eq!(Tai::parse_with_unit(text), Ok(Tai::new(tai)), "{text}");
    }
}

#[test]
fn a_bare_number_is_refused_with_the_two_ways_to_write_it() {
    let error = Tai::parse_with_unit("5").unwrap_err();
    assert_eq!(error.to_string(), "the amount 5 has no unit: write 5db3 or 5tai");
    assert!(matches!(Tai::parse_with_unit("0.5"), Err(AmountError::UnitMissing { .. })));
}

#[test]
fn what_is_no_amount_with_a_unit_is_refused() {
    for text in [
        "", "db3", "tai", "-5db3", "+5db3", "5 db3", "5,0db3", "1e9tai", ".5db3", "5.db3", "5eth", "0x5tai", "٣db3",
        "1_000tai", "1.2.3db3",
    ] {
        assert!(matches!(Tai::parse_with_unit(text), Err(AmountError::WithUnitForm { .. })), "{text}");
    }
    for text in ["0.0000000001db3", "1.5tai", "0.0tai"] {
        assert!(matches!(Tai::parse_with_unit(text), Err(AmountError::TooFine { .. })), "{text}");
    }
    for text in ["340282366920938463463374607431.768211456db3", "340282366920938463463374607431768211456tai"] {
        assert!(matches!(Tai::parse_with_unit(text), Err(AmountError::TooLarge { .. })), "{text}");
    }
}

#[test]
fn plain_tai_have_one_spelling() {
    assert_eq!("0".parse(), Ok(Tai::ZERO));
    assert_eq!("340282366920938463463374607431768211455".parse(), Ok(Tai::MAX));
    for text in ["", "00", "01", "+1", "-1", " 1", "1 ", "1.0", "1tai", "٣"] {
        assert!(matches!(text.parse::<Tai>(), Err(AmountError::Form { .. })), "{text:?}");
    }
    assert!(matches!("340282366920938463463374607431768211456".parse::<Tai>(), Err(AmountError::TooLarge { .. })));
}

#[test]
fn amounts_in_db3_drop_trailing_zeros() {
    for (tai, text) in
        [(0, "0"), (1, "0.000000001"), (250_000_001, "0.250000001"), (1_500_000_000, "1.5"), (5_000_000_000, "5")]
    {
        assert_eq!(Tai::new(tai).to_db3_string(), text);
    }
}

#[test]
fn sums_that_do_not_fit_are_none() {
    assert_eq!(Tai::MAX.checked_add(Tai::new(1)), None);
    assert_eq!(Tai::ZERO.checked_sub(Tai::new(1)), None);
    assert_eq!(Tai::MAX.checked_mul(2), None);
    assert_eq!(Tai::new(1).saturating_sub(Tai::new(2)), Tai::ZERO);
}

proptest! {
    #[test]
    fn every_amount_reads_back_in_both_spellings(tai: u128) {
        let amount = Tai::new(tai);
        prop_assert_eq!(amount.to_string().parse(), Ok(amount));
        prop_assert_eq!(Tai::parse_with_unit(&format!("{amount}tai")), Ok(amount));
        prop_assert_eq!(Tai::parse_with_unit(&format!("{}db3", amount.to_db3_string())), Ok(amount));
    }

    #[test]
    fn reading_an_amount_never_panics(text: String, digits in "[0-9.]{0,60}(db3|tai)?") {
        for text in [text, digits] {
            let _ = text.parse::<Tai>();
            let _ = Tai::parse_with_unit(&text);
        }
    }

    #[test]
    fn checked_operations_agree_with_whole_numbers(a: u64, b: u64, n: u64) {
        let (x, y) = (Tai::new(a.into()), Tai::new(b.into()));
        prop_assert_eq!(x.checked_add(y).unwrap().get(), u128::from(a) + u128::from(b));
        prop_assert_eq!(x.checked_mul(n).unwrap().get(), u128::from(a) * u128::from(n));
        prop_assert_eq!(x.checked_sub(y).map(Tai::get), u128::from(a).checked_sub(u128::from(b)));
    }
}
