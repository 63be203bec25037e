//! What follows from what on one branch, as far as this process needs it to propagate: the graph, the rules, and what
//! their kernels remember. All of it is made from the definitions of the branch's pages, at any time, anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::ids::{Epoch, PageId};
use crate::graph::edge::EdgeKind;
use crate::graph::error::GraphError;
use crate::graph::network::{Network, Slot};
use crate::memory::arena::Arena;
use crate::page::catalog::RootRef;
use crate::page::draft::Draft;
use crate::page::version::PageRef;
use crate::propagation::changes::Changes;
use crate::propagation::counters::Counters;
use crate::propagation::error::{FlowError, RuleError};
use crate::propagation::kernel::Kernel;
use crate::propagation::place::{Place, Table};
use crate::propagation::program::Program;
use crate::propagation::program::Programs;
use crate::propagation::queue::Queue;
use crate::propagation::rule::{Rule, When};
use crate::propagation::run::{BEHIND, Settles};
use crate::propagation::task::Scratch;
use crate::propagation::trace::{Step, Traces};

/// What is known of a node beyond the graph.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// What its page is made by; none where it follows from nothing.
    pub rule: Option<Box<Rule>>,
    /// When its rule says that its page is made.
    pub when: When,
    /// What makes it, once it was made.
    pub kernel: Option<Box<dyn Kernel>>,
    /// The user's function that makes it, once it was asked for.
    pub program: Option<Arc<dyn Program>>,
    /// Whether that has seen the inputs as they are now, before the changes that are being propagated.
    pub primed: bool,
    /// Whether its page is behind.
    pub behind: bool,
    /// How long it took the last time, in nanoseconds.
    pub ns: u32,
}

impl Node {
    /// One that nothing was made of yet.
    pub(super) fn of(rule: Option<Rule>) -> Self {
        let when = rule.as_ref().map_or_else(When::default, |rule| rule.when);
        Node { rule: rule.map(Box::new), when, ..Self::default() }
    }

    /// Whether its page is made when somebody reads it.
    pub(super) fn is_lazy(&self) -> bool {
        self.when == When::Lazy
    }
}

/// What follows from what on one branch.
#[derive(Debug, Default)]
pub struct Flow {
    pub(super) network: Network,
    pub(super) nodes: Vec<Node>,
    /// By node, where its page is.
    pub(super) places: Vec<Place>,
    pub(super) queue: Queue,
    pub(super) changes: Changes,
    pub(super) scratch: Option<Box<Scratch>>,
    /// Memory for what several nodes make at the same time.
    pub(super) spare: Vec<Scratch>,
    /// The nodes of the level that is being run, and why; how many were looked at; which level it is.
    pub(super) level: Vec<(Slot, u8)>,
    pub(super) looked: usize,
    pub(super) at: u32,
    /// Nodes that have something to forget or keep when the run is over.
    pub(super) touched: Vec<Slot>,
    /// Pages whose rule is new since the last run.
    pub(super) fresh: Vec<PageId>,
    pub(super) steps: Vec<Step>,
    /// By which pages a change came to the one that could not be made.
    pub(super) way: Vec<PageId>,
    /// How often pages were looked at, in commits that are not made, too.
    pub counters: Counters,
    /// Pages that are behind and to be made in an epoch of their own.
    pub(super) late: BTreeSet<PageId>,
    /// Pages that are behind though every commit makes them: it was one of a process that has not their functions.
    left: BTreeSet<PageId>,
    /// Whether the structure has changes that are in no commit.
    unsure: bool,
    /// Whether a page of it was ever made when somebody reads it.
    pub(super) has_lazy: bool,
}

