//! The semirings and reductions by name, and the way from a name and a type of cell to a loop compiled for them.

use std::fmt;

use half::f16;

use crate::algebra::error::AlgebraError;
use crate::algebra::ladder::{CommutativeMonoid, Semiring, Traits};
use crate::algebra::operations;
use crate::algebra::semirings;
use crate::algebra::value::{Truth, Value};
use crate::page::dtype::DType;

/// Something to be done for one semiring on one type of cell.
pub trait OnSemiring {
    /// What comes of it.
    type Out;

    /// Does it.
    fn on<T: Value, S: Semiring<T>>(self) -> Self::Out;
}

/// Something to be done for one monoid on one type of cell.
pub trait OnMonoid {
    /// What comes of it.
    type Out;

    /// Does it.
    fn on<T: Value, M: CommutativeMonoid<T>>(self) -> Self::Out;
}

/// A semiring every bus has; what each is for is said in [`crate::algebra::semirings`].
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Family {
    /// `or`, `and`.
    Boolean,
    /// `min`, lengths.
    MinPlus,
    /// `max`, gains.
    MaxPlus,
    /// `max`, rates.
    MaxTimes,
    /// `max`, probabilities.
    Viterbi,
    /// `max`, `min`.
    MaxMin,
    /// Sums, products.
    PlusTimes,
    /// Sums, products of counts.
    Counting,
    /// Logarithms of sums, sums.
    Log,
    /// `xor`, `and`.
    Gf2,
}

/// A commutative monoid every bus has: what values are brought together by.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Reducer {
    /// Sum.
    Sum,
    /// Product.
    Prod,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// Bitwise or; of truths: any.
    Or,
    /// Bitwise and; of truths: all.
    And,
    /// Bitwise exclusive or; of truths: an odd number.
    Xor,
    /// The logarithm of the sum of exponentials.
    LogSum,
}

const FAMILIES: [(Family, &str); 10] = [
    (Family::Boolean, "boolean"),
    (Family::MinPlus, "min_plus"),
    (Family::MaxPlus, "max_plus"),
    (Family::MaxTimes, "max_times"),
    (Family::Viterbi, "viterbi"),
    (Family::MaxMin, "max_min"),
    (Family::PlusTimes, "plus_times"),
    (Family::Counting, "counting"),
    (Family::Log, "log"),
    (Family::Gf2, "gf2"),
];

const REDUCERS: [(Reducer, &str); 8] = [
    (Reducer::Sum, "sum"),
    (Reducer::Prod, "prod"),
    (Reducer::Min, "min"),
    (Reducer::Max, "max"),
    (Reducer::Or, "or"),
    (Reducer::And, "and"),
    (Reducer::Xor, "xor"),
    (Reducer::LogSum, "logsum"),
];

