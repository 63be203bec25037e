//! Reductions of a whole column, and along its rows: sums by the fixed tree, or by what changed where that is exact.

use std::ops::Range;

use crate::algebra::fold::FAN_IN;
use crate::algebra::value;
use crate::base::wide::{Loop, Wide};
use crate::page::column::ColumnRef;
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Input, Kernel, pieces, read};
use crate::propagation::made::Made;
use crate::propagation::reduction::folds::{Exact, Fold};
use crate::propagation::reduction::spec::one;
use crate::propagation::reduction::tree::{Tree, above_all, above_cells};
use crate::propagation::runs;

/// Rows from which on making all anew is worth more than mending more than half of it.
const MANY: u64 = 1024;

/// Cells between two that changed which are taken back and added too: finding where a cell lies costs as much.
const GAP: u64 = 32;

/// Which cells are brought together: those that lie `lanes` apart.
#[derive(Debug, Clone, Copy)]
pub struct Lanes {
    /// The column.
    pub column: u16,
    /// How many sums there are, side by side.
    pub lanes: usize,
    /// Steps along each lane that a row has.
    pub steps_per_row: u64,
}

impl Lanes {
    /// The steps of the rows that may have changed, and of no more than `gap` cells between two.
    fn changed<'a>(self, input: &Input<'a>, gap: u64) -> impl Iterator<Item = Range<u64>> + use<'a> {
        let per_row = self.steps_per_row;
        let runs = runs::joined(input.changed(self.column), gap / (self.lanes as u64 * per_row));
        runs.map(move |run| run.start * per_row..run.stop * per_row)
    }

    /// The column as it is, and as it was where it had as many rows.
    fn columns<'a>(self, input: &Input<'a>) -> (ColumnRef<'a>, Option<ColumnRef<'a>>) {
        let before = input.before.filter(|before| before.rows() == input.rows());
        (input.column(self.column), before.and_then(|_| input.column_before(self.column)))
    }

    /// Whether making all anew is less work than mending it.
    fn is_most(self, input: &Input<'_>) -> bool {
        input.rows() >= MANY && runs::rows(input.changed(self.column)) > input.rows() / 2
    }
}

fn put<F: Fold>(made: &mut Made, first: usize, sums: &[F::Sum], steps: u64) {
    let room = made.room::<F::Out>(0, first as u64, sums.len());
    room.iter_mut().zip(sums).for_each(|(cell, sum)| *cell = F::finish(*sum, steps));
}

/// A reduction that remembers its tree.
#[derive(Debug)]
pub struct Along<F: Fold> {
    lanes: Lanes,
    tree: Tree<F>,
    room: Room<F>,
}

/// Room for a node's cells, and for its sums by halves.
#[derive(Debug)]
struct Room<F: Fold> {
    cells: Vec<F::Cell>,
    halves: Vec<F::Sum>,
}

impl<F: Fold> Along<F> {
    /// One that remembers nothing.
    pub fn new(lanes: Lanes) -> Self {
        Self { lanes, tree: Tree::new(lanes.lanes), room: Room { cells: Vec::new(), halves: Vec::new() } }
    }
}

