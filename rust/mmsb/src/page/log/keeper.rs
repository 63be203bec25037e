//! The work behind the writer's back: the next segment made ahead, the bytes to come of this one made ready, sealed
//! segments made durable.

use crate::base::limits::LOG_SEGMENT_LEAST;
use crate::memory::disk::{DiskError, DiskFile};
use crate::page::log::error::LogError;
use crate::page::log::follow::Follow;
use crate::page::log::roll::{LogConfig, Spare, make_segment};
use crate::page::log::segment::{DIR, path};
use crate::page::log::shared::{Shared, lock};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Keeps one segment in reserve and the sealed ones synced, on a thread of its own if the configuration says so.
#[derive(Debug)]
pub(crate) struct Keeper {
    room: Arc<Room>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Room {
    shared: Arc<Shared>,
    config: LogConfig,
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    /// Number of the segment to make next.
    next: u64,
    spare: Option<Spare>,
    making: bool,
    want_spare: bool,
    /// A file, up to where it is appended to, and the bytes of it that will be soon.
    want_ready: Option<(Arc<dyn DiskFile>, u64, Range<u64>)>,
    want_tidy: bool,
    stop: bool,
}

impl Keeper {
    pub fn new(shared: Arc<Shared>, config: LogConfig, next: u64) -> Self {
        let work = Work { next, ..Work::default() };
        let room = Arc::new(Room { shared, config, work: Mutex::new(work), changed: Condvar::new() });
        let thread = config.background.then(|| {
            let room = Arc::clone(&room);
            // Without a thread the writer does the work itself.
            std::thread::Builder::new().name("mmsb-log".to_owned()).spawn(move || room.run()).ok()
        });
        Self { room, thread: thread.flatten() }
    }

    /// A segment to go on in: the one made ahead, or one made now.
    pub fn take_spare(&self) -> Result<Spare, DiskError> {
        let mut work = lock(&self.room.work);
        work.want_spare = false;
        while work.making {
            work = self.room.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
        let after = self.room.shared.segments().last().map_or(0, |last| last.header.number);
        match work.spare.take() {
            Some(spare) if spare.number > after => Ok(spare),
            old => {
                // Another process has gone on since it was made.
                if let Some(old) = old {
                    self.room.shared.disk.remove(&path(old.number, false))?;
                }
                let number = self.room.number(&mut work);
                self.room.make(number)
            }
        }
    }

    /// The highest number of a segment that was made here.
    pub fn last_number(&self) -> u64 {
        lock(&self.room.work).next - 1
    }

    /// Keeps a spare that could not be used.
    pub fn give_back(&self, spare: Spare) {
        lock(&self.room.work).spare = Some(spare);
    }

    /// The next segment will be needed soon.
    pub fn want_spare(&self) {
        if self.thread.is_some() {
            lock(&self.room.work).want_spare = true;
            self.room.changed.notify_all();
        }
    }

    /// The file is appended to up to here, and these bytes of it will be soon.
    pub fn want_ready(&self, file: &Arc<dyn DiskFile>, appended: u64, bytes: Range<u64>) {
        if self.thread.is_some() {
            lock(&self.room.work).want_ready = Some((Arc::clone(file), appended, bytes));
            self.room.changed.notify_all();
        }
    }

    /// A segment was sealed.
    pub fn rolled(&self) -> Result<(), LogError> {
        if self.thread.is_none() {
            return self.room.shared.tidy();
        }
        lock(&self.room.work).want_tidy = true;
        self.room.changed.notify_all();
        Ok(())
    }

    fn stop(&mut self) {
        lock(&self.room.work).stop = true;
        self.room.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It panics only where the process is lost anyway.
            let _ = thread.join();
        }
    }

    /// Finishes the work and removes the spare.
    pub fn close(mut self) -> Result<(), LogError> {
        self.stop();
        if self.remove_spare()? {
            self.room.shared.disk.sync_dir(DIR)?;
        }
        Ok(())
    }

    /// Leaves the work and removes the spare; where it cannot, the next opening does.
    pub fn leave(mut self) {
        self.stop();
        let _ = self.remove_spare();
    }

    /// Whether there was one.
    fn remove_spare(&self) -> Result<bool, DiskError> {
        let Some(spare) = lock(&self.room.work).spare.take() else { return Ok(false) };
        self.room.shared.disk.remove(&path(spare.number, false))?;
        Ok(true)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Room {
    /// A number for a segment, which no other has.
    fn number(&self, work: &mut Work) -> u64 {
        match self.shared.follow.get().and_then(Follow::next_number) {
            Some(number) => number,
            None => {
                work.next += 1;
                work.next - 1
            }
        }
    }

    /// A segment as large as it should be, or as the disk has room for.
    fn make(&self, number: u64) -> Result<Spare, DiskError> {
        let mut capacity = self.config.capacity_of(number);
        loop {
            match make_segment(&*self.shared.disk, number, capacity) {
                Err(DiskError::Full { .. }) if capacity / 2 >= LOG_SEGMENT_LEAST => capacity /= 2,
                made => {
                    let file = made?;
                    if let Some(follow) = self.shared.follow.get() {
                        // Whoever finds it when this process is gone knows that nobody needs it.
                        file.append(0, &[&follow.mark()])?;
                    }
                    return Ok(Spare { number, file, capacity });
                }
            }
        }
    }

    fn run(&self) {
        let mut work = lock(&self.work);
        while !work.stop {
            if let Some((file, appended, bytes)) = work.want_ready.take() {
                drop(work);
                file.make_ready(appended, bytes.start, bytes.end);
                work = lock(&self.work);
            } else if std::mem::take(&mut work.want_spare) && work.spare.is_none() {
                work.making = true;
                let number = self.number(&mut work);
                drop(work);
                let spare = self.make(number);
                work = lock(&self.work);
                work.making = false;
                // A failure is the writer's to report, when it tries itself.
                if let Ok(spare) = spare {
                    work.spare = Some(spare);
                }
                self.changed.notify_all();
            } else if std::mem::take(&mut work.want_tidy) {
                drop(work);
                // A failure poisons the log, which is how the writer learns of it.
                let _ = self.shared.tidy();
                work = lock(&self.work);
            } else {
                work = self.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl Shared {
    /// Makes sealed segments durable, and the superblock say so: from then on their footers are believed.
    pub(crate) fn tidy(&self) -> Result<(), LogError> {
        let mut covered = 0;
        for segment in self.segments().iter() {
            let Some(end) = segment.end() else { continue };
            if segment.file().is_some() {
                self.sync_through(end, Some(end))?;
                // Once more for a footer written after the frames were synced.
                self.sync_segment(segment).map_err(|cause| {
                    self.poison_unsynced(&cause);
                    LogError::Disk(cause)
                })?;
            }
            covered = end;
        }
        if self.superblock().now().synced < covered {
            self.write_superblock(|file| file.write(|now| now.synced = now.synced.max(covered)))?;
        }
        Ok(())
    }
}
