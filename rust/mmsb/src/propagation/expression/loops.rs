//! The loops that expressions run in: one for each operation and type of cell, chosen once when a rule is declared.
//!
//! Operands of one operation are of one type here. Where integers of both signs do the same, the loop is that of the
//! unsigned ones; what is short enough to be made wide has a form for each set of wide instructions.

use half::f16;

use crate::algebra::kernel::{Bits, Number, narrow, widen};
use crate::algebra::value::{Truth, Value};
use crate::base::wide::{Loop, Wide};
use crate::page::dtype::DType;
use crate::propagation::expression::float::Real;
use crate::propagation::expression::node::{Binary, Unary};
use crate::propagation::expression::types::{is_signed, unsigned};

/// `out[i] = f(a[i])`.
pub type One = fn(Wide, &mut [u8], &[u8]);
/// `out[i] = f(a[i], b[i])`.
pub type Two = fn(Wide, &mut [u8], &[u8], &[u8]);
/// `out[i] = f(a[i], b[i], c[i])`.
pub type Three = fn(Wide, &mut [u8], &[u8], &[u8], &[u8]);

struct OneLoop<'a, A, R, F>(&'a mut [R], &'a [A], F);

impl<A: Value, R: Value, F: Fn(A) -> R> Loop for OneLoop<'_, A, R, F> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        for (out, &a) in self.0.iter_mut().zip(self.1) {
            *out = (self.2)(a);
        }
    }
}

struct TwoLoop<'a, A, R, F>(&'a mut [R], &'a [A], &'a [A], F);

impl<A: Value, R: Value, F: Fn(A, A) -> R> Loop for TwoLoop<'_, A, R, F> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        for ((out, &a), &b) in self.0.iter_mut().zip(self.1).zip(self.2) {
            *out = (self.3)(a, b);
        }
    }
}

struct SelectLoop<'a, A>(&'a mut [A], &'a [Truth], &'a [A], &'a [A]);

impl<A: Value> Loop for SelectLoop<'_, A> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        for (((out, &condition), &a), &b) in self.0.iter_mut().zip(self.1).zip(self.2).zip(self.3) {
            *out = if condition.is_true() { a } else { b };
        }
    }
}

/// Cells, which lie as they must: where they come from sees to it.
#[inline(always)]
fn cells<T: Value>(bytes: &[u8]) -> &[T] {
    bytemuck::cast_slice(bytes)
}

#[inline(always)]
fn cells_mut<T: Value>(bytes: &mut [u8]) -> &mut [T] {
    bytemuck::cast_slice_mut(bytes)
}

#[inline(always)]
pub(super) fn wide<A: Value, R: Value>(wide: Wide, out: &mut [u8], a: &[u8], f: impl Fn(A) -> R) {
    wide.run(OneLoop(cells_mut(out), cells(a), f));
}

/// In the plain form only: what is called in it costs far more than the loop.
#[inline(always)]
fn plain<A: Value, R: Value>(_: Wide, out: &mut [u8], a: &[u8], f: impl Fn(A) -> R) {
    OneLoop(cells_mut(out), cells(a), f).run();
}

#[inline(always)]
fn wide_two<A: Value, R: Value>(wide: Wide, out: &mut [u8], a: &[u8], b: &[u8], f: impl Fn(A, A) -> R) {
    wide.run(TwoLoop(cells_mut(out), cells(a), cells(b), f));
}

#[inline(always)]
fn plain_two<A: Value, R: Value>(_: Wide, out: &mut [u8], a: &[u8], b: &[u8], f: impl Fn(A, A) -> R) {
    TwoLoop(cells_mut(out), cells(a), cells(b), f).run();
}

fn select<A: Value>(wide: Wide, out: &mut [u8], condition: &[u8], a: &[u8], b: &[u8]) {
    wide.run(SelectLoop::<A>(cells_mut(out), cells(condition), cells(a), cells(b)));
}

/// A loop over one type.
macro_rules! one {
    ($form:ident, $a:ty => $r:ty, $f:expr) => {
        (|how: Wide, out: &mut [u8], a: &[u8]| $form::<$a, $r>(how, out, a, $f)) as One
    };
}
pub(super) use one;

macro_rules! two {
    ($form:ident, $a:ty => $r:ty, $f:expr) => {
        (|how: Wide, out: &mut [u8], a: &[u8], b: &[u8]| $form::<$a, $r>(how, out, a, b, $f)) as Two
    };
}

