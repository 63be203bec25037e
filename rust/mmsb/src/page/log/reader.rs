//! Reading the log, by position and by its indexes, while the writer goes on.

use crate::base::ids::{BranchId, Epoch, PageId, Seq};
use crate::page::log::error::LogError;
use crate::page::log::frame::{FrameHead, HEADER};
use crate::page::log::index::Index;
use crate::page::log::scan::{READ_AHEAD, Window};
use crate::page::log::segment::{Opened, Segment};
use crate::page::log::shared::{Segments, Shared};
use std::ops::Range;
use std::sync::Arc;

/// Bytes read at once where one frame is wanted: most frames are shorter.
const ONE_FRAME: usize = 4096;
/// Wanted frames no further apart than this are read together, with what lies between them: a read of this much costs
/// about what a system call does.
const GAP: u64 = 16 << 10;

/// A reader of the log. Cheap to clone; each thread may have its own.
#[derive(Clone, Debug)]
pub struct LogReader {
    of: Arc<Shared>,
}

/// A frame with its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its header.
    pub head: FrameHead,
    /// Its body.
    pub body: Vec<u8>,
}

/// One segment, as [`LogReader::segments`] lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number.
    pub number: u64,
    /// Position of its first frame.
    pub start: u64,
    /// Position behind its last frame.
    pub end: u64,
    /// Whether no more frames will come.
    pub sealed: bool,
    /// Whether it is compressed.
    pub compressed: bool,
    /// Bytes of its file.
    pub file_bytes: u64,
}

