//! Where the entries of an arena's pins lie: in a file of their own, in blocks that are one process's each.
//!
//! ```text
//! how many blocks there are u64, to 4 KiB | block 0 | block 1 | ...
//! ```
//! A block is free where its head names no process. Whoever scans looks at all blocks of all processes, and needs to ask none.
#![allow(unsafe_code)]

use std::fs::File;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::limits::PIN_BLOCKS_MAX;
use crate::base::sync::{AtomicU64, Ordering};
use crate::memory::error::MemoryError;
use crate::memory::machine::mapping::{Access, Mapping};
use crate::memory::machine::place::Home;
use crate::memory::pinning::pins::{Entries, Entry, PIN_BLOCK, Pin, PinBlock, Pins};

/// An entry's number is its block's, shifted by this, and its place in the block.
const BLOCK_SHIFT: u32 = 12;
const _: () = assert!(PIN_BLOCK <= 1 << BLOCK_SHIFT && PIN_BLOCKS_MAX <= 1 << 19);

/// Bytes before the first block.
const HEAD: usize = 4096;
/// Bytes of a block.
const BYTES: usize = size_of::<PinBlock>();

/// The entries of all processes of an arena.
#[derive(Debug)]
pub struct Blocks {
    changes: NonNull<AtomicU64>,
    file: File,
    mapping: Mapping,
    /// 1 + the slot of this process.
    me: u64,
    /// The block of this process that entries are taken from which nobody ever used.
    newest: Mutex<Option<usize>>,
}

// SAFETY: the pointer leads into the arena's first span, which outlives this (the arena drops it last), to an atomic.
unsafe impl Send for Blocks {}
// SAFETY: as above.
unsafe impl Sync for Blocks {}

impl Blocks {
    /// No blocks yet, of the process of a slot; in an arena that others use those that they have.
    fn new(home: &Home, found: bool, slot: u32, changes: NonNull<AtomicU64>) -> Result<Blocks, MemoryError> {
        let len = HEAD + PIN_BLOCKS_MAX * BYTES;
        let file = if found { home.open_pins()?.0 } else { home.new_pins(len as u64)? };
        home.allocate(&file, 0, HEAD as u64)?;
        let mapping = Mapping::of_file(&file, len, Access::Write)?;
        Ok(Blocks { changes, file, mapping, me: u64::from(slot) + 1, newest: Mutex::default() })
    }

    /// How many there are.
    fn count(&self) -> &AtomicU64 {
        // SAFETY: the mapping begins with the word, which is allocated and zero at first.
        unsafe { &*self.mapping.base().cast() }
    }

    fn block(&self, at: usize) -> &PinBlock {
        // SAFETY: blocks are allocated before they are counted, zero at first, and nobody asks for one that is not.
        unsafe { &*self.mapping.base().add(HEAD + at * BYTES).cast() }
    }

    fn newest(&self) -> MutexGuard<'_, Option<usize>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a block more for this process, unless it has room again.
    pub(in crate::memory) fn grow(&self, home: &Home) -> Result<(), MemoryError> {
        let mut newest = self.newest();
        if newest.is_some_and(|at| (self.block(at).used.load(Ordering::Relaxed) as usize) < PIN_BLOCK) {
            return Ok(());
        }
        let take = |at: usize| {
            let PinBlock { owner, process, .. } = self.block(at);
            let taken = owner.compare_exchange(0, self.me, Ordering::AcqRel, Ordering::Relaxed).is_ok();
            if taken {
                process.store(std::process::id().into(), Ordering::Relaxed);
            }
            taken
        };
        loop {
            let count = self.count().load(Ordering::Acquire);
            if let Some(free) = (0..count as usize).find(|&at| take(at)) {
                *newest = Some(free);
                return Ok(());
            }
            if count as usize == PIN_BLOCKS_MAX {
                return Err(MemoryError::TooManyPins { limit: PIN_BLOCKS_MAX * PIN_BLOCK });
            }
            // Another process may be at the same: it is allocated once, and one of the two finds it taken.
            home.allocate(&self.file, (HEAD + count as usize * BYTES) as u64, BYTES as u64)?;
            let _ = self.count().compare_exchange(count, count + 1, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// The id of the process that holds `pin`.
    pub fn owner(&self, pin: Pin) -> u64 {
        self.block((pin.0 >> BLOCK_SHIFT) as usize).process.load(Ordering::Relaxed)
    }

    /// The id of the process of a slot, where it has a block.
    pub(in crate::memory) fn process_of(&self, slot: u32) -> Option<u64> {
        let its = |of: &&PinBlock| of.owner.load(Ordering::Acquire) == u64::from(slot) + 1;
        self.blocks().find(its).map(|of| of.process.load(Ordering::Relaxed))
    }

    fn blocks(&self) -> impl Iterator<Item = &PinBlock> {
        (0..self.count().load(Ordering::Acquire) as usize).map(|at| self.block(at))
    }

    /// The slots of other processes that have blocks.
    pub(in crate::memory) fn others(&self) -> Vec<u32> {
        let owners = self.blocks().map(|block| block.owner.load(Ordering::Acquire));
        let mut slots: Vec<u32> =
            owners.filter(|&owner| owner != 0 && owner != self.me).map(|owner| owner as u32 - 1).collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// Forgets what the process of a slot held, of which nobody lives; the caller sees to it that nobody has the slot.
    pub(in crate::memory) fn forget(&self, slot: u32) {
        self.changes().fetch_add(1, Ordering::SeqCst);
        for block in self.blocks().filter(|of| of.owner.load(Ordering::Acquire) == u64::from(slot) + 1) {
            block.entries.iter().for_each(Entry::forget);
            block.used.store(0, Ordering::Release);
            block.owner.store(0, Ordering::Release);
        }
    }
}

impl Entries for Blocks {
    #[inline]
    fn entry(&self, index: u32) -> &Entry {
        &self.block((index >> BLOCK_SHIFT) as usize).entries[(index & ((1 << BLOCK_SHIFT) - 1)) as usize]
    }

    #[cold]
    fn fresh(&self) -> Option<u32> {
        let newest = self.newest();
        let at = (*newest)?;
        let used = &self.block(at).used;
        let next = used.load(Ordering::Relaxed);
        if next as usize == PIN_BLOCK {
            return None;
        }
        used.store(next + 1, Ordering::Release);
        Some((at as u32) << BLOCK_SHIFT | next as u32)
    }

    fn each(&self, mut visit: impl FnMut(u32, &Entry)) {
        for at in 0..self.count().load(Ordering::Acquire) as usize {
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
    /// The pins of an arena at a place, which others have `found` before or not, for the process of a slot; `changes` is
    /// their change counter, in the control area.
    pub(in crate::memory) fn at(
        home: &Home,
        found: bool,
        slot: u32,
        changes: NonNull<AtomicU64>,
    ) -> Result<ArenaPins, MemoryError> {
        Ok(Pins::new(Blocks::new(home, found, slot, changes)?))
    }
}
