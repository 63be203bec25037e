//! The kernel of joins: a map from key to right row, and the left rows sorted by key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::algebra::value::Truth;
use crate::page::version::PageRef;
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Input, Kernel};
use crate::propagation::made::Made;
use crate::propagation::relation::ints::Ints;
use crate::propagation::relation::inverse::{Inverse, Values};
use crate::propagation::relation::join::RULE;
use crate::propagation::relation::rows::{ABSENT, Rows};
use crate::propagation::relation::shape::{is_new, two};
use crate::propagation::runs::{Run, joined, rows, union};

/// Rows between two that are made too: what a run costs by itself.
const NEAR: u64 = 4;

/// Makes a page of left rows with the right row of their key.
#[derive(Debug)]
pub struct Lookup {
    keys: [Ints; 2],
    /// The right row of each key.
    map: HashMap<u64, u32>,
    /// How many right rows the map knows; `None` where it knows nothing.
    known: Option<u64>,
    /// Whether all of the map was made since it was last kept.
    fresh: bool,
    /// Keys whose row changed since the map was last kept, and what it was before each change.
    journal: Vec<(u64, Option<u32>)>,
    /// By key, the left rows that have it.
    inverse: Inverse,
    /// Keys, and the right rows that they name.
    places: Vec<u64>,
}

impl Lookup {
    /// One that remembers nothing, of these keys left and right.
    pub fn new(keys: [Ints; 2]) -> Self {
        let (map, journal, inverse, places) = Default::default();
        Self { keys, map, known: None, fresh: false, journal, inverse, places }
    }

    /// The map of all right rows.
    fn build(&mut self, right: &Input<'_>) -> Result<(), RuleError> {
        (self.known, self.fresh) = (None, true);
        self.journal.clear();
        self.map.clear();
        self.map.reserve(right.rows() as usize);
        let mut keys = Vec::new();
        self.keys[1].read(&right.column(self.keys[1].column), 0, right.rows(), &mut keys)?;
        for (row, &key) in (0u32..).zip(&keys) {
            if let Some(other) = self.map.insert(key, row) {
                return Err(self.twice(key, other, row));
            }
        }
        self.known = Some(right.rows());
        Ok(())
    }

    fn twice(&self, key: u64, a: u32, b: u32) -> RuleError {
        let (first, second, key) = (a.min(b), a.max(b), self.keys[1].number(key));
        let what = format!("the right rows {first} and {second} both have the key {key}");
        RuleError::Value { rule: RULE, what }
    }

    /// Has the map say what the right keys are now; the keys that it says another row of go to `asked`.
    fn mend(
        &mut self,
        right: &Input<'_>,
        before: PageRef<'_>,
        asked: &mut Vec<u64>,
    ) -> Result<(), RuleError> {
        let key = self.keys[1];
        let (now, was) = (right.column(key.column), before.column(right.schema, usize::from(key.column)));
        let (mut new, mut old) = (Vec::new(), Vec::new());
        let mut moved: Vec<(u32, u64)> = Vec::new();
        for run in right.changed(key.column) {
            key.read(&now, run.start, run.stop, &mut new)?;
            key.read(&was, run.start, run.stop, &mut old)?;
            for (row, (&new, &old)) in (run.start as u32..).zip(new.iter().zip(&old)) {
                if new != old {
                    self.map.remove(&old);
                    self.journal.push((old, Some(row)));
                    asked.extend([old, new]);
                    moved.push((row, new));
                }
            }
        }
        // Only now are the keys free that rows swapped.
        for (row, key) in moved {
            match self.map.entry(key) {
                Entry::Vacant(free) => {
                    free.insert(row);
                    self.journal.push((key, None));
                }
                Entry::Occupied(taken) => {
                    let other = *taken.get();
                    return Err(self.twice(key, other, row));
                }
            }
        }
        Ok(())
    }

