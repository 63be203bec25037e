//! The footer: the index of a sealed segment, used as the bytes it is. See `docs/bytes.md`, "Footer".

use crate::base::codec::{Reader, Writer};
use crate::base::crc::crc32c;
use crate::base::ids::{BranchId, Epoch, PageId};
use crate::memory::disk::{DiskError, DiskFile};
use crate::page::log::index::{Commits, Index};
use crate::page::log::segment::SegmentHeader;
use std::ops::Range;

const MAGIC: [u8; 8] = *b"mmsbfoot";
const END: [u8; 4] = *b"foot";
/// Bytes before the tables.
pub(crate) const HEAD: usize = 96;
/// Bytes from the length on.
pub(crate) const TRAILER: usize = 16;
/// Bytes of an entry of each table.
pub(crate) const FRAME: usize = 4;
pub(crate) const BRANCH: usize = 32;
pub(crate) const PAGE: usize = 16;
pub(crate) const SOURCE: usize = 12;
pub(crate) const ITEM: usize = 4;

/// A valid footer.
#[derive(Debug)]
pub(crate) struct Footer {
    bytes: Vec<u8>,
    start: u64,
    pub end: u64,
    /// Position of the last frame.
    pub last: u64,
    /// Header CRC of the last frame.
    pub last_crc: u32,
    tables: Tables,
}

/// Entries and first bytes of the tables.
#[derive(Clone, Copy, Debug, Default)]
struct Tables {
    frames: usize,
    branches: usize,
    pages: usize,
    sources: usize,
    catalog: usize,
    items: usize,
    branches_at: usize,
    pages_at: usize,
    sources_at: usize,
    items_at: usize,
    names_at: usize,
}

impl Tables {
    /// Lays the tables out; `None` if they and `names` bytes do not fill `length` bytes.
    fn lay_out(counts: [u32; 6], names: usize, length: usize) -> Option<Self> {
        let [frames, branches, pages, sources, catalog, items] = counts.map(|count| count as usize);
        let branches_at = HEAD + frames * FRAME;
        let pages_at = branches_at + branches * BRANCH;
        let sources_at = pages_at + pages * PAGE;
        let items_at = sources_at + sources * SOURCE;
        let names_at = items_at + items * ITEM;
        let whole = (names_at + names).next_multiple_of(8) + TRAILER;
        (whole == length && catalog <= items).then_some(Self {
            frames,
            branches,
            pages,
            sources,
            catalog,
            items,
            branches_at,
            pages_at,
            sources_at,
            items_at,
            names_at,
        })
    }
}

/// Appends length, CRC and mark to a footer.
pub(crate) fn close(mut out: Writer) -> Vec<u8> {
    out.pad(8);
    out.u64((out.len() + TRAILER) as u64);
    out.u32(crc32c(out.as_slice()));
    out.raw(&END);
    out.into_vec()
}

/// The magic, to start a footer with.
pub(crate) fn open(capacity: usize) -> Writer {
    let mut out = Writer::with_capacity(capacity);
    out.raw(&MAGIC);
    out
}

impl Footer {
    /// Reads the footer at the end of a file; `None` if there is none of this segment.
    pub fn read(file: &dyn DiskFile, header: &SegmentHeader) -> Result<Option<Self>, DiskError> {
        let (whole, mut trailer) = (file.len()?, [0; TRAILER]);
        let Some(at) = whole.checked_sub(TRAILER as u64) else { return Ok(None) };
        if file.read_full_at(&mut trailer, at)? < TRAILER || trailer[12..] != END {
            return Ok(None);
        }
        let length = Reader::new(&trailer).u64().unwrap_or(u64::MAX);
        if length < (HEAD + TRAILER) as u64 || length > whole {
            return Ok(None);
        }
        let mut bytes = vec![0; length as usize];
        if file.read_full_at(&mut bytes, whole - length)? < bytes.len() {
            return Ok(None);
        }
        Ok(Self::parse(bytes, header))
    }

