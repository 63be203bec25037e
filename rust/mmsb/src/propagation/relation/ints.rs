//! Columns of integers, of whichever type, read as the same 64 bits: those that are less than zero count down from the top.

use crate::algebra::value::Value;
use crate::page::column::ColumnRef;
use crate::page::dtype::DType;
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Shape, pieces};
use crate::propagation::relation::shape::{is_signed, plain, wrong_type};

/// A column of integers.
#[derive(Debug, Clone, Copy)]
pub struct Ints {
    /// The rule that reads it.
    rule: &'static str,
    /// Its number.
    pub column: u16,
    /// Its type.
    pub dtype: DType,
}

impl Ints {
    /// A column of an input.
    ///
    /// # Errors
    /// There is none of this number, or it is not of integers, or has inner axes.
    pub fn of(rule: &'static str, whose: &str, input: &Shape<'_>, i: u16) -> Result<Self, RuleError> {
        let column = plain(rule, whose, input, i)?;
        match column.dtype() {
            DType::Bool | DType::F16 | DType::F32 | DType::F64 | DType::Bytes(_) => {
                Err(wrong_type(rule, whose, column, "a type of integers"))
            }
            dtype => Ok(Self { rule, column: i, dtype }),
        }
    }

    /// Whether -1 is one of its values.
    pub const fn is_signed(self) -> bool {
        is_signed(self.dtype)
    }

    /// A value as a number.
    pub fn number(self, value: u64) -> i128 {
        if self.is_signed() { i128::from(value as i64) } else { i128::from(value) }
    }

    /// The values of these rows, in place of what was there.
    pub fn read(
        self,
        column: &ColumnRef<'_>,
        first: u64,
        stop: u64,
        into: &mut Vec<u64>,
    ) -> Result<(), RuleError> {
        into.clear();
        match self.dtype {
            DType::I8 => widened::<i8>(column, first, stop, into, |cell| cell as u64),
            DType::I16 => widened::<i16>(column, first, stop, into, |cell| cell as u64),
            DType::I32 => widened::<i32>(column, first, stop, into, |cell| cell as u64),
            DType::I64 => widened::<i64>(column, first, stop, into, |cell| cell as u64),
            DType::U8 => widened::<u8>(column, first, stop, into, u64::from),
            DType::U16 => widened::<u16>(column, first, stop, into, u64::from),
            DType::U32 => widened::<u32>(column, first, stop, into, u64::from),
            DType::U64 => widened::<u64>(column, first, stop, into, |cell| cell),
            dtype => Err(RuleError::WrongType {
                rule: self.rule,
                whose: format!("column {}", self.column),
                dtype,
                wanted: "a type of integers".to_owned(),
            }),
        }
    }
}

fn widened<T: Value>(
    column: &ColumnRef<'_>,
    first: u64,
    stop: u64,
    into: &mut Vec<u64>,
    wide: impl Fn(T) -> u64,
) -> Result<(), RuleError> {
    into.reserve((stop - first) as usize);
    pieces::<T>(column, first, stop, |_, cells| {
        into.extend(cells.iter().map(|cell| wide(*cell)));
        Ok(())
    })
}
