//! numpy's ways of indexing as selections of cells: integers, slices of any step, an Ellipsis, and index arrays or masks
//! along the first axis. What is not among them is left to numpy itself.

use std::sync::Arc;

use mmsb::page::schema::Column;
use mmsb::page::select::{Axis, Inner, Rows, Select};
use numpy::npyffi::npy_intp;
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyEllipsis, PyInt, PyList, PyRange, PySlice, PyTuple};

use crate::array;
use crate::error::{Fault, Outcome};
use crate::handle::LONG;
use crate::numpy::numpy;

/// Cells picked by an index.
pub struct Picked {
    pub select: Select,
    /// The shape of what is read or written.
    pub dims: Vec<npy_intp>,
    /// How many of its axes come from the rows.
    pub row_axes: usize,
    /// Which of its axes run backwards in the selection; empty when none does.
    pub flipped: Vec<bool>,
    /// Whether a single cell is read as a scalar, as numpy does unless there is an Ellipsis.
    pub scalar: bool,
}

impl Picked {
    fn new(select: Select, dims: Vec<npy_intp>, row_axes: usize) -> Self {
        Picked { select, dims, row_axes, flipped: Vec::new(), scalar: true }
    }

    /// Cells picked.
    pub fn cells(&self) -> usize {
        self.dims.iter().product::<npy_intp>() as usize
    }

    /// Whether it is the whole column, in order.
    pub fn is_whole(&self, rows: u64) -> bool {
        self.flipped.is_empty()
            && matches!(&self.select, Select::Rows { rows: Rows::Range { start: 0, stop, step: 1 }, inner: None } if *stop == rows)
    }
}

/// The shape of a column: rows, then its inner axes; of a scalar page none.
pub struct Shape<'a> {
    pub rows: u64,
    pub column: &'a Column,
    pub scalar: bool,
}

impl Shape<'_> {
    /// As numpy writes it down.
    pub fn dims(&self) -> Vec<npy_intp> {
        if self.scalar {
            return Vec::new();
        }
        let inner = self.column.inner().iter().map(|&size| size as npy_intp);
        std::iter::once(self.rows as npy_intp).chain(inner).collect()
    }

    fn axes(&self) -> usize {
        if self.scalar { 0 } else { 1 + self.column.inner().len() }
    }

    fn size(&self, axis: usize) -> u64 {
        if axis == 0 { self.rows } else { self.column.inner()[axis - 1] }
    }
}

/// The cells an index picks; `None` where numpy itself must say.
pub fn pick(index: &Bound<'_, PyAny>, shape: &Shape<'_>) -> Outcome<Option<Picked>> {
    if let Some(picked) = pick_rows(index, shape)? {
        return Ok(Some(picked));
    }
    if let Ok(tuple) = index.cast::<PyTuple>() {
        let items: Vec<Bound<'_, PyAny>> = tuple.iter().collect();
        pick_items(&items, shape)
    } else {
        pick_items(std::slice::from_ref(index), shape)
    }
}

/// The rows that one slice or integer picks, which most indices are.
fn pick_rows(index: &Bound<'_, PyAny>, shape: &Shape<'_>) -> Outcome<Option<Picked>> {
    if shape.scalar {
        return Ok(None);
    }
    let (range, keeps) = if let Ok(slice) = index.cast::<PySlice>() {
        let (range, backwards) = sliced(slice, shape.rows)?;
        if backwards {
            return Ok(None);
        }
        (range, true)
    } else if index.is_exact_instance_of::<PyInt>() {
        let at = place(index, 0, shape.rows)?;
        (Axis { start: at, stop: at + 1, step: 1 }, false)
    } else {
        return Ok(None);
    };
    let Axis { start, stop, step } = range;
    let rows = keeps.then_some(range.count() as npy_intp);
    let dims = rows.into_iter().chain(shape.column.inner().iter().map(|&size| size as npy_intp)).collect();
    let select = Select::Rows { rows: Rows::Range { start, stop, step }, inner: None };
    Ok(Some(Picked::new(select, dims, usize::from(keeps))))
}

