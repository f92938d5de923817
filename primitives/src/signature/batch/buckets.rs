//! Σ nᵢ·Pᵢ for many points and short numbers, by buckets: Pippenger's method with signed digits (Bernstein, Doumen,
//! Lange and Oosterwijk, Faster batch forgery identification, 2012, §4). Variable time: nothing secret comes here.

use k256::{AffinePoint, ProjectivePoint};

/// Σ numbers\[i\] · points\[i\].
pub(super) fn sum_of_products(points: &[AffinePoint], numbers: &[u128]) -> ProjectivePoint {
    let width = width(points.len());
    let digits: Vec<Vec<i16>> = numbers.iter().map(|number| digits(*number, width)).collect();
    let mut sum = ProjectivePoint::IDENTITY;
    for window in (0..windows(width)).rev() {
        for _ in 0..width {
            sum.double_in_place();
        }
        let mut buckets = vec![ProjectivePoint::IDENTITY; 1 << (width - 1)];
        for (point, digits) in points.iter().zip(&digits) {
            let digit = digits.get(window).copied().unwrap_or_default();
            let bucket = usize::from(digit.unsigned_abs()).checked_sub(1).and_then(|index| buckets.get_mut(index));
            match bucket {
                Some(bucket) if digit > 0 => *bucket += point,
                Some(bucket) => *bucket -= point,
                None => {}
            }
        }
        sum += weighted(&buckets);
    }
    sum
}

/// 1·b₀ + 2·b₁ + 3·b₂ + …
fn weighted(buckets: &[ProjectivePoint]) -> ProjectivePoint {
    let (mut sum, mut running) = (ProjectivePoint::IDENTITY, ProjectivePoint::IDENTITY);
    for bucket in buckets.iter().rev() {
        running += bucket;
        sum += running;
    }
    sum
}

/// About how many additions the sum of so many products takes.
pub(super) fn additions(points: usize) -> usize {
    additions_at(width(points), points)
}

/// A point's way into its bucket, and the buckets, whose additions cost a quarter more.
fn additions_at(width: u32, points: usize) -> usize {
    windows(width).saturating_mul(points.saturating_add(5 << width >> 2))
}

/// Bits of a digit, so that points and buckets cost the least together.
fn width(points: usize) -> u32 {
    (2..=10).min_by_key(|width| additions_at(*width, points)).unwrap_or(2)
}

/// Digits of a number: one more than its bits fill, for the last carry.
fn windows(width: u32) -> usize {
    usize::try_from(u128::BITS / width + 1).unwrap_or(usize::MAX)
}

/// A number as digits from −2^(width−1) + 1 to 2^(width−1), the least first.
fn digits(mut number: u128, width: u32) -> Vec<i16> {
    let (base, mut carry) = (1_i16 << width, 0);
    let mut digits = Vec::with_capacity(windows(width));
    for _ in 0..windows(width) {
        let low = i16::try_from(number & ((1 << width) - 1)).unwrap_or_default() + carry;
        number >>= width;
        carry = i16::from(low > base / 2);
        digits.push(low - carry * base);
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use k256::Scalar;
    use k256::elliptic_curve::PrimeField;

    #[test]
    fn digits_are_the_number_again_at_every_width() {
        for width in 2..=10 {
            for number in [0, 1, 2, 127, 128, 129, u128::MAX, u128::MAX - 1, u128::MAX / 3, 1 << 127, (1 << 127) - 1] {
                let mut again = Scalar::ZERO;
                for digit in digits(number, width).iter().rev() {
                    assert!(i32::from(*digit).abs() <= 1 << (width - 1), "{digit} at width {width}");
                    let size = Scalar::from(u64::from(digit.unsigned_abs()));
                    again = again * Scalar::from(1_u64 << width) + if *digit < 0 { -size } else { size };
                }
                assert_eq!(again, Scalar::from(number), "{number} at width {width}");
            }
        }
    }

    #[test]
    fn the_sum_is_that_of_single_products() {
        for count in [0, 1, 2, 5, 33, 300, 2_000] {
            let number = |index: u64| u128::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            let points: Vec<AffinePoint> =
                (0..count).map(|index| (ProjectivePoint::GENERATOR * Scalar::from(index)).to_affine()).collect();
            let numbers: Vec<u128> = (0..count).map(number).collect();
            let factor: Scalar = (0..count).map(|index| Scalar::from(index) * Scalar::from_u128(number(index))).sum();
            assert_eq!(sum_of_products(&points, &numbers), ProjectivePoint::GENERATOR * factor, "{count} points");
        }
    }
}
