//! Following a log that other processes write as well: taking in the frames they have added, and going on behind them.

use crate::base::ids::Seq;
use crate::memory::disk::{DiskError, DiskFile, Open};
use crate::page::log::error::LogError;
use crate::page::log::frame::{FrameHead, Notes};
use crate::page::log::repair::look;
use crate::page::log::scan::Window;
use crate::page::log::segment::{DIR, FileKind, Segment, path};
use crate::page::log::shared::{Shared, lock};
use crate::page::log::survey::Survey;
use crate::page::log::tail::Tail;
use crate::page::log::writer::{Active, Log};
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// What a segment begins with that was made ahead; the number of its process follows.
const SPARE: [u8; 8] = *b"mmsbspr\x01";

/// Bytes read at once, where few frames have come, and where many have.
const FEW: usize = 4 << 10;
const MANY: usize = 64 << 10;
/// Frames that are few.
const FRAMES: u64 = 8;

/// What the processes of one log know of it together.
pub trait Together: Send + Sync {
    /// The newest frame that readers see.
    fn newest(&self) -> Seq;
    /// A number for a segment, which no other has.
    fn next_number(&self) -> u64;
    /// The number of the segment that is written to.
    fn active(&self) -> u64;
    /// Sets that, for whoever writes.
    fn set_active(&self, number: u64);
    /// The number of this process among those that live.
    fn me(&self) -> u64;
    /// Whether no process of a number lives.
    fn is_gone(&self, number: u64) -> bool;
}

/// How a log is followed.
pub(crate) struct Follow {
    together: Box<dyn Together>,
    describe: fn(&FrameHead, &[u8]) -> Notes,
    /// The last frame that was taken in, held by whoever takes in more.
    taken: Mutex<Option<FrameHead>>,
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Follow {
    /// A number for a segment, where others make some too.
    pub fn next_number(&self) -> Option<u64> {
        Some(self.together.next_number())
    }

    /// What a segment begins with that this process has made ahead, and that has no header yet.
    pub fn mark(&self) -> [u8; 16] {
        let mut mark = [0; 16];
        mark[..8].copy_from_slice(&SPARE);
        mark[8..].copy_from_slice(&self.together.me().to_le_bytes());
        mark
    }

    /// The log goes on in another segment.
    pub fn set_active(&self, number: u64) {
        self.together.set_active(number);
    }
}

/// Up to where frames are taken in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The newest one that readers see.
    Newest,
    /// The last one that is whole.
    End,
}

impl Log {
    /// Has this log follow what other processes add to it: its readers find all frames that are to be seen.
    pub fn follow(&self, together: impl Together + 'static, describe: fn(&FrameHead, &[u8]) -> Notes) {
        self.shared.newest.store(self.last().map_or(0, |last| last.seq.0), Ordering::Release);
        let (together, taken) = (Box::new(together), Mutex::default());
        let _ = self.shared.follow.set(Follow { together, describe, taken });
    }

    /// Goes on behind what other processes have added. For whoever alone may append until somebody else goes on.
    ///
    /// # Errors
    /// What they added cannot be read, or the segment they wrote to not be opened.
    pub fn go_on_behind(&mut self) -> Result<(), LogError> {
        self.shared.may_write()?;
        self.take_in(Until::Newest)?;
        self.open_active()
    }

    /// As [`Log::go_on_behind`], where who wrote last died at it: behind all frames that are whole, in a new segment unless that
    /// is there.
    pub fn go_on_behind_dead(&mut self, is_new: bool) -> Result<(), LogError> {
        self.shared.may_write()?;
        self.take_in(Until::End)?;
        self.open_active()?;
        if is_new { Ok(()) } else { self.roll_on() }
    }

