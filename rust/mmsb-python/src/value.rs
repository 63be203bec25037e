//! Values on their way into cells: casts of the same kind, checked ranges, numpy's broadcasting.

use mmsb::bus::error::Code;
use mmsb::page::delta::Data;
use mmsb::page::dtype::DType;
use mmsb::page::select::Select;
use numpy::npyffi::npy_intp;
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PySlice, PyTuple};

use crate::array;
use crate::dtype::integer_range;
use crate::error::{Fault, Outcome};
use crate::index::Picked;
use crate::numpy::numpy;

/// Cells as bytes, of their own or of an array that is kept for it.
pub struct Value<'py> {
    bytes: Bytes<'py>,
    fill: bool,
}

enum Bytes<'py> {
    Cell([u8; 8], usize),
    Array(Bound<'py, PyUntypedArray>),
}

impl Value<'_> {
    fn cell(bytes: &[u8]) -> Self {
        let mut cell = [0; 8];
        cell[..bytes.len()].copy_from_slice(bytes);
        Value { bytes: Bytes::Cell(cell, bytes.len()), fill: true }
    }

    /// The data of a delta's part.
    pub fn data(&self) -> Data<'_> {
        let bytes = self.bytes();
        if self.fill { Data::Fill(bytes.into()) } else { Data::Dense(bytes.into()) }
    }

    /// The bytes, whether they repeat or not.
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Cell(cell, length) => &cell[..*length],
            // `Encoder` made the array contiguous.
            Bytes::Array(array) => array::bytes(array).unwrap_or_default(),
        }
    }

    /// Whether the bytes repeat.
    pub fn is_fill(&self) -> bool {
        self.fill
    }
}

/// What a value is encoded for.
pub struct Target<'a, 'py> {
    pub dtype: DType,
    pub descr: &'a Bound<'py, PyArrayDescr>,
    /// The page, and the column where it has several, for messages.
    pub name: &'a dyn Fn() -> String,
}

/// A value as the cells that were picked.
pub fn encode<'py>(
    value: &Bound<'py, PyAny>,
    picked: &Picked,
    target: &Target<'_, 'py>,
) -> Outcome<Value<'py>> {
    if let Some(cell) = plain(value, target)?
        && picked.cells() > 0
    {
        return Ok(cell);
    }
    if let Ok(array) = value.cast::<PyUntypedArray>() {
        refuse_masked(array, target)?;
        let same = array.dtype().is_equiv_to(target.descr) && array.is_c_contiguous();
        let fits = array.ndim() == picked.dims.len()
            && array.shape().iter().zip(&picked.dims).all(|(&got, &wanted)| got as npy_intp == wanted);
        if same && fits && picked.flipped.is_empty() {
            return Ok(Value { bytes: Bytes::Array(array.clone()), fill: false });
        }
    }
    let cells = cast(value, target)?;
    broadcast(cells, picked, target)
}

/// Refuses an array with masked cells: what is under the mask is no value.
pub fn refuse_masked(array: &Bound<'_, PyUntypedArray>, target: &Target<'_, '_>) -> Outcome<()> {
    let py = array.py();
    if array.is_exact_instance_of::<PyUntypedArray>() || !array.hasattr(intern!(py, "mask"))? {
        return Ok(());
    }
    let masked = py.import("numpy.ma")?.call_method1("is_masked", (array,))?.is_truthy()?;
    if masked {
        let message = format!("{}: the values are masked, and a page has no missing values", (target.name)());
        return Err(Fault::dtype(message));
    }
    Ok(())
}

/// Python's own numbers, and numpy's of the same dtype, without asking numpy.
pub fn plain<'py>(value: &Bound<'py, PyAny>, target: &Target<'_, 'py>) -> Outcome<Option<Value<'py>>> {
    let dtype = target.dtype;
    if value.is_exact_instance_of::<PyFloat>() {
        let given: f64 = value.extract()?;
        return match dtype {
            DType::F64 => Ok(Some(Value::cell(&given.to_le_bytes()))),
            DType::F32 => Ok(Some(Value::cell(&(given as f32).to_le_bytes()))),
            DType::F16 | DType::Bytes(_) => Ok(None),
            _ => Err(no_integer(&given.to_string(), target)),
        };
    }
    if !value.is_exact_instance_of::<PyInt>() {
        let cell = array::number_bytes(value, target.descr);
        return Ok(cell.map(|(cell, bytes)| Value::cell(&cell[..bytes])));
    }
    match dtype {
        DType::F64 => Ok(Some(Value::cell(&float(value, f64::MAX, target)?.to_le_bytes()))),
        DType::F32 => {
            let given = float(value, f64::from(f32::MAX), target)?;
            Ok(Some(Value::cell(&(given as f32).to_le_bytes())))
        }
        DType::F16 => {
            let given = float(value, F16_MAX, target)?;
            let half = PyFloat::new(value.py(), given);
            let cell = numpy(value.py()).contiguous(half.as_any(), &target.descr.clone().unbind())?;
            Ok(Some(Value { bytes: Bytes::Array(cell), fill: true }))
        }
        DType::Bytes(_) => Ok(None),
        _ => {
            let given = value.extract::<i128>().map_err(|_| past_range(value, target))?;
            Ok(Some(Value::cell(&integer(given, value, target)?.to_le_bytes()[..dtype.size()])))
        }
    }
}

