//! What a reduction says: which column, how, and over what.

use std::fmt;

use crate::base::codec::{CodecError, Reader, Writer};
use crate::base::limits::MAX_GROUPS;
use crate::page::dtype::DType;
use crate::page::schema::{ARRAY_COLUMN, Column, Kind};
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Gives, Kernel, Shape, Spec};
use crate::propagation::reduction::choose;
use crate::propagation::runs::Run;

/// The name of the rule in what it says is wrong.
pub(super) const RULE: &str = "reduce";

/// How cells are brought together.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Reduction {
    /// The sum.
    Sum,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The mean.
    Mean,
    /// How many are values: all but NaN.
    Count,
    /// Where the first of the smallest is.
    ArgMin,
    /// Where the first of the largest is.
    ArgMax,
    /// Whether any is true.
    Any,
    /// Whether all are true.
    All,
}

/// By code.
const REDUCTIONS: [(Reduction, &str); 9] = [
    (Reduction::Sum, "sum"),
    (Reduction::Min, "min"),
    (Reduction::Max, "max"),
    (Reduction::Mean, "mean"),
    (Reduction::Count, "count"),
    (Reduction::ArgMin, "argmin"),
    (Reduction::ArgMax, "argmax"),
    (Reduction::Any, "any"),
    (Reduction::All, "all"),
];

impl Reduction {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        REDUCTIONS.into_iter().map(|(one, _)| one)
    }

    /// Its name, which is numpy's.
    #[must_use]
    pub fn name(self) -> &'static str {
        REDUCTIONS[self as usize].1
    }

    /// The one of this name.
    ///
    /// # Errors
    /// [`RuleError::Unfit`] names those there are.
    pub fn named(name: &str) -> Result<Self, RuleError> {
        let found = REDUCTIONS.iter().find(|(_, known)| *known == name);
        let known = || REDUCTIONS.map(|(_, known)| known).join(", ");
        found
            .map(|(one, _)| *one)
            .ok_or_else(|| unfit(format!("there is no reduction '{name}', but there are {}", known())))
    }

    /// The type of what comes of cells of this type, where it works on them.
    #[must_use]
    pub fn gives(self, dtype: DType) -> Option<DType> {
        let float = dtype.is_float();
        match (self, dtype) {
            (_, DType::Bytes(_)) => None,
            (Self::Min | Self::Max, _) => Some(dtype),
            (Self::Sum | Self::Mean, _) if float => Some(dtype),
            (Self::Mean, _) => Some(DType::F64),
            (Self::Sum, DType::U8 | DType::U16 | DType::U32 | DType::U64) => Some(DType::U64),
            (Self::Sum | Self::Count | Self::ArgMin | Self::ArgMax, _) => Some(DType::I64),
            (Self::Any | Self::All, _) => Some(DType::Bool),
        }
    }
}

impl Reduction {
    /// The type of what comes of a column.
    pub(in crate::propagation) fn output(
        self,
        rule: &'static str,
        values: &Column,
    ) -> Result<DType, RuleError> {
        self.gives(values.dtype()).ok_or_else(|| RuleError::WrongType {
            rule,
            whose: format!("the column '{}'", values.name()),
            dtype: values.dtype(),
            wanted: format!("a type of numbers or bool for {self}"),
        })
    }
}

impl fmt::Display for Reduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which cells are brought together.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Over {
    /// All of the column: one row of one cell.
    Whole,
    /// Those of all rows that lie alike in them: of a column of shape `(n, a, b)` comes one of shape `(a, b)`.
    Rows,
    /// Those of each row along one inner axis: over axis 0, of a column of shape `(n, a, b)` comes one of shape `(n, b)`.
    Inner(u16),
    /// Those of rows with the same key: one row for each key.
    Key {
        /// The column of keys: integers, from 0 to less than `groups`, and -1 for a row that is in no group.
        column: u16,
        /// How many groups there are.
        groups: u64,
    },
}

/// A reduction of a column of its first input.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reduce {
    /// The column.
    pub column: u16,
    /// How its cells are brought together.
    pub what: Reduction,
    /// And which of them.
    pub over: Over,
}

pub(super) fn unfit(what: String) -> RuleError {
    RuleError::Unfit { rule: RULE, what }
}

/// The one input.
pub(super) fn one<T>(inputs: &[T]) -> Result<&T, RuleError> {
    match inputs {
        [one] => Ok(one),
        _ => Err(RuleError::Inputs { rule: RULE, got: inputs.len(), wanted: 1 }),
    }
}

fn column<'a>(input: &Shape<'a>, i: u16) -> Result<&'a Column, RuleError> {
    input.schema.column(i).map_err(|wrong| unfit(wrong.to_string()))
}

