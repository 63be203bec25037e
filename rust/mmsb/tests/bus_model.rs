//! The bus against plain byte vectors: every operation on several branches, every past state, every view that is held.
//!
//! `MMSB_CASES` sets how many random histories are tried, `MMSB_OPS` how long they are.
#![allow(clippy::unwrap_used)]

mod model;

use std::collections::BTreeMap;
use std::sync::Arc;

use mmsb::base::clock::ManualClock;
use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::diff::Fate;
use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::history::Filter;
use mmsb::bus::merge::OnConflict;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::state::State;
use mmsb::bus::transaction::{Isolation, Transaction};
use mmsb::bus::view::View;
use mmsb::memory::disk::Sim;
use mmsb::page::digest::Digest;
use mmsb::page::log::LogConfig;
use model::{Chance, Page, Pages};
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
    Revert,
    HoldState,
    HoldView,
    Release,
    At,
    Diff,
    Refused,
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
        2 => Just(Op::Revert),
        2 => Just(Op::HoldState),
        3 => Just(Op::HoldView),
        1 => Just(Op::Release),
        2 => Just(Op::At),
        2 => Just(Op::Diff),
        1 => Just(Op::Refused),
        1 => Just(Op::Reopen),
    ];
    prop::collection::vec((op, any::<u64>()), 1..most)
}

/// A state as it must be for ever.
#[derive(Debug, Clone)]
struct Known {
    pages: Pages,
    digest: Digest,
    /// The number of its frame: what is known before what.
    seq: u64,
    /// The epochs of other branches, by their place in the list, that lead to it.
    knows: BTreeMap<usize, u64>,
}

#[derive(Debug)]
struct Branch {
    bus: Bus,
    name: String,
    first: u64,
    history: BTreeMap<u64, Known>,
    dropped: bool,
}

impl Branch {
    fn head(&self) -> (u64, &Known) {
        let (epoch, known) = self.history.last_key_value().unwrap();
        (*epoch, known)
    }
}

struct World {
    sim: Sim,
    branches: Vec<Branch>,
    at: usize,
    states: Vec<(State, Pages, Digest)>,
    views: Vec<(View, Vec<u8>)>,
    names: u64,
    chance: Chance,
}

fn open(sim: &Sim) -> Bus {
    let log = LogConfig { first_segment: 1 << 16, max_segment: 1 << 18, background: false };
    let options = Options { log, ..Options::default() };
    Bus::on_disk(Arc::new(sim.clone()), &options, Arc::new(ManualClock::new(1))).unwrap()
}

impl World {
    fn new() -> Self {
        let sim = Sim::new(1);
        let bus = open(&sim);
        let digest = bus.state().unwrap().digest().unwrap();
        let known = Known { pages: Pages::new(), digest, seq: 0, knows: BTreeMap::new() };
        let history = BTreeMap::from([(0, known)]);
        let branches = vec![Branch { bus, name: "main".into(), first: 0, history, dropped: false }];
        let chance = Chance(0);
        World { sim, branches, at: 0, states: Vec::new(), views: Vec::new(), names: 0, chance }
    }

    fn bus(&self) -> &Bus {
        &self.branches[self.at].bus
    }

    fn pages(&self) -> Pages {
        self.branches[self.at].head().1.pages.clone()
    }

    fn living(&self) -> Vec<usize> {
        (0..self.branches.len()).filter(|&i| !self.branches[i].dropped).collect()
    }

    fn pick(&mut self, pages: &Pages) -> Option<PageId> {
        let n = self.chance.below(pages.len() as u64) as usize;
        pages.keys().nth(n).copied()
    }

    fn pick_epoch(&mut self) -> u64 {
        self.chance.below(self.branches[self.at].head().0 + 1)
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("name {}", self.names % 7)
    }

    /// Notes what a commit made of the branch, and checks it.
    fn committed(&mut self, pages: Pages, knows: BTreeMap<usize, u64>) {
        let state = self.bus().state().unwrap();
        let branch = &self.branches[self.at];
        assert_eq!(state.epoch().0, branch.head().0 + 1, "one epoch a commit");
        model::check(&state, &pages, &mut self.chance);
        let (digest, seq) = (state.digest().unwrap(), self.bus().newest().0);
        let known = Known { pages, digest, seq, knows };
        self.branches[self.at].history.insert(state.epoch().0, known);
    }

