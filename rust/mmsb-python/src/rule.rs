//! A rule that is a function of Python's, and its call.

use std::cell::Cell;
use std::fmt;

use mmsb::bus::error::Code;
use mmsb::bus::lend::Lender;
use mmsb::propagation::kernel::Input;
use mmsb::propagation::made::Made;
use mmsb::propagation::program::{Call, Program, Raised};
use numpy::npyffi::npy_intp;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::array::filled;
use crate::error::{Fault, Outcome};
use crate::lent::{Lent, Schemed};
use crate::numpy::numpy;
use crate::returned::take;
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
        let mut lent = Lent::new(&self.lender, call.lasts);
        let arguments = call.inputs.iter().enumerate().map(|(i, input)| lent.argument(py, i, input));
        let arguments = PyTuple::new(py, arguments.collect::<Outcome<Vec<_>>>()?)?;
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
        take(shape, &returned, self.takes_changed, made)?;
        drop((returned, arguments, named));
        lent.take_back(&self.inputs)
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
