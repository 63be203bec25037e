//! Verifying a bus that nobody has open, and making one readable again; who has one open.

use std::path::PathBuf;

use mmsb::bus::holders::ProcessInfo;
use mmsb::bus::upkeep::doctor::doctor as examine;
use mmsb::bus::upkeep::verify::{Report, verify as check};
use pyo3::prelude::*;

use crate::bus::Bus;
use crate::error::Outcome;
use crate::progress::Told;

/// Process id, whether it writes, is this one, and commits now, and bytes of memory.
type Open = (u32, bool, bool, bool, u64);

/// Whether all is well, what is wrong, and the frames, segments, checkpoints and bytes read.
type Found = (bool, Vec<String>, u64, u64, u64, u64);

fn found(report: Report) -> Found {
    (report.ok, report.findings, report.frames, report.segments, report.checkpoints, report.bytes)
}

/// Reads every frame, footer, checkpoint and image of the bus in a directory; changes nothing.
#[pyfunction]
pub fn _verify(py: Python<'_>, path: PathBuf, progress: Option<Bound<'_, PyAny>>) -> Outcome<Found> {
    let mut told = Told::new(progress);
    let report = py.detach(|| check(&path, &mut |bytes| told.tell(bytes)))?;
    told.end()?;
    Ok(found(report))
}

/// Verifies, and with `salvage` makes a damaged bus open again: what was found, and what was done.
#[pyfunction]
pub fn _doctor(
    py: Python<'_>,
    path: PathBuf,
    salvage: bool,
    progress: Option<Bound<'_, PyAny>>,
) -> Outcome<(Found, Vec<String>)> {
    let mut told = Told::new(progress);
    let diagnosis = py.detach(|| examine(&path, salvage, &mut |bytes| told.tell(bytes)))?;
    told.end()?;
    Ok((found(diagnosis.report), diagnosis.done))
}

/// Everybody who has the bus open.
#[pyfunction]
pub fn _processes(py: Python<'_>, bus: &Bus) -> Outcome<Vec<Open>> {
    let found = bus.handle.long(py, mmsb::bus::handle::Bus::processes)?;
    let plain = |of: ProcessInfo| (of.process, of.writes, of.is_this, of.commits, of.bytes);
    Ok(found.into_iter().map(plain).collect())
}
