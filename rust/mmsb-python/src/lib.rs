//! The thin PyO3 binding of `mmsb`: convert, detach from the interpreter, call, wrap.
#![deny(unsafe_code)]

use pyo3::prelude::*;

/// The compiled core of the Python package `mmsb`.
#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}
