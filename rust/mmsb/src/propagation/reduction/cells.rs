//! What reductions need to know of the types of cells.

use half::f16;

use crate::algebra::kernel::Number;
use crate::algebra::value::{Truth, Value};

/// The one bit that tells negative from positive.
const SIGN: u64 = 1 << 63;

/// A cell that reductions work on.
pub trait Cell: Value {
    /// Nothing is more.
    const HIGHEST: Self;
    /// Nothing is less.
    const LOWEST: Self;

    /// Whether it counts as true: not zero, as in numpy.
    fn truth(self) -> bool;
    /// Whether it is a value: only a float may be none.
    fn is_value(self) -> bool;
    /// The smaller one, as merges choose it.
    fn least(self, other: Self) -> Self;
    /// The larger one, as merges choose it.
    fn most(self, other: Self) -> Self;
    /// Its place in the order of all values, -0.0 below +0.0; `None` of what is not a number.
    fn rank(self) -> Option<u64>;
    /// The cell of a place in that order.
    fn ranked(rank: Option<u64>) -> Self;
    /// Its place in an order in which both zeros are one.
    fn rank_of_equals(self) -> Option<u64> {
        self.rank()
    }
}

/// A whole number, or a truth as 0 or 1.
pub trait Int: Cell {
    /// What a sum of them is.
    type Sum: Value;

    /// As the last 64 bits of the number.
    fn wrapped(self) -> u64;
    /// As a number.
    fn exact(self) -> i128;
    /// A sum from its last 64 bits.
    fn sum(bits: u64) -> Self::Sum;
}

/// A float, of which every value is also one of `f64`.
pub trait Float: Cell {
    /// Bits of the significand, with the hidden one.
    const PRECISION: u32;
    /// The last bit that a subnormal number has, counted from the last that a subnormal `f64` has.
    const LAST: u32;
    /// The bits of infinity.
    const INFINITE: u64;

    /// The same number.
    fn wide(self) -> f64;
    /// The nearest one, the even one of two; half precision by way of single. What is not a number is the one quiet NaN.
    fn nearest(wide: f64) -> Self;
    /// The float of these bits, the sign apart.
    fn of_bits(negative: bool, magnitude: u64) -> Self;
}

macro_rules! integers {
    ($($type:ty: $sum:ty, $rank:expr, $ranked:expr);+ $(;)?) => {$(
        impl Cell for $type {
            const HIGHEST: Self = Self::MAX;
            const LOWEST: Self = Self::MIN;

            #[inline(always)]
            fn truth(self) -> bool {
                self != 0
            }
            #[inline(always)]
            fn is_value(self) -> bool {
                true
            }
            #[inline(always)]
            fn least(self, other: Self) -> Self {
                Number::min(self, other)
            }
            #[inline(always)]
            fn most(self, other: Self) -> Self {
                Number::max(self, other)
            }
            #[inline(always)]
            fn rank(self) -> Option<u64> {
                let rank: fn($type) -> u64 = $rank;
                Some(rank(self))
            }
            #[inline(always)]
            fn ranked(rank: Option<u64>) -> Self {
                let ranked: fn(u64) -> $type = $ranked;
                ranked(rank.unwrap_or_default())
            }
        }

        impl Int for $type {
            type Sum = $sum;

            #[inline(always)]
            fn wrapped(self) -> u64 {
                self as $sum as u64
            }
            #[inline(always)]
            fn exact(self) -> i128 {
                i128::from(self)
            }
            #[inline(always)]
            fn sum(bits: u64) -> $sum {
                bits as $sum
            }
        }
    )+};
}

integers!(
    i8: i64, |cell| cell as u64 ^ SIGN, |rank| (rank ^ SIGN) as i8;
    i16: i64, |cell| cell as u64 ^ SIGN, |rank| (rank ^ SIGN) as i16;
    i32: i64, |cell| cell as u64 ^ SIGN, |rank| (rank ^ SIGN) as i32;
    i64: i64, |cell| cell as u64 ^ SIGN, |rank| (rank ^ SIGN) as i64;
    u8: u64, u64::from, |rank| rank as u8;
    u16: u64, u64::from, |rank| rank as u16;
    u32: u64, u64::from, |rank| rank as u32;
    u64: u64, |cell| cell, |rank| rank;
);

impl Cell for Truth {
    const HIGHEST: Self = Self::YES;
    const LOWEST: Self = Self::NO;

