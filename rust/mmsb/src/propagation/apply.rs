//! Putting what a kernel made into its page: only what is new, and saying what that is.

use crate::base::ids::PageId;
use crate::memory::addr::Addr;
use crate::page::column::ColumnRef;
use crate::page::cover;
use crate::page::delta::Delta;
use crate::page::diff::differing_at;
use crate::page::draft::Draft;
use crate::page::operator::OperatorId;
use crate::page::schema::{Column, Schema};
use crate::page::version::PageRef;
use crate::propagation::error::{FlowError, RuleError};
use crate::propagation::made::{Made, Piece};
use crate::propagation::runs::{Run, push};
use crate::propagation::small;

/// Who is told of everything that propagation does to pages, in order.
pub trait Sink {
    /// Cells of a page were assigned.
    fn wrote(&mut self, delta: &Delta<'_>);
    /// The rows from one up to another of a column were assigned.
    fn assigned(&mut self, page: PageId, column: u16, rows: (u64, u64), bytes: &[u8]);
    /// A page got another number of rows.
    fn resized(&mut self, page: PageId, rows: u64);
    /// A page got other marks.
    fn marked(&mut self, page: PageId, marks: u8);
}

/// Nobody.
#[derive(Debug, Default)]
pub struct Nobody;

impl Sink for Nobody {
    fn wrote(&mut self, _: &Delta<'_>) {}
    fn assigned(&mut self, _: PageId, _: u16, _: (u64, u64), _: &[u8]) {}
    fn resized(&mut self, _: PageId, _: u64) {}
    fn marked(&mut self, _: PageId, _: u8) {}
}

/// Cells of a column that are new, ascending and apart, until they are written together.
#[derive(Default)]
struct Batch<'b> {
    column: u16,
    /// Behind the last cell that was looked at.
    end: u64,
    runs: Vec<(u64, u64)>,
    /// The bytes of each run.
    bytes: Vec<&'b [u8]>,
}

impl<'b> Batch<'b> {
    /// Whether a piece lies behind all that was looked at, and so is compared with what was there before.
    fn goes_on(&self, piece: &Piece) -> bool {
        self.column == piece.column && self.end <= piece.first
    }

    /// Takes the cells of a piece in which it differs from the column: all where more than half do, for then runs cost more
    /// than they save. The rows that changed go to the list; how many.
    fn take(
        &mut self,
        piece: &Piece,
        bytes: &'b [u8],
        now: &ColumnRef<'_>,
        column: &Column,
        list: &mut Vec<Run>,
    ) -> u64 {
        let (cell, width) = (column.cell_bytes(), column.cells_per_row().max(1));
        let (known, mut rows, mut changed) = (self.runs.len(), 0, 0);
        differing_at(now, piece.first, bytes, cell as usize, &mut |first, n| {
            self.runs.push((first, n));
            let run = Run::new(first / width, (first + n).div_ceil(width));
            (rows, changed) = (rows + run.rows(), changed + n);
            push(list, run);
        });
        let cells = bytes.len() as u64 / cell;
        if changed > cells / 2 {
            self.runs.truncate(known);
            self.runs.push((piece.first, cells));
        }
        for &(first, n) in &self.runs[known..] {
            let from = ((first - piece.first) * cell) as usize;
            self.bytes.push(&bytes[from..from + (n * cell) as usize]);
        }
        (self.column, self.end) = (piece.column, piece.first + cells);
        rows
    }

    /// Writes them.
    fn write(
        &mut self,
        draft: &mut Draft<'_>,
        id: PageId,
        schema: &Schema,
        sink: &mut dyn Sink,
    ) -> Result<(), FlowError> {
        if !self.runs.is_empty() {
            let parts = cover::gathered(&self.runs, &self.bytes, (self.column, schema.column(self.column)?));
            let delta = Delta { page: id, op: OperatorId::ASSIGN, parts };
            draft.write(&delta)?;
            sink.wrote(&delta);
        }
        self.runs.clear();
        self.bytes.clear();
        self.end = 0;
        Ok(())
    }
}

/// What putting something into a page came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// How many rows changed, at most: one that changed in two columns counts twice.
    pub rows: u64,
    /// Where the page's version is from now on.
    pub at: Addr,
}

/// Puts what was made into the page, which the draft has so, where it is not there already; the rows that changed go to
/// `changed`, a list a column.
pub fn apply<'a>(
    draft: &mut Draft<'a>,
    mut page: PageRef<'a>,
    schema: &Schema,
    made: &Made,
    changed: &mut [Vec<Run>],
    sink: &mut dyn Sink,
) -> Result<Applied, FlowError> {
    if let Some(one) = made.only_piece()
        && let Some(applied) = small::apply(draft, page, schema, one, changed, sink)?
    {
        return Ok(applied);
    }
    let (id, mut rows, mut batch) = (page.id(), 0, Batch::default());
    for (piece, bytes) in made.pieces() {
        if !batch.goes_on(&piece) {
            batch.write(draft, id, schema, sink)?;
            page = draft.readable(id)?;
        }
        let column = schema.column(piece.column)?;
        check(&piece, bytes, column.cell_bytes(), page.rows() * column.cells_per_row())
            .map_err(|what| FlowError::of(page, RuleError::Unfit { rule: "what was made", what }))?;
        let now = page.column(schema, usize::from(piece.column));
        rows += batch.take(&piece, bytes, &now, column, &mut changed[usize::from(piece.column)]);
    }
    batch.write(draft, id, schema, sink)?;
    for list in changed {
        tidy(list);
    }
    let at = if rows > 0 { draft.readable(id)?.at } else { page.at };
    Ok(Applied { rows, at })
}

fn check(piece: &Piece, bytes: &[u8], cell: u64, cells: u64) -> Result<(), String> {
    let (n, off) = (bytes.len() as u64 / cell, bytes.len() as u64 % cell);
    if off != 0 {
        return Err(format!("{} bytes are no whole number of cells of {cell} bytes", bytes.len()));
    }
    if piece.first.checked_add(n).is_none_or(|end| end > cells) {
        let (column, first) = (piece.column, piece.first);
        return Err(format!("{n} cells from {first} on, where column {column} has {cells}"));
    }
    Ok(())
}

/// Pieces may come in any order: runs are ascending and apart afterwards.
fn tidy(list: &mut Vec<Run>) {
    if list.windows(2).all(|two| two[0].stop < two[1].start) {
        return;
    }
    list.sort_unstable();
    let mut joined = Vec::with_capacity(list.len());
    list.iter().for_each(|&run| push(&mut joined, run));
    *list = joined;
}
