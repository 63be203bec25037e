//! Seeing propagation: what ran in several epochs.

use mmsb::base::ids::Epoch;
use pyo3::prelude::*;

use crate::bus::Bus;
use crate::derive::{Told, told};
use crate::error::Outcome;

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
