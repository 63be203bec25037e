//! One column of a table: an array of its own.
#![allow(unsafe_code)]

use std::sync::Arc;

use mmsb::page::delta::Part;
use mmsb::page::operator::OperatorId;
use pyo3::ffi::Py_buffer;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::array;
use crate::error::{Fault, Outcome};
use crate::exchange;
use crate::given::operator_name;
use crate::index::everything;
use crate::page::Page;
use crate::python;
use crate::sheet::Sheet;
use crate::show;

/// One column of a page. It reads and writes like a numpy array, and every write is a delta in the log.
///
/// It is no array: `column == other` asks whether both are the same object; compare `column.array`.
#[pyclass(frozen, module = "mmsb._core")]
pub struct Column {
    pub sheet: Arc<Sheet>,
    pub at: usize,
}

#[pymethods]
impl Column {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        self.sheet.schema.columns()[self.at].name()
    }

    /// The name of its page.
    #[getter]
    fn page(&self) -> &str {
        &self.sheet.name
    }

    /// The page itself.
    #[getter]
    fn _page(&self) -> Page {
        Page { sheet: Arc::clone(&self.sheet) }
    }

    /// A read-only array of the current epoch, without a copy: the same object until the page changes.
    #[getter]
    fn array<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyAny>> {
        self.sheet.array(py, self.at)
    }

    /// Rows and inner axes.
    #[getter]
    fn shape(&self, py: Python<'_>) -> Outcome<Py<PyAny>> {
        shape(py, &self.sheet, self.at)
    }

    /// numpy's dtype of its cells.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.sheet.descr(py, self.at).into_any()
    }

    /// How many axes.
    #[getter]
    fn ndim(&self) -> usize {
        1 + self.sheet.schema.columns()[self.at].inner().len()
    }

    /// Bytes of its cells.
    #[getter]
    fn nbytes(&self, py: Python<'_>) -> Outcome<u64> {
        Ok(self.sheet.rows(py)? * self.sheet.schema.columns()[self.at].row_bytes())
    }

    /// The epoch that changed its page last.
    #[getter]
    fn version(&self, py: Python<'_>) -> Outcome<u64> {
        Ok(self.sheet.version(py)?.0.0)
    }

    fn __len__(&self, py: Python<'_>) -> Outcome<usize> {
        Ok(self.sheet.rows(py)? as usize)
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> Outcome<Bound<'py, PyAny>> {
        self.sheet.get(index.py(), self.at, index)
    }

    fn __setitem__<'py>(&self, index: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> Outcome<()> {
        self.sheet.set(index.py(), self.at, index, value)
    }

    /// Merges values into cells: `old = old op value`, logged as the operation.
    ///
    /// Args:
    ///     values: what is merged; numpy's broadcasting applies.
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
        merge(values.py(), &this.sheet, &[(this.at, values.clone())], rows, op.as_deref())
    }

    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> Outcome<Bound<'py, PyAny>> {
        exchange::array(self.sheet.array(py, self.at)?, dtype, copy)
    }

    #[pyo3(signature = (**options))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> Outcome<Bound<'py, PyAny>> {
        exchange::dlpack(self.sheet.array(py, self.at)?, options)
    }

    fn __dlpack_device__<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyAny>> {
        exchange::dlpack_device(&self.sheet.array(py, self.at)?)
    }

    /// # Safety
    /// `view` is the interpreter's to fill in.
    unsafe fn __getbuffer__(&self, py: Python<'_>, view: *mut Py_buffer, flags: i32) -> Outcome<()> {
        Ok(array::lend_buffer(&self.sheet.array(py, self.at)?, view, flags)?)
    }

    /// The present cells as a `nanoarrow.Array`.
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

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        python::html(slf, "column")
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let column = &self.sheet.schema.columns()[self.at];
        let rows = self.sheet.rows(py).map_or_else(|_| "?".into(), |rows| rows.to_string());
        let inner: String = column.inner().iter().map(|size| format!(", {size}")).collect();
        show::legible(&format!(
            "<Column '{}' of page '{}' {}[{rows}{inner}]>",
            column.name(),
            self.sheet.name,
            column.dtype()
        ))
    }
}

/// The shape of a column as a tuple.
pub fn shape(py: Python<'_>, sheet: &Sheet, column: usize) -> Outcome<Py<PyAny>> {
    let dims = sheet.shape(column, sheet.rows(py)?).dims();
    Ok(pyo3::types::PyTuple::new(py, dims)?.into_any().unbind())
}

/// Merges values into cells of columns, as one delta.
pub fn merge<'py>(
    py: Python<'py>,
    sheet: &Sheet,
    columns: &[(usize, Bound<'py, PyAny>)],
    rows: Option<&Bound<'py, PyAny>>,
    op: Option<&str>,
) -> Outcome<()> {
    write(py, sheet, columns, rows, operator(sheet, columns, op)?)
}

/// The operator by which values are merged into columns.
pub fn operator(
    sheet: &Sheet,
    columns: &[(usize, Bound<'_, PyAny>)],
    op: Option<&str>,
) -> Outcome<OperatorId> {
    let bus = sheet.live()?.bus()?;
    let op = match op {
        Some(name) => {
            bus.operators().named(name).map_err(|wrong| Fault::from(wrong).about(&sheet.named_page()))?.id()
        }
        None => sheet.schema.operator().ok_or_else(|| {
            Fault::invalid(format!(
                "page '{}' has no operator of its own: say which, as in op='add'",
                sheet.name
            ))
        })?,
    };
    for &(column, _) in columns {
        let works = bus.operators().on(op, sheet.schema.columns()[column].dtype());
        works.map_err(|wrong| Fault::from(wrong).about(&sheet.named(column)))?;
    }
    Ok(op)
}

/// Writes values into cells of columns, as one delta.
pub fn write<'py>(
    py: Python<'py>,
    sheet: &Sheet,
    columns: &[(usize, Bound<'py, PyAny>)],
    rows: Option<&Bound<'py, PyAny>>,
    op: OperatorId,
) -> Outcome<()> {
    let write = |parts: Vec<Part<'_>>| match parts.is_empty() {
        true => sheet.write_nothing(),
        false => sheet.write(py, op, parts),
    };
    sheet.live()?;
    as_parts(py, (sheet, sheet.rows(py)?), columns, rows, write)
}

/// Gives values for cells of columns to `put`, as the parts of a delta; none where no cell is picked of so many rows.
pub fn as_parts<'py>(
    py: Python<'py>,
    (sheet, count): (&Sheet, u64),
    columns: &[(usize, Bound<'py, PyAny>)],
    rows: Option<&Bound<'py, PyAny>>,
    put: impl FnOnce(Vec<Part<'_>>) -> Outcome<()>,
) -> Outcome<()> {
    let everything = everything(py);
    let rows = rows.filter(|rows| !rows.is_none()).unwrap_or(&everything);
    let mut encoded = Vec::with_capacity(columns.len());
    for (column, value) in columns {
        let picked = sheet.pick(rows, *column, count)?;
        let value = sheet.encode(value, &picked, *column)?;
        if picked.cells() > 0 {
            encoded.push((*column, picked.select, value));
        }
    }
    let parts = encoded.iter().map(|(column, select, value)| Part {
        column: *column as u16,
        select: select.clone(),
        data: value.data(),
    });
    put(parts.collect())
}
