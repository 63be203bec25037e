//! Which cells of a column: rows by range or by index, a box of the inner axes, or single cells.
//!
//! The selected cells have an order, that of numpy's result (rows as listed, then the inner axes), and it is the order of
//! the data that is read from or written to them.

use crate::page::error::{Axes, PageError};
use crate::page::schema::Column;
use std::sync::Arc;

/// `start, start + step, ...` below `stop`.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Axis {
    /// The first index.
    pub start: u64,
    /// One past the last index possible; not below `start`.
    pub stop: u64,
    /// The distance between two indices; at least 1.
    pub step: u64,
}

/// Rows of a column.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Rows {
    /// `start, start + step, ...` below `stop`.
    Range {
        /// The first row.
        start: u64,
        /// One past the last row possible; not below `start`.
        stop: u64,
        /// The distance between two rows; at least 1.
        step: u64,
    },
    /// These rows in this order. One may be listed twice: the last assignment wins, merges apply in order.
    Index(Arc<Vec<u64>>),
}

/// A box of the inner axes: one range per axis.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Inner(pub Vec<Axis>);

/// Cells of a column.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Select {
    /// The same box of every one of these rows.
    Rows {
        /// The rows.
        rows: Rows,
        /// The box; all inner cells when absent.
        inner: Option<Inner>,
    },
    /// Cells by their place in the whole column (row x cells per row + place in the row), in this order.
    Cells(Arc<Vec<u64>>),
}

/// Cells that lie side by side in the column and in the data.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Run {
    /// The first cell's place in the column.
    pub cell: u64,
    /// How many; at least 1.
    pub cells: u64,
    /// The first cell's place in the data.
    pub source: u64,
}

impl Axis {
    /// How many indices there are.
    #[must_use]
    pub const fn count(self) -> u64 {
        match self.step {
            _ if self.stop <= self.start => 0,
            // A division takes longer than all the rest.
            1 => self.stop - self.start,
            step => (self.stop - self.start - 1) / step + 1,
        }
    }

    /// Whether `index` is one of them.
    #[must_use]
    pub const fn contains(self, index: u64) -> bool {
        index >= self.start && index < self.stop && (index - self.start).is_multiple_of(self.step)
    }

    /// The last index, when there is one.
    #[must_use]
    pub const fn last(self) -> Option<u64> {
        match self.count() {
            0 => None,
            count => Some(self.start + (count - 1) * self.step),
        }
    }

    fn check(self, axis: Axes, size: u64) -> Result<(), PageError> {
        if self.step == 0 || self.stop < self.start {
            let Self { start, stop, step } = self;
            return Err(PageError::BadSelection { why: format!("{axis} {start}:{stop}:{step}") });
        }
        if self.stop > size {
            return Err(PageError::IndexOutOfRange { axis, index: self.stop - 1, size });
        }
        Ok(())
    }
}

impl Rows {
    /// How many rows.
    #[must_use]
    pub fn count(&self) -> u64 {
        match *self {
            Self::Range { start, stop, step } => Axis { start, stop, step }.count(),
            Self::Index(ref list) => list.len() as u64,
        }
    }
}

impl Inner {
    /// Cells of the box.
    #[must_use]
    pub fn cells(&self) -> u64 {
        self.0.iter().fold(1, |cells, axis| cells.saturating_mul(axis.count()))
    }
}

impl Select {
    /// All inner cells of the rows from `start` up to `stop`.
    #[must_use]
    pub const fn range(start: u64, stop: u64) -> Self {
        Self::Rows { rows: Rows::Range { start, stop, step: 1 }, inner: None }
    }

    /// All inner cells of these rows.
    #[must_use]
    pub fn indices(rows: Vec<u64>) -> Self {
        Self::Rows { rows: Rows::Index(Arc::new(rows)), inner: None }
    }

    /// Cells selected, saturating: a selection that passed [`Select::check`] has fewer.
    #[must_use]
    pub fn cells(&self, column: &Column) -> u64 {
        match self {
            Self::Rows { rows, .. } => rows.count().saturating_mul(self.cells_per_row(column)),
            Self::Cells(list) => list.len() as u64,
        }
    }

    /// Cells selected of each row selected; 1 for single cells. It is what a fill repeats.
    #[must_use]
    pub fn cells_per_row(&self, column: &Column) -> u64 {
        match self {
            Self::Rows { inner: None, .. } => column.cells_per_row(),
            Self::Rows { inner: Some(inner), .. } => inner.cells(),
            Self::Cells(_) => 1,
        }
    }

