//! Where the entries of an arena's pins lie: in the control area, and beyond it in blocks of chunks.
#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicUsize};
use std::sync::{Mutex, PoisonError};

use crate::base::limits::PIN_BLOCKS_MAX;
use crate::base::sync::{AtomicU64, Ordering};
use crate::memory::addr::Addr;
use crate::memory::control::Control;
use crate::memory::error::MemoryError;
use crate::memory::pins::{Entries, Entry, PIN_BLOCK, Pin, PinBlock, Pins};
use crate::memory::span::Span;

/// An entry's number is its block's, shifted by this, and its place in the block.
const BLOCK_SHIFT: u32 = 12;
const _: () = assert!(PIN_BLOCK <= 1 << BLOCK_SHIFT && PIN_BLOCKS_MAX <= 1 << 19);

/// The entries of one arena: the control area's, then blocks of chunks.
#[derive(Debug)]
pub struct Blocks {
    changes: NonNull<AtomicU64>,
    blocks: Box<[AtomicPtr<PinBlock>]>,
    count: AtomicUsize,
    growing: Mutex<()>,
}

// SAFETY: the pointers lead into the arena's spans, which outlive this (the arena drops them last), to atomics only.
unsafe impl Send for Blocks {}
// SAFETY: as above.
unsafe impl Sync for Blocks {}

impl Blocks {
    fn block(&self, at: usize) -> &PinBlock {
        // SAFETY: only blocks below `count`, whose pointers are set, are asked for; see `Send`.
        unsafe { &*self.blocks[at].load(Ordering::Relaxed) }
    }

    /// Adds a block, unless there is room again. `make` gives memory for a [`PinBlock`] and its address.
    pub(super) fn grow(
        &self,
        make: impl FnOnce() -> Result<(NonNull<PinBlock>, Addr), MemoryError>,
    ) -> Result<(), MemoryError> {
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let count = self.count.load(Ordering::Relaxed);
        let last = self.block(count - 1);
        if (last.used.load(Ordering::Relaxed) as usize) < PIN_BLOCK {
            return Ok(());
        }
        if count == PIN_BLOCKS_MAX {
            return Err(MemoryError::TooManyPins { limit: PIN_BLOCKS_MAX * PIN_BLOCK });
        }
        let (block, addr) = make()?;
        // SAFETY: the memory was made for a block and is nobody else's; all zero is an empty block.
        unsafe { ptr::write_bytes(block.as_ptr(), 0, 1) };
        self.blocks[count].store(block.as_ptr(), Ordering::Release);
        self.block(count).owner.store(u64::from(std::process::id()), Ordering::Relaxed);
        last.next.store(addr.0, Ordering::Release);
        self.count.store(count + 1, Ordering::Release);
        Ok(())
    }

    /// The id of the process that holds `pin`.
    pub(super) fn owner(&self, pin: Pin) -> u64 {
        self.block((pin.0 >> BLOCK_SHIFT) as usize).owner.load(Ordering::Relaxed)
    }
}

impl Entries for Blocks {
    #[inline]
    fn entry(&self, index: u32) -> &Entry {
        &self.block((index >> BLOCK_SHIFT) as usize).entries[(index & ((1 << BLOCK_SHIFT) - 1)) as usize]
    }

    #[cold]
    fn fresh(&self) -> Option<u32> {
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let at = self.count.load(Ordering::Relaxed) - 1;
        let block = self.block(at);
        let used = block.used.load(Ordering::Relaxed);
        if used as usize == PIN_BLOCK {
            return None;
        }
        block.used.store(used + 1, Ordering::Release);
        Some((at as u32) << BLOCK_SHIFT | used as u32)
    }

    fn each(&self, mut visit: impl FnMut(u32, &Entry)) {
        for at in 0..self.count.load(Ordering::Acquire) {
            let block = self.block(at);
            let used = block.used.load(Ordering::Acquire) as usize;
            for (i, entry) in block.entries[..used.min(PIN_BLOCK)].iter().enumerate() {
                visit((at as u32) << BLOCK_SHIFT | i as u32, entry);
            }
        }
    }

    #[inline]
    fn changes(&self) -> &AtomicU64 {
        // SAFETY: a word of the control area; see `Send`.
        unsafe { self.changes.as_ref() }
    }
}

/// The pins of one arena.
pub type ArenaPins = Pins<Blocks>;

impl ArenaPins {
    /// The pins whose first block lies in the control area of `first`, span 0.
    pub(super) fn over_control(first: &Span) -> ArenaPins {
        let control: *mut Control = first.write().base().cast();
        let blocks: Box<[AtomicPtr<PinBlock>]> = (0..PIN_BLOCKS_MAX).map(|_| AtomicPtr::default()).collect();
        // SAFETY: span 0 begins with the control area, mapped and not null.
        let changes = unsafe {
            blocks[0].store(ptr::addr_of_mut!((*control).pins), Ordering::Relaxed);
            NonNull::new_unchecked(ptr::addr_of_mut!((*control).pin_changes.0))
        };
        let blocks = Blocks { changes, blocks, count: AtomicUsize::new(1), growing: Mutex::new(()) };
        blocks.block(0).owner.store(u64::from(std::process::id()), Ordering::Relaxed);
        Pins::new(blocks)
    }
}
