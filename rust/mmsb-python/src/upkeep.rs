//! Verifying a bus that nobody has open, and making one readable again; who has one open.

use std::path::PathBuf;

use mmsb::bus::holders::{PinInfo, ProcessInfo};
use mmsb::bus::upkeep::doctor::doctor as examine;
use mmsb::bus::upkeep::verify::{Report, verify as check};
use pyo3::prelude::*;

use crate::bus::Bus;
use crate::error::Outcome;
use crate::progress::Told;

/// Frame, page id (0 for all pages), process, branch and epoch, time, waiting bytes, and whether it may be let go of.
type Pinned = (u64, u64, u64, Option<(String, u64)>, Option<u64>, u64, bool);

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

fn plain(pin: PinInfo) -> Pinned {
    let of = pin.of.map(|(branch, epoch)| (branch, epoch.0));
    (pin.seq.0, pin.page.0, pin.process, of, pin.time, pin.bytes, pin.leased)
}

/// Warns of pins that cost more than they may. A filter that makes errors of warnings makes one that nobody catches: what was
/// called is done.
#[cold]
pub fn warn(py: Python<'_>, bus: &mmsb::bus::handle::Bus) {
    for pin in py.detach(|| bus.dear_pins()) {
        let said = (|| py.import("mmsb.keep")?.call_method1("_warn", plain(pin)))();
        if let Err(error) = said {
            error.write_unraisable(py, None);
        }
    }
}

/// Everything that is held.
#[pyfunction]
pub fn _pins(py: Python<'_>, bus: &Bus) -> Outcome<Vec<Pinned>> {
    let pins = bus.handle.long(py, mmsb::bus::handle::Bus::pins)?;
    Ok(pins.into_iter().map(plain).collect())
}

/// Everybody who has the bus open.
#[pyfunction]
pub fn _processes(py: Python<'_>, bus: &Bus) -> Outcome<Vec<Open>> {
    let found = bus.handle.long(py, mmsb::bus::handle::Bus::processes)?;
    let plain = |of: ProcessInfo| (of.process, of.writes, of.is_this, of.commits, of.bytes);
    Ok(found.into_iter().map(plain).collect())
}