    fn knows(&self) -> BTreeMap<usize, u64> {
        self.branches[self.at].head().1.knows.clone()
    }

    fn unchanged(&self) {
        let (epoch, known) = self.branches[self.at].head();
        let state = self.bus().state().unwrap();
        assert_eq!((state.epoch().0, state.digest().unwrap()), (epoch, known.digest), "nothing happened");
    }

    fn note(&self) -> Note {
        Note { source: Some(format!("s{}", self.names % 3)), ..Note::default() }
    }

    fn create(&mut self) {
        let mut pages = self.pages();
        if pages.len() > 5 {
            return;
        }
        let (name, n) = (self.name(), self.chance.next());
        let schema = model::schema(n);
        let rows = model::rows(&schema, &mut self.chance);
        let made = self.bus().create_page(&name, schema.clone(), rows, &self.note());
        if pages.values().any(|page| page.name == name) {
            assert_eq!(made.unwrap_err().code(), Code::NameTaken);
            return self.unchanged();
        }
        pages.insert(made.unwrap(), Arc::new(Page::new(&name, schema, rows)));
        self.committed(pages, self.knows());
    }

    fn drop_page(&mut self) {
        let mut pages = self.pages();
        let Some(id) = self.pick(&pages) else { return };
        self.bus().drop_page(id, &self.note()).unwrap();
        pages.remove(&id);
        self.committed(pages, self.knows());
    }

    fn resize(&mut self) {
        let mut pages = self.pages();
        let Some(id) = self.pick(&pages) else { return };
        let rows = model::rows(&pages[&id].schema, &mut self.chance);
        self.bus().resize(id, rows, &self.note()).unwrap();
        Arc::make_mut(pages.get_mut(&id).unwrap()).resize(rows);
        self.committed(pages, self.knows());
    }

    fn write(&mut self) {
        let mut pages = self.pages();
        let Some(id) = self.pick(&pages) else { return };
        let Some(delta) = model::delta(id, &pages[&id], &mut self.chance) else { return };
        Arc::make_mut(pages.get_mut(&id).unwrap()).write(&delta);
        self.bus().write(delta, &self.note()).unwrap();
        self.committed(pages, self.knows());
    }

    /// A transaction of several changes, committed or forgotten.
    fn several(&mut self) {
        let mut pages = self.pages();
        let mut tx = self.bus().begin(Isolation::Snapshot, self.note()).unwrap();
        for _ in 0..1 + self.chance.below(6) {
            self.one_of_several(&mut tx, &mut pages);
        }
        if tx.is_empty() {
            assert!(tx.commit().unwrap().is_none());
        } else if self.chance.one_in(4) {
            drop(tx);
        } else {
            tx.commit().unwrap().unwrap();
            return self.committed(pages, self.knows());
        }
        self.unchanged();
    }

    fn one_of_several(&mut self, tx: &mut Transaction, pages: &mut Pages) {
        let picked = self.pick(pages);
        match (self.chance.below(10), picked) {
            (0, _) if pages.len() < 6 => {
                let (name, n) = (self.name(), self.chance.next());
                let schema = model::schema(n);
                let rows = model::rows(&schema, &mut self.chance);
                match tx.create_page(&name, schema.clone(), rows) {
                    Ok(id) => drop(pages.insert(id, Arc::new(Page::new(&name, schema, rows)))),
                    Err(error) => assert_eq!(error.code(), Code::NameTaken),
                }
            }
            (1, Some(id)) => {
                tx.drop_page(id).unwrap();
                pages.remove(&id);
            }
            (2, Some(id)) => {
                let rows = model::rows(&pages[&id].schema, &mut self.chance);
                tx.resize(id, rows).unwrap();
                Arc::make_mut(pages.get_mut(&id).unwrap()).resize(rows);
            }
            (3, Some(id)) => {
                let view = tx.view(id, 0).unwrap();
                assert!(view.bytes() == pages[&id].columns[0], "it reads its own writes");
                self.views.push((view, pages[&id].columns[0].clone()));
            }
            (_, Some(id)) => {
                let Some(delta) = model::delta(id, &pages[&id], &mut self.chance) else { return };
                Arc::make_mut(pages.get_mut(&id).unwrap()).write(&delta);
                tx.write(delta).unwrap();
            }
            _ => {}
        }
    }

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
        let clash = !(own(first.op) && own(second.op)) && !written(&second).is_disjoint(&theirs)
            || serializable && read.iter().any(|cell| theirs.contains(cell));
        if clash {
            assert_eq!(tx.commit().unwrap_err().code(), Code::Conflict);
            return self.unchanged();
        }
        tx.commit().unwrap().unwrap();
        Arc::make_mut(pages.get_mut(&id).unwrap()).write(&second);
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

