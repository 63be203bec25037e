//! What follows from what is changed, in the same commit: the flows of all branches, and who may be told of their errors.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::base::ids::{BranchId, PageId};
use crate::base::spread::Spread;
use crate::bus::body::Body;
use crate::bus::commit::Change;
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::graph::error::GraphError;
use crate::memory::addr::Addr;
use crate::page::catalog::RootRef;
use crate::page::delta::Delta;
use crate::page::draft::Draft;
use crate::propagation::apply::Sink;
use crate::propagation::error::FlowError;
use crate::propagation::flow::Flow;
use crate::propagation::program::{Program, Programs};
use crate::propagation::run::Ground;

/// Users' functions, by the page that they make.
pub(crate) type Functions = HashMap<PageId, Arc<dyn Program>, Spread>;

/// A flow, and the root that it is true of.
#[derive(Debug)]
struct Kept {
    root: (Addr, u64),
    flow: Flow,
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
        if self.kept.get(&branch).is_none_or(|kept| kept.root != of(root)) {
            let flow = Flow::of(root)?;
            self.kept.insert(branch, Kept { root: of(root), flow });
        }
        self.running = Some(branch);
        match self.kept.get_mut(&branch) {
            Some(kept) => Ok(&mut kept.flow),
            None => Err(GraphError::Unreadable("it is not there".into()).into()),
        }
    }

    /// The commit is made.
    pub fn keep(&mut self, root: RootRef<'_>) {
        if let Some(branch) = self.running.take()
            && let Some(kept) = self.kept.get_mut(&branch)
        {
            kept.flow.keep(root.epoch());
            kept.root = of(root);
        }
    }

    /// The commit is not made.
    pub fn undo(&mut self) {
        let Some(branch) = self.running.take() else { return };
        if let Some(kept) = self.kept.get_mut(&branch) {
            kept.flow.undo();
            if kept.flow.is_unsure() {
                self.kept.remove(&branch);
            }
        }
    }

    /// Forgets a branch that goes.
    pub fn forget(&mut self, branch: BranchId) {
        self.kept.remove(&branch);
    }

    /// The flow of a branch as its newest commit left it, if there is one.
    pub fn of(&self, branch: BranchId) -> Option<&Flow> {
        self.kept.get(&branch).map(|kept| &kept.flow)
    }
}

impl Programs for Core {
    fn program(&self, page: PageId) -> Option<Arc<dyn Program>> {
        self.functions.read().unwrap_or_else(PoisonError::into_inner).get(&page).cloned()
    }

    fn running(&self, page: Option<PageId>) {
        self.running.store(page.unwrap_or_default().0, Ordering::Relaxed);
    }
}

impl Sink for Body {
    fn wrote(&mut self, delta: &Delta<'_>) {
        self.add_delta(delta);
    }

    fn resized(&mut self, page: PageId, rows: u64) {
        self.add_resize(page, rows);
    }

    fn marked(&mut self, page: PageId, marks: u8) {
        self.add_marks(page, marks);
    }
}

/// Functions that a transaction declared, and those that were there before: unless it succeeds, those are there again.
#[derive(Debug)]
pub(crate) struct Declared {
    core: Arc<Core>,
    before: Vec<(PageId, Option<Arc<dyn Program>>)>,
}

impl Declared {
    /// None yet.
    pub fn none(core: &Arc<Core>) -> Self {
        Declared { core: Arc::clone(core), before: Vec::new() }
    }

    /// Has this process make a page by a function from now on.
    pub fn declare(&mut self, page: PageId, program: Arc<dyn Program>) {
        let before = self.core.declare(page, Some(program));
        self.before.push((page, before));
    }

    /// The transaction succeeded.
    pub fn keep(mut self) {
        self.before.clear();
    }
}

impl Drop for Declared {
    fn drop(&mut self) {
        for (page, before) in self.before.drain(..).rev() {
            self.core.declare(page, before);
        }
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
    (branch, changes): (BranchId, &[Change<'_>]),
    draft: &mut Draft<'a>,
    base: RootRef<'a>,
) -> Result<(), Error> {
    let done = (|| {
        let flow = flows.at(branch, base)?;
        structure(flow, changes, draft)?;
        let pages = sink.pages().to_vec();
        flow.run(&pages, &mut Ground { draft, base, programs: core, sink, lasts: true })
    })();
    done.map_err(|error| named(error, |page| name_of(core, draft, base, page)))
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
    gone.into_iter().try_for_each(|page| flow.drop_page(page))
}

fn name_of(core: &Core, draft: &Draft<'_>, base: RootRef<'_>, page: PageId) -> String {
    let before = || base.page(page).map(|at| crate::page::version::PageRef::new(&core.arena, at));
    draft.page(page).or_else(before).map_or_else(|| page.to_string(), |page| page.def().name().into())
}

/// What the graph refuses, with the names of pages.
pub(crate) fn named(error: FlowError, name: impl Fn(PageId) -> String) -> Error {
    match error {
        FlowError::Graph(GraphError::Cycle { path }) => Error::Cycle(path.into_iter().map(name).collect()),
        FlowError::Graph(GraphError::HasFollowers { page, follower }) => {
            Error::HasFollowers { page: name(page), follower: name(follower) }
        }
        FlowError::State(error) => Error::State(error),
        error => Error::Rule(Box::new(error)),
    }
}

/// Makes all that follows from what was changed, on top of a base, in a draft that is never published.
pub(crate) fn follow_unpublished(
    core: &Core,
    changes: &[Change<'_>],
    draft: &mut Draft<'_>,
    base: Addr,
) -> Result<(), Error> {
    let base = RootRef::new(draft.arena(), base);
    let mut pages: Vec<PageId> = changes.iter().filter_map(crate::bus::body::page_of).collect();
    pages.sort_unstable();
    pages.dedup();
    let done = (|| {
        let mut flow = Flow::of(base)?;
        structure(&mut flow, changes, draft)?;
        let sink = &mut crate::propagation::apply::Nobody;
        flow.run(&pages, &mut Ground { draft, base, programs: core, sink, lasts: false })
    })();
    done.map_err(|error| named(error, |page| name_of(core, draft, base, page)))
}
