//! Cells of any type of integer as places among so many: vertices of a graph, columns of a matrix. -1 is none.

use crate::algebra::value::Value;
use crate::page::column::ColumnRef;
use crate::page::dtype::DType;
use crate::page::schema::Column;
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Shape, pieces};

/// The place of a cell that is -1.
pub const NOWHERE: u32 = u32::MAX;

/// A column of places.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// Who reads it, in what it says is wrong.
    pub rule: &'static str,
    /// What its cells are to it, in the same.
    pub what: &'static str,
    /// Its number.
    pub column: u16,
    /// Its type.
    pub dtype: DType,
    /// How many places there are.
    pub count: u32,
}

trait Place: Value {
    fn exact(self) -> i128;
}

macro_rules! places {
    ($($type:ty),+) => {$(
        impl Place for $type {
            fn exact(self) -> i128 {
                i128::from(self)
            }
        }
    )+};
}

places!(i8, i16, i32, i64, u8, u16, u32, u64);

/// Column `number` of an input, which has one cell a row.
///
/// # Errors
/// [`RuleError::Unfit`] where there is none, or its rows are longer.
pub fn column<'a>(rule: &'static str, input: &Shape<'a>, number: u16) -> Result<&'a Column, RuleError> {
    let unfit = |what: String| RuleError::Unfit { rule, what };
    let column = input.schema.column(number).map_err(|wrong| unfit(wrong.to_string()))?;
    match column.inner().len() {
        0 => Ok(column),
        axes => {
            Err(unfit(format!("column '{}' has {axes} inner axes, where it can have none", column.name())))
        }
    }
}

impl Places {
    /// Column `number` of an input as places.
    ///
    /// # Errors
    /// As [`column`]; [`RuleError::WrongType`] where it is not of integers.
    pub fn of(
        (rule, what): (&'static str, &'static str),
        input: &Shape<'_>,
        number: u16,
        count: u32,
    ) -> Result<Self, RuleError> {
        let column = column(rule, input, number)?;
        let dtype = column.dtype();
        if dtype.is_float() || matches!(dtype, DType::Bool | DType::Bytes(_)) {
            let (whose, wanted) =
                (format!("the column '{}'", column.name()), "a type of integers".to_owned());
            return Err(RuleError::WrongType { rule, whose, dtype, wanted });
        }
        Ok(Self { rule, what, column: number, dtype, count })
    }

    /// The places of these rows, in place of what was there; [`NOWHERE`] for -1.
    ///
    /// # Errors
    /// [`RuleError::Value`] names the first row whose cell is no place.
    pub fn read(
        self,
        column: &ColumnRef<'_>,
        first: u64,
        stop: u64,
        into: &mut Vec<u32>,
    ) -> Result<(), RuleError> {
        into.clear();
        match self.dtype {
            DType::I8 => self.cells::<i8>(column, first, stop, into),
            DType::I16 => self.cells::<i16>(column, first, stop, into),
            DType::I32 => self.cells::<i32>(column, first, stop, into),
            DType::I64 => self.cells::<i64>(column, first, stop, into),
            DType::U8 => self.cells::<u8>(column, first, stop, into),
            DType::U16 => self.cells::<u16>(column, first, stop, into),
            DType::U32 => self.cells::<u32>(column, first, stop, into),
            _ => self.cells::<u64>(column, first, stop, into),
        }
    }

    fn cells<K: Place>(
        self,
        column: &ColumnRef<'_>,
        first: u64,
        stop: u64,
        into: &mut Vec<u32>,
    ) -> Result<(), RuleError> {
        let count = i128::from(self.count);
        pieces::<K>(column, first, stop, |at, cells| {
            for (row, cell) in (at..).zip(cells) {
                into.push(match cell.exact() {
                    -1 => NOWHERE,
                    place if (0..count).contains(&place) => place as u32,
                    place => {
                        let (rule, what, last) = (self.rule, self.what, count - 1);
                        let what = format!("the {what} {place} of row {row} is none of 0 to {last}");
                        return Err(RuleError::Value { rule, what });
                    }
                });
            }
            Ok(())
        })
    }
}
