//! A page: its arrays, its columns, and writing to it.
#![allow(unsafe_code)]

use std::sync::Arc;

use mmsb::base::ids::Epoch;
use mmsb::bus::past::history::Filter;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Kind;
use pyo3::ffi::Py_buffer;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::array;
use crate::column::{self, Column};
use crate::error::{Fault, Outcome};
use crate::exchange;
use crate::given::{operator_name, text};
use crate::index::everything;
use crate::log::Log;
use crate::python;
use crate::rows;
use crate::sheet::{Sheet, Source};
use crate::show;

/// A page: a named table of typed columns. A page of one column reads and writes like a numpy array.
///
/// It is no array: `page == other` asks whether both are the same object, and arithmetic is done with `page.array`,
/// `page[...]` or numpy's functions, as in `page.array == 0`.
#[pyclass(frozen, weakref, module = "mmsb._core")]
pub struct Page {
    pub sheet: Arc<Sheet>,
}

impl Page {
    fn single(&self) -> Outcome<usize> {
        if self.sheet.is_single() {
            return Ok(0);
        }
        let names: Vec<&str> = self.sheet.schema.columns().iter().map(|column| column.name()).collect();
        Err(Fault::invalid(format!(
            "page '{}' has columns: choose one of {}",
            self.sheet.name,
            names.join(", ")
        )))
    }

    fn has_rows(&self) -> Outcome<()> {
        match self.sheet.schema.kind() {
            Kind::Array { scalar: true } => Err(Fault::dtype(format!(
                "page '{}' is a scalar: it has no rows, its value is page[()]",
                self.sheet.name
            ))),
            _ => Ok(()),
        }
    }

    /// The name of a column, where an index is one.
    fn column_of(&self, index: &Bound<'_, PyAny>) -> Outcome<Option<usize>> {
        match index.cast::<PyString>() {
            Ok(name) => Ok(Some(self.sheet.column(text(name)?)?)),
            Err(_) => Ok(None),
        }
    }
}

