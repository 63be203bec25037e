//! Shortest paths and reachability, kept while edges come and go.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use mmsb::algebra::family::Family;
use mmsb::base::ids::PageId;
use mmsb::bus::commit::Change;
use mmsb::bus::derive::Derived;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::Note;
use mmsb::graph::edge::Edge as Follows;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::page::select::Select;
use mmsb::propagation::closure::spec::{Closure, Starts};
use mmsb::propagation::rule::{Rule, What};

use crate::flows::ours::in_memory;
use crate::flows::{with_datafrog, with_differential};
use crate::measure::{Failed, Scale, checked, tell};

/// From, to, and how long.
pub type Edge = (u32, u32, i64);
/// No way there.
pub const NEVER: i64 = i64::MAX;

const VERTICES: u32 = 10_000;
const EDGES: usize = 50_000;

/// What is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The length of the shortest path from vertex 0 to each.
    Lengths,
    /// Whether there is one: 0 where there is.
    Reached,
}

impl Kept {
    fn name(self) -> &'static str {
        match self {
            Kept::Lengths => "shortest paths",
            Kept::Reached => "reachability",
        }
    }
}

/// A graph whose edges are replaced, one by one.
#[derive(Clone)]
pub struct World {
    pub vertices: u32,
    pub edges: Vec<Edge>,
    dice: u64,
}

impl World {
    /// The same one every time: few edges where only some vertices are to be reached.
    pub fn new(kept: Kept) -> Self {
        let mut world = World { vertices: VERTICES, edges: Vec::new(), dice: 7 };
        let count = if kept == Kept::Reached { VERTICES as usize * 3 / 2 } else { EDGES };
        world.edges = (0..count).map(|_| world.edge()).collect();
        world
    }

    fn below(&mut self, n: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (self.dice >> 33) % n
    }

    fn edge(&mut self) -> Edge {
        let n = u64::from(self.vertices);
        (self.below(n) as u32, self.below(n) as u32, self.below(1000) as i64 + 1)
    }

    /// Replaces so many edges: where they were, and what they were and are.
    pub fn change(&mut self, count: usize) -> Vec<(usize, Edge, Edge)> {
        let one = |world: &mut World| {
            let row = world.below(world.edges.len() as u64) as usize;
            let new = world.edge();
            let old = std::mem::replace(&mut world.edges[row], new);
            (row, old, new)
        };
        (0..count).map(|_| one(self)).collect()
    }

    /// Dijkstra's labels, from nothing.
    pub fn expected(&self, kept: Kept) -> Vec<i64> {
        let mut out = vec![Vec::new(); self.vertices as usize];
        for &(from, to, length) in &self.edges {
            out[from as usize].push((to, length));
        }
        let mut found = vec![NEVER; self.vertices as usize];
        let mut queue = BinaryHeap::from([Reverse((0, 0u32))]);
        found[0] = 0;
        while let Some(Reverse((at, vertex))) = queue.pop() {
            if at > found[vertex as usize] {
                continue;
            }
            for &(to, length) in &out[vertex as usize] {
                let next = if kept == Kept::Lengths { at + length } else { 0 };
                if next < found[to as usize] {
                    found[to as usize] = next;
                    queue.push(Reverse((next, to)));
                }
            }
        }
        found
    }
}

/// Somebody who keeps it.
pub trait Keeps {
    /// Replaces edges, and does not return before all that follows is there.
    fn change(&mut self, changes: &[(usize, Edge, Edge)]) -> Result<(), Failed>;
    /// What there is now.
    fn found(&mut self) -> Result<Vec<i64>, Failed>;
}

/// Both, by everybody.
pub fn all(scale: &Scale) -> Result<(), Failed> {
    for kept in [Kept::Lengths, Kept::Reached] {
        measured(scale, kept, "mmsb", &mut Ours::new(kept)?)?;
        measured(scale, kept, "Dijkstra's labels, from nothing", &mut Anew(World::new(kept), kept))?;
        measured(scale, kept, "differential-dataflow", &mut with_differential::Differential::new(kept))?;
        if kept == Kept::Reached {
            measured(scale, kept, "datafrog, from nothing", &mut with_datafrog::Frog::new(kept))?;
        }
        checked(&format!(
            "{}: after all changes, everybody found for every vertex what Dijkstra's labels from nothing give",
            kept.name()
        ));
    }
    Ok(())
}

