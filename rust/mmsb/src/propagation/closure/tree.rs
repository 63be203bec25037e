//! The ways from one start: the value of every vertex, and the edge it came by.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::marker::PhantomData;

use crate::algebra::ladder::Semiring;
use crate::algebra::value::Value;
use crate::propagation::closure::graph::{Edge, Graph};
use crate::propagation::places::NOWHERE;

/// Whether `a` is better than `b`. By bits: of floats, `max_min` tells the two zeros apart.
#[inline(always)]
fn better<T: Value, S: Semiring<T>>(a: T, b: T) -> bool {
    !S::add(a, b).same(b)
}

/// A vertex, and the value with which it was put in the queue.
struct Label<T, S> {
    value: T,
    vertex: u32,
    semiring: PhantomData<S>,
}

impl<T: Value, S: Semiring<T>> Ord for Label<T, S> {
    fn cmp(&self, other: &Self) -> Ordering {
        let than = |a: &Self, b: &Self| better::<T, S>(a.value, b.value);
        than(self, other).cmp(&than(other, self)).then(other.vertex.cmp(&self.vertex))
    }
}

impl<T: Value, S: Semiring<T>> PartialOrd for Label<T, S> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Value, S: Semiring<T>> PartialEq for Label<T, S> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T: Value, S: Semiring<T>> Eq for Label<T, S> {}

/// What is used again from one start to the next.
pub struct Work<T, S> {
    queue: BinaryHeap<Label<T, S>>,
    /// Vertices whose value was taken back.
    lost: Vec<u32>,
    /// Vertices that got another value, or may have; some more than once.
    pub touched: Vec<u32>,
    /// Vertices and edges that were looked at, since it was made.
    pub steps: u64,
}

impl<T: Value, S: Semiring<T>> Default for Work<T, S> {
    fn default() -> Self {
        Self { queue: BinaryHeap::new(), lost: Vec::new(), touched: Vec::new(), steps: 0 }
    }
}

impl<T, S> std::fmt::Debug for Work<T, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("steps", &self.steps).finish_non_exhaustive()
    }
}

/// What changed of a graph.
#[derive(Debug)]
pub struct Change<T> {
    /// Edges that went or got worse: the row, and where it entered.
    pub cut: Vec<(u32, u32)>,
    /// Edges that are new or other, as they are now.
    pub put: Vec<(u32, Edge<T>)>,
}

/// The ways from one start.
///
/// Between runs, for every vertex `v` that a way leads to, `by[v]` is the row of an edge from some `u` with `x[v] =
/// x[u]*w`, bit for bit. These edges never close a circle: a value only ever gets better, from zero or what it was, than
/// anything that its vertex could be above in the tree, as those are no better than it.
#[derive(Debug)]
pub struct Tree<'t, T, S> {
    /// The value of each vertex.
    pub x: &'t mut [T],
    /// The row of the edge that it came by; [`NOWHERE`] of the start and where no way leads.
    pub by: &'t mut [u32],
    semiring: PhantomData<S>,
}

impl<'t, T: Value, S: Semiring<T>> Tree<'t, T, S> {
    /// The ways that were written here.
    pub fn new(x: &'t mut [T], by: &'t mut [u32]) -> Self {
        Self { x, by, semiring: PhantomData }
    }

    /// Finds all of them.
    pub fn find(&mut self, graph: &Graph<T>, start: u32, work: &mut Work<T, S>) {
        self.x.fill(S::ZERO);
        self.by.fill(NOWHERE);
        self.x[start as usize] = S::ONE;
        work.queue.push(Label { value: S::ONE, vertex: start, semiring: PhantomData });
        self.settle(graph, work);
    }

    /// Finds those anew that a change asks for. The graph is as it is after it.
    pub fn mend(&mut self, graph: &Graph<T>, change: &Change<T>, work: &mut Work<T, S>) {
        for &(row, target) in &change.cut {
            if self.by[target as usize] == row {
                self.lose(target, work);
            }
        }
        let mut at = 0;
        while let Some(&vertex) = work.lost.get(at) {
            for half in graph.leaves(vertex) {
                work.steps += 1;
                if self.by[half.other as usize] == half.row {
                    self.lose(half.other, work);
                }
            }
            at += 1;
        }
        for vertex in std::mem::take(&mut work.lost) {
            for half in graph.enters(vertex) {
                work.steps += 1;
                self.step(self.x[half.other as usize], (half.row, vertex), half.weight);
            }
            self.queue(vertex, work);
        }
        for (row, edge) in &change.put {
            work.steps += 1;
            if self.step(self.x[edge.source as usize], (*row, edge.target), edge.weight) {
                self.queue(edge.target, work);
            }
        }
        self.settle(graph, work);
    }

    /// A vertex whose way is no more.
    fn lose(&mut self, vertex: u32, work: &mut Work<T, S>) {
        work.steps += 1;
        self.x[vertex as usize] = S::ZERO;
        self.by[vertex as usize] = NOWHERE;
        work.lost.push(vertex);
        work.touched.push(vertex);
    }

