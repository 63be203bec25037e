//! The bus against plain byte vectors: every operation on several branches, every past state, every view that is held.
//!
//! `PROPTEST_CASES` sets how many random histories are tried, `MMSB_OPS` how long they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model;
use crate::model::merge::Touched;
use crate::model::world::{Branch, Known, World, open};
use crate::model::{Chance, Page, Pages, setting};
use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::diff::Fate;
use mmsb::bus::error::Code;
use mmsb::bus::past::history::Filter;
use mmsb::bus::transaction::Isolation;
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
enum Op {
    Create,
    Drop,
    Resize,
    Write,
    Several,
    Conflict,
    Branch,
    BranchAt,
    DropBranch,
    Switch,
    Merge,
    Cross,
    Revert,
    HoldState,
    HoldView,
    Release,
    At,
    Diff,
    Refused,
    Checkpoint,
    Compact,
    Reopen,
}

fn ops(most: usize) -> impl Strategy<Value = Vec<(Op, u64)>> {
    let op = prop_oneof![
        4 => Just(Op::Create),
        1 => Just(Op::Drop),
        3 => Just(Op::Resize),
        10 => Just(Op::Write),
        4 => Just(Op::Several),
        3 => Just(Op::Conflict),
        2 => Just(Op::Branch),
        2 => Just(Op::BranchAt),
        1 => Just(Op::DropBranch),
        5 => Just(Op::Switch),
        4 => Just(Op::Merge),
        2 => Just(Op::Cross),
        2 => Just(Op::Revert),
        2 => Just(Op::HoldState),
        3 => Just(Op::HoldView),
        1 => Just(Op::Release),
        2 => Just(Op::At),
        2 => Just(Op::Diff),
        1 => Just(Op::Refused),
        1 => Just(Op::Checkpoint),
        2 => Just(Op::Compact),
        2 => Just(Op::Reopen),
    ];
    prop::collection::vec((op, any::<u64>()), 1..most)
}

/// Mostly branches that merge each other as they were before.
fn crossing(most: usize) -> impl Strategy<Value = Vec<(Op, u64)>> {
    let op = prop_oneof![
        3 => Just(Op::Create),
        1 => Just(Op::Several),
        2 => Just(Op::Branch),
        1 => Just(Op::DropBranch),
        2 => Just(Op::Switch),
        4 => Just(Op::Cross),
        1 => Just(Op::Merge),
        1 => Just(Op::Checkpoint),
    ];
    prop::collection::vec((op, any::<u64>()), 1..most)
}

