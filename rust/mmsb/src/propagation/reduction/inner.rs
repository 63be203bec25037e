//! Reductions along an inner axis: each row by itself, so that nothing is remembered.

use crate::algebra::fold::{FAN_IN, bring_together};
use crate::base::wide::{Loop, Wide};
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Input, Kernel, read};
use crate::propagation::made::Made;
use crate::propagation::reduction::folds::Fold;
use crate::propagation::reduction::spec::one;
use crate::propagation::reduction::tree::{above_all, above_cells};
use crate::propagation::runs::Run;

/// Cells that are worked on at once, unless a row has more: what the nearest cache holds.
const TILE: u64 = 2048;

/// The axis.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    /// The column.
    pub column: u16,
    /// Cells along the axes before it.
    pub before: u64,
    /// Cells along it.
    pub along: u64,
    /// Cells along the axes behind it.
    pub behind: u64,
}

/// A reduction of every row along one axis, by the fixed tree.
#[derive(Debug)]
pub struct Inner<F: Fold> {
    axis: Axis,
    cells: Vec<F::Cell>,
    sums: Vec<F::Sum>,
    halves: Vec<F::Sum>,
}

impl<F: Fold> Inner<F> {
    /// One without memory.
    pub fn new(axis: Axis) -> Self {
        Self { axis, cells: Vec::new(), sums: Vec::new(), halves: Vec::new() }
    }
}

impl<F: Fold> Kernel for Inner<F> {
    fn run(&mut self, inputs: &[Input<'_>], made: &mut Made) -> Result<(), RuleError> {
        let (input, axis) = (one(inputs)?, self.axis);
        let column = input.column(axis.column);
        let (gives, takes) = (axis.before * axis.behind, axis.before * axis.behind * axis.along);
        let all = [Run::new(0, input.rows())];
        let runs = if input.before.is_some() { input.changed(axis.column) } else { &all };
        let wide = Wide::best();
        for run in runs {
            let stop = run.stop.min(input.rows());
            let rows = Run::new(run.start, stop).rows();
            let mut room = made.room::<F::Out>(0, run.start * gives, (rows * gives) as usize);
            let mut row = run.start;
            while row < stop {
                let end = stop.min(row + (TILE / takes).max(1));
                self.cells.clear();
                read(&column, row * takes, end * takes, &mut self.cells)?;
                let (out, rest) = room.split_at_mut(((end - row) * gives) as usize);
                let (cells, sums, halves) = (&self.cells, &mut self.sums, &mut self.halves);
                let (along, lanes) = (axis.along as usize, axis.behind as usize);
                wide.run(Rows::<F> { cells, along, lanes, out, sums, halves });
                (row, room) = (end, rest);
            }
        }
        Ok(())
    }
}

/// Whole boxes of the axis and those behind it.
struct Rows<'a, F: Fold> {
    cells: &'a [F::Cell],
    along: usize,
    lanes: usize,
    out: &'a mut [F::Out],
    sums: &'a mut Vec<F::Sum>,
    halves: &'a mut Vec<F::Sum>,
}

impl<F: Fold> Loop for Rows<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let lanes = self.lanes;
        self.sums.clear();
        self.sums.resize(self.along.div_ceil(FAN_IN) * lanes, F::ZERO);
        let boxes = self.cells.chunks_exact(self.along * lanes);
        for (out, cells) in self.out.chunks_exact_mut(lanes).zip(boxes) {
            let nodes = cells.chunks(FAN_IN * lanes);
            for (at, (node, sums)) in nodes.zip(self.sums.chunks_exact_mut(lanes)).enumerate() {
                match node.first_chunk() {
                    Some(all) if lanes == 1 => sums[0] = above_all::<F>(all, (at * FAN_IN) as u64),
                    _ => above_cells::<F>(node, (at * FAN_IN) as u64, sums, self.halves),
                }
            }
            reduce::<F>(self.sums, lanes, self.along.div_ceil(FAN_IN));
            for (out, sum) in out.iter_mut().zip(self.sums.iter()) {
                *out = F::finish(*sum, self.along as u64);
            }
        }
    }
}

/// Brings all nodes of a level together, in place, until one is left.
fn reduce<F: Fold>(sums: &mut [F::Sum], lanes: usize, mut nodes: usize) {
    while nodes > 1 {
        let below = nodes * lanes;
        nodes = nodes.div_ceil(FAN_IN);
        for place in 0..nodes * lanes {
            // What is written over here has gone into a node already.
            let first = place / lanes * FAN_IN * lanes + place % lanes;
            let of = |i: usize| sums[..below].get(first + i * lanes).copied().unwrap_or(F::ZERO);
            sums[place] = bring_together::<_, FAN_IN>(std::array::from_fn(of), F::op);
        }
    }
}
