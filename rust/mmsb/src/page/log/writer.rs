//! The writer: appends frames, goes on in new segments.

use crate::base::crc::crc32c_append;
use crate::base::fail;
use crate::base::limits::{LOG_BY_WRITE, LOG_WRITE_STEP, MAX_FRAME};
use crate::memory::disk::{Disk, DiskError, DiskFile, Lock};
use crate::page::log::ahead::Ahead;
use crate::page::log::error::LogError;
use crate::page::log::frame::{Durability, FrameHead, FrameNotes, HEADER, NewFrame, frame_bytes};
use crate::page::log::keeper::Keeper;
use crate::page::log::reader::LogReader;
use crate::page::log::roll::{self, LogConfig};
use crate::page::log::segment::{self, Segment, SegmentHeader};
use crate::page::log::shared::Shared;
use crate::page::log::superblock::{self, Superblock, SuperblockFile};
use crate::page::log::survey;
use crate::page::log::sync::Syncer;
use crate::page::log::tail::{Sizes, Tail};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Body parts that are gathered without an allocation.
const PARTS: usize = 8;
const PADDING: [u8; 8] = [0; 8];

/// The one log of a bus, for its one writer.
#[derive(Debug)]
pub struct Log {
    pub(crate) shared: Arc<Shared>,
    /// `None` when opened for reading.
    active: Option<Active>,
    last: Option<FrameHead>,
    /// Header CRC of the last frame.
    crc: u32,
    /// What the tail has, known without its lock.
    sizes: Sizes,
    config: LogConfig,
    ahead: Ahead,
    keeper: Option<Keeper>,
    lock: Option<Box<dyn Lock>>,
}

/// The segment that is written to.
#[derive(Debug)]
pub(crate) struct Active {
    pub segment: Arc<Segment>,
    pub file: Arc<dyn DiskFile>,
    /// Bytes the file is allocated for.
    pub capacity: u64,
    /// Whether nothing more goes in: it was made for one large frame.
    pub full: bool,
    /// Position at which the next segment is asked for.
    ask_at: u64,
}

impl Active {
    /// A segment allocated for this many bytes.
    pub fn new(segment: Arc<Segment>, file: Arc<dyn DiskFile>, capacity: u64) -> Self {
        let ask_at = segment.header.start + capacity / 2;
        Self { segment, file, capacity, full: false, ask_at }
    }

    /// Writes a frame, of which all but the checksums is known.
    fn put(&self, head: &mut FrameHead, body: &[&[u8]], padding: &[u8]) -> Result<(), DiskError> {
        let (at, salt) = (self.segment.offset(head.position), self.segment.header.salt);
        if head.length >= LOG_BY_WRITE {
            self.put_body(head, at + HEADER as u64, body, padding)?;
            return self.file.append_by_write(at, &[&head.encode(salt)]);
        }
        let body_crc = body.iter().fold(0, |crc, part| crc32c_append(crc, part));
        head.body_crc = if padding.is_empty() { body_crc } else { crc32c_append(body_crc, padding) };
        gather(&head.encode(salt), body, padding, |parts| match head.durability {
            Durability::Disk => self.file.append_by_write(at, parts),
            _ => self.file.append(at, parts),
        })
    }

    /// Writes a long body, and checksums each piece of it just before, so that it comes from memory once.
    fn put_body(
        &self,
        head: &mut FrameHead,
        mut at: u64,
        body: &[&[u8]],
        padding: &[u8],
    ) -> Result<(), DiskError> {
        let (mut some, mut bytes): (Vec<&[u8]>, u64) = (Vec::new(), 0);
        for piece in body.iter().chain([&padding]).flat_map(|part| part.chunks(LOG_WRITE_STEP)) {
            head.body_crc = crc32c_append(head.body_crc, piece);
            some.push(piece);
            bytes += piece.len() as u64;
            if bytes >= LOG_WRITE_STEP as u64 {
                self.file.append_by_write(at, &some)?;
                at += bytes;
                some.clear();
                bytes = 0;
            }
        }
        self.file.append_by_write(at, &some)
    }
}

/// What recovery hands to a log.
pub(crate) struct Start {
    pub shared: Arc<Shared>,
    pub active: Option<Active>,
    pub last: Option<FrameHead>,
    pub crc: u32,
    pub lock: Option<Box<dyn Lock>>,
    /// Number of the segment to make next.
    pub next: u64,
}

impl Log {
    /// Makes a bus in an empty directory.
    ///
    /// Fails with [`LogError::Exists`] if there is one, and with [`LogError::NotABus`] if there are segments with
    /// frames but no superblock.
    pub fn create(disk: Arc<dyn Disk>, config: LogConfig) -> Result<Self, LogError> {
        Self::create_at(disk, config, 0, 0)
    }

