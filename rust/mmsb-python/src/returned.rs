//! What a function of Python's returns, as cells of its page.

use std::fmt::Display;

use mmsb::propagation::made::Made;
use mmsb::propagation::runs::Run;
use numpy::npyffi::npy_intp;
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList, PyMapping, PyString};

use crate::array;
use crate::dtype;
use crate::error::{Fault, Outcome};
use crate::index::{Shape, whole};
use crate::lent::Schemed;
use crate::numpy::numpy;
use crate::value::{Target, encode, plain, refuse_masked};

/// Takes what the function returned: all cells, or some rows and theirs.
pub fn take(page: Schemed<'_>, returned: &Bound<'_, PyAny>, some: bool, made: &mut Made) -> Outcome<()> {
    if some && let Ok((rows, cells)) = returned.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() {
        let runs = runs(page.rows, &rows)?;
        return columns(page, &cells, |column, cells| put(page, column, cells, &runs, made));
    }
    let all = [Run::new(0, page.rows)];
    columns(page, returned, |column, cells| put(page, column, cells, &all, made))
}

/// What a column is called in messages.
fn named(page: Schemed<'_>, column: usize) -> String {
    if page.is_table() {
        format!("column '{}' that the rule returns", page.schema.columns()[column].name())
    } else {
        "what the rule returns".into()
    }
}

/// Calls `take` with the cells of each column.
fn columns<'py>(
    page: Schemed<'_>,
    returned: &Bound<'py, PyAny>,
    mut take: impl FnMut(usize, &Bound<'py, PyAny>) -> Outcome<()>,
) -> Outcome<()> {
    if !page.is_table() {
        return take(0, returned);
    }
    let wanted = "a mapping of arrays by column";
    if !returned.hasattr(intern!(returned.py(), "__getitem__"))? {
        return Err(no_values("what the rule returns", returned, wanted));
    }
    for (i, column) in page.schema.columns().iter().enumerate() {
        let Ok(cells) = returned.get_item(column.name()) else {
            let kind = returned.get_type().name()?;
            return Err(Fault::shape(format!(
                "the rule returns {kind} without the column '{}': {wanted} is wanted",
                column.name()
            )));
        };
        take(i, &cells)?;
    }
    refuse_more(page, returned)
}

/// Refuses columns that the page has not, as far as what the rule returns says which it has.
fn refuse_more(page: Schemed<'_>, returned: &Bound<'_, PyAny>) -> Outcome<()> {
    let (py, columns) = (returned.py(), page.schema.columns());
    let names = if let Ok(dict) = returned.cast_exact::<PyDict>() {
        // All of the page's are in it.
        if dict.len() == columns.len() {
            return Ok(());
        }
        dict.keys().into_any()
    } else if let Ok(array) = returned.cast::<PyUntypedArray>() {
        array.dtype().getattr(intern!(py, "names"))?
    } else if let Some(names) = names_said(returned)? {
        names
    } else {
        return Ok(());
    };
    for name in names.try_iter()? {
        let name = name?;
        let is_known = columns.iter().any(|column| name.eq(column.name()).unwrap_or(false));
        if !is_known {
            let known: Vec<_> = columns.iter().map(|column| format!("'{}'", column.name())).collect();
            return Err(Fault::shape(format!(
                "the rule returns a column {} that its page has not, which has {}",
                name.repr()?,
                known.join(", ")
            )));
        }
    }
    Ok(())
}

/// What something that is neither a dict nor an array calls its columns; none where it does not say.
///
/// An object of a user's may mean anything by these words: what it has was asked for, and is there.
fn names_said<'py>(returned: &Bound<'py, PyAny>) -> Outcome<Option<Bound<'py, PyAny>>> {
    let py = returned.py();
    let keys = returned.getattr_opt(intern!(py, "keys"))?.filter(|keys| keys.is_callable());
    let names = match keys {
        Some(keys) => keys.call0()?,
        // Tables of pyarrow and of polars.
        None => {
            let said = ["column_names", "columns"].into_iter().find_map(|what| returned.getattr(what).ok());
            let Some(names) = said else { return Ok(None) };
            names
        }
    };
    // What a mapping has for keys is what it has; what else says so says it by strings.
    if returned.cast::<PyMapping>().is_ok() {
        return Ok(Some(names));
    }
    // A string would be names of one character.
    if names.is_instance_of::<PyString>() {
        return Ok(None);
    }
    let listed = match names.try_iter() {
        Ok(names) => names.collect::<PyResult<Vec<_>>>()?,
        Err(error) if error.is_instance_of::<PyTypeError>(py) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let is_said = listed.iter().all(|name| name.is_instance_of::<PyString>());
    Ok(if is_said { Some(PyList::new(py, listed)?.into_any()) } else { None })
}

/// That something is no values at all: `None` of a function without `return`, the coroutine of an async one, a generator.
fn no_values(what: &str, returned: &Bound<'_, PyAny>, wanted: &str) -> Fault {
    let py = returned.py();
    let found = || -> PyResult<String> {
        if returned.is_none() {
            return Ok("None".into());
        }
        // One that is let go without being awaited warns of that, in the middle of something else.
        if returned.is_instance(&py.import("types")?.getattr(intern!(py, "CoroutineType"))?)? {
            returned.call_method0(intern!(py, "close"))?;
        }
        Ok(format!("of type {}", returned.get_type().name()?))
    };
    found()
        .map_or_else(Fault::from, |found| Fault::dtype(format!("{what} is {found} where {wanted} is wanted")))
}

/// That there is no row of this number.
fn no_row(number: impl Display, count: u64) -> Fault {
    Fault::index(format!("the rule returns row {number} where there are {count}"))
}

