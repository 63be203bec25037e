//! Arrays: views of the bus's memory as read-only ndarrays, and fresh ones to copy into.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

use mmsb::bus::view::View;
use numpy::npyffi::{
    _PyArray_GET_ITEM_DATA, NPY_ARRAY_CARRAY_RO, NPY_ARRAY_WRITEABLE, NpyTypes, PY_ARRAY_API,
    get_type_object, npy_intp,
};
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::fork::Own;
use crate::show;

/// The owner of a column's memory as numpy sees it: the base of every array of it.
#[pyclass(frozen, module = "mmsb._core", name = "View")]
pub struct ViewOwner {
    view: Mutex<Option<Own<View>>>,
}

#[pymethods]
impl ViewOwner {
    /// How the memory came about: `in place`, `rewired` or `gathered`.
    #[getter]
    fn kind(&self) -> &'static str {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        view.as_ref().map_or("taken back", |view| view.get().kind())
    }

    /// Bytes of the column.
    #[getter]
    fn nbytes(&self) -> usize {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        view.as_ref().map_or(0, |view| view.get().bytes().len())
    }

    fn __repr__(&self) -> String {
        format!("<View {}, {}>", self.kind(), show::bytes(self.nbytes() as u64))
    }
}

/// An array over a view, and the view's owner.
pub struct Shown {
    pub array: Py<PyAny>,
    owner: Py<ViewOwner>,
}

impl Shown {
    /// A read-only array of the view.
    pub fn new(
        py: Python<'_>,
        view: View,
        descr: &Bound<'_, PyArrayDescr>,
        dims: &[npy_intp],
    ) -> PyResult<Self> {
        let (has, wanted) =
            (view.bytes().len(), dims.iter().product::<npy_intp>() as usize * descr.itemsize());
        if has < wanted {
            let message = format!("{has} bytes of a page where an array of {wanted} was to be made");
            return Err(pyo3::exceptions::PyRuntimeError::new_err(message));
        }
        let data = view.bytes().as_ptr();
        let owner = Py::new(py, ViewOwner { view: Mutex::new(Some(Own::new(view))) })?;
        // SAFETY: the descriptor's reference is handed over; `data` has as many bytes as the shape needs, is never
        // written (the flags lack WRITEABLE), and lives as long as `owner`, which becomes the array's base.
        let array = unsafe {
            let array = new_array(py, descr, dims, data.cast_mut().cast(), NPY_ARRAY_CARRAY_RO)?;
            let base = owner.clone_ref(py).into_ptr();
            if PY_ARRAY_API.PyArray_SetBaseObject(py, array.as_ptr().cast(), base) != 0 {
                return Err(PyErr::fetch(py));
            }
            array
        };
        Ok(Shown { array: array.unbind(), owner })
    }

    /// The array.
    pub fn bind<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.array.bind(py).clone()
    }

    /// Its array without the view, and the view, where nobody else can see them, so that both can be used again.
    pub fn take_back(self, _attached: Python<'_>) -> Option<(Shell, View)> {
        // One reference to the array, ours; two to the owner, ours and the array's. Nobody can take another meanwhile:
        // this thread is attached, and the stable ABI that is built for has the global lock.
        if references(&self.array) != 1 || references(&self.owner) != 2 || self.is_weakly_held() {
            return None;
        }
        let view = self.owner.get().view.lock().unwrap_or_else(PoisonError::into_inner).take();
        let view = view.filter(|view| !view.is_foreign()).map(Own::into_inner)?;
        Some((Shell(self), view))
    }

    /// Whether somebody would find the array again by a weak reference.
    fn is_weakly_held(&self) -> bool {
        // SAFETY: it is an array.
        unsafe { !(*_PyArray_GET_ITEM_DATA(self.array.as_ptr().cast())).weakreflist.is_null() }
    }

    /// How many others hold the array.
    pub fn holders(&self) -> usize {
        ((references(&self.array) - 1) + (references(&self.owner) - 2)) as usize
    }
}

/// A read-only array of bytes of its own.
pub struct Copied(Py<PyAny>);

