//! Opening a log: what the walk found becomes a log again, and on disk what lies behind its end is put out of reach.

use crate::memory::disk::{Disk, DiskError, Lock, Open};
use crate::page::log::error::LogError;
use crate::page::log::footer::Footer;
use crate::page::log::frame::{Describe, FrameHead};
use crate::page::log::recover::{Chain, Link, walk};
use crate::page::log::roll::{LogConfig, make_segment};
use crate::page::log::segment::{DIR, Segment, SegmentHeader, path};
use crate::page::log::shared::Shared;
use crate::page::log::superblock::{self, SuperblockFile};
use crate::page::log::survey::{LOOKS, Survey};
use crate::page::log::tail::Tail;
use crate::page::log::writer::{Active, Log, Start};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What was cut off the end of the log: it was never durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where the log ends now.
    pub position: u64,
    /// Bytes behind it.
    pub bytes: u64,
}

/// What opening a log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The last frame.
    pub last: Option<FrameHead>,
    /// What was cut, if anything was.
    pub cut: Option<Cut>,
    /// Frames that were read and verified; those of segments known good are not.
    pub scanned: u64,
    /// Files removed, relative to the bus directory.
    pub removed: Vec<String>,
    /// Where one of two copies of the same is damaged while the other is whole, of the superblock or of a segment's
    /// header: the file and the copy's first byte. Opening to write has restored them.
    pub hurt: Vec<(String, u64)>,
}

impl Log {
    /// Opens the log of a bus. `describe` reads the bodies of frames whose segment has no believable footer: those of
    /// the newest segment, as a rule. On a disk for reading only, nothing is changed.
    ///
    /// Fails with [`LogError::NotABus`], [`LogError::UnsupportedFormat`], [`LogError::CorruptSuperblock`], or with
    /// [`LogError::CorruptLog`] if bytes that were durable are damaged.
    pub fn open(
        disk: Arc<dyn Disk>,
        config: LogConfig,
        describe: Describe<'_>,
    ) -> Result<(Self, Recovered), LogError> {
        if disk.read_only() {
            return Self::open_beside(disk, config, describe);
        }
        if !superblock::exists(&*disk) {
            return Err(LogError::NotABus { reason: "no file named bus" });
        }
        let lock = disk.lock()?;
        Self::open_locked(disk, config, lock, describe)
    }

    /// As [`Log::open`], for whoever has the lock of the disk.
    pub fn open_locked(
        disk: Arc<dyn Disk>,
        config: LogConfig,
        lock: Box<dyn Lock>,
        describe: Describe<'_>,
    ) -> Result<(Self, Recovered), LogError> {
        let superblock = SuperblockFile::open(&*disk, false)?;
        let survey = Survey::new(&*disk)?;
        let chain = walk(&*disk, &survey, superblock.now(), describe)?;
        Repair { disk, config, survey, chain, superblock }.run(lock)
    }

    /// Opens the log of a bus that others have open too: nothing is changed. On a disk for writing, see [`Log::follow`] and
    /// [`Log::go_on_behind`].
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_beside(
        disk: Arc<dyn Disk>,
        config: LogConfig,
        describe: Describe<'_>,
    ) -> Result<(Self, Recovered), LogError> {
        let mut looks = 1;
        loop {
            match look(&disk, describe) {
                Err(
                    LogError::CorruptLog { .. }
                    | LogError::CorruptSuperblock
                    | LogError::Disk(DiskError::NotFound { .. }),
                ) if looks < LOOKS => looks += 1,
                // Somebody may have been writing it.
                Ok((_, recovered)) if !recovered.hurt.is_empty() && looks < LOOKS => looks += 1,
                answer => {
                    let (start, recovered) = answer?;
                    return Ok((Log::start(start, config), recovered));
                }
            }
        }
    }
}

