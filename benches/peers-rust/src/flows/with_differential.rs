//! The crate `differential-dataflow`, one worker: what its example `bfs` does, with lengths.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use differential_dataflow::input::{Input, InputSession};
use differential_dataflow::operators::Iterate;
use timely::WorkerConfig;
use timely::communication::allocator::Allocator;
use timely::communication::allocator::thread::Thread;
use timely::dataflow::operators::probe::Handle;
use timely::worker::Worker;

use crate::flows::ways::{Edge, Keeps, Kept, NEVER, World};
use crate::measure::Failed;

/// A vertex, where an edge goes from it, and how long.
type Told = (u32, (u32, i64));

/// A dataflow of edges.
pub struct Differential {
    worker: Worker,
    edges: InputSession<u32, Told, isize>,
    probe: Handle<u32>,
    /// Of each vertex, which lengths are there how often.
    found: Rc<RefCell<Vec<Vec<(i64, isize)>>>>,
    kept: Kept,
}

/// An edge, without its length where nobody asks for that.
fn told(kept: Kept, (from, to, length): Edge) -> Told {
    (from, (to, if kept == Kept::Lengths { length } else { 0 }))
}

impl Differential {
    /// A graph, and what is found in it.
    pub fn new(kept: Kept) -> Self {
        let world = World::new(kept);
        let thread = Allocator::Thread(Thread::default());
        let mut worker = Worker::new(WorkerConfig::default(), thread, Some(Instant::now()));
        let found = Rc::new(RefCell::new(vec![Vec::new(); world.vertices as usize]));
        let (all, probe) = (Rc::clone(&found), Handle::new());
        let (mut start, edges) = worker.dataflow::<u32, _, _>(|scope| {
            let (start, starts) = scope.new_collection::<(u32, i64), isize>();
            let (input, edges) = scope.new_collection::<Told, isize>();
            starts
                .clone()
                .iterate(|scope, inner| {
                    let (edges, starts) = (edges.enter(scope), starts.enter(scope));
                    inner
                        .join_map(edges, |_, at, (to, length)| (*to, at + length))
                        .concat(starts)
                        .reduce(|_, ways, best| best.push((*ways[0].0, 1)))
                })
                .inspect(move |((vertex, length), _, count)| {
                    let mut all = all.borrow_mut();
                    let lengths: &mut Vec<(i64, isize)> = &mut all[*vertex as usize];
                    match lengths.iter_mut().find(|(known, _)| known == length) {
                        Some((_, known)) => *known += count,
                        None => lengths.push((*length, *count)),
                    }
                    lengths.retain(|(_, count)| *count != 0);
                })
                .probe_with(&probe);
            (start, input)
        });
        start.insert((0, 0));
        start.close();
        let mut made = Differential { worker, edges, probe, found, kept };
        for edge in world.edges {
            made.edges.insert(told(kept, edge));
        }
        made.settle();
        made
    }

    /// Does all that there is to do.
    fn settle(&mut self) {
        let next = self.edges.time() + 1;
        self.edges.advance_to(next);
        self.edges.flush();
        while self.probe.less_than(&next) {
            self.worker.step();
        }
    }
}

impl Keeps for Differential {
    fn change(&mut self, changes: &[(usize, Edge, Edge)]) -> Result<(), Failed> {
        for (_, old, new) in changes {
            self.edges.remove(told(self.kept, *old));
            self.edges.insert(told(self.kept, *new));
        }
        self.settle();
        Ok(())
    }

    fn found(&mut self) -> Result<Vec<i64>, Failed> {
        let one = |lengths: &Vec<(i64, isize)>| match lengths[..] {
            [] => Ok(NEVER),
            [(length, 1)] => Ok(length),
            _ => Err(format!("a vertex has the lengths {lengths:?}").into()),
        };
        self.found.borrow().iter().map(one).collect()
    }
}
