//! The operations that semirings and reductions are made of.
//!
//! What they do with one cell is what merges do ([`crate::algebra::kernel`]): integers wrap, a float that is not a number
//! is the one quiet NaN, `min` and `max` give NaN when either side is one and order -0.0 below +0.0. What is told apart
//! here is how steps along a path are brought together: there the zero of the semiring, which stands for "there is none",
//! must annihilate all else, infinities of the other sign and NaN too, and an integer must not wrap past it.

use half::f16;

use crate::algebra::kernel::{Bits, Number};
use crate::algebra::ladder::{CommutativeMonoid, Group, Monoid, Semigroup, Semilattice, Traits};
use crate::algebra::value::Truth;

/// `a + b`.
pub struct Plus;
/// `a * b`.
pub struct Times;
/// The smaller one.
pub struct Min;
/// The larger one.
pub struct Max;
/// Either, bit by bit.
pub struct Or;
/// Both, bit by bit.
pub struct And;
/// One of both, bit by bit.
pub struct Xor;
/// `a + b` of lengths, where the largest value means that there is no way: shortest paths.
pub struct Length;
/// `a + b` of gains, where the smallest value means that there is no way: longest and critical paths.
pub struct Gain;
/// `a * b` of rates that are not negative, where 0 means that there is no way: most reliable paths.
pub struct Rate;
/// The larger one of rates, of which none is less than 0.
pub struct Better;
/// `ln(exp(a) + exp(b))`, of logarithms.
pub struct LogPlus;
/// `a + b` of counts; the largest value means "too many to count", and stays so.
pub struct CountPlus;
/// `a * b` of counts, likewise; 0 of them is 0 however many.
pub struct CountTimes;

const EXACT: Traits = Traits::EXACT.and(Traits::COMMUTATIVE);
const LATTICE: Traits = EXACT.and(Traits::IDEMPOTENT);
const CHOICE: Traits = LATTICE.and(Traits::SELECTIVE).and(Traits::TOTAL_ORDER);

/// An operation of [`Number`] or [`Bits`] on these types.
macro_rules! operation {
    ($name:ident, $law:ident :: $op:ident, $traits:expr, $($type:ty: $zero:expr, $terminal:expr);+ $(;)?) => {$(
        impl Semigroup<$type> for $name {
            #[inline(always)]
            fn op(a: $type, b: $type) -> $type {
                $law::$op(a, b)
            }
        }

        impl Monoid<$type> for $name {
            const ZERO: $type = $zero;
            const TERMINAL: Option<$type> = $terminal;
            const TRAITS: Traits = $traits;
        }

        impl CommutativeMonoid<$type> for $name {}
    )+};
}

/// The same of all integers.
macro_rules! integers {
    ($($type:ty),+) => {$(
        operation!(Plus, Number::add, EXACT.and(Traits::INVERTIBLE), $type: 0, None);
        operation!(Times, Number::mul, EXACT, $type: 1, Some(0));
        operation!(Min, Number::min, CHOICE, $type: <$type>::MAX, Some(<$type>::MIN));
        operation!(Max, Number::max, CHOICE, $type: <$type>::MIN, Some(<$type>::MAX));
        operation!(Or, Bits::or, LATTICE, $type: 0, Some(!0));
        operation!(And, Bits::and, LATTICE, $type: !0, Some(0));
        operation!(Xor, Bits::xor, EXACT.and(Traits::INVERTIBLE), $type: 0, None);

        impl Group<$type> for Plus {
            #[inline(always)]
            fn inverse(a: $type) -> $type {
                a.wrapping_neg()
            }
        }

        impl Group<$type> for Xor {
            #[inline(always)]
            fn inverse(a: $type) -> $type {
                a
            }
        }
    )+};
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64);

operation!(Or, Bits::or, CHOICE, Truth: Truth::NO, Some(Truth::YES));
operation!(And, Bits::and, CHOICE, Truth: Truth::YES, Some(Truth::NO));
operation!(Xor, Bits::xor, EXACT.and(Traits::INVERTIBLE), Truth: Truth::NO, None);
operation!(Min, Number::min, CHOICE, Truth: Truth::YES, Some(Truth::NO));
operation!(Max, Number::max, CHOICE, Truth: Truth::NO, Some(Truth::YES));
operation!(Plus, Number::add, CHOICE, Truth: Truth::NO, Some(Truth::YES));
operation!(Times, Number::mul, CHOICE, Truth: Truth::YES, Some(Truth::NO));

impl Group<Truth> for Xor {
    #[inline(always)]
    fn inverse(a: Truth) -> Truth {
        a
    }
}

