//! One segment: a file of the log, plain or compressed, read by position. See `docs/bytes.md`, "Segment".

use crate::base::codec::Reader;
use crate::base::crc::crc32c;
use crate::memory::disk::{Disk, DiskError, DiskFile, Open};
use crate::page::log::error::LogError;
use crate::page::log::footer::Footer;
use crate::page::log::packed::Blocks;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The directory of the segments.
pub(crate) const DIR: &str = "log";
/// Bytes before the first frame of a plain segment.
pub(crate) const HEADER: u64 = 4096;
/// The second copy of the header.
const COPY: usize = 2048;
/// Bytes of one copy.
pub(crate) const HEAD: usize = 64;
const MAGIC: [u8; 8] = *b"mmsbseg\x01";
/// `end` of the segment that is written to.
const OPEN: u64 = u64::MAX;

/// What a file in `log/` is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Plain(u64),
    Packed(u64),
    /// Left over from something unfinished.
    Unfinished,
    /// Not ours.
    Foreign,
}

impl FileKind {
    pub fn of(name: &str) -> Self {
        let number = |stem: &str| stem.parse().ok().filter(|&number| format!("{number:010}") == stem);
        let (stem, extension) = name.split_once('.').unwrap_or((name, ""));
        match (number(stem), extension) {
            (Some(number), "seg") => Self::Plain(number),
            (Some(number), "zseg") => Self::Packed(number),
            (Some(_), "zseg.new") => Self::Unfinished,
            _ => Self::Foreign,
        }
    }
}

/// Path of a segment.
pub(crate) fn path(number: u64, packed: bool) -> String {
    format!("{DIR}/{number:010}.{}", if packed { "zseg" } else { "seg" })
}

/// What the header of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub number: u64,
    /// Position of its first frame.
    pub start: u64,
    pub salt: u64,
    /// Header CRC of the frame before `start`.
    pub before: u32,
}

impl SegmentHeader {
    /// The first 36 bytes, shared with compressed segments.
    pub fn stem(&self, magic: [u8; 8]) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..8].copy_from_slice(&magic);
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.start.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.salt.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.before.to_le_bytes());
        bytes
    }

    /// Reads one copy, whatever its kind: the header, and a reader at byte 36.
    pub fn read_stem(copy: &[u8], magic: [u8; 8]) -> Option<(Self, Reader<'_>)> {
        let (body, crc) = copy.get(..HEAD)?.split_at(HEAD - 4);
        if Reader::new(crc).u32().ok()? != crc32c(body) {
            return None;
        }
        let mut input = Reader::new(body);
        if input.raw(8).ok()? != magic {
            return None;
        }
        let (number, start, salt) = (input.u64().ok()?, input.u64().ok()?, input.u64().ok()?);
        Some((Self { number, start, salt, before: input.u32().ok()? }, input))
    }

    /// The bytes before the first frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut copy = self.stem(MAGIC);
        let crc = crc32c(&copy[..HEAD - 4]);
        copy[HEAD - 4..].copy_from_slice(&crc.to_le_bytes());
        let mut bytes = vec![0; HEADER as usize];
        bytes[..HEAD].copy_from_slice(&copy);
        bytes[COPY..COPY + HEAD].copy_from_slice(&copy);
        bytes
    }

    /// The header in the first bytes of file `number`, if there is one.
    pub fn decode(bytes: &[u8], number: u64) -> Option<Self> {
        [0, COPY].into_iter().find_map(|at| Self::copy(bytes, at, number))
    }

    fn copy(bytes: &[u8], at: usize, number: u64) -> Option<Self> {
        let (header, _) = Self::read_stem(bytes.get(at..)?, MAGIC)?;
        (header.number == number && header.start % 8 == 0).then_some(header)
    }

    /// The first byte of a copy of this header that is damaged, in the first bytes of its file.
    fn hurt(&self, bytes: &[u8]) -> Option<u64> {
        let whole = |at: &usize| Self::copy(bytes, *at, self.number).as_ref() == Some(self);
        [0, COPY].into_iter().find(|at| !whole(at)).map(|at| at as u64)
    }

    /// Writes the copy at this byte of its file anew, durably. The other one is left alone, so that one is always whole.
    pub fn restore(&self, file: &dyn DiskFile, at: u64) -> Result<(), DiskError> {
        file.write_at(&self.encode()[..HEAD], at)?;
        file.sync_data()
    }
}

/// A segment that belongs to the log.
#[derive(Debug)]
pub(crate) struct Segment {
    pub header: SegmentHeader,
    /// Whether it lies in a compressed file.
    pub packed: bool,
    end: AtomicU64,
    /// Its file for writing and syncing, until everything of it is durable.
    file: Mutex<Option<Arc<dyn DiskFile>>>,
    /// Its footer, where the file has none.
    pub rebuilt: OnceLock<Arc<Footer>>,
}

impl Segment {
    /// The segment that is written to.
    pub fn open(header: SegmentHeader, file: Option<Arc<dyn DiskFile>>) -> Self {
        let (end, file) = (AtomicU64::new(OPEN), Mutex::new(file));
        Self { header, packed: false, end, file, rebuilt: OnceLock::new() }
    }

    /// A durable one that ends at `end`.
    pub fn sealed(header: SegmentHeader, end: u64, packed: bool) -> Self {
        let end = AtomicU64::new(end);
        Self { header, packed, end, file: Mutex::new(None), rebuilt: OnceLock::new() }
    }

    pub fn path(&self) -> String {
        path(self.header.number, self.packed)
    }

