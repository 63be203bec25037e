//! Chunk files: images of chunks and small blocks, written once, side by side. See `docs/bytes.md`, "Chunk file".

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::crc::crc32c;
use crate::memory::disk::{Disk, DiskError, DiskFile, Open};
use crate::page::checkpoint::error::CheckpointError;
use crate::page::checkpoint::store::DIR;

const MAGIC: [u8; 8] = *b"mmsbchk\x01";
/// Bytes before the first image; images start at multiples of it.
pub(crate) const HEADER: usize = 64;
/// Bytes written or read at once: long enough for a disk, short enough that a writer of the log gets its turn.
const SLICE: usize = 1 << 20;
/// Slices between two syncs, so that the last one has little left to do.
const SLICES_A_SYNC: u64 = 32;

/// Where an image lies: its chunk file, its first byte in it, its CRC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Image {
    /// Number of the chunk file.
    pub file: u64,
    /// First byte.
    pub at: u64,
    /// CRC32C of its bytes.
    pub crc: u32,
}

/// The path of a chunk file.
pub(crate) fn path(number: u64) -> String {
    format!("{DIR}/{number:010}.chunks")
}

/// The number in the name of a chunk file.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".chunks")?;
    (digits.len() == 10).then(|| digits.parse().ok()).flatten()
}

fn header(number: u64) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    let crc = crc32c(&bytes[..60]);
    bytes[60..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Writes one chunk file, which is made when the first image comes.
pub(crate) struct ChunkWriter<'a> {
    disk: &'a dyn Disk,
    number: u64,
    file: Option<Arc<dyn DiskFile>>,
    buffer: Vec<u8>,
    /// Bytes that are in the file.
    done: u64,
    slices: u64,
    progress: &'a mut dyn FnMut(u64),
}

impl<'a> ChunkWriter<'a> {
    /// A writer of file `number`, which tells `progress` the bytes written so far after every slice.
    pub fn new(disk: &'a dyn Disk, number: u64, progress: &'a mut dyn FnMut(u64)) -> Self {
        ChunkWriter { disk, number, file: None, buffer: Vec::new(), done: 0, slices: 0, progress }
    }

    /// Appends an image.
    pub fn append(&mut self, bytes: &[u8]) -> Result<Image, DiskError> {
        if bytes.is_empty() {
            return Ok(Image::default());
        }
        if self.file.is_none() {
            let path = path(self.number);
            if self.disk.exists(&path) {
                self.disk.remove(&path)?;
            }
            self.file = Some(self.disk.open(&path, Open::Create)?);
            self.buffer.extend_from_slice(&header(self.number));
        }
        let at = self.done + self.buffer.len() as u64;
        self.buffer.extend_from_slice(bytes);
        self.buffer.resize(self.buffer.len().next_multiple_of(HEADER), 0);
        if self.buffer.len() >= SLICE {
            self.flush()?;
        }
        Ok(Image { file: self.number, at, crc: crc32c(bytes) })
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        let Some(file) = &self.file else { return Ok(()) };
        file.write_at(&self.buffer, self.done)?;
        self.done += self.buffer.len() as u64;
        self.buffer.clear();
        self.slices += 1;
        if self.slices.is_multiple_of(SLICES_A_SYNC) {
            file.sync_data()?;
        }
        (self.progress)(self.done);
        Ok(())
    }

    /// Makes the file durable, if there is one; its bytes.
    pub fn finish(mut self) -> Result<u64, DiskError> {
        self.flush()?;
        if let Some(file) = &self.file {
            file.sync_data()?;
        }
        Ok(self.done)
    }
}

/// Reads images.
#[derive(Debug)]
pub(crate) struct ChunkReader {
    disk: Arc<dyn Disk>,
    files: HashMap<u64, Arc<dyn DiskFile>>,
    /// Bytes read at once where images that are shorter lie one after the other.
    slice: usize,
    /// File and first byte of what `ahead` holds.
    place: (u64, u64),
    ahead: Vec<u8>,
}

impl ChunkReader {
    /// A reader of many images, which reads ahead.
    pub fn new(disk: &Arc<dyn Disk>) -> Self {
        let (disk, files) = (Arc::clone(disk), HashMap::new());
        ChunkReader { disk, files, slice: SLICE, place: (0, 0), ahead: Vec::new() }
    }

    /// A reader of few images, from files that are open already.
    pub fn over(disk: &Arc<dyn Disk>, files: HashMap<u64, Arc<dyn DiskFile>>) -> Self {
        ChunkReader { files, slice: 0, ..ChunkReader::new(disk) }
    }

    fn file(&mut self, number: u64) -> Result<Arc<dyn DiskFile>, CheckpointError> {
        if let Some(file) = self.files.get(&number) {
            return Ok(Arc::clone(file));
        }
        let path = path(number);
        let file = self.disk.open(&path, Open::Read)?;
        let mut found = [0; HEADER];
        file.read_full_at(&mut found, 0)?;
        if found != header(number) {
            return Err(CheckpointError::damaged(&path, "it does not start as a chunk file"));
        }
        self.files.insert(number, Arc::clone(&file));
        Ok(file)
    }

    /// Fills `into` with the image and checks it.
    pub fn read(&mut self, image: Image, into: &mut [u8]) -> Result<(), CheckpointError> {
        self.read_run(image.file, image.at, &[image.crc], into)
    }

    /// Fills `into` with images of one length that lie side by side from byte `at` on, and checks each.
    pub fn read_run(
        &mut self,
        number: u64,
        at: u64,
        crcs: &[u32],
        into: &mut [u8],
    ) -> Result<(), CheckpointError> {
        if into.is_empty() {
            return Ok(());
        }
        let file = self.file(number)?;
        let damaged = |what: &str| CheckpointError::damaged(&path(number), format!("{what} at byte {at}"));
        if into.len() >= self.slice {
            if file.read_full_at(into, at)? < into.len() {
                return Err(damaged("it ends before the image"));
            }
        } else {
            let (file_ahead, first) = self.place;
            let held = file_ahead == number
                && at >= first
                && at
                    .checked_add(into.len() as u64)
                    .is_some_and(|end| end <= first + self.ahead.len() as u64);
            if !held {
                self.ahead.resize(self.slice, 0);
                let read = file.read_full_at(&mut self.ahead, at)?;
                self.ahead.truncate(read);
                self.place = (number, at);
            }
            let from = (at - self.place.1) as usize;
            let bytes = self.ahead.get(from..from + into.len());
            into.copy_from_slice(bytes.ok_or_else(|| damaged("it ends before the image"))?);
        }
        let each = into.len() / crcs.len().max(1);
        for (bytes, crc) in into.chunks(each.max(1)).zip(crcs) {
            if crc32c(bytes) != *crc {
                return Err(damaged("an image is not what was written"));
            }
        }
        Ok(())
    }
}
