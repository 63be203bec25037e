//! Propagation: after a change, every page that follows from it is made anew, once, after all that it follows from, and
//! nothing else is.
//!
//! The lowest level that has something to do is run, in the order of its pages' ids, and what follows from a page is
//! looked at only where the page came out different. So what runs, in which order and with which result, is a function
//! of the state and the change alone.

use std::time::{Duration, Instant};

use crate::base::ids::PageId;
use crate::graph::edge::EdgeKind;
use crate::graph::network::{Slot, unpacked};
use crate::memory::addr::Addr;
use crate::page::catalog::RootRef;
use crate::page::draft::Draft;
use crate::page::version::PageRef;
use crate::propagation::apply::{Sink, apply};
use crate::propagation::changes::Listed;
use crate::propagation::error::FlowError;
use crate::propagation::flow::Flow;
use crate::propagation::made::Made;
use crate::propagation::place::{Place, Table};
use crate::propagation::program::Programs;
use crate::propagation::rule::When;
use crate::propagation::task::{Came, Gave, How, Task, Todo};
use crate::propagation::threads::Threads;
use crate::propagation::trace::{Outcome, Step, way};

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
    /// Where this is the epoch of pages that are made in one of their own, which.
    pub settles: Option<Settles<'g>>,
}

/// Which pages an epoch of their own makes.
#[derive(Clone, Copy, Debug)]
pub struct Settles<'g> {
    /// Not these.
    pub but: &'g [PageId],
    /// Beside those that were put off, those that were left by a process that has not their functions.
    pub left: bool,
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

