//! The arena: all memory of a bus, in spans, addressed by [`Addr`] and handed out as small blocks and as chunks.
#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::base::fail;
use crate::base::limits::{CHUNK, SPANS_MAX};
use crate::base::sync::Ordering;
use crate::memory::addr::Addr;
use crate::memory::control::{Control, LAYOUT, MAGIC};
use crate::memory::error::MemoryError;
use crate::memory::heap::account::Taken;
use crate::memory::heap::alloc::{self, ClassHead, SLAB_CHUNKS, Slab, SlabMark, Small};
use crate::memory::heap::chunks::Chunks;
use crate::memory::heap::classes::{CLASSES, class_of};
use crate::memory::heap::prefault::Prefault;
use crate::memory::heap::stack::Cells;
use crate::memory::machine::host;
use crate::memory::machine::place::{Home, Place, random};
use crate::memory::machine::span::Span;
use crate::memory::pinning::pin_blocks::ArenaPins;
use crate::memory::shared::slots::Slot;
use crate::memory::shared::spans::Numbers;

/// Bytes of the largest small block.
pub const SMALL_MAX: usize = CHUNK;

/// How an arena is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The most bytes that may be allocated to its spans.
    pub budget: u64,
    /// Whether a background thread keeps fresh memory ready, and gives back what nobody needed for a while.
    pub prefault: bool,
}

impl Default for Options {
    /// 80 % of the memory that this process may have; with the background thread.
    fn default() -> Options {
        Options { budget: host::default_budget(), prefault: true }
    }
}

/// What an arena holds, in bytes where nothing else is said.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct ArenaStats {
    /// The most that may be allocated to the spans.
    pub budget: u64,
    /// Address space of the spans.
    pub reserved: u64,
    /// Allocated to the spans, which is what counts against the budget.
    pub committed: u64,
    /// Small blocks in use, each by its size class.
    pub used_small: u64,
    /// Chunks in use, those that small blocks are cut from included.
    pub used_chunks: u64,
    /// Chunks free for use again.
    pub free: u64,
    /// Chunks handed out a second time or more often, over the arena's life.
    pub recycled: u64,
    /// Given back to the machine, over the arena's life.
    pub given_back: u64,
    /// Number of spans.
    pub spans: usize,
}

/// All memory of a bus. Shared as an `Arc`: mappings and files go with the last one.
#[derive(Debug)]
pub struct Arena {
    reads: [AtomicPtr<u8>; SPANS_MAX],
    writes: [AtomicPtr<u8>; SPANS_MAX],
    counts: [AtomicPtr<AtomicU32>; SPANS_MAX],
    lengths: [AtomicU64; SPANS_MAX],
    pub(super) classes: [ClassHead; CLASSES],
    pub(super) small: Small,
    pins: ArenaPins,
    prefault: Prefault,
    /// Up to which change of the table of spans this process has mapped them.
    pub(super) met: AtomicU64,
    /// Whether there may be spans of other processes.
    pub(super) among: AtomicBool,
    learning: Mutex<()>,
    pub(super) chunks: Arc<Chunks>,
    // Then the spans, when everything that lies in them has gone.
    pub(super) mapped: [OnceLock<Arc<Span>>; SPANS_MAX],
    /// What says that this process lives, where others can come; last, because it keeps what they must not take.
    pub(super) slot: Option<Slot>,
}

/// The links of free cells: the first word of each.
pub(super) struct Links<'a>(pub(super) &'a Arena);

impl Cells for Links<'_> {
    #[inline]
    fn link(&self, cell: u64) -> &crate::base::sync::AtomicU64 {
        let at = self.0.write_ptr(alloc::addr_of(cell));
        // SAFETY: only numbers of cells cut from this arena's slabs come to its free lists; they are 64-byte aligned,
        // and their memory stays mapped while the arena lives. A late pop may race with the new owner's plain writes:
        // it reads one aligned word and throws it away, because its compare-and-swap then fails.
        unsafe { &*at.cast() }
    }
}

impl Arena {
    /// An arena at `place` with at most `budget` bytes and the background thread.
    pub fn new(place: Place, budget: u64) -> Result<Arc<Arena>, MemoryError> {
        Arena::with(place, Options { budget, ..Options::default() })
    }