    /// Removes segments that processes had made ahead which are gone, and those that the one before this one had made of the
    /// same number, where this process is `new`.
    ///
    /// # Errors
    /// A file cannot be read or removed.
    pub fn remove_spares(&self, new: bool) -> Result<(), LogError> {
        let Some(Follow { together, .. }) = self.shared.follow.get() else { return Ok(()) };
        let (disk, segments) = (&*self.shared.disk, self.shared.segments());
        let known =
            |number: u64| segments.binary_search_by_key(&number, |segment| segment.header.number).is_ok();
        for name in disk.list(DIR)? {
            let FileKind::Plain(number) = FileKind::of(&name) else { continue };
            if known(number) {
                continue;
            }
            let path = path(number, false);
            let mut mark = [0; 16];
            let read = match disk.open(&path, Open::Read) {
                Err(DiskError::NotFound { .. }) => continue,
                file => file?.read_full_at(&mut mark, 0)?,
            };
            let Some((&SPARE, maker)) = mark[..read].split_first_chunk() else { continue };
            let maker = u64::from_le_bytes(maker.try_into().unwrap_or_default());
            if together.is_gone(maker) || new && maker == together.me() {
                disk.remove(&path)?;
            }
        }
        Ok(())
    }

    fn take_in(&mut self, until: Until) -> Result<(), LogError> {
        let Some(follow) = self.shared.follow.get() else { return Ok(()) };
        let mut taken = lock(&follow.taken);
        self.shared.take_in(follow, &mut taken, until)?;
        if self.shared.is_astray(follow, until) {
            drop(taken);
            return self.look_again(until);
        }
        let newest = taken.filter(|taken| self.last().is_none_or(|last| last.seq < taken.seq));
        drop(taken);
        let tail = self.shared.tail();
        let (crc, sizes) = (tail.crc(), tail.sizes());
        drop(tail);
        self.stand_at(newest, crc, sizes);
        Ok(())
    }

    /// Looks at all of the log anew: what led from what is known here to what there is now was pruned meanwhile.
    #[cold]
    fn look_again(&mut self, until: Until) -> Result<(), LogError> {
        let shared = Arc::clone(&self.shared);
        let Some(follow) = shared.follow.get() else { return Ok(()) };
        let _taken = lock(&follow.taken);
        let (found, _) = look(&shared.disk, &follow.describe)?;
        let (segments, head) = (found.shared.segments(), found.shared.head());
        let tail = std::mem::take(&mut *found.shared.tail());
        let (crc, sizes) = (tail.crc(), tail.sizes());
        shared.segments().iter().for_each(|segment| shared.forget_opened(segment.header.number));
        // The tail first: whoever finds a segment that has no footer yet finds its tail.
        *shared.tail() = tail;
        shared.change_segments(|known| *known = segments.to_vec());
        shared.head.store(head, Ordering::Release);
        shared.synced.fetch_max(found.shared.synced(), Ordering::AcqRel);
        shared.newest.store(found.last.map_or(0, |last| last.seq.0), Ordering::Release);
        self.stand_at(found.last, crc, sizes);
        if shared.is_astray(follow, until) {
            let position = follow.together.newest().0;
            return Err(LogError::NoSuchFrame { position, head });
        }
        Ok(())
    }

    /// Opens the segment that others write to, unless it is open.
    fn open_active(&mut self) -> Result<(), LogError> {
        let segments = self.shared.segments();
        let Some(segment) = segments.last() else { return Ok(()) };
        if self.active_number() == Some(segment.header.number) {
            return Ok(());
        }
        let file = match &*segment.file() {
            Some(file) => Arc::clone(file),
            None => self.shared.disk.open(&segment.path(), Open::Write)?,
        };
        let capacity = file.len()?;
        file.allocate(capacity)?;
        *segment.file() = Some(Arc::clone(&file));
        self.set_active(Active::new(Arc::clone(segment), file, capacity));
        Ok(())
    }
}

impl Shared {
    /// Takes in what other processes have added, where this log follows any. What cannot be read now is not there for whoever
    /// asks for it, and is looked for again the next time.
    pub fn catch_up(&self) {
        if let Some(follow) = self.follow.get()
            && self.is_behind(follow)
        {
            let mut taken = lock(&follow.taken);
            let _ = self.take_in(follow, &mut taken, Until::Newest);
        }
    }

