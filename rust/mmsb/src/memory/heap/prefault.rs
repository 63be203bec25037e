//! The background thread that keeps fresh chunks allocated and present ahead of the writer, since the first touch of a page
//! costs thirty times the copying of it; and that gives free ones back which nobody needed for a while.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::base::limits::IDLE;
use crate::memory::heap::chunks::Chunks;

/// The thread of one arena. It starts when it is first needed, sleeps while it is not, and ends with the arena.
#[derive(Debug)]
pub struct Prefault {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Threads do not survive a fork: in the child there is none to wake or to wait for.
    process: u32,
}

#[derive(Debug)]
struct Shared {
    chunks: Arc<Chunks>,
    /// There may be work. Set by the writer, cleared by the thread before it looks.
    wanted: AtomicBool,
    /// No more work, for good: the arena is going, the kernel cannot, or it was never wished.
    over: AtomicBool,
}

impl Prefault {
    /// For `chunks`; not at all unless `on`.
    pub fn new(chunks: Arc<Chunks>, on: bool) -> Prefault {
        let shared = Shared { chunks, wanted: AtomicBool::new(false), over: AtomicBool::new(!on) };
        Prefault { shared: Arc::new(shared), thread: Mutex::new(None), process: std::process::id() }
    }

    /// Says that there is work. Costs a load while the thread is at it already.
    pub fn wake(&self) {
        if self.shared.over.load(Ordering::Relaxed) || self.shared.wanted.swap(true, Ordering::AcqRel) {
            return;
        }
        if self.process != std::process::id() {
            self.shared.over.store(true, Ordering::Relaxed);
            return;
        }
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        match &*thread {
            Some(thread) => thread.thread().unpark(),
            None => {
                let shared = Arc::clone(&self.shared);
                let started = thread::Builder::new().name("mmsb-prefault".into()).spawn(move || shared.run());
                // Without it the writer takes its own faults.
                self.shared.over.store(started.is_err(), Ordering::Relaxed);
                *thread = started.ok();
            }
        }
    }

    /// Ends the thread, and waits until it has: no more memory of the arena is given back or made ready.
    pub fn stop(&self) {
        self.shared.over.store(true, Ordering::Release);
        // In a forked child there is no thread, and its parent's may have had the lock.
        if self.process != std::process::id() {
            return;
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }

    /// Whether nothing is left to do. For tests and measurements, which want a quiet machine.
    pub fn idle(&self) -> bool {
        !self.shared.wanted.load(Ordering::Acquire) || self.shared.over.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn run(&self) {
        // When to look for what can go back.
        let mut look = None;
        while !self.over.load(Ordering::Acquire) {
            // Cleared after the work and looked at again, so that `wanted` also means "at work".
            while let Some(ahead) = self.chunks.ahead() {
                if self.over.load(Ordering::Acquire) {
                    return;
                }
                if !self.chunks.work(&ahead) {
                    break;
                }
            }
            self.wanted.store(false, Ordering::Release);
            while !self.wanted.load(Ordering::Acquire) && !self.over.load(Ordering::Acquire) {
                if !self.chunks.give_back() {
                    self.wait(&mut look);
                }
            }
        }
    }

    /// Sleeps until somebody wakes this thread, or until it is time to look at what is free.
    fn wait(&self, look: &mut Option<Instant>) {
        if !self.chunks.is_watched() {
            *look = None;
            return thread::park();
        }
        let left =
            look.get_or_insert_with(|| Instant::now() + IDLE).saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.chunks.find_surplus();
            *look = None;
        } else {
            thread::park_timeout(left);
        }
    }
}

impl Drop for Prefault {
    fn drop(&mut self) {
        self.stop();
    }
}