    /// Whether every cell selected exists in a column of `rows` rows.
    ///
    /// # Errors
    /// [`PageError::IndexOutOfRange`], [`PageError::BadSelection`].
    pub fn check(&self, column: &Column, rows: u64) -> Result<(), PageError> {
        match self {
            Self::Cells(list) => check_list(list, Axes::Cells, rows.saturating_mul(column.cells_per_row())),
            Self::Rows { rows: selected, inner } => {
                match *selected {
                    Rows::Range { start, stop, step } => {
                        Axis { start, stop, step }.check(Axes::Rows, rows)?
                    }
                    Rows::Index(ref list) => check_list(list, Axes::Rows, rows)?,
                }
                if let Some(Inner(axes)) = inner {
                    if axes.len() != column.inner().len() {
                        let (got, wanted) = (axes.len(), column.inner().len());
                        return Err(PageError::BadSelection {
                            why: format!("{got} inner axes where {wanted} are"),
                        });
                    }
                    for (place, (axis, &size)) in axes.iter().zip(column.inner()).enumerate() {
                        axis.check(Axes::Inner(place), size)?;
                    }
                }
                let (rows, each) = (selected.count(), self.cells_per_row(column));
                match rows.checked_mul(each).and_then(|cells| cells.checked_mul(column.cell_bytes())) {
                    Some(_) => Ok(()),
                    None => Err(PageError::BadSelection {
                        why: format!("{rows} rows of {each} cells are too many"),
                    }),
                }
            }
        }
    }

    /// Hands out the longest runs of cells that lie side by side, in the selection's order.
    #[inline]
    pub fn runs(&self, column: &Column, mut f: impl FnMut(Run)) {
        match self {
            // What most deltas are.
            &Self::Rows { rows: Rows::Range { start, stop, step: 1 }, inner: None } => {
                let row = column.cells_per_row();
                let cells = stop.saturating_sub(start) * row;
                if cells > 0 {
                    f(Run { cell: start * row, cells, source: 0 });
                }
            }
            _ => self.any_runs(column, f),
        }
    }

    fn any_runs(&self, column: &Column, f: impl FnMut(Run)) {
        let mut out = Coalesce { run: Run::default(), f };
        match self {
            Self::Cells(list) => list.iter().for_each(|&cell| out.push(cell, 1)),
            Self::Rows { rows, inner } => {
                let row = column.cells_per_row();
                let mut nest = Nest::of(inner.as_ref(), column);
                match *rows {
                    Rows::Range { start, stop, step } => {
                        nest.wrap(Axis { start, stop, step }, row, row);
                        nest.walk(0, &mut |cell, cells| out.push(cell, cells));
                    }
                    Rows::Index(ref list) if nest.loops.is_empty() => {
                        list.iter().for_each(|&index| out.push(index * row + nest.first, nest.cells));
                    }
                    Rows::Index(ref list) => {
                        list.iter().for_each(|&index| {
                            nest.walk(index * row, &mut |cell, cells| out.push(cell, cells))
                        });
                    }
                }
            }
        }
        out.flush();
    }

    /// How many cells side by side each entry of [`Select::entries`] stands for, where the selection is such: listed cells,
    /// listed whole rows, every so manyth row.
    #[inline]
    pub(crate) fn listed(&self, column: &Column) -> Option<u64> {
        match self {
            Self::Cells(_) => Some(1),
            Self::Rows { inner: Some(_), .. } | Self::Rows { rows: Rows::Range { step: 1, .. }, .. } => None,
            Self::Rows { .. } => Some(column.cells_per_row()),
        }
    }

    /// Calls `each` with lists of the cells or rows, in order, of a selection that is [listed](Self::listed).
    pub(crate) fn entries(&self, mut each: impl FnMut(&[u64])) {
        match self {
            Self::Cells(list) | Self::Rows { rows: Rows::Index(list), .. } => each(list),
            &Self::Rows { rows: Rows::Range { start, stop, step }, .. } => {
                let mut block = [0; 256];
                let mut left = Axis { start, stop, step }.count();
                let mut cell = start;
                while left > 0 {
                    let many = left.min(block.len() as u64);
                    let list = &mut block[..many as usize];
                    for (place, listed) in list.iter_mut().enumerate() {
                        *listed = cell + step * place as u64;
                    }
                    each(list);
                    cell = cell.wrapping_add(step.wrapping_mul(many));
                    left -= many;
                }
            }
        }
    }

