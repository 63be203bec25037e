//! The smallest and largest cells by key, and where they lie: of each group a heap of what came and one of what went.
//!
//! What is in the second heap is in the first one too, so that where both begin with the same, both can do without it;
//! then the first one's begin is the first of what is there. Coming and going cost what a heap costs, and the group is
//! never gone through. Which cell is first does not depend on how the heaps came to be as they are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::marker::PhantomData;

use crate::algebra::value::Value;
use crate::propagation::reduction::cells::Cell;
use crate::propagation::reduction::folds::{Extreme, Fold, order};
use crate::propagation::reduction::keyed::Groups;

/// Cells that went, beside half of those that came, for which a group puts up with them.
const GONE: usize = 16;

/// How a cell stands among those that may win, and its row.
type Entry = (u64, u64);
type Heap = BinaryHeap<Reverse<Entry>>;

/// What is in a group.
#[derive(Debug, Clone, Default)]
struct Slot {
    came: Heap,
    went: Heap,
}

impl Slot {
    /// The first of what is there.
    fn first(&mut self) -> Option<Entry> {
        if self.went.len() > self.came.len() / 2 + GONE {
            self.clean();
        }
        while let Some(gone) = self.went.peek()
            && self.came.peek() == Some(gone)
        {
            self.went.pop();
            self.came.pop();
        }
        self.came.peek().map(|Reverse(entry)| *entry)
    }

    /// Does without all that went.
    fn clean(&mut self) {
        let mut came = std::mem::take(&mut self.came).into_vec();
        let mut went = std::mem::take(&mut self.went).into_vec();
        came.sort_unstable();
        went.sort_unstable();
        let mut went = went.into_iter().peekable();
        came.retain(|entry| went.next_if_eq(entry).is_none());
        self.came = came.into();
    }
}

/// What comes of a group's first cell.
pub trait First: std::fmt::Debug + Send + 'static {
    /// What is in a group.
    type Cell: Cell;
    /// What comes of it.
    type Out: Value;

    /// How a cell stands among those that may win, the first one least.
    fn order(cell: Self::Cell) -> u64;
    /// What comes of the first one, where there is one.
    fn give(first: Option<Entry>) -> Self::Out;
}

/// The cell itself.
#[derive(Debug)]
pub struct Best<T, const MOST: bool>(PhantomData<T>);

impl<T: Cell, const MOST: bool> First for Best<T, MOST> {
    type Cell = T;
    type Out = T;

    fn order(cell: T) -> u64 {
        order::<MOST>(cell.rank())
    }

    fn give(first: Option<Entry>) -> T {
        let none = <Extreme<T, MOST> as Fold>::ZERO;
        let rank = |order: u64| if MOST { !order } else { order };
        // First among floats is what is not a number, which no other stands as: the rank of the least is more than 0.
        let cell = |order| T::ranked((order > 0 || !T::DTYPE.is_float()).then_some(rank(order)));
        first.map_or(none, |(order, _)| cell(order))
    }
}

/// Its row.
#[derive(Debug)]
pub struct Row<T, const MOST: bool>(PhantomData<T>);

impl<T: Cell, const MOST: bool> First for Row<T, MOST> {
    type Cell = T;
    type Out = i64;

    fn order(cell: T) -> u64 {
        order::<MOST>(cell.rank_of_equals())
    }

    fn give(first: Option<Entry>) -> i64 {
        first.map_or(-1, |(_, row)| row as i64)
    }
}

/// The cells of each group.
#[derive(Debug)]
pub struct Extremes<F> {
    slots: Vec<Slot>,
    /// What came (`true`) to a group, and what went.
    journal: Vec<(u32, bool, Entry)>,
    /// Whether it is written.
    journals: bool,
    first: PhantomData<F>,
}

impl<F> Default for Extremes<F> {
    fn default() -> Self {
        Self { slots: Vec::new(), journal: Vec::new(), journals: false, first: PhantomData }
    }
}

impl<F> Extremes<F> {
    #[inline]
    fn note(&mut self, group: u32, came: bool, entry: Entry) {
        if self.journals {
            self.journal.push((group, came, entry));
        }
        self.moves(group, came, entry);
    }

    #[inline]
    fn moves(&mut self, group: u32, came: bool, entry: Entry) {
        let slot = &mut self.slots[group as usize];
        if came { &mut slot.came } else { &mut slot.went }.push(Reverse(entry));
    }
}

impl<F: First> Groups for Extremes<F> {
    type Cell = F::Cell;
    type Out = F::Out;

    fn clear(&mut self, groups: usize) {
        *self = Self::default();
        self.slots.resize(groups, Slot::default());
    }

    fn touch(&mut self, _: u32) {}

    fn put(&mut self, group: u32, row: u64, cell: F::Cell) {
        self.note(group, true, (F::order(cell), row));
    }

    fn take(&mut self, group: u32, row: u64, cell: F::Cell) {
        self.note(group, false, (F::order(cell), row));
    }

    fn give(&mut self, group: u32) -> F::Out {
        F::give(self.slots[group as usize].first())
    }

    fn keep(&mut self) {
        self.journal.clear();
        self.journals = true;
    }

    fn undo(&mut self) {
        for (group, came, entry) in std::mem::take(&mut self.journal) {
            self.moves(group, !came, entry);
        }
    }
}
