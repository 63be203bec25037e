//! From one type to another. Integers wrap; floats are cut towards 0, end at the ends of an integer type, and NaN is 0.

use half::f16;

use crate::algebra::kernel::{narrow, widen};
use crate::algebra::value::Truth;
use crate::base::wide::Wide;
use crate::page::dtype::DType;
use crate::propagation::expression::float::Real;
use crate::propagation::expression::loops::{One, one, wide};
use crate::propagation::expression::types::unsigned;

/// How cells become those of another type.
pub enum Cast {
    /// They are the same bytes.
    Same,
    /// They become cells of this type first.
    By(DType),
    /// In this loop.
    Loop(One),
}

/// How cells of one type become those of another.
pub fn cast(from: DType, to: DType) -> Cast {
    if from == to {
        return Cast::Same;
    }
    match (from, to) {
        (DType::Bool, DType::U8 | DType::I8) => {
            Cast::Loop(one!(wide, Truth => u8, |a| u8::from(a.is_true())))
        }
        (DType::Bool, _) => Cast::By(DType::U8),
        (_, DType::Bool) => Cast::Loop(truth(from)),
        _ if from.is_float() && to.is_float() => Cast::Loop(float_to_float(from, to)),
        _ if from.is_float() => Cast::Loop(float_to_integer(from, to)),
        _ if to.is_float() => Cast::Loop(integer_to_float(from, to)),
        _ if from.size() == to.size() => Cast::Same,
        _ => Cast::Loop(integer_to_integer(from, to)),
    }
}

fn truth(from: DType) -> One {
    match from {
        DType::F16 => one!(wide, f16 => Truth, |a| Truth::from(widen(a) != 0.0)),
        DType::F32 => one!(wide, f32 => Truth, |a| Truth::from(a != 0.0)),
        DType::F64 => one!(wide, f64 => Truth, |a| Truth::from(a != 0.0)),
        _ => match from.size() {
            1 => one!(wide, u8 => Truth, |a| Truth::from(a != 0)),
            2 => one!(wide, u16 => Truth, |a| Truth::from(a != 0)),
            4 => one!(wide, u32 => Truth, |a| Truth::from(a != 0)),
            _ => one!(wide, u64 => Truth, |a| Truth::from(a != 0)),
        },
    }
}

/// A longer one is filled up by the sign of the shorter one; a shorter one has the low bytes.
fn integer_to_integer(from: DType, to: DType) -> One {
    let from = if from.size() > to.size() { unsigned(from) } else { from };
    macro_rules! each {
        ($($from:ident $source:ty => $($to:ident $target:ty),+);+) => {
            match (from, unsigned(to)) {
                $($((DType::$from, DType::$to) => one!(wide, $source => $target, |a| a as $target),)+)+
                _ => one!(wide, u8 => u8, |a| a),
            }
        };
    }
    each!(
        I8 i8 => U16 u16, U32 u32, U64 u64; U8 u8 => U16 u16, U32 u32, U64 u64;
        I16 i16 => U32 u32, U64 u64; U16 u16 => U8 u8, U32 u32, U64 u64;
        I32 i32 => U64 u64; U32 u32 => U8 u8, U16 u16, U64 u64;
        U64 u64 => U8 u8, U16 u16, U32 u32
    )
}

fn integer_to_float(from: DType, to: DType) -> One {
    macro_rules! each {
        ($($from:ident $source:ty),+) => {
            match (from, to) {
                $(
                    // What single precision rounds is past the largest half.
                    (DType::$from, DType::F16) => one!(wide, $source => f16, |a| narrow(a as f32)),
                    (DType::$from, DType::F32) => one!(wide, $source => f32, |a| a as f32),
                    (DType::$from, _) => one!(wide, $source => f64, |a| a as f64),
                )+
                _ => one!(wide, u8 => u8, |a| a),
            }
        };
    }
    each!(I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
}

fn float_to_integer(from: DType, to: DType) -> One {
    macro_rules! each {
        ($($to:ident $target:ty),+) => {
            match (from, to) {
                $(
                    (DType::F16, DType::$to) => one!(wide, f16 => $target, |a| widen(a) as $target),
                    (DType::F32, DType::$to) => one!(wide, f32 => $target, |a| a as $target),
                    (_, DType::$to) => one!(wide, f64 => $target, |a| a as $target),
                )+
                _ => one!(wide, u8 => u8, |a| a),
            }
        };
    }
    each!(I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
}

fn float_to_float(from: DType, to: DType) -> One {
    match (from, to) {
        (DType::F16, DType::F32) => one!(wide, f16 => f32, |a| widen(a).tidy()),
        (DType::F16, _) => one!(wide, f16 => f64, |a| f64::from(widen(a)).tidy()),
        (DType::F32, DType::F16) => one!(wide, f32 => f16, narrow),
        (DType::F32, _) => one!(wide, f32 => f64, |a| f64::from(a).tidy()),
        (_, DType::F16) => one!(wide, f64 => f16, half_of),
        _ => one!(wide, f64 => f32, |a| (a as f32).tidy()),
    }
}

/// Double to half precision, rounded once: single precision in between is cut, with its last bit set where anything was
/// cut off, so that it is neither a half nor between two unless the double was (Boldo and Melquiond, "When double rounding is
/// odd", 2005).
#[inline(always)]
pub fn half_of(double: f64) -> f16 {
    let nearest = double as f32;
    let back = f64::from(nearest);
    let cut = nearest.to_bits() - u32::from(back.abs() > double.abs());
    narrow(f32::from_bits(if back == double { nearest.to_bits() } else { cut | 1 }))
}

#[cfg(test)]
mod tests {
    use super::half_of;
    use half::f16;

    /// Every half, the middle between it and the next, and what is next to both.
    #[test]
    fn doubles_are_rounded_to_the_nearest_half_once() {
        for bits in 0..0x7C00u16 {
            let low = f64::from(f16::from_bits(bits));
            let high = if bits == 0x7BFF { 65536.0 } else { f64::from(f16::from_bits(bits + 1)) };
            let middle = (low + high) / 2.0;
            let even = if bits & 1 == 0 { bits } else { bits + 1 };
            for (double, wanted) in [
                (low, bits),
                (f64::from_bits(low.to_bits() + 1), bits),
                (f64::from_bits(middle.to_bits() - 1), bits),
                (middle, even),
                (f64::from_bits(middle.to_bits() + 1), bits + 1),
            ] {
                assert_eq!(half_of(double).to_bits(), wanted, "{double:e}");
                assert_eq!(half_of(-double).to_bits(), wanted | 0x8000, "-{double:e}");
            }
        }
        for (double, wanted) in [(f64::INFINITY, 0x7C00), (f64::MAX, 0x7C00), (f64::NAN, 0x7E00), (5e-324, 0)]
        {
            assert_eq!(half_of(double).to_bits(), wanted, "{double:e}");
        }
    }
}
