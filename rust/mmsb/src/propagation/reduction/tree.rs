//! The fixed tree of [`crate::algebra::fold`] above cells that lie in a page, for many lanes side by side, with what the
//! last runs changed of it.

use std::ops::Range;

use crate::algebra::fold::{FAN_IN, bring_together};
use crate::propagation::reduction::folds::Fold;

/// A sum of the tree as it was.
#[derive(Debug)]
struct Was<S> {
    level: usize,
    at: usize,
    sum: S,
}

/// What mending a tree came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Mended {
    /// How many nodes were looked at, each with all its lanes.
    pub looked: usize,
    /// The lanes of the root that may be new.
    pub lanes: Range<usize>,
}

/// For each lane a tree over `leaves` steps; step `i` of lane `j` is the leaf `i * lanes + j`, and so on every level.
/// There is always a root, also over a single step.
#[derive(Debug)]
pub struct Tree<F: Fold> {
    lanes: usize,
    /// From the nodes above the leaves to the root; none where there is no tree.
    levels: Vec<Vec<F::Sum>>,
    leaves: u64,
    journal: Vec<Was<F::Sum>>,
    /// Whether all of it was made since it was last kept.
    fresh: bool,
    dirty: Vec<usize>,
    next: Vec<usize>,
    sums: Vec<F::Sum>,
}

impl<F: Fold> Tree<F> {
    /// None yet, with so many lanes.
    pub fn new(lanes: usize) -> Self {
        let (dirty, next) = (Vec::new(), Vec::new());
        let sums = vec![F::ZERO; lanes];
        Self { lanes, levels: Vec::new(), leaves: 0, journal: Vec::new(), fresh: false, dirty, next, sums }
    }

    /// Whether there is one over so many steps.
    pub fn is_over(&self, leaves: u64) -> bool {
        !self.levels.is_empty() && self.leaves == leaves
    }