impl Copied {
    /// Has `fill` write the bytes.
    pub fn new<'py>(
        py: Python<'py>,
        descr: &Bound<'py, PyArrayDescr>,
        dims: &[npy_intp],
        fill: impl FnOnce(&mut [u8]),
    ) -> PyResult<Self> {
        let array = filled(py, descr, dims, |to| {
            fill(to);
            Ok::<(), PyErr>(())
        })?;
        // SAFETY: it is an array that nobody else has seen.
        unsafe { (*_PyArray_GET_ITEM_DATA(array.as_ptr().cast())).flags &= !NPY_ARRAY_WRITEABLE };
        Ok(Copied(array.unbind()))
    }

    /// The array.
    pub fn bind<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.0.bind(py).clone()
    }

    /// How many others hold it.
    pub fn holders(&self) -> usize {
        (references(&self.0) - 1) as usize
    }

    /// Whether somebody made it writeable, which numpy allows of an array that has its own bytes.
    pub fn is_writeable(&self) -> bool {
        // SAFETY: it is an array.
        unsafe { (*_PyArray_GET_ITEM_DATA(self.0.as_ptr().cast())).flags & NPY_ARRAY_WRITEABLE != 0 }
    }
}

/// An array that nobody sees, over nothing.
pub struct Shell(Shown);

impl Shell {
    /// The array over another view, where it is as it was made and has the shape for that; else what `anew` makes of it.
    /// Making an array and letting one go takes longer than all else that a new view of a small page takes.
    pub fn fill(
        self,
        py: Python<'_>,
        view: View,
        (descr, dims): (&Py<PyArrayDescr>, &[npy_intp]),
        anew: impl FnOnce(View) -> PyResult<Shown>,
    ) -> PyResult<Shown> {
        let Shell(shown) = self;
        // SAFETY: it is an array, and nobody else's.
        let fields = unsafe { &mut *_PyArray_GET_ITEM_DATA(shown.array.as_ptr().cast()) };
        // SAFETY: an array has as many dimensions as it says.
        let same = fields.nd as usize == dims.len()
            && (dims.is_empty()
                || unsafe { std::slice::from_raw_parts(fields.dimensions, dims.len()) } == dims)
            && fields.descr.cast() == descr.as_ptr()
            && fields.flags & NPY_ARRAY_CARRAY_RO == NPY_ARRAY_CARRAY_RO;
        if !same {
            return anew(view);
        }
        fields.data = view.bytes().as_ptr().cast_mut().cast();
        // What the array shows now is kept by its owner.
        *shown.owner.bind(py).get().view.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Own::new(view));
        Ok(shown)
    }
}

fn references<T>(object: &Py<T>) -> isize {
    // SAFETY: a `Py` points to a living object.
    unsafe { pyo3::ffi::Py_REFCNT(object.as_ptr()) }
}

/// # Safety
/// As `PyArray_NewFromDescr`: `data` is null or good for the shape for as long as the array lives.
unsafe fn new_array<'py>(
    py: Python<'py>,
    descr: &Bound<'py, PyArrayDescr>,
    dims: &[npy_intp],
    data: *mut c_void,
    flags: i32,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: numpy's own array type, a descriptor of which a reference is given away, and `dims` of the length said.
    unsafe {
        let array = PY_ARRAY_API.PyArray_NewFromDescr(
            py,
            get_type_object(py, NpyTypes::PyArray_Type),
            descr.clone().into_dtype_ptr(),
            dims.len() as i32,
            dims.as_ptr().cast_mut(),
            std::ptr::null_mut(),
            data,
            flags,
            std::ptr::null_mut(),
        );
        Bound::from_owned_ptr_or_err(py, array)
    }
}

