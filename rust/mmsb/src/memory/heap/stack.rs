//! A lock-free stack of free cells (R. K. Treiber, 1986): the free list of every size class and of the pin entries.
//!
//! The head is one word, a tag and the number of the top cell; the link to the next cell lies in the free cell itself.
//! The tag grows with every push, so a pop that was held up between reading the link and its compare-and-swap fails
//! even if the same cell is on top again (the ABA problem). 26 bits of tag are over a second of nothing but pushes.

use crate::base::sync::{AtomicU64, Ordering};

/// Bits of a cell's number. Number 0 is "no cell".
pub const CELL_BITS: u32 = 38;
const CELL: u64 = (1 << CELL_BITS) - 1;
const TAG_ONE: u64 = 1 << CELL_BITS;

/// Where the link words of free cells are.
pub trait Cells {
    /// The link word of cell `cell`. It must stay readable for ever, also when the cell is in use and the word holds
    /// anything at all: a pop may read it late, and then throws away what it read.
    fn link(&self, cell: u64) -> &AtomicU64;
}

/// The stack: only its head; the cells are elsewhere.
#[derive(Debug)]
#[repr(transparent)]
pub struct FreeStack {
    head: AtomicU64,
}

impl FreeStack {
    /// An empty stack.
    #[allow(clippy::new_without_default)] // loom's atomics have no constant default
    pub fn new() -> FreeStack {
        FreeStack { head: AtomicU64::new(0) }
    }

    /// Takes the cell that was put last.
    #[inline]
    pub fn pop(&self, cells: &impl Cells) -> Option<u64> {
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let cell = head & CELL;
            if cell == 0 {
                return None;
            }
            let next = cells.link(cell).load(Ordering::Relaxed) & CELL;
            let new = head & !CELL | next;
            match self.head.compare_exchange_weak(head, new, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(cell),
                Err(now) => head = now,
            }
        }
    }

    /// Puts one cell.
    #[inline]
    pub fn push(&self, cells: &impl Cells, cell: u64) {
        self.push_chain(cells, cell, cell);
    }

    /// Puts a chain of cells in one step: `first` links to the next and so on to `last`. The links before `last` are
    /// the caller's, made with [`FreeStack::link_cells`].
    #[inline]
    pub fn push_chain(&self, cells: &impl Cells, first: u64, last: u64) {
        debug_assert!(first != 0 && first <= CELL && last != 0 && last <= CELL);
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // Release, because the word may mean something to somebody who still looks at the cell (see `pins`).
            cells.link(last).store(head & CELL, Ordering::Release);
            let new = (head & !CELL).wrapping_add(TAG_ONE) | first;
            match self.head.compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Makes `next` follow `cell` in a chain that is not on the stack yet.
    #[inline]
    pub fn link_cells(cells: &impl Cells, cell: u64, next: u64) {
        cells.link(cell).store(next, Ordering::Relaxed);
    }

    /// Takes every cell at once: the first of the chain, whose links are read with [`FreeStack::next`].
    pub fn take_all(&self) -> Option<u64> {
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            match self.head.compare_exchange_weak(head, head & !CELL, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(head & CELL).filter(|cell| *cell != 0),
                Err(now) => head = now,
            }
        }
    }

    /// The cell after `cell` in a chain that [`FreeStack::take_all`] took.
    pub fn next(cells: &impl Cells, cell: u64) -> Option<u64> {
        Some(cells.link(cell).load(Ordering::Relaxed) & CELL).filter(|cell| *cell != 0)
    }
}
