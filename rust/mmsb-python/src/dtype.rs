//! Types of cells as numpy's dtypes, and back.

use mmsb::page::dtype::DType;
use mmsb::page::error::PageError;
use numpy::{PyArrayDescr, PyArrayDescrMethods};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

use crate::error::{Fault, Outcome};

/// numpy's dtype of a type.
pub fn descr<'py>(py: Python<'py>, dtype: DType) -> PyResult<Bound<'py, PyArrayDescr>> {
    static FIXED: PyOnceLock<Vec<Py<PyArrayDescr>>> = PyOnceLock::new();
    let fixed = FIXED.get_or_try_init(py, || {
        let names = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"];
        names.iter().map(|name| Ok(PyArrayDescr::new(py, *name)?.unbind())).collect::<PyResult<Vec<_>>>()
    })?;
    match fixed.get(usize::from(dtype.code())) {
        Some(descr) => Ok(descr.bind(py).clone()),
        None => PyArrayDescr::new(py, dtype.name()),
    }
}

/// `float32[3, 2]` as its type and inner shape; `None` where it is written otherwise.
fn split_shape(text: &str) -> Option<(&str, Vec<u64>)> {
    let (name, rest) = text.split_once('[')?;
    let sizes = rest.strip_suffix(']')?.split(',').map(|size| size.trim().parse().ok());
    Some((name.trim(), sizes.collect::<Option<_>>()?))
}

/// The type, and the inner shape where the dtype has one, of whatever `numpy.dtype` takes, and of `float32[3, 2]`.
pub fn parse(given: &Bound<'_, PyAny>) -> Outcome<(DType, Vec<u64>)> {
    let py = given.py();
    let shown = || -> String { given.str().map_or_else(|_| "?".into(), |text| text.to_string()) };
    let unsupported = || Fault::from(PageError::UnsupportedDtype { name: shown() });
    if given.is_none() {
        return Err(unsupported());
    }
    if let Some((name, inner)) =
        given.cast::<PyString>().ok().and_then(|text| split_shape(text.to_str().ok()?))
    {
        return Ok((DType::parse(name).map_err(|_| unsupported())?, inner));
    }
    let descr = PyArrayDescr::new(py, given.clone()).map_err(|_| unsupported())?;
    if let Some(dtype) = plain(&descr) {
        return Ok((dtype, Vec::new()));
    }
    let inner: Vec<u64> = descr.shape().into_iter().map(|size| size as u64).collect();
    // Pages are little endian; what is not is turned round as it is written.
    let little = descr.base().call_method1(intern!(py, "newbyteorder"), ("<",))?;
    let cell = little.getattr(intern!(py, "str"))?;
    let name = cell.cast::<PyString>().map_err(PyErr::from)?.to_str()?.to_owned();
    Ok((DType::parse(&name).map_err(|_| unsupported())?, inner))
}

/// The type of cells that lie as they do in pages; nothing where it takes more to say.
fn plain(descr: &Bound<'_, PyArrayDescr>) -> Option<DType> {
    let is_little = cfg!(target_endian = "little") && descr.is_native_byteorder() != Some(false);
    if !is_little || descr.has_subarray() {
        return None;
    }
    let (kind, bytes) = (descr.kind(), descr.itemsize());
    if !matches!(kind, b'b' | b'i' | b'u' | b'f') || bytes > 8 {
        return None;
    }
    DType::parse(str::from_utf8(&[kind, b'0' + bytes as u8]).ok()?).ok()
}

/// The least and the greatest integer that a cell holds; `None` for what is no integer.
pub fn integer_range(dtype: DType) -> Option<(i128, i128)> {
    let signed = |bits: u32| (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1);
    let unsigned = |bits: u32| (0, (1i128 << bits) - 1);
    Some(match dtype {
        DType::Bool => (0, 1),
        DType::I8 => signed(8),
        DType::I16 => signed(16),
        DType::I32 => signed(32),
        DType::I64 => signed(64),
        DType::U8 => unsigned(8),
        DType::U16 => unsigned(16),
        DType::U32 => unsigned(32),
        DType::U64 => unsigned(64),
        DType::F16 | DType::F32 | DType::F64 | DType::Bytes(_) => return None,
    })
}