    /// The first and the last row selected, in the page's order; `None` when no cell is.
    #[must_use]
    pub fn bounds(&self, column: &Column) -> Option<(u64, u64)> {
        match self {
            Self::Rows { inner: Some(inner), .. } if inner.cells() == 0 => None,
            Self::Rows { rows: Rows::Range { start, stop, step }, .. } => {
                let axis = Axis { start: *start, stop: *stop, step: *step };
                axis.last().map(|last| (*start, last))
            }
            Self::Rows { rows: Rows::Index(list), .. } => extent(list),
            Self::Cells(list) => {
                let row = column.cells_per_row();
                extent(list).map(|(first, last)| (first / row, last / row))
            }
        }
    }

    /// The rows selected, in the selection's order; a row is not repeated right after itself.
    pub fn rows_touched<'a>(&'a self, column: &Column) -> Box<dyn Iterator<Item = u64> + 'a> {
        let row = column.cells_per_row();
        let mut before = None;
        let fresh = move |&row: &u64| before.replace(row) != Some(row);
        match self {
            Self::Rows { inner: Some(inner), .. } if inner.cells() == 0 => Box::new(std::iter::empty()),
            Self::Rows { rows: Rows::Range { start, stop, step }, .. } => {
                let (start, step) = (*start, *step);
                let count = Axis { start, stop: *stop, step }.count();
                Box::new((0..count).map(move |place| start + place * step))
            }
            Self::Rows { rows: Rows::Index(list), .. } => Box::new(list.iter().copied().filter(fresh)),
            Self::Cells(list) => Box::new(list.iter().map(move |cell| cell / row).filter(fresh)),
        }
    }
}

fn check_list(list: &[u64], axis: Axes, size: u64) -> Result<(), PageError> {
    // The first pass has no early way out, so that it runs as fast as memory; the second only tells which.
    if list.iter().fold(false, |bad, &index| bad | (index >= size)) {
        let index = list.iter().copied().find(|&index| index >= size).unwrap_or(size);
        return Err(PageError::IndexOutOfRange { axis, index, size });
    }
    Ok(())
}

/// The least and the greatest of a list.
fn extent(list: &[u64]) -> Option<(u64, u64)> {
    let first = *list.first()?;
    Some(list.iter().fold((first, first), |(low, high), &index| (low.min(index), high.max(index))))
}

/// Nested loops over runs: `cells` side by side at `first` plus every sum of the loops' strides.
struct Nest {
    first: u64,
    cells: u64,
    /// Count and stride in cells, outermost first.
    loops: Vec<(u64, u64)>,
}

impl Nest {
    /// The runs of one row.
    fn of(inner: Option<&Inner>, column: &Column) -> Self {
        let mut nest = Self { first: 0, cells: 1, loops: Vec::new() };
        match inner {
            None => nest.cells = column.cells_per_row(),
            Some(Inner(axes)) => {
                let mut stride = 1;
                for (axis, &size) in axes.iter().zip(column.inner()).rev() {
                    nest.wrap(*axis, stride, stride);
                    stride *= size;
                }
            }
        }
        nest
    }

    /// Puts one more axis around: its indices lie `stride` cells apart, and what is inside is whole when it has `whole` cells.
    fn wrap(&mut self, axis: Axis, stride: u64, whole: u64) {
        self.first += axis.start * stride;
        let count = axis.count();
        // The step of a single index says nothing and may be any number.
        let step = if count > 1 { axis.step } else { 1 };
        if step == 1 && self.loops.is_empty() && self.cells == whole {
            self.cells *= count;
        } else {
            self.loops.insert(0, (count, step * stride));
        }
    }

    fn walk(&self, at: u64, f: &mut impl FnMut(u64, u64)) {
        Self::walk_loops(&self.loops, at + self.first, self.cells, f);
    }

    fn walk_loops(loops: &[(u64, u64)], at: u64, cells: u64, f: &mut impl FnMut(u64, u64)) {
        match loops {
            [] => f(at, cells),
            [(count, stride)] => (0..*count).for_each(|place| f(at + place * stride, cells)),
            [(count, stride), rest @ ..] => {
                (0..*count).for_each(|place| Self::walk_loops(rest, at + place * stride, cells, f));
            }
        }
    }
}

/// Joins runs that turn out to lie side by side.
struct Coalesce<F> {
    run: Run,
    f: F,
}

impl<F: FnMut(Run)> Coalesce<F> {
    #[inline]
    fn push(&mut self, cell: u64, cells: u64) {
        if cell == self.run.cell + self.run.cells {
            self.run.cells += cells;
        } else if cells > 0 {
            self.flush();
            self.run = Run { cell, cells, source: self.run.source + self.run.cells };
        }
    }

    #[inline]
    fn flush(&mut self) {
        if self.run.cells > 0 {
            (self.f)(self.run);
        }
    }
}