/// A function of [`Real`] for each float; half precision by way of single.
macro_rules! real {
    ($form:ident, $dtype:expr, $name:ident) => {
        match $dtype {
            DType::F16 => one!($form, f16 => f16, |a| narrow(Real::$name(widen(a)))),
            DType::F32 => one!($form, f32 => f32, |a| Real::$name(a)),
            _ => one!($form, f64 => f64, |a| Real::$name(a)),
        }
    };
}

macro_rules! real_two {
    ($form:ident, $dtype:expr, $name:ident) => {
        match $dtype {
            DType::F16 => two!($form, f16 => f16, |a, b| narrow(Real::$name(widen(a), widen(b)))),
            DType::F32 => two!($form, f32 => f32, |a, b| Real::$name(a, b)),
            _ => two!($form, f64 => f64, |a, b| Real::$name(a, b)),
        }
    };
}

/// The same of all integers of a kind, by their size.
macro_rules! by_size {
    ($make:ident, $form:ident, $dtype:expr, $s1:ty, $s2:ty, $s4:ty, $s8:ty, $f:expr) => {
        match $dtype.size() {
            1 => $make!($form, $s1 => $s1, $f),
            2 => $make!($form, $s2 => $s2, $f),
            4 => $make!($form, $s4 => $s4, $f),
            _ => $make!($form, $s8 => $s8, $f),
        }
    };
}

macro_rules! of_float {
    ($dtype:expr, |$a:ident| $f:expr) => {
        match $dtype {
            DType::F16 => one!(wide, f16 => Truth, |half| { let $a = widen(half); Truth::from($f) }),
            DType::F32 => one!(wide, f32 => Truth, |$a| Truth::from($f)),
            _ => one!(wide, f64 => Truth, |$a| Truth::from($f)),
        }
    };
}

/// The loop of an operation on cells of a type that it is for. `abs`, `floor`, `ceil` and `trunc` of what they do not
/// change have none, nor do `isnan` and its like of integers, and `square`, which is a product.
pub fn unary(op: Unary, dtype: DType) -> Option<One> {
    let float = dtype.is_float();
    Some(match op {
        Unary::Neg if float => real!(wide, dtype, neg),
        Unary::Neg => by_size!(one, wide, dtype, u8, u16, u32, u64, |a| a.wrapping_neg()),
        Unary::Abs if float => real!(wide, dtype, abs),
        Unary::Abs if is_signed(dtype) => {
            by_size!(one, wide, dtype, i8, i16, i32, i64, |a| a.wrapping_abs())
        }
        Unary::Sign if float => real!(wide, dtype, sign),
        Unary::Sign if is_signed(dtype) => by_size!(one, wide, dtype, i8, i16, i32, i64, |a| a.signum()),
        Unary::Sign => by_size!(one, wide, dtype, u8, u16, u32, u64, |a| Number::min(a, 1)),
        Unary::Not if dtype == DType::Bool => one!(wide, Truth => Truth, |a| Truth::from(!a.is_true())),
        Unary::Not => by_size!(one, wide, unsigned(dtype), u8, u16, u32, u64, |a| !a),
        Unary::Sqrt => real!(wide, dtype, sqrt),
        Unary::Exp => real!(plain, dtype, exp),
        Unary::Exp2 => real!(plain, dtype, exp2),
        Unary::Expm1 => real!(plain, dtype, expm1),
        Unary::Log => real!(plain, dtype, log),
        Unary::Log2 => real!(plain, dtype, log2),
        Unary::Log10 => real!(plain, dtype, log10),
        Unary::Log1p => real!(plain, dtype, log1p),
        Unary::Sin => real!(plain, dtype, sin),
        Unary::Cos => real!(plain, dtype, cos),
        Unary::Tan => real!(plain, dtype, tan),
        Unary::Asin => real!(plain, dtype, asin),
        Unary::Acos => real!(plain, dtype, acos),
        Unary::Atan => real!(plain, dtype, atan),
        Unary::Sinh => real!(plain, dtype, sinh),
        Unary::Cosh => real!(plain, dtype, cosh),
        Unary::Tanh => real!(plain, dtype, tanh),
        Unary::Asinh => real!(plain, dtype, asinh),
        Unary::Acosh => real!(plain, dtype, acosh),
        Unary::Atanh => real!(plain, dtype, atanh),
        Unary::Cbrt => real!(plain, dtype, cbrt),
        Unary::Fabs => real!(wide, dtype, abs),
        Unary::Floor if float => real!(wide, dtype, floor),
        Unary::Ceil if float => real!(wide, dtype, ceil),
        Unary::Rint => real!(wide, dtype, rint),
        Unary::Trunc if float => real!(wide, dtype, trunc),
        Unary::IsNan if float => of_float!(dtype, |a| a.is_nan()),
        Unary::IsFinite if float => of_float!(dtype, |a| a.is_finite()),
        Unary::IsInf if float => of_float!(dtype, |a| a.is_infinite()),
        _ => return None,
    })
}

