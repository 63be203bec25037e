//! Products of matrices and vectors by the name of a semiring and the type of their cells.

use std::marker::PhantomData;
use std::ops::Range;

use crate::algebra::error::AlgebraError;
use crate::algebra::family::{Family, OnSemiring};
use crate::algebra::ladder::Semiring;
use crate::algebra::product::{self, Csr};
use crate::algebra::value::{Value, cells, cells_mut};
use crate::base::wide::{Loop, Wide};
use crate::page::dtype::DType;

/// A matrix, as the bytes of its cells.
#[derive(Copy, Clone, Debug)]
pub enum Matrix<'a> {
    /// All cells, row after row.
    Dense {
        /// Their bytes.
        values: &'a [u8],
        /// Cells of a row.
        columns: usize,
    },
    /// Some cells, row after row; the others are zeros of the semiring.
    Sparse {
        /// Where each row's cells begin and the last one's end: one more than rows, ascending.
        starts: &'a [u64],
        /// The column of each cell.
        columns: &'a [u32],
        /// Their bytes.
        values: &'a [u8],
    },
}

impl Matrix<'_> {
    /// Rows, of cells of this type.
    #[must_use]
    pub fn rows(&self, dtype: DType) -> usize {
        match *self {
            Matrix::Dense { columns: 0, .. } => 0,
            Matrix::Dense { values, columns } => values.len() / dtype.size() / columns,
            Matrix::Sparse { starts, .. } => starts.len().saturating_sub(1),
        }
    }

    /// Makes sure that its lengths go with a vector of `width` cells of this type.
    fn check(&self, dtype: DType, width: usize) -> Result<(), AlgebraError> {
        match *self {
            Matrix::Dense { values, columns } => {
                if columns != width {
                    return Err(AlgebraError::Width { columns, width });
                }
                let row = columns * dtype.size();
                if row > 0 && !values.len().is_multiple_of(row) {
                    return Err(AlgebraError::Ragged { bytes: values.len(), row });
                }
            }
            Matrix::Sparse { starts, columns, values } => {
                let cells = values.len() / dtype.size();
                let last = starts.last().copied().unwrap_or(0);
                if columns.len() != cells || last != cells as u64 {
                    return Err(AlgebraError::Cells { starts: last, columns: columns.len(), values: cells });
                }
            }
        }
        Ok(())
    }
}

/// What is wrong with a sparse matrix whose lengths fit, where not all of its cells are there or have one to go with.
fn misplaced(starts: &[u64], columns: &[u32], width: usize) -> AlgebraError {
    if let Some(row) = starts.windows(2).position(|pair| pair[0] > pair[1]) {
        return AlgebraError::Descends { row };
    }
    let mut cells = columns.iter().enumerate();
    let (cell, column) = cells.find(|(_, column)| **column as usize >= width).unwrap_or((0, &0));
    AlgebraError::Column { cell, column: *column, width }
}

/// Rows of a matrix times a vector over a semiring: `out[r] = sum over c of matrix[r][c] * vector[c]`, for the rows of `rows`.
/// All are bytes of cells of `dtype`, aligned to them; `out` has a cell for each of `rows`.
///
/// # Errors
/// [`AlgebraError::Unsupported`], and where lengths and columns do not fit together. What `out` has then is not said.
pub fn matrix_vector(
    which: (Family, DType),
    matrix: Matrix<'_>,
    vector: &[u8],
    rows: Range<usize>,
    out: &mut [u8],
) -> Result<(), AlgebraError> {
    matrix_vector_with(Wide::best(), which, matrix, vector, rows, out)
}

/// [`matrix_vector`] with these instructions: for those who compare what they do and take.
///
/// # Errors
/// As [`matrix_vector`].
pub fn matrix_vector_with(
    wide: Wide,
    (family, dtype): (Family, DType),
    matrix: Matrix<'_>,
    vector: &[u8],
    rows: Range<usize>,
    out: &mut [u8],
) -> Result<(), AlgebraError> {
    matrix.check(dtype, vector.len() / dtype.size())?;
    let (there, wanted) = (matrix.rows(dtype), out.len() / dtype.size());
    if rows.len() != wanted || rows.end > there {
        return Err(AlgebraError::Rows { rows, there, out: wanted });
    }
    family.with(dtype, Vector { wide, matrix, vector, rows, out })?
}

