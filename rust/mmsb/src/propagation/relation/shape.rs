//! What relations share: what they say is wrong, how what they give is checked, and small numbers in bytes.

use crate::base::codec::Reader;
use crate::base::limits::MAX_RELATED_ROWS;
use crate::page::dtype::DType;
use crate::page::schema::{Column, Kind, Schema};
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Gives, Input, Shape};

/// What of an input is not as it must be.
pub fn unfit(rule: &'static str, what: impl ToString) -> RuleError {
    RuleError::Unfit { rule, what: what.to_string() }
}

/// The one input.
pub fn one<'a, T>(rule: &'static str, inputs: &'a [T]) -> Result<&'a T, RuleError> {
    match inputs {
        [one] => Ok(one),
        _ => Err(RuleError::Inputs { rule, got: inputs.len(), wanted: 1 }),
    }
}

/// The two inputs.
pub fn two<'a, T>(rule: &'static str, inputs: &'a [T]) -> Result<[&'a T; 2], RuleError> {
    match inputs {
        [first, second] => Ok([first, second]),
        _ => Err(RuleError::Inputs { rule, got: inputs.len(), wanted: 2 }),
    }
}

/// A column of an input that has one cell a row.
pub fn plain<'a>(
    rule: &'static str,
    whose: &str,
    input: &Shape<'a>,
    i: u16,
) -> Result<&'a Column, RuleError> {
    let column = input.schema.column(i).map_err(|wrong| unfit(rule, format!("{whose}: {wrong}")))?;
    match column.inner().len() {
        0 => Ok(column),
        axes => {
            let name = column.name();
            Err(unfit(rule, format!("{whose} '{name}' has {axes} inner axes, where it can have none")))
        }
    }
}

/// A column of another type than it must be.
pub fn wrong_type(rule: &'static str, whose: &str, column: &Column, wanted: &str) -> RuleError {
    let (whose, dtype) = (format!("{whose} '{}'", column.name()), column.dtype());
    RuleError::WrongType { rule, whose, dtype, wanted: wanted.to_owned() }
}

/// Whether a type is one of signed integers.
pub const fn is_signed(dtype: DType) -> bool {
    matches!(dtype, DType::I8 | DType::I16 | DType::I32 | DType::I64)
}

/// Whether an input has no more rows than can be remembered.
pub fn countable(rule: &'static str, whose: &str, input: &Shape<'_>) -> Result<(), RuleError> {
    match input.rows {
        0..=MAX_RELATED_ROWS => Ok(()),
        rows => Err(unfit(rule, format!("{whose} has {rows} rows, where {MAX_RELATED_ROWS} are possible"))),
    }
}

/// A page of these columns, where there can be such.
pub fn page(rule: &'static str, kind: Kind, columns: Vec<Column>, rows: u64) -> Result<Gives, RuleError> {
    let schema = Schema::new(kind, columns, None).map_err(|wrong| unfit(rule, wrong))?;
    schema.page_bytes(rows).map_err(|wrong| unfit(rule, wrong))?;
    Ok(Gives { kind, columns: schema.columns().to_vec(), rows })
}

/// Adds a column behind others; where its name is taken, with a suffix, as often as that needs.
pub fn add(
    rule: &'static str,
    columns: &mut Vec<Column>,
    column: &Column,
    suffix: &str,
) -> Result<(), RuleError> {
    let mut name = column.name().to_owned();
    while columns.iter().any(|other| other.name() == name) {
        name.push_str(suffix);
    }
    let renamed = Column::new(name, column.dtype(), column.inner().to_vec());
    columns.push(renamed.map_err(|wrong| unfit(rule, wrong))?);
    Ok(())
}

/// The number of a column.
pub fn number(input: &mut Reader<'_>) -> Result<u16, RuleError> {
    let number = input.varint()?;
    let past = |_| RuleError::Unreadable(format!("the number {number} is past 16 bits"));
    u16::try_from(number).map_err(past)
}

/// Whether all that an input has is to be looked at, whatever was before.
pub fn is_new(input: &Input<'_>) -> bool {
    input.before.is_none_or(|before| before.rows() != input.rows())
}
