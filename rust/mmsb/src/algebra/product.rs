//! Products of matrices and vectors over a semiring, dense and in compressed sparse rows.
//!
//! The order in which a cell is brought together is a part of the result, for floats are not associative. So it is the
//! same everywhere: of a dense row, value `i` goes to lane `i % 16`, of a sparse one to lane `i % 4`, each lane in order,
//! and the lanes by halves. It depends on nothing else, so a row made anew has the bits of the whole made anew.

use std::ops::Range;

use crate::algebra::ladder::Semiring;

/// Lanes of a dense row.
const LANES: usize = 16;
/// Lanes of a sparse row.
const FEW: usize = 4;

/// A matrix of which only some cells are there, row after row.
#[derive(Copy, Clone, Debug)]
pub struct Csr<'a, T> {
    /// Where each row's cells begin, and behind the last, where they end: one more than there are rows, ascending.
    pub starts: &'a [u64],
    /// The column of each cell.
    pub columns: &'a [u32],
    /// The value of each cell.
    pub values: &'a [T],
}

impl<T: Copy> Csr<'_, T> {
    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The cells of a row.
    fn row(&self, row: usize) -> Range<usize> {
        self.starts[row] as usize..self.starts[row + 1] as usize
    }
}

#[inline(always)]
fn halves<T: Copy, S: Semiring<T>, const N: usize>(mut lanes: [T; N]) -> T {
    let mut left = N / 2;
    while left > 0 {
        for i in 0..left {
            lanes[i] = S::add(lanes[i], lanes[i + left]);
        }
        left /= 2;
    }
    lanes[0]
}

/// The product of a row and a vector as long.
#[inline(always)]
fn dot<T: Copy, S: Semiring<T>>(row: &[T], vector: &[T]) -> T {
    let mut lanes = [S::ZERO; LANES];
    let (rows, rest) = row.as_chunks::<LANES>();
    let (vectors, vector_rest) = vector.as_chunks::<LANES>();
    for (a, x) in rows.iter().zip(vectors) {
        for i in 0..LANES {
            lanes[i] = S::add(lanes[i], S::mul(a[i], x[i]));
        }
    }
    for ((lane, a), x) in lanes.iter_mut().zip(rest).zip(vector_rest) {
        *lane = S::add(*lane, S::mul(*a, *x));
    }
    halves::<T, S, LANES>(lanes)
}

/// Rows of a dense matrix times a vector: `out[r] = sum(matrix[r][c] * vector[c])`. The matrix has `out.len()` rows as long as
/// the vector.
#[inline(always)]
pub(crate) fn dense_vector<T: Copy, S: Semiring<T>>(matrix: &[T], vector: &[T], out: &mut [T]) {
    if vector.is_empty() {
        out.fill(S::ZERO);
        return;
    }
    for (row, out) in matrix.chunks_exact(vector.len()).zip(out) {
        *out = dot::<T, S>(row, vector);
    }
}

/// Rows of a sparse matrix times a vector. Cells that are not there are zeros, which annihilate.
#[inline(always)]
pub(crate) fn sparse_vector<T: Copy, S: Semiring<T>>(
    matrix: &Csr<'_, T>,
    rows: Range<usize>,
    vector: &[T],
    out: &mut [T],
) {
    for (row, out) in rows.zip(out) {
        let cells = matrix.row(row);
        let (columns, values) = (&matrix.columns[cells.clone()], &matrix.values[cells]);
        let mut lanes = [S::ZERO; FEW];
        let (many, rest) = columns.as_chunks::<FEW>();
        let (many_values, rest_values) = values.as_chunks::<FEW>();
        for (columns, values) in many.iter().zip(many_values) {
            for i in 0..FEW {
                lanes[i] = S::add(lanes[i], S::mul(values[i], vector[columns[i] as usize]));
            }
        }
        for ((lane, column), value) in lanes.iter_mut().zip(rest).zip(rest_values) {
            *lane = S::add(*lane, S::mul(*value, vector[*column as usize]));
        }
        *out = halves::<T, S, FEW>(lanes);
    }
}

/// Rows of a dense matrix times a dense matrix of `width` columns: `out[r][c] = sum(left[r][k] * right[k][c])`, each cell in
/// the order of `k`.
#[inline(always)]
pub(crate) fn dense_dense<T: Copy, S: Semiring<T>>(
    left: &[T],
    right: &[T],
    (inner, width): (usize, usize),
    out: &mut [T],
) {
    out.fill(S::ZERO);
    if inner == 0 || width == 0 {
        return;
    }
    for (row, out) in left.chunks_exact(inner).zip(out.chunks_exact_mut(width)) {
        for (a, right) in row.iter().zip(right.chunks_exact(width)) {
            for (out, b) in out.iter_mut().zip(right) {
                *out = S::add(*out, S::mul(*a, *b));
            }
        }
    }
}
