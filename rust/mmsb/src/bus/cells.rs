//! Copying cells from one state into a transaction.

use std::borrow::Cow;

use crate::base::ids::PageId;
use crate::bus::commit::Change;
use crate::bus::error::Error;
use crate::bus::state::State;
use crate::bus::transaction::Transaction;
use crate::page::cover::selections;
use crate::page::delta::{Data, Delta, Part};
use crate::page::operator::OperatorId;
use crate::page::schema::{Column, Schema};

impl Transaction {
    /// Brings a page that was dropped back under its own id, filled with zeros.
    pub(crate) fn restore_page(
        &mut self,
        page: PageId,
        name: &str,
        schema: Schema,
        rows: u64,
    ) -> Result<(), Error> {
        self.push(Change::Create { page, name: name.into(), schema, rows })
    }

    /// Says that a page has the rows it has, as something that was decided.
    pub(crate) fn touch_page(&mut self, id: PageId) -> Result<(), Error> {
        let rows = self.found(id)?.rows();
        self.push(Change::Resize(id, rows))
    }
}

/// Writes the runs of cells of a column into the transaction as `from` has them.
pub(crate) fn copy_cells(
    tx: &mut Transaction,
    from: &State,
    page: PageId,
    i: u16,
    runs: &[(u64, u64)],
) -> Result<(), Error> {
    let schema = from.schema(page)?;
    let column = schema.column(i)?;
    let mut parts = Vec::new();
    for select in selections(runs, column) {
        let mut bytes = vec![0; (select.cells(column) * column.cell_bytes()) as usize];
        from.read_stored(page, usize::from(i), &select, &mut bytes)?;
        parts.push(Part { column: i, select, data: Data::Dense(Cow::Owned(bytes)) });
    }
    if parts.is_empty() {
        return Ok(());
    }
    tx.write(Delta { page, op: OperatorId::ASSIGN, parts })
}

/// Makes a page of the transaction what `from` has, where the transaction does not have it.
pub(crate) fn copy_page(tx: &mut Transaction, from: &State, page: PageId) -> Result<(), Error> {
    let info = from.info(page)?;
    tx.restore_page(page, &info.name, (*info.schema).clone(), info.rows)?;
    for (i, column) in info.schema.columns().iter().enumerate() {
        let cells = info.rows * column.cells_per_row();
        let runs = written_runs(from, page, i, cells, column)?;
        copy_cells(tx, from, page, i as u16, &runs)?;
    }
    // Last: what follows from others is not written.
    copy_rule(tx, from, page)
}

/// Has a page of the transaction follow from what `from` has it follow from, and be behind it as there.
pub(crate) fn copy_rule(tx: &mut Transaction, from: &State, page: PageId) -> Result<(), Error> {
    let rule = from.rule(page)?;
    if tx.rule(page)? != rule {
        tx.adopt(page, &rule, from.branch_id());
        tx.set_rule(page, rule)?;
    }
    let marks = from.marks(page)?;
    if tx.marks(page)? == marks { Ok(()) } else { tx.set_marks(page, marks) }
}

/// The runs of a column that may hold something else than zeros.
fn written_runs(
    from: &State,
    page: PageId,
    i: usize,
    cells: u64,
    column: &Column,
) -> Result<Vec<(u64, u64)>, Error> {
    let schema = from.schema(page)?;
    let width = column.row_bytes();
    let mut rows: Vec<(u64, u64)> = Vec::new();
    from.stored(page)?.column(&schema, i).extents(|extent| {
        if crate::page::block::is_null(extent.at) {
            return;
        }
        let (first, end) = (extent.start / width, (extent.start + extent.bytes).div_ceil(width));
        match rows.last_mut() {
            Some(last) if last.1 >= first => last.1 = end,
            _ => rows.push((first, end)),
        }
    });
    let per_row = column.cells_per_row();
    Ok(rows
        .into_iter()
        .map(|(first, end)| (first * per_row, (end * per_row).min(cells) - first * per_row))
        .collect())
}
