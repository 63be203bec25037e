//! What follows from what is changed, in the same commit: the flows of all branches, and who may be told of their errors.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use crate::base::ids::{BranchId, PageId};
use crate::base::spread::Spread;
use crate::bus::body::Body;
use crate::bus::commit::{Change, Request};
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::functions::Declared;
use crate::bus::upkeep::background::Background;
use crate::bus::upkeep::follower::Follower;
use crate::graph::error::GraphError;
use crate::memory::addr::Addr;
use crate::page::catalog::RootRef;
use crate::page::delta::Delta;
use crate::page::draft::Draft;
use crate::propagation::apply::Sink;
use crate::propagation::counters::Counters;
use crate::propagation::error::FlowError;
use crate::propagation::flow::Flow;
use crate::propagation::program::{Program, Programs};
use crate::propagation::run::{Ground, Settles};
use crate::propagation::trace::{Step, Traces};

/// A flow, the root that it is true of, and what ran on its branch.
#[derive(Debug, Default)]
struct Kept {
    flow: Option<(Flow, (Addr, u64))>,
    traces: Traces,
    /// What was counted, while there is no flow that counts on.
    counters: Counters,
    /// Which pages could not be made in an epoch of their own the last time, and why.
    failed: Vec<(PageId, String)>,
}

/// The flows of the branches that were written while they had rules.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    kept: HashMap<BranchId, Kept, Spread>,
    /// The branch that is being written.
    running: Option<BranchId>,
}

fn of(root: RootRef<'_>) -> (Addr, u64) {
    (root.at, root.seq())
}

impl Flows {
    /// The flow of a branch, true of a root of it.
    fn at(&mut self, branch: BranchId, root: RootRef<'_>) -> Result<&mut Flow, FlowError> {
        let kept = self.kept.entry(branch).or_default();
        let (flow, _) = match kept.flow.take() {
            Some(true_of) if true_of.1 == of(root) => kept.flow.insert(true_of),
            other => {
                if let Some((old, _)) = other {
                    kept.counters = old.counters.renumbered();
                }
                let mut flow = Flow::of(root)?;
                flow.counters = std::mem::take(&mut kept.counters);
                kept.flow.insert((flow, of(root)))
            }
        };
        self.running = Some(branch);
        Ok(flow)
    }

    /// Whether an epoch of their own would make pages of a branch that are behind.
    pub fn is_due(
        &mut self,
        core: &Core,
        branch: BranchId,
        root: RootRef<'_>,
        settles: Settles<'_>,
    ) -> Result<bool, Error> {
        let programs = &Known::new(core, branch, &[]);
        let due = self.at(branch, root).map(|flow| flow.is_due(root, programs, settles));
        self.running = None;
        due.map_err(|error| named(error, &[], |page| page.to_string()))
    }

    /// The commit is made. Whether pages are to be made in an epoch of their own for its sake.
    pub fn keep(&mut self, root: RootRef<'_>) -> bool {
        if let Some(branch) = self.running.take()
            && let Some(Kept { flow: Some((flow, true_of)), traces, .. }) = self.kept.get_mut(&branch)
        {
            *true_of = of(root);
            return flow.keep(root.epoch(), traces);
        }
        false
    }

    /// The commit is not made.
    pub fn undo(&mut self) {
        let Some(branch) = self.running.take() else { return };
        if let Some(kept) = self.kept.get_mut(&branch) {
            kept.flow = kept.flow.take().and_then(|(mut flow, true_of)| {
                flow.undo();
                if flow.is_unsure() {
                    kept.counters = flow.counters.renumbered();
                    return None;
                }
                Some((flow, true_of))
            });
        }
    }

    /// Forgets a branch that goes.
    pub fn forget(&mut self, branch: BranchId) {
        self.kept.remove(&branch);
    }

    /// How often pages of a branch were looked at.
    pub fn counters(&self, branch: BranchId) -> Option<&Counters> {
        let kept = self.kept.get(&branch)?;
        Some(kept.flow.as_ref().map_or(&kept.counters, |(flow, _)| &flow.counters))
    }

    /// Notes which pages could not be made in an epoch of their own, and why.
    pub fn set_failed(&mut self, branch: BranchId, failed: Vec<(PageId, String)>) {
        if let Some(kept) = self.kept.get_mut(&branch) {
            kept.failed = failed;
        }
    }

    /// What kept a page, or any that it may wait for, from being made in an epoch of its own the last time.
    pub fn failed(&self, branch: BranchId, page: Option<PageId>) -> Option<&str> {
        let failed = &self.kept.get(&branch)?.failed;
        let own = failed.iter().find(|(failed, _)| Some(*failed) == page);
        own.or_else(|| failed.first()).map(|(_, why)| why.as_str())
    }

    /// By which pages a change came to the one of a branch that a run could not make.
    fn way(&self, branch: BranchId) -> &[PageId] {
        let flow = self.kept.get(&branch).and_then(|kept| kept.flow.as_ref());
        flow.map_or(&[], |(flow, _)| flow.way())
    }