impl<F: Fold> Kernel for Along<F> {
    fn run(&mut self, inputs: &[Input<'_>], made: &mut Made) -> Result<(), RuleError> {
        let (input, lanes) = (one(inputs)?, self.lanes);
        let steps = input.rows() * lanes.steps_per_row;
        let (column, before) = lanes.columns(input);
        let room = &mut self.room;
        if before.is_some() && self.tree.is_over(steps) && !lanes.is_most(input) {
            let mended = self.tree.mend(lanes.changed(input, 0), |at, sums| {
                node::<F>(&column, at as u64 * FAN_IN as u64, steps, room, sums)
            })?;
            let roots = &self.tree.roots()[mended.lanes.clone()];
            if !roots.is_empty() {
                put::<F>(made, mended.lanes.start, roots, steps);
            }
            return Ok(());
        }
        self.tree.build(steps, |sums| {
            if lanes.lanes == 1 {
                return leaves::<F>(&column, steps, sums);
            }
            let nodes = sums.chunks_mut(lanes.lanes).enumerate();
            nodes
                .into_iter()
                .try_for_each(|(at, sums)| node::<F>(&column, at as u64 * FAN_IN as u64, steps, room, sums))
        })?;
        put::<F>(made, 0, self.tree.roots(), steps);
        Ok(())
    }

    fn keep(&mut self) {
        self.tree.keep();
    }

    fn undo(&mut self) {
        self.tree.undo();
    }
}

/// The node above the steps from `first` on.
fn node<F: Fold>(
    column: &ColumnRef<'_>,
    first: u64,
    steps: u64,
    room: &mut Room<F>,
    sums: &mut [F::Sum],
) -> Result<(), RuleError> {
    let (lanes, stop) = (sums.len() as u64, steps.min(first + FAN_IN as u64));
    if lanes == 1 {
        // Sixteen cells from a multiple of sixteen on never lie across two pieces.
        let size = size_of::<F::Cell>();
        let piece = if first < stop { column.piece(first * size as u64) } else { &[] };
        let cells = value::cells::<F::Cell>(&piece[..(stop - first) as usize * size])?;
        sums[0] = match cells.first_chunk() {
            Some(all) => above_all::<F>(all, first),
            None => {
                above_cells::<F>(cells, first, sums, &mut room.halves);
                return Ok(());
            }
        };
        return Ok(());
    }
    // So many lanes at once that their cells stay in the cache.
    const TILE: usize = 128;
    let wide = Wide::best();
    for (tile, sums) in sums.chunks_mut(TILE).enumerate() {
        room.cells.clear();
        for step in first..stop {
            let from = step * lanes + (tile * TILE) as u64;
            read(column, from, from + sums.len() as u64, &mut room.cells)?;
        }
        wide.run(Above { room, first, sums });
    }
    Ok(())
}

/// [`above_cells`] with wide instructions.
struct Above<'a, F: Fold> {
    room: &'a mut Room<F>,
    first: u64,
    sums: &'a mut [F::Sum],
}

impl<F: Fold> Loop for Above<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        above_cells::<F>(&self.room.cells, self.first, self.sums, &mut self.room.halves);
    }
}

/// All nodes above the cells of a column, of one lane.
fn leaves<F: Fold>(column: &ColumnRef<'_>, steps: u64, sums: &mut [F::Sum]) -> Result<(), RuleError> {
    let wide = Wide::best();
    pieces::<F::Cell>(column, 0, steps, |first, cells| {
        let sums = &mut sums[first as usize / FAN_IN..];
        wide.run(Leaves::<F> { cells, first, sums });
        Ok(())
    })
}

struct Leaves<'a, F: Fold> {
    cells: &'a [F::Cell],
    first: u64,
    sums: &'a mut [F::Sum],
}

impl<F: Fold> Loop for Leaves<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let (nodes, rest) = self.cells.as_chunks::<FAN_IN>();
        for (i, (sum, cells)) in self.sums.iter_mut().zip(nodes).enumerate() {
            *sum = above_all::<F>(cells, self.first + (i * FAN_IN) as u64);
        }
        if !rest.is_empty() {
            let place = self.first + (nodes.len() * FAN_IN) as u64;
            let sums = &mut self.sums[nodes.len()..=nodes.len()];
            above_cells::<F>(rest, place, sums, &mut Vec::new());
        }
    }
}

/// A reduction that remembers its sums, and takes cells back from them.
#[derive(Debug)]
pub struct Totals<F: Exact> {
    lanes: Lanes,
    /// One for each lane; none where nothing is known.
    sums: Vec<F::Sum>,
    steps: u64,
    was: Was<F::Sum>,
}

/// What the sums were when they were last kept.
#[derive(Debug)]
enum Was<S> {
    /// As they are.
    Same,
    /// These.
    These(Vec<S>),
    /// None.
    None,
}

