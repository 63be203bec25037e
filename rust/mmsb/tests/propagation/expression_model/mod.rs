//! Expressions worked out one cell at a time, from numpy's rules written down a second time: integers by way of 128 bits,
//! types from numpy's own table.

pub mod table;

use half::f16;
use mmsb::page::dtype::DType;
use mmsb::propagation::expression::node::{Binary, Unary};

/// A cell: its type, and its bytes as a number.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Cell {
    pub dtype: DType,
    pub bits: u64,
}

/// What a node is in the eyes of the table.
#[derive(Copy, Clone, PartialEq, Debug)]
pub enum Kind {
    Strong(DType),
    Int(i128),
    Float(f64),
}

fn letter(text: &str, at: usize) -> Option<DType> {
    let letter = text.as_bytes()[at] as char;
    table::LETTERS.find(letter).map(|code| DType::FIXED[code])
}

fn place(kind: Kind) -> usize {
    match kind {
        Kind::Strong(dtype) => dtype.code().into(),
        Kind::Int(_) => 12,
        Kind::Float(_) => 13,
    }
}

/// The type that an operation gives.
pub fn of_unary(op: &str, a: Kind) -> Option<DType> {
    let (_, types) = table::UNARY.iter().find(|(name, _)| *name == op).expect("a row");
    letter(types, place(a))
}

/// The type that an operation gives. One operand has a type.
pub fn of_binary(op: &str, a: Kind, b: Kind) -> Option<DType> {
    let (_, types) = table::BINARY.iter().find(|(names, _)| names.contains(&op)).expect("a row");
    // The table has python's numbers on the right only; no operation's type depends on the side.
    let (a, b) = if matches!(a, Kind::Strong(_)) { (a, b) } else { (b, a) };
    letter(types.split(' ').nth(place(a)).expect("a word"), place(b))
}

pub fn signed(dtype: DType) -> bool {
    matches!(dtype, DType::I8 | DType::I16 | DType::I32 | DType::I64)
}

fn ends(dtype: DType) -> (i128, i128) {
    let bits = 8 * dtype.size() as u32;
    match signed(dtype) {
        true => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        false => (0, (1 << bits) - 1),
    }
}

pub fn fits(value: i128, dtype: DType) -> bool {
    dtype.is_float() || dtype == DType::Bool || (ends(dtype).0..=ends(dtype).1).contains(&value)
}

/// The half that is nearest, of two the even one, found among those around.
fn half(value: f64) -> f16 {
    if value.is_nan() {
        return f16::from_bits(0x7E00);
    }
    let magnitude = |bits: u16| if bits == 0x7C00 { 65536.0 } else { f64::from(f16::from_bits(bits)) };
    let near = f16::from_f32(value.abs() as f32).to_bits();
    let around = [near.saturating_sub(1), near, (near + 1).min(0x7C00)];
    let off = |bits: u16| (magnitude(bits) - value.abs().min(65536.0)).abs();
    let best = around
        .into_iter()
        .min_by(|&a, &b| off(a).partial_cmp(&off(b)).expect("numbers").then((a & 1).cmp(&(b & 1))));
    f16::from_bits(best.expect("three") | if value.is_sign_negative() { 0x8000 } else { 0 })
}

impl Cell {
    pub fn int(value: i128, dtype: DType) -> Self {
        let mask = u64::MAX >> (64 - 8 * dtype.size());
        let bits = if dtype == DType::Bool { (value != 0).into() } else { value as u64 & mask };
        Self { dtype, bits }
    }

    pub fn float(value: f64, dtype: DType) -> Self {
        // A NaN by its bits: LLVM drops a choice between the NaN of a square root and another.
        let none = value.to_bits() << 1 > 0x7FF0 << 49;
        let bits = match dtype {
            DType::F16 => half(value).to_bits().into(),
            DType::F32 if none => 0x7FC0_0000,
            DType::F32 => (value as f32).to_bits().into(),
            _ if none => 0x7FF8 << 48,
            _ => value.to_bits(),
        };
        Self { dtype, bits }
    }

    pub fn truth(is: bool) -> Self {
        Self { dtype: DType::Bool, bits: is.into() }
    }

    pub fn as_float(self) -> f64 {
        match self.dtype {
            DType::F16 => f64::from(f16::from_bits(self.bits as u16)),
            DType::F32 => f64::from(f32::from_bits(self.bits as u32)),
            DType::F64 => f64::from_bits(self.bits),
            _ => self.as_int() as f64,
        }
    }

    pub fn as_int(self) -> i128 {
        let unused = 64 - 8 * self.dtype.size();
        match self.dtype {
            DType::Bool => (self.bits != 0).into(),
            dtype if signed(dtype) => (((self.bits << unused) as i64) >> unused).into(),
            _ => self.bits.into(),
        }
    }

