//! Cells as values side by side: what the loops of the algebra read and write.

use bytemuck::{Pod, Zeroable};
use half::f16;

use crate::algebra::error::AlgebraError;
use crate::algebra::kernel::{Bits, Number};
use crate::page::dtype::DType;

/// A cell of type `bool`: 0 is false, any other byte reads as true, and 1 is written.
#[repr(transparent)]
#[derive(Copy, Clone, Debug, Pod, Zeroable)]
pub struct Truth(u8);

impl Truth {
    /// False.
    pub const NO: Self = Self(0);
    /// True.
    pub const YES: Self = Self(1);

    /// Whether it is true.
    #[inline(always)]
    #[must_use]
    pub const fn is_true(self) -> bool {
        self.0 != 0
    }

    #[inline(always)]
    const fn of(is: bool) -> Self {
        Self(is as u8)
    }
}

impl PartialEq for Truth {
    fn eq(&self, other: &Self) -> bool {
        self.is_true() == other.is_true()
    }
}

impl From<bool> for Truth {
    fn from(is: bool) -> Self {
        Self::of(is)
    }
}

impl Bits for Truth {
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Self::of(self.is_true() | other.is_true())
    }
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Self::of(self.is_true() & other.is_true())
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        Self::of(self.is_true() ^ other.is_true())
    }
}

impl Number for Truth {
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.or(other)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.and(other)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.and(other)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.or(other)
    }
}

/// A type that cells of one dtype are values of.
pub trait Value: Pod + PartialEq + Send + Sync + std::fmt::Debug {
    /// That dtype.
    const DTYPE: DType;

    /// What one rounding may change, of 1; 0 where there is none.
    const ROUNDING: f64;

    /// As a number, rounded where a `f64` has no such.
    fn number(self) -> f64;

    /// Whether both are the same bit for bit.
    #[inline]
    fn same(self, other: Self) -> bool {
        bytemuck::bytes_of(&self) == bytemuck::bytes_of(&other)
    }
}

macro_rules! values {
    ($($type:ty: $dtype:ident, $rounding:expr, $number:expr);+ $(;)?) => {$(
        impl Value for $type {
            const DTYPE: DType = DType::$dtype;
            const ROUNDING: f64 = $rounding;

            #[inline]
            fn number(self) -> f64 {
                let number: fn($type) -> f64 = $number;
                number(self)
            }
        }
    )+};
}

values!(
    Truth: Bool, 0.0, |value| f64::from(u8::from(value.is_true()));
    i8: I8, 0.0, f64::from;
    i16: I16, 0.0, f64::from;
    i32: I32, 0.0, f64::from;
    i64: I64, 0.0, |value| value as f64;
    u8: U8, 0.0, f64::from;
    u16: U16, 0.0, f64::from;
    u32: U32, 0.0, f64::from;
    u64: U64, 0.0, |value| value as f64;
    f16: F16, 1.0 / 1024.0, f64::from;
    f32: F32, f32::EPSILON as f64, f64::from;
    f64: F64, f64::EPSILON, |value| value;
);

/// The cells that these bytes are. None lie anywhere.
///
/// # Errors
/// [`AlgebraError::Misaligned`] where they do not lie as cells must, or are not whole cells.
#[inline]
pub fn cells<T: Value>(bytes: &[u8]) -> Result<&[T], AlgebraError> {
    if bytes.is_empty() {
        return Ok(&[]);
    }
    bytemuck::try_cast_slice(bytes).map_err(|_| misaligned::<T>(bytes))
}

/// As [`cells`], to be written.
///
/// # Errors
/// As [`cells`].
pub fn cells_mut<T: Value>(bytes: &mut [u8]) -> Result<&mut [T], AlgebraError> {
    if bytes.is_empty() {
        return Ok(&mut []);
    }
    let wrong = misaligned::<T>(bytes);
    bytemuck::try_cast_slice_mut(bytes).map_err(|_| wrong)
}

fn misaligned<T: Value>(bytes: &[u8]) -> AlgebraError {
    let off = bytes.as_ptr().align_offset(align_of::<T>());
    AlgebraError::Misaligned { bytes: bytes.len(), dtype: T::DTYPE, off }
}
