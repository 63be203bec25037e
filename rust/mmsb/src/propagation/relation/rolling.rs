//! The kernels of windows: blocks as long as a window, brought together from both ends.
//!
//! M. van Herk, "A fast algorithm for local minimum and maximum filters", Pattern Recognition Letters 13 (1992), and
//! J. Gil and M. Werman, "Computing 2-D min, median, and max filters", IEEE PAMI 15 (1993), who saw that it serves whatever
//! is associative. It remembers nothing.

use std::marker::PhantomData;

use half::f16;

use crate::algebra::error::AlgebraError;
use crate::algebra::value::Truth;
use crate::page::dtype::DType;
use crate::page::schema::Column;
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Input, Kernel, pieces, read};
use crate::propagation::made::Made;
use crate::propagation::reduction::cells::{Cell, Float, Int};
use crate::propagation::reduction::folds::{Added, Count, Extreme, Fold, Mean, Total};
use crate::propagation::reduction::spec::Reduction;
use crate::propagation::relation::shape::{is_new, one};
use crate::propagation::relation::window::{RULE, Window};
use crate::propagation::runs::{Run, push};

/// The kernel for a column.
pub fn kernel(window: &Window, values: &Column) -> Result<Box<dyn Kernel>, RuleError> {
    Ok(match values.dtype() {
        DType::Bool => int::<Truth>(window, values),
        DType::I8 => int::<i8>(window, values),
        DType::I16 => int::<i16>(window, values),
        DType::I32 => int::<i32>(window, values),
        DType::I64 => int::<i64>(window, values),
        DType::U8 => int::<u8>(window, values),
        DType::U16 => int::<u16>(window, values),
        DType::U32 => int::<u32>(window, values),
        DType::U64 => int::<u64>(window, values),
        DType::F16 => float::<f16>(window, values),
        DType::F32 => float::<f32>(window, values),
        DType::F64 => float::<f64>(window, values),
        dtype @ DType::Bytes(_) => {
            return Err(AlgebraError::Unsupported { name: window.what.name(), dtype }.into());
        }
    })
}

fn int<T: Int>(window: &Window, values: &Column) -> Box<dyn Kernel> {
    match window.what {
        Reduction::Sum => Rolling::<Total<T>>::boxed(window, values),
        Reduction::Mean => Rolling::<Mean<T>>::boxed(window, values),
        _ => cell::<T>(window, values),
    }
}

fn float<T: Float>(window: &Window, values: &Column) -> Box<dyn Kernel> {
    match window.what {
        Reduction::Sum => Rolling::<Added<T, false>>::boxed(window, values),
        Reduction::Mean => Rolling::<Added<T, true>>::boxed(window, values),
        _ => cell::<T>(window, values),
    }
}

fn cell<T: Cell>(window: &Window, values: &Column) -> Box<dyn Kernel> {
    match window.what {
        Reduction::Min => Rolling::<Extreme<T, false>>::boxed(window, values),
        Reduction::Max => Rolling::<Extreme<T, true>>::boxed(window, values),
        _ => Rolling::<Count<T>>::boxed(window, values),
    }
}

/// Makes a page of windows.
#[derive(Debug)]
struct Rolling<F: Fold> {
    column: u16,
    /// Rows of a window.
    rows: u64,
    /// Cells of a row.
    lanes: usize,
    /// Cells of the block before; only their memory stays.
    cells: Vec<F::Cell>,
    /// What its rows come to from each to its last; only the memory stays.
    behind: Vec<F::Sum>,
    fold: PhantomData<F>,
}

impl<F: Fold> Rolling<F> {
    fn boxed(window: &Window, values: &Column) -> Box<dyn Kernel> {
        let (column, rows, lanes) = (window.column, window.rows, values.cells_per_row() as usize);
        Box::new(Self { column, rows, lanes, cells: Vec::new(), behind: Vec::new(), fold: PhantomData })
    }

    /// Brings the rows of a block together from each of them, `first` the first, to its last.
    fn suffixes(&mut self, input: &Input<'_>, first: u64, stop: u64) -> Result<(), RuleError> {
        let lanes = self.lanes as u64;
        self.cells.clear();
        read(&input.column(self.column), first * lanes, stop * lanes, &mut self.cells)?;
        self.behind.clear();
        self.behind.extend(self.cells.iter().map(|cell| F::lift(*cell, 0)));
        for at in (0..self.behind.len().saturating_sub(self.lanes)).rev() {
            self.behind[at] = F::op(self.behind[at], self.behind[at + self.lanes]);
        }
        Ok(())
    }

    /// Makes the rows of a run that end in one block, the first row of which is given.
    fn block(
        &mut self,
        input: &Input<'_>,
        block: u64,
        run: Run,
        room: &mut [F::Out],
    ) -> Result<(), RuleError> {
        // The first row of the first window; those before the block are as many as there are sums behind.
        let oldest = (run.start + 1).saturating_sub(self.rows);
        self.behind.clear();
        if oldest < block {
            self.suffixes(input, oldest, block)?;
        }
        let (lanes, rows, behind) = (self.lanes, self.rows, &self.behind);
        let mut front = vec![F::ZERO; lanes];
        let (first, skipped) = (block * lanes as u64, (run.start - block) as usize * lanes);
        let mut lane = 0;
        pieces::<F::Cell>(&input.column(self.column), first, run.stop * lanes as u64, |at, cells| {
            let from = (at - first) as usize;
            for (i, &cell) in (from..).zip(cells) {
                front[lane] = F::op(front[lane], F::lift(cell, 0));
                if i >= skipped {
                    let out = i - skipped;
                    let row = run.start + (out / lanes) as u64;
                    let sum = match behind.get(out) {
                        Some(&behind) => F::op(behind, front[lane]),
                        None => front[lane],
                    };
                    room[out] = F::finish(sum, rows.min(row + 1));
                }
                lane = if lane + 1 == lanes { 0 } else { lane + 1 };
            }
            Ok(())
        })
    }

    fn make(&mut self, input: &Input<'_>, run: Run, made: &mut Made) -> Result<(), RuleError> {
        let lanes = self.lanes as u64;
        let mut room = made.room::<F::Out>(0, run.start * lanes, (run.rows() * lanes) as usize);
        let mut first = run.start;
        while first < run.stop {
            let block = first - first % self.rows;
            let stop = run.stop.min(block.saturating_add(self.rows));
            let (head, tail) = room.split_at_mut(((stop - first) * lanes) as usize);
            self.block(input, block, Run::new(first, stop), head)?;
            (room, first) = (tail, stop);
        }
        Ok(())
    }
}

impl<F: Fold> Kernel for Rolling<F> {
    fn run(&mut self, inputs: &[Input<'_>], made: &mut Made) -> Result<(), RuleError> {
        let input = one(RULE, inputs)?;
        if is_new(input) {
            return self.make(input, Run::new(0, input.rows()), made);
        }
        let mut runs: Vec<Run> = Vec::new();
        for run in input.changed(self.column) {
            let stop = run.stop.saturating_add(self.rows - 1).min(input.rows());
            // Going over the blocks before once more costs as much as a window between two runs.
            match runs.last_mut() {
                Some(last) if run.start.saturating_sub(last.stop) <= self.rows => last.stop = stop,
                _ => push(&mut runs, Run::new(run.start, stop)),
            }
        }
        runs.into_iter().try_for_each(|run| self.make(input, run, made))
    }
}