/// An operation that integers, floats and `bool` have of [`Number`]; `$int` is what all integers share, if anything.
macro_rules! number {
    ($dtype:expr, $name:ident, signed $s1:ty, $s2:ty, $s4:ty, $s8:ty) => {
        match $dtype {
            DType::Bool => two!(wide_two, Truth => Truth, |a, b| Number::$name(a, b)),
            DType::F16 => two!(wide_two, f16 => f16, |a, b| Number::$name(a, b)),
            DType::F32 => two!(wide_two, f32 => f32, |a, b| Number::$name(a, b)),
            DType::F64 => two!(wide_two, f64 => f64, |a, b| Number::$name(a, b)),
            dtype if is_signed(dtype) => {
                by_size!(two, wide_two, dtype, $s1, $s2, $s4, $s8, |a, b| Number::$name(a, b))
            }
            dtype => by_size!(two, wide_two, dtype, u8, u16, u32, u64, |a, b| Number::$name(a, b)),
        }
    };
}

/// A comparison; `$i1` and so on are the types that integers with a sign are compared as.
macro_rules! compare {
    ($dtype:expr, |$a:ident, $b:ident| $f:expr, signed $i1:ty, $i2:ty, $i4:ty, $i8:ty) => {
        match $dtype {
            DType::Bool => two!(wide_two, Truth => Truth, |a, b| {
                let ($a, $b) = (a.is_true(), b.is_true());
                Truth::from($f)
            }),
            DType::F16 => two!(wide_two, f16 => Truth, |a, b| {
                let ($a, $b) = (widen(a), widen(b));
                Truth::from($f)
            }),
            DType::F32 => two!(wide_two, f32 => Truth, |$a, $b| Truth::from($f)),
            DType::F64 => two!(wide_two, f64 => Truth, |$a, $b| Truth::from($f)),
            dtype if is_signed(dtype) => match dtype.size() {
                1 => two!(wide_two, $i1 => Truth, |$a, $b| Truth::from($f)),
                2 => two!(wide_two, $i2 => Truth, |$a, $b| Truth::from($f)),
                4 => two!(wide_two, $i4 => Truth, |$a, $b| Truth::from($f)),
                _ => two!(wide_two, $i8 => Truth, |$a, $b| Truth::from($f)),
            },
            dtype => match dtype.size() {
                1 => two!(wide_two, u8 => Truth, |$a, $b| Truth::from($f)),
                2 => two!(wide_two, u16 => Truth, |$a, $b| Truth::from($f)),
                4 => two!(wide_two, u32 => Truth, |$a, $b| Truth::from($f)),
                _ => two!(wide_two, u64 => Truth, |$a, $b| Truth::from($f)),
            },
        }
    };
}

macro_rules! bits {
    ($dtype:expr, $name:ident) => {
        match $dtype {
            DType::Bool => two!(wide_two, Truth => Truth, |a, b| Bits::$name(a, b)),
            _ => two!(wide_two, u8 => u8, |a, b| Bits::$name(a, b)),
        }
    };
}

/// Integer arithmetic that is not simply that of the processor.
macro_rules! integer {
    ($dtype:expr, $f:expr) => {
        if is_signed($dtype) {
            by_size!(two, plain_two, $dtype, i8, i16, i32, i64, $f)
        } else {
            by_size!(two, plain_two, $dtype, u8, u16, u32, u64, $f)
        }
    };
}

/// To the next whole number below; 0 where there is none.
macro_rules! floor_div {
    ($a:ident, $b:ident) => {{
        let times = $a.checked_div($b).unwrap_or(if $b == 0 { 0 } else { $a });
        let left = $a.checked_rem($b).unwrap_or(0);
        // The operands of other signs are those of which one xor the other is negative.
        #[allow(unused_comparisons)]
        let below = left != 0 && ($a ^ $b) < 0;
        times.wrapping_sub(below.into())
    }};
}

macro_rules! modulo {
    ($a:ident, $b:ident) => {{
        let left = $a.checked_rem($b).unwrap_or(0);
        #[allow(unused_comparisons)]
        let below = left != 0 && ($a ^ $b) < 0;
        if below { left.wrapping_add($b) } else { left }
    }};
}

