//! A handle on a branch of a bus as pages, columns and logs share it.

use std::sync::Arc;

use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::Note;
use mmsb::page::log::Durability;
use pyo3::prelude::*;

use crate::error::{Fault, Outcome};
use crate::fork::Own;

/// Bytes from which a commit or copy is long enough to let other Python threads run meanwhile: some 10 us.
pub const LONG: usize = 128 << 10;

/// A handle on a branch, opened by this process.
pub struct Handle {
    bus: Own<Bus>,
}

impl Handle {
    pub fn new(bus: Bus) -> Arc<Self> {
        Arc::new(Handle { bus: Own::new(bus) })
    }

    /// The handle, unless a fork brought it here.
    pub fn bus(&self) -> Outcome<&Bus> {
        if self.bus.is_foreign() {
            return Err(Fault::Face(
                Code::Forked,
                "the bus was opened before a fork: open it again in the child process".into(),
            ));
        }
        Ok(self.bus.get())
    }

    /// The handle for messages, whoever opened it.
    pub fn for_show(&self) -> &Bus {
        self.bus.get()
    }

    /// Calls the core; detached from the interpreter where it may take long: `bytes` to copy, somebody else committing,
    /// or a disk to wait for.
    pub fn call<T: Send>(
        &self,
        py: Python<'_>,
        bytes: usize,
        note: &Note,
        work: impl FnOnce(&Bus) -> Result<T, mmsb::bus::error::Error> + Send,
    ) -> Outcome<T> {
        let bus = self.bus()?;
        let survives = note.durability.unwrap_or(bus.durability());
        if bytes < LONG && survives != Durability::Disk && !bus.is_busy() {
            return Ok(work(bus)?);
        }
        Ok(py.detach(|| work(bus))?)
    }

    /// Calls the core detached from the interpreter.
    pub fn long<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Bus) -> Result<T, mmsb::bus::error::Error> + Send,
    ) -> Outcome<T> {
        let bus = self.bus()?;
        Ok(py.detach(|| work(bus))?)
    }
}