fn recovered(chain: &Chain, superblock: &SuperblockFile) -> Recovered {
    let cut = (chain.lost > 0).then_some(Cut { position: chain.end, bytes: chain.lost });
    let segments = chain.links.iter().map(|link| link.found);
    let segments = segments.filter_map(|found| Some((path(found.header.number, found.packed), found.hurt?)));
    let hurt = superblock.hurt().into_iter().chain(segments).collect();
    Recovered { last: chain.last, cut, scanned: chain.scanned, removed: Vec::new(), hurt }
}

/// A sealed segment, with its footer made again if its file has none.
fn sealed(link: &Link) -> Segment {
    let header = link.found.header;
    let segment = Segment::sealed(header, link.end, link.found.packed);
    if link.footer.is_none()
        && let Some(bytes) = link.tail.as_ref().and_then(Tail::footer)
        && let Some(footer) = Footer::parse(bytes, &header)
    {
        let _ = segment.rebuilt.set(Arc::new(footer));
    }
    segment
}

/// What there is of a log, and nothing of it open for appending.
pub(super) fn look(disk: &Arc<dyn Disk>, describe: Describe<'_>) -> Result<(Start, Recovered), LogError> {
    let read_only = disk.read_only();
    let superblock = SuperblockFile::open(&**disk, read_only)?;
    let survey = Survey::new(&**disk)?;
    let mut chain = walk(&**disk, &survey, superblock.now(), describe)?;
    let recovered = recovered(&chain, &superblock);
    let tail = chain.links.last_mut().and_then(|last| last.tail.take());
    let tail = tail.unwrap_or_else(|| Tail::none(chain.crc));
    let (mut segments, count, synced) = (Vec::new(), chain.links.len(), superblock.now().synced);
    for (index, link) in chain.links.iter().enumerate() {
        let header = link.found.header;
        let last = index + 1 == count && tail.number == header.number;
        let segment = if last { Segment::open(header, None) } else { sealed(link) };
        // Whoever says that what was added since is durable makes it so first.
        if !read_only && !link.found.packed && link.end > synced {
            *segment.file() = Some(disk.open(&segment.path(), Open::Write)?);
        }
        segments.push(Arc::new(segment));
    }
    let shared = Arc::new(Shared::new(Arc::clone(disk), superblock, segments, tail, (chain.end, synced)));
    let (last, crc, next) = (chain.last, chain.crc, survey.next);
    Ok((Start { shared, active: None, last, crc, lock: None, next }, recovered))
}

/// Everything needed to make the disk hold the log that the walk found, and nothing else.
struct Repair {
    disk: Arc<dyn Disk>,
    config: LogConfig,
    survey: Survey,
    chain: Chain,
    superblock: SuperblockFile,
}

impl Repair {
    fn run(mut self, lock: Box<dyn Lock>) -> Result<(Log, Recovered), LogError> {
        let mut recovered = recovered(&self.chain, &self.superblock);
        self.sync_what_was_read()?;
        self.restore_copies()?;
        let went_on = self.go_on_in_last()?;
        let (active, tail) = match went_on {
            Some(both) => both,
            None => self.go_on_in_new()?,
        };
        let mut segments = Vec::new();
        for link in &self.chain.links {
            self.seal(link)?;
            segments.push(Arc::new(sealed(link)));
        }
        segments.push(Arc::clone(&active.segment));
        let end = self.chain.end;
        if self.superblock.now().synced < end {
            self.superblock.write(|now| now.synced = end)?;
        }
        recovered.removed = self.remove_unreachable(&segments)?;
        let Self { disk, config, survey, chain, superblock } = self;
        let next = survey.next.max(active.segment.header.number + 1);
        let shared = Arc::new(Shared::new(disk, superblock, segments, tail, (end, end)));
        let (last, crc) = (chain.last, chain.crc);
        let start = Start { shared, active: Some(active), last, crc, lock: Some(lock), next };
        Ok((Log::start(start, config), recovered))
    }

