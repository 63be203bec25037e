//! Views: contiguous, read-only memory for a version whose chunks lie apart, by mapping them side by side
//! ([`ViewRange`]) or by copying them ([`OwnedBuffer`]).
#![allow(unsafe_code)]

use std::alloc::{self, Layout};
use std::collections::BTreeSet;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::base::limits::VIEW_MAPPINGS_MAX;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::error::MemoryError;
use crate::memory::machine::mapping::{Access, Mapping};
use crate::memory::words::HUGE;

/// Mappings that the views of this process take.
static MAPPINGS: AtomicUsize = AtomicUsize::new(0);

/// Accounts for `n` more mappings, or refuses.
fn reserve(n: usize) -> Result<(), MemoryError> {
    let more = |now: usize| now.checked_add(n).filter(|total| *total <= VIEW_MAPPINGS_MAX);
    match MAPPINGS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
        Ok(_) => Ok(()),
        Err(_) => Err(MemoryError::TooManyMappings { limit: VIEW_MAPPINGS_MAX }),
    }
}

fn release(n: usize) {
    MAPPINGS.fetch_sub(n, Ordering::Relaxed);
}

/// How many memory mappings the views of this process take now, at most; see [`VIEW_MAPPINGS_MAX`].
pub fn mappings() -> usize {
    MAPPINGS.load(Ordering::Relaxed)
}

/// A range of addresses in which pieces of an arena are mapped side by side, for reading. Unmapped when dropped.
///
/// The bytes of a piece are what the arena has there: the caller's pin keeps them from being used again.
#[derive(Debug)]
pub struct ViewRange {
    mapping: Mapping,
    /// Where each mapping begins. The kernel may join some, so it has at most as many.
    pieces: BTreeSet<usize>,
}

impl ViewRange {
    /// A range for `len` bytes, a multiple of the memory page; nothing can be read in it yet.
    pub fn new(len: usize) -> Result<ViewRange, MemoryError> {
        reserve(1)?;
        let mapping = Mapping::anonymous(len, Access::None).inspect_err(|_| release(1))?;
        Ok(ViewRange { mapping, pieces: BTreeSet::from([0]) })
    }

    /// The first byte.
    pub fn as_ptr(&self) -> *const u8 {
        self.mapping.base()
    }

    /// Length in bytes.
    #[allow(clippy::len_without_is_empty)] // the kernel makes no empty mapping
    pub fn len(&self) -> usize {
        self.mapping.len()
    }

    /// How many mappings it takes at most.
    pub fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Shows the `len` bytes at `addr` of `arena` at `offset`, in place of what was there. All are multiples of the
    /// memory page, as chunks are. After an error the range is as it was.
    ///
    /// # Panics
    /// If the bytes do not lie in the range and in one span.
    pub fn map_piece(
        &mut self,
        offset: usize,
        arena: &Arena,
        addr: Addr,
        len: usize,
    ) -> Result<(), MemoryError> {
        let span = arena.span(addr);
        let span = span.filter(|span| addr.offset() + len as u64 <= span.shape().capacity);
        let span = span.unwrap_or_else(|| panic!("{len} bytes at {addr:?} lie in no span"));
        self.replace(offset, len, |mapping| mapping.place_file(offset, len, span.file(), addr.offset()))
    }

    /// Shows `len` zero bytes at `offset`, in place of what was there. Both are multiples of the memory page.
    ///
    /// # Panics
    /// If the bytes do not lie in the range.
    pub fn map_zero(&mut self, offset: usize, len: usize) -> Result<(), MemoryError> {
        self.replace(offset, len, |mapping| mapping.place_zeros(offset, len))
    }

    fn replace(
        &mut self,
        offset: usize,
        len: usize,
        map: impl FnOnce(&mut Mapping) -> Result<(), MemoryError>,
    ) -> Result<(), MemoryError> {
        let end = offset.saturating_add(len);
        assert!(len > 0 && end <= self.len(), "{len} bytes at {offset} of a view of {}", self.len());
        // A piece adds at most two: itself, and the rest of the one it cuts in the middle.
        reserve(2)?;
        let before = self.pieces.len();
        let result = map(&mut self.mapping);
        if result.is_ok() {
            if end < self.len() {
                self.pieces.insert(end);
            }
            while let Some(inner) = self.pieces.range(offset + 1..end).next().copied() {
                self.pieces.remove(&inner);
            }
            self.pieces.insert(offset);
        }
        release(2 + before - self.pieces.len());
        result
    }
}

impl Drop for ViewRange {
    fn drop(&mut self) {
        release(self.pieces.len());
    }
}

/// Bytes from which a buffer is a mapping of its own, and so can be protected. Mapping less costs more than it helps.
const MAPPED: usize = 4096;

/// The alignment of every buffer.
const ALIGN: usize = 64;

/// Memory of a view's own, filled once and read-only from then on: by the kernel where the buffer is a mapping, which
/// it is from 4 KiB on unless the process has too many.
#[derive(Debug)]
pub struct OwnedBuffer {
    memory: Memory,
    len: usize,
}

#[derive(Debug)]
enum Memory {
    Mapped(Mapping),
    Heap(Heap),
}

/// A block of the process's heap, aligned to 64 bytes.
#[derive(Debug)]
struct Heap {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the block is this value's own, and after filling it is only read.
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

impl Heap {
    fn zeroed(len: usize) -> Result<Heap, MemoryError> {
        let refused =
            || MemoryError::Map { bytes: len as u64, source: std::io::ErrorKind::OutOfMemory.into() };
        let layout = Layout::from_size_align(len.max(1), ALIGN).map_err(|_| refused())?;
        // SAFETY: the layout is not empty.
        let base = NonNull::new(unsafe { alloc::alloc_zeroed(layout) }).ok_or_else(refused)?;
        Ok(Heap { base, layout })
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, once.
        unsafe { alloc::dealloc(self.base.as_ptr(), self.layout) };
    }
}

impl OwnedBuffer {
    /// A buffer of `len` bytes, zero until `fill` has filled it.
    pub fn build(len: usize, fill: impl FnOnce(&mut [u8])) -> Result<OwnedBuffer, MemoryError> {
        let mut memory = if len >= MAPPED && reserve(1).is_ok() {
            let mapping = Mapping::anonymous(len, Access::Write).inspect_err(|_| release(1))?;
            // They spare most of the faults of filling it.
            if len >= HUGE {
                mapping.advise_huge();
            }
            Memory::Mapped(mapping)
        } else {
            Memory::Heap(Heap::zeroed(len)?)
        };
        let base = match &memory {
            Memory::Mapped(mapping) => mapping.base(),
            Memory::Heap(heap) => heap.base.as_ptr(),
        };
        // SAFETY: `len` bytes, initialised with zeros, writable and nobody else's until this returns.
        fill(unsafe { std::slice::from_raw_parts_mut(base, len) });
        let result = match &mut memory {
            Memory::Mapped(mapping) => mapping.protect(),
            Memory::Heap(_) => Ok(()),
        };
        let buffer = OwnedBuffer { memory, len };
        result.map(|()| buffer)
    }

    /// The first byte, aligned to 64.
    pub fn as_ptr(&self) -> *const u8 {
        match &self.memory {
            Memory::Mapped(mapping) => mapping.base(),
            Memory::Heap(heap) => heap.base.as_ptr(),
        }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `len` bytes, initialised, and not written any more.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len) }
    }
}

impl Drop for OwnedBuffer {
    fn drop(&mut self) {
        if matches!(self.memory, Memory::Mapped(_)) {
            release(1);
        }
    }
}
