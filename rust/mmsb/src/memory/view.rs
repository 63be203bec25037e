//! Contiguous memory for views: pieces of an arena mapped side by side, or a buffer of one's own.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::error::MemoryError;
use crate::memory::mapping::{Access, Mapping};

/// Mappings that views may make at most: the kernel allows a process 65,530, and others need some.
const MAPPINGS_MAX: usize = 48_000;

static MAPPINGS: AtomicUsize = AtomicUsize::new(0);

/// A range of addresses into which pieces of an arena are mapped side by side, for reading.
#[derive(Debug)]
pub struct ViewRange {
    mapping: Mapping,
    /// Mappings counted for this range: one, and at most two more for every piece placed in it.
    counted: usize,
}

impl ViewRange {
    /// A range of `len` bytes, a whole number of chunks, that reads as zeros.
    pub fn new(len: usize) -> Result<ViewRange, MemoryError> {
        let mapping = Mapping::anonymous(len, Access::Read)?;
        let mut range = ViewRange { mapping, counted: 0 };
        range.count(1)?;
        Ok(range)
    }

    fn count(&mut self, n: usize) -> Result<(), MemoryError> {
        if MAPPINGS.fetch_add(n, Ordering::Relaxed) + n > MAPPINGS_MAX {
            MAPPINGS.fetch_sub(n, Ordering::Relaxed);
            return Err(MemoryError::TooManyMappings { limit: MAPPINGS_MAX });
        }
        self.counted += n;
        Ok(())
    }

    /// Shows `len` bytes of the arena from `addr` on at `offset`. All are whole chunks, inside one span.
    pub fn map_piece(&mut self, offset: usize, arena: &Arena, addr: Addr, len: usize) -> Result<(), MemoryError> {
        self.count(2)?;
        let span = arena.span(addr).expect("a column's chunks lie in spans of its arena");
        self.mapping.place_file(offset, len, span.file(), addr.offset())
    }

    /// Shows zeros at `offset`.
    pub fn map_zero(&mut self, offset: usize, len: usize) -> Result<(), MemoryError> {
        self.count(2)?;
        self.mapping.place_zeros(offset, len)
    }

    /// The first byte.
    pub fn as_ptr(&self) -> *const u8 {
        self.mapping.base()
    }
}

impl Drop for ViewRange {
    fn drop(&mut self) {
        MAPPINGS.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line(#[allow(dead_code, reason = "only its bytes are used")] [u8; 64]);

/// A buffer on a cache line, for views that are copies.
#[derive(Debug)]
pub struct OwnedBuffer {
    lines: Vec<Line>,
    bytes: usize,
}

impl OwnedBuffer {
    /// A buffer of `bytes` zeros.
    pub fn new(bytes: usize) -> Result<OwnedBuffer, MemoryError> {
        let n = bytes.div_ceil(64);
        let mut lines = Vec::new();
        lines.try_reserve_exact(n).map_err(|_| MemoryError::Map {
            bytes: bytes as u64,
            source: std::io::ErrorKind::OutOfMemory.into(),
        })?;
        lines.resize(n, Line([0; 64]));
        Ok(OwnedBuffer { lines, bytes })
    }

    /// The bytes, to be filled.
    #[allow(unsafe_code)]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: the lines are plain bytes, at least as many as `bytes`.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.bytes) }
    }

    /// The first byte; on a cache line.
    pub fn as_ptr(&self) -> *const u8 {
        self.lines.as_ptr().cast()
    }
}
