//! Waiting for commits, within the process.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::base::ids::Seq;

/// Tells those who wait that something was committed.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    newest: AtomicU64,
    waiting: AtomicUsize,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Watch {
    /// Notes that the frame `seq` is visible. Costs a store where nobody waits.
    pub fn tell(&self, seq: Seq) {
        self.newest.fetch_max(seq.0, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.changed.notify_all();
        }
    }

    /// The newest visible frame this process knows of.
    pub fn newest(&self) -> u64 {
        self.newest.load(Ordering::SeqCst)
    }

    /// Waits until a frame behind `seen` is visible, or for as long as given; the newest visible one.
    pub fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let end = Instant::now() + timeout;
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let newest = self.newest();
            let left = end.saturating_duration_since(Instant::now());
            if newest > seen || left.is_zero() {
                drop(guard);
                self.waiting.fetch_sub(1, Ordering::SeqCst);
                return newest;
            }
            guard = self.changed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