    /// Goes an edge from a vertex of this value. Whether it gave a better one.
    #[inline(always)]
    fn step(&mut self, from: T, (row, target): (u32, u32), weight: T) -> bool {
        let (value, old) = (S::mul(from, weight), self.x[target as usize]);
        let found = better::<T, S>(value, old);
        if found {
            self.x[target as usize] = value;
            self.by[target as usize] = row;
        }
        found
    }

    #[inline(always)]
    fn queue(&self, vertex: u32, work: &mut Work<T, S>) {
        if self.by[vertex as usize] != NOWHERE {
            work.queue.push(Label { value: self.x[vertex as usize], vertex, semiring: PhantomData });
            work.touched.push(vertex);
        }
    }

    /// Goes on from the vertices in the queue, best first: each is gone on from once, for what comes later is no better.
    fn settle(&mut self, graph: &Graph<T>, work: &mut Work<T, S>) {
        while let Some(Label { value, vertex, .. }) = work.queue.pop() {
            work.steps += 1;
            if !self.x[vertex as usize].same(value) {
                continue;
            }
            for half in graph.leaves(vertex) {
                work.steps += 1;
                if self.step(value, (half.row, half.other), half.weight) {
                    self.queue(half.other, work);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algebra::semirings::MinPlus;

    const N: u32 = 1000;

    struct Ways {
        graph: Graph<i64>,
        x: Vec<i64>,
        by: Vec<u32>,
    }

    impl Ways {
        /// A way through all vertices, row `v` from `v` to the next, and a row from the start to each, of these lengths.
        fn new(on: i64, from_start: impl Fn(u32) -> i64) -> Self {
            let on = (0..N - 1).map(|v| Some(Edge { source: v, target: v + 1, weight: on }));
            let from = (0..N).map(|v| Some(Edge { source: 0, target: v, weight: from_start(v) }));
            let graph = Graph::of(N, &on.chain(from).collect::<Vec<_>>(), 0);
            let (mut x, mut by) = (vec![0; N as usize], vec![0; N as usize]);
            Tree::new(&mut x, &mut by).find(&graph, 0, &mut Work::<i64, MinPlus>::default());
            Self { graph, x, by }
        }

        /// The steps of giving a row another weight, and how many values may be new.
        fn set(&mut self, row: u32, weight: i64) -> (u64, usize) {
            let old = self.graph.edge(row).expect("an edge");
            let new = Edge { weight, ..old };
            self.graph.set(row, Some(new));
            let cut = if weight > old.weight { vec![(row, old.target)] } else { vec![] };
            let mut work = Work::<i64, MinPlus>::default();
            let change = Change { cut, put: vec![(row, new)] };
            Tree::new(&mut self.x, &mut self.by).mend(&self.graph, &change, &mut work);
            work.touched.sort_unstable();
            work.touched.dedup();
            (work.steps, work.touched.len())
        }
    }

    #[test]
    fn a_change_costs_what_it_reaches() {
        let mut ways = Ways::new(1, |v| i64::from(v) + 5);
        assert_eq!(ways.x[N as usize - 1], i64::from(N) - 1);
        assert_eq!(ways.set(N + 500, 501), (1, 0), "an edge that no way goes, better, and not good enough");
        assert_eq!(ways.set(N + 500, 900), (1, 0), "and worse");
        let (steps, touched) = ways.set(N - 12, 3);
        assert_eq!((touched, ways.x[N as usize - 1]), (11, i64::from(N) + 1));
        assert!(steps < 11 * 12, "{steps} steps for the last eleven of a thousand");
        let (steps, touched) = ways.set(N - 12, 0);
        assert_eq!((touched, ways.x[N as usize - 1]), (11, i64::from(N) - 2));
        assert!(steps < 11 * 12, "{steps} steps back");
    }

    #[test]
    fn a_circle_of_no_length_does_not_hold_itself_up() {
        let edges = [(0, 1, 4), (1, 2, 0), (2, 1, 0), (0, 2, 9)]
            .map(|(source, target, weight)| Some(Edge { source, target, weight }));
        let graph = Graph::of(3, &edges, 0);
        let (mut x, mut by) = (vec![0; 3], vec![0; 3]);
        Tree::new(&mut x, &mut by).find(&graph, 0, &mut Work::<i64, MinPlus>::default());
        let mut ways = Ways { graph, x, by };
        assert_eq!(ways.x, [0, 4, 4]);
        ways.set(0, 7);
        assert_eq!(ways.x, [0, 7, 7]);
        ways.set(0, 50);
        assert_eq!(ways.x, [0, 9, 9]);
        ways.set(3, i64::MAX);
        ways.set(0, i64::MAX);
        assert_eq!(ways.x, [0, i64::MAX, i64::MAX]);
    }
}