/// The index of all there is.
pub fn everything(py: Python<'_>) -> Bound<'_, PyAny> {
    PyEllipsis::get(py).to_owned().into_any()
}

/// The whole column.
pub fn whole(shape: &Shape<'_>) -> Picked {
    Picked::new(Select::range(0, shape.rows), shape.dims(), usize::from(!shape.scalar))
}

fn new_axis() -> Fault {
    Fault::index("None adds an axis, which cells of a page do not have: index the array itself")
}

/// Refuses an index that adds axes.
pub fn no_new_axes(index: &Bound<'_, PyAny>) -> Outcome<()> {
    let adds = match index.cast::<PyTuple>() {
        Ok(items) => items.iter_borrowed().any(|item| item.is_none()),
        Err(_) => index.is_none(),
    };
    if adds { Err(new_axis()) } else { Ok(()) }
}

/// What the first axis is indexed by.
enum First {
    Axis(Axis),
    List(Vec<u64>),
}

fn pick_items(items: &[Bound<'_, PyAny>], shape: &Shape<'_>) -> Outcome<Option<Picked>> {
    let ellipses = items.iter().filter(|item| item.is_instance_of::<PyEllipsis>()).count();
    if ellipses > 1 {
        return Err(Fault::index("an index can have only one Ellipsis (...)"));
    }
    if items.iter().any(|item| item.is_none()) {
        return Err(new_axis());
    }
    let (axes, given) = (shape.axes(), items.len() - ellipses);
    if let Some(picked) = pick_mask(items, shape)? {
        return Ok(Some(picked));
    }
    if items.iter().any(is_boolean) {
        return Ok(None);
    }
    if given > axes {
        return Err(Fault::index(format!("too many indices: {given} for {axes} axes")));
    }
    if given == 0 || shape.scalar {
        return Ok(Some(Picked { scalar: ellipses == 0, ..whole(shape) }));
    }
    let mut picked = Picking::default();
    let mut axis = 0;
    for item in items {
        if item.is_instance_of::<PyEllipsis>() {
            for _ in 0..axes - given {
                picked.all(shape.size(axis));
                axis += 1;
            }
        } else {
            if !picked.one(item, axis, shape.size(axis))? {
                return Ok(None);
            }
            axis += 1;
        }
    }
    while axis < axes {
        picked.all(shape.size(axis));
        axis += 1;
    }
    Ok(Some(Picked { scalar: ellipses == 0, ..picked.done(shape) }))
}

fn is_boolean(item: &Bound<'_, PyAny>) -> bool {
    if item.is_exact_instance_of::<PyInt>() || item.is_instance_of::<PySlice>() {
        return false;
    }
    item.is_instance_of::<PyBool>()
        || item.cast::<PyUntypedArray>().is_ok_and(|array| array.dtype().kind() == b'b')
        || item.is_instance(numpy(item.py()).bool_scalar.bind(item.py())).unwrap_or(false)
}

/// A selection while it is put together, axis by axis.
#[derive(Default)]
struct Picking {
    first: Option<First>,
    inner: Vec<Axis>,
    narrowed: bool,
    dims: Vec<npy_intp>,
    row_axes: usize,
    flipped: Vec<bool>,
}

impl Picking {
    fn all(&mut self, size: u64) {
        self.take(Axis { start: 0, stop: size, step: 1 }, Some(false), true);
    }

    /// Takes a range of the next axis; `keeps` is whether it runs backwards, or none where the axis goes.
    fn take(&mut self, axis: Axis, keeps: Option<bool>, all: bool) {
        if let Some(backwards) = keeps {
            self.dims.push(axis.count() as npy_intp);
            self.flipped.push(backwards);
        }
        if self.first.is_none() {
            self.row_axes = usize::from(keeps.is_some());
            self.first = Some(First::Axis(axis));
        } else {
            self.narrowed |= !all;
            self.inner.push(axis);
        }
    }

    /// Takes an item for an axis; false where numpy itself must.
    fn one(&mut self, item: &Bound<'_, PyAny>, axis: usize, size: u64) -> Outcome<bool> {
        if let Ok(slice) = item.cast::<PySlice>() {
            let (range, backwards) = sliced(slice, size)?;
            let all = !backwards && range == (Axis { start: 0, stop: size, step: 1 });
            self.take(range, Some(backwards), all);
            return Ok(true);
        }
        if item.is_instance_of::<PyInt>() {
            let at = place(item, axis, size)?;
            self.take(Axis { start: at, stop: at + 1, step: 1 }, None, false);
            return Ok(true);
        }
        let listed = item.is_instance_of::<PyList>()
            || item.is_instance_of::<PyUntypedArray>()
            || item.is_instance_of::<PyRange>();
        if !listed {
            if item.is_instance_of::<PyTuple>() {
                return Ok(false);
            }
            // numpy's integers, and whatever else says it is one.
            let py = item.py();
            if !item.hasattr(intern!(py, "__index__"))? {
                let kind = item.get_type().name()?;
                return Err(Fault::index(format!(
                    "{kind} is no index: integers, slices, an Ellipsis, and arrays of integers or booleans are"
                )));
            }
            let at = place(item, axis, size)?;
            self.take(Axis { start: at, stop: at + 1, step: 1 }, None, false);
            return Ok(true);
        }
        if axis > 0 || self.first.is_some() {
            return Ok(false);
        }
        let Some((list, dims)) = index_list(item, size)? else { return Ok(false) };
        self.row_axes = dims.len();
        self.flipped.extend(dims.iter().map(|_| false));
        self.dims.extend(&dims);
        self.first = Some(First::List(list));
        Ok(true)
    }

    fn done(self, shape: &Shape<'_>) -> Picked {
        let rows = match self.first {
            Some(First::Axis(Axis { start, stop, step })) => Rows::Range { start, stop, step },
            Some(First::List(list)) => Rows::Index(Arc::new(list)),
            None => Rows::Range { start: 0, stop: shape.rows, step: 1 },
        };
        let inner = self.narrowed.then_some(Inner(self.inner));
        let flipped = if self.flipped.contains(&true) { self.flipped } else { Vec::new() };
        Picked {
            select: Select::Rows { rows, inner },
            dims: self.dims,
            row_axes: self.row_axes,
            flipped,
            scalar: true,
        }
    }
}

/// A slice as a range with a positive step, and whether it ran backwards.
fn sliced(slice: &Bound<'_, PySlice>, size: u64) -> Outcome<(Axis, bool)> {
    let found = slice.indices(size as isize).map_err(|error| as_index_error(slice.py(), error))?;
    let (start, step, count) = (found.start, found.step, found.slicelength as u64);
    if count == 0 {
        return Ok((Axis { start: 0, stop: 0, step: 1 }, false));
    }
    let reach = (count - 1) * step.unsigned_abs() as u64;
    if step > 0 {
        let start = start as u64;
        return Ok((Axis { start, stop: start + reach + 1, step: step as u64 }, false));
    }
    let stop = start as u64 + 1;
    Ok((Axis { start: stop - 1 - reach, stop, step: step.unsigned_abs() as u64 }, count > 1))
}

fn out_of_range(shown: &str, axis: usize, size: u64) -> Fault {
    Fault::Face(
        mmsb::bus::error::Code::IndexOutOfRange,
        format!("index {shown} is out of range for axis {axis} of size {size}"),
    )
}

/// The place that an integer, perhaps counted from the end, names.
fn place(item: &Bound<'_, PyAny>, axis: usize, size: u64) -> Outcome<u64> {
    let given: i64 = match item.extract() {
        Ok(given) => given,
        Err(error) if error.is_instance_of::<pyo3::exceptions::PyOverflowError>(item.py()) => {
            return Err(out_of_range(&item.str()?.to_string(), axis, size));
        }
        Err(_) => {
            let kind = item.get_type().name()?;
            return Err(Fault::index(format!("{kind} cannot be used as an integer index")));
        }
    };
    let at = if given < 0 { given + size as i64 } else { given };
    if at < 0 || at as u64 >= size {
        return Err(out_of_range(&given.to_string(), axis, size));
    }
    Ok(at as u64)
}

/// The places that a list or array of integers names, and its shape; `None` where numpy itself must say.
fn index_list(item: &Bound<'_, PyAny>, size: u64) -> Outcome<Option<(Vec<u64>, Vec<npy_intp>)>> {
    let py = item.py();
    let np = numpy(py);
    let given = match item.cast::<PyUntypedArray>() {
        Ok(array) => array.clone(),
        Err(_) => listed(item)?,
    };
    match given.dtype().kind() {
        b'i' | b'u' => {}
        b'f' if given.len() == 0 && !item.is_instance_of::<PyUntypedArray>() => {}
        b'b' => return Ok(None),
        _ => {
            let dtype = given.dtype();
            return Err(Fault::index(format!("an array of {dtype} is no index: integers or booleans are")));
        }
    }
    let dims: Vec<npy_intp> = given.shape().iter().map(|&size| size as npy_intp).collect();
    let places = np.contiguous(given.as_any(), &np.int64)?;
    let (words, _) = array::bytes(&places).unwrap_or_default().as_chunks::<8>();
    let list = freely(py, words.len() * 8, || {
        let mut list = Vec::with_capacity(words.len());
        for word in words {
            let given = i64::from_le_bytes(*word);
            let at = if given < 0 { given + size as i64 } else { given };
            if at < 0 || at as u64 >= size {
                return Err(given);
            }
            list.push(at as u64);
        }
        Ok(list)
    });
    match list {
        Ok(list) => Ok(Some((list, dims))),
        Err(given) => Err(out_of_range(&given.to_string(), 0, size)),
    }
}

/// A list as an array, which lists of different lengths are not.
fn listed<'py>(item: &Bound<'py, PyAny>) -> Outcome<Bound<'py, PyUntypedArray>> {
    numpy(item.py()).asarray(item).map_err(|error| as_index_error(item.py(), error))
}