/// What [`matrix_vector`] was given.
struct Vector<'a> {
    wide: Wide,
    matrix: Matrix<'a>,
    vector: &'a [u8],
    rows: Range<usize>,
    out: &'a mut [u8],
}

impl OnSemiring for Vector<'_> {
    type Out = Result<(), AlgebraError>;

    fn on<T: Value, S: Semiring<T>>(self) -> Self::Out {
        let (vector, out) = (cells::<T>(self.vector)?, cells_mut::<T>(self.out)?);
        match self.matrix {
            Matrix::Dense { values, columns } => {
                let values = &cells::<T>(values)?[self.rows.start * columns..self.rows.end * columns];
                self.wide.run(DenseVector::<T, S> { values, vector, out, semiring: PhantomData });
            }
            Matrix::Sparse { starts, columns, values } => {
                let matrix = Csr { starts, columns, values: cells::<T>(values)? };
                let (rows, semiring) = (self.rows, PhantomData);
                let done = self.wide.run(SparseVector::<T, S> { matrix, rows, vector, out, semiring });
                return done.ok_or_else(|| misplaced(starts, columns, vector.len()));
            }
        }
        Ok(())
    }
}

/// Rows of a matrix in compressed sparse rows (`starts`, `columns`, `values`, as in [`Matrix::Sparse`]) times a dense matrix with
/// rows of `width` cells: `out[r][c] = sum over k of matrix[r][k] * right[k][c]`, each cell in the order of the row's entries.
/// One of a single column is a vector, and multiplied as [`matrix_vector`] does.
///
/// # Errors
/// As [`matrix_vector`].
pub fn sparse_matrix(
    which: (Family, DType),
    (starts, columns, values): (&[u64], &[u32], &[u8]),
    (right, width): (&[u8], usize),
    rows: Range<usize>,
    out: &mut [u8],
) -> Result<(), AlgebraError> {
    let matrix = Matrix::Sparse { starts, columns, values };
    let (family, dtype) = which;
    if width == 1 {
        return matrix_vector(which, matrix, right, rows, out);
    }
    let (size, there) = (dtype.size(), matrix.rows(dtype));
    let height = (right.len() / size).checked_div(width).unwrap_or(0);
    if right.len() != height * width * size {
        return Err(AlgebraError::Ragged { bytes: right.len(), row: width * size });
    }
    matrix.check(dtype, height)?;
    if out.len() != rows.len() * width * size || rows.end > there {
        return Err(AlgebraError::Rows { rows, there, out: out.len() / size / width.max(1) });
    }
    family.with(dtype, Sparse { starts, columns, values, right, width, rows, out })?
}

/// What [`sparse_matrix`] was given.
struct Sparse<'a> {
    starts: &'a [u64],
    columns: &'a [u32],
    values: &'a [u8],
    right: &'a [u8],
    width: usize,
    rows: Range<usize>,
    out: &'a mut [u8],
}

impl OnSemiring for Sparse<'_> {
    type Out = Result<(), AlgebraError>;

    fn on<T: Value, S: Semiring<T>>(self) -> Self::Out {
        let Sparse { starts, columns, width, rows, .. } = self;
        let (right, out) = (cells::<T>(self.right)?, cells_mut::<T>(self.out)?);
        let matrix = Csr { starts, columns, values: cells::<T>(self.values)? };
        let done =
            Wide::best().run(SparseDense::<T, S> { matrix, rows, right, width, out, semiring: PhantomData });
        done.ok_or_else(|| misplaced(starts, columns, right.len().checked_div(width).unwrap_or(0)))
    }
}

struct SparseDense<'a, T, S> {
    matrix: Csr<'a, T>,
    rows: Range<usize>,
    right: &'a [T],
    width: usize,
    out: &'a mut [T],
    semiring: PhantomData<S>,
}

