//! The thin PyO3 binding of `mmsb`: convert, detach from the interpreter, call, wrap.
#![deny(unsafe_code)]

mod algebra;
mod array;
mod builtin;
mod bus;
mod cells;
mod circuit;
mod column;
mod derive;
mod diff;
mod dtype;
mod error;
mod exchange;
mod fork;
mod given;
mod handle;
mod index;
mod kept;
mod layout;
mod lent;
mod log;
mod native;
mod numpy;
mod open;
mod page;
mod producer;
mod progress;
mod python;
mod returned;
mod rows;
mod rule;
mod seeing;
mod sheet;
mod show;
mod state;
mod stats;
mod transaction;
mod upkeep;
mod value;
mod wait;

use pyo3::prelude::*;
use pyo3::wrap_pyfunction;

/// The compiled core of the Python package `mmsb`.
#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    numpy::load(py)?;
    wait::load();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<bus::Bus>()?;
    module.add_class::<open::Opened>()?;
    module.add_class::<page::Page>()?;
    module.add_class::<column::Column>()?;
    module.add_class::<state::Snapshot>()?;
    module.add_class::<transaction::Transaction>()?;
    module.add_class::<producer::Producer>()?;
    module.add_class::<diff::Change>()?;
    module.add_class::<log::Log>()?;
    module.add_class::<log::Entry>()?;
    module.add_class::<array::ViewOwner>()?;
    module.add_class::<circuit::Circuit>()?;
    module.add_function(wrap_pyfunction!(open::open, module)?)?;
    module.add_function(wrap_pyfunction!(error::error_codes, module)?)?;
    for function in [
        wrap_pyfunction!(algebra::_laws, module)?,
        wrap_pyfunction!(algebra::_semirings, module)?,
        wrap_pyfunction!(algebra::_monoids, module)?,
        wrap_pyfunction!(algebra::_product, module)?,
        wrap_pyfunction!(algebra::_product_csr, module)?,
        wrap_pyfunction!(algebra::_product_quick, module)?,
        wrap_pyfunction!(algebra::_fold, module)?,
        wrap_pyfunction!(algebra::_write, module)?,
        wrap_pyfunction!(transaction::_transaction_of, module)?,
        wrap_pyfunction!(producer::_producer, module)?,
        wrap_pyfunction!(producer::_collect, module)?,
        wrap_pyfunction!(derive::_derive, module)?,
        wrap_pyfunction!(derive::_derive_by, module)?,
        wrap_pyfunction!(native::_derive_native, module)?,
        wrap_pyfunction!(derive::_release, module)?,
        wrap_pyfunction!(derive::_settle, module)?,
        wrap_pyfunction!(derive::_settle_failed, module)?,
        wrap_pyfunction!(derive::_rule, module)?,
        wrap_pyfunction!(derive::_rules, module)?,
        wrap_pyfunction!(derive::_trace, module)?,
        wrap_pyfunction!(derive::_provenance, module)?,
        wrap_pyfunction!(derive::_last_step, module)?,
        wrap_pyfunction!(seeing::_traces, module)?,
        wrap_pyfunction!(seeing::_counters, module)?,
        wrap_pyfunction!(seeing::_before_stepping, module)?,
        wrap_pyfunction!(seeing::_step_by_step, module)?,
        wrap_pyfunction!(seeing::_pending, module)?,
        wrap_pyfunction!(seeing::_step, module)?,
    ] {
        module.add_function(function)?;
    }
    module.add_function(wrap_pyfunction!(upkeep::_verify, module)?)?;
    module.add_function(wrap_pyfunction!(upkeep::_doctor, module)?)?;
    module.add_function(wrap_pyfunction!(upkeep::_pins, module)?)?;
    module.add_function(wrap_pyfunction!(upkeep::_processes, module)?)?;
    let after_fork = wrap_pyfunction!(fork::_after_fork, module)?;
    let options = pyo3::types::PyDict::new(py);
    options.set_item("after_in_child", after_fork)?;
    py.import("os")?.call_method("register_at_fork", (), Some(&options))?;
    Ok(())
}
