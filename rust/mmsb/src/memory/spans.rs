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
use crate::memory::span::Span;

/// In an owner: the span is being made.
const MAKING: u32 = 1 << 31;

/// The spans of an arena. All zero is none.
#[derive(Debug)]
#[repr(C)]
pub struct SpanTable {
    /// Grows when there is another span.
    changes: Line<AtomicU64>,
    /// By number: 0 = there is none, else 1 + the slot of its process, with [`MAKING`] before others may map it.
    owners: Line<[AtomicU32; SPANS_MAX]>,
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

    /// The spans that others may map: their numbers and the slots of their processes.
    pub fn all(&self) -> impl Iterator<Item = (u16, u32)> {
        let of = |(number, owner): (usize, &AtomicU32)| {
            let owner = owner.load(Ordering::Acquire);
            (owner & MAKING == 0).then(|| Some((number as u16, owner.checked_sub(1)?)))?
        };
        self.owners.0.iter().enumerate().filter_map(of)
    }

    /// Puts right what a process of a slot left that died: spans that it was making are none.
    pub fn clear(&self, slot: u32) {
        for owner in &self.owners.0 {
            let made = MAKING | (slot + 1);
            let _ = owner.compare_exchange(made, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
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

    /// See [`SpanTable::add`].
    pub fn add(&self, number: u16) {
        self.table().add(number, self.slot);
    }
}
