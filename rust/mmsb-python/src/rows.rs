//! Rows of a table: as tuples, as structured arrays, as mappings of columns; of all columns or of some.

use mmsb::page::schema::Kind;
use numpy::PyUntypedArrayMethods;
use numpy::npyffi::npy_intp;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyEllipsis, PyList, PyString, PyTuple};

use crate::error::{Fault, Outcome};
use crate::given::text;
use crate::numpy::numpy;
use crate::sheet::Sheet;

/// Values by column.
type Fields<'py> = Vec<(usize, Bound<'py, PyAny>)>;

/// The columns that a list of names chooses; `None` where an index is no such list.
pub fn chosen(sheet: &Sheet, index: &Bound<'_, PyAny>) -> Outcome<Option<Vec<usize>>> {
    let Ok(list) = index.cast::<PyList>() else { return Ok(None) };
    if !list.iter().next().is_some_and(|first| first.is_instance_of::<PyString>()) {
        return Ok(None);
    }
    let mut columns = Vec::with_capacity(list.len());
    for name in list.iter() {
        let at = named(sheet, &name)?;
        if columns.contains(&at) {
            return Err(Fault::invalid(format!("{} is chosen twice", sheet.named(at))));
        }
        columns.push(at);
    }
    Ok(Some(columns))
}

/// An index of rows without the Ellipsis beside them: rows have one axis.
pub fn of_rows<'py>(sheet: &Sheet, index: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
    if sheet.schema.kind() == Kind::Table
        && let Ok(items) = index.cast::<PyTuple>()
        && let Ok((one, other)) = items.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>)>()
    {
        if one.is_instance_of::<PyEllipsis>() {
            return other;
        }
        if other.is_instance_of::<PyEllipsis>() {
            return one;
        }
    }
    index.clone()
}

/// The rows an index picks, of some columns, as one structured array.
pub fn read<'py>(sheet: &Sheet, index: &Bound<'py, PyAny>, columns: &[usize]) -> Outcome<Bound<'py, PyAny>> {
    let (py, first) = (index.py(), columns[0]);
    let cells = sheet.get(py, first, index)?;
    let array = numpy(py).asarray(&cells)?;
    let inner = sheet.schema.columns()[first].inner().len();
    let row_axes = array.ndim().checked_sub(inner).ok_or_else(|| {
        Fault::index(format!("{}: rows of a table are indexed along one axis", sheet.named_page()))
    })?;
    let dims: Vec<npy_intp> = array.shape()[..row_axes].iter().map(|&size| size as _).collect();
    let one = dims.is_empty();
    let out = numpy(py).empty.bind(py).call1((dims, sheet.record_dtype(py, columns)?))?;
    let name = |column: usize| sheet.schema.columns()[column].name();
    out.set_item(name(first), cells)?;
    for &column in &columns[1..] {
        out.set_item(name(column), sheet.get(py, column, index)?)?;
    }
    Ok(if one { out.get_item(PyTuple::empty(py))? } else { out })
}

