//! Putting what a kernel made into its page: only what is new, and saying what that is.

use crate::base::ids::PageId;
use crate::page::cover;
use crate::page::delta::Delta;
use crate::page::diff::differing_at;
use crate::page::draft::Draft;
use crate::page::operator::OperatorId;
use crate::page::schema::Schema;
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
    let mut rows = 0;
    for (piece, bytes) in made.pieces() {
        let page = draft.readable(id)?;
        let column = schema.column(piece.column)?;
        check(&piece, bytes, column.cell_bytes(), page.rows() * column.cells_per_row())
            .map_err(|what| FlowError::of(page, RuleError::Unfit { rule: "what was made", what }))?;
        let now = page.column(schema, usize::from(piece.column));
        let mut runs = Vec::new();
        differing_at(&now, piece.first, bytes, column.cell_bytes() as usize, &mut |first, n| {
            runs.push((first, n));
        });
        if runs.is_empty() {
            continue;
        }
        let width = column.cells_per_row().max(1);
        let list = &mut changed[usize::from(piece.column)];
        for &(first, n) in &runs {
            let run = Run::new(first / width, (first + n).div_ceil(width));
            rows += run.rows();
            push(list, run);
        }
        let parts = cover::parts(&runs, (piece.column, column), piece.first, bytes);
        let delta = Delta { page: id, op: OperatorId::ASSIGN, parts };
        draft.write(&delta)?;
        sink.wrote(&delta);
    }
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
