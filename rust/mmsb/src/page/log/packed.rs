//! Compressed segments: zstd blocks of 256 KiB and a table of them. See `docs/bytes.md`, "Compressed segment".

use crate::base::codec::{Reader, Writer};
use crate::base::crc::crc32c;
use crate::base::limits::LOG_BLOCK;
use crate::memory::disk::{DiskError, DiskFile};
use crate::page::log::segment::{HEAD, SegmentHeader};
use std::sync::{Arc, Mutex, PoisonError};

const MAGIC: [u8; 8] = *b"mmsbzsg\x01";
/// zstd's own default: twice as fast as the levels above it, and nearly as small.
const LEVEL: i32 = 3;
/// Bytes of one entry of the table.
const ENTRY: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Block {
    at: u64,
    length: u32,
    crc: u32,
}

/// The block table of a compressed segment, and the block read last.
#[derive(Debug)]
pub(crate) struct Blocks {
    /// Position behind the last frame.
    pub end: u64,
    length: u64,
    table: Vec<Block>,
    recent: Mutex<Option<(usize, Arc<Vec<u8>>)>>,
}

impl Blocks {
    /// Reads the header and the table; `None` if the file is no compressed segment.
    pub fn open(file: &dyn DiskFile, number: u64) -> Result<Option<(SegmentHeader, Self)>, DiskError> {
        let mut bytes = [0; HEAD];
        let read = file.read_full_at(&mut bytes, 0)?;
        let Some((header, blocks, end, at, crc)) = read_head(&bytes[..read], number) else { return Ok(None) };
        let Some(length) = end.checked_sub(header.start) else { return Ok(None) };
        if u64::from(blocks) != length.div_ceil(LOG_BLOCK)
            || file.len()?.saturating_sub(at) < u64::from(blocks) * ENTRY as u64
        {
            return Ok(None);
        }
        let mut bytes = vec![0; blocks as usize * ENTRY];
        let read = file.read_full_at(&mut bytes, at)?;
        if read < bytes.len() || crc32c(&bytes) != crc {
            return Ok(None);
        }
        let mut input = Reader::new(&bytes);
        let mut table = Vec::with_capacity(blocks as usize);
        while let (Ok(at), Ok(length), Ok(crc)) = (input.u64(), input.u32(), input.u32()) {
            table.push(Block { at, length, crc });
        }
        Ok(Some((header, Self { end, length, table, recent: Mutex::new(None) })))
    }

    /// Reads from `offset` of the segment's frames on, until `into` is full or they end, or a block is damaged.
    pub fn read(&self, file: &dyn DiskFile, into: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let mut read = 0;
        while read < into.len() && offset + (read as u64) < self.length {
            let at = offset + read as u64;
            let Some(block) = self.block(file, (at / LOG_BLOCK) as usize)? else { break };
            let bytes = &block[(at % LOG_BLOCK) as usize..];
            let count = bytes.len().min(into.len() - read);
            into[read..read + count].copy_from_slice(&bytes[..count]);
            read += count;
        }
        Ok(read)
    }

    fn block(&self, file: &dyn DiskFile, index: usize) -> Result<Option<Arc<Vec<u8>>>, DiskError> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, bytes)) = recent.filter(|(recent, _)| *recent == index) {
            return Ok(Some(bytes));
        }
        let Some(block) = self.table.get(index) else { return Ok(None) };
        let mut packed = vec![0; block.length as usize];
        if file.read_full_at(&mut packed, block.at)? < packed.len() || crc32c(&packed) != block.crc {
            return Ok(None);
        }
        let wanted = (self.length - index as u64 * LOG_BLOCK).min(LOG_BLOCK) as usize;
        let bytes = match zstd::bulk::decompress(&packed, wanted) {
            Ok(bytes) if bytes.len() == wanted => Arc::new(bytes),
            _ => return Ok(None),
        };
        *self.recent.lock().unwrap_or_else(PoisonError::into_inner) = Some((index, Arc::clone(&bytes)));
        Ok(Some(bytes))
    }
}

fn read_head(bytes: &[u8], number: u64) -> Option<(SegmentHeader, u32, u64, u64, u32)> {
    let (header, mut input) = SegmentHeader::read_stem(bytes, MAGIC)?;
    let (blocks, end, at) = (input.u32().ok()?, input.u64().ok()?, input.u64().ok()?);
    (header.number == number && header.start % 8 == 0).then_some((header, blocks, end, at, input.u32().ok()?))
}

/// Writes a compressed segment into an empty file, block by block.
pub(crate) struct Packer<'a> {
    file: &'a dyn DiskFile,
    at: u64,
    table: Writer,
    packed: Vec<u8>,
}

impl<'a> Packer<'a> {
    pub fn new(file: &'a dyn DiskFile) -> Self {
        Self { file, at: HEAD as u64, table: Writer::new(), packed: Vec::new() }
    }

    /// The next block: 256 KiB of frames, fewer in the last one.
    pub fn block(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        let error = |source| DiskError::of(source, "a segment", "compress", bytes.len() as u64);
        self.packed.resize(zstd::zstd_safe::compress_bound(bytes.len()), 0);
        let length = zstd::bulk::compress_to_buffer(bytes, &mut self.packed[..], LEVEL).map_err(error)?;
        let packed = &self.packed[..length];
        self.file.write_at(packed, self.at)?;
        self.table.u64(self.at);
        self.table.u32(length as u32);
        self.table.u32(crc32c(packed));
        self.at += length as u64;
        Ok(())
    }

    /// The table, the footer and the header.
    pub fn finish(self, header: &SegmentHeader, end: u64, footer: &[u8]) -> Result<(), DiskError> {
        let table = self.table.as_slice();
        self.file.write_at(table, self.at)?;
        self.file.write_at(footer, self.at + table.len() as u64)?;
        let mut bytes = header.stem(MAGIC);
        bytes[36..40].copy_from_slice(&((table.len() / ENTRY) as u32).to_le_bytes());
        bytes[40..48].copy_from_slice(&end.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.at.to_le_bytes());
        bytes[56..60].copy_from_slice(&crc32c(table).to_le_bytes());
        let crc = crc32c(&bytes[..HEAD - 4]);
        bytes[HEAD - 4..].copy_from_slice(&crc.to_le_bytes());
        self.file.write_at(&bytes, 0)?;
        self.file.sync_data()
    }
}
