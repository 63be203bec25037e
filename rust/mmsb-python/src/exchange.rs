//! Arrays handed to others: `__array__` and DLPack.

use pyo3::exceptions::PyBufferError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::{Fault, Outcome};

/// numpy's `__array__`: no copy unless one is asked for or the dtype needs it.
pub fn array<'py>(
    latest: Bound<'py, PyAny>,
    dtype: Option<&Bound<'py, PyAny>>,
    copy: Option<bool>,
) -> Outcome<Bound<'py, PyAny>> {
    let py = latest.py();
    let other = match dtype.filter(|dtype| !dtype.is_none()) {
        Some(dtype) => {
            let wanted = numpy::PyArrayDescr::new(py, dtype.clone())?;
            (!latest.getattr(intern!(py, "dtype"))?.eq(&wanted)?).then_some(wanted)
        }
        None => None,
    };
    match (other, copy) {
        (Some(_), Some(false)) => Err(Fault::Face(
            mmsb::bus::error::Code::Dtype,
            "a different dtype takes a copy, and copy=False was asked for".into(),
        )),
        (Some(wanted), _) => Ok(latest.call_method1(intern!(py, "astype"), (wanted,))?),
        (None, Some(true)) => Ok(latest.call_method0(intern!(py, "copy"))?),
        (None, _) => Ok(latest),
    }
}

/// DLPack: without a copy and marked read-only for consumers that know of it (1.0 and later), else a copy.
pub fn dlpack<'py>(
    latest: Bound<'py, PyAny>,
    options: Option<&Bound<'py, PyDict>>,
) -> Outcome<Bound<'py, PyAny>> {
    let py = latest.py();
    let empty = PyDict::new(py);
    let options = options.unwrap_or(&empty);
    let version = options.get_item("max_version")?.filter(|version| !version.is_none());
    let knows = match version {
        Some(version) => version.get_item(0)?.extract::<u32>()? >= 1,
        None => false,
    };
    let copy =
        options.get_item("copy")?.filter(|copy| !copy.is_none()).map(|copy| copy.is_truthy()).transpose()?;
    match (knows, copy) {
        (true, _) => Ok(latest.call_method(intern!(py, "__dlpack__"), (), Some(options))?),
        (false, Some(false)) => Err(Fault::Python(PyBufferError::new_err(
            "the bus's memory is read only, which DLPack below 1.0 cannot say, and copy=False was asked for",
        ))),
        (false, _) => {
            let copied = latest.call_method0(intern!(py, "copy"))?;
            let options = options.copy()?;
            if options.contains("copy")? {
                options.del_item("copy")?;
            }
            Ok(copied.call_method(intern!(py, "__dlpack__"), (), Some(&options))?)
        }
    }
}

/// What DLPack and numpy expect of what cannot be lent.
pub fn no_buffer(fault: Fault) -> Fault {
    match fault {
        Fault::Face(_, message) => Fault::Python(PyBufferError::new_err(message)),
        fault => fault,
    }
}

/// Where the memory is: DLPack's pair of device kind and number.
pub fn dlpack_device<'py>(latest: &Bound<'py, PyAny>) -> Outcome<Bound<'py, PyAny>> {
    Ok(latest.call_method0(intern!(latest.py(), "__dlpack_device__"))?)
}
