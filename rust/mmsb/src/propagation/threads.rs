//! Threads that make the pages of a level together, where that is worth waking them.
//!
//! Nodes of one level do not follow from one another. Each is worked on by one thread, in memory of its own; what came out
//! is put into the pages afterwards, in the order of their ids. So neither what comes out nor what is traced depends on
//! how many threads there are.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::base::limits::UNSHARED;
use crate::base::wait::aside;
use crate::graph::network::Slot;
use crate::propagation::error::FlowError;
use crate::propagation::flow::{Flow, Node};
use crate::propagation::run::{Ground, WHOLE, nanoseconds};
use crate::propagation::task::{Gave, Scratch, Task};

/// How many threads propagate, and those that do beside the one that commits.
#[derive(Debug)]
pub struct Threads {
    count: usize,
    /// Nanoseconds of work in a level from which on it is shared.
    worth: u64,
    pool: OnceLock<Option<ThreadPool>>,
}

impl Threads {
    /// So many threads, the one that commits among them, that share levels with more nanoseconds of work than `worth`. None
    /// is started before there is work for it.
    #[must_use]
    pub const fn worth(count: usize, worth: u64) -> Self {
        Self { count, worth, pool: OnceLock::new() }
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Nanoseconds of each page that do not count. So a level of many small pages is never worth it; where any is worth it, all
    /// is.
    fn unshared(&self) -> u64 {
        UNSHARED.min(self.worth)
    }

    /// The others; none where the machine gives none: then one thread does all.
    fn others(&self) -> Option<&ThreadPool> {
        let start = || {
            let name = |i| format!("mmsb-level-{i}");
            ThreadPoolBuilder::new().num_threads(self.count - 1).thread_name(name).build().ok()
        };
        self.pool.get_or_init(start).as_ref()
    }

    /// Does the work on every share, each by the thread that comes to it first.
    fn share(&self, shares: &[Mutex<Share>], work: &(dyn Fn(&mut Share) + Sync)) {
        let next = AtomicUsize::new(0);
        let help = || {
            while let Some(share) = shares.get(next.fetch_add(1, Ordering::Relaxed)) {
                work(&mut share.lock().unwrap_or_else(PoisonError::into_inner));
            }
        };
        match self.others() {
            // A function of C's may call for an interpreter that this thread holds.
            Some(pool) => aside(|| {
                pool.in_place_scope(|scope| {
                    (0..self.count - 1).for_each(|_| scope.spawn(|_| help()));
                    help();
                });
            }),
            None => help(),
        }
    }
}

/// A node, what it made, and what came of that.
#[derive(Debug)]
struct Share {
    task: Task,
    /// Taken out of its flow for as long.
    node: Node,
    scratch: Scratch,
    /// With how long it took, in nanoseconds.
    gave: Option<(Result<Gave, FlowError>, u32)>,
}

impl Node {
    /// Whether any thread can make its page.
    pub(super) fn goes_anywhere(&self) -> bool {
        self.rule.as_ref().is_some_and(|rule| rule.spec().is_some())
            || self.program.as_ref().is_some_and(|program| program.is_native())
    }
}

impl Flow {
    /// Whether the level that was come to is worth sharing: by how long its pages took last time, those that took long, and how
    /// many cells there are where they are made whole.
    pub(super) fn pays(&self, ground: &Ground<'_, '_>) -> bool {
        if ground.threads.count < 2 || self.level.len() < 2 {
            return false;
        }
        let (mut sum, mut most) = (0, 0);
        for &(slot, why) in &self.level {
            let node = &self.nodes[slot as usize];
            if !node.goes_anywhere() {
                continue;
            }
            let whole = why & WHOLE != 0 || !node.primed;
            let cost = if whole { self.cells(slot, ground) } else { u64::from(node.ns) };
            let cost = cost.saturating_sub(ground.threads.unshared());
            (sum, most) = (sum + cost, most.max(cost));
        }
        // What the longest takes is to be waited for anyway.
        sum - most > ground.threads.worth
    }

    /// Bytes of what a node is made from: a nanosecond for some of them is about what making takes.
    fn cells(&self, slot: Slot, ground: &Ground<'_, '_>) -> u64 {
        let bytes = |(input, _)| {
            let page = ground.draft.page(self.network.page(input))?;
            let row: u64 = ground.draft.schema(page).columns().iter().map(|column| column.row_bytes()).sum();
            Some(page.rows() * row / 8)
        };
        self.network.inputs(slot).filter_map(bytes).sum()
    }

    /// Looks at all nodes of the level, several threads together.
    pub(super) fn together(
        &mut self,
        ground: &mut Ground<'_, '_>,
        clock: &mut Instant,
    ) -> Result<(), FlowError> {
        let mut shares = Vec::with_capacity(self.level.len());
        for at in 0..self.level.len() {
            let (slot, why) = self.level[at];
            match self.prepare(slot, why, ground) {
                Ok(task) => {
                    let node = std::mem::take(&mut self.nodes[slot as usize]);
                    let scratch = self.spare.pop().unwrap_or_default();
                    shares.push(Mutex::new(Share { task, node, scratch, gave: None }));
                }
                Err(error) => {
                    shares.into_iter().for_each(|share| self.put_back(share));
                    return Err(error);
                }
            }
        }
        self.looked = self.level.len();
        let (arena, by) = (ground.draft.arena(), (ground.programs, ground.lasts));
        let table = self.table(arena);
        ground.threads.share(&shares, &|Share { task, node, scratch, gave }| {
            if task.goes_anywhere(node) {
                let began = Instant::now();
                let done = task.run(node, table, by, scratch);
                *gave = Some((done, nanoseconds(began.elapsed())));
            }
        });
        let mut done = Ok(());
        for share in shares {
            if done.is_err() {
                self.put_back(share);
                continue;
            }
            let Share { task, mut node, mut scratch, gave } =
                share.into_inner().unwrap_or_else(PoisonError::into_inner);
            let (gave, took) = match gave {
                Some((gave, took)) => (gave, Some(took)),
                None => (task.run(&mut node, self.table(arena), by, &mut scratch), None),
            };
            self.nodes[task.slot as usize] = node;
            done = self.settle(task, gave, &scratch.made, ground, (&mut *clock, took));
            self.spare.push(scratch);
        }
        done
    }

    /// Puts back a node that nothing came of: what it learned is forgotten with the run.
    fn put_back(&mut self, share: Mutex<Share>) {
        let Share { task, node, scratch, .. } = share.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.nodes[task.slot as usize] = node;
        self.spare.push(scratch);
    }
}