impl Flow {
    /// What follows from what in a state.
    ///
    /// # Errors
    /// Where a rule cannot be read, or some page follows from itself.
    pub fn of(root: RootRef<'_>) -> Result<Self, FlowError> {
        let mut flow = Self::default();
        if root.rules() == 0 {
            return Ok(flow);
        }
        let mut rules = Vec::new();
        for at in root.pages() {
            let page = PageRef::new(root.arena, at);
            let bytes = page.def().rule();
            if !bytes.is_empty() {
                let rule = Rule::decode(bytes).map_err(|source| FlowError::of(page, source))?;
                let behind = page.marks() & BEHIND != 0;
                match rule.when {
                    When::Deferred if behind => drop(flow.late.insert(page.id())),
                    When::Eager if behind => drop(flow.left.insert(page.id())),
                    _ => {}
                }
                rules.push((page.id(), rule, behind));
            }
        }
        let edges = rules.iter().map(|(page, rule, _)| (*page, rule.edges.clone()));
        flow.network = Network::of(edges).map_err(|path| GraphError::Cycle { path })?;
        flow.fit();
        for (page, rule, behind) in rules {
            flow.has_lazy |= rule.when == When::Lazy;
            if let Some(slot) = flow.network.slot(page) {
                let node = &mut flow.nodes[slot as usize];
                *node = Node { behind, ..Node::of(Some(rule)) };
            }
        }
        Ok(flow)
    }

    /// The graph.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// By which pages a change came to the one that a run could not make, from the one that was written to that; empty where
    /// a run failed otherwise.
    #[must_use]
    pub fn way(&self) -> &[PageId] {
        &self.way
    }

    /// Whether it has changes that are in no commit: it must be made anew where that commit is not made.
    #[must_use]
    pub const fn is_unsure(&self) -> bool {
        self.unsure
    }

    /// Has a page follow from others, by a rule as its definition holds it; from nothing where that is empty.
    ///
    /// # Errors
    /// A cycle, or bytes that are no rule.
    pub fn set_rule(&mut self, page: PageRef<'_>, bytes: &[u8]) -> Result<(), FlowError> {
        let id = page.id();
        let rule = if bytes.is_empty() {
            None
        } else {
            Some(Rule::decode(bytes).map_err(|source| FlowError::of(page, source))?)
        };
        let edges = rule.as_ref().map_or(&[][..], |rule| &rule.edges);
        let before = self.network.slot(id);
        let unknown: Vec<PageId> =
            edges.iter().map(|edge| edge.page).filter(|page| self.network.slot(*page).is_none()).collect();
        self.network.set(id, edges)?;
        self.unsure = true;
        self.late.remove(&id);
        self.left.remove(&id);
        self.fit();
        // Nobody followed where pages went that were not known: one may even have the node back that it had.
        for slot in unknown.iter().filter_map(|page| self.network.slot(*page)) {
            self.places[slot as usize] = Place::default();
        }
        // Another page may have the node next.
        if let Some(slot) = before {
            self.nodes[slot as usize] = Node::default();
            self.places[slot as usize] = Place::default();
        }
        if let Some(slot) = self.network.slot(id) {
            self.places[slot as usize] = Place::default();
            let node = Node::of(rule);
            self.has_lazy |= node.is_lazy();
            self.nodes[slot as usize] = node;
            self.fresh.push(id);
        }
        Ok(())
    }

    /// Fails where a page with a new rule that commits make would follow from one that is made when somebody reads it.
    ///
    /// # Errors
    /// Which one.
    pub fn check_lazy(&self, draft: &Draft<'_>) -> Result<(), FlowError> {
        self.fresh.iter().filter_map(|page| draft.page(*page)).try_for_each(|page| self.check_one(page))
    }

    fn check_one(&self, page: PageRef<'_>) -> Result<(), FlowError> {
        let Some(slot) = self.network.slot(page.id()) else { return Ok(()) };
        let Some(rule) = &self.nodes[slot as usize].rule else { return Ok(()) };
        let is = |lazy: bool, (slot, kind): (Slot, EdgeKind)| {
            let node = self.nodes.get(slot as usize);
            let has = node.is_some_and(|node| node.rule.is_some());
            kind == EdgeKind::Data && has && node.is_some_and(Node::is_lazy) == lazy
        };
        let other = if rule.when == When::Lazy {
            self.network
                .followers(slot)
                .find(|&edge| is(false, edge))
                .map(|(other, _)| (other, "follows from it"))
        } else {
            self.network.inputs(slot).find(|&edge| is(true, edge)).map(|(other, _)| (other, "is lazy"))
        };
        let Some((other, how)) = other else { return Ok(()) };
        let what = format!(
            "{} {how}, and commits make only what follows from what they make",
            self.network.page(other)
        );
        Err(FlowError::of(page, RuleError::Unfit { rule: "a lazy page", what }))
    }