impl LogReader {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { of: shared }
    }

    /// What the log is now, with all that another process has added where it follows one.
    fn shared(&self) -> &Shared {
        self.of.catch_up();
        &self.of
    }

    /// Whether the log was closed, so that others may have changed its files since.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.of.is_closed()
    }

    /// Where the next frame will start.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.shared().head()
    }

    /// Position of the oldest frame kept.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.shared().segments().first().map_or(0, |segment| segment.header.start)
    }

    /// Position up to which everything is durable.
    #[must_use]
    pub fn synced(&self) -> u64 {
        self.shared().synced()
    }

    /// The segments, oldest first, but those that are pruned meanwhile.
    pub fn segments(&self) -> Result<Vec<SegmentInfo>, LogError> {
        let segments = self.shared().segments();
        let info = |segment: &Arc<Segment>| {
            let opened = self.of.opened(segment)?;
            Ok(SegmentInfo {
                number: segment.header.number,
                start: segment.header.start,
                end: self.of.end_of(segment),
                sealed: segment.end().is_some(),
                compressed: opened.is_packed(),
                file_bytes: opened.file.len()?,
            })
        };
        let is_there = |info: &Result<_, _>| !matches!(info, Err(LogError::HistoryPruned { .. }));
        segments.iter().map(info).filter(is_there).collect()
    }

    /// The frames from the one at position `from` up to position `to`, or to where the log ends now, in order and
    /// verified. `from` is the start of a frame.
    #[must_use]
    pub fn frames(&self, from: u64, to: u64) -> Frames {
        let to = to.min(self.head());
        Frames { cursor: Cursor::new(self.clone(), READ_AHEAD), at: from, to, before: None }
    }

    /// The frame at `position`, verified.
    pub fn frame(&self, position: u64) -> Result<Frame, LogError> {
        let mut cursor = Cursor::new(self.clone(), ONE_FRAME);
        let (head, body) = cursor.frame(position, None)?;
        Ok(Frame { head, body: body.to_vec() })
    }

    /// The frames at these positions, which ascend, verified; those that lie close together are read together.
    #[must_use]
    pub fn frames_at(&self, positions: Vec<u64>) -> FramesAt {
        FramesAt { cursor: Cursor::new(self.clone(), ONE_FRAME), positions, next: 0 }
    }

    /// The header of the frame at `position`; its body is not read.
    pub fn frame_head(&self, position: u64) -> Result<FrameHead, LogError> {
        let (segment, opened) = self.place(position)?;
        let head = Window::new(HEADER).head(&opened, position, self.of.end_of(&segment))?;
        head.ok_or_else(|| segment.corrupt(position, "the frame's header is damaged"))
    }

    fn place(&self, position: u64) -> Result<(Arc<Segment>, Arc<Opened>), LogError> {
        let segments = self.shared().segments();
        let start = segments.first().map_or(0, |segment| segment.header.start);
        if position < start {
            return Err(LogError::HistoryPruned { position, start });
        }
        let head = self.head();
        match self.of.segment_of(&segments, position) {
            Some(segment) if position < head => {
                let opened = self.of.opened(&segment)?;
                Ok((segment, opened))
            }
            _ => Err(LogError::NoSuchFrame { position, head }),
        }
    }

    /// Positions that the index of each segment gives of what lies between `from` and `to`, in order.
    fn collect(
        &self,
        from: u64,
        to: u64,
        question: impl Fn(&dyn Index, Range<u64>) -> Vec<u64>,
    ) -> Result<Vec<u64>, LogError> {
        let mut positions = Vec::new();
        for segment in self.shared().segments().iter() {
            if segment.header.start < to && self.of.end_of(segment) > from {
                let found = self.ask(segment, &|index| question(index, from..to))?;
                positions.extend(found.unwrap_or_default());
            }
        }
        Ok(positions)
    }

    fn ask<T>(&self, segment: &Segment, question: &impl Fn(&dyn Index) -> T) -> Result<Option<T>, LogError> {
        self.of.ask(segment, question)
    }

    /// Positions of the frames that change a page, from `from` up to `to`.
    pub fn frames_of_page(&self, page: PageId, from: u64, to: u64) -> Result<Vec<u64>, LogError> {
        self.collect(from, to, |index, within| index.page(page, within))
    }

    /// Positions of the frames that a source wrote, from `from` up to `to`.
    pub fn frames_of_source(&self, source: &str, from: u64, to: u64) -> Result<Vec<u64>, LogError> {
        self.collect(from, to, |index, within| index.source(source, within))
    }

    /// Positions of the frames that change the catalog, from `from` up to `to`.
    pub fn catalog_frames(&self, from: u64, to: u64) -> Result<Vec<u64>, LogError> {
        self.collect(from, to, |index, within| index.catalog(within))
    }

    /// Positions of a branch's commits, from `from` up to `to`.
    pub fn frames_of_branch(&self, branch: BranchId, from: u64, to: u64) -> Result<Vec<u64>, LogError> {
        self.collect(from, to, |index, within| {
            let count = index.commits(branch).map_or(0, |commits| commits.count);
            let commits = (0..count).filter_map(|nth| index.commit(branch, nth));
            commits.filter(|at| within.contains(at)).collect()
        })
    }

    /// Position of the commit that made this epoch of the branch, if it is kept.
    pub fn commit_of(&self, branch: BranchId, epoch: Epoch) -> Result<Option<u64>, LogError> {
        let segments = self.shared().segments();
        for segment in segments.iter().rev() {
            let Some(commits) = self.ask(segment, &|index| index.commits(branch))?.flatten() else {
                continue;
            };
            if epoch > commits.last {
                return Ok(None);
            }
            if epoch < commits.first {
                continue;
            }
            // A branch's epochs follow one another, so the nth commit is the one.
            let nth = (epoch.0 - commits.first.0) as usize;
            let Some(position) = self.ask(segment, &|index| index.commit(branch, nth))?.flatten() else {
                return Ok(None);
            };
            let head = self.frame_head(position)?;
            return Ok((head.epoch == epoch && head.branch == branch).then_some(position));
        }
        Ok(None)
    }

    /// Position of the first frame whose time is `time` (UTC nanoseconds) or later, if there is one.
    pub fn first_at(&self, time: u64) -> Result<Option<u64>, LogError> {
        self.first(|head| head.time >= time)
    }

    /// The header of the frame of this number, if it is kept.
    pub fn head_of(&self, seq: Seq) -> Result<Option<FrameHead>, LogError> {
        let Some(position) = self.first(|head| head.seq >= seq)? else { return Ok(None) };
        let head = self.frame_head(position)?;
        Ok((head.seq == seq).then_some(head))
    }

    /// Position of the first frame that is `late`, which all behind it are too.
    fn first(&self, late: impl Fn(&FrameHead) -> bool) -> Result<Option<u64>, LogError> {
        let segments = self.shared().segments();
        let head = self.head();
        let later = |position: u64| Ok::<_, LogError>(late(&self.frame_head(position)?));
        // The last segment whose first frame is earlier, then the first later frame in it.
        let (mut low, mut high) = (0, segments.partition_point(|segment| segment.header.start < head));
        while low < high {
            let middle = low + (high - low) / 2;
            if later(segments[middle].header.start)? { high = middle } else { low = middle + 1 }
        }
        let Some(before) = low.checked_sub(1) else { return Ok((head > self.start()).then(|| self.start())) };
        let segment = &segments[before];
        let frames = self.ask(segment, &|index| index.frames())?.unwrap_or(0);
        let nth = |number: usize| -> Result<u64, LogError> {
            let position = self.ask(segment, &|index| index.frame(number))?.flatten();
            position.ok_or_else(|| segment.corrupt(segment.header.start, "the segment's footer is damaged"))
        };
        let (mut low, mut high) = (0, frames);
        while low < high {
            let middle = low + (high - low) / 2;
            if later(nth(middle)?)? { high = middle } else { low = middle + 1 }
        }
        if low < frames {
            return nth(low).map(Some);
        }
        Ok(self.next_start(&segments, before).filter(|&position| position < head))
    }

    fn next_start(&self, segments: &Segments, before: usize) -> Option<u64> {
        segments.get(before + 1).map(|segment| segment.header.start)
    }
}

