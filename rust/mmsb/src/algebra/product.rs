//! Products of matrices and vectors over a semiring, dense and in compressed sparse rows.
//!
//! The order in which a cell is brought together is a part of the result, for floats are not associative. So it is the
//! same everywhere: of a dense row, value `i` goes to lane `i % 16`, of a sparse one to lane `i % 4`, each lane in order,
//! and the lanes by halves. It depends on nothing else, so a row made anew has the bits of the whole made anew.
//!
//! Loops go by number: what std's iterators are made of is sometimes called, not compiled in, where wider instructions are
//! used, and then nothing is wide.
#![allow(clippy::needless_range_loop, reason = "see above")]

use std::ops::Range;

use crate::algebra::fold::bring_together;
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

/// The product of a row and a vector as long: quickly, and again with care where something in it is peculiar.
#[inline(always)]
fn dot<T: Copy + PartialEq, S: Semiring<T>>(row: &[T], vector: &[T]) -> T {
    // What is peculiar is noted by lane, as a value of its own type: so all lanes are looked at in one go.
    let (mut lanes, mut peculiar) = ([S::ZERO; LANES], [S::ZERO; LANES]);
    let (rows, rest) = row.as_chunks::<LANES>();
    let (vectors, vector_rest) = vector.as_chunks::<LANES>();
    for at in 0..rows.len().min(vectors.len()) {
        let (a, x) = (&rows[at], &vectors[at]);
        for i in 0..LANES {
            let (sum, is_plain) = S::quick(lanes[i], a[i], x[i]);
            lanes[i] = sum;
            peculiar[i] = if is_plain { peculiar[i] } else { S::ONE };
        }
    }
    for i in 0..rest.len().min(vector_rest.len()) {
        let (sum, is_plain) = S::quick(lanes[i], rest[i], vector_rest[i]);
        lanes[i] = sum;
        peculiar[i] = if is_plain { peculiar[i] } else { S::ONE };
    }
    let mut is_plain = true;
    for i in 0..LANES {
        is_plain &= peculiar[i] == S::ZERO;
    }
    if is_plain { bring_together(lanes, S::add) } else { careful_dot::<T, S>(row, vector) }
}

/// The product of a row and a vector as long, whatever is in them.
#[inline(always)]
fn careful_dot<T: Copy, S: Semiring<T>>(row: &[T], vector: &[T]) -> T {
    let mut lanes = [S::ZERO; LANES];
    let (rows, rest) = row.as_chunks::<LANES>();
    let (vectors, vector_rest) = vector.as_chunks::<LANES>();
    for at in 0..rows.len().min(vectors.len()) {
        let (a, x) = (&rows[at], &vectors[at]);
        for i in 0..LANES {
            lanes[i] = S::add(lanes[i], S::mul(a[i], x[i]));
        }
    }
    for i in 0..rest.len().min(vector_rest.len()) {
        lanes[i] = S::add(lanes[i], S::mul(rest[i], vector_rest[i]));
    }
    bring_together(lanes, S::add)
}

/// Rows of a dense matrix times a vector: `out[r] = sum(matrix[r][c] * vector[c])`. The matrix has `out.len()` rows as long as
/// the vector.
#[inline(always)]
pub(crate) fn dense_vector<T: Copy + PartialEq, S: Semiring<T>>(matrix: &[T], vector: &[T], out: &mut [T]) {
    if vector.is_empty() {
        out.fill(S::ZERO);
        return;
    }
    let width = vector.len();
    for at in 0..out.len().min(matrix.len() / width) {
        out[at] = dot::<T, S>(&matrix[at * width..(at + 1) * width], vector);
    }
}

/// Rows of a sparse matrix times a vector. Cells that are not there are zeros, which annihilate. `None` where a row is no range
/// of the entries, or one of its columns not in the vector; rows before it are written.
#[inline(always)]
pub(crate) fn sparse_vector<T: Copy, S: Semiring<T>>(
    matrix: &Csr<'_, T>,
    rows: Range<usize>,
    vector: &[T],
    out: &mut [T],
) -> Option<()> {
    for at in 0..out.len().min(rows.len()) {
        let (cells, out) = (matrix.row(rows.start + at), &mut out[at]);
        let (columns, values) = (matrix.columns.get(cells.clone())?, matrix.values.get(cells)?);
        let mut is_plain = true;
        let quick = |sum, a, x| {
            let (sum, plain) = S::quick(sum, a, x);
            is_plain &= plain;
            sum
        };
        *out = sparse_by::<T, S>(columns, values, vector, quick)?;
        if !is_plain {
            *out = sparse_by::<T, S>(columns, values, vector, |sum, a, x| S::add(sum, S::mul(a, x)))?;
        }
    }
    Some(())
}

/// Rows of a sparse matrix times a dense matrix of `width` columns, each cell in the order of the row's entries. `None` as of
/// [`sparse_vector`].
#[inline(always)]
pub(crate) fn sparse_dense<T: Copy, S: Semiring<T>>(
    matrix: &Csr<'_, T>,
    rows: Range<usize>,
    (right, width): (&[T], usize),
    out: &mut [T],
) -> Option<()> {
    out.fill(S::ZERO);
    for at in 0..rows.len() {
        let cells = matrix.row(rows.start + at);
        let (columns, values) = (matrix.columns.get(cells.clone())?, matrix.values.get(cells)?);
        let out = out.get_mut(at * width..(at + 1) * width)?;
        for entry in 0..columns.len().min(values.len()) {
            let column = columns[entry] as usize;
            let right = right.get(column * width..(column + 1) * width)?;
            for i in 0..width {
                out[i] = S::add(out[i], S::mul(values[entry], right[i]));
            }
        }
    }
    Some(())
}

/// A sparse row times a vector by what brings one more product to a lane.
#[inline(always)]
fn sparse_by<T: Copy, S: Semiring<T>>(
    columns: &[u32],
    values: &[T],
    vector: &[T],
    mut bring: impl FnMut(T, T, T) -> T,
) -> Option<T> {
    let mut lanes = [S::ZERO; FEW];
    let (many, rest) = columns.as_chunks::<FEW>();
    let (many_values, rest_values) = values.as_chunks::<FEW>();
    for at in 0..many.len().min(many_values.len()) {
        for i in 0..FEW {
            lanes[i] = bring(lanes[i], many_values[at][i], *vector.get(many[at][i] as usize)?);
        }
    }
    for i in 0..rest.len().min(rest_values.len()) {
        lanes[i] = bring(lanes[i], rest_values[i], *vector.get(rest[i] as usize)?);
    }
    Some(bring_together(lanes, S::add))
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
    for at in 0..(left.len() / inner).min(out.len() / width) {
        let (row, out) = (&left[at * inner..(at + 1) * inner], &mut out[at * width..(at + 1) * width]);
        for k in 0..inner {
            let (a, right) = (row[k], &right[k * width..(k + 1) * width]);
            for i in 0..width {
                out[i] = S::add(out[i], S::mul(a, right[i]));
            }
        }
    }
}
