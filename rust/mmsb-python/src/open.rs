//! Opening a bus.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mmsb::base::limits::THREADS_MAX;
use mmsb::bus::handle::Bus as CoreBus;
use mmsb::bus::options::{ArenaPlace, Mode, Options, PinPolicy};
use pyo3::prelude::*;

use crate::error::{Fault, Outcome};
use crate::handle::Handle;
use crate::transaction::survives;

/// A way to a branch, which a `Bus` is made of.
#[pyclass(frozen, module = "mmsb._core", name = "Handle")]
pub struct Opened {
    pub handle: Arc<Handle>,
}

impl Opened {
    /// The way to a branch of a bus that is open.
    pub fn branch(handle: &Handle, bus: CoreBus) -> Self {
        Opened { handle: handle.branch(bus) }
    }
}

/// Opens the bus in a directory; without a path one in memory.
#[pyfunction]
#[pyo3(signature = (path, mode, durability, budget, threads, arena, busy_timeout, pins, pin_limit))]
#[allow(clippy::too_many_arguments, reason = "what one opening says, handed over by Python's face alone")]
pub fn open(
    py: Python<'_>,
    path: Option<PathBuf>,
    mode: &str,
    durability: &str,
    budget: Option<u64>,
    threads: Option<usize>,
    arena: &str,
    busy_timeout: f64,
    pins: Option<&str>,
    pin_limit: Option<u64>,
) -> Outcome<Opened> {
    let wrong =
        |what: &str, given: &str, can: &str| Fault::invalid(format!("{what} {given:?}: {can} are possible"));
    if let Some(threads) = threads.filter(|&threads| threads > THREADS_MAX) {
        return Err(Fault::invalid(format!("threads {threads}: {THREADS_MAX} are possible at most")));
    }
    let options = Options {
        mode: Mode::from_name(mode).ok_or_else(|| wrong("mode", mode, "'r', 'r+', 'a' and 'x'"))?,
        durability: survives(durability)?,
        budget,
        threads,
        arena: match arena {
            "shared" => ArenaPlace::Shared,
            "directory" => ArenaPlace::Directory,
            other => return Err(wrong("arena", other, "'shared' and 'directory'")),
        },
        busy_timeout: Duration::try_from_secs_f64(busy_timeout)
            .map_err(|_| Fault::invalid(format!("busy_timeout {busy_timeout}: not a time in seconds")))?,
        pins: match pins {
            None => None,
            Some(name) => Some(
                PinPolicy::from_name(name)
                    .ok_or_else(|| wrong("pins", name, "'warn', 'spill' and 'expire'"))?,
            ),
        },
        pin_limit,
        ..Options::default()
    };
    let bus = py.detach(|| match path {
        Some(path) => CoreBus::open(path, &options),
        None => CoreBus::memory(&options),
    })?;
    Ok(Opened { handle: Handle::new(bus) })
}