impl<F: Exact> Totals<F> {
    /// One that remembers nothing.
    pub fn new(lanes: Lanes) -> Self {
        Self { lanes, sums: Vec::new(), steps: 0, was: Was::None }
    }

    fn build(&mut self, column: &ColumnRef<'_>, steps: u64) -> Result<(), RuleError> {
        self.was = Was::None;
        self.sums.clear();
        let (lanes, wide) = (self.lanes.lanes, Wide::best());
        let mut sums = vec![F::ZERO; lanes];
        pieces::<F::Cell>(column, 0, steps * lanes as u64, |first, cells| {
            wide.run(Adds::<F> { cells, lane: (first % lanes as u64) as usize, sums: &mut sums });
            Ok(())
        })?;
        (self.sums, self.steps) = (sums, steps);
        Ok(())
    }

    /// Takes the cells of these steps as they were, and adds them as they are.
    fn mend(&mut self, steps: Range<u64>, new: &ColumnRef<'_>, old: &ColumnRef<'_>) -> Result<(), RuleError> {
        let lanes = self.lanes.lanes as u64;
        let sums = &mut self.sums;
        pieces::<F::Cell>(new, steps.start * lanes, steps.end * lanes, |first, new| {
            pieces::<F::Cell>(old, first, first + new.len() as u64, |at, old| {
                let new = &new[(at - first) as usize..];
                let mut lane = (at % lanes) as usize;
                for (new, old) in new.iter().zip(old) {
                    sums[lane] = F::op(F::less(sums[lane], F::lift(*old, 0)), F::lift(*new, 0));
                    lane = if lane + 1 == sums.len() { 0 } else { lane + 1 };
                }
                Ok(())
            })
        })
    }
}

/// Adds cells to the sums of their lanes.
struct Adds<'a, F: Exact> {
    cells: &'a [F::Cell],
    /// Of the first cell.
    lane: usize,
    sums: &'a mut [F::Sum],
}

impl<F: Exact> Loop for Adds<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        if let [sum] = self.sums {
            *sum = self.cells.iter().fold(*sum, |sum, cell| F::op(sum, F::lift(*cell, 0)));
            return;
        }
        let head = self.cells.len().min((self.sums.len() - self.lane) % self.sums.len());
        let (head, rows) = self.cells.split_at(head);
        add::<F>(&mut self.sums[self.lane..], head);
        rows.chunks(self.sums.len()).for_each(|row| add::<F>(self.sums, row));
    }
}

#[inline(always)]
fn add<F: Fold>(sums: &mut [F::Sum], cells: &[F::Cell]) {
    for (sum, cell) in sums.iter_mut().zip(cells) {
        *sum = F::op(*sum, F::lift(*cell, 0));
    }
}

impl<F: Exact> Kernel for Totals<F> {
    fn run(&mut self, inputs: &[Input<'_>], made: &mut Made) -> Result<(), RuleError> {
        let input = one(inputs)?;
        let steps = input.rows() * self.lanes.steps_per_row;
        match self.lanes.columns(input) {
            (new, Some(old)) if self.sums.len() == self.lanes.lanes && self.steps == steps => {
                if input.changed(self.lanes.column).is_empty() {
                    return Ok(());
                }
                if matches!(self.was, Was::Same) {
                    self.was = Was::These(self.sums.clone());
                }
                self.lanes.changed(input, GAP).try_for_each(|steps| self.mend(steps, &new, &old))?;
            }
            (new, _) => self.build(&new, steps)?,
        }
        put::<F>(made, 0, &self.sums, steps);
        Ok(())
    }

    fn keep(&mut self) {
        self.was = Was::Same;
    }

    fn undo(&mut self) {
        match std::mem::replace(&mut self.was, Was::Same) {
            Was::Same => {}
            Was::These(sums) => self.sums = sums,
            Was::None => self.sums.clear(),
        }
    }
}
