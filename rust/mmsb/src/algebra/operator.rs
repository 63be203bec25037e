//! The operators every bus has: add, min, max, or, and, xor, mul.
//!
//! | operator | on | associative bit for bit |
//! |---|---|---|
//! | add, mul | integers (wrapping), bool (or, and), floats | all but floats |
//! | min, max | integers, bool, floats (NaN wins, -0.0 < +0.0) | all |
//! | or, and, xor | integers, bool | all |
//!
//! None works on byte strings. All are commutative.

use crate::algebra::kernel::{Bits, Cell, Number, each, each_at, widest};
use crate::base::wide::Wide;
use crate::page::dtype::DType;
use crate::page::operator::{Merge, OperatorId, Operators};
use half::f16;
use std::sync::Arc;

/// An operator every bus has.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Builtin {
    /// Sum.
    Add,
    /// The smaller one.
    Min,
    /// The larger one.
    Max,
    /// Bitwise or.
    Or,
    /// Bitwise and.
    And,
    /// Bitwise exclusive or.
    Xor,
    /// Product.
    Mul,
}

/// As [`Merge::apply_at`], for one type.
type At = fn(&mut [u8], (&[u64], u64), &[u8]) -> usize;

/// What an operator does with the cells of one type.
#[derive(Copy, Clone)]
struct Kernel {
    /// Side by side.
    each: fn(Wide, &mut [u8], &[u8]),
    /// Listed: the cells and the first one there is.
    at: At,
}

/// The loops of an operation.
macro_rules! loops {
    ($op:path) => {
        Kernel {
            each: |wide, dst, src| each::<N, T>(wide, dst, src, $op),
            at: |dst, list, src| each_at::<N, T>(dst, list, src, $op),
        }
    };
}

impl Builtin {
    /// All of them, by id: the first has id 1.
    pub const ALL: [Self; 7] = [Self::Add, Self::Min, Self::Max, Self::Or, Self::And, Self::Xor, Self::Mul];

    /// The operator with this id.
    #[must_use]
    pub fn from_id(id: OperatorId) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.id() == id)
    }

    /// [`Merge::apply`] with these instructions: for those who compare what they do and take.
    pub fn apply_with(self, wide: Wide, dtype: DType, dst: &mut [u8], src: &[u8]) {
        if let Some(kernel) = self.kernel(dtype) {
            (kernel.each)(wide, dst, src);
        }
    }

    /// The loops for cells of `dtype`; `None` where the operator means nothing.
    fn kernel(self, dtype: DType) -> Option<Kernel> {
        match dtype {
            DType::Bool => Some(self.on_bits::<1, bool>()),
            DType::I8 => Some(self.on_bits::<1, i8>()),
            DType::I16 => Some(self.on_bits::<2, i16>()),
            DType::I32 => Some(self.on_bits::<4, i32>()),
            DType::I64 => Some(self.on_bits::<8, i64>()),
            DType::U8 => Some(self.on_bits::<1, u8>()),
            DType::U16 => Some(self.on_bits::<2, u16>()),
            DType::U32 => Some(self.on_bits::<4, u32>()),
            DType::U64 => Some(self.on_bits::<8, u64>()),
            DType::F16 => self.on_numbers::<2, f16>(),
            DType::F32 => self.on_numbers::<4, f32>(),
            DType::F64 => self.on_numbers::<8, f64>(),
            DType::Bytes(_) => None,
        }
    }

    fn on_numbers<const N: usize, T: Cell<N> + Number>(self) -> Option<Kernel> {
        match self {
            Self::Add => Some(loops!(T::add)),
            Self::Min => Some(loops!(T::min)),
            Self::Max => Some(loops!(T::max)),
            Self::Mul => Some(loops!(T::mul)),
            Self::Or | Self::And | Self::Xor => None,
        }
    }

    fn on_bits<const N: usize, T: Cell<N> + Number + Bits>(self) -> Kernel {
        match self {
            Self::Add => loops!(T::add),
            Self::Min => loops!(T::min),
            Self::Max => loops!(T::max),
            Self::Mul => loops!(T::mul),
            Self::Or => loops!(T::or),
            Self::And => loops!(T::and),
            Self::Xor => loops!(T::xor),
        }
    }
}

impl Merge for Builtin {
    fn id(&self) -> OperatorId {
        // In files for ever: never renumbered.
        OperatorId(match self {
            Self::Add => 1,
            Self::Min => 2,
            Self::Max => 3,
            Self::Or => 4,
            Self::And => 5,
            Self::Xor => 6,
            Self::Mul => 7,
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Min => "min",
            Self::Max => "max",
            Self::Or => "or",
            Self::And => "and",
            Self::Xor => "xor",
            Self::Mul => "mul",
        }
    }

    fn supports(&self, dtype: DType) -> bool {
        self.kernel(dtype).is_some()
    }

    fn exact(&self, dtype: DType) -> bool {
        self.supports(dtype) && !(dtype.is_float() && matches!(self, Self::Add | Self::Mul))
    }

    fn apply(&self, dtype: DType, dst: &mut [u8], src: &[u8]) {
        self.apply_with(widest(dst.len()), dtype, dst, src);
    }

    fn apply_at(&self, dtype: DType, dst: &mut [u8], (list, first): (&[u64], u64), src: &[u8]) -> usize {
        self.kernel(dtype).map_or(list.len(), |kernel| (kernel.at)(dst, (list, first), src))
    }
}

/// The table of the operators every bus has.
#[must_use]
pub fn builtin() -> Operators {
    let mut operators = Operators::new();
    for operator in Builtin::ALL {
        operators.register(Arc::new(operator)).expect("the ids and names of the built-in operators differ");
    }
    operators
}