    /// Takes a page out.
    ///
    /// # Errors
    /// Where others follow from it.
    pub fn drop_page(&mut self, page: PageId) -> Result<(), FlowError> {
        let Some(slot) = self.network.slot(page) else { return Ok(()) };
        self.network.remove(page)?;
        self.unsure = true;
        self.late.remove(&page);
        self.left.remove(&page);
        self.nodes[slot as usize] = Node::default();
        self.places[slot as usize] = Place::default();
        Ok(())
    }

    /// Whether pages that are made in an epoch of their own are behind.
    #[must_use]
    pub fn has_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// The pages that an epoch of its own begins with.
    pub(super) fn to_settle(&self, settles: Settles<'_>) -> impl Iterator<Item = PageId> {
        let left = settles.left.then_some(&self.left);
        let all = self.late.iter().chain(left.into_iter().flatten());
        all.copied().filter(move |page| !settles.but.contains(page))
    }

    /// Whether an epoch of their own would make pages that are behind.
    #[must_use]
    pub fn is_due(&self, root: RootRef<'_>, programs: &dyn Programs, settles: Settles<'_>) -> bool {
        let page_of = |id| root.page(id).map(|at| PageRef::new(root.arena, at));
        let behind = |page: PageId| page_of(page).is_some_and(|page| page.marks() & BEHIND != 0);
        self.to_settle(settles).any(|id| {
            let Some(slot) = self.network.slot(id) else { return false };
            let known = || page_of(id).is_some_and(|page| programs.program(id, page.def().rule()).is_some());
            let node = &self.nodes[slot as usize];
            let inputs = self.network.inputs(slot).filter(|(_, kind)| *kind == EdgeKind::Data);
            let waits = inputs.map(|(input, _)| self.network.page(input)).any(behind);
            !waits && (node.rule.as_ref().is_some_and(|rule| rule.spec().is_some()) || known())
        })
    }

    /// The commit that was propagated last is made: what was learned is kept, and what ran is noted. Whether pages are to
    /// be made in an epoch of their own for its sake.
    pub fn keep(&mut self, epoch: Epoch, traces: &mut Traces) -> bool {
        let mut due = false;
        for slot in self.touched.drain(..) {
            let node = &mut self.nodes[slot as usize];
            let page = self.network.page(slot);
            let behind = match node.when {
                When::Deferred => &mut self.late,
                When::Eager => &mut self.left,
                When::Lazy => &mut BTreeSet::new(),
            };
            if node.behind {
                behind.insert(page)
            } else {
                behind.remove(&page)
            };
            due |= node.behind && node.when == When::Deferred;
            self.places[slot as usize].settle();
            if let Some(kernel) = &mut node.kernel {
                kernel.keep();
            }
        }
        traces.push(epoch, &self.steps);
        self.clear();
        self.unsure = false;
        due
    }

    /// That commit is not made: what was learned is forgotten. Where [`Flow::is_unsure`] says so, all of it must be.
    pub fn undo(&mut self) {
        for slot in self.touched.drain(..) {
            let node = &mut self.nodes[slot as usize];
            self.places[slot as usize] = Place::default();
            if let Some(kernel) = &mut node.kernel {
                kernel.undo();
            }
            // What it was before is not known: a kernel that was new, or one that has to see all inputs anew.
            node.primed = false;
        }
        self.clear();
    }

    /// What its nodes find when they are looked at.
    pub(super) fn table<'f>(&'f self, arena: &'f Arena) -> Table<'f> {
        Table { arena, network: &self.network, places: &self.places, changes: &self.changes }
    }

    fn clear(&mut self) {
        self.steps.clear();
        self.way.clear();
        self.changes.clear();
        self.fresh.clear();
        self.queue.clear();
    }

    fn fit(&mut self) {
        let slots = self.network.slots();
        if self.nodes.len() < slots {
            self.nodes.resize_with(slots, Node::default);
            self.places.resize_with(slots, Place::default);
        }
        self.queue.fit(slots);
    }
}
