//! A rule that is a function of C's: compiled code, which runs without the interpreter.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;

use mmsb::base::wait::aside;
use mmsb::bus::derive::Derived;
use mmsb::bus::lend::Lender;
use mmsb::page::dtype::DType;
use mmsb::propagation::made::Made;
use mmsb::propagation::program::{Call, Program, Raised};
use mmsb::propagation::rule::{Rule, What};
use pyo3::prelude::*;

use crate::bus::Bus;
use crate::derive::{Shape, edges, schema};
use crate::error::{Fault, Outcome};
use crate::handle::LONG;
use crate::page::Page;
use crate::rule::{REENTERED, Running};

/// The cells of each column of the inputs and how many those are, and the cells to be made and how many; 0 where it
/// succeeds.
type Entry = unsafe extern "C" fn(*const *const c_void, *const i64, *mut c_void, i64) -> i32;

/// A function of C's that makes a page of one column.
struct Native {
    entry: Entry,
    lender: Lender,
    /// The opening of its bus.
    opening: u64,
    /// What owns the code.
    _owner: Py<PyAny>,
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Native({:p})", self.entry as *const c_void)
    }
}

impl Program for Native {
    fn run(&self, call: &Call<'_>, made: &mut Made) -> Result<(), Raised> {
        let mut lent = Vec::new();
        let (mut cells, mut lengths) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        for input in call.inputs {
            for (i, column) in input.schema.columns().iter().enumerate() {
                let view = self.lender.view(input.column(i as u16), call.lasts)?;
                cells.push(view.bytes().as_ptr().cast::<c_void>());
                lengths.push((input.rows() * column.cells_per_row()) as i64);
                bytes += view.bytes().len();
                lent.push(view);
            }
        }
        let column = &call.schema.columns()[0];
        let length = call.page.rows() * column.cells_per_row();
        let room = made.room_of_bytes(0, 0, (call.page.rows() * column.row_bytes()) as usize);
        bytes += room.len();
        // It may call back into Python, and from there the bus.
        let running = Running::new(self.opening);
        let mut run = || {
            // SAFETY: the address is that of a function of this signature, which whoever declared the rule vouches for, and
            // `_owner` keeps its code. `cells` and `lengths` have an entry for each column; each points to so many cells
            // that `lent` keeps, and they lie as their type must. `room` is as long as the cells to be made, and nobody
            // else's.
            unsafe { (self.entry)(cells.as_ptr(), lengths.as_ptr(), room.as_mut_ptr().cast(), length as i64) }
        };
        // As everywhere: what is done in less time than it takes to let others have the interpreter keeps it.
        let status = if bytes < LONG { run() } else { aside(run) };
        if running.used_the_bus() {
            return Err(REENTERED.into());
        }
        drop(running);
        if column.dtype() == DType::Bool {
            // A truth value is 0 or 1, whatever C calls true.
            room.iter_mut().for_each(|cell| *cell = u8::from(*cell != 0));
        }
        if status == 0 { Ok(()) } else { Err(format!("the native function returned {status}").into()) }
    }

    fn is_native(&self) -> bool {
        true
    }
}

/// Makes a page by a function of C's at an address. `shape` is kind, columns and rows; `owner` keeps the code.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "what one declaration says, handed over by Python's face alone")]
pub fn _derive_native<'py>(
    py: Python<'py>,
    bus: &Bus,
    name: &str,
    shape: Shape<'py>,
    address: usize,
    owner: Py<PyAny>,
    called: &str,
    inputs: Vec<Bound<'py, PyAny>>,
    after: Vec<Bound<'py, PyAny>>,
    when: &str,
) -> Outcome<Bound<'py, Page>> {
    let core = bus.handle.bus()?;
    let (schema, rows) = schema(core, name, shape)?;
    if schema.columns().len() != 1 {
        let columns = schema.columns().len();
        return Err(Fault::shape(format!(
            "page '{name}' has {columns} columns: a native function makes one, give each a page of its own"
        )));
    }
    if address == 0 {
        return Err(Fault::invalid(format!("page '{name}': the native function has the address 0")));
    }
    // SAFETY: not null; that a function of this signature is there is what the caller says. Python's face has checked what
    // can be checked.
    let entry =
        unsafe { std::mem::transmute::<*const c_void, Entry>(std::ptr::with_exposed_provenance(address)) };
    let (inputs, after) = (bus.inputs(py, name, &inputs)?, bus.inputs(py, name, &after)?);
    let opening = bus.handle.opening();
    let program: Arc<dyn Program> = Arc::new(Native { entry, lender: core.lender(), opening, _owner: owner });
    let rule = Rule::new(edges(&inputs, &after), What::Program(called.to_owned()));
    bus.follow(py, name, Derived { rule, shape: Some((schema, rows)), program: Some(program) }, when)
}
