//! Which spans an arena has, and whose each is: of the process that hands out its memory.
//!
//! Only the process to which a span belongs hands out what is free in it, and keeps account of that by itself. All others map
//! a span when they first meet something that lies in it. A number that is a span's once stays that span's for good, so
//! that whoever has mapped it never looks at another.
#![allow(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::base::limits::SPANS_MAX;
use crate::memory::control::{Control, Line};
use crate::memory::machine::span::Span;

/// In an owner: the span is being made.
const MAKING: u32 = 1 << 31;
/// An owner: the span's process left it, or died.
const ORPHAN: u32 = MAKING - 1;
/// An owner: nothing of the span is in use, and whoever wants one takes it.
const EMPTY: u32 = ORPHAN - 1;

/// The spans of an arena. All zero is none.
#[derive(Debug)]
#[repr(C)]
pub struct SpanTable {
    /// Grows when there is another span.
    changes: Line<AtomicU64>,
    /// By number: 0 = there is none, else 1 + the slot of its process, or [`ORPHAN`], with [`MAKING`] before others may map
    /// it.
    owners: Line<[AtomicU32; SPANS_MAX]>,
    /// How many are orphans, or more; how often one became one; and whether some of what was let go of in one may be known to
    /// nobody.
    orphans: Line<[AtomicU64; 3]>,
    /// By number, behind the last chunk that was ever handed out: what its process says, for whoever takes it over.
    fresh: Line<[AtomicU32; SPANS_MAX]>,
}

impl SpanTable {
    /// A number that is another one whenever there is a span more. Whoever has read an address since it was published finds
    /// its span in the table.
    #[inline]
    pub fn changes(&self) -> u64 {
        self.changes.0.load(Ordering::Acquire)
    }

