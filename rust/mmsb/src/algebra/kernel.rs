//! The arithmetic of cells: one loop per operation and type, simple enough for the compiler to vectorise, compiled once
//! for each set of wide instructions, with the same bits on every machine.
//!
//! Integers wrap. `bool` is 0 or 1, and any other byte reads as 1: add and max are `or`, mul and min are `and`, as in
//! numpy. A float result that is not a number is always the quiet NaN without sign or payload, because processors
//! disagree on which operand's payload survives. `min` and `max` give NaN when either side is one, and order -0.0 below
//! +0.0; with that they are associative and commutative bit for bit.

use crate::base::wide::{Loop, Wide};
use half::f16;
use std::marker::PhantomData;

/// A cell as its little-endian bytes and back.
pub(crate) trait Cell<const N: usize>: Copy {
    fn load(bytes: [u8; N]) -> Self;
    fn store(self) -> [u8; N];
}

/// What numbers do. Also `bool`, in its way.
pub(crate) trait Number: Copy {
    fn add(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn min(self, other: Self) -> Self;
    fn max(self, other: Self) -> Self;
}

/// What has bits of its own: integers and `bool`.
pub(crate) trait Bits: Copy {
    fn or(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
}

/// Below this many bytes the widest loop is not worth looking for.
const SHORT: usize = 64;

/// The widest loops there are for so many bytes.
#[inline]
pub(crate) fn widest(bytes: usize) -> Wide {
    if bytes < SHORT { Wide::PLAIN } else { Wide::best() }
}

/// `dst[i] = op(dst[i], src[i])`.
#[inline]
pub(crate) fn each<const N: usize, T: Cell<N>>(
    wide: Wide,
    dst: &mut [u8],
    src: &[u8],
    op: impl Fn(T, T) -> T,
) {
    wide.run(Each::<N, T, _> { dst, src, op, cell: PhantomData });
}

struct Each<'a, const N: usize, T, F> {
    dst: &'a mut [u8],
    src: &'a [u8],
    op: F,
    cell: PhantomData<T>,
}

impl<const N: usize, T: Cell<N>, F: Fn(T, T) -> T> Loop for Each<'_, N, T, F> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        for (dst, src) in self.dst.as_chunks_mut::<N>().0.iter_mut().zip(self.src.as_chunks::<N>().0) {
            *dst = (self.op)(T::load(*dst), T::load(*src)).store();
        }
    }
}

/// `dst[cell - first] = op(dst[cell - first], src[i])` for cells that are listed, in their order, up to the first that is
/// not in `dst`; how many there were.
#[inline]
pub(crate) fn each_at<const N: usize, T: Cell<N>>(
    dst: &mut [u8],
    (list, first): (&[u64], u64),
    src: &[u8],
    op: impl Fn(T, T) -> T,
) -> usize {
    let dst = dst.as_chunks_mut::<N>().0;
    let mut cells = list.iter().zip(src.as_chunks::<N>().0);
    let outside = cells.position(|(&cell, src)| {
        let Some(dst) = dst.get_mut(cell.wrapping_sub(first) as usize) else { return true };
        *dst = op(T::load(*dst), T::load(*src)).store();
        false
    });
    outside.unwrap_or(list.len())
}

macro_rules! integer {
    ($($type:ty),*) => {$(
        impl Cell<{ size_of::<$type>() }> for $type {
            #[inline(always)]
            fn load(bytes: [u8; size_of::<$type>()]) -> Self {
                Self::from_le_bytes(bytes)
            }
            #[inline(always)]
            fn store(self) -> [u8; size_of::<$type>()] {
                self.to_le_bytes()
            }
        }

        impl Number for $type {
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                if other < self { other } else { self }
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                if other > self { other } else { self }
            }
        }

        impl Bits for $type {
            #[inline(always)]
            fn or(self, other: Self) -> Self {
                self | other
            }
            #[inline(always)]
            fn and(self, other: Self) -> Self {
                self & other
            }
            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                self ^ other
            }
        }
    )*};
}

integer!(i8, i16, i32, i64, u8, u16, u32, u64);

impl Cell<1> for bool {
    #[inline(always)]
    fn load(bytes: [u8; 1]) -> Self {
        bytes[0] != 0
    }
    #[inline(always)]
    fn store(self) -> [u8; 1] {
        [u8::from(self)]
    }
}

impl Number for bool {
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self | other
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self & other
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self & other
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self | other
    }
}

impl Bits for bool {
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        self | other
    }
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        self & other
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        self ^ other
    }
}

macro_rules! canonical {
    ($value:expr, $type:ty, $nan:literal) => {{
        let value: $type = $value;
        if value.is_nan() { <$type>::from_bits($nan) } else { value }
    }};
}

