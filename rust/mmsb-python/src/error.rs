//! Errors on their way to Python: each becomes the class of `mmsb.errors` that has its code.

use mmsb::bus::error::{Code, Error};
use mmsb::page::error::PageError;
use mmsb::page::state_error::StateError;
use mmsb::propagation::error::FlowError;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};

use crate::rule::Exception;

/// Why a call failed.
pub enum Fault {
    /// The core said so.
    Core(Error),
    /// What was handed in cannot be converted.
    Face(Code, String),
    /// Python said so.
    Python(PyErr),
}

pub type Outcome<T> = Result<T, Fault>;

impl Fault {
    pub fn shape(message: impl Into<String>) -> Self {
        Fault::Face(Code::Shape, message.into())
    }

    pub fn dtype(message: impl Into<String>) -> Self {
        Fault::Face(Code::Dtype, message.into())
    }

    pub fn index(message: impl Into<String>) -> Self {
        Fault::Face(Code::BadIndex, message.into())
    }

    /// With what it is about in front, where the core said only what is wrong.
    pub fn about(self, what: &str) -> Self {
        match self {
            Fault::Face(code, message) => Fault::Face(code, format!("{what}: {message}")),
            Fault::Core(Error::State(StateError::Plain(wrong))) => {
                let message = format!("{what}: {wrong}");
                Fault::Face(Error::from(wrong).code(), message)
            }
            Fault::Core(missing @ (Error::NoPageNamed(_) | Error::State(StateError::NoPage(_)))) => {
                Fault::Face(missing.code(), format!("{what}: {missing}"))
            }
            fault => fault,
        }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Fault::Face(Code::InvalidArgument, message.into())
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Core(error)
    }
}

impl From<PageError> for Fault {
    fn from(error: PageError) -> Self {
        Fault::Core(error.into())
    }
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Fault::Python(error)
    }
}

impl From<Fault> for PyErr {
    fn from(fault: Fault) -> Self {
        Python::attach(|py| match fault {
            Fault::Core(error) => core_error(py, &error).unwrap_or_else(|failed| failed),
            Fault::Face(code, message) => {
                coded(py, code, &message).map_or_else(|failed| failed, PyErr::from_value)
            }
            Fault::Python(error) => error,
        })
    }
}

/// The exception of a code.
fn coded<'py>(py: Python<'py>, code: Code, message: &str) -> PyResult<Bound<'py, PyAny>> {
    static BY_CODE: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let classes = BY_CODE.import(py, "mmsb.errors", "BY_CODE")?;
    classes.as_any().get_item(code.as_str())?.call1((PyString::new(py, message),))
}

fn core_error(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let exception = coded(py, error.code(), &error.to_string())?;
    if let Error::Rule { error, path } = error {
        if let FlowError::Raised { source, .. } = &**error
            && let Some(Exception(raised)) = source.downcast_ref::<Exception>()
        {
            // Ctrl-C is not the rule's fault.
            if !raised.is_instance_of::<PyException>(py) {
                return Ok(raised.clone_ref(py));
            }
            exception.setattr("__cause__", raised.value(py))?;
        }
        if let Some((page, rule)) = error.about() {
            exception.setattr("page", page)?;
            exception.setattr("rule", rule)?;
        }
        exception.setattr("path", path)?;
    }
    if let Error::Cycle(path) = error {
        exception.setattr("path", path)?;
    }
    if let Error::Conflict(clashes) = error {
        let named: Vec<(&str, &[u64], &str)> =
            clashes.iter().map(|clash| (clash.page.as_str(), clash.rows.as_slice(), clash.what)).collect();
        exception.setattr("clashes", named)?;
    }
    Ok(PyErr::from_value(exception))
}

/// The stable codes of all errors.
#[pyfunction]
pub fn error_codes() -> Vec<&'static str> {
    Code::ALL.iter().map(|code| code.as_str()).collect()
}