    /// Whether pages of a branch wait for an epoch of their own.
    pub fn has_late(&self, branch: BranchId) -> bool {
        let flow = self.kept.get(&branch).and_then(|kept| kept.flow.as_ref());
        flow.is_some_and(|(flow, _)| flow.has_late())
    }

    /// What ran on a branch.
    pub fn traces(&self, branch: BranchId) -> Option<&Traces> {
        self.kept.get(&branch).map(|kept| &kept.traces)
    }
}

/// The users' functions that a commit on a branch goes by: those it declares itself first.
#[derive(Debug)]
pub(crate) struct Known<'k> {
    core: &'k Core,
    branch: BranchId,
    declared: &'k [Declared],
    /// The numbers of those in the order of their pages, once one was asked for.
    by_page: OnceLock<Vec<usize>>,
}

impl<'k> Known<'k> {
    pub fn new(core: &'k Core, branch: BranchId, declared: &'k [Declared]) -> Self {
        Known { core, branch, declared, by_page: OnceLock::new() }
    }

    /// The function of a page's rule that the commit declared last.
    fn own(&self, page: PageId, rule: &[u8]) -> Option<&Arc<dyn Program>> {
        let by_page = self.by_page.get_or_init(|| {
            let mut numbers: Vec<usize> = (0..self.declared.len()).collect();
            numbers.sort_by_key(|&number| self.declared[number].page);
            numbers
        });
        let from = by_page.partition_point(|&number| self.declared[number].page < page);
        let of_page = by_page[from..].iter().map(|&number| &self.declared[number]);
        let found = of_page.take_while(|own| own.page == page).filter(|own| own.rule == rule).last();
        found.map(|own| &own.program)
    }
}

impl Programs for Known<'_> {
    fn program(&self, page: PageId, rule: &[u8]) -> Option<Arc<dyn Program>> {
        self.own(page, rule).cloned().or_else(|| self.core.function(self.branch, page, rule))
    }

    fn running(&self, page: Option<PageId>) {
        self.core.running.store(page.unwrap_or_default().0, Ordering::Relaxed);
    }
}

impl Sink for Body {
    fn wrote(&mut self, delta: &Delta<'_>) {
        self.add_delta(delta);
    }

    fn assigned(&mut self, page: PageId, column: u16, rows: (u64, u64), bytes: &[u8]) {
        self.add_rows(page, column, rows, bytes);
    }

    fn resized(&mut self, page: PageId, rows: u64) {
        self.add_resize(page, rows);
    }

    fn marked(&mut self, page: PageId, marks: u8) {
        self.add_marks(page, marks);
    }
}

/// Whether a commit on top of a root has anything to do with rules.
pub(crate) fn concerns(root: RootRef<'_>, changes: &[Change<'_>]) -> bool {
    root.rules() > 0 || changes.iter().any(|change| matches!(change, Change::Rule(..)))
}

/// Fails where a change writes cells or rows of a page that follows from others: its rule says what it holds.
pub(crate) fn check(draft: &Draft<'_>, change: &Change<'_>) -> Result<(), Error> {
    let page = match change {
        Change::Write(delta) => delta.page,
        // To have as many rows as it has is to say that this was decided.
        Change::Resize(page, rows) if draft.page(*page).is_some_and(|page| page.rows() != *rows) => *page,
        _ => return Ok(()),
    };
    match draft.page(page) {
        Some(page) if !page.def().rule().is_empty() => Err(Error::Follows(page.def().name().into())),
        _ => Ok(()),
    }
}

/// Makes all that follows from what was changed in the draft.
pub(crate) fn follow<'a>(
    core: &'a Core,
    flows: &mut Flows,
    sink: &mut Body,
    request: &Request<'_, '_>,
    draft: &mut Draft<'a>,
    base: RootRef<'a>,
) -> Result<(), Error> {
    let branch = request.line.id;
    let programs = &Known::new(core, branch, request.declared);
    if !request.declared.is_empty() {
        core.may_run();
    }
    let done = (|| {
        let flow = flows.at(branch, base)?;
        structure(flow, request.changes, draft)?;
        let pages = sink.pages().to_vec();
        flow.run(
            &pages,
            &mut Ground {
                draft,
                base,
                programs,
                sink,
                threads: &core.threads,
                lasts: true,
                settles: request.settles,
            },
        )
    })();
    done.map_err(|error| named(error, flows.way(branch), |page| name_of(core, draft, base, page)))
}

/// A commit is made: what was learned stays, functions that it declares are in effect, and what is put off is asked for.
pub(crate) fn keep(core: &Core, flows: &mut Flows, request: &Request<'_, '_>, root: RootRef<'_>) {
    let due = flows.keep(root);
    // What such an epoch leaves is what cannot be made. What a state had put off that is brought back is put off again.
    if due && request.settles.is_none() || request.restores && root.rules() > 0 {
        Background::settle(core, request.line.id);
    }
    if !request.declared.is_empty() {
        core.functions(|functions| functions.add(request.line.id, request.declared));
        Follower::start(core);
    }
}

