//! Telling Python how far long work has come.

use pyo3::prelude::*;

use crate::error::Outcome;

/// A callback of Python's that is told bytes while the interpreter is free; the first error it raises is kept.
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

    /// Tells a number of bytes; nothing more after an error.
    pub fn tell(&mut self, bytes: u64) {
        let Some(callback) = self.callback.as_ref().filter(|_| self.error.is_none()) else { return };
        self.error = Python::attach(|py| callback.call1(py, (bytes,)).err());
    }

    /// The error that the callback raised, if it did; the work is done all the same.
    pub fn end(self) -> Outcome<()> {
        self.error.map_or(Ok(()), |error| Err(error.into()))
    }
}
