//! Many values brought together by one fixed tree, so that the result has the same bits however it was come by: at once,
//! by several threads, or by mending what one change touches.
//!
//! The tree has a fan-in of 16. A node brings its 16 values together by halves: the first eight with the last eight, then
//! four with four, two with two, one with one, which is what wide instructions do. What a node lacks is zeros.

use std::marker::PhantomData;

use crate::algebra::ladder::Monoid;
use crate::base::wide::{Loop, Wide};

/// Values that a node brings together.
pub const FAN_IN: usize = 16;

/// Values, as many as a power of two, brought together by halves with `op`.
#[inline(always)]
pub fn bring_together<T: Copy, const N: usize>(mut values: [T; N], op: impl Fn(T, T) -> T) -> T {
    let mut left = N / 2;
    while left > 0 {
        for i in 0..left {
            values[i] = op(values[i], values[i + left]);
        }
        left /= 2;
    }
    values[0]
}

#[inline(always)]
fn node<T: Copy, M: Monoid<T>>(values: [T; FAN_IN]) -> T {
    bring_together(values, M::op)
}

/// The values of the node that begins here; zeros where there are no more values.
#[inline(always)]
fn some<T: Copy, M: Monoid<T>>(values: &[T]) -> [T; FAN_IN] {
    match values.first_chunk::<FAN_IN>() {
        Some(all) => *all,
        None => std::array::from_fn(|i| values.get(i).copied().unwrap_or(M::ZERO)),
    }
}

/// The nodes above some values.
fn above<T: Copy, M: Monoid<T>>(values: &[T]) -> Vec<T> {
    let mut nodes = vec![M::ZERO; values.len().div_ceil(FAN_IN)];
    Wide::best().run(Above::<T, M> { values, nodes: &mut nodes, monoid: PhantomData });
    nodes
}

struct Above<'a, T, M> {
    values: &'a [T],
    nodes: &'a mut [T],
    monoid: PhantomData<M>,
}

impl<T: Copy, M: Monoid<T>> Loop for Above<'_, T, M> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let (whole, rest) = self.values.as_chunks::<FAN_IN>();
        #[allow(clippy::needless_range_loop, reason = "iterators are not always compiled into a wide form")]
        for i in 0..whole.len() {
            self.nodes[i] = node::<T, M>(whole[i]);
        }
        if !rest.is_empty() {
            self.nodes[whole.len()] = node::<T, M>(some::<T, M>(rest));
        }
    }
}

/// All of them brought together; zero where there are none.
#[must_use]
pub fn fold<T: Copy, M: Monoid<T>>(values: &[T]) -> T {
    match values {
        [] => M::ZERO,
        [one] => *one,
        _ => {
            let mut nodes = above::<T, M>(values);
            while nodes.len() > 1 {
                let count = nodes.len().div_ceil(FAN_IN);
                for i in 0..count {
                    nodes[i] = node::<T, M>(some::<T, M>(&nodes[i * FAN_IN..]));
                }
                nodes.truncate(count);
            }
            nodes[0]
        }
    }
}

/// The tree above some values, kept so that a change costs the nodes above it and no more.
#[derive(Clone, Debug, Default)]
pub struct Tree<T> {
    /// From the nodes above the values to the root.
    levels: Vec<Vec<T>>,
}

impl<T: Copy + PartialEq> Tree<T> {
    /// The tree above these.
    #[must_use]
    pub fn new<M: Monoid<T>>(values: &[T]) -> Self {
        let mut levels: Vec<Vec<T>> = Vec::new();
        while levels.last().map_or(values.len(), Vec::len) > 1 {
            let next = above::<T, M>(levels.last().map_or(values, |level| level));
            levels.push(next);
        }
        Self { levels }
    }

    /// All values brought together, as [`fold`] does.
    #[must_use]
    pub fn root<M: Monoid<T>>(&self, values: &[T]) -> T {
        match self.levels.last() {
            Some(level) => level[0],
            None => values.first().copied().unwrap_or(M::ZERO),
        }
    }

    /// Mends what is above the values that changed, their places ascending, and stops where nothing is new. How many nodes
    /// were looked at. There must be as many values as there were.
    pub fn mend<M: Monoid<T>>(
        &mut self,
        values: &[T],
        changed: impl IntoIterator<Item = usize>,
        same: impl Fn(T, T) -> bool,
    ) -> usize {
        let mut dirty: Vec<usize> = changed.into_iter().map(|place| place / FAN_IN).collect();
        dirty.dedup();
        let mut looked = 0;
        for at in 0..self.levels.len() {
            let (below, here) = self.levels.split_at_mut(at);
            let below = below.last().map_or(values, |level| level);
            let mut next: Vec<usize> = Vec::new();
            for &place in &dirty {
                looked += 1;
                let new = node::<T, M>(some::<T, M>(&below[place * FAN_IN..]));
                if !same(here[0][place], new) {
                    here[0][place] = new;
                    if next.last() != Some(&(place / FAN_IN)) {
                        next.push(place / FAN_IN);
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            dirty = next;
        }
        looked
    }
}