    /// Takes these bytes for a footer of the segment, if they are one.
    pub fn parse(bytes: Vec<u8>, header: &SegmentHeader) -> Option<Self> {
        let body = bytes.len().checked_sub(8)?;
        let mut end = Reader::new(&bytes[body..]);
        if end.u32().ok()? != crc32c(&bytes[..body]) {
            return None;
        }
        let mut input = Reader::new(&bytes);
        let named = input.raw(8).ok()? == MAGIC
            && input.u64().ok()? == header.number
            && input.u64().ok()? == header.salt
            && input.u64().ok()? == header.start;
        if !named {
            return None;
        }
        let (end, last) = (input.u64().ok()?, input.u64().ok()?);
        let _times = (input.u64().ok()?, input.u64().ok()?);
        let last_crc = input.u32().ok()?;
        let mut counts = [0; 6];
        for count in &mut counts {
            *count = input.u32().ok()?;
        }
        let names = input.u32().ok()? as usize;
        if last < header.start || last >= end {
            return None;
        }
        let tables = Tables::lay_out(counts, names, bytes.len())?;
        Some(Self { start: header.start, end, last, last_crc, tables, bytes })
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn u32_at(&self, at: usize) -> u32 {
        Reader::new(self.bytes.get(at..).unwrap_or_default()).u32().unwrap_or_default()
    }

    fn u64_at(&self, at: usize) -> u64 {
        Reader::new(self.bytes.get(at..).unwrap_or_default()).u64().unwrap_or_default()
    }

    /// Positions of the frames that a list names, as many as lie within these.
    fn positions(&self, first: usize, count: usize, within: Range<u64>) -> Vec<u64> {
        let end = first.saturating_add(count).min(self.tables.items);
        let before = |position: u64, item| self.item(item).is_some_and(|at| at < position);
        let from = partition(first, end, |item| before(within.start, item));
        let to = partition(from, end, |item| before(within.end, item));
        (from..to).filter_map(|item| self.item(item)).collect()
    }

    fn item(&self, item: usize) -> Option<u64> {
        self.frame(self.u32_at(self.tables.items_at + item * ITEM) as usize)
    }

    /// First byte of the branch's entry in the table.
    fn branch(&self, branch: BranchId) -> Option<usize> {
        let at = |entry: usize| self.tables.branches_at + entry * BRANCH;
        search(self.tables.branches, |entry| u64::from(self.u32_at(at(entry))), branch.0.into()).map(at)
    }
}

/// The entry of a sorted table whose key is `wanted`.
fn search(entries: usize, key: impl Fn(usize) -> u64, wanted: u64) -> Option<usize> {
    let found = partition(0, entries, |entry| key(entry) < wanted);
    (found < entries && key(found) == wanted).then_some(found)
}

/// The first of the numbers from `low` up to `high` that is not `early`, as none behind it is; `high` if all are.
fn partition(mut low: usize, mut high: usize, early: impl Fn(usize) -> bool) -> usize {
    while low < high {
        let middle = low + (high - low) / 2;
        if early(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

impl Index for Footer {
    fn frames(&self) -> usize {
        self.tables.frames
    }

    fn frame(&self, number: usize) -> Option<u64> {
        (number < self.tables.frames).then(|| self.start + u64::from(self.u32_at(HEAD + number * FRAME)) * 8)
    }

    fn page(&self, page: PageId, within: Range<u64>) -> Vec<u64> {
        let at = |entry: usize| self.tables.pages_at + entry * PAGE;
        let Some(entry) = search(self.tables.pages, |entry| self.u64_at(at(entry)), page.0) else {
            return Vec::new();
        };
        self.positions(self.u32_at(at(entry) + 12) as usize, self.u32_at(at(entry) + 8) as usize, within)
    }

    fn commits(&self, branch: BranchId) -> Option<Commits> {
        let at = self.branch(branch)?;
        let (first, last) = (Epoch(self.u64_at(at + 8)), Epoch(self.u64_at(at + 16)));
        Some(Commits { first, last, count: self.u32_at(at + 4) as usize })
    }

    fn commit(&self, branch: BranchId, nth: usize) -> Option<u64> {
        let at = self.branch(branch)?;
        if nth < self.u32_at(at + 4) as usize { self.item(self.u32_at(at + 24) as usize + nth) } else { None }
    }

    fn source(&self, source: &str, within: Range<u64>) -> Vec<u64> {
        let mut name_at = self.tables.names_at;
        for entry in 0..self.tables.sources {
            let at = self.tables.sources_at + entry * SOURCE;
            let name_end = name_at + self.u32_at(at + 8) as usize;
            if self.bytes.get(name_at..name_end) == Some(source.as_bytes()) {
                return self.positions(self.u32_at(at + 4) as usize, self.u32_at(at) as usize, within);
            }
            name_at = name_end;
        }
        Vec::new()
    }

    fn catalog(&self, within: Range<u64>) -> Vec<u64> {
        self.positions(self.tables.items - self.tables.catalog, self.tables.catalog, within)
    }
}