/// What going over the inputs of a node finds.
#[derive(Debug, Default)]
struct Seen {
    /// Whether it is not known where one is.
    unknown: bool,
    /// Whether one is behind.
    waits: bool,
    /// Rows that changed of those that carry cells.
    rows_in: u64,
    /// The first that changed.
    cause: Option<PageId>,
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
        let pages: Vec<PageId> =
            ground.settles.map(|settles| self.to_settle(settles).collect()).unwrap_or_default();
        for page in pages {
            if let Some(slot) = self.network.slot(page) {
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
        let Some(now) = ground.draft.page(page) else { return Ok(()) };
        let before = ground.base.page(page);
        if before == Some(now.at) {
            return Ok(());
        }
        let schema = ground.draft.schema(now);
        let known = &mut self.places[slot as usize];
        let is_new = known.changed.is_none();
        if is_new {
            *known = Place::of(now, schema, before.unwrap_or_default());
        }
        self.touched.push(slot);
        if !is_new || self.nodes[slot as usize].rule.is_some() {
            return Ok(());
        }
        let before = before.map(|at| PageRef::new(now.arena, at));
        let (found, whole) = match before {
            Some(before) => (self.changes.between(before, now, schema), before.rows() != now.rows()),
            None => (Some(self.changes.whole(schema.columns().len(), now.rows())), true),
        };
        if let Some(found) = found {
            let rows = self.changes.rows(found);
            self.places[slot as usize].set_changed(found, rows);
            self.tell(slot, if whole { WHOLE } else { CELLS });
        }
        Ok(())
    }

    /// Finds where a node's page is in the state that is being made, unless that is known.
    #[inline]
    fn locate(&mut self, slot: Slot, ground: &Ground<'_, '_>) -> Result<&Place, FlowError> {
        if self.places[slot as usize].at.is_null() {
            let found = ground.draft.readable(self.network.page(slot))?;
            self.places[slot as usize] = Place::of(found, ground.draft.schema(found), Addr::NULL);
        }
        debug_assert_eq!(self.places[slot as usize].page, self.network.page(slot), "whose place it is");
        Ok(&self.places[slot as usize])
    }

    /// Has all that follows from a node looked at.
    fn tell(&mut self, slot: Slot, why: u8) {
        let Flow { network, nodes, queue, has_lazy, .. } = self;
        for (next, kind) in network.followers(slot) {
            let data = kind == EdgeKind::Data;
            // What is made when somebody reads it is looked at only where it may have another number of rows.
            if *has_lazy && data && why & WHOLE == 0 && nodes[next as usize].is_lazy() {
                continue;
            }
            let why = if data { why } else { kind.mark() };
            queue.put(next, network.level(next), why);
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
        let task = self.prepare(slot, why, ground)?;
        let mut scratch = self.scratch.take().unwrap_or_default();
        let Flow { network, nodes, places, changes, .. } = self;
        let table = Table { arena: ground.draft.arena(), network, places, changes };
        let gave = task.run(&mut nodes[slot as usize], table, (ground.programs, ground.lasts), &mut scratch);
        let done = self.settle(task, gave, &scratch.made, ground, (clock, None));
        self.scratch = Some(scratch);
        done
    }

    /// Finds out what is to be done about a node, and where all is that its page is made from.
    pub(super) fn prepare(
        &mut self,
        slot: Slot,
        why: u8,
        ground: &Ground<'_, '_>,
    ) -> Result<Task, FlowError> {
        let page = self.network.page(slot);
        // Whatever comes of it, an error too, concerns this node from now on.
        self.touched.push(slot);
        let marks = self.locate(slot, ground)?.marks;
        let makes = why & !MARKS != 0 && !self.is_put_off(slot, ground);
        let mut seen = self.survey(slot, why);
        if seen.unknown && makes {
            let count = self.network.inputs(slot).len();
            for i in 0..count {
                let (input, kind) = self.network.input(slot, i);
                if kind == EdgeKind::Data {
                    self.locate(input, ground)?;
                }
            }
            seen = self.survey(slot, why);
        }
        let Seen { cause, waits, mut rows_in, .. } = seen;
        let node = &self.nodes[slot as usize];
        let is_lazy = node.is_lazy();
        let todo = if why & !MARKS == 0 {
            Todo::Nothing(Outcome::Marked)
        } else if !makes || waits && !is_lazy {
            Todo::Nothing(Outcome::Behind)
        } else if node.rule.is_none() {
            Todo::Nothing(Outcome::Equal)
        } else {
            let whole = (why & WHOLE != 0 || !node.primed).then(|| self.whole(slot));
            Todo::Make(How { whole, rows_only: is_lazy })
        };
        match &todo {
            Todo::Nothing(_) => rows_in = 0,
            Todo::Make(How { whole: Some(lists), .. }) => {
                rows_in = lists.iter().map(|list| self.changes.rows(*list)).sum();
            }
            Todo::Make(_) => {}
        }
        Ok(Task { slot, why, page, cause: cause.unwrap_or(page), marks, rows_in, todo })
    }

    /// Goes over the inputs of a node.
    #[inline]
    fn survey(&self, slot: Slot, why: u8) -> Seen {
        let mut seen = Seen::default();
        for &edge in self.network.packed_inputs(slot) {
            let (input, kind) = unpacked(edge);
            let place = &self.places[input as usize];
            let carries = kind == EdgeKind::Data;
            if carries {
                seen.unknown |= place.at.is_null();
                seen.waits |= place.marks & BEHIND != 0;
                seen.rows_in += u64::from(place.rows_changed);
            }
            if seen.cause.is_none() && place.changed.is_some() && (carries || why & kind.mark() != 0) {
                seen.cause = Some(place.page);
            }
        }
        seen
    }

    /// Lists of all rows of the inputs of a node that carry cells.
    fn whole(&mut self, slot: Slot) -> Vec<Listed> {
        let Flow { network, places, changes, .. } = self;
        let inputs = network.inputs(slot).filter(|(_, kind)| *kind == EdgeKind::Data);
        let all = inputs.map(|(input, _)| {
            let place = &places[input as usize];
            let columns = place.schema.as_ref().map_or(0, |schema| schema.columns().len());
            changes.whole(columns, place.rows)
        });
        all.collect()
    }

    /// Puts what was made into a node's page, and has what follows from it looked at. How long running it took is what the
    /// clock says, unless it is known.
    pub(super) fn settle(
        &mut self,
        task: Task,
        gave: Result<Gave, FlowError>,
        made: &Made,
        ground: &mut Ground<'_, '_>,
        (clock, took): (&mut Instant, Option<u32>),
    ) -> Result<(), FlowError> {
        let Task { slot, why, page, cause, marks, rows_in, .. } = task;
        let came = match gave.inspect_err(|_| self.counters.raised(slot, page)) {
            Ok(Gave::Cells { rows }) => self.put(slot, rows, made, ground),
            Ok(Gave::Nothing(outcome)) => Ok(Came::to(outcome)),
            Err(error) => Err(error),
        };
        let mut came = came.inspect_err(|_| self.way = self.way_to(slot, why, (page, cause)))?;
        if came.outcome == Outcome::Behind {
            self.nodes[slot as usize].primed = false;
        } else if came.outcome != Outcome::Marked {
            // A page that was there may have been written, or been behind, before it got this rule: what follows from it is
            // to be made whatever comes out now.
            let remade = why & FRESH != 0 && ground.base.page(page).is_some();
            came.again |= marks & BEHIND != 0 || remade;
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

    /// By which pages it came that a node is looked at.
    fn way_to(&self, slot: Slot, why: u8, (page, mut cause): (PageId, PageId)) -> Vec<PageId> {
        if cause == page && why & WHOLE != 0 && why & FRESH == 0 {
            // No cell of an input changed: one was made anew, and what came out was there before.
            let inputs = self.network.inputs(slot).filter(|(_, kind)| *kind == EdgeKind::Data);
            let mut inputs = inputs.map(|(input, _)| self.network.page(input));
            cause = inputs.find(|input| self.steps.iter().any(|step| step.page == *input)).unwrap_or(page);
        }
        way(&self.steps, page, cause)
    }

    /// Puts what was made into the page.
    fn put(
        &mut self,
        slot: Slot,
        rows: Option<u64>,
        made: &Made,
        ground: &mut Ground<'_, '_>,
    ) -> Result<Came, FlowError> {
        let Flow { places, changes, .. } = self;
        let place = &mut places[slot as usize];
        let Some(schema) = place.schema.clone() else { return Ok(Came::to(Outcome::Equal)) };
        let rows = rows.filter(|rows| *rows != place.rows);
        if let Some(rows) = rows {
            ground.draft.resize(place.page, rows)?;
            ground.sink.resized(place.page, rows);
            let moved = ground.draft.readable(place.page)?;
            place.move_to(moved.at);
            (place.rows, place.packed) = (rows, moved.is_packed());
        }
        let now = PageRef::new(ground.draft.arena(), place.at);
        let listed = changes.list(schema.columns().len());
        let applied = apply(ground.draft, now, &schema, made, changes.get_mut(listed), ground.sink)?;
        place.move_to(applied.at);
        if applied.rows == 0 && rows.is_none() {
            return Ok(Came::to(Outcome::Equal));
        }
        place.set_changed(listed, changes.rows(listed));
        Ok(Came { rows_out: applied.rows, outcome: Outcome::Changed, again: rows.is_some() })
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
            let place = &mut self.places[slot as usize];
            place.move_to(ground.draft.readable(page)?.at);
            place.marks = new;
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
        let is_made = |settles: Settles<'_>| !settles.but.contains(&self.network.page(slot));
        self.nodes[slot as usize].when == When::Deferred && !ground.settles.is_some_and(is_made)
    }
}
