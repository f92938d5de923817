//! Dividing amounts: floors that cannot overflow, and what the floors leave over.

use db3_primitives::Tai;

/// ⌊amount · part / whole⌋ for part ≤ whole; nothing of nothing. The product is taken in 256 bits where 128 do not hold
/// it.
pub(crate) fn portion(amount: Tai, part: u128, whole: u128) -> Tai {
    // The one line of most accounts, without a division.
    if part == whole && whole != 0 {
        return amount;
    }
    let amount = amount.get();
    match amount.checked_mul(part) {
        Some(product) => Tai::new(product.checked_div(whole).unwrap_or(0)),
        None => Tai::new(long_portion(amount, part, whole)),
    }
}

/// The same bit by bit: of every bit of `amount` its share, and the rests of these added up as they come. quotient and
/// rest stay those of (the bits so far) · part / whole, so the quotient is at most `amount` and the rest below `whole`.
fn long_portion(amount: u128, part: u128, whole: u128) -> u128 {
    let (mut quotient, mut rest) = (0u128, 0u128);
    for bit in (0..u128::BITS).rev() {
        let (doubled, carried) = sum_modulo(rest, rest, whole);
        (quotient, rest) = (quotient.wrapping_shl(1) | u128::from(carried), doubled);
        if amount.wrapping_shr(bit) & 1 == 1 {
            // part = whole adds one whole and no rest.
            let (added, carried) = if part == whole { (rest, true) } else { sum_modulo(rest, part, whole) };
            (quotient, rest) = (quotient.saturating_add(u128::from(carried)), added);
        }
    }
    quotient
}

/// left + right below `whole`, and whether `whole` was taken off; both are below `whole`.
fn sum_modulo(left: u128, right: u128, whole: u128) -> (u128, bool) {
    let room = whole.saturating_sub(right);
    if left >= room { (left.saturating_sub(room), true) } else { (left.saturating_add(right), false) }
}

/// Shares of `amount` in proportion to `parts`, each at most its part: the floors, and what they leave over to the first
/// that have room. `amount` is at most the sum of the parts.
pub(crate) fn shares(amount: Tai, parts: &[Tai]) -> Vec<Tai> {
    let whole = parts.iter().fold(0u128, |sum, part| sum.saturating_add(part.get()));
    let mut shares: Vec<Tai> = parts.iter().map(|part| portion(amount, part.get(), whole)).collect();
    let given = shares.iter().fold(0u128, |sum, share| sum.saturating_add(share.get()));
    let mut rest = amount.get().saturating_sub(given);
    for (share, part) in shares.iter_mut().zip(parts) {
        let more = rest.min(part.get().saturating_sub(share.get()));
        *share = Tai::new(share.get().saturating_add(more));
        rest = rest.saturating_sub(more);
    }
    shares
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_floors_leave_over_goes_to_the_first_that_have_room() {
        let tai = |amounts: &[u128]| amounts.iter().copied().map(Tai::new).collect::<Vec<_>>();
        assert_eq!(shares(Tai::new(10), &tai(&[10, 10, 10])), tai(&[4, 3, 3]));
        assert_eq!(shares(Tai::new(5), &tai(&[1, 2, 3])), tai(&[1, 2, 2]));
        assert_eq!(shares(Tai::new(6), &tai(&[1, 2, 3])), tai(&[1, 2, 3]));
        assert_eq!(shares(Tai::new(0), &tai(&[1, 0])), tai(&[0, 0]));
        assert_eq!(shares(Tai::new(0), &[]), tai(&[]));
    }

    #[test]
    fn a_portion_of_amounts_whose_product_is_too_long_is_exact() {
        assert_eq!(portion(Tai::MAX, u128::MAX, u128::MAX), Tai::MAX);
        assert_eq!(portion(Tai::MAX, u128::MAX / 2, u128::MAX), Tai::new(u128::MAX / 2));
        assert_eq!(portion(Tai::new(1 << 96), 1 << 95, 1 << 96), Tai::new(1 << 95));
        assert_eq!(portion(Tai::new(7), 0, 0), Tai::ZERO);
    }

    proptest! {
        #[test]
        fn the_long_way_gives_what_the_short_one_gives(amount in 0..1u128 << 60, part in 0..1u128 << 60, more in 1..1u128 << 60) {
            let whole = part + more;
            prop_assert_eq!(long_portion(amount, part, whole), amount * part / whole);
        }

        #[test]
        fn shares_add_up_and_none_is_above_its_part(parts in prop::collection::vec(0..=1u128 << 96, 1..9), tenths in 0..=10u128) {
            let parts: Vec<Tai> = parts.into_iter().map(Tai::new).collect();
            let whole: u128 = parts.iter().map(|part| part.get()).sum();
            let amount = Tai::new(whole / 10 * tenths);
            let shares = shares(amount, &parts);
            prop_assert_eq!(shares.iter().map(|share| share.get()).sum::<u128>(), amount.get());
            prop_assert!(shares.iter().zip(&parts).all(|(share, part)| share <= part));
        }
    }
}
