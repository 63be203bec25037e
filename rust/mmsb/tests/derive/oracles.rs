//! Oracles of propagation: random graphs and commits against everything made from nothing; exactly what had to run ran;
//! an error anywhere leaves what was; the counts of the public shapes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::common::{PRIME, ROWS, Sum, cells, delta, derived, memory, source, write};
use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::commit::Change;
use mmsb::bus::error::Error;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::Note;
use mmsb::propagation::trace::Outcome;
use proptest::prelude::*;

/// A page of the model: what it holds, or what it follows from.
#[derive(Debug, Clone)]
enum Model {
    Source(Vec<i64>),
    Follows(Vec<usize>, i64),
}

/// Everything from nothing, each page after its inputs, whatever their order.
fn scratch(model: &[Model]) -> Vec<Vec<i64>> {
    fn cells(model: &[Model], at: usize, known: &mut BTreeMap<usize, Vec<i64>>) -> Vec<i64> {
        if let Some(cells) = known.get(&at) {
            return cells.clone();
        }
        let found = match &model[at] {
            Model::Source(cells) => cells.clone(),
            Model::Follows(inputs, plus) => {
                let mut sum = vec![*plus; ROWS as usize];
                for &input in inputs {
                    let cells = cells(model, input, known);
                    sum.iter_mut().zip(cells).for_each(|(sum, cell)| *sum = (*sum + cell) % PRIME);
                }
                sum
            }
        };
        known.insert(at, found.clone());
        found
    }
    let mut known = BTreeMap::new();
    (0..model.len()).map(|at| cells(model, at, &mut known)).collect()
}

struct World {
    bus: Bus,
    pages: Vec<PageId>,
    programs: Vec<Option<Arc<Sum>>>,
    model: Vec<Model>,
}

impl World {
    fn new() -> Self {
        World { bus: memory(), pages: Vec::new(), programs: Vec::new(), model: Vec::new() }
    }

    fn source(&mut self) {
        self.pages.push(source(&self.bus, &format!("p{}", self.pages.len())));
        self.programs.push(None);
        self.model.push(Model::Source(vec![0; ROWS as usize]));
    }

    fn follow(&mut self, inputs: &[usize], plus: i64) {
        let program = Sum::plus(plus);
        let ids: Vec<PageId> = inputs.iter().map(|&at| self.pages[at]).collect();
        let name = format!("p{}", self.pages.len());
        self.pages.push(self.bus.derive(&name, derived(&ids, &program), &Note::default()).unwrap());
        self.programs.push(Some(program));
        self.model.push(Model::Follows(inputs.to_vec(), plus));
    }

    /// Whether an error says a way from a page that was written to the one whose function failed.
    fn is_way(&self, error: &Error, writes: &[(usize, u64, i64)], failed: &Arc<Sum>) -> bool {
        let Error::Rule { path, .. } = error else { return false };
        let way: Vec<usize> = path.iter().map(|name| name[1..].parse().unwrap()).collect();
        let follows = |pair: &[usize]| matches!(&self.model[pair[1]], Model::Follows(from, _) if from.contains(&pair[0]));
        writes.iter().any(|write| write.0 == way[0])
            && way.windows(2).all(follows)
            && self.programs[way[way.len() - 1]].as_ref().is_some_and(|program| Arc::ptr_eq(program, failed))
    }

    fn runs(&self) -> u64 {
        self.programs.iter().flatten().map(|program| program.runs()).sum()
    }

    fn contents(&self) -> Vec<Vec<i64>> {
        self.pages.iter().map(|&page| cells(&self.bus, page)).collect()
    }