/// Follows what changes say of rules, and of pages that go: those on top first, so that none has followers.
fn structure(flow: &mut Flow, changes: &[Change<'_>], draft: &Draft<'_>) -> Result<(), FlowError> {
    let mut gone = Vec::new();
    for change in changes {
        match change {
            Change::Rule(page, rule) => {
                if let Some(page) = draft.page(*page) {
                    flow.set_rule(page, rule)?;
                }
            }
            Change::Drop(page) => gone.push(*page),
            _ => {}
        }
    }
    gone.retain(|page| draft.page(*page).is_none());
    let network = flow.network();
    gone.sort_by_key(|page| std::cmp::Reverse(network.slot(*page).map(|slot| network.level(slot))));
    gone.into_iter().try_for_each(|page| flow.drop_page(page))?;
    flow.check_lazy(draft)
}

fn name_of(core: &Core, draft: &Draft<'_>, base: RootRef<'_>, page: PageId) -> String {
    let before = || base.page(page).map(|at| crate::page::version::PageRef::new(&core.arena, at));
    draft.page(page).or_else(before).map_or_else(|| page.to_string(), |page| page.def().name().into())
}

/// What the graph refuses, or a rule, with the names of pages; `way` are those by which the change came that it refuses.
pub(crate) fn named(error: FlowError, way: &[PageId], name: impl Fn(PageId) -> String) -> Error {
    match error {
        FlowError::Graph(GraphError::Cycle { path }) => Error::Cycle(path.into_iter().map(name).collect()),
        FlowError::Graph(GraphError::HasFollowers { page, follower }) => {
            Error::HasFollowers { page: name(page), follower: name(follower) }
        }
        FlowError::State(error) => Error::State(error),
        error => Error::Rule { error: Box::new(error), path: way.iter().map(|page| name(*page)).collect() },
    }
}

/// What follows from what was changed, on top of a base, in a draft that is never published.
pub(crate) struct Unpublished<'k, 'd, 'a> {
    programs: Known<'k>,
    changes: &'k [Change<'k>],
    draft: &'d mut Draft<'a>,
    base: RootRef<'a>,
}

impl<'k, 'd, 'a> Unpublished<'k, 'd, 'a> {
    pub fn new(
        core: &'k Core,
        branch: BranchId,
        (changes, declared): (&'k [Change<'k>], &'k [Declared]),
        draft: &'d mut Draft<'a>,
        base: Addr,
    ) -> Self {
        let base = RootRef::new(draft.arena(), base);
        Unpublished { programs: Known::new(core, branch, declared), changes, draft, base }
    }

    /// A flow in which all that follows from the changes is to be looked at.
    pub fn begin(&mut self) -> Result<Flow, Error> {
        let mut pages: Vec<PageId> = self.changes.iter().filter_map(crate::bus::body::page_of).collect();
        pages.sort_unstable();
        pages.dedup();
        let changes = self.changes;
        let mut flow = Flow::default();
        self.with(&mut flow, |flow, ground| {
            *flow = Flow::of(ground.base)?;
            structure(flow, changes, ground.draft)?;
            flow.begin(&pages, ground)
        })?;
        Ok(flow)
    }

    /// Looks at one page more.
    pub fn step(&mut self, flow: &mut Flow) -> Result<Option<Step>, Error> {
        self.with(flow, Flow::step)
    }

    /// Looks at all pages that are left.
    fn finish(&mut self, flow: &mut Flow) -> Result<(), Error> {
        self.with(flow, |flow, ground| flow.run(&[], ground))
    }

    fn with<T>(
        &mut self,
        flow: &mut Flow,
        work: impl FnOnce(&mut Flow, &mut Ground<'_, 'a>) -> Result<T, FlowError>,
    ) -> Result<T, Error> {
        let Unpublished { programs, draft, base, .. } = self;
        let (core, base) = (programs.core, *base);
        let sink = &mut crate::propagation::apply::Nobody;
        let (threads, lasts, settles) = (&core.threads, false, None);
        let done = work(flow, &mut Ground { draft, base, programs, sink, threads, lasts, settles });
        done.map_err(|error| named(error, flow.way(), |page| name_of(core, draft, base, page)))
    }
}

/// Makes all that follows from what was changed, on top of a base, in a draft that is never published.
pub(crate) fn follow_unpublished(
    core: &Core,
    branch: BranchId,
    asked: (&[Change<'_>], &[Declared]),
    draft: &mut Draft<'_>,
    base: Addr,
) -> Result<(), Error> {
    let mut unpublished = Unpublished::new(core, branch, asked, draft, base);
    let mut flow = unpublished.begin()?;
    unpublished.finish(&mut flow)
}
