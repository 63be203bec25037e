//! Propagation: after a change, every page that follows from it is made anew, once, after all that it follows from, and
//! nothing else is.
//!
//! The lowest level that has something to do is run, in the order of its pages' ids, and what follows from a page is
//! looked at only where the page came out different. So what runs, in which order and with which result, is a function
//! of the state and the change alone.

use std::time::{Duration, Instant};

use crate::base::ids::PageId;
use crate::graph::edge::EdgeKind;
use crate::graph::network::Slot;
use crate::page::catalog::RootRef;
use crate::page::draft::Draft;
use crate::page::version::PageRef;
use crate::propagation::apply::{Sink, apply};
use crate::propagation::changes::Listed;
use crate::propagation::error::FlowError;
use crate::propagation::flow::Flow;
use crate::propagation::made::Made;
use crate::propagation::program::Programs;
use crate::propagation::rule::{Rule, When};
use crate::propagation::task::{Came, Gave, Given, Job, Ran, Task, Todo};
use crate::propagation::threads::Threads;
use crate::propagation::trace::{Outcome, Step};

/// A page has a mark: it is behind what it follows from, because nobody could make it.
pub const BEHIND: u8 = 8;

/// Why a node is looked at: its page is to be made whole.
pub(super) const WHOLE: u8 = 16;
/// Cells of an input changed.
const CELLS: u8 = 32;
/// An input is behind.
const LATE: u8 = 64;
/// Its rule is new.
const FRESH: u8 = 128;
/// The marks for which no cells are looked at: those of edges that carry none.
const MARKS: u8 = 7;

/// What propagation works on.
pub struct Ground<'g, 'a> {
    /// The next state, with all that was changed in it.
    pub draft: &'g mut Draft<'a>,
    /// The state before.
    pub base: RootRef<'a>,
    /// Where users' functions are found.
    pub programs: &'g dyn Programs,
    /// Who is told.
    pub sink: &'g mut dyn Sink,
    /// Who helps with a level that is worth it.
    pub threads: &'g Threads,
    /// Whether the draft is not changed any more but by this.
    pub lasts: bool,
    /// Whether this is the epoch of those that are made in one of their own.
    pub settles: bool,
}

impl std::fmt::Debug for Ground<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ground").finish_non_exhaustive()
    }
}

/// Nanoseconds, no more than a `u32` holds.
pub(super) fn nanoseconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos()).unwrap_or(u32::MAX)
}

impl Flow {
    /// Makes all that follows from the pages that were changed.
    ///
    /// # Errors
    /// The first page that cannot be made; the draft is of no use then, and [`Flow::undo`] is to be called.
    pub fn run(&mut self, changed: &[PageId], ground: &mut Ground<'_, '_>) -> Result<(), FlowError> {
        self.begin(changed, ground)?;
        let mut clock = Instant::now();
        while self.next_level() {
            let done = self.level(ground, &mut clock);
            if done.is_err() {
                // With other threads some of those behind had run: they are to see everything anew, and with one thread too.
                self.touched.extend(self.level.iter().map(|(slot, _)| slot));
            }
            done?;
        }
        Ok(())
    }

    /// Looks at all nodes of the level.
    fn level(&mut self, ground: &mut Ground<'_, '_>, clock: &mut Instant) -> Result<(), FlowError> {
        if self.pays(ground) {
            return self.together(ground, clock);
        }
        while let Some((slot, why)) = self.next() {
            self.node(slot, why, ground, clock)?;
        }
        Ok(())
    }

    /// Begins a run: has all that follows from the pages that were changed looked at, step by step.
    ///
    /// # Errors
    /// A page that cannot be read.
    pub fn begin(&mut self, changed: &[PageId], ground: &Ground<'_, '_>) -> Result<(), FlowError> {
        for &page in changed {
            self.source(page, ground)?;
        }
        for page in std::mem::take(&mut self.fresh) {
            if let Some(slot) = self.network.slot(page) {
                self.queue.put(slot, self.network.level(slot), WHOLE | FRESH);
            }
        }
        for page in self.late.iter().filter(|_| ground.settles) {
            if let Some(slot) = self.network.slot(*page) {
                self.queue.put(slot, self.network.level(slot), WHOLE);
            }
        }
        Ok(())
    }

