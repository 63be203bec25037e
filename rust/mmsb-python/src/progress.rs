//! Telling Python how far long work has come.

use pyo3::prelude::*;

use crate::error::{Fault, Outcome};

/// A callback of Python's that is told a count, of bytes or pages, while the interpreter is free; the first error it
/// raises is kept.
#[derive(Debug)]
pub struct Told {
    callback: Option<Py<PyAny>>,
    error: Option<PyErr>,
}

impl Told {
    /// Tells `callback`, if there is one.
    pub fn new(callback: Option<Bound<'_, PyAny>>) -> Self {
        Told { callback: callback.map(Bound::unbind), error: None }
    }

    /// Tells `callback`, if there is one and it can be called.
    pub fn checked(callback: Option<Bound<'_, PyAny>>) -> Outcome<Self> {
        match callback {
            Some(given) if !given.is_callable() => Err(Fault::invalid(format!(
                "progress {}: a function is wanted, not {}",
                given.repr().map_or_else(|_| "?".into(), |shown| shown.to_string()),
                given.get_type().name()?
            ))),
            callback => Ok(Told::new(callback)),
        }
    }

    /// Tells how far it is; nothing more after an error.
    pub fn tell(&mut self, done: u64) {
        let Some(callback) = self.callback.as_ref().filter(|_| self.error.is_none()) else { return };
        self.error = Python::attach(|py| callback.call1(py, (done,)).err());
    }

    /// The error that the callback raised, if it did; the work is done all the same.
    pub fn end(self) -> Outcome<()> {
        self.error.map_or(Ok(()), |error| Err(error.into()))
    }
}