    /// Commits writes as one epoch, and checks that what ran is what had a changed input, each once, and nothing else.
    fn commit(&mut self, writes: &[(usize, u64, i64)]) -> Epoch {
        let (before, runs) = (self.contents(), self.runs());
        let changes: Vec<Change<'_>> =
            writes.iter().map(|&(at, row, value)| Change::Write(delta(self.pages[at], row, value))).collect();
        for &(at, row, value) in writes {
            if let Model::Source(cells) = &mut self.model[at] {
                cells[row as usize] = value;
            }
        }
        let epoch = self.bus.commit(&changes, &Note::default()).unwrap().epoch;
        let after = self.contents();
        assert_eq!(after, scratch(&self.model));
        let changed = |at: usize| before[at] != after[at];
        let wanted: BTreeSet<PageId> = (0..self.pages.len())
            .filter(|&at| matches!(&self.model[at], Model::Follows(inputs, _) if inputs.iter().any(|&at| changed(at))))
            .map(|at| self.pages[at])
            .collect();
        let steps = self.bus.trace(epoch).unwrap();
        let found: BTreeSet<PageId> = steps.iter().map(|step| step.page).collect();
        assert_eq!((found.len(), self.runs() - runs), (steps.len(), steps.len() as u64), "each runs once");
        assert_eq!(found, wanted);
        assert!(steps.windows(2).all(|two| (two[0].level(), two[0].page) < (two[1].level(), two[1].page)));
        for step in &steps {
            let at = self.pages.iter().position(|page| *page == step.page).unwrap();
            assert_eq!(step.outcome() == Outcome::Changed, changed(at));
            assert_eq!(
                step.rows_out as usize,
                before[at].iter().zip(&after[at]).filter(|(a, b)| a != b).count()
            );
        }
        epoch
    }
}

/// A graph: sources, then pages with their inputs among those before.
fn graph() -> impl Strategy<Value = (usize, Vec<(Vec<usize>, i64)>)> {
    let page = (prop::collection::vec(any::<prop::sample::Index>(), 1..4), 0i64..3);
    (1usize..4, prop::collection::vec(page, 1..12)).prop_map(|(sources, pages)| {
        let pages = pages.into_iter().enumerate().map(|(number, (inputs, plus))| {
            let inputs: BTreeSet<usize> = inputs.iter().map(|input| input.index(sources + number)).collect();
            (inputs.into_iter().collect(), plus)
        });
        (sources, pages.collect())
    })
}

fn world((sources, pages): &(usize, Vec<(Vec<usize>, i64)>)) -> World {
    let mut world = World::new();
    (0..*sources).for_each(|_| world.source());
    pages.iter().for_each(|(inputs, plus)| world.follow(inputs, *plus));
    world
}