    /// An arena at `place`.
    pub fn with(place: Place, options: Options) -> Result<Arc<Arena>, MemoryError> {
        let home = Home::open(&place)?;
        // Elsewhere nobody can ask whether a process lives, and nobody comes.
        let slots = home.slots().filter(|_| cfg!(target_os = "linux"));
        let slot = slots.map(|path| Slot::claim(&path, |_| true)).transpose()?;
        let chunks = Chunks::new(home, options.budget);
        let first = chunks.first_span()?;
        let control: *mut Control = first.write().base().cast();
        let me = slot.as_ref().map_or(0, Slot::number);
        // SAFETY: the control area is the head of the span, allocated, zero, page-aligned, and nobody else's yet.
        unsafe {
            ptr::addr_of_mut!((*control).magic).write(MAGIC);
            ptr::addr_of_mut!((*control).layout).write(LAYOUT);
            ptr::addr_of_mut!((*control).chunk).write(CHUNK as u32);
            ptr::addr_of_mut!((*control).boot).write(host::boot_id());
            ptr::addr_of_mut!((*control).hash).write([(); 2].map(|()| random()));
            (*control).spans.reserve(me);
            (*control).spans.add(0, me);
            (*control).reader_in.0.store(u64::from(me) + 1, Ordering::Release);
        }
        Arena::over(chunks, first, false, slot, options.prefault)
    }

    /// An arena whose first span, with the control area, is there.
    pub(super) fn over(
        chunks: Chunks,
        first: Arc<Span>,
        found: bool,
        slot: Option<Slot>,
        prefault: bool,
    ) -> Result<Arc<Arena>, MemoryError> {
        let control: *mut Control = first.write().base().cast();
        // SAFETY: a word of the area, which is not at null.
        let changes = unsafe { NonNull::new_unchecked(ptr::addr_of_mut!((*control).pin_changes.0)) };
        let me = slot.as_ref().map_or(0, Slot::number);
        let pins = ArenaPins::at(chunks.home(), found, me, changes)?;
        fail::at("claimed");
        // What the last one left that had this slot.
        pins.entries().forget(me);
        if found {
            // SAFETY: a part of the area, whose words are atomic.
            unsafe { (*control).spans.leave(me) };
        }
        chunks.share(Numbers::new(Arc::clone(&first), me));
        let chunks = Arc::new(chunks);
        let arena = Arena {
            reads: std::array::from_fn(|_| AtomicPtr::default()),
            writes: std::array::from_fn(|_| AtomicPtr::default()),
            counts: std::array::from_fn(|_| AtomicPtr::default()),
            lengths: std::array::from_fn(|_| AtomicU64::new(0)),
            classes: std::array::from_fn(|_| ClassHead::new()),
            small: Small::default(),
            pins,
            prefault: Prefault::new(Arc::clone(&chunks), prefault),
            met: AtomicU64::new(0),
            among: AtomicBool::new(found),
            learning: Mutex::default(),
            chunks,
            mapped: std::array::from_fn(|_| OnceLock::new()),
            slot,
        };
        arena.learn(&first);
        Ok(Arc::new(arena))
    }

    /// A block of at least `bytes` bytes (at most [`SMALL_MAX`]), 64-byte aligned; its contents are arbitrary.
    #[inline]
    pub fn alloc(&self, bytes: usize) -> Result<Addr, MemoryError> {
        if bytes > SMALL_MAX {
            return Err(MemoryError::TooLarge { asked: bytes as u64, limit: SMALL_MAX as u64 });
        }
        let class = class_of(bytes);
        if class == CLASSES - 1 {
            return self.alloc_chunks(1);
        }
        let head = &self.classes[class];
        let cell = match head.free.pop(&Links(self)) {
            Some(cell) => cell,
            None => self.refill(class)?,
        };
        head.used.fetch_add(1, Ordering::Relaxed);
        Ok(alloc::addr_of(cell))
    }