/// A fresh array of unspecified content, and its bytes for `fill` to write.
pub fn filled<'py, E: From<PyErr>>(
    py: Python<'py>,
    descr: &Bound<'py, PyArrayDescr>,
    dims: &[npy_intp],
    fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
) -> Result<Bound<'py, PyAny>, E> {
    // SAFETY: numpy allocates the data itself.
    let array = unsafe { new_array(py, descr, dims, std::ptr::null_mut(), 0)? };
    let bytes = dims.iter().product::<npy_intp>() as usize * descr.itemsize();
    // SAFETY: numpy allocated that many bytes for this C-contiguous array, which nobody else has seen; zeroing them
    // first would cost as much as the copy, and `fill` writes each or the array is dropped unseen.
    let to = unsafe {
        let data = (*_PyArray_GET_ITEM_DATA(array.as_ptr().cast())).data.cast::<u8>();
        std::slice::from_raw_parts_mut(data, bytes)
    };
    fill(to)?;
    Ok(array)
}

/// Bytes of a number, where numbers lie.
#[derive(Default)]
#[repr(align(8))]
struct Word([u8; 8]);

/// A number of numpy's, of the bytes that `fill` writes.
pub fn number<'py>(
    descr: &Bound<'py, PyArrayDescr>,
    fill: impl FnOnce(&mut [u8]),
) -> PyResult<Bound<'py, PyAny>> {
    let (mut word, mut more) = (Word::default(), Vec::new());
    let cell = match descr.itemsize() {
        bytes @ ..=8 => &mut word.0[..bytes],
        bytes => {
            more.resize(bytes, 0);
            &mut more[..]
        }
    };
    fill(cell);
    // SAFETY: the cell has as many bytes as the descriptor says and lies as its type wants it; numpy copies them.
    unsafe {
        let data = cell.as_mut_ptr().cast();
        let made = PY_ARRAY_API.PyArray_Scalar(descr.py(), data, descr.as_dtype_ptr(), std::ptr::null_mut());
        Bound::from_owned_ptr_or_err(descr.py(), made)
    }
}

/// The bytes of a number of numpy's that is of this dtype, of at most eight.
pub fn number_bytes<'py>(
    value: &Bound<'py, PyAny>,
    descr: &Bound<'py, PyArrayDescr>,
) -> Option<([u8; 8], usize)> {
    let bytes = descr.itemsize();
    if bytes > 8 || descr.kind() == b'S' || !value.get_type().is(descr.typeobj()) {
        return None;
    }
    let mut cell = Word::default();
    // SAFETY: a value of the descriptor's own type of scalars has as many bytes as that says, which fit.
    unsafe { PY_ARRAY_API.PyArray_ScalarAsCtype(value.py(), value.as_ptr(), cell.0.as_mut_ptr().cast()) };
    Some((cell.0, bytes))
}

/// The array, or the scalar in an array without axes.
pub fn scalar_or_array(array: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    let py = array.py();
    // SAFETY: it is an array, and its reference is handed over.
    unsafe { Bound::from_owned_ptr_or_err(py, PY_ARRAY_API.PyArray_Return(py, array.into_ptr().cast())) }
}

/// The bytes of a C-contiguous array.
pub fn bytes<'a>(array: &'a Bound<'_, PyUntypedArray>) -> Option<&'a [u8]> {
    if !array.is_c_contiguous() {
        return None;
    }
    let count = array.len() * array.dtype().itemsize();
    if count == 0 {
        return Some(&[]);
    }
    // SAFETY: a C-contiguous array has that many bytes at its data; the borrow keeps the array. Others may change them
    // meanwhile as they may for every reader of an array: what was read is then what was logged.
    Some(unsafe {
        let data = (*_PyArray_GET_ITEM_DATA(array.as_array_ptr())).data.cast::<u8>();
        std::slice::from_raw_parts(data, count)
    })
}

/// Fills in a buffer of an array, for somebody who asked its page. The array is the exporter and stays until it is released.
pub fn lend_buffer(array: &Bound<'_, PyAny>, view: *mut pyo3::ffi::Py_buffer, flags: i32) -> PyResult<()> {
    // SAFETY: `view` came from the interpreter for exactly this.
    match unsafe { pyo3::ffi::PyObject_GetBuffer(array.as_ptr(), view, flags) } {
        0 => Ok(()),
        _ => Err(PyErr::fetch(array.py())),
    }
}