/// Names, and the way back.
macro_rules! named {
    ($type:ty, $table:ident, $unknown:ident) => {
        impl $type {
            /// All of them.
            pub fn all() -> impl Iterator<Item = Self> {
                $table.into_iter().map(|(one, _)| one)
            }

            /// Its name.
            #[must_use]
            pub fn name(self) -> &'static str {
                $table[self as usize].1
            }

            #[doc = concat!("The one of this name.\n\n# Errors\n[`AlgebraError::", stringify!($unknown), "`].")]
            pub fn named(name: &str) -> Result<Self, AlgebraError> {
                let found = $table.iter().find(|(_, known)| *known == name);
                found.map(|(one, _)| *one).ok_or_else(|| AlgebraError::$unknown {
                    name: name.to_owned(),
                    known: $table.map(|(_, known)| known).join(", "),
                })
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

named!(Family, FAMILIES, UnknownSemiring);
named!(Reducer, REDUCERS, UnknownReduction);

/// The arms of a look-up: each name on each of its types.
macro_rules! look_up {
    ($which:expr, $dtype:expr, $with:expr; $room:ident; $($name:pat => $law:ident on $($code:ident $type:ty),+;)+) => {
        match ($which, $dtype) {
            $($(($name, DType::$code) => Some($with.on::<$type, $room::$law>()),)+)+
            _ => None,
        }
    };
}

impl Family {
    /// The number that stands for it in files.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What its addition and its multiplication are called.
    #[must_use]
    pub const fn operations(self) -> (&'static str, &'static str) {
        match self {
            Self::Boolean => ("or", "and"),
            Self::MinPlus => ("min", "plus"),
            Self::MaxPlus => ("max", "plus"),
            Self::MaxTimes | Self::Viterbi => ("max", "times"),
            Self::MaxMin => ("max", "min"),
            Self::PlusTimes | Self::Counting => ("plus", "times"),
            Self::Log => ("logsum", "plus"),
            Self::Gf2 => ("xor", "and"),
        }
    }

    /// The one of this number.
    #[must_use]
    pub fn coded(code: u8) -> Option<Self> {
        FAMILIES.get(usize::from(code)).map(|(one, _)| *one)
    }

    /// Does this for the semiring on cells of `dtype`.
    ///
    /// # Errors
    /// [`AlgebraError::Unsupported`] where there is none.
    pub fn with<W: OnSemiring>(self, dtype: DType, with: W) -> Result<W::Out, AlgebraError> {
        look_up!(self, dtype, with; semirings;
            Self::Boolean => Boolean on Bool Truth, U64 u64;
            Self::MinPlus => MinPlus on I32 i32, I64 i64, F32 f32, F64 f64;
            Self::MaxPlus => MaxPlus on I32 i32, I64 i64, F32 f32, F64 f64;
            Self::MaxTimes => MaxTimes on F32 f32, F64 f64;
            Self::Viterbi => Viterbi on F32 f32, F64 f64;
            Self::MaxMin => MaxMin on I32 i32, I64 i64, F32 f32, F64 f64;
            Self::PlusTimes => PlusTimes on
                I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, F32 f32, F64 f64;
            Self::Counting => Counting on U64 u64;
            Self::Log => Log on F32 f32, F64 f64;
            Self::Gf2 => Gf2 on Bool Truth, U64 u64;
        )
        .ok_or(AlgebraError::Unsupported { name: self.name(), dtype })
    }

    /// Laws it has on cells of `dtype` beyond those of every semiring.
    ///
    /// # Errors
    /// As [`Family::with`].
    pub fn traits(self, dtype: DType) -> Result<Traits, AlgebraError> {
        struct Ask;
        impl OnSemiring for Ask {
            type Out = Traits;
            fn on<T: Value, S: Semiring<T>>(self) -> Traits {
                S::TRAITS
            }
        }
        self.with(dtype, Ask)
    }

    /// Makes sure that it has these laws on cells of `dtype`, for whom needs them.
    ///
    /// # Errors
    /// [`AlgebraError::Lacks`] names those it has not; and as [`Family::with`].
    pub fn require(self, dtype: DType, wanted: Traits, whom: &'static str) -> Result<(), AlgebraError> {
        let lacks = self.traits(dtype)?.lacks(wanted);
        if lacks == Traits::NONE {
            return Ok(());
        }
        Err(AlgebraError::Lacks { name: self.name(), dtype, lacks, whom })
    }
}

impl Reducer {
    /// Does this for the monoid on cells of `dtype`.
    ///
    /// # Errors
    /// [`AlgebraError::Unsupported`] where there is none.
    pub fn with<W: OnMonoid>(self, dtype: DType, with: W) -> Result<W::Out, AlgebraError> {
        look_up!(self, dtype, with; operations;
            Self::Sum => Plus on Bool Truth, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64,
                F16 f16, F32 f32, F64 f64;
            Self::Prod => Times on Bool Truth, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64,
                F16 f16, F32 f32, F64 f64;
            Self::Min => Min on Bool Truth, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64,
                F16 f16, F32 f32, F64 f64;
            Self::Max => Max on Bool Truth, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64,
                F16 f16, F32 f32, F64 f64;
            Self::Or => Or on Bool Truth, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64;
            Self::And => And on Bool Truth, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64;
            Self::Xor => Xor on Bool Truth, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64;
            Self::LogSum => LogPlus on F32 f32, F64 f64;
        )
        .ok_or(AlgebraError::Unsupported { name: self.name(), dtype })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        assert!(Family::all().all(|family| Family::named(family.name()) == Ok(family)));
        assert!(Family::all().all(|family| Family::coded(family.code()) == Some(family)));
        assert_eq!(Family::coded(10), None);
        assert!(Reducer::all().all(|reducer| Reducer::named(reducer.name()) == Ok(reducer)));
        let wrong = Family::named("plus_min").map(|_| ()).map_err(|wrong| wrong.to_string());
        assert!(wrong.is_err_and(|wrong| wrong.contains("plus_min") && wrong.contains("min_plus")));
    }

    #[test]
    fn what_is_lacking_is_named() {
        let wanted = Traits::ABSORPTIVE.and(Traits::EXACT);
        assert_eq!(Family::MinPlus.require(DType::I64, wanted, "fixpoint"), Ok(()));
        let lacks =
            Family::PlusTimes.require(DType::F64, wanted, "fixpoint").map_err(|wrong| wrong.to_string());
        assert_eq!(
            lacks,
            Err("fixpoint needs what the semiring plus_times on float64 is not: absorptive, exact".to_owned())
        );
        assert!(Family::Counting.traits(DType::I64).is_err());
    }
}
