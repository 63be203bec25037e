//! What differs between two states: pages that came, went or were resized, and cells that changed.

use std::collections::BTreeSet;

use crate::base::ids::PageId;
use crate::bus::error::Error;
use crate::bus::merge::runs::Runs;
use crate::bus::state::State;
use crate::page::block::is_null;
use crate::page::catalog::differing_pages;
use crate::page::column::ColumnRef;
use crate::page::diff::differing_cells;
use crate::page::schema::Schema;
use crate::page::version::PageRef;

/// What happened to a page between two states.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is only in the later one.
    Created,
    /// It is only in the earlier one.
    Dropped,
    /// It is in both, with other cells or rows.
    Changed,
}

/// The cells of a column that changed, as runs: the first cell and how many. A cell is one element of the column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ColumnDiff {
    /// The column's number.
    pub column: u16,
    /// The runs, ascending. Of the rows that only one of the two states of a page has, they are those of cells that are
    /// not zeros.
    pub runs: Vec<(u64, u64)>,
}

/// What changed in a page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageDiff {
    /// Its id.
    pub page: PageId,
    /// Its name.
    pub name: String,
    /// What happened to it.
    pub fate: Fate,
    /// Its rows before and after.
    pub rows: (u64, u64),
    /// Whether it follows from other pages than before, or otherwise, or is behind them otherwise; of a page that came, whether it follows from any.
    pub ruled: bool,
    /// Which cells changed.
    pub columns: Vec<ColumnDiff>,
}

/// The pages that may differ, ascending: those whose version is not the same block.
fn candidates(before: &State, after: &State) -> Vec<PageId> {
    let mut ids = BTreeSet::new();
    if let (Some(a), Some(b)) = (before.root(), after.root()) {
        let arena = &before.core().arena;
        differing_pages(a, b, &mut |x, y| {
            ids.extend(x.or(y).map(|at| PageRef::new(arena, at).id()));
        });
    } else {
        ids.extend(before.ids());
        ids.extend(after.ids());
    }
    ids.into_iter().collect()
}

/// What differs between two states of one bus, by page id. `looked` is called after every page that was compared.
pub(crate) fn diff(before: &State, after: &State, looked: &mut dyn FnMut()) -> Result<Vec<PageDiff>, Error> {
    let mut found = Vec::new();
    for id in candidates(before, after) {
        let page = match (before.found_if(id)?, after.found_if(id)?) {
            (Some(a), Some(b)) if a.at == b.at => continue,
            (Some(a), Some(b)) => {
                before.core().ready(a)?;
                after.core().ready(b)?;
                changed(before, a, b)
            }
            (Some(a), None) => whole(before, a, Fate::Dropped),
            (None, Some(b)) => whole(after, b, Fate::Created),
            (None, None) => continue,
        };
        looked();
        if page.fate != Fate::Changed || page.rows.0 != page.rows.1 || page.ruled || !page.columns.is_empty()
        {
            found.push(page);
        }
    }
    Ok(found)
}

fn changed(state: &State, a: PageRef<'_>, b: PageRef<'_>) -> PageDiff {
    let schema = state.core().schemas.of(a.def());
    PageDiff {
        page: a.id(),
        name: b.def().name().into(),
        fate: Fate::Changed,
        rows: (a.rows(), b.rows()),
        ruled: a.def().rule() != b.def().rule() || a.marks() != b.marks(),
        // Rows that one of them has not count as zeros.
        columns: if a.rows() > b.rows() { changed_since(b, a, schema) } else { changed_since(a, b, schema) },
    }
}

/// Which cells of the rows that both versions have differ, by column.
pub(crate) fn changed_cells(a: PageRef<'_>, b: PageRef<'_>, schema: &Schema) -> Vec<ColumnDiff> {
    let rows = a.rows().min(b.rows());
    let mut columns = Vec::new();
    for (i, column) in schema.columns().iter().enumerate() {
        let bytes = rows * column.row_bytes();
        let mut runs = Vec::new();
        let end = bytes / column.cell_bytes();
        let (x, y) = (a.column(schema, i), b.column(schema, i));
        differing_cells(&x, &y, column.cell_bytes() as usize, &mut |first, n| {
            if first < end {
                runs.push((first, n.min(end - first)));
            }
        });
        if !runs.is_empty() {
            columns.push(ColumnDiff { column: i as u16, runs });
        }
    }
    columns
}

/// The cells of a page that are not as they were in the base, in which rows that it has not are zeros.
pub(crate) fn changed_since(base: PageRef<'_>, page: PageRef<'_>, schema: &Schema) -> Vec<ColumnDiff> {
    let mut columns = changed_cells(base, page, schema);
    if page.rows() > base.rows() {
        for (i, column) in schema.columns().iter().enumerate() {
            let first = base.rows() * column.cells_per_row();
            let runs = written_cells(&page.column(schema, i), first, column.cell_bytes());
            match columns.iter_mut().find(|found| usize::from(found.column) == i) {
                Some(found) => found.runs.extend(runs),
                None if runs.is_empty() => {}
                None => columns.push(ColumnDiff { column: i as u16, runs }),
            }
        }
        columns.sort_unstable_by_key(|found| found.column);
    }
    columns
}

/// The runs of cells from `first` on that are not zeros.
fn written_cells(column: &ColumnRef<'_>, first: u64, cell: u64) -> Runs {
    let mut runs: Runs = Vec::new();
    let mut push = |from: u64, to: u64| match runs.last_mut() {
        Some(last) if last.0 + last.1 >= from => last.1 = last.1.max(to - last.0),
        _ => runs.push((from, to - from)),
    };
    column.extents(|extent| {
        let from = extent.start.max(first * cell);
        let end = extent.start + extent.bytes;
        if is_null(extent.at) || from >= end {
            return;
        }
        let bytes = &column.slice(extent.at, extent.bytes as usize)[(from - extent.start) as usize..];
        for (i, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte != 0) {
            let at = (from + i as u64) / cell;
            push(at, at + 1);
        }
    });
    runs
}

fn whole(state: &State, page: PageRef<'_>, fate: Fate) -> PageDiff {
    let schema = state.core().schemas.of(page.def());
    let cells = |i: usize| page.rows() * schema.columns()[i].cells_per_row();
    let columns = (0..schema.columns().len())
        .filter(|&i| cells(i) > 0)
        .map(|i| ColumnDiff { column: i as u16, runs: vec![(0, cells(i))] })
        .collect();
    let rows = if fate == Fate::Created { (0, page.rows()) } else { (page.rows(), 0) };
    let ruled = fate == Fate::Created && !page.def().rule().is_empty();
    PageDiff { page: page.id(), name: page.def().name().into(), fate, rows, ruled, columns }
}
