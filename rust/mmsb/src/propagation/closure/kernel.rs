//! The kernel of a closure: reads the rows that changed, and has the tree of every start mended.

use crate::algebra::family::Family;
use crate::algebra::ladder::Semiring;
use crate::algebra::value::Value;
use crate::propagation::closure::graph::{Edge, Graph};
use crate::propagation::closure::spec::{RULE, one};
use crate::propagation::closure::tree::{Change, Tree, Work};
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Input, Kernel, read};
use crate::propagation::made::Made;
use crate::propagation::places::{NOWHERE, Places};
use crate::propagation::runs;

/// Rows that are read at once.
const BLOCK: u64 = 512;
/// Rows between two that changed which are read too, and cells between two that changed which are given too: less than
/// beginning anew.
const GAP: u64 = 8;

/// The columns that edges are read from.
#[derive(Debug, Clone, Copy)]
pub struct Edges {
    /// Where they leave.
    pub source: Places,
    /// Where they enter.
    pub target: Places,
    /// The column of their weights.
    pub weight: u16,
    /// The semiring, by name.
    pub family: Family,
}

/// Cells of the three columns.
#[derive(Debug)]
struct Cells<T>(Vec<u32>, Vec<u32>, Vec<T>);

impl Edges {
    /// Calls `visit` with the edges of these rows.
    fn read<T: Value, S: Semiring<T>>(
        self,
        input: &Input<'_>,
        (start, stop): (u64, u64),
        cells: &mut Cells<T>,
        mut visit: impl FnMut(u32, Option<Edge<T>>),
    ) -> Result<(), RuleError> {
        let [source, target, weight] =
            [self.source.column, self.target.column, self.weight].map(|i| input.column(i));
        for first in (start..stop).step_by(BLOCK as usize) {
            let end = stop.min(first + BLOCK);
            self.source.read(&source, first, end, &mut cells.0)?;
            self.target.read(&target, first, end, &mut cells.1)?;
            cells.2.clear();
            read(&weight, first, end, &mut cells.2)?;
            let ends = cells.0.iter().zip(&cells.1);
            for (row, ((&source, &target), &weight)) in (first as u32..).zip(ends.zip(&cells.2)) {
                if source == NOWHERE || target == NOWHERE || weight == S::ZERO {
                    visit(row, None);
                    continue;
                }
                self.check::<T, S>(row, weight)?;
                visit(row, Some(Edge { source, target, weight }));
            }
        }
        Ok(())
    }

    /// A weight must be from zero to one in the order of the semiring, which what is not a number is not.
    fn check<T: Value, S: Semiring<T>>(self, row: u32, weight: T) -> Result<(), RuleError> {
        let (least, most) = (S::add(S::ZERO, weight) == weight, S::add(S::ONE, weight) == S::ONE);
        if least && most && S::absorbs(weight) {
            return Ok(());
        }
        let (family, one, zero) = (self.family, S::ONE, S::ZERO);
        let what = if least && !most {
            format!(
                "the weight {weight:?} of row {row} is better than {one:?}, so by {family} a way could go round \
                 and get better each time"
            )
        } else {
            format!("the weight {weight:?} of row {row} is not between {zero:?} and {one:?} of {family}")
        };
        Err(RuleError::Value { rule: RULE, what })
    }
}

/// What is remembered: the graph, and of each start the value of every vertex and the edge it came by, start after start.
#[derive(Debug)]
struct Known<T> {
    graph: Graph<T>,
    x: Vec<T>,
    by: Vec<u32>,
}

/// A closure. A run that goes into no commit makes it forget everything, for those are rare, and it is made anew then.
pub struct Closing<T, S> {
    edges: Edges,
    starts: Vec<u32>,
    known: Option<Known<T>>,
    /// Whether it ran since it was last kept.
    ran: bool,
    cells: Cells<T>,
    work: Work<T, S>,
}

impl<T, S> std::fmt::Debug for Closing<T, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Closing").field("edges", &self.edges).finish_non_exhaustive()
    }
}

impl<T: Value, S: Semiring<T>> Closing<T, S> {
    /// One that remembers nothing.
    pub fn new(edges: Edges, starts: Vec<u32>) -> Self {
        let cells = Cells(Vec::new(), Vec::new(), Vec::new());
        Self { edges, starts, known: None, ran: false, cells, work: Work::default() }
    }

    fn vertices(&self) -> usize {
        self.edges.source.count as usize
    }

