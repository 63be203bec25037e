//! What Python's side does for the compiled classes: Arrow, and tables for notebooks.

use pyo3::PyTypeInfo;
use pyo3::prelude::*;

/// Calls a function of `mmsb.arrow` with a page or column.
pub fn arrow<'py, T: PyTypeInfo>(source: &Bound<'py, T>, function: &str) -> PyResult<Bound<'py, PyAny>> {
    source.py().import("mmsb.arrow")?.call_method1(function, (source,))
}

/// The HTML that a function of `mmsb.notebook` makes of an object.
pub fn html<T: PyTypeInfo>(source: &Bound<'_, T>, function: &str) -> PyResult<String> {
    source.py().import("mmsb.notebook")?.call_method1(function, (source,))?.extract()
}
