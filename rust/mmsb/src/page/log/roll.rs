//! Segments are made ahead, sealed when full, and never used again.

use crate::base::fail;
use crate::base::limits::{LOG_SEGMENT_FIRST, LOG_SEGMENT_MAX};
use crate::memory::disk::{Disk, DiskError, DiskFile, Open};
use crate::page::log::segment::{DIR, path};
use crate::page::log::shared::Shared;
use crate::page::log::writer::Active;
use std::sync::Arc;

/// How a log uses its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Bytes of segment 1; each later one has twice as many.
    pub first_segment: u64,
    /// Most bytes of a segment, unless one frame needs more.
    pub max_segment: u64,
    /// Whether a thread makes segments ahead and syncs sealed ones. Without it the writer does so when it goes on in a
    /// new segment, always in the same order.
    pub background: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { first_segment: LOG_SEGMENT_FIRST, max_segment: LOG_SEGMENT_MAX, background: true }
    }
}

impl LogConfig {
    /// Bytes that a segment with this number is allocated for.
    pub(crate) fn capacity_of(&self, number: u64) -> u64 {
        let doublings = number.saturating_sub(1).min(u64::from(self.first_segment.leading_zeros())) as u32;
        self.first_segment.checked_shl(doublings).unwrap_or(u64::MAX).min(self.max_segment)
    }
}

/// A file made for a segment, without a header yet.
#[derive(Debug)]
pub(crate) struct Spare {
    pub number: u64,
    pub file: Arc<dyn DiskFile>,
    pub capacity: u64,
}

/// Makes the file of a segment, its name durable. A file of that name is left over from a failed attempt.
pub(crate) fn make_segment(
    disk: &dyn Disk,
    number: u64,
    capacity: u64,
) -> Result<Arc<dyn DiskFile>, DiskError> {
    let path = path(number, false);
    if disk.exists(&path) {
        disk.remove(&path)?;
    }
    let file = disk.open(&path, Open::Create)?;
    if let Err(error) = file.allocate(capacity).and_then(|()| disk.sync_dir(DIR)) {
        // What cannot be removed now is removed at the next attempt or open.
        let _ = disk.remove(&path);
        return Err(error);
    }
    Ok(file)
}

/// Writes the footer of the active segment, cuts its file behind it, and lets no more frames in.
pub(crate) fn seal(shared: &Shared, active: &Active, end: u64) -> Result<(), DiskError> {
    let footer = shared.tail().footer();
    active.file.seal();
    if let Some(footer) = footer {
        let at = active.segment.offset(end);
        active.file.write_at(&footer, at)?;
        active.file.trim(at + footer.len() as u64)?;
    }
    active.segment.seal(end);
    fail::at("sealed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_double_up_to_the_most() {
        let config = LogConfig::default();
        assert_eq!([1, 2, 6, 7, 8, u64::MAX].map(|n| config.capacity_of(n) >> 20), [1, 2, 32, 64, 64, 64]);
        let same = LogConfig { first_segment: 5000, max_segment: 5000, background: false };
        assert_eq!([1, 2, 60].map(|n| same.capacity_of(n)), [5000; 3]);
    }
}