/// The same of all floats. NaN changes everything, so that `min` and `max` have no other terminal.
macro_rules! floats {
    ($($type:ty: $zero:expr, $one:expr);+) => {$(
        operation!(Plus, Number::add, Traits::COMMUTATIVE, $type: $zero, None);
        operation!(Times, Number::mul, Traits::COMMUTATIVE, $type: $one, None);
        operation!(Min, Number::min, CHOICE, $type: <$type>::INFINITY, Some(<$type>::NAN));
        operation!(Max, Number::max, CHOICE, $type: <$type>::NEG_INFINITY, Some(<$type>::NAN));
    )+};
}

operation!(Better, Number::max, CHOICE, f32: 0.0, Some(f32::NAN); f64: 0.0, Some(f64::NAN));

floats!(f16: f16::ZERO, f16::ONE; f32: 0.0, 1.0; f64: 0.0, 1.0);

/// All that chooses one of two is a semilattice, and so are `or` and `and`.
macro_rules! semilattices {
    ($($type:ty: $($name:ident),+);+) => {$($(
        impl Semilattice<$type> for $name {}
    )+)+};
}

semilattices!(
    i8: Min, Max, Or, And; i16: Min, Max, Or, And; i32: Min, Max, Or, And; i64: Min, Max, Or, And;
    u8: Min, Max, Or, And; u16: Min, Max, Or, And; u32: Min, Max, Or, And; u64: Min, Max, Or, And;
    Truth: Min, Max, Or, And; f16: Min, Max; f32: Min, Max, Better; f64: Min, Max, Better
);

/// Steps along a way: brought together by an operation, and none where either is none.
macro_rules! way {
    ($name:ident, $traits:expr; $($type:ty: $op:path, none $none:expr, one $one:expr);+) => {$(
        impl Semigroup<$type> for $name {
            #[inline(always)]
            fn op(a: $type, b: $type) -> $type {
                let none = (a == $none) | (b == $none);
                if none { $none } else { $op(a, b) }
            }
        }

        impl Monoid<$type> for $name {
            const ZERO: $type = $one;
            const TERMINAL: Option<$type> = Some($none);
            const TRAITS: Traits = $traits;
        }
    )+};
}

// A sum of integers that would leave the type stays at its end.
way!(Length, EXACT;
    i32: i32::saturating_add, none i32::MAX, one 0; i64: i64::saturating_add, none i64::MAX, one 0);
way!(Gain, EXACT;
    i32: i32::saturating_add, none i32::MIN, one 0; i64: i64::saturating_add, none i64::MIN, one 0);
way!(Length, Traits::COMMUTATIVE;
    f32: Number::add, none f32::INFINITY, one 0.0; f64: Number::add, none f64::INFINITY, one 0.0);
way!(Gain, Traits::COMMUTATIVE;
    f32: Number::add, none f32::NEG_INFINITY, one 0.0; f64: Number::add, none f64::NEG_INFINITY, one 0.0);
way!(Rate, Traits::COMMUTATIVE; f32: Number::mul, none 0.0, one 1.0; f64: Number::mul, none 0.0, one 1.0);

/// Sums of what logarithms stand for.
macro_rules! logarithms {
    ($($type:ty),+) => {$(
        impl Semigroup<$type> for LogPlus {
            /// By the larger of both, so that nothing overflows; the smaller one adds less than `ln 2`.
            #[inline]
            fn op(a: $type, b: $type) -> $type {
                let (more, less) = (Number::max(a, b), Number::min(a, b));
                // Of two zeros, and of two infinities, the difference is not a number.
                if less == <$type>::NEG_INFINITY || more == <$type>::INFINITY {
                    return more;
                }
                Number::add(more, (less - more).exp().ln_1p())
            }
        }

        impl Monoid<$type> for LogPlus {
            const ZERO: $type = <$type>::NEG_INFINITY;
            const TRAITS: Traits = Traits::COMMUTATIVE;
        }

        impl CommutativeMonoid<$type> for LogPlus {}
    )+};
}

logarithms!(f32, f64);

impl Semigroup<u64> for CountPlus {
    #[inline(always)]
    fn op(a: u64, b: u64) -> u64 {
        a.saturating_add(b)
    }
}

impl Monoid<u64> for CountPlus {
    const ZERO: u64 = 0;
    const TERMINAL: Option<u64> = Some(u64::MAX);
    const TRAITS: Traits = EXACT;
}

impl CommutativeMonoid<u64> for CountPlus {}

impl Semigroup<u64> for CountTimes {
    #[inline(always)]
    fn op(a: u64, b: u64) -> u64 {
        a.saturating_mul(b)
    }
}

impl Monoid<u64> for CountTimes {
    const ZERO: u64 = 1;
    const TRAITS: Traits = EXACT;
    const TERMINAL: Option<u64> = Some(0);
}
