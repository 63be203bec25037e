//! Sharing an arena: coming to one that another process has made, following what others add, and taking over what those
//! leave who die.
#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::limits::CHUNK;
use crate::base::sync::Ordering;
use crate::memory::addr::Addr;
use crate::memory::arena::{Arena, Options};
use crate::memory::chunks::Chunks;
use crate::memory::control::{Control, LAYOUT, MAGIC};
use crate::memory::error::MemoryError;
use crate::memory::host;
use crate::memory::place::Home;
use crate::memory::slots::Slot;
use crate::memory::span::Span;

impl Arena {
    /// The arena in a folder that another process has made, and still writes.
    ///
    /// # Errors
    /// Nobody uses the folder, or not as this version does, or this process may not.
    pub fn attach(folder: &Path, options: Options) -> Result<Arc<Arena>, MemoryError> {
        let home = Home::attach(folder)?;
        let first = Arc::new(Span::open(&home, 0)?);
        let control: *const Control = first.write().base().cast();
        // SAFETY: the head of the span is there as long as the span is, page-aligned; who made it wrote it before
        // anybody could find it, and what changes in it is atomic.
        let control = unsafe { &*control };
        let found = (control.magic, control.layout, control.chunk, control.boot);
        if found != (MAGIC, LAYOUT, CHUNK as u32, host::boot_id()) {
            return Err(MemoryError::NoArena { folder: folder.display().to_string() });
        }
        let path = home.slots().unwrap_or_default();
        // Whoever died with the lock must stay dead until it was taken over.
        let holds = |slot| control.lock.0.holder().is_some_and(|holder| holder.slot == slot);
        let slot = Slot::claim(&path, |slot| !holds(slot))?;
        let arena =
            Arena::over(Chunks::new(home, options.budget), first, true, Some(slot), options.prefault)?;
        if !arena.is_written() {
            return Err(MemoryError::NoArena { folder: folder.display().to_string() });
        }
        Ok(arena)
    }

    /// Maps the spans that other processes have added. To be called between reading an address that another process may
    /// have published and following it; costs two loads where there is nothing new.
    #[inline]
    pub fn meet(&self) -> Result<(), MemoryError> {
        let changes = self.control().spans.changes();
        if changes == self.met.load(Ordering::Relaxed) { Ok(()) } else { self.map_new(changes) }
    }

    /// Whether there is nothing new, or it could be mapped.
    #[inline]
    pub fn has_met_all(&self) -> bool {
        self.control().spans.changes() == self.met.load(Ordering::Relaxed) || self.map_all()
    }

    #[cold]
    fn map_all(&self) -> bool {
        self.meet().is_ok()
    }

    #[cold]
    fn map_new(&self, changes: u64) -> Result<(), MemoryError> {
        for (number, slot) in self.control().spans.all() {
            let at = usize::from(number);
            // One's own are known when they are handed out.
            if slot != self.slot() && self.mapped[at].get().is_none() {
                self.learn(&Arc::new(Span::open(self.chunks.home(), number)?));
            }
        }
        self.met.store(changes, Ordering::Release);
        Ok(())
    }

    /// The slot of this process; 0 where it is alone.
    pub fn slot(&self) -> u32 {
        self.slot.as_ref().map_or(0, Slot::number)
    }

    /// Whether other processes can come.
    pub fn is_shared(&self) -> bool {
        self.slot.is_some()
    }

    /// Whether the process that made the arena writes it still.
    pub fn is_written(&self) -> bool {
        let writer = self.control().writer.0.load(Ordering::Acquire);
        writer != 0 && !self.slot.as_ref().is_some_and(|slot| slot.is_dead(writer as u32 - 1))
    }

    /// Says that nobody writes the arena any more.
    pub fn end(&self) {
        self.control().writer.0.store(0, Ordering::Release);
    }

    /// Forgets what processes hold that died, with all that were forked from them.
    pub fn reap(&self) {
        let Some(me) = &self.slot else { return };
        for slot in self.pins().entries().others() {
            let _ = me.clear(slot, || self.pins().entries().forget(slot));
        }
    }

    /// Takes over the spans of processes that died, with all that were forked from them, and of the one that had this slot
    /// before. `in_use` are the blocks in them that others reach, by where they begin and how many bytes they have.
    ///
    /// # Errors
    /// A span that cannot be mapped.
    pub fn adopt(&self, in_use: &[(Addr, usize)]) -> Result<(), MemoryError> {
        let Some(me) = &self.slot else { return Ok(()) };
        let table = &self.control().spans;
        let mut slots: Vec<u32> = table.all().map(|(_, slot)| slot).collect();
        slots.sort_unstable();
        slots.dedup();
        for slot in slots {
            if slot == me.number() {
                self.adopt_of(slot, in_use)?;
            } else {
                let adopt = || {
                    self.pins().entries().forget(slot);
                    self.adopt_of(slot, in_use)
                };
                me.clear(slot, adopt)?.transpose()?;
            }
        }
        Ok(())
    }

    /// The same, of a slot that nobody else has or takes meanwhile.
    fn adopt_of(&self, slot: u32, in_use: &[(Addr, usize)]) -> Result<(), MemoryError> {
        let table = &self.control().spans;
        table.clear(slot);
        for (number, _) in table.all().filter(|&(_, owner)| owner == slot) {
            let at = usize::from(number);
            if self.mapped[at].get().is_none() {
                self.learn(&Arc::new(Span::open(self.chunks.home(), number)?));
            }
            let Some(span) = self.mapped[at].get() else { continue };
            let chunks = |&(addr, bytes): &(Addr, usize)| {
                let first = addr.offset() as usize / CHUNK;
                first..(addr.offset() as usize + bytes).div_ceil(CHUNK)
            };
            let its = in_use.iter().filter(|(addr, _)| addr.span() == number);
            let its: BTreeSet<usize> = its.flat_map(chunks).collect();
            for index in span.shape().chunks().filter(|index| !its.contains(index)) {
                self.chunk_rc(Addr::new(number, (index * CHUNK) as u64)).store(0, Ordering::Relaxed);
            }
            table.hand_over(number, self.slot());
            self.chunks.adopt(Arc::clone(span), &its);
        }
        Ok(())
    }

    /// The folder in which it lies, if it has one.
    pub fn folder(&self) -> Option<PathBuf> {
        self.chunks.home().path()
    }
}
