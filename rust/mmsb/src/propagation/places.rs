//! Cells of any type of integer as places among so many: groups, vertices of a graph, columns of a matrix. -1 is none.

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
    /// The place, where it is one of so many, or -1.
    fn place(self, count: u32) -> Option<u32>;
}

macro_rules! places {
    ($none:expr; $($type:ty),+) => {$(
        impl Place for $type {
            fn exact(self) -> i128 {
                i128::from(self)
            }

            #[inline(always)]
            fn place(self, count: u32) -> Option<u32> {
                // A negative one becomes too large.
                let place = self as u64;
                let none: Option<Self> = $none;
                if place < u64::from(count) {
                    Some(place as u32)
                } else {
                    (none == Some(self)).then_some(NOWHERE)
                }
            }
        }
    )+};
}

places!(Some(-1); i8, i16, i32, i64);
places!(None; u8, u16, u32, u64);

fn not_integers(rule: &'static str, whose: String, dtype: DType) -> RuleError {
    RuleError::WrongType { rule, whose, dtype, wanted: "a type of integers".to_owned() }
}

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
            return Err(not_integers(rule, format!("the column '{}'", column.name()), dtype));
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
            DType::U64 => self.cells::<u64>(column, first, stop, into),
            dtype => Err(not_integers(self.rule, format!("the column of {}s", self.what), dtype)),
        }
    }

    fn cells<K: Place>(
        self,
        column: &ColumnRef<'_>,
        first: u64,
        stop: u64,
        into: &mut Vec<u32>,
    ) -> Result<(), RuleError> {
        pieces::<K>(column, first, stop, |at, cells| {
            let mut wrong = None;
            into.extend((at..).zip(cells).map(|(row, cell)| {
                cell.place(self.count).unwrap_or_else(|| {
                    wrong.get_or_insert((row, cell.exact()));
                    NOWHERE
                })
            }));
            let Some((row, place)) = wrong else { return Ok(()) };
            let (rule, what, last) = (self.rule, self.what, i128::from(self.count) - 1);
            let what = format!("the {what} {place} of row {row} is none of 0 to {last}");
            Err(RuleError::Value { rule, what })
        })
    }
}