/// Times one edge and a hundred at once.
fn measured(scale: &Scale, kept: Kept, who: &str, keeps: &mut dyn Keeps) -> Result<(), Failed> {
    let mut world = World::new(kept);
    for (count, what) in [(1, "one edge"), (100, "100 edges")] {
        let mut samples = Vec::new();
        // Changes differ in what they reach: a sample is many of them, and never less than a few milliseconds.
        let many = (64 / count).max(2);
        for sample in 0..=scale.samples {
            let changes: Vec<_> = (0..many).map(|_| world.change(count)).collect();
            let start = std::time::Instant::now();
            for change in &changes {
                keeps.change(change)?;
            }
            if sample > 0 {
                samples.push(start.elapsed().as_secs_f64() / many as f64);
            }
        }
        tell(&format!("{}, {what}", kept.name()), who, "memory", &samples);
        if keeps.found()? != world.expected(kept) {
            return Err(format!("{} of {who}: not what Dijkstra's labels are", kept.name()).into());
        }
    }
    Ok(())
}

/// The closure of a table of edges.
struct Ours {
    bus: Bus,
    note: Note,
    edges: PageId,
    made: PageId,
    kept: Kept,
}

/// The cells of an edge. Reachability has truths for weights.
fn parts(kept: Kept, row: usize, (from, to, length): Edge) -> Vec<Part<'static>> {
    let part = |column, bytes: Vec<u8>| {
        let select = Select::range(row as u64, row as u64 + 1);
        Part { column, select, data: Data::Dense(bytes.into()) }
    };
    let weight = if kept == Kept::Lengths { length.to_le_bytes().to_vec() } else { vec![1] };
    vec![part(0, from.to_le_bytes().to_vec()), part(1, to.to_le_bytes().to_vec()), part(2, weight)]
}

impl Ours {
    fn new(kept: Kept) -> Result<Self, Failed> {
        let (world, bus, note) = (World::new(kept), in_memory()?, Note::default());
        let weight = if kept == Kept::Lengths { DType::I64 } else { DType::Bool };
        let columns = [("source", DType::U32), ("target", DType::U32), ("weight", weight)];
        let columns = columns.map(|(name, dtype)| Column::new(name, dtype, vec![]));
        let columns = columns.into_iter().collect::<Result<Vec<_>, _>>()?;
        let schema = Schema::new(Kind::Table, columns, None)?;
        let edges = bus.create_page("edges", schema, world.edges.len() as u64, &note)?;
        let rows = world.edges.iter().enumerate();
        let write = |(row, edge): (usize, &Edge)| {
            Change::Write(Delta { page: edges, op: OperatorId::ASSIGN, parts: parts(kept, row, *edge) })
        };
        bus.commit(&rows.map(write).collect::<Vec<_>>(), &note)?;
        let family = if kept == Kept::Lengths { Family::MinPlus } else { Family::Boolean };
        let starts = Starts::List(vec![0]);
        let vertices = u64::from(world.vertices);
        let rule = Closure { family, source: 0, target: 1, weight: 2, vertices, starts };
        let rule = Rule { edges: vec![Follows::data(edges)], what: What::Closure(rule) };
        let made = bus.derive("ways", Derived { rule, shape: None, program: None }, &note)?;
        Ok(Ours { bus, note, edges, made, kept })
    }
}

impl Keeps for Ours {
    fn change(&mut self, changes: &[(usize, Edge, Edge)]) -> Result<(), Failed> {
        let write = |(row, _, new): &(usize, Edge, Edge)| {
            let parts = parts(self.kept, *row, *new);
            Change::Write(Delta { page: self.edges, op: OperatorId::ASSIGN, parts })
        };
        self.bus.commit(&changes.iter().map(write).collect::<Vec<_>>(), &self.note)?;
        Ok(())
    }

    fn found(&mut self) -> Result<Vec<i64>, Failed> {
        let state = self.bus.state()?;
        if self.kept == Kept::Lengths {
            return Ok(state.cells::<i64>(self.made, 0)?);
        }
        let mut bytes = vec![0; VERTICES as usize];
        state.read(self.made, 0, &Select::range(0, u64::from(VERTICES)), &mut bytes)?;
        Ok(bytes.into_iter().map(|byte| if byte == 1 { 0 } else { NEVER }).collect())
    }
}

/// Everything anew after each change.
struct Anew(World, Kept);

impl Keeps for Anew {
    fn change(&mut self, changes: &[(usize, Edge, Edge)]) -> Result<(), Failed> {
        for (row, _, new) in changes {
            self.0.edges[*row] = *new;
        }
        std::hint::black_box(self.0.expected(self.1));
        Ok(())
    }

    fn found(&mut self) -> Result<Vec<i64>, Failed> {
        Ok(self.0.expected(self.1))
    }
}
