//! Whose turn it is to change state: of this process's threads one, and of all processes one.
//!
//! A process has the lock that all share for as long as any of its frames is in the log and not shown: whoever comes next
//! finds the log and the memory at the same frame, or the lock of a dead process.

use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::base::fail;
use crate::base::limits::{CLOSE_LOOK, TURN_LOOK};
use crate::base::wait::aside;
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::takeover;
use crate::bus::writer::Writer;
use crate::memory::shared::lock::{Holder, Taken};

/// The one writer of this process, which, for as long as this is there, or frames wait for the disk, is the one of all.
#[derive(Debug)]
pub(crate) struct Turn<'c> {
    core: &'c Core,
    /// Let go of after the lock of all.
    writer: MutexGuard<'c, Writer>,
}

impl Deref for Turn<'_> {
    type Target = Writer;

    #[inline]
    fn deref(&self) -> &Writer {
        &self.writer
    }
}

impl DerefMut for Turn<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Writer {
        &mut self.writer
    }
}

impl Drop for Turn<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.writer.holds {
            if std::thread::panicking() {
                self.leave_as_it_is();
            }
            self.give();
        }
    }
}

impl<'c> Turn<'c> {
    /// The writer of this process alone: to look at what it keeps, or to show what is in the log.
    #[inline]
    pub fn of_this_process(core: &'c Core, writer: MutexGuard<'c, Writer>) -> Self {
        Turn { core, writer }
    }

    /// As one of all processes, waiting so long for the others at most.
    #[inline]
    pub fn of_all(core: &'c Core, writer: MutexGuard<'c, Writer>, timeout: Duration) -> Result<Self, Error> {
        let mut turn = Turn::of_this_process(core, writer);
        if !core.takes_turns {
            return Ok(turn);
        }
        if turn.writer.holds {
            // What waits for the disk is this process's, and others wait until that is over.
            if core.arena.control().lock.0.is_waited_for() {
                turn = turn.give_way(timeout)?;
            }
            if turn.writer.holds {
                return Ok(turn);
            }
        }
        let control = core.arena.control();
        if !core.arena.try_lock() {
            turn.wait(timeout)?;
        }
        turn.writer.holds = true;
        // A tip or a journal's block may lie in a span that came since.
        core.arena.meet()?;
        fail::at("taken");
        let known = control.published.0.load(Ordering::Acquire) == turn.writer.seq
            && control.dirty.0.load(Ordering::Relaxed) == 0
            && turn.writer.log.active_number() == Some(control.segments.0[0].load(Ordering::Relaxed))
            && !control.spans.has_orphans();
        if !known || core.arena.noted() != turn.writer.noted {
            takeover::come_to(core, &mut turn.writer)?;
        }
        Ok(turn)
    }

    #[cold]
    fn wait(&mut self, timeout: Duration) -> Result<(), Error> {
        let core = self.core;
        let taken = match timeout {
            // Whoever is stopped in its turn may be so for ever, and the thread that waits is joined when the bus closes.
            Duration::MAX => loop {
                match aside(|| core.arena.lock(CLOSE_LOOK)) {
                    Err(_) if core.background.is_stopping() => return Err(Error::Closed(core.place())),
                    Err(_) => {}
                    taken => break taken,
                }
            },
            _ => aside(|| core.arena.lock(timeout)),
        };
        match taken {
            Ok(Taken::Free) => Ok(()),
            Ok(Taken::FromDead(_)) => {
                // Said before anything is done about it: this process may die at that as well.
                core.arena.control().dirty.0.store(1, Ordering::Release);
                Ok(())
            }
            Err(Holder { slot, .. }) => {
                let process = core.arena.process_of(slot);
                let by = process.map_or("another process".into(), |process| format!("process {process}"));
                Err(Error::Busy { seconds: timeout.as_secs_f64(), by: format!("{by} is committing") })
            }
        }
    }

    /// Lets what waits for the disk be shown, and others have their turn, before this process goes on.
    #[cold]
    fn give_way(self, timeout: Duration) -> Result<Self, Error> {
        let (core, end) = (self.core, Instant::now().checked_add(timeout));
        drop(self);
        aside(|| {
            loop {
                std::thread::sleep(TURN_LOOK);
                let turn = Turn::of_this_process(core, core.this_writer());
                if !turn.writer.holds {
                    return Ok(turn);
                }
                if end.is_some_and(|end| end <= Instant::now()) {
                    let by = "earlier commits wait for the disk".into();
                    return Err(Error::Busy { seconds: timeout.as_secs_f64(), by });
                }
            }
        })
    }

    /// Gives the lock back, unless frames of this process wait to be shown.
    #[inline]
    fn give(&mut self) {
        if !self.writer.pending.is_empty() || self.writer.unsure {
            self.give_up();
        }
        if self.writer.pending.is_empty() {
            self.writer.holds = false;
            self.core.arena.unlock();
        }
    }

    /// Whoever is next takes what this thread was at for what a dead process was at.
    #[cold]
    fn leave_as_it_is(&mut self) {
        self.writer.pending.clear();
        self.core.arena.control().dirty.0.store(1, Ordering::Release);
    }

    /// Where the log failed, this process never shows what waits: whoever is next finds out what there is of it.
    #[cold]
    fn give_up(&mut self) {
        if self.writer.log.has_failed() {
            self.writer.pending.clear();
            self.core.arena.control().dirty.0.store(1, Ordering::Release);
        }
        self.writer.unsure = false;
    }
}