/// Writes of sources: which, row and value; few values, so that some change nothing and some cancel.
fn writes() -> impl Strategy<Value = Vec<(usize, u64, i64)>> {
    prop::collection::vec((0usize..4, 0..ROWS, 0i64..3), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_commit_makes_exactly_what_follows(graph in graph(), commits in prop::collection::vec(writes(), 1..8)) {
        let mut world = world(&graph);
        for writes in &commits {
            let writes: Vec<_> = writes.iter().map(|&(at, row, value)| (at % graph.0, row, value)).collect();
            world.commit(&writes);
        }
        let digest = world.bus.state().unwrap().digest().unwrap();
        prop_assert_eq!(world.bus.replay_digest(true).unwrap()[0].digest, digest);
        world.bus.audit().unwrap();
    }

    #[test]
    fn one_epoch_or_many_come_to_the_same(graph in graph(), writes in writes()) {
        let (mut together, mut apart) = (world(&graph), world(&graph));
        let writes: Vec<_> = writes.iter().map(|&(at, row, value)| (at % graph.0, row, value)).collect();
        together.commit(&writes);
        writes.iter().for_each(|&one| { apart.commit(&[one]); });
        prop_assert_eq!(together.contents(), apart.contents());
        prop_assert_eq!(together.bus.state().unwrap().digest().unwrap(), apart.bus.state().unwrap().digest().unwrap());
    }

    #[test]
    fn an_error_anywhere_leaves_what_was(graph in graph(), before in writes(), writes in writes()) {
        let mut world = world(&graph);
        let of = |writes: &[(usize, u64, i64)]| writes.iter().map(|&(at, row, value)| (at % graph.0, row, value)).collect::<Vec<_>>();
        world.commit(&of(&before));
        for program in world.programs.clone().into_iter().flatten() {
            let (contents, epoch) = (world.contents(), world.bus.epoch().unwrap());
            let digest = world.bus.state().unwrap().digest().unwrap();
            program.fails.store(true, Ordering::Relaxed);
            let changes: Vec<Change<'_>> = of(&writes)
                .iter()
                .map(|&(at, row, value)| Change::Write(delta(world.pages[at], row, value)))
                .collect();
            let done = world.bus.commit(&changes, &Note::default());
            program.fails.store(false, Ordering::Relaxed);
            if let Err(error) = done {
                prop_assert!(world.is_way(&error, &of(&writes), &program), "{:?}", error);
                prop_assert_eq!(world.contents(), contents);
                prop_assert_eq!((world.bus.epoch().unwrap(), world.bus.state().unwrap().digest().unwrap()), (epoch, digest));
            } else {
                // It did not have to run.
                world.commit(&of(&writes));
            }
        }
        world.commit(&of(&writes));
        world.bus.audit().unwrap();
    }

    #[test]
    fn other_inputs_are_followed_or_refused_and_the_rest_stays(
        graph in graph(),
        rewires in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(any::<prop::sample::Index>(), 1..3)), 1..8),
        writes in writes(),
    ) {
        let mut world = world(&graph);
        for (which, inputs) in rewires {
            let at = graph.0 + which.index(graph.1.len());
            let inputs: BTreeSet<usize> = inputs.iter().map(|input| input.index(world.pages.len())).collect();
            let ids: Vec<PageId> = inputs.iter().map(|&at| world.pages[at]).collect();
            let program = world.programs[at].clone().unwrap();
            let contents = world.contents();
            match world.bus.rewire(world.pages[at], derived(&ids, &program), &Note::default()) {
                Ok(_) => {
                    if let Model::Follows(old, _) = &mut world.model[at] {
                        *old = inputs.into_iter().collect();
                    }
                    prop_assert_eq!(world.contents(), scratch(&world.model));
                }
                Err(error) => {
                    prop_assert!(error.to_string().contains("would follow from itself"), "{}", error);
                    prop_assert_eq!(world.contents(), contents);
                }
            }
            let writes: Vec<_> = writes.iter().map(|&(at, row, value)| (at % graph.0, row, value)).collect();
            world.commit(&writes);
        }
        prop_assert_eq!(
            world.bus.replay_digest(true).unwrap()[0].digest,
            world.bus.state().unwrap().digest().unwrap()
        );
    }
}

/// The static shapes of the public benchmark of reactive libraries for JavaScript: rows of pages, each of which follows from
/// so many side by side of the row before. How many run after one write is known exactly.
#[test]
fn the_public_shapes_run_as_often_as_they_must() {
    for (inputs, width, rows, wanted) in
        [(25, 1000, 5, 244), (4, 1000, 12, 209), (3, 5, 500, 2493), (6, 100, 15, 539)]
    {
        let bus = memory();
        let mut row: Vec<PageId> = (0..width).map(|i| source(&bus, &format!("s{i}"))).collect();
        let sources = row.clone();
        let program = Sum::plus(0);
        for layer in 1..rows {
            let mut tx = bus.begin(mmsb::bus::transaction::Isolation::Snapshot, Note::default()).unwrap();
            row = (0..width)
                .map(|i| {
                    let from: Vec<PageId> = (0..inputs).map(|s| row[(i + s) % width]).collect();
                    tx.derive(&format!("d{layer}-{i}"), derived(&from, &program)).unwrap()
                })
                .collect();
            tx.commit().unwrap();
        }
        for i in 0..4u64 {
            let runs = program.runs();
            let epoch = write(&bus, sources[i as usize % width], i % ROWS, 5 + i as i64).unwrap();
            assert_eq!(program.runs() - runs, wanted, "{inputs}-{width}x{rows}");
            assert_eq!(bus.trace(epoch).unwrap().len() as u64, wanted);
        }
    }
}