    /// The newest state that leads to the heads of both.
    fn base(&self, other: usize) -> Pages {
        let all = |i: usize| {
            let (epoch, known) = self.branches[i].head();
            let mut knows = known.knows.clone();
            knows.insert(i, epoch);
            knows
        };
        let theirs = all(other);
        let both = all(self.at).into_iter().filter_map(|(i, epoch)| Some((i, epoch.min(*theirs.get(&i)?))));
        let known = both.map(|(i, epoch)| &self.branches[i].history[&epoch]).max_by_key(|known| known.seq);
        known.unwrap().pages.clone()
    }

    fn merge(&mut self) {
        let living = self.living();
        let other = living[self.chance.below(living.len() as u64) as usize];
        if other == self.at {
            return;
        }
        let policy = [OnConflict::Raise, OnConflict::Ours, OnConflict::Theirs][self.chance.below(3) as usize];
        let (epoch, theirs) = self.branches[other].head();
        let wanted = model::merge::merge(&self.base(other), &self.pages(), &theirs.pages, policy);
        let mut knows = self.knows();
        for (&i, &epoch) in theirs.knows.iter().chain([(&other, &epoch)]).filter(|(i, _)| **i != self.at) {
            let known = knows.entry(i).or_default();
            *known = epoch.max(*known);
        }
        let merged = self.bus().merge(&self.branches[other].bus, policy, &self.note());
        match (wanted, merged) {
            (Ok(pages), Ok(Some(_))) => return self.committed(pages, knows),
            (Ok(pages), Ok(None)) => assert!(pages == self.pages(), "there was something to take"),
            (Err(why), Ok(_)) => panic!("no conflict, though {why}"),
            (Err(_), Err(error)) => {
                assert!(matches!(error.code(), Code::Conflict | Code::NameTaken), "{error}")
            }
            (Ok(_), Err(error)) => panic!("{error}"),
        }
        self.unchanged();
    }

    fn revert(&mut self) {
        let to = self.pick_epoch();
        let pages = self.branches[self.at].history[&to].pages.clone();
        let same = pages == self.pages();
        let made = self.bus().revert(Epoch(to), &self.note()).unwrap();
        assert_eq!(made.is_none(), same);
        if !same {
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
        let was = self.at;
        for at in self.living() {
            self.at = at;
            self.unchanged();
            model::check(&self.bus().state().unwrap(), &self.pages(), &mut self.chance);
        }
        self.at = was;
    }

    /// What is held is as it was.
    fn held(&self) {
        for (state, pages, digest) in &self.states {
            model::check(state, pages, &mut Chance(7));
            assert_eq!(state.digest().unwrap(), *digest);
        }
        for (view, bytes) in &self.views {
            assert!(view.bytes() == bytes, "a view never changes");
        }
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

/// Compares what a diff says of a page that both states have with a comparison of every cell.
fn same_runs(a: &Page, b: &Page, found: &mmsb::bus::diff::PageDiff) {
    assert_eq!((found.fate, found.rows), (Fate::Changed, (a.rows, b.rows)));
    for (i, column) in a.schema.columns().iter().enumerate() {
        let size = column.cell_bytes() as usize;
        let n = a.columns[i].len().min(b.columns[i].len()) / size;
        let differs =
            |cell: &usize| a.columns[i][cell * size..][..size] != b.columns[i][cell * size..][..size];
        let cells: Vec<u64> = (0..n).filter(differs).map(|cell| cell as u64).collect();
        let runs = found.columns.iter().filter(|c| usize::from(c.column) == i).flat_map(|c| &c.runs);
        assert_eq!(runs.flat_map(|&(first, n)| first..first + n).collect::<Vec<_>>(), cells, "column {i}");
    }
}

fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: setting("MMSB_CASES", 48), max_shrink_iters: 3000, failure_persistence: None, ..ProptestConfig::default()
    })]
    #[test]
    fn the_bus_is_its_model(ops in ops(setting("MMSB_OPS", 70) as usize)) {
        let mut world = World::new();
        for (op, seed) in ops {
            world.apply(op, seed);
        }
        world.finish();
    }
}
