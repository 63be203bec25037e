//! The work behind a bus's back: reading in what opening left on disk; a checkpoint whenever it costs little beside the log
//! it spares replaying, or replaying that would take too long; compressing the log that is sealed; and on a bus without a
//! path letting go of the end of history that its budget does not hold; and making pages that are made in an epoch of their
//! own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::base::ids::{BranchId, Epoch};
use crate::base::limits::{CHECKPOINT_LEAST, CHECKPOINT_SHARE};
use crate::bus::core::Core;
use crate::bus::upkeep::checkpoint;
use crate::bus::upkeep::compact;
use crate::bus::upkeep::compact::{Asked, Place};
use crate::bus::upkeep::follower::Follower;
use crate::bus::upkeep::retain;
use crate::bus::upkeep::settle::settle;
use crate::memory::machine::mapping::trim_heap;
use crate::page::checkpoint::error::CheckpointError;
use crate::page::state_error::StateError;

/// How many times as long as it worked the background rests, unless replaying the log would take too long.
const REST: u32 = 9;

/// When the background works, and its thread while a handle is open.
#[derive(Debug)]
pub(crate) struct Background {
    /// Bytes of log behind a checkpoint that must not be exceeded; without, there are only those that are asked for.
    most: Option<u64>,
    /// Bytes of log that are worth a checkpoint at the least.
    least: u64,
    /// Whether what the newest checkpoint makes superfluous goes.
    prunes: bool,
    /// Whether there is something to read in.
    reads: bool,
    /// Position of the log at which there is something to do.
    due: AtomicU64,
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    due: bool,
    /// Position at which a checkpoint cannot wait any longer.
    hard: u64,
    urgent: bool,
    compact: Asked,
    /// Branches that have pages to be made in an epoch of their own.
    settle: Vec<BranchId>,
    /// Whether the last handle was closed, and whether the bus was after it.
    stop: bool,
    closed: bool,
    handles: usize,
    thread: Option<JoinHandle<()>>,
}

impl Work {
    /// Starts the thread. Without one there are only the checkpoints that are asked for.
    fn start(&mut self, core: &Core) {
        let weak = Weak::clone(&core.me);
        self.thread =
            std::thread::Builder::new().name("mmsb-background".into()).spawn(move || run(&weak)).ok();
    }
}

/// What the background does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    Checkpoint,
    Compact(Place),
    Settle(BranchId),
}

