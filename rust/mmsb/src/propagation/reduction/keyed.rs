//! Reductions by key: a row's cell goes into the group that its key names.

use std::fmt::Debug;

use crate::algebra::value::Value;
use crate::page::version::PageRef;
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Input, Kernel, read};
use crate::propagation::made::Made;
use crate::propagation::places::{NOWHERE, Places};
use crate::propagation::reduction::cells::Cell;
use crate::propagation::reduction::spec::one;
use crate::propagation::runs;

/// Rows that are read at once: their keys and cells stay in the nearest cache.
const BLOCK: u64 = 512;

/// Rows between two that changed which are compared too: finding where a row lies costs as much as comparing so many.
const GAP: u64 = 32;

/// What is known of every group. What comes of a group follows from the rows that are in it, however they came there.
pub trait Groups: Debug + Send {
    /// What is in a group.
    type Cell: Cell;
    /// What comes of one.
    type Out: Value;

    /// So many groups with nothing in them.
    fn clear(&mut self, groups: usize);
    /// A group is going to change, for the first time in this run.
    fn touch(&mut self, group: u32);
    /// Adds a row's cell.
    fn put(&mut self, group: u32, row: u64, cell: Self::Cell);
    /// Takes back what a row added.
    fn take(&mut self, group: u32, row: u64, cell: Self::Cell);
    /// What comes of it.
    fn give(&mut self, group: u32) -> Self::Out;
    /// What changed stays.
    fn keep(&mut self);
    /// What changed since it was last kept is as it was. Not asked where all was made anew since.
    fn undo(&mut self);
}

/// A reduction by key.
#[derive(Debug)]
pub struct Keyed<G: Groups> {
    column: u16,
    keys: Places,
    groups: G,
    /// How many rows it knows; `None` where it knows nothing.
    rows: Option<u64>,
    /// Whether all of it was made since it was last kept.
    fresh: bool,
    /// The groups that this run changed, and for each a bit that says so.
    dirty: Vec<u32>,
    marks: Vec<u64>,
    now: (Vec<u32>, Vec<G::Cell>),
    was: (Vec<u32>, Vec<G::Cell>),
}

impl<G: Groups> Keyed<G> {
    /// One that remembers nothing.
    pub fn new(column: u16, keys: Places, groups: G) -> Self {
        let marks = vec![0; (keys.count as usize).div_ceil(64)];
        let (now, was) = Default::default();
        Self { column, keys, groups, rows: None, fresh: false, dirty: Vec::new(), marks, now, was }
    }

    fn build(&mut self, input: &Input<'_>) -> Result<(), RuleError> {
        self.fresh = true;
        self.rows = None;
        self.groups.clear(self.keys.count as usize);
        let (keys, cells) = (input.column(self.keys.column), input.column(self.column));
        for first in (0..input.rows()).step_by(BLOCK as usize) {
            let stop = input.rows().min(first + BLOCK);
            self.keys.read(&keys, first, stop, &mut self.now.0)?;
            self.now.1.clear();
            read(&cells, first, stop, &mut self.now.1)?;
            for (row, (&group, &cell)) in (first..).zip(self.now.0.iter().zip(&self.now.1)) {
                if group != NOWHERE {
                    self.groups.put(group, row, cell);
                }
            }
        }
        self.rows = Some(input.rows());
        Ok(())
    }

    fn mend(&mut self, input: &Input<'_>, before: PageRef<'_>) -> Result<(), RuleError> {
        let columns = [self.keys.column, self.column];
        let [keys, cells] = columns.map(|i| input.column(i));
        let [old_keys, old_cells] = columns.map(|i| before.column(input.schema, usize::from(i)));
        let changed = runs::union(&[input.changed(self.keys.column), input.changed(self.column)]);
        for run in runs::joined(&changed, GAP) {
            for first in (run.start..run.stop).step_by(BLOCK as usize) {
                let stop = run.stop.min(first + BLOCK);
                self.keys.read(&keys, first, stop, &mut self.now.0)?;
                self.keys.read(&old_keys, first, stop, &mut self.was.0)?;
                self.now.1.clear();
                read(&cells, first, stop, &mut self.now.1)?;
                self.was.1.clear();
                read(&old_cells, first, stop, &mut self.was.1)?;
                self.rows_from(first);
            }
        }
        Ok(())
    }

    /// Moves the rows that were read from where they were to where they are.
    fn rows_from(&mut self, first: u64) {
        let (now, was) = (std::mem::take(&mut self.now), std::mem::take(&mut self.was));
        let new = now.0.iter().zip(&now.1);
        for (row, ((&to, &cell), (&from, &old))) in (first..).zip(new.zip(was.0.iter().zip(&was.1))) {
            if to == from && cell.same(old) {
                continue;
            }
            if from != NOWHERE {
                self.mark(from);
                self.groups.take(from, row, old);
            }
            if to != NOWHERE {
                self.mark(to);
                self.groups.put(to, row, cell);
            }
        }
        (self.now, self.was) = (now, was);
    }

    #[inline]
    fn mark(&mut self, group: u32) {
        let (word, bit) = (&mut self.marks[group as usize / 64], 1 << (group % 64));
        if *word & bit == 0 {
            *word |= bit;
            self.dirty.push(group);
            if !self.fresh {
                self.groups.touch(group);
            }
        }
    }

    /// Gives these groups, side by side.
    fn give(&mut self, first: u32, count: usize, made: &mut Made) {
        let room = made.room::<G::Out>(0, u64::from(first), count);
        (first..).zip(room).for_each(|(group, cell)| *cell = self.groups.give(group));
    }

    /// Gives the groups that changed, or all where those are most.
    fn give_dirty(&mut self, made: &mut Made) {
        let all = self.keys.count as usize;
        if self.dirty.len() > all / 2 {
            return self.give(0, all, made);
        }
        if self.dirty.len() > all / 64 {
            self.dirty.clear();
            for (first, word) in (0..).step_by(64).zip(&self.marks) {
                let mut left = *word;
                while left != 0 {
                    self.dirty.push(first + left.trailing_zeros());
                    left &= left - 1;
                }
            }
        } else {
            self.dirty.sort_unstable();
        }
        let dirty = std::mem::take(&mut self.dirty);
        for groups in dirty.chunk_by(|a, b| a + 1 == *b) {
            self.give(groups[0], groups.len(), made);
        }
        self.dirty = dirty;
    }

    /// No group is dirty.
    fn unmark(&mut self) {
        for group in self.dirty.drain(..) {
            self.marks[group as usize / 64] = 0;
        }
    }
}

impl<G: Groups> Kernel for Keyed<G> {
    fn run(&mut self, inputs: &[Input<'_>], made: &mut Made) -> Result<(), RuleError> {
        let input = one(inputs)?;
        self.unmark();
        match input.before {
            Some(before) if before.rows() == input.rows() && self.rows == Some(input.rows()) => {
                self.mend(input, before)?;
                if !self.dirty.is_empty() {
                    self.give_dirty(made);
                }
            }
            _ => {
                self.build(input)?;
                self.give(0, self.keys.count as usize, made);
            }
        }
        Ok(())
    }

    fn keep(&mut self) {
        self.fresh = false;
        self.groups.keep();
    }

    fn undo(&mut self) {
        if self.fresh {
            (self.rows, self.fresh) = (None, false);
        } else {
            self.groups.undo();
        }
    }
}
