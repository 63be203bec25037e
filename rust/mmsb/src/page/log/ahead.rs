//! How much of the log to come is made ready ahead of the writer: as much as it wrote since somebody waited for the disk.
//!
//! What is made ready is dirty, so the next sync writes it, and is to be touched again after that. Where every commit waits
//! for the disk nothing is made ready; else a sync never writes more of it than of frames.

use std::ops::Range;

use crate::base::limits::{LOG_READY_LEAST, LOG_READY_MOST};

/// What of the active segment is ready, and how much should be.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    /// Bytes appended since somebody waited for the disk.
    unawaited: u64,
    /// Position up to which bytes were made ready, or are about to be.
    ready: u64,
}

impl Ahead {
    /// Notes a frame of `bytes` up to `end`, which somebody `waits` to be on the disk: the positions to be made ready now,
    /// if any, far enough ahead that there are some left meanwhile.
    pub fn appended(&mut self, end: u64, bytes: u64, waits: bool) -> Option<Range<u64>> {
        self.unawaited = if waits { 0 } else { self.unawaited + bytes };
        let window = self.unawaited.min(LOG_READY_MOST);
        if window < LOG_READY_LEAST || end + window / 2 <= self.ready {
            return None;
        }
        let from = self.ready.max(end);
        self.ready = end + window;
        Some(from..self.ready)
    }

    /// Notes that the log goes on in another file at this position.
    pub fn moved(&mut self, start: u64) {
        self.ready = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appends frames of 512 bytes; what is made ready, and how many times.
    fn run(ahead: &mut Ahead, positions: Range<u64>, waits: impl Fn(u64) -> bool) -> (u64, usize) {
        let (mut bytes, mut times) = (0, 0);
        for end in (positions.start + 512..=positions.end).step_by(512) {
            if let Some(made) = ahead.appended(end, 512, waits(end)) {
                assert!(made.start >= end, "what is written already is made ready");
                bytes += made.end - made.start;
                times += 1;
            }
        }
        (bytes, times)
    }

    #[test]
    fn a_writer_that_waits_for_no_disk_finds_the_log_ready_and_asks_seldom() {
        let mut ahead = Ahead::default();
        let (bytes, times) = run(&mut ahead, 0..64 << 20, |_| false);
        assert!((64 << 20..80 << 20).contains(&(bytes + LOG_READY_LEAST)), "{bytes} made ready of 64 MiB");
        assert!(times < 32, "asked {times} times");
        assert!(ahead.ready >= 64 << 20);
    }

    #[test]
    fn nothing_is_made_ready_where_the_disk_is_waited_for() {
        assert_eq!(run(&mut Ahead::default(), 0..64 << 20, |_| true), (0, 0));
        // Every 48 KiB somebody waits: less than is worth the trouble.
        assert_eq!(run(&mut Ahead::default(), 0..64 << 20, |end| end % (48 << 10) == 0), (0, 0));
    }

    #[test]
    fn a_sync_writes_no_more_of_it_than_of_frames() {
        let (mut ahead, wait) = (Ahead::default(), |end: u64| end.is_multiple_of(1 << 20));
        for mib in 0..16 {
            run(&mut ahead, mib << 20..(mib + 1) << 20, wait);
            assert!(ahead.ready <= (mib + 2) << 20);
        }
    }

    #[test]
    fn another_file_is_made_ready_from_its_start() {
        let mut ahead = Ahead::default();
        run(&mut ahead, 0..1 << 20, |_| false);
        ahead.moved(1 << 20);
        assert_eq!(ahead.appended((1 << 20) + 512, 512, false).map(|made| made.start), Some((1 << 20) + 512));
    }
}