    /// Where its last frame ends, once it is sealed.
    pub fn end(&self) -> Option<u64> {
        Some(self.end.load(Ordering::Acquire)).filter(|&end| end != OPEN)
    }

    /// No more frames come.
    pub fn seal(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }

    pub fn file(&self) -> MutexGuard<'_, Option<Arc<dyn DiskFile>>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Byte of the file at which `position` lies.
    pub fn offset(&self, position: u64) -> u64 {
        if self.packed { position - self.header.start } else { HEADER + (position - self.header.start) }
    }

    /// The error for damage at `position`.
    pub fn corrupt(&self, position: u64, what: &'static str) -> LogError {
        let (segment, offset) = (self.header.number, self.offset(position));
        LogError::CorruptLog { segment, offset, position, what }
    }
}

/// A segment's file, open for reading.
#[derive(Debug)]
pub(crate) struct Opened {
    pub header: SegmentHeader,
    /// Where a copy of its header is damaged, of which the other is whole.
    pub hurt: Option<u64>,
    pub file: Arc<dyn DiskFile>,
    /// `None` in a plain segment.
    pub blocks: Option<Blocks>,
    footer: OnceLock<Option<Arc<Footer>>>,
}

impl Opened {
    /// Opens a file of the log, or the compressed one that has taken its place since somebody saw it. `None` if it
    /// holds no segment; [`DiskError::NotFound`] if it was removed.
    pub fn open(disk: &dyn Disk, number: u64, packed: bool) -> Result<Option<Self>, DiskError> {
        let file = match disk.open(&path(number, packed), Open::Read) {
            Err(gone @ DiskError::NotFound { .. }) if !packed => {
                return match disk.open(&path(number, true), Open::Read) {
                    Err(DiskError::NotFound { .. }) => Err(gone),
                    file => Self::packed(file?, number),
                };
            }
            file => file?,
        };
        if packed {
            return Self::packed(file, number);
        }
        let mut bytes = vec![0; COPY + HEAD];
        let read = file.read_full_at(&mut bytes, 0)?;
        let header = SegmentHeader::decode(&bytes[..read], number);
        Ok(header.map(|header| {
            let hurt = header.hurt(&bytes[..read]);
            Self { header, hurt, file, blocks: None, footer: OnceLock::new() }
        }))
    }

    /// The compressed segment in a file. `None` if it holds none.
    pub fn packed(file: Arc<dyn DiskFile>, number: u64) -> Result<Option<Self>, DiskError> {
        let found = Blocks::open(&*file, number)?;
        Ok(found.map(|(header, blocks)| Self {
            header,
            hurt: None,
            file,
            blocks: Some(blocks),
            footer: OnceLock::new(),
        }))
    }

    /// Whether it is compressed.
    pub const fn is_packed(&self) -> bool {
        self.blocks.is_some()
    }

    /// Position behind the last byte that a frame could use.
    pub fn limit(&self) -> Result<u64, DiskError> {
        match &self.blocks {
            Some(blocks) => Ok(blocks.end),
            None => Ok(self.header.start + self.file.len()?.saturating_sub(HEADER)),
        }
    }

    /// Reads from `position` on until `into` is full or the file ends.
    pub fn read(&self, into: &mut [u8], position: u64) -> Result<usize, DiskError> {
        let offset = position - self.header.start;
        match &self.blocks {
            Some(blocks) => blocks.read(&*self.file, into, offset),
            None => self.file.read_full_at(into, HEADER + offset),
        }
    }

    /// Reads exactly `into` from `position` on; whether there was that much.
    pub fn read_exact(&self, into: &mut [u8], position: u64) -> Result<bool, DiskError> {
        Ok(self.read(into, position)? == into.len())
    }

    /// The footer at the end of the file, if it is one of this segment.
    pub fn footer(&self) -> Result<Option<Arc<Footer>>, DiskError> {
        if let Some(footer) = self.footer.get() {
            return Ok(footer.clone());
        }
        let footer = Footer::read(&*self.file, &self.header)?.map(Arc::new);
        Ok(self.footer.get_or_init(|| footer).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_a_file_is() {
        assert_eq!(FileKind::of("0000000012.seg"), FileKind::Plain(12));
        assert_eq!(FileKind::of("0000000012.zseg"), FileKind::Packed(12));
        assert_eq!(FileKind::of("0000000012.zseg.new"), FileKind::Unfinished);
        assert_eq!(FileKind::of("12345678901.seg"), FileKind::Plain(12_345_678_901));
        for name in ["12.seg", "x.seg", "0000000012", "0000000012.new", "notes.txt", "+000000012.seg"] {
            assert_eq!(FileKind::of(name), FileKind::Foreign, "{name}");
        }
        assert_eq!(path(3, true), "log/0000000003.zseg");
    }

    #[test]
    fn either_copy_of_the_header_will_do() {
        let header = SegmentHeader { number: 3, start: 800, salt: 5, before: 6 };
        let bytes = header.encode();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&bytes, 3), Some(header), "bit {bit}");
            let copy = [0, COPY].into_iter().find(|at| (*at..at + HEAD).contains(&(bit / 8)));
            assert_eq!(header.hurt(&bytes), copy.map(|at| at as u64), "bit {bit}");
        }
        assert_eq!(SegmentHeader::decode(&bytes, 4), None);
        assert_eq!(SegmentHeader::decode(&[0; 4096], 0), None);
        assert_eq!(SegmentHeader::decode(&bytes[..40], 3), None);
    }
}