/// Does work on so many bytes, with the interpreter free meanwhile where they are many.
fn freely<T: Send>(py: Python<'_>, bytes: usize, work: impl FnOnce() -> T + Send) -> T {
    if bytes < LONG { work() } else { py.detach(work) }
}

/// What a boolean mask of the rows, or of all cells, picks when it comes first.
fn pick_mask(items: &[Bound<'_, PyAny>], shape: &Shape<'_>) -> Outcome<Option<Picked>> {
    let [item] = items else { return Ok(None) };
    if shape.scalar || item.is_instance_of::<PySlice>() || item.is_instance_of::<PyInt>() {
        return Ok(None);
    }
    let np = numpy(item.py());
    let given = match item.cast::<PyUntypedArray>() {
        Ok(array) => array.clone(),
        Err(_) if item.is_instance_of::<PyList>() => listed(item)?,
        Err(_) => return Ok(None),
    };
    if given.dtype().kind() != b'b' || given.ndim() == 0 {
        return Ok(None);
    }
    let dims = shape.dims();
    for (axis, (&got, &size)) in given.shape().iter().zip(&dims).enumerate() {
        if got as npy_intp != size {
            return Err(Fault::index(format!("a mask of {got} along axis {axis} of size {size}")));
        }
    }
    if given.ndim() > dims.len() {
        return Err(Fault::index(format!("a mask of {} axes for {} axes", given.ndim(), dims.len())));
    }
    let (rows, cells) = (given.ndim() == 1, given.ndim() == dims.len());
    if !rows && !cells {
        return Ok(None);
    }
    let mask = np.contiguous(given.as_any(), &np.boolean)?;
    let bits = array::bytes(&mask).unwrap_or_default();
    let list: Vec<u64> = freely(item.py(), bits.len(), || {
        bits.iter().enumerate().filter(|(_, bit)| **bit != 0).map(|(at, _)| at as u64).collect()
    });
    let count = list.len() as npy_intp;
    if rows {
        let dims = std::iter::once(count).chain(dims[1..].iter().copied()).collect();
        return Ok(Some(Picked::new(Select::indices(list), dims, 1)));
    }
    Ok(Some(Picked::new(Select::Cells(Arc::new(list)), vec![count], 1)))
}

/// The most cells of a column for which numpy is asked to number them.
const NUMBERED_CELLS: u64 = 1 << 27;

/// What any index that numpy knows picks, by numbering all cells and letting numpy pick among the numbers.
pub fn pick_by_number(index: &Bound<'_, PyAny>, shape: &Shape<'_>) -> Outcome<Picked> {
    let np = numpy(index.py());
    let cells = shape.rows * shape.column.cells_per_row();
    if cells > NUMBERED_CELLS {
        return Err(Fault::index(format!(
            "this kind of index takes a table of all cells, and {cells} are more than {NUMBERED_CELLS}: \
             write with slices, or with indices along the first axis"
        )));
    }
    let numbers = np
        .arange
        .bind(index.py())
        .call1((cells,))?
        .call_method1(intern!(index.py(), "reshape"), (shape.dims(),))?;
    let picked = numbers.get_item(index).map_err(|error| as_index_error(index.py(), error))?;
    let picked = np.contiguous(&picked, &np.int64)?;
    let (words, _) = array::bytes(&picked).unwrap_or_default().as_chunks::<8>();
    let list = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let dims = picked.shape().iter().map(|&size| size as npy_intp).collect();
    Ok(Picked::new(Select::Cells(Arc::new(list)), dims, 0))
}

/// Python's or numpy's complaint about an index as ours.
pub fn as_index_error(py: Python<'_>, error: PyErr) -> Fault {
    let ours = error.is_instance_of::<PyIndexError>(py)
        || error.is_instance_of::<PyValueError>(py)
        || error.is_instance_of::<PyTypeError>(py);
    if ours {
        return Fault::index(error.value(py).to_string());
    }
    Fault::Python(error)
}
