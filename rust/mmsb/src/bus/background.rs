//! The work behind a bus's back: a checkpoint whenever replaying the log's tail would take too long, and on a bus without
//! a path the end of history that its budget does not hold.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use crate::bus::core::Core;
use crate::bus::{checkpoint, retain};

/// When the background works, and its thread while a handle is open.
#[derive(Debug)]
pub(crate) struct Background {
    /// Bytes of log behind a checkpoint that are worth another one.
    after: Option<u64>,
    /// Whether what the newest checkpoint makes superfluous goes.
    prunes: bool,
    /// Position of the log at which the next checkpoint is due.
    due: AtomicU64,
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    due: bool,
    /// Whether the last handle was closed, and whether the bus was after it.
    stop: bool,
    closed: bool,
    handles: usize,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// A background that makes a checkpoint after so many bytes of log, the last one being at `position`.
    pub fn new(after: Option<u64>, prunes: bool, position: u64) -> Self {
        let due = after.map_or(u64::MAX, |after| position.saturating_add(after));
        Background {
            after,
            prunes,
            due: AtomicU64::new(due),
            work: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Tells where the log ends now. Costs a comparison unless there is something to do.
    #[inline]
    pub fn grown(&self, head: u64) {
        if head >= self.due.load(Ordering::Relaxed) {
            self.due.store(u64::MAX, Ordering::Relaxed);
            self.work().due = true;
            self.changed.notify_all();
        }
    }

    /// Notes a checkpoint at this position.
    pub fn checkpointed(&self, position: u64) {
        if let Some(after) = self.after {
            self.due.store(position.saturating_add(after), Ordering::Relaxed);
        }
    }

    /// A handle was opened: the first one starts the thread. False where the last one was closed already.
    pub fn enter(core: &Arc<Core>) -> bool {
        let this = &core.background;
        let mut work = this.work();
        if work.stop {
            return false;
        }
        work.handles += 1;
        if work.handles == 1 && this.after.is_some() {
            let weak = Arc::downgrade(core);
            // Without a thread there are only the checkpoints that are asked for.
            work.thread =
                std::thread::Builder::new().name("mmsb-checkpoint".into()).spawn(move || run(&weak)).ok();
        }
        true
    }

    /// A handle was closed: the last one stops the thread, waits for it, and closes the bus.
    pub fn leave(core: &Core) {
        let this = &core.background;
        let thread = {
            let mut work = this.work();
            work.handles -= 1;
            if work.handles > 0 {
                return;
            }
            work.stop = true;
            work.thread.take()
        };
        this.changed.notify_all();
        if let Some(thread) = thread {
            // It panics only where a test of ours would have failed; what is on disk is whole all the same.
            let _ = thread.join();
        }
        core.close();
        this.work().closed = true;
        this.changed.notify_all();
    }

    /// Waits until the bus is closed, once its last handle was.
    pub fn wait_until_closed(&self) {
        let mut work = self.work();
        while !work.closed {
            work = self.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for work; false where there will be none any more.
    fn wait(&self) -> bool {
        let mut work = self.work();
        loop {
            if work.stop {
                return false;
            }
            if std::mem::take(&mut work.due) {
                return true;
            }
            work = self.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn run(core: &Weak<Core>) {
    // The handle whose opening started this thread keeps the core until it has joined it.
    let Some(core) = core.upgrade() else { return };
    while core.background.wait() {
        let mut position = core.log.head();
        let done = checkpoint::make(&core, &mut |_| {})
            .and_then(|_| if core.background.prunes { retain::prune(&core, 1).map(|_| ()) } else { Ok(()) });
        if done.is_err() {
            // Nothing is lost but time at the next opening; it is tried again when the log has grown as much again.
            position = core.log.head();
        }
        core.background.checkpointed(position);
    }
}
