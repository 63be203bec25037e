//! What Python's side does for the compiled classes: Arrow, tables for notebooks, and merges by users' operators.

use pyo3::PyTypeInfo;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Calls a function of `mmsb.arrow` with a page or column.
pub fn arrow<'py, T: PyTypeInfo>(source: &Bound<'py, T>, function: &str) -> PyResult<Bound<'py, PyAny>> {
    source.py().import("mmsb.arrow")?.call_method1(function, (source,))
}

/// The HTML that a function of `mmsb.notebook` makes of an object.
pub fn html<T: PyTypeInfo>(source: &Bound<'_, T>, function: &str) -> PyResult<String> {
    source.py().import("mmsb.notebook")?.call_method1(function, (source,))?.extract()
}

/// Merges by a monoid of `mmsb.algebra`; whether `op` is one.
pub fn merges<'py, T: PyTypeInfo>(
    into: &Bound<'py, T>,
    values: &Bound<'py, PyAny>,
    rows: Option<&Bound<'py, PyAny>>,
    op: Option<&Bound<'py, PyAny>>,
) -> PyResult<bool> {
    let Some(op) = op.filter(|op| !op.is_instance_of::<PyString>()) else { return Ok(false) };
    let room = into.py().import("mmsb.algebra.merge")?;
    room.call_method1("merge", (into, values, rows, op))?.extract()
}