/// Characters of a value that a message shows.
const SHOWN: usize = 60;

/// The greatest number of sixteen bits.
const F16_MAX: f64 = 65504.0;

/// An integer as a float that is not larger than any of the target's.
fn float(value: &Bound<'_, PyAny>, most: f64, target: &Target<'_, '_>) -> Outcome<f64> {
    match value.extract::<f64>() {
        Ok(given) if given.abs() <= most => Ok(given),
        _ => Err(past_range(value, target)),
    }
}

fn integer<'py>(given: i128, shown: &Bound<'py, PyAny>, target: &Target<'_, 'py>) -> Outcome<i128> {
    match integer_range(target.dtype) {
        Some((least, greatest)) if (least..=greatest).contains(&given) => Ok(given),
        _ => Err(past_range(shown, target)),
    }
}

fn past_range(shown: &Bound<'_, PyAny>, target: &Target<'_, '_>) -> Fault {
    let range =
        integer_range(target.dtype).map_or_else(String::new, |(least, most)| format!(" ({least} to {most})"));
    let shown = shown.to_string();
    let cut = shown
        .char_indices()
        .nth(SHOWN)
        .map_or_else(|| shown.clone(), |(end, _)| format!("{}...", &shown[..end]));
    let message = format!("{}: {cut} does not fit {}{range}", (target.name)(), target.dtype);
    Fault::Face(Code::ValueRange, message)
}

fn no_integer(given: &str, target: &Target<'_, '_>) -> Fault {
    Fault::dtype(format!("{}: {given} cannot go where {} does", (target.name)(), target.dtype))
}

/// A value as an array of the target's dtype.
fn cast<'py>(value: &Bound<'py, PyAny>, target: &Target<'_, 'py>) -> Outcome<Bound<'py, PyUntypedArray>> {
    let py = value.py();
    let np = numpy(py);
    let cells = np.asarray(value).map_err(|error| as_value_error(error, py, target))?;
    let from = cells.dtype();
    if from.is_equiv_to(target.descr) {
        return Ok(cells);
    }
    // An array's dtype is meant; that of Python's own numbers is a guess of numpy's.
    let meant = value.hasattr(intern!(py, "dtype"))? && !value.is_instance(np.generic.bind(py))?;
    if cells.len() == 0 && !meant {
        // An empty list says nothing of its cells.
        return Ok(cells
            .call_method1(intern!(py, "astype"), (target.descr,))?
            .cast_into()
            .map_err(PyErr::from)?);
    }
    let same_kind = np.can_cast.bind(py).call1((&from, target.descr, "same_kind"))?.is_truthy()?;
    match (target.dtype, from.kind()) {
        (DType::Bytes(length), b'S' | b'U') => return cast_bytes(&cells, length, target),
        (dtype, b'i' | b'u' | b'b') if !meant && !matches!(dtype, DType::Bytes(_)) => {
            check_range(&cells, target)?
        }
        (DType::F16 | DType::F32 | DType::F64, b'O') if !meant && all_integers(&cells)? => {
            let floats = cells.call_method1(intern!(py, "astype"), (target.descr,));
            return match floats {
                Ok(floats) => Ok(floats.cast_into().map_err(PyErr::from)?),
                Err(_) => Err(past_range(value, target)),
            };
        }
        (dtype, b'O') if !meant && integer_range(dtype).is_some() => {
            return Err(match cells.call_method1(intern!(py, "astype"), (target.descr,)) {
                Err(error) if error.is_instance_of::<PyOverflowError>(py) => past_range(value, target),
                _ => Fault::dtype(format!(
                    "{}: {} cannot go where {} does",
                    (target.name)(),
                    kind_of(value),
                    target.dtype
                )),
            });
        }
        (dtype, b'f') if integer_range(dtype).is_some() => {
            let nan = np.isnan.bind(py).call1((&cells,))?.call_method0(intern!(py, "any"))?.is_truthy()?;
            return Err(no_integer(if nan { "NaN" } else { "a float" }, target));
        }
        // numpy would write numbers out as digits.
        (dtype, _) if same_kind && !matches!(dtype, DType::Bytes(_)) => {}
        _ => {
            let message =
                format!("{}: {from} cannot be cast to {} (same_kind)", (target.name)(), target.dtype);
            return Err(Fault::dtype(message));
        }
    }
    let cast = cells.call_method1(intern!(py, "astype"), (target.descr,))?;
    Ok(cast.cast_into().map_err(PyErr::from)?)
}