/// The loop of an operation on cells of a type that it is for. Greater is less the other way round, and has none.
// One text for many types, in some of which it could be shorter.
#[allow(clippy::unnecessary_cast, clippy::bool_comparison)]
pub fn binary(op: Binary, dtype: DType) -> Option<Two> {
    let float = dtype.is_float();
    let whole = unsigned(dtype);
    Some(match op {
        Binary::Add => number!(dtype, add, signed u8, u16, u32, u64),
        Binary::Mul => number!(dtype, mul, signed u8, u16, u32, u64),
        Binary::Min => number!(dtype, min, signed i8, i16, i32, i64),
        Binary::Max => number!(dtype, max, signed i8, i16, i32, i64),
        Binary::Sub if float => real_two!(wide_two, dtype, sub),
        Binary::Sub => by_size!(two, wide_two, whole, u8, u16, u32, u64, |a, b| a.wrapping_sub(b)),
        Binary::Div => real_two!(wide_two, dtype, div),
        Binary::FloorDiv if float => real_two!(plain_two, dtype, floor_div),
        Binary::FloorDiv => integer!(dtype, |a, b| floor_div!(a, b)),
        Binary::Mod if float => real_two!(plain_two, dtype, modulo),
        Binary::Mod => integer!(dtype, |a, b| modulo!(a, b)),
        Binary::Fmod if float => real_two!(plain_two, dtype, fmod),
        Binary::Fmod => integer!(dtype, |a, b| a.checked_rem(b).unwrap_or(0)),
        Binary::Pow if float => real_two!(plain_two, dtype, pow),
        Binary::Pow => by_size!(two, plain_two, whole, u8, u16, u32, u64, |a, b| {
            let (mut base, mut left, mut power) = (a, b, 1);
            while left > 0 {
                power = if left & 1 == 1 { base.wrapping_mul(power) } else { power };
                base = base.wrapping_mul(base);
                left >>= 1;
            }
            power
        }),
        Binary::Atan2 => real_two!(plain_two, dtype, atan2),
        Binary::Hypot => real_two!(plain_two, dtype, hypot),
        Binary::CopySign => real_two!(wide_two, dtype, with_sign),
        Binary::And => bits!(dtype, and),
        Binary::Or => bits!(dtype, or),
        Binary::Xor => bits!(dtype, xor),
        // A negative number of places is a large one without a sign.
        Binary::Shl => by_size!(two, wide_two, whole, u8, u16, u32, u64, |a, b| {
            a.checked_shl(Number::min(b, 64) as u32).unwrap_or(0)
        }),
        Binary::Shr if is_signed(dtype) => {
            by_size!(two, wide_two, dtype, i8, i16, i32, i64, |a, b| {
                let places = if b < 0 { 64 } else { Number::min(b, 64) as u32 };
                a.checked_shr(places).unwrap_or(if a < 0 { -1 } else { 0 })
            })
        }
        Binary::Shr => by_size!(two, wide_two, whole, u8, u16, u32, u64, |a, b| {
            a.checked_shr(Number::min(b, 64) as u32).unwrap_or(0)
        }),
        Binary::Eq => compare!(dtype, |a, b| a == b, signed u8, u16, u32, u64),
        Binary::Ne => compare!(dtype, |a, b| a != b, signed u8, u16, u32, u64),
        Binary::Lt => compare!(dtype, |a, b| a < b, signed i8, i16, i32, i64),
        Binary::Le => compare!(dtype, |a, b| a <= b, signed i8, i16, i32, i64),
        Binary::Gt | Binary::Ge => return None,
    })
}

/// The loop that chooses between cells of so many bytes.
pub fn choose(size: usize) -> Three {
    match size {
        1 => select::<u8>,
        2 => select::<u16>,
        4 => select::<u32>,
        _ => select::<u64>,
    }
}

/// The first of integers with a sign that is negative.
pub fn first_negative(dtype: DType, powers: &[u8]) -> Option<(usize, i64)> {
    fn first<T: Value + Into<i64>>(powers: &[u8]) -> Option<(usize, i64)> {
        cells::<T>(powers)
            .iter()
            .map(|&power| -> i64 { power.into() })
            .enumerate()
            .find(|(_, power)| *power < 0)
    }
    match dtype {
        DType::I8 => first::<i8>(powers),
        DType::I16 => first::<i16>(powers),
        DType::I32 => first::<i32>(powers),
        _ => first::<i64>(powers),
    }
}