    /// Takes a number for a span that the process of a slot makes; `None` where there is none left.
    pub fn reserve(&self, slot: u32) -> Option<u16> {
        let free = |owner: &AtomicU32| {
            owner.compare_exchange(0, MAKING | (slot + 1), Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        self.owners.0.iter().position(free).map(|number| number as u16)
    }

    /// Gives a number back for which no span came to be.
    pub fn give_up(&self, number: u16) {
        self.owners.0[usize::from(number)].store(0, Ordering::Release);
    }

    /// The span of a number is there: others may map it.
    pub fn add(&self, number: u16, slot: u32) {
        self.owners.0[usize::from(number)].store(slot + 1, Ordering::Release);
        self.changes.0.fetch_add(1, Ordering::Release);
    }

    /// The spans that others may map: their numbers and the slots of their processes, none of orphans.
    pub fn all(&self) -> impl Iterator<Item = (u16, Option<u32>)> {
        let of = |(number, owner): (usize, &AtomicU32)| {
            let owner = owner.load(Ordering::Acquire);
            let slot = owner.checked_sub(1)?;
            let there = owner & MAKING == 0 && owner != EMPTY;
            there.then_some((number as u16, (owner != ORPHAN).then_some(slot)))
        };
        self.owners.0.iter().enumerate().filter_map(of)
    }

    /// Whether a span is that of the process of a slot.
    #[inline]
    pub fn is_of(&self, number: u16, slot: u32) -> bool {
        self.owners.0[usize::from(number)].load(Ordering::Relaxed) == slot + 1
    }

    /// The process of a slot leaves its spans, or died: they are orphans, and those that it was making are none.
    pub fn leave(&self, slot: u32) {
        for owner in &self.owners.0 {
            let _ = owner.compare_exchange(MAKING | (slot + 1), 0, Ordering::AcqRel, Ordering::Relaxed);
            // Counted first: whoever finds none to take over sets the count right.
            if owner.load(Ordering::Relaxed) == slot + 1 {
                self.orphans.0[0].fetch_add(1, Ordering::AcqRel);
                self.orphans.0[1].fetch_add(1, Ordering::AcqRel);
                let _ = owner.compare_exchange(slot + 1, ORPHAN, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }

    /// How often a span was left.
    pub fn left(&self) -> u64 {
        self.orphans.0[1].load(Ordering::Acquire)
    }

    /// Says that what was let go of in a span could not be noted: nobody can tell any more what is free in orphans.
    pub fn lose(&self) {
        self.orphans.0[2].store(1, Ordering::Release);
    }

    /// Whether that was said.
    pub fn has_lost(&self) -> bool {
        self.orphans.0[2].load(Ordering::Acquire) != 0
    }

    /// Whether there may be orphans.
    #[inline]
    pub fn has_orphans(&self) -> bool {
        self.orphans.0[0].load(Ordering::Relaxed) > 0
    }

    /// The orphans. For whoever has the writer's lock.
    pub fn orphans(&self) -> Vec<u16> {
        let counted = self.orphans.0[0].load(Ordering::Acquire);
        let found: Vec<u16> =
            self.all().filter(|(_, slot)| slot.is_none()).map(|(number, _)| number).collect();
        if found.is_empty() {
            let _ = self.orphans.0[0].compare_exchange(counted, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
        found
    }

    /// The slots of processes that have spans, but for one.
    pub fn others(&self, me: u32) -> Vec<u32> {
        let mut slots: Vec<u32> =
            self.all().filter_map(|(_, slot)| slot).filter(|&slot| slot != me).collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// Leaves a span, of which nothing is in use, to whoever wants one.
    pub fn offer(&self, number: u16) {
        self.owners.0[usize::from(number)].store(EMPTY, Ordering::Release);
    }

    /// Takes a span of which nothing is in use, the first from a number on.
    fn take_empty(&self, from: u16, slot: u32) -> Option<u16> {
        let take = |owner: &AtomicU32| {
            owner.compare_exchange(EMPTY, slot + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        let from = usize::from(from);
        let number = (from + self.owners.0.get(from..)?.iter().position(take)?) as u16;
        self.set_fresh(number, 0);
        // Others may have passed it over when they mapped all there were.
        self.changes.0.fetch_add(1, Ordering::Release);
        Some(number)
    }

    /// Says that of a span the chunks before one have been handed out; for its process.
    fn set_fresh(&self, number: u16, fresh: usize) {
        self.fresh.0[usize::from(number)].store(fresh as u32, Ordering::Relaxed);
    }

    /// Behind the last chunk of a span that was ever handed out, or a little before where its process died at that.
    pub fn fresh(&self, number: u16) -> usize {
        self.fresh.0[usize::from(number)].load(Ordering::Relaxed) as usize
    }

    /// Makes a span one of another process, while nobody else can do so.
    pub fn hand_over(&self, number: u16, to: u32) {
        self.owners.0[usize::from(number)].store(to + 1, Ordering::Release);
    }
}

/// The table as a process knows it that makes spans.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// The span that begins with the control area.
    first: Arc<Span>,
    slot: u32,
}

impl Numbers {
    /// For the process of a slot. The span begins with a control area.
    pub fn new(first: Arc<Span>, slot: u32) -> Self {
        Numbers { first, slot }
    }

    fn table(&self) -> &SpanTable {
        // SAFETY: the span begins with a control area, mapped for as long as it is kept here; what changes in the table is
        // atomic.
        unsafe { &(*self.first.write().base().cast::<Control>()).spans }
    }

    /// See [`SpanTable::reserve`].
    pub fn reserve(&self) -> Option<u16> {
        self.table().reserve(self.slot)
    }

    /// See [`SpanTable::give_up`].
    pub fn give_up(&self, number: u16) {
        self.table().give_up(number);
    }

    /// Takes a span of which nothing is in use, the first from a number on.
    pub fn take_empty(&self, from: u16) -> Option<u16> {
        self.table().take_empty(from, self.slot)
    }

    /// See [`SpanTable::offer`].
    pub fn offer(&self, number: u16) {
        self.table().offer(number);
    }

    /// See [`SpanTable::has_orphans`].
    pub fn has_orphans(&self) -> bool {
        self.table().has_orphans()
    }

    /// Says that of a span the chunks before one have been handed out.
    pub fn set_fresh(&self, number: u16, fresh: usize) {
        self.table().set_fresh(number, fresh);
    }

    /// See [`SpanTable::add`].
    pub fn add(&self, number: u16) {
        self.table().add(number, self.slot);
    }
}