/// Whether an array of objects has only Python's integers.
fn all_integers(cells: &Bound<'_, PyUntypedArray>) -> Outcome<bool> {
    let mut each = cells.call_method0(intern!(cells.py(), "ravel"))?.try_iter()?;
    Ok(each.all(|cell| cell.is_ok_and(|cell| cell.is_instance_of::<PyInt>())))
}

fn kind_of(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "the value".into(), |name| name.to_string())
}

/// Whether integers of any size fit the target.
fn check_range(cells: &Bound<'_, PyUntypedArray>, target: &Target<'_, '_>) -> Outcome<()> {
    if integer_range(target.dtype).is_none() || cells.len() == 0 || cells.dtype().kind() == b'b' {
        return Ok(());
    }
    for end in ["min", "max"] {
        let found = cells.call_method0(end)?;
        integer(found.extract::<i128>()?, &found, target)?;
    }
    Ok(())
}

/// Byte strings must fit: cutting them would lose what nobody asked to lose.
fn cast_bytes<'py>(
    cells: &Bound<'py, PyUntypedArray>,
    length: u16,
    target: &Target<'_, 'py>,
) -> Outcome<Bound<'py, PyUntypedArray>> {
    let py = cells.py();
    let bytes = cells.call_method1(intern!(py, "astype"), ("S",)).map_err(|_| {
        Fault::dtype(format!(
            "{}: characters beyond ASCII cannot go where {} does",
            (target.name)(),
            target.dtype
        ))
    })?;
    let bytes: Bound<'py, PyUntypedArray> = bytes.cast_into().map_err(PyErr::from)?;
    if bytes.dtype().itemsize() > usize::from(length) {
        // Wide as it is, its strings may be short.
        let lengths = py.import("numpy")?.getattr("strings")?.call_method1("str_len", (&bytes,))?;
        let most: usize = if bytes.len() == 0 { 0 } else { lengths.call_method0("max")?.extract()? };
        if most > usize::from(length) {
            let message =
                format!("{}: a string of {most} bytes does not fit {}", (target.name)(), target.dtype);
            return Err(Fault::Face(Code::ValueRange, message));
        }
    }
    Ok(bytes.call_method1(intern!(py, "astype"), (target.descr,))?.cast_into().map_err(PyErr::from)?)
}

fn as_value_error(error: PyErr, py: Python<'_>, target: &Target<'_, '_>) -> Fault {
    if error.is_instance_of::<pyo3::exceptions::PyValueError>(py) {
        return Fault::shape(format!("{}: {}", (target.name)(), error.value(py)));
    }
    Fault::Python(error)
}

/// Spreads an array over the cells that were picked.
fn broadcast<'py>(
    mut cells: Bound<'py, PyUntypedArray>,
    picked: &Picked,
    target: &Target<'_, 'py>,
) -> Outcome<Value<'py>> {
    let py = cells.py();
    let np = numpy(py);
    let descr = target.descr.clone().unbind();
    while cells.ndim() > picked.dims.len() && cells.shape()[0] == 1 {
        cells = cells.get_item(0)?.cast_into().or_else(|scalar| np.asarray(&scalar.into_inner()))?;
    }
    let dims = picked.dims.as_slice();
    let spread = |cells: &Bound<'py, PyUntypedArray>, dims: &[npy_intp]| {
        let shape = PyTuple::new(py, dims)?;
        np.broadcast_to.bind(py).call1((cells, shape))
    };
    let misfit = |cells: &Bound<'py, PyUntypedArray>| {
        Fault::shape(format!("{}: values of shape {:?} do not fit {dims:?}", (target.name)(), cells.shape()))
    };
    let inner = &dims[picked.row_axes..];
    let repeats = picked.cells() > 0 && picked.flipped.is_empty() && picked.row_axes > 0;
    let by_row = repeats && matches!(picked.select, Select::Rows { .. }) && cells.ndim() <= inner.len();
    if cells.len() == 1 && picked.cells() > 0 {
        let cell = np.contiguous(cells.as_any(), &descr)?;
        return Ok(Value { bytes: Bytes::Array(cell), fill: true });
    }
    let whole =
        if by_row { spread(&cells, inner) } else { spread(&cells, dims) }.map_err(|_| misfit(&cells))?;
    let ordered =
        if picked.flipped.is_empty() { whole } else { whole.get_item(flip(py, &picked.flipped)?)? };
    Ok(Value { bytes: Bytes::Array(np.contiguous(&ordered, &descr)?), fill: by_row })
}

/// The index that turns the axes round that run backwards.
pub fn flip<'py>(py: Python<'py>, flipped: &[bool]) -> PyResult<Bound<'py, PyTuple>> {
    let turn = |&backwards: &bool| {
        if backwards {
            let slice = py.get_type::<PySlice>().call1((py.None(), py.None(), -1))?;
            Ok(slice)
        } else {
            Ok(PySlice::full(py).into_any())
        }
    };
    PyTuple::new(py, flipped.iter().map(turn).collect::<PyResult<Vec<_>>>()?)
}