    fn is_behind(&self, follow: &Follow) -> bool {
        self.newest.load(Ordering::Acquire) < follow.together.newest().0
    }

    fn wants(&self, follow: &Follow, until: Until) -> bool {
        until == Until::End || self.is_behind(follow)
    }

    /// Whether another segment than the last that is known is written to.
    fn is_left(&self, follow: &Follow) -> bool {
        let active = follow.together.active();
        self.segments().last().is_some_and(|last| last.header.number != active)
    }

    /// Whether frames are missing, or the segment that is written to. Whoever died may not have come to say which that is.
    fn is_astray(&self, follow: &Follow, until: Until) -> bool {
        self.is_behind(follow) || until == Until::Newest && self.is_left(follow)
    }

    fn take_in(&self, follow: &Follow, taken: &mut Option<FrameHead>, until: Until) -> Result<(), LogError> {
        let mut survey = Survey::default();
        while self.wants(follow, until) || self.is_left(follow) {
            let segments = self.segments();
            let Some(segment) = segments.last() else { return Ok(()) };
            self.frames_of(segment, follow, taken, until)?;
            if !self.wants(follow, until) && !self.is_left(follow) {
                return Ok(());
            }
            let (at, crc, number) = (self.head(), self.tail().crc(), segment.header.number);
            let mut next = survey.successor(number, at, crc);
            if next.is_none() {
                survey = Survey::beyond(&*self.disk, number)?;
                next = survey.successor(number, at, crc);
            }
            let Some(next) = next else { return Ok(()) };
            segment.seal(at);
            self.forget_opened(segment.header.number);
            // The tail first: whoever finds a segment that has no footer yet finds its tail.
            *self.tail() = Tail::new(&next.header);
            let file = self.to_sync(next.header.number)?;
            self.change_segments(|segments| segments.push(Arc::new(Segment::open(next.header, file))));
        }
        Ok(())
    }

    /// The file of a segment that another process has made, for whoever must know it durable.
    fn to_sync(&self, number: u64) -> Result<Option<Arc<dyn DiskFile>>, LogError> {
        if self.read_only {
            return Ok(None);
        }
        match self.disk.open(&path(number, false), Open::Write) {
            // It was durable when it was compressed.
            Err(DiskError::NotFound { .. }) => Ok(None),
            file => Ok(Some(file?)),
        }
    }

    /// Takes in the frames that a segment has behind those that are known.
    fn frames_of(
        &self,
        segment: &Segment,
        follow: &Follow,
        taken: &mut Option<FrameHead>,
        until: Until,
    ) -> Result<(), LogError> {
        let opened = self.opened(segment)?;
        let new = follow.together.newest().0.saturating_sub(self.newest.load(Ordering::Acquire));
        let (mut window, limit) = (Window::new(if new <= FRAMES { FEW } else { MANY }), opened.limit()?);
        while self.wants(follow, until) {
            let (at, crc) = (self.head(), self.tail().crc());
            let seen = window.holds(at);
            let Some((head, body)) = window.frame(&opened, at, limit)?.filter(|(head, _)| head.before == crc)
            else {
                // It may have been written since what is behind the last one was read.
                if !seen {
                    return Ok(());
                }
                window.clear();
                continue;
            };
            if segment.file().is_none() {
                // What it had before was durable, and this is not.
                let file = self.to_sync(segment.header.number)?;
                *segment.file() = file;
            }
            self.tail().push(&head, (follow.describe)(&head, body).borrow());
            self.head.store(head.end(), Ordering::Release);
            // Whoever wrote the frame knew that.
            self.synced.fetch_max(head.synced, Ordering::AcqRel);
            *taken = Some(head);
            self.newest.store(head.seq.0, Ordering::Release);
        }
        Ok(())
    }
}
