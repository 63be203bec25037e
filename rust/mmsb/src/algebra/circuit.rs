//! Provenance as a circuit: sums and products of variables, each written down once, that can be worked out in any semiring.
//!
//! These are the polynomials `N[X]` of Green, Karvounarakis and Tannen ("Provenance Semirings", PODS 2007), of which every
//! other provenance is an image, kept as a circuit instead of spelled out, which could take exponentially more (Deutch,
//! Milo, Roy, Tannen, "Circuits for Datalog Provenance", ICDT 2014).

use std::collections::HashMap;

use crate::algebra::ladder::Semiring;
use crate::algebra::law::{Known, Operations};

/// A node of a circuit: a number that means something in that circuit only.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Node(u32);

impl Node {
    /// That number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// What a node is. Both sides of a sum or product were there before it.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Gate {
    /// Nothing.
    Zero,
    /// The empty product.
    One,
    /// A source, by the number its owner gave it.
    Variable(u64),
    /// Either.
    Plus(Node, Node),
    /// Both.
    Times(Node, Node),
}

/// Sums and products of variables, each once.
#[derive(Clone, Debug)]
pub struct Circuit {
    gates: Vec<Gate>,
    known: HashMap<Gate, Node>,
}

impl Default for Circuit {
    fn default() -> Self {
        let gates = vec![Gate::Zero, Gate::One];
        let known = HashMap::from([(Gate::Zero, Circuit::ZERO), (Gate::One, Circuit::ONE)]);
        Self { gates, known }
    }
}

impl Circuit {
    /// Nothing.
    pub const ZERO: Node = Node(0);
    /// The empty product.
    pub const ONE: Node = Node(1);

    /// Gates, two of which are zero and one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.gates.len()
    }

    /// Whether it has none but zero and one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.gates.len() == 2
    }

    /// The node of a number.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Option<Node> {
        ((number as usize) < self.gates.len()).then_some(Node(number))
    }

    /// The gates that these nodes need, each behind those it needs itself.
    pub fn gates(&self, nodes: &[Node]) -> impl Iterator<Item = (Node, Gate)> + '_ {
        let needed = self.needed(nodes).into_iter();
        let gates = (0..).map(Node).zip(&self.gates).zip(needed);
        gates.filter(|(_, needed)| *needed).map(|((node, gate), _)| (node, *gate))
    }

    /// What a node is.
    #[must_use]
    pub fn gate(&self, node: Node) -> Gate {
        self.gates[node.0 as usize]
    }

    /// A source.
    pub fn variable(&mut self, number: u64) -> Node {
        self.node(Gate::Variable(number))
    }

    /// Either. The order of both makes no difference.
    pub fn plus(&mut self, a: Node, b: Node) -> Node {
        match (a.min(b), a.max(b)) {
            (Self::ZERO, other) => other,
            (a, b) => self.node(Gate::Plus(a, b)),
        }
    }

    /// Both. The order of both makes no difference.
    pub fn times(&mut self, a: Node, b: Node) -> Node {
        match (a.min(b), a.max(b)) {
            (Self::ZERO, _) => Self::ZERO,
            (Self::ONE, other) => other,
            (a, b) => self.node(Gate::Times(a, b)),
        }
    }

    fn node(&mut self, gate: Gate) -> Node {
        let next = Node(u32::try_from(self.gates.len()).expect("a circuit has less than 2^32 gates"));
        let gates = &mut self.gates;
        *self.known.entry(gate).or_insert_with(|| {
            gates.push(gate);
            next
        })
    }

    /// What the nodes come to in a semiring, where each variable has this value. Each gate they need is worked out once.
    pub fn evaluate<T: Copy, S: Semiring<T>>(&self, nodes: &[Node], value: impl FnMut(u64) -> T) -> Vec<T> {
        self.evaluate_in(&Known::<T, S>::default(), nodes, value)
    }

    /// As [`Circuit::evaluate`], for values of any kind.
    pub fn evaluate_in<P: Operations>(
        &self,
        operations: &P,
        nodes: &[Node],
        mut value: impl FnMut(u64) -> P::Value,
    ) -> Vec<P::Value> {
        let needed = self.needed(nodes);
        let mut values = vec![operations.zero(); needed.len()];
        // Both sides of a gate come before it, so one pass will do, however deep it is.
        for (at, gate) in self.gates[..needed.len()].iter().enumerate().filter(|(at, _)| needed[*at]) {
            let of = |node: Node| &values[node.0 as usize];
            values[at] = match *gate {
                Gate::Zero => operations.zero(),
                Gate::One => operations.one(),
                Gate::Variable(number) => value(number),
                Gate::Plus(a, b) => operations.add(of(a), of(b)),
                Gate::Times(a, b) => operations.mul(of(a), of(b)),
            };
        }
        nodes.iter().map(|node| values[node.0 as usize].clone()).collect()
    }

    /// The variables that a node depends on, ascending.
    #[must_use]
    pub fn variables(&self, node: Node) -> Vec<u64> {
        let gates = self.gates(&[node]).filter_map(|(_, gate)| match gate {
            Gate::Variable(number) => Some(number),
            _ => None,
        });
        let mut found: Vec<u64> = gates.collect();
        found.sort_unstable();
        found
    }

    /// Which gates the nodes need, up to the last of them.
    fn needed(&self, nodes: &[Node]) -> Vec<bool> {
        let last = nodes.iter().max().map_or(0, |node| node.0 as usize + 1);
        let mut needed = vec![false; last];
        nodes.iter().for_each(|node| needed[node.0 as usize] = true);
        for at in (0..last).rev() {
            if let (true, Gate::Plus(a, b) | Gate::Times(a, b)) = (needed[at], self.gates[at]) {
                needed[a.0 as usize] = true;
                needed[b.0 as usize] = true;
            }
        }
        needed
    }
}