    /// Gives a small block back.
    ///
    /// # Safety
    /// `addr` came from [`Arena::alloc`] with the same `bytes`, is given back once, and nobody reads or writes it any more.
    #[inline]
    pub unsafe fn free(&self, addr: Addr, bytes: usize) {
        let class = class_of(bytes);
        if class == CLASSES - 1 {
            // SAFETY: a block of the last class is a chunk; the caller vouches for the rest.
            return unsafe { self.free_chunk(addr) };
        }
        let head = &self.classes[class];
        head.used.fetch_sub(1, Ordering::Relaxed);
        head.free.push(&Links(self), alloc::cell_of(addr));
    }

    /// `n` chunks in a row, of arbitrary contents and with counts of zero. Each is given back on its own.
    #[inline]
    pub fn alloc_chunks(&self, n: usize) -> Result<Addr, MemoryError> {
        self.take(n, false)
    }

    /// A chunk that lies where small blocks may.
    pub(super) fn alloc_within_reach(&self) -> Result<Addr, MemoryError> {
        self.take(1, true)
    }

    /// Gives one chunk back.
    ///
    /// # Safety
    /// `addr` is a chunk that [`Arena::alloc_chunks`] gave, is given back once, and nobody reads or writes it any more.
    #[inline]
    pub unsafe fn free_chunk(&self, addr: Addr) {
        self.chunk_rc(addr).store(0, Ordering::Relaxed);
        if self.chunks.give(addr, 1) {
            self.prefault.wake();
        }
    }

    /// The reference count of the chunk in which `addr` lies. The arena only sets it to zero, when the chunk is free.
    ///
    /// # Panics
    /// If `addr` lies in no span.
    #[inline]
    pub fn chunk_rc(&self, addr: Addr) -> &AtomicU32 {
        let span = addr.span() as usize;
        assert!(addr.offset() < self.lengths[span].load(Ordering::Relaxed), "{addr:?} lies in no span");
        let counts = self.counts[span].load(Ordering::Relaxed);
        // SAFETY: the table has a count for every chunk of the span's length, all allocated and zero at first.
        unsafe { &*counts.add(addr.offset() as usize / CHUNK) }
    }

    /// Where `addr` may be written: for the writer, in blocks it has not published.
    #[inline]
    pub fn write_ptr(&self, addr: Addr) -> *mut u8 {
        let base = self.writes[addr.span() as usize].load(Ordering::Relaxed);
        debug_assert!(!base.is_null(), "{addr:?} lies in no span");
        base.wrapping_add(addr.offset() as usize)
    }

    /// Where `addr` can be read, and not written: a stray write there is a crash, never corruption.
    #[inline]
    pub fn read_ptr(&self, addr: Addr) -> *const u8 {
        let base = self.reads[addr.span() as usize].load(Ordering::Relaxed);
        debug_assert!(!base.is_null(), "{addr:?} lies in no span");
        base.wrapping_add(addr.offset() as usize)
    }

    /// The control area.
    #[inline]
    pub fn control(&self) -> &Control {
        // SAFETY: written by `with`, mapped while the arena lives; what changes in it is atomic.
        unsafe { &*self.writes[0].load(Ordering::Relaxed).cast() }
    }

    /// The pins of this arena's readers.
    #[inline]
    pub fn pins(&self) -> &ArenaPins {
        &self.pins
    }

    /// Makes room for more pins of this process, unless there is some again.
    pub(super) fn more_pins(&self) -> Result<(), MemoryError> {
        self.pins.entries().grow(self.chunks.home())
    }

    /// The span in which `addr` lies, where this process has met it.
    pub fn span(&self, addr: Addr) -> Option<&Arc<Span>> {
        self.mapped.get(usize::from(addr.span()))?.get()
    }

    /// The place in words, for messages.
    pub fn place(&self) -> String {
        self.chunks.home().describe()
    }

    /// Leaves its place to others. What lies there stays as it is for whoever has it mapped.
    pub fn leave_place(&self) {
        self.chunks.home().leave();
    }

    /// The most bytes that may be allocated to the spans.
    pub fn budget(&self) -> u64 {
        self.chunks.budget()
    }

