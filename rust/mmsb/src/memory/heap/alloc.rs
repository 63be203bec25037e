//! Small blocks: a lock-free free list for each size class, filled from slabs of chunks under a lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::limits::{CHUNK, SLAB};
use crate::base::sync::{AtomicU64, Ordering};
use crate::memory::addr::Addr;
use crate::memory::heap::classes::{CLASSES, size_of_class};
use crate::memory::heap::stack::{Cells, FreeStack};

/// Bytes that are cut from a slab at once: few enough not to touch memory long before it is needed.
const CUT: usize = 4096;

/// Bits of a cell's number that say where in its span it lies, in units of 64 bytes.
const REACH_BITS: u32 = 30;

/// The number of the cell at `addr`, which lies within the reach of small blocks.
#[inline]
pub fn cell_of(addr: Addr) -> u64 {
    u64::from(addr.span()) << REACH_BITS | addr.offset() >> 6
}

/// The address of cell `cell`.
#[inline]
pub fn addr_of(cell: u64) -> Addr {
    Addr::new((cell >> REACH_BITS) as u16, (cell & ((1 << REACH_BITS) - 1)) << 6)
}

/// The free list of one size class, and how many of its blocks are in use.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct ClassHead {
    /// Free blocks of the class.
    pub free: FreeStack,
    /// Blocks handed out and not given back.
    pub used: AtomicU64,
}

impl ClassHead {
    /// No blocks.
    #[allow(clippy::new_without_default)] // as `FreeStack`
    pub fn new() -> Self {
        ClassHead { free: FreeStack::new(), used: AtomicU64::new(0) }
    }
}

/// Chunks that are being cut, or have been, into the blocks of one class.
#[derive(Copy, Clone, Debug)]
pub struct Slab {
    /// Where it begins.
    pub addr: Addr,
    /// How many chunks it has.
    pub chunks: usize,
}

impl Slab {
    fn blocks(self, size: usize) -> usize {
        self.chunks * CHUNK / size
    }

    /// The cells of its blocks.
    pub fn cells(self, class: usize) -> impl Iterator<Item = u64> {
        let size = size_of_class(class);
        (0..self.blocks(size)).map(move |i| cell_of(self.addr.plus((i * size) as u64)))
    }

    /// Its chunks.
    pub fn addresses(self) -> impl Iterator<Item = Addr> {
        (0..self.chunks).map(move |i| self.addr.plus((i * CHUNK) as u64))
    }
}

/// What the count of a slab's chunk says, in the place of how many refer to it: that it is one, of which class, how many
/// chunks the slab has, and which of them this is. So whoever takes over the span knows what it is cut into.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct SlabMark {
    /// The class of its blocks.
    pub class: usize,
    /// Chunks of the slab.
    pub chunks: usize,
    /// Which of them.
    pub index: usize,
}

const SLAB_MARK: u32 = 1 << 31;
const _: () = assert!(CLASSES <= 1 << 8 && SLAB_CHUNKS < 1 << 8);

impl SlabMark {
    /// As a count.
    pub fn encode(self) -> u32 {
        SLAB_MARK | (self.class as u32) << 16 | (self.chunks as u32) << 8 | self.index as u32
    }

    /// What a count says, where it is one of a slab's chunk.
    pub fn decode(count: u32) -> Option<SlabMark> {
        let part = |shift: u32| (count >> shift & 0xff) as usize;
        let mark = SlabMark { class: part(16), chunks: part(8), index: part(0) };
        (count & SLAB_MARK != 0 && mark.class < CLASSES && mark.index < mark.chunks).then_some(mark)
    }
}

/// The slabs of one class, and what is left of the one being cut.
#[derive(Debug, Default)]
struct Cutter {
    slabs: Vec<Slab>,
    next: Addr,
    left: usize,
}

/// What this process must remember beside the free lists to fill them.
#[derive(Debug)]
pub struct Small {
    cutters: [Mutex<Cutter>; CLASSES],
}

