//! The crate `datafrog`: rules of Datalog, run to their end from nothing.

use datafrog::{Iteration, Relation};

use crate::flows::ways::{Edge, Keeps, Kept, NEVER, World};
use crate::measure::Failed;

/// What is reached, worked out after each change.
pub struct Frog {
    world: World,
    found: Vec<u32>,
}

impl Frog {
    /// A graph.
    pub fn new(kept: Kept) -> Self {
        Frog { world: World::new(kept), found: Vec::new() }
    }
}

impl Keeps for Frog {
    fn change(&mut self, changes: &[(usize, Edge, Edge)]) -> Result<(), Failed> {
        for (row, _, new) in changes {
            self.world.edges[*row] = *new;
        }
        let mut iteration = Iteration::new();
        let reached = iteration.variable::<(u32, ())>("reached");
        let edges: Relation<(u32, u32)> = self.world.edges.iter().map(|(from, to, _)| (*from, *to)).collect();
        reached.insert(vec![(0, ())].into());
        while iteration.changed() {
            reached.from_join(&reached, &edges, |_, (), to| (*to, ()));
        }
        self.found = reached.complete().iter().map(|(vertex, ())| *vertex).collect();
        Ok(())
    }

    fn found(&mut self) -> Result<Vec<i64>, Failed> {
        let mut all = vec![NEVER; self.world.vertices as usize];
        self.found.iter().for_each(|vertex| all[*vertex as usize] = 0);
        Ok(all)
    }
}