    /// Makes it over so many steps. `fill` is to fill the nodes above the leaves, lane by lane.
    ///
    /// # Errors
    /// Those of `fill`; there is no tree then.
    pub fn build<E>(
        &mut self,
        leaves: u64,
        fill: impl FnOnce(&mut [F::Sum]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.fresh = true;
        self.journal.clear();
        let mut levels = std::mem::take(&mut self.levels);
        let mut count = leaves.div_ceil(FAN_IN as u64).max(1) as usize;
        levels.resize_with(1, Vec::new);
        levels[0].clear();
        levels[0].resize(count * self.lanes, F::ZERO);
        fill(&mut levels[0])?;
        while count > 1 {
            let below = &levels[levels.len() - 1];
            count = count.div_ceil(FAN_IN);
            let mut level = vec![F::ZERO; count * self.lanes];
            level.chunks_mut(self.lanes).enumerate().for_each(|(at, sums)| above::<F>(below, at, sums));
            levels.push(level);
        }
        (self.levels, self.leaves) = (levels, leaves);
        Ok(())
    }

    /// Mends it above the steps that changed, ascending; stops where nothing is new. `node` is to make the node of this
    /// number above the leaves.
    ///
    /// # Errors
    /// Those of `node`.
    pub fn mend<E>(
        &mut self,
        changed: impl Iterator<Item = Range<u64>>,
        mut node: impl FnMut(usize, &mut [F::Sum]) -> Result<(), E>,
    ) -> Result<Mended, E> {
        self.dirty.clear();
        for steps in changed.filter(|steps| !steps.is_empty()) {
            let (first, last) = (steps.start as usize / FAN_IN, (steps.end - 1) as usize / FAN_IN);
            let first = self.dirty.last().map_or(first, |&done| first.max(done + 1));
            self.dirty.extend(first..=last);
        }
        let mut mended = Mended { looked: 0, lanes: 0..0 };
        for level in 0..self.levels.len() {
            self.next.clear();
            for i in 0..self.dirty.len() {
                let at = self.dirty[i];
                match level {
                    0 => node(at, &mut self.sums)?,
                    _ => above::<F>(&self.levels[level - 1], at, &mut self.sums),
                }
                mended.looked += 1;
                mended.lanes = self.replace(level, at);
                if !mended.lanes.is_empty() && self.next.last() != Some(&(at / FAN_IN)) {
                    self.next.push(at / FAN_IN);
                }
            }
            std::mem::swap(&mut self.dirty, &mut self.next);
        }
        if self.dirty.is_empty() {
            mended.lanes = 0..0;
        }
        Ok(mended)
    }

    /// Puts the sums that were made into a node; which lanes have others now.
    #[inline]
    fn replace(&mut self, level: usize, at: usize) -> Range<usize> {
        let mut new = 0..0;
        let first = at * self.lanes;
        let node = &mut self.levels[level][first..first + self.lanes];
        for (lane, (sum, &made)) in node.iter_mut().zip(&self.sums).enumerate() {
            if F::same(*sum, made) {
                continue;
            }
            if !self.fresh {
                self.journal.push(Was { level, at: first + lane, sum: *sum });
            }
            *sum = made;
            new = if new.is_empty() { lane..lane + 1 } else { new.start..lane + 1 };
        }
        new
    }

    /// The root of every lane.
    pub fn roots(&self) -> &[F::Sum] {
        self.levels.last().map_or(&[], |level| &level[..self.lanes])
    }

    /// What changed stays.
    pub fn keep(&mut self) {
        self.journal.clear();
        self.fresh = false;
    }

    /// What changed since it was last kept is as it was; there is no tree where all of it was made since.
    pub fn undo(&mut self) {
        if self.fresh {
            self.levels.clear();
            self.fresh = false;
        }
        for was in self.journal.drain(..).rev() {
            self.levels[was.level][was.at] = was.sum;
        }
    }
}

/// The node of a number above a level, lane by lane.
#[inline]
pub fn above<F: Fold>(below: &[F::Sum], at: usize, sums: &mut [F::Sum]) {
    let lanes = sums.len();
    let first = at * FAN_IN * lanes;
    for (lane, sum) in sums.iter_mut().enumerate() {
        let of = |i: usize| below.get(first + i * lanes + lane).copied().unwrap_or(F::ZERO);
        *sum = bring_together::<_, FAN_IN>(std::array::from_fn(of), F::op);
    }
}

/// The node above steps of which the first is step `place`, at most [`FAN_IN`] of them, lane by lane. `halves` is room.
///
/// By halves, over all lanes at once. What has no partner is brought together with what no cell is worth, once: more of
/// that changes nothing.
#[inline(always)]
pub fn above_cells<F: Fold>(cells: &[F::Cell], place: u64, sums: &mut [F::Sum], halves: &mut Vec<F::Sum>) {
    let lanes = sums.len();
    halves.clear();
    for (i, step) in cells.chunks(lanes).enumerate() {
        halves.extend(step.iter().map(|cell| F::lift(*cell, place + i as u64)));
    }
    let mut left = halves.len();
    for half in [8, 4, 2, 1].map(|steps| steps * lanes) {
        let (first, second) = halves[..left].split_at_mut(left.min(half));
        let partners = second.len();
        first.iter_mut().zip(second).for_each(|(a, b)| *a = F::op(*a, *b));
        if half == 8 * lanes {
            first[partners..].iter_mut().for_each(|a| *a = F::op(*a, F::ZERO));
        }
        left = first.len();
    }
    match halves.get(..lanes.min(left)) {
        Some(all) if left > 0 => sums.copy_from_slice(all),
        _ => sums.fill(F::ZERO),
    }
}

/// As [`above_cells`] of a single lane whose steps are all there.
#[inline(always)]
pub fn above_all<F: Fold>(cells: &[F::Cell; FAN_IN], place: u64) -> F::Sum {
    bring_together::<_, FAN_IN>(std::array::from_fn(|i| F::lift(cells[i], place + i as u64)), F::op)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::propagation::reduction::folds::{Added, Extreme};
    use std::convert::Infallible;

    fn node<F: Fold>(
        cells: &[F::Cell],
        lanes: usize,
    ) -> impl Fn(usize, &mut [F::Sum]) -> Result<(), Infallible> {
        move |at, sums| {
            let (first, width) = (at * FAN_IN * lanes, FAN_IN * lanes);
            let cells = &cells[first..cells.len().min(first + width)];
            above_cells::<F>(cells, (at * FAN_IN) as u64, sums, &mut Vec::new());
            Ok(())
        }
    }

    fn built<F: Fold>(cells: &[F::Cell], lanes: usize) -> Tree<F> {
        let mut tree = Tree::new(lanes);
        let node = node::<F>(cells, lanes);
        let fill = |sums: &mut [F::Sum]| {
            sums.chunks_mut(lanes).enumerate().try_for_each(|(at, sums)| node(at, sums))
        };
        tree.build((cells.len() / lanes) as u64, fill).unwrap();
        tree
    }

    fn mended<F: Fold>(tree: &mut Tree<F>, cells: &[F::Cell], steps: &[(u64, u64)]) -> Mended {
        tree.mend(steps.iter().map(|&(start, stop)| start..stop), node::<F>(cells, tree.lanes)).unwrap()
    }

    #[test]
    fn a_change_looks_at_one_node_of_every_level() {
        type Sum = Added<f64, false>;
        for (count, levels) in [(1, 1), (16, 1), (17, 2), (256, 2), (257, 3), (1 << 16, 4), (1_000_000, 5)] {
            let mut cells = vec![1.0; count];
            let mut tree = built::<Sum>(&cells, 1);
            tree.keep();
            let last = count as u64 - 1;
            cells[count - 1] = 2.0;
            let one = mended(&mut tree, &cells, &[(last, last + 1)]);
            assert_eq!(one, Mended { looked: levels, lanes: 0..1 }, "{count}");
            assert_eq!(tree.roots(), [count as f64 + 1.0]);
            // A run that nothing came of ends where it began.
            assert_eq!(mended(&mut tree, &cells, &[(last, last + 1)]), Mended { looked: 1, lanes: 0..0 });
            tree.undo();
            assert_eq!(tree.roots(), [count as f64]);
        }
    }

    #[test]
    fn a_change_that_the_smallest_does_not_see_ends_at_its_node() {
        let mut cells: Vec<i32> = (0..5000).collect();
        let mut tree = built::<Extreme<i32, false>>(&cells, 1);
        cells[4001] = 4002;
        assert_eq!(mended(&mut tree, &cells, &[(4001, 4002)]), Mended { looked: 1, lanes: 0..0 });
        cells[4001] = -1;
        assert_eq!(mended(&mut tree, &cells, &[(4001, 4002)]).looked, 4);
        assert_eq!(tree.roots(), [-1]);
    }

    #[test]
    fn changes_of_one_node_are_looked_at_once() {
        let mut cells = vec![1u8; 4096];
        let mut tree = built::<Extreme<u8, true>>(&cells, 1);
        [3, 4, 9, 15, 16].into_iter().for_each(|i: usize| cells[i] = 7);
        // Nodes 0 and 1, the one above both, the root.
        assert_eq!(mended(&mut tree, &cells, &[(3, 5), (9, 10), (15, 17)]).looked, 4);
    }

    #[test]
    fn lanes_are_apart_and_what_is_new_is_told() {
        let mut cells: Vec<f64> = (0..300).map(f64::from).collect();
        let mut tree = built::<Added<f64, false>>(&cells, 3);
        assert_eq!(tree.roots(), [14_850.0, 14_950.0, 15_050.0]);
        cells[3 * 50 + 1] += 0.5;
        assert_eq!(mended(&mut tree, &cells, &[(50, 51)]), Mended { looked: 2, lanes: 1..2 });
        assert_eq!(tree.roots(), [14_850.0, 14_950.5, 15_050.0]);
        tree.undo();
        assert!(!tree.is_over(100), "all of it was made since it was last kept");
    }
}
