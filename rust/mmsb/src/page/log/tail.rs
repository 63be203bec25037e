//! The index of the segment that is written to, in memory. It becomes the segment's footer.

use crate::base::ids::{BranchId, Epoch, PageId};
use crate::base::spread::Spread;
use crate::page::log::footer::{self, BRANCH, FRAME, HEAD, ITEM, PAGE, SOURCE, TRAILER};
use crate::page::log::frame::{FrameHead, FrameNotes, Kind};
use crate::page::log::index::{Commits, Index};
use crate::page::log::segment::SegmentHeader;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// No earlier touch.
const NONE: u32 = u32::MAX;

/// A frame that changes a page, and the touch of the same page before it.
#[derive(Clone, Copy, Debug)]
struct Touch {
    frame: u32,
    before: u32,
}

#[derive(Debug, Default)]
struct Branch {
    first: u64,
    last: u64,
    commits: Vec<u32>,
}

/// How much there is of everything: what decides the length of the footer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sizes {
    frames: usize,
    branches: usize,
    pages: usize,
    sources: usize,
    items: usize,
    names: usize,
}

impl Sizes {
    /// Whether there is no frame.
    pub const fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Bytes of the footer, had one more frame with these notes been pushed; at most.
    pub fn footer_bytes_with(&self, notes: FrameNotes<'_>) -> u64 {
        let frames = (self.frames + 1) * FRAME;
        let branches = (self.branches + 1) * BRANCH;
        let pages = (self.pages + notes.pages.len()) * PAGE;
        let sources = (self.sources + 1) * SOURCE;
        let items = (self.items + notes.pages.len() + 3) * ITEM;
        let names = self.names + notes.source.map_or(0, str::len);
        ((HEAD + frames + branches + pages + sources + items + names).next_multiple_of(8) + TRAILER) as u64
    }
}

/// The index of a segment's frames so far.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// Number of the segment.
    pub number: u64,
    start: u64,
    salt: u64,
    /// Header CRC of the frame before the first.
    before: u32,
    /// (position - start) / 8 of each frame.
    frames: Vec<u32>,
    first_time: u64,
    last: Option<FrameHead>,
    branches: BTreeMap<u32, Branch>,
    touches: Vec<Touch>,
    newest: HashMap<u64, u32, Spread>,
    sources: BTreeMap<String, Vec<u32>>,
    catalog: Vec<u32>,
    items: usize,
    names: usize,
}

impl Tail {
    pub fn new(header: &SegmentHeader) -> Self {
        let SegmentHeader { number, start, salt, before } = *header;
        Self { number, start, salt, before, ..Self::default() }
    }

    /// Of a log whose last segment has its footer already; `crc` is the header CRC of its last frame.
    pub fn none(crc: u32) -> Self {
        Self { before: crc, ..Self::default() }
    }

    /// The last frame, if there is one.
    pub const fn last(&self) -> Option<&FrameHead> {
        self.last.as_ref()
    }

    pub const fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Header CRC of the last frame there is, here or before.
    pub fn crc(&self) -> u32 {
        self.last.as_ref().map_or(self.before, |last| last.crc)
    }

    /// Takes up the next frame.
    pub fn push(&mut self, head: &FrameHead, notes: FrameNotes<'_>) {
        let frame = self.frames.len() as u32;
        self.frames.push(((head.position - self.start) / 8) as u32);
        if self.last.is_none() {
            self.first_time = head.time;
        }
        self.last = Some(*head);
        if head.kind == Kind::Commit {
            let branch = self.branches.entry(head.branch.0).or_default();
            if branch.commits.is_empty() {
                branch.first = head.epoch.0;
            }
            branch.last = head.epoch.0;
            branch.commits.push(frame);
            self.items += 1;
        }
        for &PageId(page) in notes.pages {
            self.touch(page, frame);
        }
        if let Some(source) = notes.source {
            match self.sources.get_mut(source) {
                Some(frames) => frames.push(frame),
                None => {
                    self.names += source.len();
                    self.sources.insert(source.to_owned(), vec![frame]);
                }
            }
            self.items += 1;
        }
        if notes.catalog {
            self.catalog.push(frame);
            self.items += 1;
        }
    }

    fn touch(&mut self, page: u64, frame: u32) {
        let touch = self.touches.len() as u32;
        let newest = self.newest.entry(page).or_insert(NONE);
        if self.touches.get(*newest as usize).is_some_and(|before| before.frame == frame) {
            return;
        }
        self.touches.push(Touch { frame, before: *newest });
        *newest = touch;
        self.items += 1;
    }

