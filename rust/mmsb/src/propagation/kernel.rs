//! What makes a page from others: a kernel, what it is given, and what it gives back.
//!
//! A kernel is a function of its inputs' cells alone. Given which rows of its inputs may be new, it makes those cells of
//! its page that may be; every cell it makes has the bits that making the page from nothing would give it.

use std::fmt::Debug;

use crate::algebra::value::{self, Value};
use crate::page::column::ColumnRef;
use crate::page::schema::{Column, Kind, Schema};
use crate::page::version::PageRef;
use crate::propagation::error::RuleError;
use crate::propagation::made::Made;
use crate::propagation::runs::Run;

/// What an input looks like when a rule is declared.
#[derive(Debug, Clone, Copy)]
pub struct Shape<'a> {
    /// Its columns.
    pub schema: &'a Schema,
    /// Its rows.
    pub rows: u64,
}

/// What the page of a rule looks like.
#[derive(Debug, Clone, PartialEq)]
pub struct Gives {
    /// What kind of page it is, unless somebody asks for another.
    pub kind: Kind,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows; where the rule has the say over them while it runs, how many there are at first.
    pub rows: u64,
}

/// What a rule says: plain data, from which kernels are made. Inputs that get another number of rows are another shape:
/// the rule is asked anew what it gives, and for another kernel.
pub trait Spec: Debug {
    /// What its page looks like.
    ///
    /// # Errors
    /// What of the inputs is not as the rule needs it.
    fn gives(&self, inputs: &[Shape<'_>]) -> Result<Gives, RuleError>;

    /// Which rows of an input, of which it has so many, rows of its page follow from; `None` where it may be all of them.
    fn rows_from(&self, _input: (usize, u64), _rows: &[Run]) -> Option<Vec<Run>> {
        None
    }

    /// A kernel that remembers nothing yet.
    ///
    /// # Errors
    /// As [`Spec::gives`].
    fn kernel(&self, inputs: &[Shape<'_>]) -> Result<Box<dyn Kernel>, RuleError>;
}

/// One input page of a rule, as its kernel is to see it.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The version that the page is to follow from.
    pub page: PageRef<'a>,
    /// Its columns.
    pub schema: &'a Schema,
    /// Its rows.
    pub(super) rows: u64,
    /// Whether its first column lies behind its header, where it can be read.
    pub(super) packed: bool,
    /// The version that the kernel last ran on; `None` where it is to make everything, whatever it remembers.
    pub before: Option<PageRef<'a>>,
    /// The rows of each column that may have changed since `before`, ascending and apart: all where that is `None`. Rows
    /// that only one of both versions has are among them.
    pub changed: &'a [Vec<Run>],
}

impl<'a> Input<'a> {
    /// A page as it is, with what changed of it since another version.
    #[must_use]
    pub fn new(
        page: PageRef<'a>,
        schema: &'a Schema,
        before: Option<PageRef<'a>>,
        changed: &'a [Vec<Run>],
    ) -> Self {
        Input { page, schema, rows: page.rows(), packed: page.is_packed(), before, changed }
    }

    /// The cells of a column, where they lie in one piece and are of this type.
    #[inline]
    #[must_use]
    pub fn cells<T: Value>(&self, i: u16) -> Option<&'a [T]> {
        let column = self.schema.columns().get(usize::from(i)).filter(|column| column.dtype() == T::DTYPE)?;
        let bytes = if self.packed && i == 0 {
            self.page.first_cells((self.rows * column.row_bytes()) as usize)
        } else {
            let column = self.column(i);
            let piece = if column.bytes == 0 { &[] } else { column.piece(0) };
            (piece.len() as u64 == column.bytes).then_some(piece)?
        };
        value::cells(bytes).ok()
    }

    /// What it looks like.
    #[inline]
    #[must_use]
    pub fn shape(&self) -> Shape<'a> {
        Shape { schema: self.schema, rows: self.rows }
    }

    /// A column.
    #[inline]
    #[must_use]
    pub fn column(&self, i: u16) -> ColumnRef<'a> {
        self.page.column(self.schema, usize::from(i))
    }

    /// A column as it was when the kernel last ran.
    #[must_use]
    pub fn column_before(&self, i: u16) -> Option<ColumnRef<'a>> {
        self.before.map(|page| page.column(self.schema, usize::from(i)))
    }

    /// The rows of a column that may have changed.
    #[inline]
    #[must_use]
    pub fn changed(&self, i: u16) -> &'a [Run] {
        self.changed.get(usize::from(i)).map_or(&[], Vec::as_slice)
    }

    /// Its rows.
    #[inline]
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

/// Calls `visit` with the cells of a column from `first` up to `stop`, piece by piece: the number of a piece's first cell,
/// and its cells. Cells of numbers never lie across two pieces.
///
/// # Errors
/// Those of `visit`; [`crate::algebra::error::AlgebraError::Misaligned`] where the cells are not of this type.
#[inline]
pub fn pieces<'a, T: Value>(
    column: &ColumnRef<'a>,
    first: u64,
    stop: u64,
    mut visit: impl FnMut(u64, &'a [T]) -> Result<(), RuleError>,
) -> Result<(), RuleError> {
    let size = size_of::<T>() as u64;
    let (mut at, stop) = (first, stop.min(column.bytes / size));
    while at < stop {
        let piece = column.piece(at * size);
        let cells = piece.len() / size_of::<T>();
        let take = cells.min((stop - at) as usize);
        visit(at, value::cells::<T>(&piece[..take * size_of::<T>()])?)?;
        at += take as u64;
    }
    Ok(())
}

/// Appends the cells of a column from `first` up to `stop`.
///
/// # Errors
/// As [`pieces`].
pub fn read<T: Value>(
    column: &ColumnRef<'_>,
    first: u64,
    stop: u64,
    into: &mut Vec<T>,
) -> Result<(), RuleError> {
    pieces(column, first, stop, |_, cells| {
        into.extend_from_slice(cells);
        Ok(())
    })
}

/// What makes a page from others.
///
/// It may remember what helps it to make only what a change asks for. After a run that goes into no commit it is told to
/// [`Kernel::undo`], so that it never remembers what did not happen.
pub trait Kernel: Debug + Send {
    /// Makes the cells of its page that may be new.
    ///
    /// # Errors
    /// What is wrong with the values; nothing of the run counts then, and [`Kernel::undo`] is called.
    fn run(&mut self, inputs: &[Input<'_>], made: &mut Made) -> Result<(), RuleError>;

    /// The commit that it ran for was made.
    fn keep(&mut self) {}

    /// The commit that it ran for was not made: what the run taught it is to be forgotten.
    fn undo(&mut self) {}
}