/// What was handed in for some columns, by column; of a page that has one it is that column's.
pub fn fields<'py>(sheet: &Sheet, given: &Bound<'py, PyAny>, columns: &[usize]) -> Outcome<Fields<'py>> {
    let py = given.py();
    if let Ok(dict) = given.cast::<PyDict>() {
        return dict.iter().map(|(name, value)| Ok((among(sheet, &name, columns)?, value))).collect();
    }
    if sheet.schema.kind() != Kind::Table {
        return Ok(vec![(0, given.clone())]);
    }
    if let Ok(row) = given.cast::<PyTuple>() {
        fits(sheet, row, columns)?;
        return Ok(columns.iter().copied().zip(row.iter()).collect());
    }
    if let Ok(rows) = given.cast::<PyList>() {
        return of_list(sheet, rows, columns);
    }
    if let Some(names) = field_names(given) {
        let field = |name: Bound<'py, PyAny>| Ok((among(sheet, &name, columns)?, given.get_item(name)?));
        return names.try_iter()?.map(|name| field(name?)).collect();
    }
    if given.hasattr(intern!(py, "keys"))? {
        let names = given.call_method0(intern!(py, "keys"))?;
        let field = |name: Bound<'py, PyAny>| Ok((among(sheet, &name, columns)?, given.get_item(name)?));
        return names.try_iter()?.map(|name| field(name?)).collect();
    }
    let speaks_arrow = |name: &str| given.hasattr(name).unwrap_or(false);
    if speaks_arrow("__arrow_c_stream__") || speaks_arrow("__arrow_c_array__") {
        let found =
            py.import(intern!(py, "mmsb.arrow"))?.call_method1(intern!(py, "columns_of"), (given,))?;
        return match found.cast::<PyDict>() {
            Ok(table) => fields(sheet, table, columns),
            Err(_) => Err(no_rows(sheet)),
        };
    }
    Err(no_rows(sheet))
}

/// A list of rows, by column: of tuples, or of numpy's records.
fn of_list<'py>(sheet: &Sheet, rows: &Bound<'py, PyList>, columns: &[usize]) -> Outcome<Fields<'py>> {
    let py = rows.py();
    if rows.is_empty() {
        let none = numpy(py).empty.bind(py).call1((0, sheet.record_dtype(py, columns)?))?;
        return fields(sheet, &none, columns);
    }
    if rows.iter().next().is_some_and(|first| field_names(&first).is_some()) {
        let records = numpy(py).asarray(rows.as_any())?;
        return match field_names(&records) {
            Some(_) => fields(sheet, &records, columns),
            None => Err(no_rows(sheet)),
        };
    }
    let mut values = vec![Vec::with_capacity(rows.len()); columns.len()];
    for row in rows.iter() {
        let row = row.cast_into::<PyTuple>().map_err(|_| no_rows(sheet))?;
        fits(sheet, &row, columns)?;
        values.iter_mut().zip(row.iter()).for_each(|(column, value)| column.push(value));
    }
    let by_column = columns.iter().copied().zip(values);
    by_column.map(|(column, values)| Ok((column, PyList::new(py, values)?.into_any()))).collect()
}

fn no_rows(sheet: &Sheet) -> Fault {
    Fault::dtype(format!(
        "{} takes rows as tuples or of a structured dtype, or a mapping of columns",
        sheet.named_page()
    ))
}

/// Whether a row has a value for each column.
fn fits(sheet: &Sheet, row: &Bound<'_, PyTuple>, columns: &[usize]) -> Outcome<()> {
    if row.len() == columns.len() {
        return Ok(());
    }
    let (has, wanted) = (row.len(), columns.len());
    Err(Fault::shape(format!("{}: a row of {has} values for {wanted} columns", sheet.named_page())))
}

/// The names of the fields of an array or a record.
fn field_names<'py>(given: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    let py = given.py();
    let names = given.getattr(intern!(py, "dtype")).ok()?.getattr(intern!(py, "names")).ok()?;
    (!names.is_none()).then_some(names)
}

/// The column that a key names.
fn named(sheet: &Sheet, name: &Bound<'_, PyAny>) -> Outcome<usize> {
    match name.cast::<PyString>() {
        Ok(name) => sheet.column(text(name)?),
        Err(_) => {
            let shown = name.repr().map_or_else(|_| "?".into(), |shown| shown.to_string());
            let message = format!("{}: {shown} names no column: a string is wanted", sheet.named_page());
            Err(Fault::invalid(message))
        }
    }
}

/// As `named`, of some columns only.
fn among(sheet: &Sheet, name: &Bound<'_, PyAny>, columns: &[usize]) -> Outcome<usize> {
    let at = named(sheet, name)?;
    if columns.contains(&at) {
        return Ok(at);
    }
    Err(Fault::invalid(format!("{} is not among those that are written", sheet.named(at))))
}
