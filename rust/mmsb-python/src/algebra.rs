//! The algebra for Python: what semirings and monoids there are, and what they do with arrays.

use mmsb::algebra::by_name;
use mmsb::algebra::error::AlgebraError;
use mmsb::algebra::family::{Family, Reducer};
use mmsb::algebra::ladder::Traits;
use mmsb::algebra::law::Law;
use mmsb::algebra::linear::{Matrix, matrix_matrix, matrix_vector, sparse_matrix};
use mmsb::algebra::mask::Mask;
use mmsb::algebra::value::{Truth, Value, cells};
use mmsb::bus::error::Code;
use mmsb::page::dtype::DType;
use numpy::npyffi::npy_intp;
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::array::{bytes, filled, scalar_or_array};
use crate::dtype;
use crate::error::{Fault, Outcome};

type Array<'py> = Bound<'py, PyUntypedArray>;

/// A law: its name, its formula, and the trait that promises it; none of those that all have.
type Told = (&'static str, &'static str, Option<String>);

/// A semiring's name, the names of its operations, and of each dtype zero, one and the names of its traits.
type Semirings<'py> = Vec<(
    &'static str,
    (&'static str, &'static str),
    Vec<(Bound<'py, PyArrayDescr>, Bound<'py, PyAny>, Bound<'py, PyAny>, Vec<&'static str>)>,
)>;

/// A monoid's name, and of each dtype what changes nothing and the names of its traits.
type Monoids<'py> =
    Vec<(&'static str, Vec<(Bound<'py, PyArrayDescr>, Bound<'py, PyAny>, Vec<&'static str>)>)>;

impl From<AlgebraError> for Fault {
    fn from(wrong: AlgebraError) -> Self {
        let code = match wrong {
            AlgebraError::UnknownSemiring { .. } | AlgebraError::UnknownReduction { .. } => {
                Code::InvalidArgument
            }
            AlgebraError::Unsupported { .. } | AlgebraError::Misaligned { .. } => Code::Dtype,
            AlgebraError::Lacks { .. } => Code::Rule,
            AlgebraError::Column { .. } => Code::IndexOutOfRange,
            _ => Code::Shape,
        };
        Fault::Face(code, wrong.to_string())
    }
}

/// The cells of an array, of a type, as bytes.
pub fn cells_of<'a>(what: &str, array: &'a Array<'_>) -> Outcome<(DType, &'a [u8])> {
    let (dtype, _) = dtype::parse(array.dtype().as_any())?;
    let bytes = bytes(array).ok_or_else(|| Fault::invalid(format!("{what} is not contiguous")))?;
    Ok((dtype, bytes))
}

/// The cells of an array that must be of a type.
fn cells_like<'a>(what: &str, array: &'a Array<'_>, wanted: DType) -> Outcome<&'a [u8]> {
    let (dtype, bytes) = cells_of(what, array)?;
    if dtype == wanted {
        return Ok(bytes);
    }
    Err(Fault::dtype(format!("{what} is of {dtype} where {wanted} is wanted")))
}

/// A cell as numpy's scalar.
fn scalar<'py>(py: Python<'py>, dtype: DType, cell: &[u8]) -> Outcome<Bound<'py, PyAny>> {
    let fill = |bytes: &mut [u8]| {
        bytes.copy_from_slice(cell);
        Ok::<(), Fault>(())
    };
    Ok(scalar_or_array(filled(py, &dtype::descr(py, dtype)?, &[], fill)?)?)
}

fn shape_of(array: &Array<'_>) -> Vec<usize> {
    array.shape().to_vec()
}

/// Every law that semirings are held to.
#[pyfunction]
pub fn _laws() -> Vec<Told> {
    let every = Law::EVERY.into_iter().map(|law| (law.name(), law.formula(), None));
    let beyond =
        Law::BEYOND.into_iter().map(|(needs, law)| (law.name(), law.formula(), Some(needs.to_string())));
    every.chain(beyond).collect()
}