    /// How much there is of everything.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            frames: self.frames.len(),
            branches: self.branches.len(),
            pages: self.newest.len(),
            sources: self.sources.len(),
            items: self.items,
            names: self.names,
        }
    }

    /// The footer; `None` without frames.
    pub fn footer(&self) -> Option<Vec<u8>> {
        let last = self.last?;
        let mut out = footer::open(self.sizes().footer_bytes_with(FrameNotes::default()) as usize);
        for word in
            [self.number, self.salt, self.start, last.end(), last.position, self.first_time, last.time]
        {
            out.u64(word);
        }
        out.u32(last.crc);
        let (pages, sources) = (self.newest.len(), self.sources.len());
        let counts = [
            self.frames.len(),
            self.branches.len(),
            pages,
            sources,
            self.catalog.len(),
            self.items,
            self.names,
        ];
        for count in counts {
            out.u32(count as u32);
        }
        self.frames.iter().for_each(|&frame| out.u32(frame));
        let mut item = 0u32;
        for (&id, branch) in &self.branches {
            out.u32(id);
            out.u32(branch.commits.len() as u32);
            out.u64(branch.first);
            out.u64(branch.last);
            out.u64(item.into());
            item += branch.commits.len() as u32;
        }
        let mut newest: Vec<(u64, u32)> = self.newest.iter().map(|(&page, &touch)| (page, touch)).collect();
        newest.sort_unstable();
        let mut touched = Vec::with_capacity(self.touches.len());
        for (page, mut at) in newest {
            let from = touched.len();
            while let Some(touch) = self.touches.get(at as usize) {
                touched.push(touch.frame);
                at = touch.before;
            }
            touched[from..].reverse();
            let count = (touched.len() - from) as u32;
            out.u64(page);
            out.u32(count);
            out.u32(item);
            item += count;
        }
        for (name, frames) in &self.sources {
            out.u32(frames.len() as u32);
            out.u32(item);
            out.u32(name.len() as u32);
            item += frames.len() as u32;
        }
        let commits = self.branches.values().flat_map(|branch| branch.commits.iter().copied());
        let written = self.sources.values().flat_map(|frames| frames.iter().copied());
        for frame in commits.chain(touched).chain(written).chain(self.catalog.iter().copied()) {
            out.u32(frame);
        }
        self.sources.keys().for_each(|name| out.raw(name.as_bytes()));
        Some(footer::close(out))
    }

    /// Which frames start within these positions.
    fn within(&self, positions: Range<u64>) -> Range<u32> {
        let before = |position| {
            self.frames.partition_point(|&eighths| self.start + u64::from(eighths) * 8 < position) as u32
        };
        before(positions.start)..before(positions.end)
    }

    fn positions(&self, frames: &[u32], within: Range<u64>) -> Vec<u64> {
        let within = self.within(within);
        let before = |number| frames.partition_point(|&frame| frame < number);
        let (from, to) = (before(within.start), before(within.end));
        // An empty range may end before it starts.
        let frames = frames.get(from..to).unwrap_or_default();
        frames.iter().filter_map(|&frame| self.frame(frame as usize)).collect()
    }
}

impl Index for Tail {
    fn frames(&self) -> usize {
        self.frames.len()
    }

    fn frame(&self, number: usize) -> Option<u64> {
        self.frames.get(number).map(|&eighths| self.start + u64::from(eighths) * 8)
    }

    fn page(&self, page: PageId, within: Range<u64>) -> Vec<u64> {
        let (mut positions, within) = (Vec::new(), self.within(within));
        let mut at = self.newest.get(&page.0).copied().unwrap_or(NONE);
        while let Some(touch) = self.touches.get(at as usize).filter(|touch| touch.frame >= within.start) {
            if touch.frame < within.end {
                positions.extend(self.frame(touch.frame as usize));
            }
            at = touch.before;
        }
        positions.reverse();
        positions
    }

    fn commits(&self, branch: BranchId) -> Option<Commits> {
        let branch = self.branches.get(&branch.0)?;
        Some(Commits { first: Epoch(branch.first), last: Epoch(branch.last), count: branch.commits.len() })
    }

    fn commit(&self, branch: BranchId, nth: usize) -> Option<u64> {
        self.frame(*self.branches.get(&branch.0)?.commits.get(nth)? as usize)
    }

    fn source(&self, source: &str, within: Range<u64>) -> Vec<u64> {
        self.sources.get(source).map_or_else(Vec::new, |frames| self.positions(frames, within))
    }