impl<T: Value, S: Semiring<T>> Loop for SparseDense<'_, T, S> {
    type Out = Option<()>;

    #[inline(always)]
    fn run(self) -> Self::Out {
        product::sparse_dense::<T, S>(&self.matrix, self.rows, (self.right, self.width), self.out)
    }
}

struct DenseVector<'a, T, S> {
    values: &'a [T],
    vector: &'a [T],
    out: &'a mut [T],
    semiring: PhantomData<S>,
}

impl<T: Value, S: Semiring<T>> Loop for DenseVector<'_, T, S> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        product::dense_vector::<T, S>(self.values, self.vector, self.out);
    }
}

struct SparseVector<'a, T, S> {
    matrix: Csr<'a, T>,
    rows: Range<usize>,
    vector: &'a [T],
    out: &'a mut [T],
    semiring: PhantomData<S>,
}

impl<T: Value, S: Semiring<T>> Loop for SparseVector<'_, T, S> {
    type Out = Option<()>;

    #[inline(always)]
    fn run(self) -> Self::Out {
        product::sparse_vector::<T, S>(&self.matrix, self.rows, self.vector, self.out)
    }
}

/// A dense matrix times a dense matrix over a semiring: `out[r][c] = sum over k of left[r][k] * right[k][c]`, each cell brought
/// together in the order of `k`. `left` has rows of `inner` cells, `right` has `inner` rows of `width`.
///
/// # Errors
/// [`AlgebraError::Unsupported`], and where lengths do not fit together. `out` stays as it is.
pub fn matrix_matrix(
    which: (Family, DType),
    left: &[u8],
    right: &[u8],
    shape: (usize, usize),
    out: &mut [u8],
) -> Result<(), AlgebraError> {
    matrix_matrix_with(Wide::best(), which, left, right, shape, out)
}

/// [`matrix_matrix`] with these instructions: for those who compare what they do and take.
///
/// # Errors
/// As [`matrix_matrix`].
pub fn matrix_matrix_with(
    wide: Wide,
    (family, dtype): (Family, DType),
    left: &[u8],
    right: &[u8],
    (inner, width): (usize, usize),
    out: &mut [u8],
) -> Result<(), AlgebraError> {
    let size = dtype.size();
    let rows = (left.len() / size).checked_div(inner).unwrap_or(0);
    let row = inner * size;
    if row > 0 && !left.len().is_multiple_of(row) {
        return Err(AlgebraError::Ragged { bytes: left.len(), row });
    }
    if right.len() != inner * width * size {
        return Err(AlgebraError::Length { what: "right", cells: right.len() / size, wanted: inner * width });
    }
    if inner > 0 && out.len() != rows * width * size {
        return Err(AlgebraError::Length { what: "out", cells: out.len() / size, wanted: rows * width });
    }
    family.with(dtype, Dense { wide, left, right, inner, width, out })?
}

/// What [`matrix_matrix`] was given.
struct Dense<'a> {
    wide: Wide,
    left: &'a [u8],
    right: &'a [u8],
    inner: usize,
    width: usize,
    out: &'a mut [u8],
}

impl OnSemiring for Dense<'_> {
    type Out = Result<(), AlgebraError>;

    fn on<T: Value, S: Semiring<T>>(self) -> Self::Out {
        let (left, right) = (cells::<T>(self.left)?, cells::<T>(self.right)?);
        let (inner, width, out) = (self.inner, self.width, cells_mut::<T>(self.out)?);
        self.wide.run(DenseDense::<T, S> { left, right, inner, width, out, semiring: PhantomData });
        Ok(())
    }
}

struct DenseDense<'a, T, S> {
    left: &'a [T],
    right: &'a [T],
    inner: usize,
    width: usize,
    out: &'a mut [T],
    semiring: PhantomData<S>,
}

impl<T: Value, S: Semiring<T>> Loop for DenseDense<'_, T, S> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        product::dense_dense::<T, S>(self.left, self.right, (self.inner, self.width), self.out);
    }
}