    /// As [`Log::create`], of a log that goes on at this position, behind a frame with this header CRC, as if all
    /// before had been pruned.
    pub fn create_at(
        disk: Arc<dyn Disk>,
        config: LogConfig,
        position: u64,
        before: u32,
    ) -> Result<Self, LogError> {
        disk.create_dir("")?;
        let lock = disk.lock()?;
        Self::create_locked(disk, config, (position, before), lock)
    }

    /// As [`Log::create_at`], for whoever has the lock of the disk.
    pub fn create_locked(
        disk: Arc<dyn Disk>,
        config: LogConfig,
        (position, before): (u64, u32),
        lock: Box<dyn Lock>,
    ) -> Result<Self, LogError> {
        if superblock::exists(&*disk) {
            return Err(LogError::Exists);
        }
        disk.create_dir(segment::DIR)?;
        survey::clear_unfinished(&*disk)?;
        let header = SegmentHeader { number: 1, start: position, salt: disk.random(), before };
        let capacity = config.capacity_of(1);
        let file = roll::make_segment(&*disk, 1, capacity)?;
        file.append(0, &[&header.encode()])?;
        file.sync_data()?;
        let at = Superblock {
            synced: position,
            log_start: position,
            log_start_crc: before,
            ..Superblock::new(&*disk)
        };
        let superblock = SuperblockFile::create(&*disk, at)?;
        let segment = Arc::new(Segment::open(header, Some(Arc::clone(&file))));
        let segments = vec![Arc::clone(&segment)];
        let shared =
            Arc::new(Shared::new(disk, superblock, segments, Tail::new(&header), (position, position)));
        let active = Some(Active::new(segment, file, capacity));
        Ok(Self::start(Start { shared, active, last: None, crc: before, lock: Some(lock), next: 2 }, config))
    }

    pub(crate) fn start(start: Start, config: LogConfig) -> Self {
        let Start { shared, active, last, crc, lock, next } = start;
        let keeper = (!shared.read_only).then(|| Keeper::new(Arc::clone(&shared), config, next));
        let sizes = shared.tail().sizes();
        Self { shared, active, last, crc, sizes, config, ahead: Ahead::default(), keeper, lock }
    }

    /// Appends a frame whose body is these parts one after the other. It is visible to readers, and it survives the
    /// death of the process; for more, see [`Log::syncer`].
    ///
    /// Nothing was written when it fails with [`LogError::FrameTooLarge`], [`LogError::OutOfOrder`],
    /// [`LogError::ReadOnly`], or for want of room for another segment; after any other failure the log is poisoned.
    pub fn append(
        &mut self,
        frame: NewFrame,
        body: &[&[u8]],
        notes: FrameNotes<'_>,
    ) -> Result<FrameHead, LogError> {
        self.shared.may_write()?;
        let length = body.iter().map(|part| part.len() as u64).sum();
        if length > MAX_FRAME {
            return Err(LogError::FrameTooLarge { length, limit: MAX_FRAME });
        }
        let last_time = match &self.last {
            Some(last) if frame.seq <= last.seq => {
                return Err(LogError::OutOfOrder { seq: frame.seq.0, last: last.seq.0 });
            }
            last => last.as_ref().map_or(0, |last| last.time + 1),
        };
        self.make_room(frame_bytes(length), notes)?;
        let Some(active) = &mut self.active else { return Err(LogError::ReadOnly) };
        let padding = &PADDING[..length.next_multiple_of(8).wrapping_sub(length) as usize];
        let mut head = FrameHead {
            position: self.shared.head.load(Ordering::Relaxed),
            seq: frame.seq,
            epoch: frame.epoch,
            branch: frame.branch,
            durability: frame.durability,
            kind: frame.kind,
            synced: self.shared.synced(),
            time: frame.time.max(last_time),
            length,
            before: self.crc,
            body_crc: 0,
            crc: 0,
        };
        let written = active.put(&mut head, body, padding);
        if let Err(cause) = written {
            self.shared.poison_with(&cause);
            return Err(cause.into());
        }
        self.sizes = {
            let mut tail = self.shared.tail();
            tail.push(&head, notes);
            tail.sizes()
        };
        self.shared.head.store(head.end(), Ordering::Release);
        self.shared.newest.store(head.seq.0, Ordering::Release);
        self.look_ahead(&head);
        self.crc = head.crc;
        self.last = Some(head);
        Ok(head)
    }

