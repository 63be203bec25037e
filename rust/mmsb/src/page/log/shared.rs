//! What the writer, the syncer and the readers of one log share.

use crate::memory::disk::{Disk, DiskError, Lock};
use crate::page::log::error::LogError;
use crate::page::log::follow::Follow;
use crate::page::log::footer::Footer;
use crate::page::log::index::Index;
use crate::page::log::segment::{self, Opened, Segment};
use crate::page::log::superblock::{self, SuperblockFile};
use crate::page::log::sync::Turns;
use crate::page::log::tail::Tail;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

/// Segment files kept open for reading.
const OPENED: usize = 32;

/// The segments of the log, oldest first.
pub(crate) type Segments = Arc<Vec<Arc<Segment>>>;

#[derive(Debug)]
pub(crate) struct Shared {
    pub disk: Arc<dyn Disk>,
    pub read_only: bool,
    segments: RwLock<Segments>,
    tail: Mutex<Tail>,
    opened: Mutex<VecDeque<(u64, bool, Arc<Opened>)>>,
    superblock: Mutex<SuperblockFile>,
    /// Where the next frame will start.
    pub head: AtomicU64,
    /// Up to where everything is durable.
    pub synced: AtomicU64,
    /// The failure since which writes are refused.
    poison: OnceLock<DiskError>,
    /// The sync that failed first: what is not synced may be lost though it can be read, and no later sync says otherwise.
    unsynced: OnceLock<DiskError>,
    /// Whether this process takes no more frames.
    closed: AtomicBool,
    pub turns: Turns,
    pub fsyncs: AtomicU64,
    /// Held by what removes or replaces sealed segments.
    pub maintenance: Mutex<()>,
    /// The newest frame that is known here.
    pub newest: AtomicU64,
    /// Where other processes write the log, how it is followed.
    pub follow: OnceLock<Follow>,
}