impl World {
    /// Two transactions at once: the second fails exactly where it wrote a cell that the first wrote, or read.
    fn conflict(&mut self) {
        let mut pages = self.pages();
        let Some(id) = self.pick(&pages) else { return };
        let page = pages[&id].clone();
        let Some(first) = model::delta(id, &page, &mut self.chance) else { return };
        let Some(second) = model::delta(id, &page, &mut self.chance) else { return };
        let serializable = self.chance.one_in(2);
        let isolation = if serializable { Isolation::Serializable } else { Isolation::Snapshot };
        let mut tx = self.bus().begin(isolation, self.note()).unwrap();
        tx.write(second.clone()).unwrap();
        let mut read = Vec::new();
        if self.chance.one_in(2) {
            let column = self.chance.below(page.columns.len() as u64) as u16;
            let about = page.schema.column(column).unwrap();
            let select = model::select(about, page.rows, &mut self.chance);
            read.extend(model::cells(&select, about).into_iter().map(|cell| (column, cell)));
            tx.read(id, usize::from(column), &select, &mut vec![0; read.len() * about.cell_bytes() as usize])
                .unwrap();
        }
        self.bus().write(first.clone(), &self.note()).unwrap();
        Arc::make_mut(pages.get_mut(&id).unwrap()).write(&first);
        self.touching.push(Touched::by(&first, &page));
        self.committed(pages.clone(), self.knows());
        let written = |delta: &mmsb::page::delta::Delta<'_>| -> std::collections::BTreeSet<(u16, u64)> {
            let cells = |part: &mmsb::page::delta::Part<'_>| {
                let cells = model::cells(&part.select, page.schema.column(part.column).unwrap());
                cells.into_iter().map(|cell| (part.column, cell)).collect::<Vec<_>>()
            };
            delta.parts.iter().flat_map(cells).collect()
        };
        let own = |op| page.schema.operator() == Some(op);
        let theirs = written(&first);
        let both_merge = own(first.op) && own(second.op);
        let both_wrote = !both_merge && !written(&second).is_disjoint(&theirs);
        let clash = both_wrote || serializable && read.iter().any(|cell| theirs.contains(cell));
        if clash {
            assert_eq!(tx.commit().unwrap_err().code(), Code::Conflict);
            return self.unchanged();
        }
        tx.commit().unwrap().unwrap();
        Arc::make_mut(pages.get_mut(&id).unwrap()).write(&second);
        self.touching.push(Touched::by(&second, &page));
        self.committed(pages, self.knows());
    }

    fn branch(&mut self, at: Option<u64>) {
        if self.living().len() > 3 {
            return;
        }
        let name = format!("b{}", self.branches.len() % 6);
        let forked = self.bus().branch(&name, at.map(Epoch));
        if self.living().iter().any(|&i| self.branches[i].name == name) {
            assert_eq!(forked.unwrap_err().code(), Code::BranchExists);
            return;
        }
        let (bus, parent) = (forked.unwrap(), &self.branches[self.at]);
        let first = at.unwrap_or(parent.head().0);
        let mut history: BTreeMap<u64, Known> =
            parent.history.range(..=first).map(|(&e, k)| (e, k.clone())).collect();
        for (&epoch, known) in &mut history {
            known.knows.insert(self.at, epoch);
        }
        self.at = self.branches.len();
        self.branches.push(Branch { bus, name, first, history, dropped: false });
        model::check(&self.bus().state().unwrap(), &self.pages(), &mut self.chance);
        self.unchanged();
    }

    fn drop_branch(&mut self) {
        if self.at == 0 {
            return assert_eq!(self.bus().drop_branch().unwrap_err().code(), Code::InvalidArgument);
        }
        self.bus().drop_branch().unwrap();
        assert_eq!(self.bus().state().unwrap_err().code(), Code::BranchNotFound);
        self.branches[self.at].dropped = true;
        self.at = 0;
    }

    fn merge(&mut self) {
        let living = self.living();
        let other = living[self.chance.below(living.len() as u64) as usize];
        self.merge_with(other);
    }

    /// Mostly a write.
    fn change(&mut self) {
        match self.chance.below(12) {
            0 => self.create(),
            1 => self.drop_page(),
            2 => self.resize(),
            _ => self.write(),
        }
    }

    /// Two branches write and merge each other as they were before.
    fn cross(&mut self) {
        let living = self.living();
        let (mine, other) = (self.at, living[self.chance.below(living.len() as u64) as usize]);
        for at in [other, mine] {
            self.at = at;
            self.change();
        }
        let before = self.branches.len();
        self.branch(None);
        let old = self.at;
        self.at = mine;
        if other == mine || self.branches.len() == before {
            return;
        }
        for (at, from) in [(mine, other), (other, old)] {
            self.at = at;
            self.merge_with(from);
        }
        for at in [mine, other] {
            self.at = at;
            self.change();
        }
        self.at = old;
        self.drop_branch();
        self.at = mine;
        self.merge_with(other);
    }

    fn revert(&mut self) {
        let to = self.pick_epoch();
        let pages = self.branches[self.at].history[&to].pages.clone();
        let same = pages == self.pages();
        let made = self.bus().revert(Epoch(to), &self.note()).unwrap();
        assert_eq!(made.is_none(), same);
        if !same {
            self.touching = reverted(&self.pages(), &pages);
            self.committed(pages, self.knows());
            let branch = &self.branches[self.at];
            assert_eq!(branch.head().1.digest, branch.history[&to].digest, "equal contents, equal digests");
        }
    }

    fn hold_view(&mut self) {
        let pages = self.pages();
        let Some(id) = self.pick(&pages) else { return };
        let column = self.chance.below(pages[&id].columns.len() as u64) as usize;
        let state = self.bus().state().unwrap();
        let reuse = if self.views.is_empty() || self.chance.one_in(2) { None } else { self.views.pop() };
        let view = state.view(id, column, reuse.map(|(view, _)| view)).unwrap();
        assert!(view.bytes() == pages[&id].columns[column]);
        self.views.push((view, pages[&id].columns[column].clone()));
    }

    fn at(&mut self, epoch: u64) {
        let state = self.bus().at(Epoch(epoch)).unwrap();
        let known = self.branches[self.at].history[&epoch].clone();
        assert_eq!(state.epoch().0, epoch);
        if self.chance.one_in(2) {
            assert_eq!(state.digest().unwrap(), known.digest, "epoch {epoch}");
        }
        model::check(&state, &known.pages, &mut self.chance);
        assert_eq!(state.digest().unwrap(), known.digest, "epoch {epoch}");
        if self.chance.one_in(2) {
            self.states.push((state, known.pages, known.digest));
        }
    }

    fn diff(&mut self) {
        let (from, to) = (self.pick_epoch(), self.pick_epoch());
        let bus = self.bus();
        let found = bus.diff(&bus.at(Epoch(from)).unwrap(), &bus.at(Epoch(to)).unwrap()).unwrap();
        let history = &self.branches[self.at].history;
        let (before, after) = (&history[&from].pages, &history[&to].pages);
        let ids: std::collections::BTreeSet<PageId> = before.keys().chain(after.keys()).copied().collect();
        let changed: Vec<PageId> = ids.into_iter().filter(|id| before.get(id) != after.get(id)).collect();
        assert_eq!(found.iter().map(|page| page.page).collect::<Vec<_>>(), changed);
        for page in found {
            match (before.get(&page.page), after.get(&page.page)) {
                (Some(a), Some(b)) => same_runs(a, b, &page),
                (None, Some(b)) => assert_eq!((page.fate, page.rows), (Fate::Created, (0, b.rows))),
                (Some(a), None) => assert_eq!((page.fate, page.rows), (Fate::Dropped, (a.rows, 0))),
                (None, None) => unreachable!(),
            }
        }
    }

    /// What must be refused, and change nothing.
    fn refused(&mut self) {
        let bus = self.bus();
        let epoch = self.branches[self.at].head().0;
        assert_eq!(bus.at(Epoch(epoch + 1)).unwrap_err().code(), Code::EpochNotFound);
        assert_eq!(bus.drop_page(PageId(u64::MAX), &self.note()).unwrap_err().code(), Code::PageNotFound);
        assert_eq!(bus.checkout("nobody").unwrap_err().code(), Code::BranchNotFound);
        assert_eq!(bus.branch("later", Some(Epoch(epoch + 1))).unwrap_err().code(), Code::EpochNotFound);
        self.unchanged();
    }

    fn reopen(&mut self) {
        self.held();
        self.states.clear();
        self.views.clear();
        let mut old = std::mem::take(&mut self.branches);
        let names: Vec<(String, bool)> =
            old.iter().map(|branch| (branch.name.clone(), branch.dropped)).collect();
        let histories: Vec<_> = old.drain(..).map(|branch| (branch.first, branch.history)).collect();
        let main = open(&self.sim);
        for ((name, dropped), (first, history)) in names.into_iter().zip(histories) {
            let bus = if dropped { main.clone() } else { main.checkout(&name).unwrap() };
            self.branches.push(Branch { bus, name, first, history, dropped });
        }
        if self.chance.one_in(2) {
            // What comes next finds the cells of the checkpoint on disk still.
            return;
        }
        let was = self.at;
        for at in self.living() {
            self.at = at;
            self.unchanged();
            model::check(&self.bus().state().unwrap(), &self.pages(), &mut self.chance);
        }
        self.at = was;
    }

    fn apply(&mut self, op: Op, seed: u64) {
        self.chance = Chance(seed);
        match op {
            Op::Create => self.create(),
            Op::Drop => self.drop_page(),
            Op::Resize => self.resize(),
            Op::Write => self.write(),
            Op::Several => self.several(),
            Op::Conflict => self.conflict(),
            Op::Branch => self.branch(None),
            Op::BranchAt => {
                let epoch = self.pick_epoch();
                self.branch(Some(epoch));
            }
            Op::DropBranch => self.drop_branch(),
            Op::Switch => {
                let living = self.living();
                self.at = living[self.chance.below(living.len() as u64) as usize];
            }
            Op::Merge => self.merge(),
            Op::Cross => self.cross(),
            Op::Revert => self.revert(),
            Op::HoldState => {
                let known = self.branches[self.at].head().1.clone();
                self.states.push((self.bus().state().unwrap(), known.pages, known.digest));
            }
            Op::HoldView => self.hold_view(),
            Op::Release => {
                self.states.truncate(self.states.len() / 2);
                self.views.truncate(self.views.len() / 2);
            }
            Op::At => {
                let epoch = self.pick_epoch();
                self.at(epoch);
            }
            Op::Diff => self.diff(),
            Op::Refused => self.refused(),
            Op::Checkpoint => {
                self.bus().checkpoint(&mut |_| {}).unwrap();
                self.unchanged();
                if self.chance.one_in(2) {
                    self.reopen();
                }
            }
            Op::Compact => {
                let pages = self.pages();
                if let Some(id) = self.pick(&pages) {
                    self.bus().compact(id).unwrap();
                    self.unchanged();
                }
            }
            Op::Reopen => self.reopen(),
        }
        self.bus().audit().unwrap();
    }

    /// Everything that was ever known is still so.
    fn finish(&mut self) {
        self.held();
        std::thread::scope(|scope| {
            // Views outlive everything and may end on any thread.
            for (view, bytes) in self.views.drain(..) {
                scope.spawn(move || assert!(view.bytes() == bytes));
            }
        });
        for at in self.living() {
            self.at = at;
            let (epochs, first) = (self.branches[at].head().0, self.branches[at].first);
            for epoch in 0..=epochs {
                self.at(epoch);
            }
            let mut logged = Vec::new();
            self.bus()
                .log(&Filter::default(), |commit| {
                    logged.push(commit.epoch.0);
                    assert!(commit.source.is_some());
                    true
                })
                .unwrap();
            assert_eq!(logged, (1..=epochs).collect::<Vec<_>>());
            assert!(first <= epochs);
        }
        let all: Vec<&Known> = self.branches.iter().flat_map(|branch| branch.history.values()).collect();
        for (i, a) in all.iter().enumerate() {
            for b in &all[..i] {
                assert_eq!(
                    a.pages == b.pages,
                    a.digest == b.digest,
                    "equal contents and only those, equal digests"
                );
            }
        }
    }
}

