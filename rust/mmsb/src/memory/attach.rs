//! Sharing an arena: coming to one that another process has made, following what others add, and taking over what those
//! leave who die.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::base::limits::CHUNK;
use crate::base::sync::Ordering;
use crate::memory::addr::Addr;
use crate::memory::alloc::{Slab, SlabMark, addr_of};
use crate::memory::arena::{Arena, Links, Options};
use crate::memory::chunks::Chunks;
use crate::memory::control::{Control, LAYOUT, MAGIC};
use crate::memory::error::MemoryError;
use crate::memory::host;
use crate::memory::lock::{Holder, Taken};
use crate::memory::place::Home;
use crate::memory::slots::Slot;
use crate::memory::span::Span;

impl Arena {
    /// The arena in a folder that other processes use.
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
        // Whoever is left alone with it can ask nobody what is to be believed.
        if !arena.slot.as_ref().is_some_and(Slot::has_others) {
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
            if slot != Some(self.slot()) && self.mapped[at].get().is_none() {
                self.among.store(true, Ordering::Relaxed);
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

    /// Whether the process lives that reads in what opening left on disk.
    pub fn is_read_in(&self) -> bool {
        let by = self.control().reader_in.0.load(Ordering::Acquire);
        by != 0 && !self.slot.as_ref().is_some_and(|slot| slot.is_dead(by as u32 - 1))
    }

    /// Whether a block lies in a span of this process.
    #[inline]
    pub fn is_mine(&self, addr: Addr) -> bool {
        self.control().spans.is_of(addr.span(), self.slot())
    }

    /// Whether there may be spans of other processes.
    #[inline]
    pub fn is_among_others(&self) -> bool {
        self.among.load(Ordering::Relaxed)
    }

    /// Forgets what processes hold that died, with all that were forked from them, and leaves their spans to whoever takes
    /// them over.
    pub fn reap(&self) {
        let Some(me) = &self.slot else { return };
        let table = &self.control().spans;
        let mut slots = self.pins().entries().others();
        slots.append(&mut table.others(self.slot()));
        slots.sort_unstable();
        slots.dedup();
        for slot in slots {
            let _ = me.clear(slot, || {
                self.pins().entries().forget(slot);
                table.leave(slot);
            });
        }
    }

    /// Takes over a span whose process left it or died, by its number; `in_use` are all the blocks that others reach, by where
    /// they begin and how many bytes they have. For whoever has the writer's lock, when nobody reads anything else there.
    ///
    /// # Errors
    /// It cannot be mapped.
    pub fn adopt(&self, number: u16, in_use: &BTreeMap<Addr, usize>) -> Result<(), MemoryError> {
        let at = usize::from(number);
        if self.mapped[at].get().is_none() {
            self.learn(&Arc::new(Span::open(self.chunks.home(), number)?));
        }
        let Some(span) = self.mapped[at].get() else { return Ok(()) };
        self.among.store(true, Ordering::Relaxed);
        let of = Addr::new(number, 0)..=Addr::new(number, span.shape().capacity - 1);
        let mut its: BTreeSet<usize> = BTreeSet::new();
        for (addr, bytes) in in_use.range(of) {
            let first = addr.offset() as usize / CHUNK;
            its.extend(first..(addr.offset() as usize + bytes).div_ceil(CHUNK));
        }
        let mut slabs = Vec::new();
        for index in span.shape().chunks() {
            let addr = Addr::new(number, (index * CHUNK) as u64);
            let Some(mark) = SlabMark::decode(self.chunk_rc(addr).load(Ordering::Relaxed)) else { continue };
            let slab = Slab { addr, chunks: mark.chunks };
            if mark.index == 0 && slab.addresses().any(|addr| its.contains(&(addr.offset() as usize / CHUNK)))
            {
                its.extend(index..index + slab.chunks);
                slabs.push((mark.class, slab));
            }
        }
        for index in span.shape().chunks().filter(|index| !its.contains(index)) {
            self.chunk_rc(Addr::new(number, (index * CHUNK) as u64)).store(0, Ordering::Relaxed);
        }
        self.control().spans.hand_over(number, self.slot());
        self.chunks.adopt(Arc::clone(span), &its);
        for (class, slab) in slabs {
            let is_free = |cell: &u64| !in_use.contains_key(&addr_of(*cell));
            let free: Vec<u64> = slab.cells(class).filter(is_free).collect();
            self.small.adopt(class, slab, &free, &self.classes[class], &Links(self));
        }
        Ok(())
    }

    /// Takes the writer's lock, which its holder may have died with.
    ///
    /// # Errors
    /// The holder, where it was not to be had within the time.
    #[inline]
    pub fn lock(&self, within: Duration) -> Result<Taken, Holder> {
        match &self.slot {
            Some(slot) => self.control().lock.0.take(slot.number(), slot, within),
            None => Ok(Taken::Free),
        }
    }

    /// Takes it, if it is free.
    #[inline]
    pub fn try_lock(&self) -> bool {
        self.slot.as_ref().is_none_or(|slot| self.control().lock.0.try_take(slot.number()))
    }

    /// Gives it back.
    #[inline]
    pub fn unlock(&self) {
        if let Some(slot) = &self.slot {
            self.control().lock.0.give(slot.number(), slot);
        }
    }

    /// Whether this process is the one that sees to upkeep: it is if no living one was before.
    pub fn sees_to_upkeep(&self) -> bool {
        let (keeper, me) = (&self.control().upkeep.0[0], u64::from(self.slot()) + 1);
        let now = keeper.load(Ordering::Acquire);
        let gone = now == 0 || self.slot.as_ref().is_some_and(|slot| slot.is_dead(now as u32 - 1));
        let taken = || keeper.compare_exchange(now, me, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        now == me || gone && taken()
    }

    /// Leaves upkeep to others.
    pub fn leave_upkeep(&self) {
        let (keeper, me) = (&self.control().upkeep.0[0], u64::from(self.slot()) + 1);
        let _ = keeper.compare_exchange(me, 0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// The id of the process of a slot, for a person to read; where it is known.
    pub fn process_of(&self, slot: u32) -> Option<u64> {
        self.pins().entries().process_of(slot)
    }

    /// The folder in which it lies, if it has one.
    pub fn folder(&self) -> Option<PathBuf> {
        self.chunks.home().path()
    }
}
