//! Propagation: after a change, every page that follows from it is made anew, once, after all that it follows from, and
//! nothing else is.
//!
//! The lowest level that has something to do is run, in the order of its pages' ids, and what follows from a page is
//! looked at only where the page came out different. So what runs, in which order and with which result, is a function
//! of the state and the change alone.

use std::time::Instant;

use crate::base::ids::PageId;
use crate::graph::edge::EdgeKind;
use crate::graph::network::Slot;
use crate::page::catalog::RootRef;
use crate::page::draft::Draft;
use crate::page::version::PageRef;
use crate::propagation::apply::{Sink, apply};
use crate::propagation::changes::Listed;
use crate::propagation::error::FlowError;
use crate::propagation::flow::{Flow, Node};
use crate::propagation::kernel::{Input, Shape};
use crate::propagation::program::{Call, Programs};
use crate::propagation::runs;
use crate::propagation::trace::{Outcome, Step};

/// A page has a mark: it is behind what it follows from, because nobody could make it.
pub const BEHIND: u8 = 8;

/// Why a node is looked at: its page is to be made whole.
const WHOLE: u8 = 16;
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
    /// Whether the draft is not changed any more but by this.
    pub lasts: bool,
}

impl std::fmt::Debug for Ground<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ground").finish_non_exhaustive()
    }
}

/// What looking at a page came to.
struct Came {
    /// Rows of its inputs that had changed, and of itself that did.
    rows: [u64; 2],
    outcome: Outcome,
    /// Whether what follows from it must be made whole: it is of another shape, or could not be made before.
    again: bool,
}

impl Came {
    /// It was not made.
    const fn to(outcome: Outcome) -> Self {
        Self { rows: [0, 0], outcome, again: false }
    }
}