    /// Has the keeper do what will be needed soon, after this frame.
    fn look_ahead(&mut self, head: &FrameHead) {
        let (Some(active), Some(keeper)) = (&mut self.active, &self.keeper) else { return };
        if head.position >= active.ask_at {
            active.ask_at = u64::MAX;
            keeper.want_spare();
        }
        if head.length >= LOG_BY_WRITE {
            // It had no use for that.
            return;
        }
        let waits = head.durability == Durability::Disk;
        if let Some(made) = self.ahead.appended(head.end(), head.end() - head.position, waits) {
            let at = |position| active.segment.offset(position);
            keeper.want_ready(
                &active.file,
                at(head.end()),
                at(made.start)..at(made.end).min(active.capacity),
            );
        }
    }

    /// Makes sure that a frame of this many bytes, and the footer after it, fit into the active segment.
    fn make_room(&mut self, bytes: u64, notes: FrameNotes<'_>) -> Result<(), LogError> {
        let Some(active) = &mut self.active else { return Err(LogError::ReadOnly) };
        let (empty, footer) = (self.sizes.is_empty(), self.sizes.footer_bytes_with(notes));
        let head = self.shared.head.load(Ordering::Relaxed);
        let fits = active.segment.offset(head) + bytes + footer <= active.capacity;
        let large = bytes > self.config.capacity_of(active.segment.header.number) / 4;
        if fits && (empty || !large) && !active.full {
            active.full = large;
            return Ok(());
        }
        let need = segment::HEADER + bytes + self.sizes.footer_bytes_with(notes);
        if empty {
            // It was made too small for this frame; nothing is in it yet.
            active.file.allocate(need)?;
            active.capacity = need;
        } else {
            self.roll(need)?;
        }
        if let Some(active) = &mut self.active {
            active.full = bytes > self.config.capacity_of(active.segment.header.number) / 4;
        }
        Ok(())
    }

    /// Goes on in a new segment, so that all before can be pruned; stays in one that has no frame yet.
    pub fn go_on(&mut self) -> Result<(), LogError> {
        self.shared.may_write()?;
        if self.sizes.is_empty() { Ok(()) } else { self.roll(segment::HEADER) }
    }

    /// Goes on in a new segment of at least `need` bytes.
    fn roll(&mut self, need: u64) -> Result<(), LogError> {
        let (Some(active), Some(keeper)) = (&mut self.active, &self.keeper) else {
            return Err(LogError::ReadOnly);
        };
        let mut spare = keeper.take_spare()?;
        if spare.capacity < need {
            if let Err(error) = spare.file.allocate(need) {
                keeper.give_back(spare);
                return Err(error.into());
            }
            spare.capacity = need;
        }
        let start = self.shared.head();
        let header =
            SegmentHeader { number: spare.number, start, salt: self.shared.disk.random(), before: self.crc };
        fail::at("rolling");
        let rolled = roll::seal(&self.shared, active, start)
            .and_then(|()| spare.file.append_by_write(0, &[&header.encode()]))
            .inspect_err(|cause| self.shared.poison_with(cause));
        rolled?;
        fail::at("rolled");
        let segment = Arc::new(Segment::open(header, Some(Arc::clone(&spare.file))));
        let next = Arc::clone(&segment);
        // The tail first: whoever finds a segment that has no footer yet finds its tail.
        *self.shared.tail() = Tail::new(&header);
        self.sizes = Sizes::default();
        self.shared.change_segments(|segments| segments.push(next));
        if let Some(follow) = self.shared.follow.get() {
            follow.set_active(header.number);
        }
        *active = Active::new(segment, spare.file, spare.capacity);
        self.ahead.moved(start);
        keeper.rolled()
    }

    /// Makes frames durable; may be used from any thread while frames are appended.
    #[must_use]
    pub fn syncer(&self) -> Arc<Syncer> {
        Arc::new(Syncer::new(Arc::clone(&self.shared)))
    }

