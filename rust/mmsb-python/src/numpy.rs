//! The few functions of numpy that the binding calls from Python's side, looked up once.

use numpy::{PyArrayDescr, PyUntypedArray};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// numpy's functions and types.
pub struct NumPy {
    asarray: Py<PyAny>,
    ascontiguousarray: Py<PyAny>,
    pub arange: Py<PyAny>,
    /// `frombuffer`
    pub bytes: Py<PyAny>,
    pub broadcast_to: Py<PyAny>,
    pub can_cast: Py<PyAny>,
    pub isnan: Py<PyAny>,
    pub empty: Py<PyAny>,
    pub generic: Py<PyAny>,
    pub bool_scalar: Py<PyAny>,
    pub int64: Py<PyArrayDescr>,
    pub boolean: Py<PyArrayDescr>,
}

static NUMPY: PyOnceLock<NumPy> = PyOnceLock::new();

/// Looks everything up; called when the module is loaded.
pub fn load(py: Python<'_>) -> PyResult<()> {
    let module = py.import("numpy")?;
    let get = |name: &str| module.getattr(name).map(Bound::unbind);
    let loaded = NumPy {
        asarray: get("asarray")?,
        ascontiguousarray: get("ascontiguousarray")?,
        arange: get("arange")?,
        bytes: get("frombuffer")?,
        broadcast_to: get("broadcast_to")?,
        can_cast: get("can_cast")?,
        isnan: get("isnan")?,
        empty: get("empty")?,
        generic: get("generic")?,
        bool_scalar: get("bool_")?,
        int64: PyArrayDescr::new(py, "<i8")?.unbind(),
        boolean: PyArrayDescr::new(py, "?")?.unbind(),
    };
    let _ = NUMPY.set(py, loaded);
    Ok(())
}

/// numpy's functions.
pub fn numpy(py: Python<'_>) -> &'static NumPy {
    NUMPY.get(py).expect("looked up when the module was loaded")
}

impl NumPy {
    /// The object as an array, copied only where needed.
    pub fn asarray<'py>(&self, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
        Ok(self.asarray.bind(object.py()).call1((object,))?.cast_into()?)
    }

    /// The object as a C-contiguous array of a dtype, by whatever cast that takes.
    pub fn contiguous<'py>(
        &self,
        object: &Bound<'py, PyAny>,
        descr: &Py<PyArrayDescr>,
    ) -> PyResult<Bound<'py, PyUntypedArray>> {
        Ok(self.ascontiguousarray.bind(object.py()).call1((object, descr))?.cast_into()?)
    }
}
