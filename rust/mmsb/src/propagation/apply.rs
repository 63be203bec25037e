//! Putting what a kernel made into its page: only what is new, and saying what that is.

use crate::base::ids::PageId;
use crate::page::column::ColumnRef;
use crate::page::cover;
use crate::page::delta::Delta;
use crate::page::diff::differing_at;
use crate::page::draft::Draft;
use crate::page::operator::OperatorId;
use crate::page::schema::{Column, Schema};
use crate::propagation::error::{FlowError, RuleError};
use crate::propagation::made::{Made, Piece};
use crate::propagation::runs::{Run, push};

/// Who is told of everything that propagation does to pages, in order.
pub trait Sink {
    /// Cells of a page were assigned.
    fn wrote(&mut self, delta: &Delta<'_>);
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

/// Puts what was made into the page, where it is not there already; the rows that changed go to `changed`, a list a
/// column. How many rows changed, at most: one that changed in two columns counts twice.
pub fn apply(
    draft: &mut Draft<'_>,
    id: PageId,
    schema: &Schema,
    made: &Made,
    changed: &mut [Vec<Run>],
    sink: &mut dyn Sink,
) -> Result<u64, FlowError> {
    let (mut rows, mut batch) = (0, Batch::default());
    let mut page = draft.readable(id)?;
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
    Ok(rows)
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
