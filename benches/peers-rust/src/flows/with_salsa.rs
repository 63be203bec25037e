//! The crate `salsa`: nothing is made before it is asked for; so the leaf is, after each write.

use std::sync::atomic::{AtomicU64, Ordering};

use salsa::{Durability, Setter};

use crate::flows::net::{Kept, Net};

/// How many nodes ran: functions of salsa have no other place to say so.
static RAN: AtomicU64 = AtomicU64::new(0);

/// A source.
#[salsa::input]
struct Source {
    #[returns(copy)]
    value: i64,
}

/// A node: what it adds up never changes, which it says, so that nobody looks.
#[salsa::input]
struct Node {
    #[returns(copy)]
    source: Option<Source>,
    #[returns(ref)]
    inputs: Vec<Node>,
    #[returns(copy)]
    plus: i64,
}

#[salsa::tracked(returns(copy))]
fn sum(db: &dyn salsa::Database, node: Node) -> i64 {
    RAN.fetch_add(1, Ordering::Relaxed);
    let first = node.source(db).map_or(0, |source| source.value(db)).wrapping_add(node.plus(db));
    node.inputs(db).iter().fold(first, |all, input| all.wrapping_add(sum(db, *input)))
}

/// A database with a graph of one source.
pub struct Salsa {
    db: salsa::DatabaseImpl,
    source: Source,
    leaf: Node,
}

impl Salsa {
    /// The nodes of a graph. One that follows from the source reads it itself.
    pub fn new(net: &Net) -> Self {
        let db = salsa::DatabaseImpl::new();
        let source = Source::new(&db, 0);
        let mut nodes: Vec<Node> = Vec::new();
        for (inputs, plus) in &net.nodes {
            let from = (inputs[0] == 0).then_some(source);
            let inputs: Vec<Node> =
                inputs.iter().filter(|input| **input > 0).map(|input| nodes[input - 1]).collect();
            nodes.push(Node::builder(from, inputs, *plus).durability(Durability::HIGH).new(&db));
        }
        let leaf = nodes[net.leaves[0] - 1];
        sum(&db, leaf);
        Salsa { db, source, leaf }
    }
}

impl Kept for Salsa {
    fn write(&mut self, _: usize, value: i64) {
        self.source.set_value(&mut self.db).to(value);
        std::hint::black_box(sum(&self.db, self.leaf));
    }

    fn leaves(&self) -> Vec<i64> {
        vec![sum(&self.db, self.leaf)]
    }

    fn runs(&self) -> u64 {
        RAN.load(Ordering::Relaxed)
    }
}
