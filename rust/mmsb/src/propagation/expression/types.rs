//! Which types meet in which: numpy's table, and NEP 50 for python's numbers.

use crate::page::dtype::DType;
use crate::propagation::expression::node::{Binary, Unary};

/// What is known of an operand's type.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It has one.
    Strong(DType),
    /// A python int.
    WeakInt,
    /// A python float.
    WeakFloat,
}

impl Kind {
    /// The type it has where it meets nothing that has one.
    #[must_use]
    pub const fn alone(self) -> DType {
        match self {
            Self::Strong(dtype) => dtype,
            Self::WeakInt => DType::I64,
            Self::WeakFloat => DType::F64,
        }
    }

    /// The type it has beside another operand.
    #[must_use]
    pub const fn beside(self, other: Self) -> DType {
        match (self, other) {
            (Self::WeakInt, Self::Strong(DType::Bool)) => DType::I64,
            (Self::WeakInt, Self::Strong(dtype)) => dtype,
            (Self::WeakFloat, Self::Strong(dtype)) if dtype.is_float() => dtype,
            (own, _) => own.alone(),
        }
    }
}

/// Whether it is an integer with a sign.
#[must_use]
pub const fn is_signed(dtype: DType) -> bool {
    matches!(dtype, DType::I8 | DType::I16 | DType::I32 | DType::I64)
}

/// Whether it is an integer without one.
#[must_use]
pub const fn is_unsigned(dtype: DType) -> bool {
    matches!(dtype, DType::U8 | DType::U16 | DType::U32 | DType::U64)
}

/// The unsigned integer of as many bytes.
#[must_use]
pub const fn unsigned(dtype: DType) -> DType {
    match dtype.size() {
        1 => DType::U8,
        2 => DType::U16,
        4 => DType::U32,
        _ => DType::U64,
    }
}

/// The float that functions of a type are worked out in.
#[must_use]
pub const fn float_of(dtype: DType) -> DType {
    match dtype {
        DType::Bool | DType::I8 | DType::U8 | DType::F16 => DType::F16,
        DType::I16 | DType::U16 | DType::F32 => DType::F32,
        _ => DType::F64,
    }
}

/// The type that two types meet in: the smallest that has the numbers of both, and `float64` for all that have none.
#[must_use]
pub const fn promote(a: DType, b: DType) -> DType {
    match (a, b) {
        (DType::Bool, other) | (other, DType::Bool) => other,
        _ if a.is_float() || b.is_float() => {
            let (a, b) = (float_of(a), float_of(b));
            if a.size() < b.size() { b } else { a }
        }
        _ if is_signed(a) == is_signed(b) => {
            if a.size() < b.size() {
                b
            } else {
                a
            }
        }
        _ => {
            let (signed, unsigned) = if is_signed(a) { (a, b) } else { (b, a) };
            if signed.size() > unsigned.size() {
                return signed;
            }
            match unsigned.size() {
                1 => DType::I16,
                2 => DType::I32,
                4 => DType::I64,
                _ => DType::F64,
            }
        }
    }
}

/// The type that an operation on one operand is worked out in, which is that of its result but for `isnan` and its like;
/// `None` where it is not for the operand's.
#[must_use]
pub const fn of_unary(op: Unary, a: DType) -> Option<DType> {
    match op {
        Unary::Neg | Unary::Sign => match a {
            DType::Bool => None,
            _ => Some(a),
        },
        Unary::Not if a.is_float() => None,
        Unary::Square if matches!(a, DType::Bool) => Some(DType::I8),
        Unary::Not | Unary::Abs | Unary::Square | Unary::Floor | Unary::Ceil | Unary::Trunc => Some(a),
        Unary::IsNan | Unary::IsFinite | Unary::IsInf => Some(a),
        _ => Some(float_of(a)),
    }
}

/// The type that an operation on two operands is worked out in, which is that of its result but for comparisons; `None`
/// where it is not for those. Comparisons of `uint64` with what has a sign are exact for all that.
#[must_use]
pub fn of_binary(op: Binary, a: Kind, b: Kind) -> Option<DType> {
    let (a, b) = (a.beside(b), b.beside(a));
    let common = promote(a, b);
    let counted = if common == DType::Bool { DType::I8 } else { common };
    match op {
        Binary::Sub => Some(common).filter(|&dtype| dtype != DType::Bool),
        Binary::Div => Some(if common.is_float() { common } else { DType::F64 }),
        Binary::FloorDiv | Binary::Mod | Binary::Fmod | Binary::Pow => Some(counted),
        Binary::Atan2 | Binary::Hypot | Binary::CopySign => Some(promote(float_of(a), float_of(b))),
        Binary::And | Binary::Or | Binary::Xor => Some(common).filter(|dtype| !dtype.is_float()),
        Binary::Shl | Binary::Shr => Some(counted).filter(|dtype| !dtype.is_float()),
        _ => Some(common),
    }
}

/// Whether it gives a `bool` whatever it is worked out in.
#[must_use]
pub const fn is_comparison(op: Binary) -> bool {
    matches!(op, Binary::Eq | Binary::Ne | Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge)
}