/// A place in the log, with what was read around it.
#[derive(Debug)]
struct Cursor {
    reader: LogReader,
    place: Option<(Arc<Segment>, Arc<Opened>, u64)>,
    window: Window,
}

impl Cursor {
    const fn new(reader: LogReader, ahead: usize) -> Self {
        Self { reader, place: None, window: Window::new(ahead) }
    }

    /// The frame at a position, verified; it follows one with the header CRC `before`, where that is known.
    #[inline(always)]
    fn frame(&mut self, at: u64, before: Option<u32>) -> Result<(FrameHead, &[u8]), LogError> {
        let here = |(segment, _, end): &(Arc<Segment>, _, u64)| (segment.header.start..*end).contains(&at);
        if !self.place.as_ref().is_some_and(here) {
            let (segment, opened) = self.reader.place(at)?;
            let end = self.reader.of.end_of(&segment);
            self.place = Some((segment, opened, end));
            self.window.clear();
        }
        let Some((segment, opened, end)) = &self.place else {
            return Err(LogError::NoSuchFrame { position: at, head: self.reader.head() });
        };
        match self.window.frame(opened, at, *end)? {
            Some((head, body)) if before.is_none_or(|before| before == head.before) => Ok((head, body)),
            _ => Err(segment.corrupt(at, "the frame is damaged")),
        }
    }
}

/// Frames in order. Not an [`Iterator`]: each frame is lent from the reader's own memory.
#[derive(Debug)]
pub struct Frames {
    cursor: Cursor,
    at: u64,
    to: u64,
    /// Header CRC of the frame read last.
    before: Option<u32>,
}

impl Frames {
    /// Position of the next frame.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.at
    }

    /// The next frame's header and body; `None` at the end. After an error it says the same again.
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<(FrameHead, &[u8])>, LogError> {
        if self.at >= self.to {
            return Ok(None);
        }
        let (head, body) = self.cursor.frame(self.at, self.before)?;
        self.at = head.end();
        self.before = Some(head.crc);
        Ok(Some((head, body)))
    }
}

/// The frames at some positions, in order, lent as [`Frames`] lends them.
#[derive(Debug)]
pub struct FramesAt {
    cursor: Cursor,
    positions: Vec<u64>,
    next: usize,
}

impl FramesAt {
    /// The next frame's header and body; `None` at the end.
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<(FrameHead, &[u8])>, LogError> {
        let Some(&at) = self.positions.get(self.next) else { return Ok(None) };
        if !self.cursor.window.holds(at) {
            let near = |pair: &&[u64]| pair[1] - pair[0] <= GAP && pair[1] - at < READ_AHEAD as u64;
            let rest = &self.positions[self.next..];
            let last = rest[rest.windows(2).take_while(near).count()];
            self.cursor.window.set_ahead((last - at) as usize + ONE_FRAME);
        }
        self.next += 1;
        self.cursor.frame(at, None).map(Some)
    }
}