impl Default for Small {
    /// No slab yet.
    fn default() -> Small {
        Small { cutters: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl Small {
    fn cutter(&self, class: usize) -> MutexGuard<'_, Cutter> {
        self.cutters[class].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts some blocks from the class's slab: one for the caller, the others for the free list, unless somebody has
    /// filled that meanwhile. `None` when the slab is used up.
    pub fn cut(&self, class: usize, head: &ClassHead, cells: &impl Cells) -> Option<u64> {
        let mut cutter = self.cutter(class);
        if let Some(cell) = head.free.pop(cells) {
            return Some(cell);
        }
        let size = size_of_class(class);
        let n = cutter.left.min((CUT / size).clamp(1, 32));
        let cell = |i: usize| cell_of(cutter.next.plus((i * size) as u64));
        let first = (n > 0).then(|| cell(0));
        for i in 1..n.saturating_sub(1) {
            FreeStack::link_cells(cells, cell(i), cell(i + 1));
        }
        if n > 1 {
            head.free.push_chain(cells, cell(1), cell(n - 1));
        }
        cutter.next = cutter.next.plus((n * size) as u64);
        cutter.left -= n;
        first
    }

    /// Hands a class a slab; false, and the slab is not taken, when another thread has brought one meanwhile.
    pub fn add(&self, class: usize, slab: Slab) -> bool {
        let mut cutter = self.cutter(class);
        if cutter.left > 0 {
            return false;
        }
        cutter.slabs.push(slab);
        cutter.next = slab.addr;
        cutter.left = slab.blocks(size_of_class(class));
        true
    }

    /// Takes in a slab that another process had cut, of which these cells are free.
    pub fn adopt(&self, class: usize, slab: Slab, free: &[u64], head: &ClassHead, cells: &impl Cells) {
        self.cutter(class).slabs.push(slab);
        let used = slab.blocks(size_of_class(class)) - free.len();
        head.used.fetch_add(used as u64, Ordering::Relaxed);
        free.iter().for_each(|&cell| head.free.push(cells, cell));
    }

    /// Gives slabs without a block in use to `give`, when nothing else is left. Returns how many chunks that were.
    pub fn trim(&self, heads: &[ClassHead], cells: &impl Cells, give: impl Fn(Slab)) -> usize {
        (0..CLASSES).map(|class| self.trim_class(class, &heads[class], cells, &give)).sum()
    }

    fn trim_class(&self, class: usize, head: &ClassHead, cells: &impl Cells, give: &impl Fn(Slab)) -> usize {
        let mut cutter = self.cutter(class);
        let mut free = Vec::new();
        let mut next = head.free.take_all();
        while let Some(cell) = next {
            free.push(cell);
            next = FreeStack::next(cells, cell);
        }
        free.sort_unstable();
        let mut slabs = std::mem::take(&mut cutter.slabs);
        slabs.sort_unstable_by_key(|slab| slab.addr);
        let (mut rest, mut given) = (free.as_slice(), 0);
        for slab in slabs {
            // Blocks in use, and those not cut yet, are missing from the list.
            let end = cell_of(slab.addr.plus((slab.chunks * CHUNK) as u64));
            let (its, others) = rest.split_at(rest.partition_point(|cell| *cell < end));
            rest = others;
            if its.len() == slab.blocks(size_of_class(class)) {
                give(slab);
                given += slab.chunks;
            } else {
                its.iter().for_each(|cell| head.free.push(cells, *cell));
                cutter.slabs.push(slab);
            }
        }
        given
    }
}

/// Chunks of a slab: several, or one when no more are to be had in a row.
pub const SLAB_CHUNKS: usize = SLAB / CHUNK;

/// Bytes of the blocks in use.
pub fn used(heads: &[ClassHead]) -> u64 {
    let class =
        |(class, head): (usize, &ClassHead)| head.used.load(Ordering::Relaxed) * size_of_class(class) as u64;
    heads.iter().enumerate().take(CLASSES).map(class).sum()
}
