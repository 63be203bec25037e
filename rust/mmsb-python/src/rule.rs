//! A rule that is a function of Python's: its arguments, its call, and what it returns.

use std::cell::Cell;
use std::fmt;

use mmsb::bus::error::Code;
use mmsb::bus::lend::Lender;
use mmsb::page::schema::{Kind, Schema};
use mmsb::propagation::kernel::Input;
use mmsb::propagation::made::Made;
use mmsb::propagation::program::{Call, Program, Raised};
use mmsb::propagation::runs::Run;
use numpy::npyffi::npy_intp;
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::array::{Shown, filled};
use crate::dtype;
use crate::error::{Fault, Outcome};
use crate::index::{Shape, whole};
use crate::numpy::numpy;
use crate::value::{Target, encode};
use crate::wait;

thread_local! {
    /// The opening of the bus whose rule runs on this thread; 0 where none does.
    static RUNS: Cell<u64> = const { Cell::new(0) };
    /// Whether the bus was used since that rule began.
    static USED: Cell<bool> = const { Cell::new(false) };
}

/// Refuses a bus to the rule that runs on this thread, if that makes a page of it.
pub fn refuse_on(opening: u64) -> Outcome<()> {
    if RUNS.get() != opening {
        return Ok(());
    }
    USED.set(true);
    Err(Fault::Face(Code::Rule, format!("{REENTERED}: it has its inputs, and returns what it makes")))
}

/// What a rule does that is refused a bus.
pub const REENTERED: &str = "a rule uses the bus that it makes a page of";

/// A function of Python's that makes a page.
pub struct Function {
    pub function: Py<PyAny>,
    /// Whether it takes which rows changed, and may return some.
    pub takes_changed: bool,
    pub lender: Lender,
    /// The opening of its bus.
    pub opening: u64,
    /// The names of its inputs, for messages.
    pub inputs: Vec<String>,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Function({})", self.inputs.join(", "))
    }
}

/// An exception on its way through the core.
#[derive(Debug)]
pub struct Exception(pub PyErr);

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::error::Error for Exception {}

/// Says, for as long as it lives, that a rule runs; and keeps what was said of the one around it.
pub struct Running(u64, bool);

impl Running {
    /// That a rule of a bus runs, by the bus's opening.
    pub fn new(opening: u64) -> Self {
        Running(RUNS.replace(opening), USED.replace(false))
    }

    /// Whether it was refused the bus since.
    pub fn used_the_bus(&self) -> bool {
        USED.get()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNS.set(self.0);
        USED.set(self.1);
    }
}

impl Program for Function {
    fn run(&self, call: &Call<'_>, made: &mut Made) -> Result<(), Raised> {
        wait::python(|| {
            // The background may come to it when the interpreter is on its way out.
            Python::try_attach(|py| {
                self.call(py, call, made).map_err(|fault| Box::new(Exception(fault.into())) as Raised)
            })
            .unwrap_or_else(|| Err("the interpreter is going".into()))
        })
    }
}

impl Function {
    fn call(&self, py: Python<'_>, call: &Call<'_>, made: &mut Made) -> Outcome<()> {
        let mut lent = Vec::with_capacity(call.inputs.len());
        let mut arguments = Vec::with_capacity(call.inputs.len());
        for input in call.inputs {
            arguments.push(self.argument(py, input, call.lasts, &mut lent)?);
        }
        let arguments = PyTuple::new(py, arguments)?;
        let named = if self.takes_changed {
            let masks = call.inputs.iter().map(|input| mask(py, input)).collect::<Outcome<Vec<_>>>()?;
            let named = PyDict::new(py);
            named.set_item(intern!(py, "changed"), PyTuple::new(py, masks)?)?;
            Some(named)
        } else {
            None
        };
        let running = Running::new(self.opening);
        let returned = self.function.bind(py).call(&arguments, named.as_ref())?;
        if running.used_the_bus() {
            // It caught what it was told.
            return Err(Fault::Face(Code::Rule, REENTERED.into()));
        }
        drop(running);
        let shape = Schemed { schema: call.schema, rows: call.page.rows() };
        shape.take(&returned, self.takes_changed, made)?;
        drop((returned, arguments, named));
        for (input, name, shown) in lent {
            if shown.holders() > 0 {
                let which = if name.is_empty() { String::new() } else { format!(", column '{name}'") };
                return Err(Fault::Face(
                    Code::Rule,
                    format!(
                        "the rule keeps a view of its input '{}'{which}: it is lent for the call only, keep a copy",
                        self.inputs.get(input).map_or("?", String::as_str)
                    ),
                ));
            }
        }
        Ok(())
    }

    /// An input as the function takes it: an array, or a mapping of arrays by column.
    fn argument<'py>(
        &self,
        py: Python<'py>,
        input: &Input<'_>,
        lasts: bool,
        lent: &mut Vec<(usize, String, Shown)>,
    ) -> Outcome<Bound<'py, PyAny>> {
        let shape = Schemed { schema: input.schema, rows: input.rows() };
        let number = lent.last().map_or(0, |(number, ..)| number + 1);
        let mut arrays = Vec::new();
        for (i, column) in input.schema.columns().iter().enumerate() {
            let view = self.lender.view(input.column(i as u16), lasts)?;
            let shown = Shown::new(py, view, &dtype::descr(py, column.dtype())?, &shape.of(i).dims())?;
            arrays.push(shown.bind(py));
            let name = if shape.is_table() { column.name().to_owned() } else { String::new() };
            lent.push((number, name, shown));
        }
        if !shape.is_table() {
            return Ok(arrays.remove(0));
        }
        let named = PyDict::new(py);
        for (column, array) in input.schema.columns().iter().zip(arrays) {
            named.set_item(column.name(), array)?;
        }
        Ok(named.into_any())
    }
}

