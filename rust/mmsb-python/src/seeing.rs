//! Seeing propagation: what ran in several epochs, how often, and one page at a time.

use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::error::Error;
use mmsb::propagation::counters::Counts;
use pyo3::prelude::*;

use crate::bus::Bus;
use crate::derive::{Told, told};
use crate::error::{Fault, Outcome};
use crate::transaction::{Transaction, current};

/// What ran from one epoch up to and with another, by default in all that are remembered: the epochs in which something
/// did, and their steps.
#[pyfunction]
pub fn _traces(
    py: Python<'_>,
    bus: &Bus,
    since: Option<u64>,
    until: Option<u64>,
) -> Outcome<Vec<(u64, Vec<Told>)>> {
    let (since, until) = (Epoch(since.unwrap_or(0)), Epoch(until.unwrap_or(u64::MAX)));
    let found = bus.handle.long(py, |bus| bus.traces(since, until))?;
    Ok(found.iter().map(|(epoch, steps)| (epoch.0, steps.iter().map(told).collect())).collect())
}

/// Of each page that was looked at since the bus was opened, its id and how often: looked at, ran, equal, looks cut off,
/// raised; rows in and out; nanoseconds.
#[pyfunction]
pub fn _counters(py: Python<'_>, bus: &Bus) -> Outcome<Vec<(u64, [u64; 8])>> {
    let found = bus.handle.long(py, |bus| bus.counters())?;
    let one = |(page, c): (PageId, Counts)| {
        (page.0, [c.looked, c.ran, c.equal, c.cut_off, c.raised, c.rows_in, c.rows_out, c.ns])
    };
    Ok(found.into_iter().map(one).collect())
}

/// Fails where a transaction is open on the branch: what follows from its writes is made when it reads.
#[pyfunction]
pub fn _before_stepping(py: Python<'_>, bus: &Bus) -> Outcome<()> {
    match current(py, &bus.handle)? {
        Some(_) => Err(Fault::Core(Error::WrongTransaction(
            "a transaction is open on this branch: step outside of it",
        ))),
        None => Ok(()),
    }
}

fn stepping<'py>(py: Python<'py>, bus: &Bus) -> Outcome<Bound<'py, Transaction>> {
    current(py, &bus.handle)?
        .ok_or(Fault::Core(Error::WrongTransaction("stepping is over, or was not begun")))
}

/// Has what follows from the writes of the open transaction made by `_step` alone.
#[pyfunction]
pub fn _step_by_step(py: Python<'_>, bus: &Bus) -> Outcome<()> {
    stepping(py, bus)?.get().with(|tx| {
        tx.step_by_step();
        Ok(())
    })
}

/// The ids of the pages that the open transaction will look at next.
#[pyfunction]
pub fn _pending(py: Python<'_>, bus: &Bus) -> Outcome<Vec<u64>> {
    let pages = stepping(py, bus)?.get().catch_up(py, 0, |tx| tx.pending())?;
    Ok(pages.into_iter().map(|page| page.0).collect())
}

/// Has the open transaction look at one page; nothing where all is made.
#[pyfunction]
pub fn _step(py: Python<'_>, bus: &Bus) -> Outcome<Option<Told>> {
    let step = stepping(py, bus)?.get().catch_up(py, 0, |tx| tx.step())?;
    Ok(step.as_ref().map(told))
}
