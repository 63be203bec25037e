//! Which rows of which columns changed, found by comparing versions, in memory that is kept from one run to the next.

use crate::page::diff::differing_cells;
use crate::page::schema::Schema;
use crate::page::version::PageRef;
use crate::propagation::runs::{Run, push, rows};

/// What changed of some pages: of each a list of runs for every column.
#[derive(Debug, Default)]
pub struct Changes {
    lists: Vec<Vec<Run>>,
    used: usize,
}

/// Where the lists of a page are.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    first: u32,
    columns: u32,
}

impl Changes {
    /// Forgets all, and keeps the memory.
    pub fn clear(&mut self) {
        self.lists[..self.used].iter_mut().for_each(Vec::clear);
        self.used = 0;
    }

    /// Empty lists for a page of so many columns.
    #[inline]
    pub fn list(&mut self, columns: usize) -> Listed {
        let first = self.used;
        self.used += columns;
        if self.lists.len() < self.used {
            self.lists.resize_with(self.used, Vec::new);
        }
        Listed { first: first as u32, columns: columns as u32 }
    }

    /// The lists of a page, one a column.
    #[inline]
    #[must_use]
    pub fn get(&self, listed: Listed) -> &[Vec<Run>] {
        &self.lists[listed.first as usize..(listed.first + listed.columns) as usize]
    }

    /// As [`Changes::get`], to be written.
    #[inline]
    pub fn get_mut(&mut self, listed: Listed) -> &mut [Vec<Run>] {
        &mut self.lists[listed.first as usize..(listed.first + listed.columns) as usize]
    }

    /// How many rows are in the lists of a page, each once a column.
    #[inline]
    #[must_use]
    pub fn rows(&self, listed: Listed) -> u64 {
        self.get(listed).iter().map(|list| rows(list)).sum()
    }

    /// Lists with all rows of a page.
    pub fn whole(&mut self, columns: usize, rows: u64) -> Listed {
        let listed = self.list(columns);
        self.get_mut(listed).iter_mut().for_each(|runs| push(runs, Run::new(0, rows)));
        listed
    }

    /// Lists with the rows in which two versions of a page differ; `None` where in none.
    pub fn between(&mut self, old: PageRef<'_>, new: PageRef<'_>, schema: &Schema) -> Option<Listed> {
        if old.at == new.at {
            return None;
        }
        let columns = schema.columns();
        let listed = self.list(columns.len());
        let mut any = old.rows() != new.rows();
        for (i, runs) in self.get_mut(listed).iter_mut().enumerate() {
            let (cell, width) = (columns[i].cell_bytes() as usize, columns[i].cells_per_row().max(1));
            let (before, now) = (old.column(schema, i), new.column(schema, i));
            differing_cells(&before, &now, cell, &mut |first, n| {
                any = true;
                push(runs, Run::new(first / width, (first + n).div_ceil(width)));
            });
        }
        any.then_some(listed)
    }
}
