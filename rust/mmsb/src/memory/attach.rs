//! Sharing an arena: coming to one that another process has made, following what others add, and taking over what those
//! leave who die.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::base::fail;
use crate::base::limits::CHUNK;
use crate::base::sync::Ordering;
use crate::memory::addr::Addr;
use crate::memory::arena::{Arena, Links, Options};
use crate::memory::control::{Control, LAYOUT, MAGIC};
use crate::memory::error::MemoryError;
use crate::memory::heap::alloc::{Slab, SlabMark, addr_of};
use crate::memory::heap::chunks::Chunks;
use crate::memory::machine::host;
use crate::memory::machine::place::Home;
use crate::memory::machine::span::Span;
use crate::memory::shared::lock::{Holder, Taken};
use crate::memory::shared::slots::{Owner, Slot};

/// In the place of the process that reads in what opening left on disk: it is gone, and another has its slot.
const GONE: u64 = u64::MAX;

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
        // Whoever is left alone with it can ask nobody what is to be believed.
        if !slot.has_others() {
            return Err(MemoryError::NoArena { folder: folder.display().to_string() });
        }
        // That was the one that had the slot before.
        let before = u64::from(slot.number()) + 1;
        let _ = control.reader_in.0.compare_exchange(before, GONE, Ordering::AcqRel, Ordering::Relaxed);
        let chunks = Chunks::new(home, options.budget);
        let arena = Arena::over(chunks, first, true, Some(slot), options.prefault)?;
        // Reading needs a place for pins, also when there is no room for one any more; where there is none now, who reads is told.
        let _ = arena.more_pins();
        Ok(arena)
    }

    /// Maps the spans that other processes have added. To be called between reading an address that another process may
    /// have published and following it; costs two loads where there is nothing new.
    #[inline]
    pub fn meet(&self) -> Result<(), MemoryError> {
        let changes = self.control().spans.changes();
        if changes == self.met.load(Ordering::Acquire) { Ok(()) } else { self.map_new(changes) }
    }

    /// Whether there is nothing new, or it could be mapped.
    #[inline]
    pub fn has_met_all(&self) -> bool {
        self.control().spans.changes() == self.met.load(Ordering::Acquire) || self.map_all()
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
        // One that another thread had begun with is known as well.
        drop(self.learning());
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

    /// Says that nothing is left to be read in.
    pub fn set_read_in(&self) {
        self.control().reader_in.0.store(0, Ordering::Release);
    }

    /// Leaves what is still to be read in to whoever wants it.
    pub fn leave_reading_in(&self) {
        let me = u64::from(self.slot()) + 1;
        let _ = self.control().reader_in.0.compare_exchange(me, GONE, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Whether nothing is left to be read in that opening left on disk.
    pub fn is_all_read_in(&self) -> bool {
        self.control().reader_in.0.load(Ordering::Acquire) == 0
    }

    /// Whether the process lives that reads in what opening left on disk.
    pub fn is_read_in(&self) -> bool {
        let by = self.control().reader_in.0.load(Ordering::Acquire);
        by != 0 && by != GONE && !self.is_gone(by as u32 - 1)
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

    /// Whether this process would rather take over a span than make one.
    pub fn wants_span(&self) -> bool {
        self.chunks.wants_span()
    }

    /// This process's mapping of a span that it takes over.
    fn taken_over(&self, number: u16) -> Result<&Arc<Span>, MemoryError> {
        self.among.store(true, Ordering::Relaxed);
        let mapped = &self.mapped[usize::from(number)];
        if mapped.get().is_none() {
            self.learn(&Arc::new(Span::open(self.chunks.home(), number)?));
        }
        Ok(mapped.get_or_init(|| unreachable!("it was learned just now")))
    }

    /// Bytes of a span that were never handed out, whose process left it or died; where it cannot be mapped, none.
    pub fn room_of(&self, number: u16) -> usize {
        let of = |span: &Arc<Span>| span.shape().chunks().end.saturating_sub(self.fresh_of(span));
        self.taken_over(number).map_or(0, |span| of(span) * CHUNK)
    }

    fn fresh_of(&self, span: &Span) -> usize {
        self.control().spans.fresh(span.number()).max(span.shape().first)
    }

    /// The slabs of a span, of those of its chunks that count.
    fn slabs_of(&self, span: &Span, counts: impl Fn(usize) -> bool) -> Vec<(usize, Slab)> {
        let slab = |index: usize| {
            let addr = Addr::new(span.number(), (index * CHUNK) as u64);
            let mark = SlabMark::decode(self.chunk_rc(addr).load(Ordering::Relaxed))?;
            (mark.index == 0).then_some((mark.class, Slab { addr, chunks: mark.chunks }))
        };
        let its =
            |(_, slab): &(usize, Slab)| slab.addresses().any(|addr| counts(addr.offset() as usize / CHUNK));
        span.shape().chunks().filter_map(slab).filter(its).collect()
    }

    /// Takes over what was never handed out of a span whose process left it or died; of the rest nothing is free until it is let
    /// go of. For whoever has the writer's lock.
    ///
    /// # Errors
    /// It cannot be mapped.
    pub fn adopt_as_it_is(&self, number: u16) -> Result<(), MemoryError> {
        let span = self.taken_over(number)?;
        let fresh = self.fresh_of(span);
        self.control().spans.hand_over(number, self.slot());
        fail::at("adopting");
        self.chunks.adopt_as_it_is(Arc::clone(span), fresh);
        for (class, slab) in self.slabs_of(span, |index| index < fresh) {
            self.small.adopt(class, slab, &[], &self.classes[class], &Links(self));
        }
        Ok(())
    }

    /// Takes over a span whose process left it or died, by its number; `in_use` are all the blocks that others reach, by where
    /// they begin and how many bytes they have. One of which nothing is in use is left to whoever wants a span: false then.
    /// For whoever has the writer's lock, when nobody reads anything else there.
    ///
    /// # Errors
    /// It cannot be mapped.
    pub fn adopt(&self, number: u16, in_use: &BTreeMap<Addr, usize>) -> Result<bool, MemoryError> {
        let span = self.taken_over(number)?;
        let of = Addr::new(number, 0)..=Addr::new(number, span.shape().capacity - 1);
        let mut its: BTreeSet<usize> = BTreeSet::new();
        for (addr, bytes) in in_use.range(of) {
            let first = addr.offset() as usize / CHUNK;
            its.extend(first..(addr.offset() as usize + bytes).div_ceil(CHUNK));
        }
        let slabs = self.slabs_of(span, |index| its.contains(&index));
        for (_, slab) in &slabs {
            its.extend(slab.addresses().map(|addr| addr.offset() as usize / CHUNK));
        }
        for index in span.shape().chunks().filter(|index| !its.contains(index)) {
            self.chunk_rc(Addr::new(number, (index * CHUNK) as u64)).store(0, Ordering::Relaxed);
        }
        // The first has more in it than chunks.
        if its.is_empty() && number != 0 {
            self.chunks.empty(span);
            self.control().spans.offer(number);
            return Ok(false);
        }
        self.control().spans.hand_over(number, self.slot());
        fail::at("adopting");
        self.chunks.adopt(Arc::clone(span), &its);
        for (class, slab) in slabs {
            let is_free = |cell: &u64| !in_use.contains_key(&addr_of(*cell));
            let free: Vec<u64> = slab.cells(class).filter(is_free).collect();
            self.small.adopt(class, slab, &free, &self.classes[class], &Links(self));
        }
        Ok(true)
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

    /// Says to whoever lists the processes whether this one writes.
    pub fn describe(&self, writes: bool) -> Result<(), MemoryError> {
        self.slot.as_ref().map_or(Ok(()), |slot| slot.describe(writes))
    }

    /// The processes that use the arena; none where no other can come.
    pub fn processes(&self) -> Result<Vec<Owner>, MemoryError> {
        self.slot.as_ref().map_or(Ok(Vec::new()), Slot::list)
    }

    /// Bytes of the spans of the process of a slot that were ever handed out.
    pub fn bytes_of(&self, slot: u32) -> u64 {
        let table = &self.control().spans;
        let its = table.all().filter(|(_, owner)| *owner == Some(slot));
        its.map(|(number, _)| (table.fresh(number) * CHUNK) as u64).sum()
    }

    /// The slot of whoever has the writer's lock now.
    pub fn locked_by(&self) -> Option<u32> {
        self.control().lock.0.holder().map(|holder| holder.slot)
    }

    /// Whether no living process has a slot.
    pub fn is_gone(&self, slot: u32) -> bool {
        self.slot.as_ref().is_some_and(|me| me.is_dead(slot))
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