/// What bringing a state back touches.
fn reverted(now: &Pages, then: &Pages) -> Vec<Touched> {
    let mut touched: Vec<Touched> =
        now.keys().filter(|id| !then.contains_key(id)).map(|&id| Touched::all(id)).collect();
    for (&id, b) in then {
        let Some(a) = now.get(&id).filter(|a| a.rows == b.rows) else {
            touched.push(Touched::all(id));
            continue;
        };
        let mut cells = std::collections::BTreeSet::new();
        for (i, column) in a.schema.columns().iter().enumerate() {
            let size = column.cell_bytes() as usize;
            let pairs = a.columns[i].chunks(size).zip(b.columns[i].chunks(size)).enumerate();
            cells.extend(pairs.filter(|(_, (a, b))| a != b).map(|(cell, _)| (i as u16, cell as u64)));
        }
        touched.push(Touched::cells(id, cells));
    }
    touched
}

/// Compares what a diff says of a page that both states have with a comparison of every cell.
fn same_runs(a: &Page, b: &Page, found: &mmsb::bus::diff::PageDiff) {
    assert_eq!((found.fate, found.rows), (Fate::Changed, (a.rows, b.rows)));
    for (i, column) in a.schema.columns().iter().enumerate() {
        let size = column.cell_bytes() as usize;
        let n = a.columns[i].len().max(b.columns[i].len()) / size;
        // Rows that are not there count as zeros.
        let zeros = vec![0; size];
        let cell_of = |page: &Page, cell: usize| {
            page.columns[i].get(cell * size..(cell + 1) * size).unwrap_or(&zeros).to_vec()
        };
        let differs = |cell: &usize| cell_of(a, *cell) != cell_of(b, *cell);
        let cells: Vec<u64> = (0..n).filter(differs).map(|cell| cell as u64).collect();
        let runs = found.columns.iter().filter(|c| usize::from(c.column) == i).flat_map(|c| &c.runs);
        assert_eq!(runs.flat_map(|&(first, n)| first..first + n).collect::<Vec<_>>(), cells, "column {i}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: setting("PROPTEST_CASES", 48), max_shrink_iters: 3000, failure_persistence: None, ..ProptestConfig::default()
    })]
    #[test]
    fn the_bus_is_its_model(ops in ops(setting("MMSB_OPS", 70) as usize)) {
        let mut world = World::new();
        for (op, seed) in ops {
            world.apply(op, seed);
        }
        world.finish();
    }

    #[test]
    fn crossed_merges_are_its_models(ops in crossing(setting("MMSB_OPS", 30) as usize)) {
        let mut world = World::new();
        for (op, seed) in ops {
            world.apply(op, seed);
        }
        world.finish();
    }
}
