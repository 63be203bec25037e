//! Wall time in UTC nanoseconds: the system's, and one a test turns by hand. Wall time is metadata, never state.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a frame's time comes from.
pub trait Clock: Send + Sync + Debug {
    /// Nanoseconds since 1970-01-01 UTC; 0 before that. May stand still or go back.
    fn now_ns(&self) -> u64;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ns(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// A clock that shows what it was set to.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `now` (UTC nanoseconds).
    #[must_use]
    pub const fn new(now: u64) -> Self {
        Self { now: AtomicU64::new(now) }
    }

    /// Shows `now` from here on; it may be earlier.
    pub fn set(&self, now: u64) {
        self.now.store(now, Ordering::Relaxed);
    }

    /// Moves on by `ns`.
    pub fn advance(&self, ns: u64) {
        self.now.fetch_add(ns, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now_ns(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_is_past_2020() {
        assert!(SystemClock.now_ns() > 1_577_836_800_000_000_000);
    }

    #[test]
    fn a_manual_clock_shows_what_it_was_set_to() {
        let clock = ManualClock::new(5);
        clock.advance(2);
        assert_eq!(clock.now_ns(), 7);
        clock.set(1);
        assert_eq!(clock.now_ns(), 1);
    }
}
