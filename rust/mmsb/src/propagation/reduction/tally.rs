//! Reductions by key that are exact: a sum and a number of rows for each group, added to and taken from.

use crate::propagation::reduction::folds::{Exact, Fold};
use crate::propagation::reduction::keyed::Groups;

/// What is in a group.
#[derive(Debug, Clone, Copy)]
struct Slot<S> {
    sum: S,
    rows: u64,
}

/// A sum for each group.
#[derive(Debug)]
pub struct Tally<F: Fold> {
    slots: Vec<Slot<F::Sum>>,
    /// Groups as they were when a run came to them, in that order.
    journal: Vec<(u32, Slot<F::Sum>)>,
}

impl<F: Fold> Default for Tally<F> {
    fn default() -> Self {
        Self { slots: Vec::new(), journal: Vec::new() }
    }
}

impl<F: Exact> Groups for Tally<F> {
    type Cell = F::Cell;
    type Out = F::Out;

    fn clear(&mut self, groups: usize) {
        self.journal.clear();
        self.slots.clear();
        self.slots.resize(groups, Slot { sum: F::ZERO, rows: 0 });
    }

    #[inline]
    fn touch(&mut self, group: u32) {
        self.journal.push((group, self.slots[group as usize]));
    }

    #[inline]
    fn put(&mut self, group: u32, _: u64, cell: F::Cell) {
        let slot = &mut self.slots[group as usize];
        slot.sum = F::op(slot.sum, F::lift(cell, 0));
        slot.rows += 1;
    }

    #[inline]
    fn take(&mut self, group: u32, _: u64, cell: F::Cell) {
        let slot = &mut self.slots[group as usize];
        slot.sum = F::less(slot.sum, F::lift(cell, 0));
        slot.rows -= 1;
    }

    fn give(&mut self, group: u32) -> F::Out {
        let slot = self.slots[group as usize];
        F::finish(slot.sum, slot.rows)
    }

    fn keep(&mut self) {
        self.journal.clear();
    }

    fn undo(&mut self) {
        for (group, slot) in self.journal.drain(..).rev() {
            self.slots[group as usize] = slot;
        }
    }
}
