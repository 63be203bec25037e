//! What can be wrong with a schema, a selection, a delta or an operator.

use crate::base::codec::CodecError;
use crate::page::dtype::DType;
use crate::page::operator::OperatorId;
use thiserror::Error;

/// An error of the page room's plain data: nothing was changed when one is returned.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PageError {
    /// A type of cell that pages cannot hold.
    #[error(
        "unsupported dtype '{name}': pages hold bool, int8 to int64, uint8 to uint64, float16 to float64 and S1 to S65535, little endian"
    )]
    UnsupportedDtype {
        /// As it was asked for.
        name: String,
    },
    /// A name of a page, column or branch that cannot be one.
    #[error("{what} name {name:?} {why}")]
    BadName {
        /// `page`, `column` or `branch`.
        what: &'static str,
        /// The name, cut to a readable length.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A schema that breaks a rule.
    #[error("invalid schema: {why}")]
    BadSchema {
        /// The rule, with its numbers.
        why: String,
    },
    /// A page that would be larger than a page may be.
    #[error("a page of {rows} rows of {row_bytes} bytes is larger than the limit of {limit} bytes")]
    PageTooLarge {
        /// Rows asked for.
        rows: u64,
        /// Bytes of one row over all columns.
        row_bytes: u64,
        /// The most bytes a page may have.
        limit: u64,
    },
    /// A column that the page does not have.
    #[error("column {column} is out of range: the page has {columns}")]
    NoSuchColumn {
        /// The column's number.
        column: u16,
        /// How many there are.
        columns: usize,
    },
    /// An index past the end of its axis.
    #[error("index {index} is out of range for {axis} of size {size}")]
    IndexOutOfRange {
        /// Which axis.
        axis: Axes,
        /// The first index found out of range.
        index: u64,
        /// The axis's size.
        size: u64,
    },
    /// A selection that is not one: a step of zero, a wrong number of axes, too many cells to count.
    #[error("invalid selection: {why}")]
    BadSelection {
        /// What is wrong, with its numbers.
        why: String,
    },
    /// Data that does not fill the selection.
    #[error("data of {got} bytes for a selection of {cells} cells of {dtype} ({wanted} bytes)")]
    DataLength {
        /// Bytes handed in.
        got: u64,
        /// Bytes the selection needs.
        wanted: u64,
        /// Cells selected.
        cells: u64,
        /// The column's type.
        dtype: DType,
    },
    /// An operator that nobody registered.
    #[error("no operator has the {0}")]
    UnknownOperator(OperatorId),
    /// An operator that nobody registered, by name.
    #[error("no operator is named '{0}'")]
    UnknownOperatorName(String),
    /// An id or name that is already an operator's, or id 0, which is assignment.
    #[error("operator '{name}' cannot be registered: its id or its name is taken")]
    OperatorTaken {
        /// The name it came with.
        name: &'static str,
    },
    /// An operator that means nothing on this type of cell.
    #[error("operator '{operator}' does not work on {dtype}")]
    UnsupportedOperator {
        /// The operator's name.
        operator: &'static str,
        /// The column's type.
        dtype: DType,
    },
    /// The bytes of a schema or delta that mean nothing.
    #[error("malformed bytes: {0}")]
    Malformed(&'static str),
    /// The bytes of a schema or delta that end too soon.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// An axis of a column, for messages.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Axes {
    /// The rows.
    Rows,
    /// An inner axis, counted from 0.
    Inner(usize),
    /// All cells of the column in one flat row.
    Cells,
}

impl std::fmt::Display for Axes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows => f.write_str("rows"),
            Self::Inner(axis) => write!(f, "inner axis {axis}"),
            Self::Cells => f.write_str("cells"),
        }
    }
}
