//! Sums and means of floats by key: of each group the exact sum, rounded once.

use std::marker::PhantomData;

use crate::propagation::reduction::cells::Float;
use crate::propagation::reduction::exact::{Long, Narrow};
use crate::propagation::reduction::folds::divided;
use crate::propagation::reduction::keyed::Groups;

/// What is in a group.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    sum: Narrow,
    /// One more than the number of the long sum that it has instead; 0 of none.
    long: u32,
    rows: u64,
}

/// A sum for each group.
#[derive(Debug)]
pub struct Sums<T, const MEAN: bool> {
    slots: Vec<Slot>,
    longs: Vec<Long>,
    /// Groups as they were when a run came to them, in that order.
    journal: Vec<(u32, Slot)>,
    /// The long sums among them, likewise.
    long_journal: Vec<(u32, Long)>,
    /// How many long sums there were when all was last kept.
    longs_kept: usize,
    cell: PhantomData<T>,
}

impl<T, const MEAN: bool> Default for Sums<T, MEAN> {
    fn default() -> Self {
        let (slots, longs) = (Vec::new(), Vec::new());
        let (journal, long_journal) = (Vec::new(), Vec::new());
        Self { slots, longs, journal, long_journal, longs_kept: 0, cell: PhantomData }
    }
}

impl<T: Float, const MEAN: bool> Sums<T, MEAN> {
    /// Adds a value to what does not hold it as it is, or takes it back.
    #[cold]
    fn add_long(&mut self, group: u32, value: f64, back: bool) {
        let slot = &mut self.slots[group as usize];
        if slot.long == 0 {
            self.longs.push(Long::from(slot.sum));
            slot.long = self.longs.len() as u32;
        }
        self.longs[slot.long as usize - 1].add(value, back);
    }

    #[inline]
    fn add(&mut self, group: u32, value: f64, back: bool) {
        let slot = &mut self.slots[group as usize];
        let signed = if back { -value } else { value };
        if slot.long != 0 || !slot.sum.add(signed) {
            self.add_long(group, value, back);
        }
    }

    fn sum<O: Float>(&self, slot: &Slot) -> O {
        match slot.long {
            0 => slot.sum.rounded(),
            long => self.longs[long as usize - 1].rounded(),
        }
    }
}

impl<T: Float, const MEAN: bool> Groups for Sums<T, MEAN> {
    type Cell = T;
    type Out = T;

    fn clear(&mut self, groups: usize) {
        *self = Self::default();
        self.slots.resize(groups, Slot::default());
    }

    #[inline]
    fn touch(&mut self, group: u32) {
        let slot = self.slots[group as usize];
        if slot.long != 0 {
            self.long_journal.push((slot.long, self.longs[slot.long as usize - 1]));
        }
        self.journal.push((group, slot));
    }

    #[inline]
    fn put(&mut self, group: u32, _: u64, cell: T) {
        self.slots[group as usize].rows += 1;
        self.add(group, cell.wide(), false);
    }

    #[inline]
    fn take(&mut self, group: u32, _: u64, cell: T) {
        self.slots[group as usize].rows -= 1;
        self.add(group, cell.wide(), true);
    }

    fn give(&mut self, group: u32) -> T {
        let slot = &self.slots[group as usize];
        if MEAN { T::nearest(divided(self.sum(slot), slot.rows)) } else { self.sum(slot) }
    }

    fn keep(&mut self) {
        self.journal.clear();
        self.long_journal.clear();
        self.longs_kept = self.longs.len();
    }

    fn undo(&mut self) {
        for (group, slot) in self.journal.drain(..).rev() {
            self.slots[group as usize] = slot;
        }
        for (long, sum) in self.long_journal.drain(..).rev() {
            self.longs[long as usize - 1] = sum;
        }
        self.longs.truncate(self.longs_kept);
    }
}