/// Every semiring there is.
#[pyfunction]
pub fn _semirings(py: Python<'_>) -> Outcome<Semirings<'_>> {
    let on = |family: Family| {
        let known = DType::FIXED
            .into_iter()
            .filter_map(move |dtype| by_name::semiring(family, dtype).ok().map(|known| (dtype, known)));
        let told = known.map(|(dtype, known)| {
            let (zero, one) = (scalar(py, dtype, &known.zero)?, scalar(py, dtype, &known.one)?);
            Ok((dtype::descr(py, dtype)?, zero, one, names(known.traits)))
        });
        Ok((family.name(), family.operations(), told.collect::<Outcome<_>>()?))
    };
    Family::all().map(on).collect()
}

/// Every monoid there is.
#[pyfunction]
pub fn _monoids(py: Python<'_>) -> Outcome<Monoids<'_>> {
    let on = |reducer: Reducer| {
        let known = DType::FIXED
            .into_iter()
            .filter_map(move |dtype| by_name::monoid(reducer, dtype).ok().map(|known| (dtype, known)));
        let told = known.map(|(dtype, known)| {
            Ok((dtype::descr(py, dtype)?, scalar(py, dtype, &known.identity)?, names(known.traits)))
        });
        Ok((reducer.name(), told.collect::<Outcome<_>>()?))
    };
    Reducer::all().map(on).collect()
}

fn names(traits: Traits) -> Vec<&'static str> {
    traits.names().collect()
}

/// A dense matrix times a vector or a matrix.
#[pyfunction]
pub fn _product<'py>(
    py: Python<'py>,
    semiring: &str,
    left: &Array<'py>,
    right: &Array<'py>,
) -> Outcome<Bound<'py, PyAny>> {
    let family = Family::named(semiring)?;
    let (dtype, matrix) = cells_of("left", left)?;
    let other = cells_like("right", right, dtype)?;
    let (rows, inner, width) = match (&*shape_of(left), &*shape_of(right)) {
        (&[rows, inner], &[same]) if inner == same => (rows, inner, None),
        (&[rows, inner], &[same, width]) if inner == same => (rows, inner, Some(width)),
        (one, other) => {
            return Err(Fault::shape(format!("left of shape {one:?} cannot be multiplied with {other:?}")));
        }
    };
    let dims: Vec<npy_intp> = [Some(rows), width].into_iter().flatten().map(|axis| axis as _).collect();
    filled(py, &dtype::descr(py, dtype)?, &dims, |out| {
        let which = (family, dtype);
        let run = || match width {
            None if inner > 0 => {
                let matrix = Matrix::Dense { values: matrix, columns: inner };
                matrix_vector(which, matrix, other, 0..rows, out)
            }
            _ => matrix_matrix(which, matrix, other, (inner, width.unwrap_or(1)), out),
        };
        Ok(py.detach(run)?)
    })
}

/// The cells of an array of integers, as those without a sign: negative ones become too large for anything.
fn unsigned<'a, T: Value>(what: &str, array: &'a Array<'_>, signed: DType) -> Outcome<&'a [T]> {
    let (dtype, bytes) = cells_of(what, array)?;
    if dtype != T::DTYPE && dtype != signed {
        return Err(Fault::dtype(format!("{what} is of {dtype} where {} or {signed} is wanted", T::DTYPE)));
    }
    Ok(cells::<T>(bytes)?)
}

/// A sparse matrix, by rows, times a vector or a dense matrix: starts are `uint64` or `int64`, columns `uint32` or `int32`.
#[pyfunction]
pub fn _product_csr<'py>(
    py: Python<'py>,
    semiring: &str,
    starts: &Array<'py>,
    columns: &Array<'py>,
    values: &Array<'py>,
    vector: &Array<'py>,
) -> Outcome<Bound<'py, PyAny>> {
    let family = Family::named(semiring)?;
    let (dtype, entries) = cells_of("values", values)?;
    let (right, width) = match *shape_of(vector) {
        [_] => (None, 1),
        [_, width] => (Some(width), width),
        ref other => return Err(Fault::shape(format!("vector has {} axes, not one or two", other.len()))),
    };
    let vector = cells_like("vector", vector, dtype)?;
    let starts = unsigned::<u64>("starts", starts, DType::I64)?;
    let columns = unsigned::<u32>("columns", columns, DType::I32)?;
    if starts.first() != Some(&0) {
        return Err(Fault::shape("starts begin with 0"));
    }
    let rows = starts.len().saturating_sub(1);
    let dims: Vec<npy_intp> = [Some(rows), right].into_iter().flatten().map(|axis| axis as _).collect();
    filled(py, &dtype::descr(py, dtype)?, &dims, |out| {
        let matrix = (starts, columns, entries);
        Ok(py.detach(|| sparse_matrix((family, dtype), matrix, (vector, width), 0..rows, out))?)
    })
}