    /// The left rows that may have another right row than before, or one with other cells.
    fn asked(
        &mut self,
        left: &Input<'_>,
        right: &Input<'_>,
        before: PageRef<'_>,
    ) -> Result<Vec<Run>, RuleError> {
        let mut asked = Vec::new();
        self.mend(right, before, &mut asked)?;
        let key = self.keys[1];
        let values = (0u16..).zip(right.changed).filter(|(i, list)| *i != key.column && !list.is_empty());
        let lists: Vec<&[Run]> = values.map(|(_, list)| list.as_slice()).collect();
        let (column, mut keys) = (right.column(key.column), Vec::new());
        for run in union(&lists) {
            key.read(&column, run.start, run.stop, &mut keys)?;
            asked.append(&mut keys);
        }
        asked.sort_unstable();
        asked.dedup();
        let asked: Vec<Values> = asked.into_iter().map(|key| (key, key)).collect();
        let key = self.keys[0];
        let named = left.changed(key.column);
        self.inverse.moved(named);
        let found = self.inverse.find(&asked, key, &left.column(key.column), left.rows())?;
        Ok(union(&[named, &found]))
    }

    /// Makes what comes of the right page in these rows.
    fn make_right(
        &mut self,
        left: &Input<'_>,
        right: &Input<'_>,
        runs: &[Run],
        made: &mut Made,
    ) -> Result<(), RuleError> {
        let (asked, [key, other]) = (rows(runs), self.keys);
        let given =
            right.schema.columns().iter().enumerate().filter(|(i, _)| *i != usize::from(other.column));
        let columns: Vec<(u64, u64, Rows<'_>)> = given
            .map(|(i, column)| {
                let (cells, width) = (column.cells_per_row(), column.row_bytes());
                (cells, width, Rows::new(right.column(i as u16), width, asked))
            })
            .collect();
        let (first, keys) = (left.schema.columns().len() as u16, left.column(key.column));
        for run in joined(runs, NEAR) {
            key.read(&keys, run.start, run.stop, &mut self.places)?;
            for place in &mut self.places {
                *place = self.map.get(place).map_or(ABSENT, |row| u64::from(*row));
            }
            for (i, (cells, width, rows)) in (first..).zip(&columns) {
                let room = made.room_of_bytes(i, run.start * cells, (run.rows() * width) as usize);
                rows.gather(&self.places, room);
            }
            let matched = made.room::<Truth>(first + columns.len() as u16, run.start, run.rows() as usize);
            matched.iter_mut().zip(&self.places).for_each(|(cell, place)| *cell = (*place != ABSENT).into());
        }
        Ok(())
    }
}

/// Makes what comes of the left page: its own rows, where they changed or all are new.
fn make_left(left: &Input<'_>, new: bool, made: &mut Made) {
    let all = [Run::new(0, left.rows())];
    for (i, column) in (0..).zip(left.schema.columns()) {
        let runs = if new { &all } else { left.changed(i) };
        let width = column.row_bytes();
        let rows = Rows::new(left.column(i), width, 0);
        for run in runs.iter().filter(|run| !run.is_empty()) {
            let room =
                made.room_of_bytes(i, run.start * column.cells_per_row(), (run.rows() * width) as usize);
            rows.copy(run.start, room);
        }
    }
}

impl Kernel for Lookup {
    fn run(&mut self, inputs: &[Input<'_>], made: &mut Made) -> Result<(), RuleError> {
        let [left, right] = two(RULE, inputs)?;
        let new = is_new(left) || is_new(right) || self.known != Some(right.rows());
        make_left(left, new, made);
        let runs = match right.before {
            Some(before) if !new => self.asked(left, right, before)?,
            _ => {
                self.inverse.clear();
                self.build(right)?;
                vec![Run::new(0, left.rows())]
            }
        };
        self.make_right(left, right, &runs, made)
    }

    fn keep(&mut self) {
        self.fresh = false;
        self.journal.clear();
        self.inverse.keep();
    }

    fn undo(&mut self) {
        self.inverse.undo();
        if self.fresh {
            (self.known, self.fresh) = (None, false);
            return;
        }
        for (key, row) in self.journal.drain(..).rev() {
            match row {
                Some(row) => self.map.insert(key, row),
                None => self.map.remove(&key),
            };
        }
    }
}
