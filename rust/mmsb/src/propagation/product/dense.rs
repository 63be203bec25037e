//! A dense matrix times a vector, or a dense matrix. It remembers nothing, for what it reads it also goes over.

use crate::algebra::family::Family;
use crate::algebra::linear::{Matrix, matrix_matrix, matrix_vector};
use crate::page::dtype::DType;
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Input, Kernel};
use crate::propagation::made::Made;
use crate::propagation::product::gather::Gather;
use crate::propagation::product::spec::inputs;
use crate::propagation::runs::Run;

/// Bytes of rows that are multiplied at once.
const BLOCK: u64 = 1 << 16;

/// The product of two inputs.
#[derive(Debug)]
pub struct Dense {
    which: (Family, DType),
    /// Cells of a row of the left one.
    inner: usize,
    /// Cells of a row of the right one; `None` where that is a vector.
    width: Option<usize>,
    rows: Gather,
    right: Gather,
}

impl Dense {
    /// The product of rows of `inner` cells with a vector, or with rows of `width`.
    pub fn new(which: (Family, DType), inner: usize, width: Option<usize>) -> Self {
        Self { which, inner, width, rows: Gather::default(), right: Gather::default() }
    }
}

impl Kernel for Dense {
    fn run(&mut self, given: &[Input<'_>], made: &mut Made) -> Result<(), RuleError> {
        let [left, right] = inputs(given)?;
        let whole = [Run::new(0, left.rows())];
        let all = left.before.is_none() || right.before.is_none() || !right.changed(0).is_empty();
        let changed = if all { &whole[..] } else { left.changed(0) };
        if changed.is_empty() {
            return Ok(());
        }
        let (matrix, other) = (left.column(0), right.column(0));
        let other = self.right.take(&other, 0..other.bytes);
        let size = self.which.1.size();
        let (row, width) = ((self.inner * size) as u64, self.width.unwrap_or(1));
        for run in changed {
            let mut first = run.start;
            while first < run.stop.min(left.rows()) {
                let stop = (first + (BLOCK / row).max(1)).min(run.stop).min(left.rows());
                let values = self.rows.take(&matrix, first * row..stop * row);
                let rows = (stop - first) as usize;
                let out = made.room_of_bytes(0, first * width as u64, rows * width * size);
                match self.width {
                    None => {
                        let matrix = Matrix::Dense { values, columns: self.inner };
                        matrix_vector(self.which, matrix, other, 0..rows, out)?;
                    }
                    Some(width) => matrix_matrix(self.which, values, other, (self.inner, width), out)?,
                }
                first = stop;
            }
        }
        Ok(())
    }
}