impl Background {
    /// A background that makes a checkpoint after `most` bytes of log at the latest, the last one being at `position`, and
    /// as early as after [`CHECKPOINT_LEAST`] where that costs little. One that prunes makes none early. One that reads
    /// begins with what opening left on disk.
    pub fn new(most: Option<u64>, prunes: bool, position: u64, reads: bool) -> Self {
        let least = most.map_or(0, |most| if prunes { most } else { most.min(CHECKPOINT_LEAST) });
        let background = Background {
            most,
            least,
            prunes,
            reads,
            due: AtomicU64::new(u64::MAX),
            work: Mutex::default(),
            changed: Condvar::new(),
        };
        background.checkpointed(position, 0);
        background
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells where the log ends now. Costs a comparison unless there is something to do.
    #[inline]
    pub fn grown(&self, head: u64) {
        if head >= self.due.load(Ordering::Relaxed) {
            self.overdue(head);
        }
    }

    #[cold]
    fn overdue(&self, head: u64) {
        let mut work = self.work();
        work.due = true;
        work.urgent = head >= work.hard;
        self.due.store(if work.urgent { u64::MAX } else { work.hard }, Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// Notes a checkpoint at this position that took so many bytes: the next one is due when the log has grown by twice as
    /// many, so that checkpoints stay below half of the log; and by a share of all of it, so that their number does too.
    pub fn checkpointed(&self, position: u64, bytes: u64) {
        let Some(most) = self.most else { return };
        let worth = bytes.saturating_mul(2).max(position / CHECKPOINT_SHARE).clamp(self.least, most);
        let mut work = self.work();
        work.hard = position.saturating_add(most);
        work.due = false;
        self.due.store(position.saturating_add(worth), Ordering::Relaxed);
    }

    /// A handle was opened: the first one starts the thread. False where the last one was closed already.
    pub fn enter(core: &Arc<Core>) -> bool {
        let this = &core.background;
        let mut work = this.work();
        if work.stop {
            return false;
        }
        work.handles += 1;
        if work.handles == 1 && (this.most.is_some() || this.reads) {
            work.start(core);
        }
        true
    }

    /// A view of a page was scattered into so many pieces: where this goes on, the page is compacted.
    pub fn compact(core: &Arc<Core>, place: Place, version: Epoch, pieces: usize) {
        let this = &core.background;
        let mut work = this.work();
        if work.handles > 0 && work.compact.note(place, version, pieces) {
            if work.thread.is_none() {
                work.start(core);
            }
            this.changed.notify_all();
        }
    }

    /// A commit on a branch left pages to be made in an epoch of their own.
    pub fn settle(core: &Core, branch: BranchId) {
        let this = &core.background;
        let mut work = this.work();
        if work.handles > 0 && !work.settle.contains(&branch) {
            work.settle.push(branch);
            if work.thread.is_none() {
                work.start(core);
            }
            this.changed.notify_all();
        }
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
        Follower::stop(core);
        if let Some(thread) = thread {
            // It panics only where a test of ours would have failed; what is on disk is whole all the same.
            let _ = thread.join();
        }
        core.close();
        this.work().closed = true;
        this.changed.notify_all();
    }

    /// Whether the last handle was closed.
    pub fn is_stopping(&self) -> bool {
        self.work().stop
    }

    /// Waits until the bus is closed, once its last handle was.
    pub fn wait_until_closed(&self) {
        let mut work = self.work();
        while !work.closed {
            work = self.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Rests for so long; false where there will be no more work.
    fn rest(&self, how_long: Duration) -> bool {
        let end = Instant::now() + how_long;
        let mut work = self.work();
        while !work.stop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            work = self.changed.wait_timeout(work, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    /// Waits for work; a checkpoint may begin at `rested` unless it is urgent. `None` where there will be none any more.
    fn wait(&self, rested: Instant) -> Option<Job> {
        let mut work = self.work();
        loop {
            let now = Instant::now();
            if work.stop {
                return None;
            } else if work.due && (work.urgent || now >= rested) {
                (work.due, work.urgent) = (false, false);
                return Some(Job::Checkpoint);
            } else if !work.settle.is_empty() {
                return Some(Job::Settle(work.settle.remove(0)));
            } else if let Some(place) = work.compact.next() {
                return Some(Job::Compact(place));
            }
            work = if work.due {
                let waited = self.changed.wait_timeout(work, rested - now);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                self.changed.wait(work).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }
}

/// Reads in, page by page, what opening left on disk, working half of the time. What keeps it from a page is said to
/// whoever needs that: it goes on with the next one, unless there is no memory.
fn read_in(core: &Core) {
    let mut for_good = true;
    for number in 0..core.lazy.pages() {
        let began = Instant::now();
        match core.lazy.read(&core.arena, number) {
            Err(CheckpointError::State(StateError::Memory(_))) => return,
            Err(error) => for_good &= error.is_damage(),
            Ok(()) => {}
        }
        if !core.background.rest(began.elapsed()) {
            return;
        }
    }
    // What may be read in yet is told of later.
    if for_good {
        core.lazy.tell(&core.checkpoints);
        // Of each page there was something on the heap.
        trim_heap();
    }
}

fn run(core: &Weak<Core>) {
    // The handle whose opening started this thread keeps the core until it has joined it.
    let Some(core) = core.upgrade() else { return };
    if core.background.reads {
        read_in(&core);
    }
    let mut rested = Instant::now();
    while let Some(job) = core.background.wait(rested) {
        match job {
            Job::Compact(place) => {
                compact_page(&core, place);
                continue;
            }
            Job::Settle(branch) => {
                settle_branch(&core, branch);
                continue;
            }
            // Another process does that, for all.
            Job::Checkpoint if !core.sees_to_upkeep() => {
                core.background.checkpointed(core.log.head(), 0);
                continue;
            }
            Job::Checkpoint => {}
        }
        let began = Instant::now();
        let done = checkpoint::make(&core, &mut |_| {}).and_then(|_| {
            if core.background.prunes { retain::prune(&core, 1, &mut |_| {}).map(|_| ()) } else { Ok(()) }
        });
        if done.is_err() {
            // Nothing is lost but time at the next opening; it is tried again when the log has grown as much again.
            core.background.checkpointed(core.log.head(), 0);
        }
        rested = Instant::now() + began.elapsed() * REST;
        compress(&core);
    }
}

/// Makes what commits on a branch put off. What keeps it from that is told to whoever asks; the pages stay behind.
fn settle_branch(core: &Core, branch: BranchId) {
    if let Some(line) = core.line_of(branch) {
        let _ = settle(core, &line, false, Duration::MAX);
    }
}

/// Compacts a page, working half of the time.
fn compact_page(core: &Arc<Core>, place: Place) {
    let (branch, page) = place;
    let copies = core.line_of(branch).and_then(|line| {
        // Where there is no memory for copies, or no page any more, views stay as dear as they were.
        compact::prepare(core, &line, page, &mut |took| core.background.rest(took)).ok().flatten()
    });
    core.background.work().compact.done(place, copies);
}

/// Compresses what of the log is sealed and durable, unless it goes soon anyway.
fn compress(core: &Core) {
    let background = &core.background;
    let Ok(compressor) = core.writer().map(|writer| writer.log.compressor()) else { return };
    // A segment that could not be compressed stays as it is, and is tried again after the next checkpoint.
    while !background.prunes && !background.work().stop && compressor.compress_one().unwrap_or(false) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Where the background is woken first when the log grows byte by byte, and whether that is urgent.
    fn woken(background: &Background) -> (u64, bool) {
        let at = background.due.load(Ordering::Relaxed);
        background.grown(at - 1);
        assert!(!background.work().due, "woken too early");
        background.grown(at);
        let work = background.work();
        assert!(work.due);
        (at, work.urgent)
    }

    #[test]
    fn a_checkpoint_is_due_when_it_costs_little_beside_the_log() {
        let background = Background::new(Some(128 * MIB), false, 0, false);
        assert_eq!(woken(&background), (4 * MIB, false));
        background.checkpointed(4 * MIB, 3 * MIB);
        assert_eq!(woken(&background), (10 * MIB, false));
        background.checkpointed(10 * MIB, 500 * MIB);
        assert_eq!(woken(&background), (138 * MIB, true), "replay is bounded whatever a checkpoint costs");
        background.checkpointed(100 << 30, 0);
        assert_eq!(
            woken(&background),
            ((100 << 30) + 100 * MIB, false),
            "their number grows slower than the log"
        );
    }

    #[test]
    fn one_that_had_to_rest_is_woken_again_when_it_cannot_wait() {
        let background = Background::new(Some(128 * MIB), false, MIB, false);
        assert_eq!(woken(&background), (5 * MIB, false));
        background.work().due = false;
        assert_eq!(woken(&background), (129 * MIB, true));
        background.work().due = false;
        background.grown(u64::MAX - 1);
        assert!(!background.work().due, "once is enough");
    }

    #[test]
    fn history_is_let_go_in_large_pieces_and_nothing_happens_unasked_without_a_limit() {
        assert_eq!(woken(&Background::new(Some(64 * MIB), true, 0, false)), (64 * MIB, true));
        let never = Background::new(None, false, 0, false);
        never.grown(u64::MAX - 1);
        assert!(!never.work().due);
    }
}