/// Of a list of integers the first that is of more than 64 bits, as unsigned ones may be and those of Python.
fn past_all<'py>(listed: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    let numbers = listed.extract::<Vec<Bound<'py, PyInt>>>().ok()?;
    numbers.into_iter().map(Bound::into_any).find(|number| number.extract::<i64>().is_err())
}

/// Rows as a mask or a list of numbers, as runs.
fn runs(count: u64, rows: &Bound<'_, PyAny>) -> Outcome<Vec<Run>> {
    let py = rows.py();
    let given = numpy(py).asarray(rows)?;
    let given = if given.dtype().kind() == b'b' {
        if given.shape() != [count as usize] {
            let shape = given.shape();
            return Err(Fault::shape(format!(
                "the mask of rows has shape {} where there are {count} rows",
                shown(shape.iter().map(|&axis| axis as npy_intp))
            )));
        }
        given
            .call_method0(intern!(py, "nonzero"))?
            .get_item(0)?
            .cast_into::<PyUntypedArray>()
            .map_err(PyErr::from)?
    } else {
        given
    };
    let listed = given.call_method0(intern!(py, "tolist"))?;
    let Ok(numbers) = listed.extract::<Vec<i64>>() else {
        if let Some(number) = past_all(&listed) {
            return Err(no_row(number.repr().map_err(Fault::from)?, count));
        }
        let wanted = "a mask of rows, or their numbers along one axis,";
        let dtype = given.dtype();
        if given.ndim() == 0 && (dtype.kind() == b'O' || rows.is_instance_of::<PyString>()) {
            return Err(no_values("what the rule returns as rows", rows, wanted));
        }
        let shape = shown(given.shape().iter().map(|&axis| axis as npy_intp));
        return Err(Fault::index(format!(
            "the rule returns rows of {dtype} and shape {shape} where {wanted} is wanted"
        )));
    };
    let mut runs: Vec<Run> = Vec::new();
    for number in numbers {
        let row =
            u64::try_from(number).ok().filter(|row| *row < count).ok_or_else(|| no_row(number, count))?;
        match runs.last_mut() {
            Some(last) if last.stop == row => last.stop += 1,
            _ => runs.push(Run::new(row, row + 1)),
        }
    }
    Ok(runs)
}

/// What was returned as an array, of any dtype and shape.
fn array_of<'py>(
    page: Schemed<'_>,
    cells: &Bound<'py, PyAny>,
    target: &Target<'_, 'py>,
    wanted: &[npy_intp],
) -> Outcome<Bound<'py, PyUntypedArray>> {
    if let Ok(array) = cells.cast_exact::<PyUntypedArray>() {
        return Ok(array.clone());
    }
    if let Ok(array) = cells.cast::<PyUntypedArray>() {
        refuse_masked(array, target)?;
    }
    let given = numpy(cells.py()).asarray(cells)?;
    if given.ndim() == 0 && given.dtype().kind() == b'O' {
        let wanted = match page.is_number() {
            true => format!("a value of {}", target.dtype),
            false => format!("an array of shape {}", shown(wanted.iter().copied())),
        };
        return Err(no_values(&(target.name)(), cells, &wanted));
    }
    Ok(given)
}

/// Puts cells of a column into these rows.
fn put(
    page: Schemed<'_>,
    column: usize,
    cells: &Bound<'_, PyAny>,
    runs: &[Run],
    made: &mut Made,
) -> Outcome<()> {
    let py = cells.py();
    let about = &page.schema.columns()[column];
    let descr = dtype::descr(py, about.dtype())?;
    let name = || named(page, column);
    let target = Target { dtype: about.dtype(), descr: &descr, name: &name };
    if page.is_number()
        && let [Run { start: 0, stop: 1 }] = runs
        && let Some(cell) = plain(cells, &target)?
    {
        let cell = cell.bytes();
        made.room_of_bytes(0, 0, cell.len()).copy_from_slice(cell);
        return Ok(());
    }
    let rows = runs.iter().map(|run| run.rows()).sum();
    let shape = Shape { rows, ..page.of(column) };
    let wanted = shape.dims();
    let given = array_of(page, cells, &target, &wanted)?;
    let same = given.ndim() == wanted.len()
        && given.shape().iter().zip(&wanted).all(|(&got, &wanted)| got as npy_intp == wanted);
    if !same {
        return Err(Fault::shape(format!(
            "{} has shape {} where {} is wanted",
            name(),
            shown(given.shape().iter().map(|&axis| axis as npy_intp)),
            shown(wanted.iter().copied())
        )));
    }
    let mut place = |bytes: &[u8], fill: bool| {
        let mut from = 0;
        for run in runs {
            let length = (run.rows() * about.row_bytes()) as usize;
            let room = made.room_of_bytes(column as u16, run.start * about.cells_per_row(), length);
            if fill {
                room.chunks_exact_mut(bytes.len().max(1)).for_each(|cell| cell.copy_from_slice(bytes));
            } else {
                room.copy_from_slice(&bytes[from..from + length]);
            }
            from += length;
        }
    };
    if given.dtype().is_equiv_to(&descr)
        && let Some(bytes) = array::bytes(&given)
    {
        place(bytes, false);
        return Ok(());
    }
    // Numbers are held to the range of the cell; an array's dtype is meant.
    let given = if page.is_number() { cells } else { given.as_any() };
    let value = encode(given, &whole(&shape), &target)?;
    place(value.bytes(), value.is_fill());
    Ok(())
}

/// A shape as Python writes it.
fn shown(axes: impl ExactSizeIterator<Item = npy_intp>) -> String {
    let one = axes.len() == 1;
    let axes: Vec<String> = axes.map(|axis| axis.to_string()).collect();
    if one { format!("({},)", axes[0]) } else { format!("({})", axes.join(", ")) }
}