    /// What the arena holds now.
    pub fn stats(&self) -> ArenaStats {
        let chunks = self.chunks.stats();
        ArenaStats {
            budget: self.budget(),
            reserved: chunks.reserved,
            committed: chunks.committed,
            used_small: alloc::used(&self.classes),
            used_chunks: chunks.used,
            free: chunks.free,
            recycled: chunks.recycled,
            given_back: chunks.given_back,
            spans: chunks.spans,
        }
    }

    /// Whether the background thread has nothing to do.
    pub fn is_idle(&self) -> bool {
        self.prefault.idle()
    }

    /// Held while a span's bases are made known: whoever had it after finds them.
    pub(super) fn learning(&self) -> MutexGuard<'_, ()> {
        self.learning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a span's bases known to the translation of addresses.
    pub(super) fn learn(&self, span: &Arc<Span>) {
        let _one = self.learning();
        let at = span.number() as usize;
        if self.mapped[at].set(Arc::clone(span)).is_err() {
            return;
        }
        let write = span.write().base();
        self.reads[at].store(span.read().base(), Ordering::Relaxed);
        self.counts[at].store(write.wrapping_add(span.shape().counts as usize).cast(), Ordering::Relaxed);
        self.lengths[at].store(span.shape().capacity, Ordering::Relaxed);
        self.writes[at].store(write, Ordering::Release);
    }

    fn take(&self, n: usize, small: bool) -> Result<Addr, MemoryError> {
        let Taken { addr, span, behind } = match self.chunks.take(n, small) {
            Err(error) => self.take_short(n, small, error)?,
            Ok(taken) => taken,
        };
        if self.writes[addr.span() as usize].load(Ordering::Acquire).is_null() {
            self.learn(&span);
        }
        if behind {
            self.prefault.wake();
        }
        Ok(addr)
    }

    /// Takes chunks once more, where memory was short.
    #[cold]
    fn take_short(&self, n: usize, small: bool, short: MemoryError) -> Result<Taken, MemoryError> {
        let error = match short {
            MemoryError::Budget { .. } | MemoryError::OutOfSpace { .. } if self.trim() > 0 => {
                match self.chunks.take(n, small) {
                    Ok(taken) => return Ok(taken),
                    Err(error) => error,
                }
            }
            short => short,
        };
        if matches!(error, MemoryError::OutOfSpace { .. }) {
            // What processes left that are gone is allocated.
            self.chunks.wants.store(true, Ordering::Relaxed);
        }
        Err(error)
    }

    fn trim(&self) -> usize {
        let given = self.small.trim(&self.classes, &Links(self), |slab| {
            self.mark(slab, |_| 0);
            self.chunks.give(slab.addr, slab.chunks);
        });
        if self.chunks.is_watched() {
            self.prefault.wake();
        }
        given
    }

    #[cold]
    fn refill(&self, class: usize) -> Result<u64, MemoryError> {
        loop {
            if let Some(cell) = self.small.cut(class, &self.classes[class], &Links(self)) {
                return Ok(cell);
            }
            let several = self.take(SLAB_CHUNKS, true).map(|addr| Slab { addr, chunks: SLAB_CHUNKS });
            let slab = several.or_else(|_| self.take(1, true).map(|addr| Slab { addr, chunks: 1 }))?;
            // Before any of its blocks is used.
            self.mark(slab, |index| SlabMark { class, chunks: slab.chunks, index }.encode());
            if !self.small.add(class, slab) {
                self.mark(slab, |_| 0);
                if self.chunks.give(slab.addr, slab.chunks) {
                    self.prefault.wake();
                }
            }
        }
    }

    /// Sets the counts of a slab's chunks.
    fn mark(&self, slab: Slab, mark: impl Fn(usize) -> u32) {
        for (index, addr) in slab.addresses().enumerate() {
            self.chunk_rc(addr).store(mark(index), Ordering::Relaxed);
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // Whoever takes the spans over has them to itself.
        self.prefault.stop();
        // While the slot is still this process's. A forked child's copy leaves its parent's alone.
        if self.slot.as_ref().is_some_and(Slot::is_own) && !self.writes[0].load(Ordering::Relaxed).is_null() {
            self.control().spans.leave(self.slot());
        }
    }
}