    /// Writes damaged copies of headers anew, from the other ones.
    fn restore_copies(&mut self) -> Result<(), LogError> {
        self.superblock.restore()?;
        for found in self.chain.links.iter().map(|link| link.found) {
            if let Some(at) = found.hurt {
                let file = self.disk.open(&path(found.header.number, found.packed), Open::Write)?;
                found.header.restore(&*file, at)?;
            }
        }
        Ok(())
    }

    /// What can be read now, names and superblock too, must not be lost later: the next frames will say that it is
    /// durable, and files will be removed because of it.
    fn sync_what_was_read(&self) -> Result<(), LogError> {
        let synced = self.superblock.now().synced;
        for link in self.chain.links.iter().filter(|link| !link.found.packed && link.end > synced) {
            self.disk.open(&path(link.found.header.number, false), Open::Write)?.sync_data()?;
        }
        self.superblock.sync()?;
        self.disk.sync_dir(DIR)?;
        Ok(self.disk.sync_dir("")?)
    }

    /// Goes on in the last segment if nothing was ever written behind its last frame.
    fn go_on_in_last(&mut self) -> Result<Option<(Active, Tail)>, LogError> {
        let clean = self.chain.behind.dirty_to == 0;
        let Some(link) = self.chain.links.pop_if(|link| clean && !link.found.packed && link.footer.is_none())
        else {
            return Ok(None);
        };
        let header = link.found.header;
        let file = self.disk.open(&path(header.number, false), Open::Write)?;
        let capacity = file.len()?.max(self.config.capacity_of(header.number));
        file.allocate(capacity)?;
        let segment = Arc::new(Segment::open(header, Some(Arc::clone(&file))));
        let tail = link.tail.unwrap_or_else(|| Tail::new(&header));
        Ok(Some((Active::new(segment, file, capacity), tail)))
    }

    /// Goes on in a new segment, whose header takes over from whatever lies behind the end elsewhere.
    fn go_on_in_new(&mut self) -> Result<(Active, Tail), LogError> {
        // A segment without a valid frame gives way to the new one, which starts at the same position.
        self.chain.links.pop_if(|link| link.end == link.found.header.start);
        let number = self.survey.next;
        let (start, before) = (self.chain.end, self.chain.crc);
        let header = SegmentHeader { number, start, salt: self.disk.random(), before };
        let capacity = self.config.capacity_of(number);
        let file = make_segment(&*self.disk, number, capacity)?;
        file.append(0, &[&header.encode()])?;
        file.sync_data()?;
        let segment = Arc::new(Segment::open(header, Some(Arc::clone(&file))));
        Ok((Active::new(segment, file, capacity), Tail::new(&header)))
    }

    /// Gives a segment that lost its footer, or never had one, another one behind all its bytes.
    fn seal(&self, link: &Link) -> Result<(), LogError> {
        if link.footer.is_some() || link.found.packed {
            return Ok(());
        }
        let Some(footer) = link.tail.as_ref().and_then(Tail::footer) else { return Ok(()) };
        let file = self.disk.open(&path(link.found.header.number, false), Open::Write)?;
        let at = file.len()?;
        file.allocate(at + footer.len() as u64)?;
        file.write_at(&footer, at)?;
        Ok(file.sync_data()?)
    }

    fn remove_unreachable(&mut self, kept: &[Arc<Segment>]) -> Result<Vec<String>, LogError> {
        let kept: BTreeSet<u64> = kept.iter().map(|segment| segment.header.number).collect();
        let mut removed = std::mem::take(&mut self.survey.stray);
        for found in self.survey.all().filter(|found| !kept.contains(&found.header.number)) {
            removed.push(path(found.header.number, found.packed));
        }
        for path in &removed {
            self.disk.remove(path)?;
        }
        if !removed.is_empty() {
            self.disk.sync_dir(DIR)?;
        }
        Ok(removed)
    }
}
