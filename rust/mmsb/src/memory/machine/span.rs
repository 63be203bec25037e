//! A span: one file, mapped whole twice, for writing and for reading; a count for each of its chunks; its chunks.
//!
//! ```text
//! [ control area, span 0 only | reference counts, u32 a chunk | chunks ... to the capacity ]
//! ```
//! Chunks are numbered from the start of the span, so that a chunk's number is its offset over `CHUNK`.

use std::fs::File;
use std::ops::Range;

use crate::base::limits::{CHUNK, CONTROL_BYTES};
use crate::memory::error::MemoryError;
use crate::memory::machine::mapping::{Access, Mapping, give_back};
use crate::memory::machine::place::Home;

/// Spans as large as this are asked to be backed by huge pages. Smaller ones belong to small buses, which would pay
/// with memory they do not use.
const HUGE: u64 = 256 << 20;

/// The measures of a span.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Bytes of the whole span, a multiple of `CHUNK`.
    pub capacity: u64,
    /// Where the counts start, in bytes.
    pub counts: u64,
    /// The number of the first chunk.
    pub first: usize,
}

impl Shape {
    /// The shape of a span with `capacity` bytes; the `first` one of an arena has the control area.
    pub fn new(first: bool, capacity: u64) -> Shape {
        let capacity = capacity.next_multiple_of(CHUNK as u64);
        let counts = if first { CONTROL_BYTES as u64 } else { 0 };
        let head = counts + capacity / CHUNK as u64 * 4;
        Shape { capacity, counts, first: head.div_ceil(CHUNK as u64) as usize }
    }

    /// The shape of a span with room for at least `chunks` chunks.
    pub fn for_chunks(first: bool, chunks: usize) -> Shape {
        let mut shape = Shape::new(first, (chunks * CHUNK) as u64);
        while shape.chunks().len() < chunks {
            let missing = chunks - shape.chunks().len();
            shape = Shape::new(first, shape.capacity + (missing * CHUNK) as u64);
        }
        shape
    }

    /// The numbers of the chunks.
    pub fn chunks(&self) -> Range<usize> {
        self.first..(self.capacity / CHUNK as u64) as usize
    }
}

/// A span, mapped. Its file is kept open, to map pieces of it into views.
#[derive(Debug)]
pub struct Span {
    number: u16,
    shape: Shape,
    file: File,
    write: Mapping,
    read: Mapping,
}

impl Span {
    /// Makes the file and the mappings; allocates the control area and the counts, but no chunk.
    pub fn new(home: &Home, number: u16, shape: Shape) -> Result<Span, MemoryError> {
        let span = Span::of_file(home.new_span(number, shape.capacity)?, number, shape)?;
        span.allocate(home, 0..shape.first)?;
        Ok(span)
    }

    /// Maps a span that another process has made.
    pub fn open(home: &Home, number: u16) -> Result<Span, MemoryError> {
        let (file, bytes) = home.open_span(number)?;
        Span::of_file(file, number, Shape::new(number == 0, bytes))
    }

    fn of_file(file: File, number: u16, shape: Shape) -> Result<Span, MemoryError> {
        let len = usize::try_from(shape.capacity)
            .map_err(|_| MemoryError::TooLarge { asked: shape.capacity, limit: usize::MAX as u64 })?;
        let write = Mapping::of_file(&file, len, Access::Write)?;
        let read = Mapping::of_file(&file, len, Access::Read)?;
        if shape.capacity >= HUGE {
            write.advise_huge();
            read.advise_huge();
        }
        Ok(Span { number, shape, file, write, read })
    }

    /// Allocates chunks to the file. Only then may they be touched: a full tmpfs is an error here, a killing signal there.
    pub fn allocate(&self, home: &Home, chunks: Range<usize>) -> Result<(), MemoryError> {
        home.allocate(&self.file, (chunks.start * CHUNK) as u64, (chunks.len() * CHUNK) as u64)
    }

    /// Gives the memory of chunks back to the machine, until they are allocated again. False where that cannot be.
    pub fn give_back(&self, chunks: Range<usize>) -> bool {
        give_back(&self.file, (chunks.start * CHUNK) as u64, (chunks.len() * CHUNK) as u64)
    }

    /// Makes allocated chunks present in the mapping for writing. False where the kernel cannot. In the other, which views
    /// alone read, the kernel maps many pages at the first touch of one: what is there already costs next to nothing, and
    /// what nobody views is not counted twice as this process's memory.
    pub fn populate(&self, chunks: Range<usize>) -> bool {
        self.write.populate(chunks.start * CHUNK, chunks.len() * CHUNK, Access::Write)
    }

    /// The span's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The span's measures.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The span's file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The mapping for writing.
    pub fn write(&self) -> &Mapping {
        &self.write
    }

    /// The mapping for reading.
    pub fn read(&self) -> &Mapping {
        &self.read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::{EXTENT_MAX, SPAN_FIRST};

    #[test]
    fn shapes_hold_their_counts() {
        for first in [true, false] {
            for bytes in [1, CHUNK as u64, SPAN_FIRST, SPAN_FIRST + 5, EXTENT_MAX] {
                let shape = Shape::new(first, bytes);
                let counts = shape.capacity / CHUNK as u64 * 4;
                assert!(shape.counts + counts <= (shape.first * CHUNK) as u64);
            }
            for chunks in [1, 2, 100, 8192, 1 << 20, (EXTENT_MAX / CHUNK as u64) as usize] {
                let shape = Shape::for_chunks(first, chunks);
                assert!(shape.chunks().len() >= chunks && shape.chunks().len() < chunks + 16);
            }
        }
    }
}
