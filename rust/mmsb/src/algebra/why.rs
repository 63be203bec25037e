//! Why-provenance: which sets of sources each suffice (Buneman, Khanna and Tan, "Why and Where", ICDT 2001).

use std::collections::BTreeSet;

use crate::algebra::law::{Operations, Pair};

/// Sets of sources, each of which suffices.
pub type Witnesses = BTreeSet<BTreeSet<u64>>;

/// The semiring of witnesses: either is all witnesses of both, both is each of the one with each of the other. There may be
/// exponentially many of what is a small circuit.
#[derive(Copy, Clone, Debug, Default)]
pub struct Why;

impl Why {
    /// The witnesses of a source: itself.
    #[must_use]
    pub fn source(number: u64) -> Witnesses {
        BTreeSet::from([BTreeSet::from([number])])
    }
}

impl Operations for Why {
    type Value = Witnesses;

    fn add(&self, a: &Witnesses, b: &Witnesses) -> Witnesses {
        a.union(b).cloned().collect()
    }

    fn mul(&self, a: &Witnesses, b: &Witnesses) -> Witnesses {
        let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
        pairs.map(|(a, b)| a.union(b).copied().collect()).collect()
    }

    fn zero(&self) -> Witnesses {
        BTreeSet::new()
    }

    fn one(&self) -> Witnesses {
        BTreeSet::from([BTreeSet::new()])
    }
}

impl Pair for Why {
    fn same(&self, a: &Witnesses, b: &Witnesses) -> bool {
        a == b
    }

    fn size(&self, _: &Witnesses) -> f64 {
        0.0
    }

    fn apart(&self, a: &Witnesses, b: &Witnesses) -> f64 {
        f64::from(u8::from(a != b))
    }

    fn rounding(&self) -> f64 {
        0.0
    }

    fn carries(&self, _: &Witnesses) -> bool {
        true
    }

    fn absorbs(&self, _: &Witnesses) -> bool {
        false
    }
}