/// A lock whose holder may have panicked: what it guards is valid between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(
        disk: Arc<dyn Disk>,
        superblock: SuperblockFile,
        segments: Vec<Arc<Segment>>,
        tail: Tail,
        ends: (u64, u64),
    ) -> Self {
        Self {
            read_only: disk.read_only(),
            disk,
            segments: RwLock::new(Arc::new(segments)),
            tail: Mutex::new(tail),
            opened: Mutex::default(),
            superblock: Mutex::new(superblock),
            head: AtomicU64::new(ends.0),
            synced: AtomicU64::new(ends.1),
            poison: OnceLock::new(),
            unsynced: OnceLock::new(),
            closed: AtomicBool::new(false),
            turns: Turns::default(),
            fsyncs: AtomicU64::new(0),
            maintenance: Mutex::default(),
            newest: AtomicU64::new(0),
            follow: OnceLock::new(),
        }
    }

    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    pub fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    pub fn segments(&self) -> Segments {
        Arc::clone(&self.segments.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn change_segments(&self, change: impl FnOnce(&mut Vec<Arc<Segment>>)) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut segments));
    }

    pub fn tail(&self) -> MutexGuard<'_, Tail> {
        lock(&self.tail)
    }

    pub fn superblock(&self) -> MutexGuard<'_, SuperblockFile> {
        lock(&self.superblock)
    }

    pub fn poison(&self) -> Option<&DiskError> {
        self.poison.get()
    }

    /// Refuses all writes from now on; the first failure counts.
    pub fn poison_with(&self, cause: &DiskError) {
        let _ = self.poison.set(cause.clone());
    }

    /// The sync that failed.
    pub fn unsynced(&self) -> Option<&DiskError> {
        self.unsynced.get()
    }

    /// As [`Shared::poison_with`], of a sync, whatever failed before it.
    pub fn poison_unsynced(&self, cause: &DiskError) {
        let _ = self.unsynced.set(cause.clone());
        self.poison_with(cause);
    }

    /// Refuses all writes from now on, though none failed.
    pub fn close(&self) {
        let _one = lock(&self.maintenance);
        self.closed.store(true, Ordering::Release);
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub fn may_write(&self) -> Result<(), LogError> {
        if self.read_only {
            return Err(LogError::ReadOnly);
        }
        if self.is_closed() {
            return Err(LogError::Closed);
        }
        match self.poison.get() {
            None => Ok(()),
            Some(cause) => Err(LogError::Poisoned { cause: cause.clone() }),
        }
    }

    /// Changes the superblock, durably. Failing poisons: which of the two versions counts is not known.
    pub fn write_superblock(
        &self,
        write: impl FnOnce(&mut SuperblockFile) -> Result<(), DiskError>,
    ) -> Result<(), LogError> {
        let mut file = self.superblock();
        // Other processes write it as well: one at a time, and each on top of what the others said.
        let _alone = match self.follow.get() {
            Some(_) => Some(self.disk.alone(superblock::NAME)?),
            None => None,
        };
        if self.follow.get().is_some() {
            file.reload()?;
        }
        write(&mut file).map_err(|cause| {
            self.poison_with(&cause);
            LogError::Disk(cause)
        })
    }

    /// Keeps other processes from removing or replacing sealed segments, where there are any; what they have pruned so far is
    /// let go of.
    pub fn alone(&self) -> Result<Option<Box<dyn Lock>>, LogError> {
        let Some(_) = self.follow.get() else { return Ok(None) };
        let alone = self.disk.alone(segment::DIR)?;
        self.forget_pruned()?;
        Ok(Some(alone))
    }

    /// The segment that holds `position`, which must lie between the start and the head of the log.
    pub fn segment_of(&self, segments: &Segments, position: u64) -> Option<Arc<Segment>> {
        let after = segments.partition_point(|segment| segment.header.start <= position);
        segments.get(after.checked_sub(1)?).cloned()
    }

    /// Position behind the last frame of a segment now.
    pub fn end_of(&self, segment: &Segment) -> u64 {
        segment.end().unwrap_or_else(|| self.head())
    }

    /// The segment's file, open for reading.
    pub fn opened(&self, segment: &Segment) -> Result<Arc<Opened>, LogError> {
        let (number, packed) = (segment.header.number, segment.packed);
        let known = |(n, p, _): &&(u64, bool, Arc<Opened>)| *n == number && *p == packed;
        if let Some((_, _, opened)) = lock(&self.opened).iter().find(known) {
            return Ok(Arc::clone(opened));
        }
        let opened =
            match Opened::open(&*self.disk, number, packed).map_err(|cause| self.gone(segment, cause))? {
                Some(opened) if opened.header == segment.header => Arc::new(opened),
                _ => return Err(segment.corrupt(segment.header.start, "the segment's header is damaged")),
            };
        let mut cache = lock(&self.opened);
        cache.push_back((number, packed, Arc::clone(&opened)));
        if cache.len() > OPENED {
            cache.pop_front();
        }
        Ok(opened)
    }

    /// The error for a segment's file that cannot be opened: it was pruned, where that is why.
    fn gone(&self, segment: &Segment, cause: DiskError) -> LogError {
        let position = segment.header.start;
        let first = self.segments().first().map_or(0, |first| first.header.start);
        let start = match cause {
            // Whoever pruned has said so on the disk; that it cannot be asked is no better an error.
            DiskError::NotFound { .. } => self.forget_pruned().map_or(first, |start| start.max(first)),
            _ => first,
        };
        if start > position { LogError::HistoryPruned { position, start } } else { cause.into() }
    }

    /// Lets go of the segments that another process has pruned, which only the disk knows of.
    /// Where the log starts.
    pub fn forget_pruned(&self) -> Result<u64, LogError> {
        let start = SuperblockFile::open(&*self.disk, true)?.now().log_start;
        self.forget_before(start);
        Ok(start)
    }

    /// Lets go of the segments whose frames all lie before a position, but for the last one.
    pub fn forget_before(&self, start: u64) {
        let goes = |segment: &Segment| segment.end().is_some_and(|end| end <= start);
        self.change_segments(|segments| {
            let count = segments[..segments.len().saturating_sub(1)]
                .iter()
                .take_while(|segment| goes(segment))
                .count();
            for segment in segments.drain(..count) {
                self.forget_opened(segment.header.number);
            }
        });
    }

    /// Closes the segment's file, once it is gone.
    pub fn forget_opened(&self, number: u64) {
        lock(&self.opened).retain(|(known, ..)| *known != number);
    }

    /// The footer of a sealed segment; `None` if it has no frames.
    pub fn footer(&self, segment: &Segment) -> Result<Option<Arc<Footer>>, LogError> {
        if let Some(footer) = segment.rebuilt.get() {
            return Ok(Some(Arc::clone(footer)));
        }
        if segment.end() == Some(segment.header.start) {
            return Ok(None);
        }
        match self.opened(segment)?.footer()? {
            Some(footer) => Ok(Some(footer)),
            None => Err(segment.corrupt(segment.header.start, "the segment's footer is damaged")),
        }
    }

    /// Asks the index of one segment. `None` if it has no frames.
    pub fn ask<T>(
        &self,
        segment: &Segment,
        question: impl Fn(&dyn Index) -> T,
    ) -> Result<Option<T>, LogError> {
        {
            let tail = self.tail();
            if tail.number == segment.header.number {
                return Ok((!tail.is_empty()).then(|| question(&*tail)));
            }
        }
        Ok(self.footer(segment)?.map(|footer| question(&*footer)))
    }
}