impl Reduce {
    /// Writes it.
    pub fn encode(&self, out: &mut Writer) {
        out.varint(u64::from(self.column));
        out.u8(self.what as u8);
        match self.over {
            Over::Whole => out.u8(0),
            Over::Rows => out.u8(1),
            Over::Inner(axis) => {
                out.u8(2);
                out.varint(u64::from(axis));
            }
            Over::Key { column, groups } => {
                out.u8(3);
                out.varint(u64::from(column));
                out.varint(groups);
            }
        }
    }

    /// Reads what [`Reduce::encode`] wrote.
    ///
    /// # Errors
    /// [`RuleError::Unreadable`] where the bytes end, or say what there is not.
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, RuleError> {
        let ends = |wrong: CodecError| RuleError::Unreadable(wrong.to_string());
        let number = |input: &mut Reader<'_>| {
            let number = input.varint().map_err(ends)?;
            u16::try_from(number)
                .map_err(|_| RuleError::Unreadable(format!("the number {number} is past 16 bits")))
        };
        let column = number(input)?;
        let code = input.u8().map_err(ends)?;
        let Some((what, _)) = REDUCTIONS.get(usize::from(code)).copied() else {
            return Err(RuleError::Unreadable(format!("no reduction has the code {code}")));
        };
        let over = match input.u8().map_err(ends)? {
            0 => Over::Whole,
            1 => Over::Rows,
            2 => Over::Inner(number(input)?),
            3 => Over::Key { column: number(input)?, groups: input.varint().map_err(ends)? },
            code => {
                return Err(RuleError::Unreadable(format!("a reduction is over nothing of code {code}")));
            }
        };
        Ok(Self { column, what, over })
    }

    /// What is wrong with the keys, where there are any.
    fn check_keys(&self, input: &Shape<'_>, values: &Column) -> Result<(), RuleError> {
        let Over::Key { column: number, groups } = self.over else { return Ok(()) };
        let keys = column(input, number)?;
        let of = |what: &str, column: &Column| {
            let (name, axes) = (column.name(), column.inner().len());
            unfit(format!(
                "the column of {what} '{name}' has {axes} inner axes, where by key it can have none"
            ))
        };
        if keys.dtype().is_float() || matches!(keys.dtype(), DType::Bool | DType::Bytes(_)) {
            return Err(RuleError::WrongType {
                rule: RULE,
                whose: format!("the column of keys '{}'", keys.name()),
                dtype: keys.dtype(),
                wanted: "a type of integers".to_owned(),
            });
        }
        match groups {
            _ if !keys.inner().is_empty() => Err(of("keys", keys)),
            _ if !values.inner().is_empty() => Err(of("values", values)),
            1..=MAX_GROUPS => Ok(()),
            _ => Err(unfit(format!("{groups} groups, where 1 to {MAX_GROUPS} are possible"))),
        }
    }
}

impl Spec for Reduce {
    fn gives(&self, inputs: &[Shape<'_>]) -> Result<Gives, RuleError> {
        let input = one(inputs)?;
        let values = column(input, self.column)?;
        self.check_keys(input, values)?;
        let dtype = self.what.output(RULE, values)?;
        let mut inner = values.inner().to_vec();
        let rows = match self.over {
            Over::Whole => {
                inner.clear();
                1
            }
            Over::Rows if inner.is_empty() => 1,
            Over::Rows => inner.remove(0),
            Over::Inner(axis) if usize::from(axis) < inner.len() => {
                inner.remove(usize::from(axis));
                input.rows
            }
            Over::Inner(axis) => {
                let (name, axes) = (values.name(), inner.len());
                return Err(unfit(format!(
                    "column '{name}' has {axes} inner axes, and none of number {axis}"
                )));
            }
            Over::Key { groups, .. } => groups,
        };
        let column = Column::new(ARRAY_COLUMN, dtype, inner).map_err(|wrong| unfit(wrong.to_string()))?;
        let scalar = self.over == Over::Whole || self.over == Over::Rows && values.inner().is_empty();
        Ok(Gives { kind: Kind::Array { scalar }, columns: vec![column], rows })
    }

    fn rows_from(&self, _: (usize, u64), rows: &[Run]) -> Option<Vec<Run>> {
        matches!(self.over, Over::Inner(_)).then(|| rows.to_vec())
    }

    fn kernel(&self, inputs: &[Shape<'_>]) -> Result<Box<dyn Kernel>, RuleError> {
        self.gives(inputs)?;
        let input = one(inputs)?;
        let keys = match self.over {
            Over::Key { column: number, .. } => Some(column(input, number)?.dtype()),
            _ => None,
        };
        choose::kernel(self, column(input, self.column)?, keys)
    }
}