/// Which rows of an input changed in some column, as an array of truth values.
fn mask<'py>(py: Python<'py>, input: &Input<'_>) -> Outcome<Bound<'py, PyAny>> {
    let rows = input.rows();
    filled(py, numpy(py).boolean.bind(py), &[rows as npy_intp], |bytes| {
        bytes.fill(0);
        for run in input.changed.iter().flatten() {
            bytes[run.start.min(rows) as usize..run.stop.min(rows) as usize].fill(1);
        }
        Ok::<(), Fault>(())
    })
}

/// Columns and how many rows they have.
struct Schemed<'a> {
    schema: &'a Schema,
    rows: u64,
}

impl Schemed<'_> {
    fn is_table(&self) -> bool {
        self.schema.kind() == Kind::Table
    }

    fn of(&self, column: usize) -> Shape<'_> {
        let scalar = self.schema.kind() == (Kind::Array { scalar: true });
        Shape { rows: self.rows, column: &self.schema.columns()[column], scalar }
    }

    /// What a column is called in messages.
    fn named(&self, column: usize) -> String {
        if self.is_table() {
            format!("column '{}' that the rule returns", self.schema.columns()[column].name())
        } else {
            "what the rule returns".into()
        }
    }

    /// Takes what the function returned: all cells, or some rows and theirs.
    fn take(&self, returned: &Bound<'_, PyAny>, some: bool, made: &mut Made) -> Outcome<()> {
        if some && let Ok((rows, cells)) = returned.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() {
            let runs = self.runs(&rows)?;
            return self.columns(&cells, |column, cells| self.put(column, cells, &runs, made));
        }
        let all = [Run::new(0, self.rows)];
        self.columns(returned, |column, cells| self.put(column, cells, &all, made))
    }

    /// Calls `take` with the cells of each column.
    fn columns<'py>(
        &self,
        returned: &Bound<'py, PyAny>,
        mut take: impl FnMut(usize, &Bound<'py, PyAny>) -> Outcome<()>,
    ) -> Outcome<()> {
        if !self.is_table() {
            return take(0, returned);
        }
        for (i, column) in self.schema.columns().iter().enumerate() {
            let Ok(cells) = returned.get_item(column.name()) else {
                let kind = returned.get_type().name()?;
                return Err(Fault::shape(format!(
                    "the rule returns {kind} without the column '{}': a mapping of arrays by column is wanted",
                    column.name()
                )));
            };
            take(i, &cells)?;
        }
        Ok(())
    }

    /// Rows as a mask or a list of numbers, as runs.
    fn runs(&self, rows: &Bound<'_, PyAny>) -> Outcome<Vec<Run>> {
        let py = rows.py();
        let given = numpy(py).asarray(rows)?;
        let count = self.rows as usize;
        let given = if given.dtype().kind() == b'b' {
            if given.shape() != [count] {
                let shape = given.shape();
                return Err(Fault::shape(format!(
                    "the mask of rows has shape {shape:?} where there are {count} rows"
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
        let numbers: Vec<i64> = given.call_method0(intern!(py, "tolist"))?.extract()?;
        let mut runs: Vec<Run> = Vec::new();
        for number in numbers {
            let row = u64::try_from(number).ok().filter(|row| *row < self.rows).ok_or_else(|| {
                Fault::index(format!("the rule returns row {number} where there are {count}"))
            })?;
            match runs.last_mut() {
                Some(last) if last.stop == row => last.stop += 1,
                _ => runs.push(Run::new(row, row + 1)),
            }
        }
        Ok(runs)
    }

    /// Puts cells of a column into these rows.
    fn put(&self, column: usize, cells: &Bound<'_, PyAny>, runs: &[Run], made: &mut Made) -> Outcome<()> {
        let py = cells.py();
        let rows = runs.iter().map(|run| run.rows()).sum();
        let about = &self.schema.columns()[column];
        let shape = Shape { rows, ..self.of(column) };
        let wanted = shape.dims();
        let given = numpy(py).asarray(cells)?;
        let same = given.ndim() == wanted.len()
            && given.shape().iter().zip(&wanted).all(|(&got, &wanted)| got as npy_intp == wanted);
        if !same {
            return Err(Fault::shape(format!(
                "{} has shape {} where {} is wanted",
                self.named(column),
                shown(given.shape().iter().map(|&axis| axis as npy_intp)),
                shown(wanted.iter().copied())
            )));
        }
        let descr = dtype::descr(py, about.dtype())?;
        let name = || self.named(column);
        let target = Target { dtype: about.dtype(), descr: &descr, name: &name };
        let value = encode(given.as_any(), &whole(&shape), &target)?;
        let bytes = value.bytes();
        let mut from = 0;
        for run in runs {
            let length = (run.rows() * about.row_bytes()) as usize;
            let room = made.room_of_bytes(column as u16, run.start * about.cells_per_row(), length);
            if value.is_fill() {
                room.chunks_exact_mut(bytes.len().max(1)).for_each(|cell| cell.copy_from_slice(bytes));
            } else {
                room.copy_from_slice(&bytes[from..from + length]);
            }
            from += length;
        }
        Ok(())
    }
}

/// A shape as Python writes it.
fn shown(axes: impl ExactSizeIterator<Item = npy_intp>) -> String {
    let one = axes.len() == 1;
    let axes: Vec<String> = axes.map(|axis| axis.to_string()).collect();
    if one { format!("({},)", axes[0]) } else { format!("({})", axes.join(", ")) }
}