    fn build(&mut self, input: &Input<'_>, made: &mut Made) -> Result<Known<T>, RuleError> {
        let mut edges = Vec::with_capacity(input.rows() as usize);
        self.edges.read::<T, S>(input, (0, input.rows()), &mut self.cells, |_, edge| edges.push(edge))?;
        let vertices = self.vertices();
        let graph = Graph::of(vertices as u32, &edges, S::ZERO);
        drop(edges);
        let cells = self.starts.len() * vertices;
        let (mut x, mut by) = (vec![S::ZERO; cells], vec![NOWHERE; cells]);
        let trees = x.chunks_exact_mut(vertices).zip(by.chunks_exact_mut(vertices));
        for (&start, (x, by)) in self.starts.iter().zip(trees) {
            Tree::new(x, by).find(&graph, start, &mut self.work);
            self.work.touched.clear();
        }
        made.put(0, 0, &x);
        Ok(Known { graph, x, by })
    }

    fn mend(&mut self, input: &Input<'_>, known: &mut Known<T>, made: &mut Made) -> Result<(), RuleError> {
        let change = self.change(input, &mut known.graph)?;
        if change.cut.is_empty() && change.put.is_empty() {
            return Ok(());
        }
        let vertices = self.vertices();
        let trees = known.x.chunks_exact_mut(vertices).zip(known.by.chunks_exact_mut(vertices));
        for (first, (x, by)) in (0u64..).step_by(vertices).zip(trees) {
            let mut tree = Tree::new(x, by);
            tree.mend(&known.graph, &change, &mut self.work);
            give(&mut self.work.touched, first, tree.x, made);
        }
        Ok(())
    }

    /// Has the graph be as the rows say, and says what changed of it.
    fn change(&mut self, input: &Input<'_>, graph: &mut Graph<T>) -> Result<Change<T>, RuleError> {
        let mut change = Change { cut: Vec::new(), put: Vec::new() };
        let columns = [self.edges.source.column, self.edges.target.column, self.edges.weight];
        let changed = runs::union(&columns.map(|i| input.changed(i)));
        for run in runs::joined(&changed, GAP) {
            let rows = (run.start, run.stop.min(input.rows()));
            self.edges.read::<T, S>(input, rows, &mut self.cells, |row, new| {
                let old = graph.edge(row);
                // By bits, as all values are told apart.
                let same = match (&old, &new) {
                    (Some(a), Some(b)) => ends(a) == ends(b) && a.weight.same(b.weight),
                    (a, b) => a.is_none() && b.is_none(),
                };
                if same {
                    return;
                }
                graph.set(row, new);
                let kept = |old: &Edge<T>| {
                    new.is_some_and(|new| {
                        ends(&new) == ends(old) && S::add(old.weight, new.weight).same(new.weight)
                    })
                };
                change.cut.extend(old.filter(|old| !kept(old)).map(|old| (row, old.target)));
                change.put.extend(new.map(|new| (row, new)));
            })?;
        }
        Ok(change)
    }
}

fn ends<T>(edge: &Edge<T>) -> (u32, u32) {
    (edge.source, edge.target)
}

/// Gives the cells of these vertices of a start, side by side where they are near, and forgets which they were.
fn give<T: Value>(touched: &mut Vec<u32>, first: u64, x: &[T], made: &mut Made) {
    touched.sort_unstable();
    for near in touched.chunk_by(|a, b| u64::from(b - a) <= GAP) {
        let (from, to) = (near[0] as usize, near[near.len() - 1] as usize + 1);
        made.put(0, first + from as u64, &x[from..to]);
    }
    touched.clear();
}

impl<T: Value, S: Semiring<T>> Kernel for Closing<T, S> {
    fn run(&mut self, inputs: &[Input<'_>], made: &mut Made) -> Result<(), RuleError> {
        let input = one(inputs)?;
        self.ran = true;
        // Where it fails midway, nothing is known afterwards.
        let known = match self.known.take() {
            Some(mut known) if input.before.is_some() && known.graph.rows() == input.rows() => {
                self.mend(input, &mut known, made)?;
                known
            }
            _ => self.build(input, made)?,
        };
        self.known = Some(known);
        Ok(())
    }

    fn keep(&mut self) {
        self.ran = false;
    }

    fn undo(&mut self) {
        if std::mem::take(&mut self.ran) {
            self.known = None;
        }
    }
}
