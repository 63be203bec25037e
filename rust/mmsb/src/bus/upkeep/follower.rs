//! Making, as soon as another process has committed, the pages that it left behind because their functions are this one's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::base::ids::{BranchId, Seq};
use crate::base::limits::FOLLOW_LOOK;
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::upkeep::settle::settle;
use crate::page::body::{self, Glance, Record};
use crate::propagation::run::BEHIND;

/// The thread that waits for commits of others, once this process has functions.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    thread: Mutex<Option<JoinHandle<()>>>,
    started: AtomicBool,
    stop: AtomicBool,
    /// The frames of this process that it has not passed.
    own: Mutex<Vec<Seq>>,
}

impl Follower {
    /// Starts the thread, where others commit as well and it is not there. Without one, pages that others leave behind are made
    /// with the next commit here.
    pub fn start(core: &Core) {
        let this = &core.follower;
        if !core.takes_turns || this.started.swap(true, Ordering::AcqRel) {
            return;
        }
        // From here on, however late the thread is.
        let (weak, from) = (Weak::clone(&core.me), (core.watch.newest(), core.log.head()));
        let thread = std::thread::Builder::new().name("mmsb-follower".into()).spawn(move || run(&weak, from));
        *this.thread.lock().unwrap_or_else(PoisonError::into_inner) = thread.ok();
    }

    /// A frame is this process's own, and about to be shown: what is behind after it is so on purpose.
    #[inline]
    pub fn is_own(&self, seq: Seq) {
        if self.started.load(Ordering::Relaxed) {
            self.own.lock().unwrap_or_else(PoisonError::into_inner).push(seq);
        }
    }

    /// Stops it, and waits until it has.
    pub fn stop(core: &Core) {
        let this = &core.follower;
        this.stop.store(true, Ordering::Release);
        let thread = this.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            core.watch.wake();
            // It panics only where a test of ours would have failed.
            let _ = thread.join();
        }
    }
}

fn run(core: &Weak<Core>, (mut seen, mut position): (u64, u64)) {
    // The handle whose commit started this thread keeps the core until it has joined it.
    let Some(core) = core.upgrade() else { return };
    let stopped = || core.follower.stop.load(Ordering::Acquire);
    while !stopped() {
        // Whoever dies between showing a frame and telling of it tells nobody.
        seen = core.watch.wait_unless(seen, FOLLOW_LOOK, stopped);
        let to = core.log.head();
        // What cannot be read now is told by whoever reads it; the pages stay behind until the next commit here.
        for branch in left_behind(&core, position, to).unwrap_or_default() {
            if let Some(line) = core.line_of(branch).filter(|_| !stopped()) {
                let _ = settle(&core, &line, true, Duration::MAX);
            }
        }
        position = to;
    }
}

/// The branches on which frames of others left pages behind.
fn left_behind(core: &Core, from: u64, to: u64) -> Result<Vec<BranchId>, Error> {
    let (mut found, mut frames) = (Vec::new(), core.log.clone().frames(from, to));
    // In the order of the log, as the frames are.
    let own = std::mem::take(&mut *core.follower.own.lock().unwrap_or_else(PoisonError::into_inner));
    let (mut own, mut last) = (own.into_iter().peekable(), Seq(0));
    while let Some((head, body)) = frames.next_frame()? {
        last = head.seq;
        while own.next_if(|seq| *seq < head.seq).is_some() {}
        if own.next_if_eq(&head.seq).is_some() || found.contains(&head.branch) {
            continue;
        }
        for record in body::glances(body) {
            if let Glance::Other(Record::Marks(_, marks)) = record?
                && marks & BEHIND != 0
            {
                found.push(head.branch);
                break;
            }
        }
    }
    // Those to come were made meanwhile.
    let mut later: Vec<Seq> = own.filter(|seq| *seq > last).collect();
    let mut now = core.follower.own.lock().unwrap_or_else(PoisonError::into_inner);
    later.append(&mut now);
    *now = later;
    Ok(found)
}
