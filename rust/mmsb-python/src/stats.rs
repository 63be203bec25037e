//! What a bus holds and has done, as Python sees it.

use mmsb::bus::stats::Stats;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Counts and bytes by their names.
pub fn by_name<'py>(py: Python<'py>, stats: &Stats) -> PyResult<Bound<'py, PyDict>> {
    let counts = [
        ("branches", stats.branches),
        ("pages", stats.pages),
        ("seq", stats.seq.0),
        ("commits", stats.commits),
        ("compacted_chunks", stats.compacted),
        ("hashed_blocks", stats.hashed),
        ("appended_bytes", stats.appended),
        ("log_bytes", stats.log),
        ("synced_bytes", stats.synced),
        ("log_segments", stats.segments),
        ("log_file_bytes", stats.segment_bytes),
        ("syncs", stats.syncs),
        ("checkpoints", stats.checkpoints),
        ("checkpoint_bytes", stats.checkpoint_bytes),
        ("replay_bytes", stats.tail),
        ("unread_pages", stats.unread),
        ("held_bytes", stats.held),
        ("snapshots_let_go", stats.let_go),
        ("memory_bytes", stats.arena.committed),
        ("memory_returned_bytes", stats.arena.given_back),
        ("memory_budget_bytes", stats.arena.budget),
    ];
    let told = PyDict::new(py);
    counts.iter().try_for_each(|(name, count)| told.set_item(name, count))?;
    Ok(told)
}