/// As `_product_csr`, of whatever is given; nothing where that is not as it lies in memory what `_product_csr` takes, or is
/// wrong: to look at everything in Python, which says what is, takes longer than a small product.
#[pyfunction]
pub fn _product_quick<'py>(
    py: Python<'py>,
    semiring: &Bound<'py, PyAny>,
    starts: &Bound<'py, PyAny>,
    columns: &Bound<'py, PyAny>,
    values: &Bound<'py, PyAny>,
    vector: &Bound<'py, PyAny>,
) -> Option<Bound<'py, PyAny>> {
    let array = |given: &Bound<'py, PyAny>| {
        let array = given.cast_exact::<PyUntypedArray>().ok()?;
        let is_plain = array.is_c_contiguous() && array.dtype().is_native_byteorder() != Some(false);
        is_plain.then(|| array.clone())
    };
    let semiring = semiring.cast_exact::<PyString>().ok()?.to_str().ok()?;
    let (starts, columns, values, vector) = (array(starts)?, array(columns)?, array(values)?, array(vector)?);
    let fits = starts.ndim() == 1 && values.ndim() == 1 && columns.shape() == values.shape();
    // Where so many columns are there, a negative one that is taken as it lies could be one of them.
    let few = vector.shape().first().is_some_and(|count| *count <= 1 << 31);
    if !fits || !few {
        return None;
    }
    _product_csr(py, semiring, &starts, &columns, &values, &vector).ok()
}

/// The cells of each row, brought together.
#[pyfunction]
pub fn _fold<'py>(py: Python<'py>, monoid: &str, rows: &Array<'py>) -> Outcome<Bound<'py, PyAny>> {
    let reducer = Reducer::named(monoid)?;
    let (dtype, values) = cells_of("values", rows)?;
    let &[count, length] = &*shape_of(rows) else {
        return Err(Fault::shape("values have two axes"));
    };
    filled(py, &dtype::descr(py, dtype)?, &[count as npy_intp], |out| {
        Ok(py.detach(|| by_name::fold_rows((reducer, dtype), values, length, out))?)
    })
}

/// `target` with `result` written where a mask lets it, by GraphBLAS's table: a new array. The options are
/// structure, complement, replace and accumulate.
#[pyfunction]
pub fn _write<'py>(
    py: Python<'py>,
    monoid: &str,
    target: &Array<'py>,
    result: &Array<'py>,
    mask: Option<&Array<'py>>,
    options: (bool, bool, bool, bool),
) -> Outcome<Bound<'py, PyAny>> {
    let (structure, complement, replace, accumulate) = options;
    let reducer = Reducer::named(monoid)?;
    let (dtype, old) = cells_of("target", target)?;
    let new = cells_like("result", result, dtype)?;
    let truths = mask.map(|mask| cells_like("mask", mask, DType::Bool)).transpose()?;
    let values = truths.map(cells::<Truth>).transpose()?;
    let dims: Vec<npy_intp> = target.shape().iter().map(|&axis| axis as _).collect();
    filled(py, &dtype::descr(py, dtype)?, &dims, |out| {
        let mask = Mask { values, structure, complement, replace };
        Ok(py.detach(|| {
            out.copy_from_slice(old);
            by_name::write((reducer, dtype), out, new, mask, accumulate)
        })?)
    })
}