    pub fn to(self, dtype: DType) -> Self {
        if self.dtype == dtype {
            return self;
        }
        match (self.dtype.is_float(), dtype.is_float()) {
            (_, _) if dtype == DType::Bool => Self::truth(self.as_float() != 0.0),
            (true, true) => Self::float(self.as_float(), dtype),
            // To single precision in one rounding; half precision ends before single begins to round.
            (false, true) if dtype == DType::F32 => {
                Self { dtype, bits: (self.as_int() as f32).to_bits().into() }
            }
            (false, true) => Self::float(self.as_int() as f64, dtype),
            (true, false) => {
                let (least, most) = ends(dtype);
                Self::int((self.as_float() as i128).clamp(least, most), dtype)
            }
            (false, false) => Self::int(self.as_int(), dtype),
        }
    }
}

/// One function in both precisions, rounded to half from the single one.
macro_rules! function {
    ($dtype:expr, ($($a:expr),+), $single:expr, $double:expr) => {{
        let dtype = $dtype;
        match dtype {
            DType::F64 => Cell::float($double($($a.as_float()),+), dtype),
            _ => Cell::float(f64::from($single($($a.as_float() as f32),+)), dtype),
        }
    }};
}

pub fn unary(op: Unary, a: Cell, gives: DType) -> Cell {
    // Tests have the type of what they look at.
    let of = if matches!(op, Unary::IsNan | Unary::IsFinite | Unary::IsInf) { a.dtype } else { gives };
    let a = a.to(of);
    let (int, float) = (a.as_int(), a.as_float());
    macro_rules! library {
        ($single:ident, $double:ident) => {
            function!(gives, (a), libm::$single, libm::$double)
        };
    }
    match op {
        Unary::IsNan => Cell::truth(float.is_nan()),
        Unary::IsFinite => Cell::truth(float.is_finite()),
        Unary::IsInf => Cell::truth(float.is_infinite()),
        Unary::Neg if gives.is_float() => Cell::float(-float, gives),
        Unary::Neg => Cell::int(-int, gives),
        Unary::Abs if gives.is_float() => Cell::float(float.abs(), gives),
        Unary::Abs => Cell::int(int.abs(), gives),
        Unary::Sign if float.is_nan() => Cell::float(float, gives),
        Unary::Sign if gives.is_float() => {
            Cell::float(if float == 0.0 { 0.0 } else { 1f64.copysign(float) }, gives)
        }
        Unary::Sign => Cell::int(int.signum(), gives),
        Unary::Not if gives == DType::Bool => Cell::truth(int == 0),
        Unary::Not => Cell::int(!int, gives),
        Unary::Square if gives.is_float() => function!(gives, (a), |x: f32| x * x, |x: f64| x * x),
        Unary::Square => Cell::int(int.wrapping_mul(int), gives),
        Unary::Floor | Unary::Ceil | Unary::Trunc if !gives.is_float() => a,
        Unary::Floor => Cell::float(float.floor(), gives),
        Unary::Ceil => Cell::float(float.ceil(), gives),
        Unary::Trunc => Cell::float(float.trunc(), gives),
        Unary::Rint => Cell::float(float.round_ties_even(), gives),
        Unary::Sqrt => function!(gives, (a), f32::sqrt, f64::sqrt),
        Unary::Exp => library!(expf, exp),
        Unary::Exp2 => library!(exp2f, exp2),
        Unary::Expm1 => library!(expm1f, expm1),
        Unary::Log => library!(logf, log),
        Unary::Log2 => library!(log2f, log2),
        Unary::Log10 => library!(log10f, log10),
        Unary::Log1p => library!(log1pf, log1p),
        Unary::Sin => library!(sinf, sin),
        Unary::Cos => library!(cosf, cos),
        Unary::Tan => library!(tanf, tan),
        Unary::Asin => library!(asinf, asin),
        Unary::Acos => library!(acosf, acos),
        Unary::Atan => library!(atanf, atan),
        Unary::Sinh => library!(sinhf, sinh),
        Unary::Cosh => library!(coshf, cosh),
        Unary::Tanh => library!(tanhf, tanh),
        Unary::Asinh => library!(asinhf, asinh),
        Unary::Acosh if float < 1.0 => Cell::float(f64::NAN, gives),
        Unary::Acosh => library!(acoshf, acosh),
        Unary::Atanh => library!(atanhf, atanh),
        Unary::Cbrt => library!(cbrtf, cbrt),
        Unary::Fabs => Cell::float(float.abs(), gives),
    }
}

/// Division to the next whole number below, and what is left, as python has them; for floats as numpy has them.
fn divided(a: i128, b: i128) -> (i128, i128) {
    if b == 0 {
        return (0, 0);
    }
    let (times, left) = (a / b, a % b);
    if left != 0 && (left < 0) != (b < 0) { (times - 1, left + b) } else { (times, left) }
}

macro_rules! float_divided {
    ($type:ident, $a:expr, $b:expr) => {{
        let (a, b): ($type, $type) = ($a, $b);
        let mut left = a % b;
        if b == 0.0 {
            (a / b, left)
        } else {
            let mut times = (a - left) / b;
            if left == 0.0 {
                left = (0.0 as $type).copysign(b);
            } else if (b < 0.0) != (left < 0.0) {
                left += b;
                times -= 1.0;
            }
            let whole = times.floor();
            let whole = if times - whole > 0.5 { whole + 1.0 } else { whole };
            (if times == 0.0 { (0.0 as $type).copysign(a / b) } else { whole }, left)
        }
    }};
}

