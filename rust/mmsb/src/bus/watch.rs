//! Waiting for commits, also of other processes: whoever waits says so in shared memory and sleeps until it is told.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use crate::memory::arena::Arena;
use crate::memory::control::Control;
use crate::memory::machine::futex;

/// In the word that is slept on: somebody does.
const WATCHED: u64 = 1;

/// Tells those who wait that something was committed.
#[derive(Debug)]
pub(crate) struct Watch {
    arena: Arc<Arena>,
}

impl Watch {
    pub fn new(arena: &Arc<Arena>) -> Self {
        Watch { arena: Arc::clone(arena) }
    }

    fn control(&self) -> &Control {
        self.arena.control()
    }

    /// Wakes those who wait, once a frame is visible. Costs a load where nobody does.
    pub fn tell(&self) {
        let watched = &self.control().watched.0;
        // Of this and the one in `wait` one comes first: either this sees who waits, or that one sees the frame.
        fence(Ordering::SeqCst);
        if watched.load(Ordering::Relaxed) != 0 && watched.swap(0, Ordering::AcqRel) != 0 {
            futex::wake(watched, u32::MAX >> 1);
        }
    }

    /// The newest visible frame.
    pub fn newest(&self) -> u64 {
        self.control().published.0.load(Ordering::Acquire)
    }

    /// Wakes those who wait, for them to look at what they wait for beside a frame.
    pub fn wake(&self) {
        let watched = &self.control().watched.0;
        watched.store(0, Ordering::SeqCst);
        futex::wake(watched, u32::MAX >> 1);
    }

    /// Waits until a frame behind `seen` is visible, or for as long as given; the newest visible one.
    pub fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        self.wait_unless(seen, timeout, || false)
    }

    /// As [`Watch::wait`], unless something is over, of which who waits is told by [`Watch::wake`].
    pub fn wait_unless(&self, seen: u64, timeout: Duration, is_over: impl Fn() -> bool) -> u64 {
        let (end, watched) = (Instant::now().checked_add(timeout), &self.control().watched.0);
        loop {
            let left = end.map_or(timeout, |end| end.saturating_duration_since(Instant::now()));
            // Said before it is looked at. Whoever tells takes it back, so that it is said anew each time.
            watched.store(WATCHED, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            let newest = self.newest();
            if newest > seen || left.is_zero() || is_over() {
                return newest;
            }
            futex::sleep(watched, WATCHED as u32, left);
        }
    }
}
