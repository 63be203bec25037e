//! The semirings every bus has.
//!
//! | semiring | + | * | zero | one | on | answers |
//! |---|---|---|---|---|---|---|
//! | boolean | or | and | false | true | bool, 64 in a u64 | is there a way |
//! | min_plus | min | lengths | largest | 0 | i32 i64 f32 f64 | the shortest way |
//! | max_plus | max | gains | smallest | 0 | i32 i64 f32 f64 | the longest way |
//! | max_times | max | rates | 0 | 1 | f32 f64, not negative | the most reliable way |
//! | viterbi | max | rates | 0 | 1 | f32 f64 from 0 to 1 | the likeliest way |
//! | max_min | max | min | smallest | largest | i32 i64 f32 f64 | the widest bottleneck |
//! | plus_times | sum | product | 0 | 1 | all numbers, integers wrap | how much in all |
//! | counting | sum | product | 0 | 1 | u64, the largest is "too many" | how many ways |
//! | log | log of sum | sum | -inf | 0 | f32 f64 | how likely in all |
//! | gf2 | xor | and | false | true | bool, 64 in a u64 | odd or even |

use std::ops::{Add, Mul};

use crate::algebra::ladder::{Semiring, Traits};
use crate::algebra::operations::{
    And, Better, CountPlus, CountTimes, Gain, Length, LogPlus, Max, Min, Or, Plus, Rate, Times, Xor,
};
use crate::algebra::value::Truth;

/// Whether there is a way.
pub struct Boolean;
/// The shortest way.
pub struct MinPlus;
/// The longest way.
pub struct MaxPlus;
/// The most reliable way.
pub struct MaxTimes;
/// The likeliest way.
pub struct Viterbi;
/// The widest bottleneck.
pub struct MaxMin;
/// How much in all.
pub struct PlusTimes;
/// How many ways.
pub struct Counting;
/// How likely in all, in logarithms.
pub struct Log;
/// Odd or even.
pub struct Gf2;

const ORDER: Traits =
    Traits::IDEMPOTENT.and(Traits::SELECTIVE).and(Traits::TOTAL_ORDER).and(Traits::COMMUTATIVE);
const EXACT: Traits = Traits::EXACT.and(Traits::COMMUTATIVE);

const LATTICE: Traits = EXACT.and(ORDER).and(Traits::ABSORPTIVE);
const PACKED: Traits = EXACT.and(Traits::IDEMPOTENT).and(Traits::ABSORPTIVE);
const PATHS: Traits = ORDER.and(Traits::ABSORPTIVE);
const RING: Traits = EXACT.and(Traits::INVERTIBLE);

/// Up to here lengths and gains of integers may be for the laws to hold: eight steps of that do not leave the type. A sum
/// that does stays at its end.
const WAY32: u32 = i32::MAX as u32 / 8;
/// See [`WAY32`].
const WAY64: u64 = i64::MAX as u64 / 8;

/// [`Semiring::quick`] of a semiring in which nothing is peculiar.
#[inline(always)]
fn exactly<T: Copy, S: Semiring<T>>(sum: T, a: T, b: T) -> (T, bool) {
    (S::add(sum, S::mul(a, b)), true)
}

/// Floats.
trait Float: Copy + PartialOrd + Add<Output = Self> + Mul<Output = Self> {
    /// Whether it is neither NaN, which also infinities of both signs add up to, nor a zero, whose sign no comparison sees.
    fn is_plain(self) -> bool;

    /// Whether it is not NaN.
    fn is_number(self) -> bool;
}

impl Float for f32 {
    #[inline(always)]
    fn is_plain(self) -> bool {
        self.abs() > 0.0
    }

    #[inline(always)]
    fn is_number(self) -> bool {
        !self.is_nan()
    }
}

impl Float for f64 {
    #[inline(always)]
    fn is_plain(self) -> bool {
        self.abs() > 0.0
    }

    #[inline(always)]
    fn is_number(self) -> bool {
        !self.is_nan()
    }
}

/// That of sums of floats.
#[inline(always)]
fn summed<T: Float>(sum: T, a: T, b: T) -> (T, bool) {
    (sum + a * b, true)
}