    /// Looks at one page more, and says what came of it; nothing where all is made.
    ///
    /// # Errors
    /// As [`Flow::run`].
    pub fn step(&mut self, ground: &mut Ground<'_, '_>) -> Result<Option<Step>, FlowError> {
        if self.pending().next().is_none() && !self.next_level() {
            return Ok(None);
        }
        if let Some((slot, why)) = self.next() {
            self.node(slot, why, ground, &mut Instant::now())?;
        }
        Ok(self.steps.last().copied())
    }

    /// The pages of the level that a run has come to that are still to be looked at, in their order.
    pub fn pending(&self) -> impl Iterator<Item = PageId> + '_ {
        self.level.iter().skip(self.looked).map(|(slot, _)| self.network.page(*slot))
    }

    /// The pages that are to be looked at next: those left of the level that a run has come to, or of the next one.
    pub fn upcoming(&mut self) -> impl Iterator<Item = PageId> + '_ {
        if self.pending().next().is_none() {
            self.next_level();
        }
        self.pending()
    }

    /// Goes to the lowest level that has something to do; `false` where none has.
    pub(super) fn next_level(&mut self) -> bool {
        self.looked = 0;
        let Some(at) = self.queue.take(&mut self.level) else { return false };
        self.at = at;
        self.level.sort_unstable_by_key(|(slot, _)| self.network.page(*slot));
        true
    }

    /// The next node of the level, and why.
    fn next(&mut self) -> Option<(Slot, u8)> {
        let next = self.level.get(self.looked).copied();
        self.looked += usize::from(next.is_some());
        next
    }

    /// Looks at what was changed of a page, and has what follows from it looked at.
    fn source(&mut self, page: PageId, ground: &Ground<'_, '_>) -> Result<(), FlowError> {
        let Some(slot) = self.network.slot(page) else { return Ok(()) };
        let node = &mut self.nodes[slot as usize];
        if node.changed.is_some() || node.rule.is_some() {
            return Ok(());
        }
        let Some(now) = ground.draft.page(page) else { return Ok(()) };
        let schema = ground.draft.schema(now);
        let before = ground.base.page(page).map(|at| PageRef::new(now.arena, at));
        let (found, whole) = match before {
            Some(before) => (self.changes.between(before, now, schema), before.rows() != now.rows()),
            None => (Some(self.changes.whole(schema.columns().len(), now.rows())), true),
        };
        if let Some(found) = found {
            self.nodes[slot as usize].changed = Some(found);
            self.touched.push(slot);
            self.tell(slot, if whole { WHOLE } else { CELLS });
        }
        Ok(())
    }

    /// Has all that follows from a node looked at.
    fn tell(&mut self, slot: Slot, why: u8) {
        for (next, kind) in self.network.followers(slot) {
            let data = kind == EdgeKind::Data;
            // What is made when somebody reads it is looked at only where it may have another number of rows.
            if data && why & WHOLE == 0 && self.nodes[next as usize].is_lazy() {
                continue;
            }
            let why = if data { why } else { kind.mark() };
            self.queue.put(next, self.network.level(next), why);
        }
    }

    /// Looks at a node.
    fn node(
        &mut self,
        slot: Slot,
        why: u8,
        ground: &mut Ground<'_, '_>,
        clock: &mut Instant,
    ) -> Result<(), FlowError> {
        let mut task = self.prepare(slot, why, ground)?;
        let mut made = std::mem::take(&mut self.made);
        let ran = task.run(&self.changes, (ground.programs, ground.lasts), &mut made);
        let done = self.settle(task, ran, &made, ground, (clock, None));
        self.made = made;
        done
    }

    /// Takes a node, and all that its page is made from.
    pub(super) fn prepare<'a>(
        &mut self,
        slot: Slot,
        why: u8,
        ground: &Ground<'_, 'a>,
    ) -> Result<Task<'a>, FlowError> {
        let page = self.network.page(slot);
        // Whatever comes of it, an error too, concerns this node from now on.
        self.touched.push(slot);
        let cause = self.cause(slot, why);
        let marks = ground.draft.page(page).map_or(0, |page| page.marks());
        let todo = if why & !MARKS == 0 {
            Todo::Nothing(Outcome::Marked)
        } else if !self.nodes[slot as usize].is_lazy() && self.waits(slot, ground.draft)
            || self.is_put_off(slot, ground)
        {
            Todo::Nothing(Outcome::Behind)
        } else if self.nodes[slot as usize].rule.is_none() {
            Todo::Nothing(Outcome::Equal)
        } else {
            let rows_only = self.nodes[slot as usize].is_lazy();
            let whole = why & WHOLE != 0 || !self.nodes[slot as usize].primed;
            let page = ground.draft.readable(page)?;
            let inputs = self.inputs(slot, whole, ground)?;
            Todo::Make(Job { page, schema: ground.draft.schema(page), whole, rows_only, inputs })
        };
        Ok(Task { slot, why, page, cause, marks, node: std::mem::take(&mut self.nodes[slot as usize]), todo })
    }

    /// Puts a node back, what was made into its page, and has what follows from it looked at. How long running it took is
    /// what the clock says, unless it is known.
    pub(super) fn settle(
        &mut self,
        task: Task<'_>,
        ran: Result<Ran, FlowError>,
        made: &Made,
        ground: &mut Ground<'_, '_>,
        (clock, took): (&mut Instant, Option<u32>),
    ) -> Result<(), FlowError> {
        let Task { slot, why, page, cause, marks, node, todo } = task;
        self.nodes[slot as usize] = node;
        let Ran { rows_in, gave } = ran.inspect_err(|_| self.counters.raised(slot, page))?;
        let mut came = match (gave, todo) {
            (Gave::Cells { rows }, Todo::Make(job)) => self.put(&job, rows, made, ground)?,
            (Gave::Nothing(outcome), _) => Came::to(outcome),
            (Gave::Cells { .. }, Todo::Nothing(outcome)) => Came::to(outcome),
        };
        let node = &mut self.nodes[slot as usize];
        node.changed = came.listed;
        if came.outcome == Outcome::Behind {
            node.primed = false;
        } else {
            // A page that was there may have been written, or been behind, before it got this rule: what follows from it is
            // to be made whatever comes out now.
            let before = ground.base.page(page).map(|at| PageRef::new(ground.base.arena, at));
            let was_behind = marks & BEHIND != 0 || before.is_some_and(|page| page.marks() & BEHIND != 0);
            let remade = why & FRESH != 0 && before.is_some();
            came.again |= (was_behind || remade) && came.outcome != Outcome::Marked;
        }
        self.mark(slot, (marks, why & MARKS), &came, ground)?;
        let now = Instant::now();
        let mut step = Step::new(page, cause, self.at, [rows_in, came.rows_out], came.outcome);
        step.ns = took.unwrap_or_else(|| nanoseconds(now.duration_since(*clock)));
        *clock = now;
        self.nodes[slot as usize].ns = step.ns;
        let spared = if came.outcome == Outcome::Equal && !came.again {
            self.network.followers(slot).len()
        } else {
            0
        };
        self.counters.count(slot, &step, spared);
        self.steps.push(step);
        Ok(())
    }

    /// Puts what was made into the page.
    fn put(
        &mut self,
        job: &Job<'_>,
        rows: Option<u64>,
        made: &Made,
        ground: &mut Ground<'_, '_>,
    ) -> Result<Came, FlowError> {
        let id = job.page.id();
        let rows = rows.filter(|rows| *rows != job.page.rows());
        if let Some(rows) = rows {
            ground.draft.resize(id, rows)?;
            ground.sink.resized(id, rows);
        }
        let listed = self.changes.list(job.schema.columns().len());
        let lists = self.changes.get_mut(listed);
        let rows_out = apply(ground.draft, id, job.schema, made, lists, ground.sink)?;
        let changed = rows_out > 0 || rows.is_some();
        let outcome = if changed { Outcome::Changed } else { Outcome::Equal };
        Ok(Came { rows_out, outcome, listed: changed.then_some(listed), again: rows.is_some() })
    }

    /// Gives a node's page the marks that it has now, and has what follows from it looked at.
    fn mark(
        &mut self,
        slot: Slot,
        (marks, more): (u8, u8),
        came: &Came,
        ground: &mut Ground<'_, '_>,
    ) -> Result<(), FlowError> {
        let page = self.network.page(slot);
        // A page that was made anew is not stale, whatever it was.
        const STALE: u8 = BEHIND | EdgeKind::Control.mark();
        let new = match came.outcome {
            Outcome::Marked => marks | more,
            Outcome::Behind => marks | more | BEHIND,
            Outcome::Changed | Outcome::Equal => (marks | more) & !STALE,
        };
        self.nodes[slot as usize].behind = new & BEHIND != 0;
        if new != marks {
            ground.draft.set_marks(page, new)?;
            ground.sink.marked(page, new);
        }
        match came.outcome {
            Outcome::Changed | Outcome::Equal if came.again => self.tell(slot, WHOLE),
            Outcome::Changed => self.tell(slot, CELLS),
            Outcome::Behind if marks & BEHIND == 0 => self.tell(slot, LATE),
            _ => {}
        }
        Ok(())
    }

    /// Whether a page is to be made in an epoch of its own, which this one is not.
    fn is_put_off(&self, slot: Slot, ground: &Ground<'_, '_>) -> bool {
        let deferred = |rule: &Rule| rule.when == When::Deferred;
        !ground.settles && self.nodes[slot as usize].rule.as_ref().is_some_and(deferred)
    }

    /// Whether an input is behind.
    fn waits(&self, slot: Slot, draft: &Draft<'_>) -> bool {
        let behind =
            |slot| draft.page(self.network.page(slot)).is_some_and(|page| page.marks() & BEHIND != 0);
        self.network.inputs(slot).any(|(input, kind)| kind == EdgeKind::Data && behind(input))
    }

    /// The first input that changed, or the page itself.
    fn cause(&self, slot: Slot, why: u8) -> PageId {
        let changed = |(input, kind): &(Slot, EdgeKind)| {
            let carries = *kind == EdgeKind::Data || why & kind.mark() != 0;
            carries && self.nodes[*input as usize].changed.is_some()
        };
        let found = self.network.inputs(slot).find(changed);
        self.network.page(found.map_or(slot, |(input, _)| input))
    }

    /// The inputs of a node that carry cells: as they are, as they were before, and what changed; everything where it is to
    /// be made whole.
    fn inputs<'a>(
        &mut self,
        slot: Slot,
        whole: bool,
        ground: &Ground<'_, 'a>,
    ) -> Result<Vec<Given<'a>>, FlowError> {
        let Self { network, nodes, changes, .. } = self;
        let data = network.inputs(slot).filter(|(_, kind)| *kind == EdgeKind::Data);
        data.map(|(input, _)| {
            let id = network.page(input);
            let page = ground.draft.readable(id)?;
            let schema = ground.draft.schema(page);
            let before = ground.base.page(id).map(|at| PageRef::new(page.arena, at));
            let changed = match nodes[input as usize].changed {
                _ if whole => changes.whole(schema.columns().len(), page.rows()),
                Some(listed) => listed,
                None => Listed::NONE,
            };
            Ok(Given { page, schema, before: before.filter(|_| !whole), changed })
        })
        .collect()
    }
}