    fn catalog(&self, within: Range<u64>) -> Vec<u64> {
        self.positions(&self.catalog, within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::Seq;
    use crate::page::log::footer::Footer;
    use crate::page::log::frame::Durability;
    use proptest::prelude::*;

    type Row = (u32, bool, Vec<u64>, Option<u8>, bool, u64);

    fn head(position: u64, epoch: u64, row: &Row, number: usize) -> FrameHead {
        FrameHead {
            position,
            seq: Seq(number as u64 + 1),
            epoch: Epoch(epoch),
            branch: BranchId(row.0),
            durability: Durability::Process,
            kind: if row.1 { Kind::Commit } else { Kind::Control },
            synced: 0,
            time: number as u64 * 10,
            length: row.5,
            before: 0,
            body_crc: 0,
            crc: number as u32,
        }
    }

    /// Asks for everything, and for what lies within two positions.
    fn check(index: &dyn Index, rows: &[Row], heads: &[FrameHead], within: &Range<u64>) {
        let having = |want: &dyn Fn(&Row) -> bool| -> Vec<u64> {
            rows.iter().zip(heads).filter(|(row, _)| want(row)).map(|(_, head)| head.position).collect()
        };
        let lists = |list: &dyn Fn(Range<u64>) -> Vec<u64>, want: &dyn Fn(&Row) -> bool| {
            let all = having(want);
            let some: Vec<u64> = all.iter().copied().filter(|at| within.contains(at)).collect();
            assert_eq!((list(0..u64::MAX), list(within.clone())), (all, some));
        };
        assert_eq!(index.frames(), rows.len());
        assert_eq!(index.frame(rows.len()), None);
        for page in 0..6 {
            lists(&|within| index.page(PageId(page), within), &|row| row.2.contains(&page));
        }
        for source in 0..4 {
            lists(&|within| index.source(&format!("s{source}"), within), &|row| row.3 == Some(source));
        }
        lists(&|within| index.catalog(within), &|row| row.4);
        for branch in 0..4 {
            let mine = having(&|row| row.0 == branch && row.1);
            let found = index.commits(BranchId(branch));
            assert_eq!(found.map_or(0, |commits| commits.count), mine.len());
            for nth in 0..=mine.len() {
                assert_eq!(index.commit(BranchId(branch), nth), mine.get(nth).copied());
            }
            if let Some(commits) = found {
                assert_eq!((commits.first, commits.last), (Epoch(1), Epoch(mine.len() as u64)));
            }
        }
    }

    proptest! {
        #[test]
        fn the_tail_and_its_footer_answer_like_a_plain_list(rows in prop::collection::vec(
            (0u32..3, any::<bool>(), prop::collection::vec(0u64..5, 0..4), prop::option::of(0u8..3),
             any::<bool>(), 0u64..40), 0..30),
            (from, to) in (700u64..3000, 700u64..3000),
        ) {
            let header = SegmentHeader { number: 7, start: 800, salt: 99, before: 3 };
            let mut tail = Tail::new(&header);
            let (mut position, mut heads, mut epochs) = (800, Vec::new(), [0u64; 3]);
            for (number, row) in rows.iter().enumerate() {
                let epoch = &mut epochs[row.0 as usize];
                *epoch += u64::from(row.1);
                let head = head(position, *epoch, row, number);
                position = head.end();
                let pages: Vec<PageId> = row.2.iter().copied().map(PageId).collect();
                let source = row.3.map(|source| format!("s{source}"));
                let notes = FrameNotes { pages: &pages, source: source.as_deref(), catalog: row.4 };
                let bound = tail.sizes().footer_bytes_with(notes);
                tail.push(&head, notes);
                prop_assert!(tail.footer().expect("frames").len() as u64 <= bound);
                heads.push(head);
            }
            check(&tail, &rows, &heads, &(from..to));
            let Some(bytes) = tail.footer() else { prop_assert!(rows.is_empty()); return Ok(()) };
            let other = SegmentHeader { salt: 98, ..header };
            prop_assert!(Footer::parse(bytes.clone(), &other).is_none());
            let footer = Footer::parse(bytes.clone(), &header).expect("a footer");
            prop_assert_eq!((footer.end, footer.last), (position, heads[heads.len() - 1].position));
            check(&footer, &rows, &heads, &(from..to));
            let mut flipped = bytes;
            for bit in (0..flipped.len() * 8).step_by(7) {
                flipped[bit / 8] ^= 1 << (bit % 8);
                let found = Footer::parse(flipped.clone(), &header);
                prop_assert!(found.is_none() || bit / 8 >= flipped.len() - TRAILER);
                flipped[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}