/// That of shortest ways of floats.
#[inline(always)]
fn shortest<T: Float>(sum: T, a: T, b: T) -> (T, bool) {
    let way = a + b;
    (if way < sum { way } else { sum }, way.is_plain())
}

/// That of longest ways of floats.
#[inline(always)]
fn longest<T: Float>(sum: T, a: T, b: T) -> (T, bool) {
    let way = a + b;
    (if way > sum { way } else { sum }, way.is_plain())
}

/// That of likeliest ways.
#[inline(always)]
fn likeliest<T: Float>(sum: T, a: T, b: T) -> (T, bool) {
    // A zero of either sign is no more than the sum, which began as one.
    let way = a * b;
    (if way > sum { way } else { sum }, way.is_number())
}

/// A semiring on some types, and which of their values the laws, and that of absorption, are promised for; and its
/// [`Semiring::quick`].
macro_rules! semiring {
    (
        $name:ident = $add:ident, $mul:ident; $traits:expr; $($type:ty),+; $carries:expr; $absorbs:expr; $quick:expr
    ) => {$(
        impl Semiring<$type> for $name {
            type Add = $add;
            type Mul = $mul;
            const TRAITS: Traits = $traits;

            #[inline]
            fn carries(a: $type) -> bool {
                let carries: fn($type) -> bool = $carries;
                carries(a)
            }

            #[inline]
            fn absorbs(a: $type) -> bool {
                let absorbs: fn($type) -> bool = $absorbs;
                absorbs(a)
            }

            #[inline(always)]
            fn quick(sum: $type, a: $type, b: $type) -> ($type, bool) {
                $quick(sum, a, b)
            }
        }
    )+};
}

semiring!(Boolean = Or, And; LATTICE; Truth; |_| true; |_| true; exactly::<_, Self>);
semiring!(Boolean = Or, And; PACKED; u64; |_| true; |_| true; exactly::<_, Self>);
semiring!(Gf2 = Xor, And; RING; Truth, u64; |_| true; |_| false; exactly::<_, Self>);
semiring!(Counting = CountPlus, CountTimes; EXACT; u64; |_| true; |_| false; exactly::<_, Self>);
semiring!(PlusTimes = Plus, Times; RING; i8, i16, i32, i64, u8, u16, u32, u64; |_| true; |_| false; exactly::<_, Self>);
semiring!(PlusTimes = Plus, Times; Traits::COMMUTATIVE; f32, f64; |a| a.is_finite(); |_| false; summed);
semiring!(MinPlus = Min, Length; LATTICE; i32; |a| a == i32::MAX || a.unsigned_abs() <= WAY32; |a| a >= 0; exactly::<_, Self>);
semiring!(MinPlus = Min, Length; LATTICE; i64; |a| a == i64::MAX || a.unsigned_abs() <= WAY64; |a| a >= 0; exactly::<_, Self>);
semiring!(MinPlus = Min, Length; PATHS; f32, f64; |_| true; |a| a >= 0.0; shortest);
semiring!(MaxPlus = Max, Gain; LATTICE; i32; |a| a == i32::MIN || a.unsigned_abs() <= WAY32; |a| a <= 0; exactly::<_, Self>);
semiring!(MaxPlus = Max, Gain; LATTICE; i64; |a| a == i64::MIN || a.unsigned_abs() <= WAY64; |a| a <= 0; exactly::<_, Self>);
semiring!(MaxPlus = Max, Gain; PATHS; f32, f64; |_| true; |a| a <= 0.0; longest);
semiring!(MaxMin = Max, Min; LATTICE; i32, i64; |_| true; |_| true; exactly::<_, Self>);
semiring!(MaxMin = Max, Min; LATTICE; f32, f64; |a| !a.is_nan(); |_| true; exactly::<_, Self>);
// A zero with a sign is no zero: it would come out of a product without it.
semiring!(MaxTimes = Better, Rate; PATHS; f32, f64; |a| a.is_sign_positive(); |a| a <= 1.0; likeliest);
semiring!(Viterbi = Better, Rate; PATHS; f32, f64; |a| a.is_sign_positive() && a <= 1.0; |_| true; likeliest);
semiring!(Log = LogPlus, Gain; Traits::COMMUTATIVE; f32, f64; |a| !a.is_nan(); |_| false; exactly::<_, Self>);