impl Flow {
    /// Makes all that follows from the pages that were changed.
    ///
    /// # Errors
    /// The first page that cannot be made; the draft is of no use then, and [`Flow::undo`] is to be called.
    pub fn run(&mut self, changed: &[PageId], ground: &mut Ground<'_, '_>) -> Result<(), FlowError> {
        for &page in changed {
            self.source(page, ground)?;
        }
        for page in std::mem::take(&mut self.fresh) {
            if let Some(slot) = self.network.slot(page) {
                self.queue.put(slot, self.network.level(slot), WHOLE | FRESH);
            }
        }
        let mut level = std::mem::take(&mut self.level);
        let mut done = Ok(());
        let mut clock = Instant::now();
        while done.is_ok()
            && let Some(at) = self.queue.take(&mut level)
        {
            level.sort_unstable_by_key(|(slot, _)| self.network.page(*slot));
            for &(slot, why) in &level {
                done = self.node(slot, why, at, ground, &mut clock);
                if done.is_err() {
                    break;
                }
            }
        }
        self.level = level;
        done
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
            let why = if kind == EdgeKind::Data { why } else { kind.mark() };
            self.queue.put(next, self.network.level(next), why);
        }
    }

    /// Looks at a node.
    fn node(
        &mut self,
        slot: Slot,
        why: u8,
        level: u32,
        ground: &mut Ground<'_, '_>,
        clock: &mut Instant,
    ) -> Result<(), FlowError> {
        let page = self.network.page(slot);
        // Whatever comes of it, an error too, concerns this node from now on.
        self.touched.push(slot);
        let cause = self.cause(slot, why);
        let marks = ground.draft.page(page).map_or(0, |page| page.marks());
        let mut node = std::mem::take(&mut self.nodes[slot as usize]);
        let came = if why & !MARKS == 0 {
            Ok(Came::to(Outcome::Marked))
        } else if self.waits(slot, ground.draft) {
            Ok(Came::to(Outcome::Behind))
        } else {
            self.make(slot, &mut node, why & WHOLE != 0, ground)
        };
        self.nodes[slot as usize] = node;
        let mut came = came?;
        if came.outcome == Outcome::Behind {
            self.nodes[slot as usize].primed = false;
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
        let mut step = Step::new(page, cause, level, came.rows, came.outcome);
        step.ns = u32::try_from(now.duration_since(*clock).as_nanos()).unwrap_or(u32::MAX);
        *clock = now;
        self.steps.push(step);
        Ok(())
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

    /// Makes a page: whole, or what follows from what changed.
    fn make(
        &mut self,
        slot: Slot,
        node: &mut Node,
        whole: bool,
        ground: &mut Ground<'_, '_>,
    ) -> Result<Came, FlowError> {
        let id = self.network.page(slot);
        let Node { rule: Some(rule), kernel, primed, changed } = node else {
            return Ok(Came::to(Outcome::Equal));
        };
        let page = ground.draft.readable(id)?;
        let whole = whole || !*primed;
        let inputs = self.inputs(slot, whole, ground)?;
        let views: Vec<Input<'_>> = inputs
            .iter()
            .map(|&(page, before, listed)| Input {
                page,
                schema: ground.draft.schema(page),
                before: if whole { None } else { before },
                changed: self.changes.get(listed),
            })
            .collect();
        let rows_in = views.iter().flat_map(|input| input.changed).map(|list| runs::rows(list)).sum();
        self.made.clear();
        let mut rows = None;
        match rule.spec() {
            Some(spec) => {
                if whole {
                    let shapes: Vec<Shape<'_>> = views
                        .iter()
                        .map(|input| Shape { schema: input.schema, rows: input.rows() })
                        .collect();
                    let made = spec.gives(&shapes).and_then(|gives| Ok((gives.rows, spec.kernel(&shapes)?)));
                    let (gives, made) = made.map_err(|source| FlowError::of(page, source))?;
                    (rows, *kernel) = (Some(gives), Some(made));
                }
                if let Some(kernel) = kernel {
                    kernel.run(&views, &mut self.made).map_err(|source| FlowError::of(page, source))?;
                }
            }
            None => {
                let Some(program) = ground.programs.program(id) else { return Ok(Came::to(Outcome::Behind)) };
                let call =
                    Call { inputs: &views, page, schema: ground.draft.schema(page), lasts: ground.lasts };
                ground.programs.running(Some(id));
                let ran = program.run(&call, &mut self.made);
                ground.programs.running(None);
                ran.map_err(|source| FlowError::Raised {
                    page: page.def().name().to_owned(),
                    rule: rule.name(),
                    source,
                })?;
            }
        }
        *primed = true;
        let rows = self.made.rows().or(rows).filter(|rows| *rows != page.rows());
        if let Some(rows) = rows {
            ground.draft.resize(id, rows)?;
            ground.sink.resized(id, rows);
        }
        let schema = ground.draft.schema(page);
        let listed = self.changes.list(schema.columns().len());
        let lists = self.changes.get_mut(listed);
        let rows_out = apply(ground.draft, id, schema, &self.made, lists, ground.sink)?;
        let outcome = if rows_out > 0 || rows.is_some() { Outcome::Changed } else { Outcome::Equal };
        *changed = (outcome == Outcome::Changed).then_some(listed);
        Ok(Came { rows: [rows_in, rows_out], outcome, again: rows.is_some() })
    }

    /// The inputs of a node that carry cells: as they are, as they were before, and what changed; everything where it is to
    /// be made whole.
    fn inputs<'a>(
        &mut self,
        slot: Slot,
        whole: bool,
        ground: &Ground<'_, 'a>,
    ) -> Result<Vec<(PageRef<'a>, Option<PageRef<'a>>, Listed)>, FlowError> {
        let Self { network, nodes, changes, .. } = self;
        let data = network.inputs(slot).filter(|(_, kind)| *kind == EdgeKind::Data);
        data.map(|(input, _)| {
            let id = network.page(input);
            let page = ground.draft.readable(id)?;
            let before = ground.base.page(id).map(|at| PageRef::new(page.arena, at));
            let listed = match nodes[input as usize].changed {
                _ if whole => changes.whole(ground.draft.schema(page).columns().len(), page.rows()),
                Some(listed) => listed,
                None => Listed::NONE,
            };
            Ok((page, before, listed))
        })
        .collect()
    }
}