#[pymethods]
impl Page {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.sheet.name
    }

    /// Whether both are the same page of the same branch.
    fn _is(&self, other: &Page) -> bool {
        self.sheet.is_same_page(&other.sheet)
    }

    /// Its number, never reused in the bus.
    #[getter]
    fn id(&self) -> u64 {
        self.sheet.id.0
    }

    /// A read-only array of the current epoch, without a copy: the same object until the page changes.
    #[getter]
    fn array<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyAny>> {
        match self.single() {
            Ok(column) => self.sheet.array(py, column),
            Err(fault) => Err(fault),
        }
    }

    /// Its columns' arrays by name, all of one epoch.
    #[getter]
    fn arrays<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyDict>> {
        loop {
            let before = self.sheet.version(py)?;
            let arrays = PyDict::new(py);
            for (i, column) in self.sheet.schema.columns().iter().enumerate() {
                arrays.set_item(column.name(), self.sheet.array(py, i)?)?;
            }
            if self.sheet.version(py)? == before {
                return Ok(arrays);
            }
        }
    }

    /// The epoch that changed it last.
    #[getter]
    fn version(&self, py: Python<'_>) -> Outcome<u64> {
        let (Epoch(epoch), _) = self.sheet.version(py)?;
        Ok(epoch)
    }

    /// Whether it follows from others and is behind them: nobody could make it, or it is made later.
    #[getter]
    fn stale(&self, py: Python<'_>) -> Outcome<bool> {
        self.sheet.is_behind(py)
    }

    /// How many rows.
    #[getter]
    fn rows(&self, py: Python<'_>) -> Outcome<u64> {
        self.sheet.rows(py)
    }

    /// The names of its columns.
    #[getter]
    fn columns(&self) -> Vec<&str> {
        self.sheet.schema.columns().iter().map(|column| column.name()).collect()
    }

    /// What it was created as: `array`, `table` or `raw`.
    #[getter]
    fn kind(&self) -> &'static str {
        match self.sheet.schema.kind() {
            Kind::Array { .. } => "array",
            Kind::Table => "table",
            Kind::Raw => "raw",
        }
    }

    /// Where its memory is: `cpu`.
    #[getter]
    fn location(&self) -> &'static str {
        "cpu"
    }

    /// The operator that `merge` uses by default.
    #[getter]
    fn op(&self) -> Outcome<Option<String>> {
        let Some(id) = self.sheet.schema.operator() else { return Ok(None) };
        let Source::Live(handle) = &self.sheet.source else { return Ok(Some(show::operator(id))) };
        let operator = handle.bus()?.operators().get(id)?;
        Ok(operator.map(|operator| operator.name().to_owned()))
    }

    /// Rows and inner axes; of a table its rows.
    #[getter]
    fn shape(&self, py: Python<'_>) -> Outcome<Py<PyAny>> {
        if self.sheet.is_single() {
            return column::shape(py, &self.sheet, 0);
        }
        Ok(PyTuple::new(py, [self.sheet.rows(py)?])?.into_any().unbind())
    }

    /// numpy's dtype of its cells; of a table that of its rows.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyAny>> {
        if self.sheet.is_single() {
            return Ok(self.sheet.descr(py, 0).into_any());
        }
        Ok(self.sheet.record_dtype(py, &self.sheet.columns())?)
    }

    /// How many axes.
    #[getter]
    fn ndim(&self) -> usize {
        match self.sheet.schema.kind() {
            Kind::Array { scalar: true } => 0,
            Kind::Table => 1,
            _ => 1 + self.sheet.schema.columns()[0].inner().len(),
        }
    }

    /// Bytes of its cells.
    #[getter]
    fn nbytes(&self, py: Python<'_>) -> Outcome<u64> {
        Ok(self.sheet.rows(py)? * self.sheet.schema.row_bytes())
    }

    fn __len__(&self, py: Python<'_>) -> Outcome<usize> {
        self.has_rows()?;
        Ok(self.sheet.rows(py)? as usize)
    }

    /// Whether it has rows; of a scalar whether its value is true.
    fn __bool__(&self, py: Python<'_>) -> Outcome<bool> {
        match self.has_rows() {
            Ok(()) => Ok(self.sheet.rows(py)? > 0),
            Err(_) => Ok(self.sheet.array(py, 0)?.is_truthy()?),
        }
    }

    /// Its rows, one after the other.
    fn __iter__<'py>(slf: &Bound<'py, Self>) -> Outcome<Bound<'py, PyAny>> {
        slf.get().has_rows()?;
        // SAFETY: a new reference to an iterator over a living object, or null with an exception set.
        Ok(unsafe { Bound::from_owned_ptr_or_err(slf.py(), pyo3::ffi::PySeqIter_New(slf.as_ptr())) }?)
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, index: &Bound<'py, PyAny>) -> Outcome<Bound<'py, PyAny>> {
        let (py, page) = (slf.py(), slf.get());
        if let Some(at) = page.column_of(index)? {
            return Ok(Bound::new(py, Column { sheet: Arc::clone(&page.sheet), at })?.into_any());
        }
        if page.sheet.is_single() {
            return page.sheet.get(py, 0, index);
        }
        match rows::chosen(&page.sheet, index)? {
            Some(columns) => rows::read(&page.sheet, &everything(py), &columns),
            None => rows::read(&page.sheet, &rows::of_rows(&page.sheet, index), &page.sheet.columns()),
        }
    }

    fn __setitem__<'py>(&self, index: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> Outcome<()> {
        let py = index.py();
        match self.column_of(index)? {
            Some(at) => self.sheet.set(py, at, &everything(py), value),
            None if self.sheet.is_single() => self.sheet.set(py, 0, index, value),
            None => {
                let chosen = rows::chosen(&self.sheet, index)?;
                let rows = chosen.is_none().then(|| rows::of_rows(&self.sheet, index));
                let columns = chosen.unwrap_or_else(|| self.sheet.columns());
                let fields = rows::fields(&self.sheet, value, &columns)?;
                column::write(py, &self.sheet, &fields, rows.as_ref(), OperatorId::ASSIGN)
            }
        }
    }

    fn __contains__(&self, column: &Bound<'_, PyAny>) -> bool {
        let name = column.cast::<PyString>().ok().and_then(|name| name.to_str().ok());
        name.is_some_and(|name| self.sheet.schema.position(name).is_some())
    }

    /// Merges values into cells: `old = old op value`, logged as the operation.
    ///
    /// Args:
    ///     values: what is merged; of a table a mapping by column. numpy's broadcasting applies.
    ///     rows: which cells, as any index; all of them by default. A row listed twice is merged twice.
    ///     op: `add`, `min`, `max`, `or`, `and`, `xor` or `mul`; by default the page's own. Or a
    ///         `mmsb.monoid` of one's own, of the columns' dtype: what it comes to is logged, not the operation.
    #[pyo3(signature = (values, rows=None, op=None))]
    fn merge(
        slf: &Bound<'_, Self>,
        values: &Bound<'_, PyAny>,
        rows: Option<&Bound<'_, PyAny>>,
        op: Option<&Bound<'_, PyAny>>,
    ) -> Outcome<()> {
        if python::merges(slf, values, rows, op)? {
            return Ok(());
        }
        let this = slf.get();
        let op = op.map(operator_name).transpose().map_err(|fault| fault.about(&this.sheet.named_page()))?;
        let fields = rows::fields(&this.sheet, values, &this.sheet.columns())?;
        let rows = rows.map(|rows| rows::of_rows(&this.sheet, rows));
        column::merge(values.py(), &this.sheet, &fields, rows.as_ref(), op.as_deref())
    }

    /// Writes several columns as one delta.
    ///
    /// Args:
    ///     values: a mapping by column, or rows of a structured dtype.
    ///     rows: which rows, as any index; all of them by default.
    #[pyo3(signature = (values, rows=None))]
    fn assign(&self, values: &Bound<'_, PyAny>, rows: Option<&Bound<'_, PyAny>>) -> Outcome<()> {
        let fields = rows::fields(&self.sheet, values, &self.sheet.columns())?;
        let rows = rows.map(|rows| rows::of_rows(&self.sheet, rows));
        column::write(values.py(), &self.sheet, &fields, rows.as_ref(), OperatorId::ASSIGN)
    }

    /// Gives it another number of rows; new ones are zeros.
    fn resize(&self, py: Python<'_>, rows: &Bound<'_, PyAny>) -> Outcome<()> {
        let about = |fault: Fault| fault.about(&self.sheet.named_page());
        let rows = show::count(rows, "rows").map_err(about)?;
        let handle = self.sheet.live()?;
        if let Some(tx) = crate::transaction::current(py, handle)? {
            return tx.get().catch_up(py, 0, |tx| tx.resize(self.sheet.id, rows)).map_err(about);
        }
        let note = Default::default();
        handle.call(py, 0, &note, |bus| bus.resize(self.sheet.id, rows, &note)).map_err(about)?;
        Ok(())
    }

    /// The commits that changed it, oldest first; of a page of a state those up to its epoch.
    ///
    /// Args:
    ///     intent: only those with this intent; a mapping matches intents that have its items, among others.
    #[pyo3(signature = (intent=None))]
    fn history(&self, intent: Option<&Bound<'_, PyAny>>) -> Outcome<Log> {
        let filter = |until| Filter { page: Some(self.sheet.id), until, ..Filter::default() };
        match &self.sheet.source {
            Source::Live(handle) => Log::new(handle, filter(None), intent),
            Source::Fixed(held, origin) => {
                let epoch = held.epoch()?;
                Log::new(&origin.handle()?, filter(Some(epoch)), intent)
            }
        }
    }

    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> Outcome<Bound<'py, PyAny>> {
        if self.sheet.is_single() {
            return exchange::array(self.sheet.array(py, 0)?, dtype, copy);
        }
        if copy == Some(false) {
            return Err(Fault::invalid(format!(
                "rows of table '{}' take a copy, and copy=False was asked for",
                self.sheet.name
            )));
        }
        let all = rows::read(&self.sheet, &everything(py), &self.sheet.columns())?;
        exchange::array(all, dtype, None)
    }

    #[pyo3(signature = (**options))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> Outcome<Bound<'py, PyAny>> {
        let column = self.single().map_err(exchange::no_buffer)?;
        exchange::dlpack(self.sheet.array(py, column)?, options)
    }

    fn __dlpack_device__<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyAny>> {
        let column = self.single().map_err(exchange::no_buffer)?;
        exchange::dlpack_device(&self.sheet.array(py, column)?)
    }

    /// # Safety
    /// `view` is the interpreter's to fill in.
    unsafe fn __getbuffer__(&self, py: Python<'_>, view: *mut Py_buffer, flags: i32) -> Outcome<()> {
        Ok(array::lend_buffer(&self.sheet.array(py, self.single()?)?, view, flags)?)
    }

    /// The present cells as a `nanoarrow.Array`: of a table structs, one a row.
    fn to_arrow<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        python::arrow(slf, "to_arrow")
    }

    /// Arrow's PyCapsule interface. Another schema than its own is not made: the consumer casts.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        slf: &Bound<'py, Self>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = requested_schema;
        python::arrow(slf, "c_array")
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        slf: &Bound<'py, Self>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = requested_schema;
        python::arrow(slf, "c_stream")
    }

    fn __arrow_c_schema__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        python::arrow(slf, "c_schema")
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        show::page(py, &self.sheet)
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        python::html(slf, "page")
    }
}
