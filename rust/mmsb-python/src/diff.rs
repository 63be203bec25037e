//! What differs between two states, page by page; the cells are read when they are asked for.

use std::sync::Arc;

use mmsb::bus::diff::{ColumnDiff, Fate, PageDiff};
use mmsb::bus::state::State;
use mmsb::page::schema::Kind;
use mmsb::page::select::Select;
use numpy::IntoPyArray;
use numpy::npyffi::npy_intp;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::array;
use crate::dtype;
use crate::error::{Fault, Outcome};
use crate::fork::Own;
use crate::python;
use crate::show::{legible, plural};
use crate::state::HeldState;

/// What happened to a page between two states.
#[pyclass(frozen, module = "mmsb._core", name = "Change")]
pub struct Change {
    diff: PageDiff,
    before: HeldState,
    after: HeldState,
    schema: Arc<mmsb::page::schema::Schema>,
}

impl Change {
    pub fn new(py: Python<'_>, diff: PageDiff, before: &HeldState, after: &HeldState) -> Outcome<Self> {
        let with = if diff.fate == Fate::Dropped { before } else { after };
        let schema = py.detach(|| with.get().schema(diff.page))?;
        Ok(Change { diff, before: Arc::clone(before), after: Arc::clone(after), schema })
    }

    fn flat(part: &ColumnDiff) -> Vec<u64> {
        part.runs.iter().flat_map(|&(first, n)| first..first + n).collect()
    }

    fn values<'py>(
        &self,
        py: Python<'py>,
        state: &Own<Arc<State>>,
        absent: Fate,
    ) -> Outcome<Option<Bound<'py, PyAny>>> {
        if self.diff.fate == absent {
            return Ok(None);
        }
        if state.is_foreign() {
            let message = "the states were taken before a fork: open the bus again in the child process";
            return Err(Fault::Face(mmsb::bus::error::Code::Forked, message.into()));
        }
        let by_column = PyDict::new(py);
        for part in &self.diff.columns {
            let column = self.schema.column(part.column)?;
            let mut cells = Change::flat(part);
            let dims = [cells.len() as npy_intp];
            // Rows that this state has not count as zeros.
            let there = state.get().version(self.diff.page)?.1 * column.cells_per_row();
            cells.truncate(cells.partition_point(|&cell| cell < there));
            let filled = cells.len() * column.cell_bytes() as usize;
            let select = Select::Cells(Arc::new(cells));
            let descr = dtype::descr(py, column.dtype())?;
            let read = array::filled(py, &descr, &dims, |out| -> Outcome<()> {
                let (read, absent) = out.split_at_mut(filled);
                absent.fill(0);
                Ok(py.detach(|| state.get().read(self.diff.page, usize::from(part.column), &select, read))?)
            })?;
            if self.schema.kind() != Kind::Table {
                return Ok(Some(read));
            }
            by_column.set_item(column.name(), read)?;
        }
        Ok(Some(by_column.into_any()))
    }
}

#[pymethods]
impl Change {
    /// The page's name.
    #[getter]
    fn page(&self) -> &str {
        &self.diff.name
    }

    /// The page's id.
    #[getter]
    fn id(&self) -> u64 {
        self.diff.page.0
    }

    /// What happened to the page: `created`, `dropped` or `changed`.
    #[getter]
    fn kind(&self) -> &'static str {
        match self.diff.fate {
            Fate::Created => "created",
            Fate::Dropped => "dropped",
            Fate::Changed => "changed",
        }
    }

    /// Its rows before and after.
    #[getter]
    fn resized(&self) -> (u64, u64) {
        self.diff.rows
    }

    /// The names of the columns that changed.
    #[getter]
    fn columns(&self) -> Vec<String> {
        let name = |part: &ColumnDiff| self.schema.column(part.column).map(|column| column.name().to_owned());
        self.diff.columns.iter().filter_map(|part| name(part).ok()).collect()
    }

    /// The rows that changed, ascending; of those that only one state has, the ones that are not all zeros.
    #[getter]
    fn rows<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyAny>> {
        let mut rows: Vec<i64> = Vec::new();
        for part in &self.diff.columns {
            let width = self.schema.column(part.column)?.cells_per_row();
            for &(first, n) in &part.runs {
                let next = rows.last().map_or(0, |last| last + 1);
                let first_row = (first / width) as i64;
                let from = if self.diff.columns.len() == 1 { first_row.max(next) } else { first_row };
                rows.extend(from..((first + n - 1) / width) as i64 + 1);
            }
        }
        rows.sort_unstable();
        rows.dedup();
        Ok(rows.into_pyarray(py).into_any())
    }

    /// The cells that changed, by column, as places in the flat column.
    #[getter]
    fn cells<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyDict>> {
        let by_column = PyDict::new(py);
        for part in &self.diff.columns {
            let cells: Vec<i64> = Change::flat(part).into_iter().map(|cell| cell as i64).collect();
            by_column.set_item(self.schema.column(part.column)?.name(), cells.into_pyarray(py))?;
        }
        Ok(by_column)
    }

    /// How many cells changed.
    #[getter]
    fn count(&self) -> u64 {
        self.diff.columns.iter().flat_map(|part| &part.runs).map(|run| run.1).sum()
    }

    /// What was in those cells, zeros in rows that were not there; of a table by column; `None` where the page was not.
    #[getter]
    fn before<'py>(&self, py: Python<'py>) -> Outcome<Option<Bound<'py, PyAny>>> {
        self.values(py, &self.before, Fate::Created)
    }

    /// What is in those cells, zeros in rows that are no more; of a table by column; `None` where the page is no more.
    #[getter]
    fn after<'py>(&self, py: Python<'py>) -> Outcome<Option<Bound<'py, PyAny>>> {
        self.values(py, &self.after, Fate::Dropped)
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        python::html(slf, "change")
    }

    fn __repr__(&self) -> String {
        let (before, after) = self.diff.rows;
        let resized = if before != after && self.diff.fate == Fate::Changed {
            format!(", {before} to {after} rows")
        } else {
            String::new()
        };
        legible(&format!(
            "<Change of page '{}': {}, {}{resized}>",
            self.diff.name,
            self.kind(),
            plural(self.count(), "cell")
        ))
    }
}