macro_rules! float_cell {
    ($($type:ty),*) => {$(
        impl Cell<{ size_of::<$type>() }> for $type {
            #[inline(always)]
            fn load(bytes: [u8; size_of::<$type>()]) -> Self {
                Self::from_le_bytes(bytes)
            }
            #[inline(always)]
            fn store(self) -> [u8; size_of::<$type>()] {
                self.to_le_bytes()
            }
        }
    )*};
}

float_cell!(f16, f32, f64);

macro_rules! float {
    ($type:ty, $nan:literal) => {
        impl Number for $type {
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                canonical!(self + other, $type, $nan)
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                canonical!(self * other, $type, $nan)
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                let (ours, theirs) = (self.to_bits(), other.to_bits());
                // Equal floats differ in nothing but the sign of a zero: or-ing keeps a minus, and-ing a plus.
                let less = if self < other { ours } else { theirs };
                let bits = if self == other { ours | theirs } else { less };
                Self::from_bits(if self.is_nan() | other.is_nan() { $nan } else { bits })
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                let (ours, theirs) = (self.to_bits(), other.to_bits());
                let more = if self > other { ours } else { theirs };
                let bits = if self == other { ours & theirs } else { more };
                Self::from_bits(if self.is_nan() | other.is_nan() { $nan } else { bits })
            }
        }
    };
}

float!(f32, 0x7FC0_0000);
float!(f64, 0x7FF8_0000_0000_0000);

/// Half precision by way of single: its 24 bits are more than the 2 * 11 + 2 that make rounding twice the same as once.
impl Number for f16 {
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        narrow(widen(self) + widen(other))
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        narrow(widen(self) * widen(other))
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        narrow(Number::min(widen(self), widen(other)))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        narrow(Number::max(widen(self), widen(other)))
    }
}

/// Half to single precision, exactly. Every way is taken and one result chosen, so that a loop of it can be wide; no number
/// on the way is subnormal, so that it does not matter what the processor was told to do with those (Giesen, "Half to
/// float done quickly", 2012).
#[inline(always)]
pub(crate) fn widen(half: f16) -> f32 {
    const LEAST: u32 = 113 << 23; // 2^-14, the smallest normal half
    let bits = u32::from(half.to_bits());
    let magnitude = (bits & 0x7FFF) << 13;
    let subnormal = (f32::from_bits(magnitude + LEAST) - f32::from_bits(LEAST)).to_bits();
    let normal = magnitude + (112 << 23);
    let finite = if magnitude < 0x400 << 13 { subnormal } else { normal };
    let found = if magnitude >= 0x7C00 << 13 { magnitude + (224 << 23) } else { finite };
    f32::from_bits(found | (bits & 0x8000) << 16)
}

/// Single to half precision, to the nearest, to even where two are; the one NaN for all. As [`widen`].
#[inline(always)]
pub(crate) fn narrow(single: f32) -> f16 {
    const HALF: u32 = 126 << 23; // 0.5, whose last bit is worth as much as that of a subnormal half
    let bits = single.to_bits();
    let magnitude = bits & 0x7FFF_FFFF;
    let subnormal = (f32::from_bits(magnitude) + f32::from_bits(HALF)).to_bits().wrapping_sub(HALF);
    let odd = magnitude >> 13 & 1;
    let normal = magnitude.wrapping_sub(112 << 23).wrapping_add(0xFFF + odd) >> 13;
    let finite = if magnitude < 113 << 23 { subnormal } else { normal };
    let found = if magnitude >= 143 << 23 { 0x7C00 } else { finite };
    let signed = found | bits >> 16 & 0x8000;
    f16::from_bits(if magnitude > 0x7F80_0000 { 0x7E00 } else { signed as u16 })
}

#[cfg(test)]
mod tests {
    use super::{narrow, widen};
    use half::f16;

    #[test]
    fn halves_become_single_and_back() {
        for bits in 0..=u16::MAX {
            let half = f16::from_bits(bits);
            let (found, wanted) = (widen(half), half.to_f32());
            assert!(found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan(), "{bits:#x}");
            assert_eq!(narrow(found).to_bits(), if half.is_nan() { 0x7E00 } else { bits });
        }
    }

    #[test]
    fn singles_are_rounded_to_the_nearest_half() {
        // Around every half, around the middle between it and the next, and all over.
        let near =
            (0..=0xFFFF_u32).flat_map(|half| [-1, 0, 1].map(|by| (half << 16).wrapping_add_signed(by)));
        let ties = (0..=0x7_FFFF_u32)
            .flat_map(|top| [-1, 0, 1].map(|by| (top << 13 | 0x1000).wrapping_add_signed(by)));
        for bits in near.chain(ties).chain((0..=u32::MAX).step_by(4099)) {
            let single = f32::from_bits(bits);
            let wanted = if single.is_nan() { 0x7E00 } else { f16::from_f32(single).to_bits() };
            assert_eq!(narrow(single).to_bits(), wanted, "{single:e}");
        }
    }
}