fn power(a: i128, b: i128, gives: DType) -> Option<Cell> {
    let (mut base, mut left, mut power) = (a as u64, u64::try_from(b).ok()?, 1u64);
    while left > 0 {
        if left % 2 == 1 {
            power = power.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        left /= 2;
    }
    Some(Cell::int(power.into(), gives))
}

/// Which order two cells have; integers exactly, also of both signs.
fn order(a: Cell, b: Cell, common: DType) -> Option<std::cmp::Ordering> {
    if a.dtype.is_float() || b.dtype.is_float() {
        return a.to(common).as_float().partial_cmp(&b.to(common).as_float());
    }
    Some(a.as_int().cmp(&b.as_int()))
}

/// `None` for an integer to a negative power.
pub fn binary(op: Binary, a: Cell, b: Cell, gives: DType) -> Option<Cell> {
    if gives == DType::Bool && !matches!(op, Binary::And | Binary::Or | Binary::Xor) {
        let common = of_binary("where", Kind::Strong(a.dtype), Kind::Strong(b.dtype)).expect("for all");
        let order = order(a, b, common);
        let is = match op {
            Binary::Eq => order.is_some_and(std::cmp::Ordering::is_eq),
            Binary::Ne => !order.is_some_and(std::cmp::Ordering::is_eq),
            Binary::Lt => order.is_some_and(std::cmp::Ordering::is_lt),
            Binary::Le => order.is_some_and(std::cmp::Ordering::is_le),
            Binary::Gt => order.is_some_and(std::cmp::Ordering::is_gt),
            Binary::Ge => order.is_some_and(std::cmp::Ordering::is_ge),
            Binary::Add | Binary::Max => a.bits != 0 || b.bits != 0,
            _ => a.bits != 0 && b.bits != 0,
        };
        return Some(Cell::truth(is));
    }
    let (a, b) = (a.to(gives), b.to(gives));
    if gives.is_float() { Some(float(op, a, b, gives)) } else { integer(op, a.as_int(), b.as_int(), gives) }
}

fn float(op: Binary, a: Cell, b: Cell, gives: DType) -> Cell {
    let (x, y) = (a.as_float(), b.as_float());
    match op {
        Binary::Add => function!(gives, (a, b), |x: f32, y: f32| x + y, |x: f64, y: f64| x + y),
        Binary::Sub => function!(gives, (a, b), |x: f32, y: f32| x - y, |x: f64, y: f64| x - y),
        Binary::Mul => function!(gives, (a, b), |x: f32, y: f32| x * y, |x: f64, y: f64| x * y),
        Binary::Div => function!(gives, (a, b), |x: f32, y: f32| x / y, |x: f64, y: f64| x / y),
        Binary::Min | Binary::Max if x.is_nan() || y.is_nan() => Cell::float(f64::NAN, gives),
        Binary::Min if x == y => Cell::float(if x.is_sign_negative() { x } else { y }, gives),
        Binary::Max if x == y => Cell::float(if x.is_sign_negative() { y } else { x }, gives),
        Binary::Min => Cell::float(if x < y { x } else { y }, gives),
        Binary::Max => Cell::float(if x > y { x } else { y }, gives),
        Binary::Pow => function!(gives, (a, b), libm::powf, libm::pow),
        Binary::Atan2 => function!(gives, (a, b), libm::atan2f, libm::atan2),
        Binary::Hypot => function!(gives, (a, b), libm::hypotf, libm::hypot),
        Binary::CopySign => Cell::float(if y.is_nan() { x.abs() } else { x.copysign(y) }, gives),
        Binary::Fmod => function!(gives, (a, b), |x: f32, y: f32| x % y, |x: f64, y: f64| x % y),
        Binary::FloorDiv => {
            function!(gives, (a, b), |x, y| float_divided!(f32, x, y).0, |x, y| float_divided!(f64, x, y).0)
        }
        _ => function!(gives, (a, b), |x, y| float_divided!(f32, x, y).1, |x, y| float_divided!(f64, x, y).1),
    }
}

fn integer(op: Binary, a: i128, b: i128, gives: DType) -> Option<Cell> {
    let bits = 8 * gives.size() as i128;
    let gone = b < 0 || b >= bits;
    Some(Cell::int(
        match op {
            Binary::Add => a + b,
            Binary::Sub => a - b,
            Binary::Mul => a.wrapping_mul(b),
            Binary::FloorDiv => divided(a, b).0,
            Binary::Fmod => a.checked_rem(b).unwrap_or(0),
            Binary::Mod => divided(a, b).1,
            Binary::Pow => return power(a, b, gives),
            Binary::Min => a.min(b),
            Binary::Max => a.max(b),
            Binary::And => a & b,
            Binary::Or => a | b,
            Binary::Xor => a ^ b,
            Binary::Shl if gone => 0,
            Binary::Shl => a << b,
            Binary::Shr if gone => {
                if a < 0 {
                    -1
                } else {
                    0
                }
            }
            _ => a >> b,
        },
        gives,
    ))
}
