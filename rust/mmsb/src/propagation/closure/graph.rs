//! A graph whose edges are rows of a table: what leaves and what enters every vertex.

use crate::propagation::closure::lists::{Half, Lists};
use crate::propagation::places::NOWHERE;

/// An edge that is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge<T> {
    /// Where it leaves.
    pub source: u32,
    /// Where it enters.
    pub target: u32,
    /// What it costs, or gains.
    pub weight: T,
}

/// What is known of a row: the ends of its edge, and its places in their lists.
#[derive(Debug, Clone, Copy)]
struct Row {
    source: u32,
    target: u32,
    out: u32,
    into: u32,
}

const NONE: Row = Row { source: NOWHERE, target: NOWHERE, out: 0, into: 0 };

/// A graph.
#[derive(Debug)]
pub struct Graph<T> {
    rows: Vec<Row>,
    out: Lists<T>,
    into: Lists<T>,
}

impl<T: Copy> Graph<T> {
    /// The graph of these rows, of which some are no edges.
    pub fn of(vertices: u32, edges: &[Option<Edge<T>>], fill: T) -> Self {
        let mut counts = [vec![0u32; vertices as usize], vec![0u32; vertices as usize]];
        for edge in edges.iter().flatten() {
            counts[0][edge.source as usize] += 1;
            counts[1][edge.target as usize] += 1;
        }
        let [out, into] = counts.map(|counts| Lists::of(&counts, fill));
        let mut graph = Self { rows: vec![NONE; edges.len()], out, into };
        for (row, edge) in (0..).zip(edges) {
            if let Some(edge) = edge {
                graph.put(row, *edge);
            }
        }
        graph
    }

    /// How many vertices there are.
    pub fn rows(&self) -> u64 {
        self.rows.len() as u64
    }

    /// What leaves a vertex.
    #[inline]
    pub fn leaves(&self, vertex: u32) -> &[Half<T>] {
        self.out.at(vertex)
    }

    /// What enters it.
    #[inline]
    pub fn enters(&self, vertex: u32) -> &[Half<T>] {
        self.into.at(vertex)
    }

    /// The edge of a row.
    pub fn edge(&self, row: u32) -> Option<Edge<T>> {
        let Row { source, target, out, .. } = self.rows[row as usize];
        (source != NOWHERE).then(|| Edge { source, target, weight: self.leaves(source)[out as usize].weight })
    }

    /// Gives a row another edge, or none.
    pub fn set(&mut self, row: u32, edge: Option<Edge<T>>) {
        self.take(row);
        if let Some(edge) = edge {
            self.put(row, edge);
        }
    }

    fn put(&mut self, row: u32, Edge { source, target, weight }: Edge<T>) {
        let out = self.out.push(source, Half { other: target, row, weight });
        let into = self.into.push(target, Half { other: source, row, weight });
        self.rows[row as usize] = Row { source, target, out, into };
    }

    fn take(&mut self, row: u32) {
        let old = std::mem::replace(&mut self.rows[row as usize], NONE);
        if old.source == NOWHERE {
            return;
        }
        if let Some(moved) = self.out.remove(old.source, old.out) {
            self.rows[moved as usize].out = old.out;
        }
        if let Some(moved) = self.into.remove(old.target, old.into) {
            self.rows[moved as usize].into = old.into;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_vertex_has_its_edges(
            edges in prop::collection::vec(prop::option::of((0u32..6, 0u32..6, 0i64..99)), 1..40),
            sets in prop::collection::vec((0usize..40, prop::option::of((0u32..6, 0u32..6, 0i64..99))), 0..200),
        ) {
            let edge = |(source, target, weight)| Edge { source, target, weight };
            let mut model: Vec<Option<Edge<i64>>> = edges.iter().map(|one| one.map(edge)).collect();
            let mut graph = Graph::of(6, &model, 0);
            for (row, new) in sets {
                let row = row % model.len();
                model[row] = new.map(edge);
                graph.set(row as u32, model[row]);
            }
            for (row, edge) in model.iter().enumerate() {
                prop_assert_eq!(graph.edge(row as u32), *edge);
            }
            for vertex in 0..6 {
                let at = |halves: &[Half<i64>]| {
                    let mut all: Vec<_> = halves.iter().map(|half| (half.row, half.other, half.weight)).collect();
                    all.sort_unstable();
                    all
                };
                let wanted = |end: fn(&Edge<i64>) -> (u32, u32)| -> Vec<_> {
                    let edges = (0u32..).zip(&model).filter_map(|(row, edge)| Some((row, edge.as_ref()?)));
                    edges.filter(|(_, edge)| end(edge).0 == vertex)
                        .map(|(row, edge)| (row, end(edge).1, edge.weight)).collect()
                };
                prop_assert_eq!(at(graph.leaves(vertex)), wanted(|edge| (edge.source, edge.target)));
                prop_assert_eq!(at(graph.enters(vertex)), wanted(|edge| (edge.target, edge.source)));
            }
        }
    }

    #[test]
    fn edges_that_move_about_take_no_more_and_more_room() {
        let edges: Vec<_> = (0..500).map(|i| Some(Edge { source: 0, target: i % 64, weight: 1 })).collect();
        let mut graph = Graph::of(64, &edges, 0);
        for turn in 1..200u32 {
            for row in 0..500 {
                graph.set(row, Some(Edge { source: turn % 64, target: row % 64, weight: turn }));
            }
        }
        assert_eq!(graph.leaves(199 % 64).len(), 500);
        assert!(graph.out.room() < 20_000, "{}", graph.out.room());
    }
}
