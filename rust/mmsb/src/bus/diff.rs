//! What differs between two states: pages that came, went or were resized, and cells that changed.

use std::collections::BTreeSet;

use crate::base::ids::PageId;
use crate::bus::error::Error;
use crate::bus::state::State;
use crate::page::catalog::differing_pages;
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
    /// The runs, ascending; those of cells that only one state has are not among them.
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

/// What differs between two states of one bus, by page id.
pub(crate) fn diff(before: &State, after: &State) -> Result<Vec<PageDiff>, Error> {
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
        if page.fate != Fate::Changed || page.rows.0 != page.rows.1 || !page.columns.is_empty() {
            found.push(page);
        }
    }
    Ok(found)
}

fn changed(state: &State, a: PageRef<'_>, b: PageRef<'_>) -> PageDiff {
    let schema = state.core().catalog.schema(a.def());
    PageDiff {
        page: a.id(),
        name: b.def().name().into(),
        fate: Fate::Changed,
        rows: (a.rows(), b.rows()),
        columns: changed_cells(a, b, &schema),
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

fn whole(state: &State, page: PageRef<'_>, fate: Fate) -> PageDiff {
    let schema = state.core().catalog.schema(page.def());
    let cells = |i: usize| page.rows() * schema.columns()[i].cells_per_row();
    let columns = (0..schema.columns().len())
        .filter(|&i| cells(i) > 0)
        .map(|i| ColumnDiff { column: i as u16, runs: vec![(0, cells(i))] })
        .collect();
    let rows = if fate == Fate::Created { (0, page.rows()) } else { (page.rows(), 0) };
    PageDiff { page: page.id(), name: page.def().name().into(), fate, rows, columns }
}
