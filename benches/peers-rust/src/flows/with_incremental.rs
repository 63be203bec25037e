//! The crate `incremental`, after Jane Street's library.

use incremental::{Incr, IncrState, Observer, Var};

use crate::flows::net::{Kept, Net};

/// Levels that a graph may have: more than the deepest here.
const HEIGHT: usize = 2048;

/// A graph of its nodes.
pub struct Incremental {
    state: IncrState,
    sources: Vec<Var<i64>>,
    leaves: Vec<Observer<i64>>,
    /// Nodes that ran and are no sources: each write makes that of its source run, too.
    writes: u64,
}

/// The sum of some nodes and a number, by the node for so many inputs.
pub fn sum(state: &IncrState, inputs: &[Incr<i64>], plus: i64) -> Incr<i64> {
    match inputs {
        [a] => a.map(move |a| a.wrapping_add(plus)),
        [a, b] => a.map2(b, move |a, b| a.wrapping_add(*b).wrapping_add(plus)),
        [a, b, c] => a.map3(b, c, move |a, b, c| a.wrapping_add(*b).wrapping_add(*c).wrapping_add(plus)),
        [a, b, c, d] => a.map4(b, c, d, move |a, b, c, d| {
            a.wrapping_add(*b).wrapping_add(*c).wrapping_add(*d).wrapping_add(plus)
        }),
        [a, b, c, d, e, f] => a.map6(b, c, d, e, f, move |a, b, c, d, e, f| {
            let half = a.wrapping_add(*b).wrapping_add(*c).wrapping_add(*d);
            half.wrapping_add(*e).wrapping_add(*f).wrapping_add(plus)
        }),
        all => state.fold(all.to_vec(), plus, |sum, value| sum.wrapping_add(*value)),
    }
}

impl Incremental {
    /// The nodes of a graph, its leaves observed.
    pub fn new(net: &Net) -> Self {
        let state = IncrState::new_with_height(HEIGHT);
        let sources: Vec<Var<i64>> = (0..net.sources).map(|_| state.var(0)).collect();
        let mut nodes: Vec<Incr<i64>> = sources.iter().map(|source| source.watch()).collect();
        for (inputs, plus) in &net.nodes {
            let inputs: Vec<Incr<i64>> = inputs.iter().map(|input| nodes[*input].clone()).collect();
            nodes.push(sum(&state, &inputs, *plus));
        }
        let leaves = net.leaves.iter().map(|leaf| nodes[*leaf].observe()).collect();
        state.stabilise();
        Incremental { state, sources, leaves, writes: 0 }
    }
}

impl Kept for Incremental {
    fn write(&mut self, source: usize, value: i64) {
        self.sources[source].set(value);
        self.state.stabilise();
        self.writes += 1;
    }

    fn leaves(&self) -> Vec<i64> {
        self.leaves.iter().map(Observer::value).collect()
    }

    fn runs(&self) -> u64 {
        self.state.stats().recomputed as u64 - self.writes
    }
}
