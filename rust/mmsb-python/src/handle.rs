//! A handle on a branch of a bus as pages, columns and logs share it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::Note;
use mmsb::page::log::Durability;
use pyo3::prelude::*;

use crate::error::{Fault, Outcome};
use crate::fork::Own;
use crate::rule;
use crate::upkeep;
use crate::wait;

/// Bytes from which a commit or copy is long enough to let other Python threads run meanwhile: some 10 us.
pub const LONG: usize = 128 << 10;

/// A handle on a branch, opened by this process.
pub struct Handle {
    bus: Own<Bus>,
    /// Which opening of a bus it came from: the same for all its branches.
    opening: u64,
}

/// Where a state was taken. It does not keep the bus open.
#[derive(Clone)]
pub struct Origin {
    handle: Weak<Handle>,
    opening: u64,
}

impl Origin {
    /// The handle, unless nobody has the bus any more.
    pub fn handle(&self) -> Outcome<Arc<Handle>> {
        let gone =
            || Fault::Face(Code::Closed, "the handle that this state was taken from was let go".into());
        self.handle.upgrade().ok_or_else(gone)
    }

    /// Whether both are of the same bus.
    pub fn is_same_bus(&self, other: &Origin) -> bool {
        self.opening == other.opening
    }
}

impl Drop for Handle {
    /// The last handle of a bus closes it, which waits for work in its background and for the disk: detached, so that
    /// other Python threads go on.
    fn drop(&mut self) {
        if let Some(bus) = self.bus.take() {
            // Where there is no interpreter to detach from any more, the closure is dropped as it is, and the bus with it.
            let _ = Python::try_attach(move |py| py.detach(move || drop(bus)));
        }
    }
}

impl Handle {
    /// The handle of a bus that was just opened.
    pub fn new(bus: Bus) -> Arc<Self> {
        static OPENINGS: AtomicU64 = AtomicU64::new(1);
        Arc::new(Handle { bus: Own::new(bus), opening: OPENINGS.fetch_add(1, Ordering::Relaxed) })
    }

    /// The handle of another branch of its bus.
    pub fn branch(&self, bus: Bus) -> Arc<Self> {
        Arc::new(Handle { bus: Own::new(bus), opening: self.opening })
    }

    /// Where states that are taken from it come from.
    pub fn origin(self: &Arc<Self>) -> Origin {
        Origin { handle: Arc::downgrade(self), opening: self.opening }
    }

    /// Whether both are of one bus.
    pub fn is_same_bus(&self, other: &Handle) -> bool {
        self.opening == other.opening
    }

    /// The handle, unless a fork brought it here.
    pub fn bus(&self) -> Outcome<&Bus> {
        if self.bus.is_foreign() {
            return Err(Fault::Face(
                Code::Forked,
                "the bus was opened before a fork: open it again in the child process".into(),
            ));
        }
        rule::refuse_on(self.opening)?;
        Ok(self.bus.get())
    }

    /// Which opening of a bus it came from.
    pub fn opening(&self) -> u64 {
        self.opening
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
            return Ok(told(py, bus, wait::attached(|| work(bus))?));
        }
        Ok(told(py, bus, py.detach(|| work(bus))?))
    }

    /// Calls the core detached from the interpreter.
    pub fn long<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Bus) -> Result<T, mmsb::bus::error::Error> + Send,
    ) -> Outcome<T> {
        let bus = self.bus()?;
        Ok(told(py, bus, py.detach(|| work(bus))?))
    }
}

/// What a call came to, once the user is warned of what readers hold.
fn told<T>(py: Python<'_>, bus: &Bus, done: T) -> T {
    if bus.has_dear_pins() {
        upkeep::warn(py, bus);
    }
    done
}
