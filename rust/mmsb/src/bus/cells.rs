//! Runs of cells as selections, and copying cells from one state into a transaction.

use std::borrow::Cow;
use std::sync::Arc;

use crate::base::ids::PageId;
use crate::bus::error::Error;
use crate::bus::state::State;
use crate::bus::transaction::Transaction;
use crate::page::delta::{Data, Delta, Part};
use crate::page::operator::OperatorId;
use crate::page::schema::Column;
use crate::page::select::{Rows, Select};

/// Runs shorter than this on average are written as one list.
const LIST_BELOW: u64 = 8;

/// The selections that cover the runs of cells (first, how many), in their order.
pub(crate) fn selections(runs: &[(u64, u64)], column: &Column) -> Vec<Select> {
    let width = column.cells_per_row();
    let total: u64 = runs.iter().map(|run| run.1).sum();
    if runs.len() > 1 && total / (runs.len() as u64) < LIST_BELOW * width {
        let all = || runs.iter().flat_map(|&(first, n)| first..first + n);
        if width == 1 {
            return vec![Select::Rows { rows: Rows::Index(Arc::new(all().collect())), inner: None }];
        }
        return vec![Select::Cells(Arc::new(all().collect()))];
    }
    runs.iter().flat_map(|&(first, n)| around_rows(first, first + n, width)).collect()
}

/// The cells `from..to` as whole rows, and what is left of a row before and behind them.
fn around_rows(from: u64, to: u64, width: u64) -> impl Iterator<Item = Select> {
    let cells = |from: u64, to: u64| (from < to).then(|| Select::Cells(Arc::new((from..to).collect())));
    let (start, stop) = (from.div_ceil(width), to / width);
    let pieces = if start < stop {
        [cells(from, start * width), Some(Select::range(start, stop)), cells(stop * width, to)]
    } else {
        [cells(from, to), None, None]
    };
    pieces.into_iter().flatten()
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
        from.read(page, usize::from(i), &select, &mut bytes)?;
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
    copy_rule(tx, from, page)?;
    for (i, column) in info.schema.columns().iter().enumerate() {
        let cells = info.rows * column.cells_per_row();
        let runs = written_runs(from, page, i, cells, column)?;
        copy_cells(tx, from, page, i as u16, &runs)?;
    }
    Ok(())
}

/// Has a page of the transaction follow from what `from` has it follow from.
pub(crate) fn copy_rule(tx: &mut Transaction, from: &State, page: PageId) -> Result<(), Error> {
    let rule = from.rule(page)?;
    if tx.rule(page)? == rule { Ok(()) } else { tx.set_rule(page, rule) }
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
    from.page(page)?.column(&schema, i).extents(|extent| {
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