    /// Reads frames; may be used from any thread while frames are appended.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        LogReader::new(Arc::clone(&self.shared))
    }

    /// When the last frame was made, in UTC nanoseconds since 1970; 0 where there is none.
    #[must_use]
    pub fn last_time(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.time)
    }

    /// Takes up where others have gone on to: their last frame, where it is newer than this log's own, its header's CRC, and
    /// what the tail has.
    pub(crate) fn stand_at(&mut self, last: Option<FrameHead>, crc: u32, sizes: Sizes) {
        (self.last, self.crc, self.sizes) = (last.or(self.last), crc, sizes);
    }

    /// The number of the last segment, and one that no segment has nor will get from this log.
    #[must_use]
    pub fn numbers(&self) -> (u64, u64) {
        let last = self.shared.segments().last().map_or(0, |last| last.header.number);
        (last, self.keeper.as_ref().map_or(last, Keeper::last_number) + 1)
    }

    /// The number of the segment that this log writes to.
    pub(crate) fn active_number(&self) -> Option<u64> {
        self.active.as_ref().map(|active| active.segment.header.number)
    }

    /// Writes to another segment from now on.
    pub(crate) fn set_active(&mut self, active: Active) {
        self.ahead.moved(self.shared.head());
        if let Some(old) = self.active.replace(active) {
            old.file.seal();
        }
    }

    /// Goes on in a new segment, whatever this one holds.
    pub(crate) fn roll_on(&mut self) -> Result<(), LogError> {
        self.roll(segment::HEADER)
    }

    /// Where the next frame will start.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.shared.head()
    }

    /// Position of the oldest frame kept.
    #[must_use]
    pub fn start_position(&self) -> u64 {
        self.shared.segments().first().map_or(0, |segment| segment.header.start)
    }

    /// Position up to which everything is durable.
    #[must_use]
    pub fn synced(&self) -> u64 {
        self.shared.synced()
    }

    /// The last frame.
    #[must_use]
    pub const fn last(&self) -> Option<&FrameHead> {
        self.last.as_ref()
    }

    /// Header CRC of the last frame, kept or pruned; 0 before the first one.
    #[must_use]
    pub const fn last_crc(&self) -> u32 {
        self.crc
    }

    /// What the superblock says now.
    #[must_use]
    pub fn superblock(&self) -> Superblock {
        self.shared.superblock().now().clone()
    }

    /// Has the superblock say, durably, that what follows needs these features to be read.
    pub fn require(&self, features: u64) -> Result<(), LogError> {
        self.shared.may_write()?;
        if self.shared.superblock().now().read_features & features == features {
            return Ok(());
        }
        self.shared.write_superblock(|file| file.write_both(|now| now.read_features |= features))
    }

    /// Whether a write or a sync failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.shared.poison().is_some()
    }

    /// The failure since which nothing more is written.
    #[must_use]
    pub fn poisoned(&self) -> Option<LogError> {
        self.shared.may_write().err().filter(|error| matches!(error, LogError::Poisoned { .. }))
    }

    /// Notes that a checkpoint of the state after `seq` is complete and durable, its root record under this name of at
    /// most 255 bytes. When this returns, the checkpoint noted before is not needed any more. The log must be synced
    /// through that frame first.
    pub fn checkpointed(&self, name: &str, seq: u64) -> Result<(), LogError> {
        self.syncer().checkpointed(name, seq)
    }

    /// Takes no more frames, gives back what was made ahead, and lets others write the log. What was appended can still
    /// be read. With `keep` it is made durable, as far as that can be; without, whoever waits for a sync still gets it.
    pub fn shut(&mut self, keep: bool) {
        self.shared.close();
        if let Some(keeper) = self.keeper.take() {
            keeper.leave();
        }
        if let Some(active) = self.active.take() {
            if keep && self.shared.poison().is_none() {
                // A failure poisons the log, which nobody writes to any more; the next opening finds what there is.
                let _ = self.shared.sync_all();
            }
            active.file.seal();
        }
        self.lock = None;
    }

    /// Keeps a lock until [`Log::shut`].
    pub fn hold(&mut self, lock: Box<dyn Lock>) {
        self.lock = Some(lock);
    }

    /// Shares the lock of the disk with others who have the bus open.
    pub fn share_lock(&self) -> Result<(), LogError> {
        Ok(self.lock.as_ref().map_or(Ok(()), |lock| lock.share())?)
    }

    /// Whether [`Log::shut`] was called.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        self.shared.is_closed()
    }

    /// Syncs everything, gives back what was made ahead, and closes the log. Dropping it does neither.
    pub fn close(mut self) -> Result<(), LogError> {
        let Some(keeper) = self.keeper.take() else { return Ok(()) };
        self.shared.may_write()?;
        keeper.close()?;
        self.shared.sync_all()
    }
}

/// Calls `write` with header, body and padding as one list, on the stack if it is short.
fn gather<T>(header: &[u8; HEADER], body: &[&[u8]], padding: &[u8], write: impl FnOnce(&[&[u8]]) -> T) -> T {
    let count = body.len() + 2;
    if count <= PARTS {
        let mut parts: [&[u8]; PARTS] = [&[]; PARTS];
        parts[0] = header;
        parts[1..count - 1].copy_from_slice(body);
        parts[count - 1] = padding;
        return write(&parts[..count]);
    }
    let mut parts: Vec<&[u8]> = Vec::with_capacity(count);
    parts.push(header);
    parts.extend_from_slice(body);
    parts.push(padding);
    write(&parts)
}