    #[inline(always)]
    fn truth(self) -> bool {
        self.is_true()
    }
    #[inline(always)]
    fn is_value(self) -> bool {
        true
    }
    #[inline(always)]
    fn least(self, other: Self) -> Self {
        Number::min(self, other)
    }
    #[inline(always)]
    fn most(self, other: Self) -> Self {
        Number::max(self, other)
    }
    #[inline(always)]
    fn rank(self) -> Option<u64> {
        Some(u64::from(self.is_true()))
    }
    #[inline(always)]
    fn ranked(rank: Option<u64>) -> Self {
        Self::from(rank == Some(1))
    }
}

impl Int for Truth {
    type Sum = i64;

    #[inline(always)]
    fn wrapped(self) -> u64 {
        u64::from(self.is_true())
    }
    #[inline(always)]
    fn exact(self) -> i128 {
        i128::from(self.is_true())
    }
    #[inline(always)]
    fn sum(bits: u64) -> i64 {
        bits as i64
    }
}

macro_rules! floats {
    ($($type:ty, $bits:ty: $precision:expr, $last:expr, $narrow:expr);+ $(;)?) => {$(
        impl Cell for $type {
            const HIGHEST: Self = Self::INFINITY;
            const LOWEST: Self = Self::NEG_INFINITY;

            #[inline(always)]
            fn truth(self) -> bool {
                // Zero of either sign; what is not a number is true.
                self.to_bits() << 1 != 0
            }
            #[inline(always)]
            fn is_value(self) -> bool {
                !self.is_nan()
            }
            #[inline(always)]
            fn least(self, other: Self) -> Self {
                Number::min(self, other)
            }
            #[inline(always)]
            fn most(self, other: Self) -> Self {
                Number::max(self, other)
            }
            #[inline(always)]
            fn rank(self) -> Option<u64> {
                let bits = self.wide().to_bits();
                (!self.is_nan()).then_some(if bits & SIGN != 0 { !bits } else { bits | SIGN })
            }
            #[inline(always)]
            fn ranked(rank: Option<u64>) -> Self {
                let bits = |rank: u64| if rank & SIGN != 0 { rank ^ SIGN } else { !rank };
                Self::nearest(rank.map_or(f64::NAN, |rank| f64::from_bits(bits(rank))))
            }
            #[inline(always)]
            fn rank_of_equals(self) -> Option<u64> {
                if self.truth() { self.rank() } else { Some(SIGN) }
            }
        }

        impl Float for $type {
            const PRECISION: u32 = $precision;
            const LAST: u32 = $last;
            const INFINITE: u64 = Self::INFINITY.to_bits() as u64;

            #[inline(always)]
            fn wide(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn nearest(wide: f64) -> Self {
                let narrow: fn(f64) -> $type = $narrow;
                if wide.is_nan() { Self::NAN } else { narrow(wide) }
            }
            #[inline]
            fn of_bits(negative: bool, magnitude: u64) -> Self {
                let sign = <$bits>::from(negative) << (<$bits>::BITS - 1);
                Self::from_bits(magnitude as $bits | sign)
            }
        }
    )+};
}

floats!(
    // The conversion straight from double precision is not the same on all processors.
    f16, u16: 11, 1074 - 24, |wide| f16::from_f32(wide as f32);
    f32, u32: 24, 1074 - 149, |wide| wide as f32;
    f64, u64: 53, 0, |wide| wide;
);

#[cfg(test)]
mod tests {
    use super::*;

    fn in_order<T: Cell>(cells: &[T]) {
        let ranks: Vec<_> = cells.iter().map(|cell| cell.rank()).collect();
        assert!(ranks.is_sorted_by(|a, b| a < b), "{cells:?}: {ranks:?}");
        assert!(cells.iter().all(|cell| T::ranked(cell.rank()).same(*cell)), "{cells:?}");
    }

    #[test]
    fn ranks_are_in_the_order_of_values_and_come_back() {
        in_order(&[i8::MIN, -1, 0, 1, i8::MAX]);
        in_order(&[i64::MIN, -1, 0, 1, i64::MAX]);
        in_order(&[0, 1, u64::MAX]);
        in_order(&[Truth::NO, Truth::YES]);
        in_order(&[f64::NEG_INFINITY, f64::MIN, -1.5, -0.0, 0.0, 5e-324, f64::MAX, f64::INFINITY]);
        in_order(&[f32::NEG_INFINITY, -1.5, -0.0, 0.0, 1e-45, f32::MAX, f32::INFINITY]);
        in_order(&[f16::NEG_INFINITY, f16::NEG_ZERO, f16::ZERO, f16::MIN_POSITIVE, f16::MAX]);
        assert!(f64::ranked(f64::from_bits(0xFFF8_0000_0000_0001).rank()).same(f64::NAN));
        assert_eq!((-0.0f64).rank_of_equals(), 0.0f64.rank_of_equals());
        assert_eq!(0.0f32.rank_of_equals(), 0.0f32.rank());
    }
}
