//! What is wrong with what the algebra was asked for.

use std::ops::Range;

use crate::algebra::ladder::Traits;
use crate::page::dtype::DType;
use thiserror::Error;

/// What is wrong with what the algebra was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AlgebraError {
    /// No semiring of this name.
    #[error("there is no semiring '{name}': {known}")]
    UnknownSemiring {
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// No reduction of this name.
    #[error("there is no reduction '{name}': {known}")]
    UnknownReduction {
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// It means nothing on cells of this type.
    #[error("'{name}' is not for cells of {dtype}")]
    Unsupported {
        /// The semiring or reduction.
        name: &'static str,
        /// The type.
        dtype: DType,
    },
    /// It lacks laws that somebody needs.
    #[error("{whom} needs what the semiring {name} on {dtype} is not: {lacks}")]
    Lacks {
        /// The semiring.
        name: &'static str,
        /// The type of cell.
        dtype: DType,
        /// The laws.
        lacks: Traits,
        /// Who needs them.
        whom: &'static str,
    },
    /// Bytes that are no cells.
    #[error("{bytes} bytes, {off} before the next whole cell, are no cells of {dtype}")]
    Misaligned {
        /// How many.
        bytes: usize,
        /// The type.
        dtype: DType,
        /// Bytes to the next address where a cell may lie.
        off: usize,
    },
    /// A dense matrix and a vector of different lengths.
    #[error("a matrix of {columns} columns cannot be multiplied with a vector of {width} cells")]
    Width {
        /// Columns of the matrix.
        columns: usize,
        /// Cells of the vector.
        width: usize,
    },
    /// A dense matrix whose last row is not whole.
    #[error("{bytes} bytes are not whole rows of {row} bytes")]
    Ragged {
        /// Bytes of the matrix.
        bytes: usize,
        /// Bytes of a row.
        row: usize,
    },
    /// The three parts of a sparse matrix do not fit together.
    #[error(
        "a sparse matrix whose rows end at cell {starts} has {columns} columns of cells and {values} values of cells"
    )]
    Cells {
        /// Where the last row ends.
        starts: u64,
        /// Columns that are told.
        columns: usize,
        /// Values there are.
        values: usize,
    },
    /// A row of a sparse matrix ends before it begins.
    #[error("row {row} of a sparse matrix ends before it begins")]
    Descends {
        /// The row.
        row: usize,
    },
    /// A cell of a sparse matrix in a column that the vector has not.
    #[error("cell {cell} of a sparse matrix is in column {column}, and the vector has {width} cells")]
    Column {
        /// The cell, among all.
        cell: usize,
        /// Its column.
        column: u32,
        /// Cells of the vector.
        width: usize,
    },
    /// Rows that are not there, or that the output has not.
    #[error("rows {rows:?} of a matrix of {there} into {out} cells")]
    Rows {
        /// Those asked for.
        rows: Range<usize>,
        /// Rows of the matrix.
        there: usize,
        /// Cells of the output.
        out: usize,
    },
    /// An array that is longer or shorter than it must be.
    #[error("'{what}' has {cells} cells and needs {wanted}")]
    Length {
        /// Which.
        what: &'static str,
        /// Cells it has.
        cells: usize,
        /// Cells it needs.
        wanted: usize,
    },
}
