//! The bus and its model side by side: branches with all they ever were, and what is held of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use mmsb::base::clock::ManualClock;
use mmsb::base::ids::PageId;
use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::state::State;
use mmsb::bus::transaction::{Isolation, Transaction};
use mmsb::bus::view::View;
use mmsb::memory::disk::Sim;
use mmsb::page::digest::Digest;
use mmsb::page::log::LogConfig;

use super::merge::Touched;
use super::{Chance, Page, Pages, check, delta, rows, schema};

/// A state as it must be for ever.
#[derive(Debug, Clone)]
pub struct Known {
    pub pages: Pages,
    pub digest: Digest,
    /// The number of its frame: what is known before what.
    pub seq: u64,
    /// The epochs of other branches, by their place in the list, that lead to it.
    pub knows: BTreeMap<usize, u64>,
}

#[derive(Debug)]
pub struct Branch {
    pub bus: Bus,
    pub name: String,
    pub first: u64,
    pub history: BTreeMap<u64, Known>,
    pub dropped: bool,
}

impl Branch {
    pub fn head(&self) -> (u64, &Known) {
        let (epoch, known) = self.history.last_key_value().unwrap();
        (*epoch, known)
    }
}

pub struct World {
    pub sim: Sim,
    pub branches: Vec<Branch>,
    pub at: usize,
    pub states: Vec<(State, Pages, Digest)>,
    pub views: Vec<(View, Vec<u8>)>,
    pub names: u64,
    pub chance: Chance,
    /// What commits did, by branch and epoch, and what the one that is being made does.
    pub touched: Vec<(usize, u64, Touched)>,
    pub touching: Vec<Touched>,
}

pub fn open(sim: &Sim) -> Bus {
    let log = LogConfig { first_segment: 1 << 16, max_segment: 1 << 18, background: false };
    let options = Options { log, ..Options::default() };
    Bus::on_disk(Arc::new(sim.clone()), &options, Arc::new(ManualClock::new(1))).unwrap()
}

impl World {
    pub fn new() -> Self {
        let sim = Sim::new(1);
        let bus = open(&sim);
        let digest = bus.state().unwrap().digest().unwrap();
        let known = Known { pages: Pages::new(), digest, seq: 0, knows: BTreeMap::new() };
        let history = BTreeMap::from([(0, known)]);
        let branches = vec![Branch { bus, name: "main".into(), first: 0, history, dropped: false }];
        let chance = Chance(0);
        World {
            sim,
            branches,
            at: 0,
            states: Vec::new(),
            views: Vec::new(),
            names: 0,
            chance,
            touched: Vec::new(),
            touching: Vec::new(),
        }
    }

    pub fn bus(&self) -> &Bus {
        &self.branches[self.at].bus
    }

    pub fn pages(&self) -> Pages {
        self.branches[self.at].head().1.pages.clone()
    }

    pub fn living(&self) -> Vec<usize> {
        (0..self.branches.len()).filter(|&i| !self.branches[i].dropped).collect()
    }

    pub fn pick(&mut self, pages: &Pages) -> Option<PageId> {
        let n = self.chance.below(pages.len() as u64) as usize;
        pages.keys().nth(n).copied()
    }

    pub fn pick_epoch(&mut self) -> u64 {
        self.chance.below(self.branches[self.at].head().0 + 1)
    }

    pub fn name(&mut self) -> String {
        self.names += 1;
        format!("name {}", self.names % 7)
    }

    /// Notes what a commit made of the branch, and checks it.
    pub fn committed(&mut self, pages: Pages, knows: BTreeMap<usize, u64>) {
        let state = self.bus().state().unwrap();
        let branch = &self.branches[self.at];
        assert_eq!(state.epoch().0, branch.head().0 + 1, "one epoch a commit");
        check(&state, &pages, &mut self.chance);
        let (digest, seq) = (state.digest().unwrap(), self.bus().newest().0);
        let (at, epoch) = (self.at, state.epoch().0);
        self.touched.extend(self.touching.drain(..).map(|touched| (at, epoch, touched)));
        let known = Known { pages, digest, seq, knows };
        self.branches[self.at].history.insert(state.epoch().0, known);
    }

    pub fn knows(&self) -> BTreeMap<usize, u64> {
        self.branches[self.at].head().1.knows.clone()
    }

    pub fn unchanged(&mut self) {
        self.touching.clear();
        let (epoch, known) = self.branches[self.at].head();
        let state = self.bus().state().unwrap();
        assert_eq!((state.epoch().0, state.digest().unwrap()), (epoch, known.digest), "nothing happened");
    }

    pub fn note(&self) -> Note {
        Note { source: Some(format!("s{}", self.names % 3)), ..Note::default() }
    }

    pub fn create(&mut self) {
        let mut pages = self.pages();
        if pages.len() > 5 {
            return;
        }
        let (name, n) = (self.name(), self.chance.next());
        let schema = schema(n);
        let rows = rows(&schema, &mut self.chance);
        let made = self.bus().create_page(&name, schema.clone(), rows, &self.note());
        if pages.values().any(|page| page.name == name) {
            assert_eq!(made.unwrap_err().code(), Code::NameTaken);
            return self.unchanged();
        }
        pages.insert(made.unwrap(), Arc::new(Page::new(&name, schema, rows)));
        self.committed(pages, self.knows());
    }

    pub fn drop_page(&mut self) {
        let mut pages = self.pages();
        let Some(id) = self.pick(&pages) else { return };
        self.bus().drop_page(id, &self.note()).unwrap();
        pages.remove(&id);
        self.touching.push(Touched::all(id));
        self.committed(pages, self.knows());
    }

    pub fn resize(&mut self) {
        let mut pages = self.pages();
        let Some(id) = self.pick(&pages) else { return };
        let rows = rows(&pages[&id].schema, &mut self.chance);
        let made = self.bus().resize(id, rows, &self.note()).unwrap();
        assert_eq!(made.is_some(), rows != pages[&id].rows);
        if made.is_none() {
            return self.unchanged();
        }
        self.touching.push(Touched::all(id));
        Arc::make_mut(pages.get_mut(&id).unwrap()).resize(rows);
        self.committed(pages, self.knows());
    }

    pub fn write(&mut self) {
        let mut pages = self.pages();
        let Some(id) = self.pick(&pages) else { return };
        let Some(delta) = delta(id, &pages[&id], &mut self.chance) else { return };
        self.touching.push(Touched::by(&delta, &pages[&id]));
        Arc::make_mut(pages.get_mut(&id).unwrap()).write(&delta);
        self.bus().write(delta, &self.note()).unwrap();
        self.committed(pages, self.knows());
    }

    /// A transaction of several changes, committed or forgotten.
    pub fn several(&mut self) {
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

    pub fn one_of_several(&mut self, tx: &mut Transaction, pages: &mut Pages) {
        let picked = self.pick(pages);
        match (self.chance.below(10), picked) {
            (0, _) if pages.len() < 6 => {
                let (name, n) = (self.name(), self.chance.next());
                let schema = schema(n);
                let rows = rows(&schema, &mut self.chance);
                match tx.create_page(&name, schema.clone(), rows) {
                    Ok(id) => drop(pages.insert(id, Arc::new(Page::new(&name, schema, rows)))),
                    Err(error) => assert_eq!(error.code(), Code::NameTaken),
                }
            }
            (1, Some(id)) => {
                tx.drop_page(id).unwrap();
                self.touching.push(Touched::all(id));
                pages.remove(&id);
            }
            (2, Some(id)) => {
                let rows = rows(&pages[&id].schema, &mut self.chance);
                tx.resize(id, rows).unwrap();
                if pages[&id].rows != rows {
                    self.touching.push(Touched::all(id));
                }
                Arc::make_mut(pages.get_mut(&id).unwrap()).resize(rows);
            }
            (3, Some(id)) => {
                let view = tx.view(id, 0).unwrap();
                assert!(view.bytes() == pages[&id].columns[0], "it reads its own writes");
                self.views.push((view, pages[&id].columns[0].clone()));
            }
            (_, Some(id)) => {
                let Some(delta) = delta(id, &pages[&id], &mut self.chance) else { return };
                self.touching.push(Touched::by(&delta, &pages[&id]));
                Arc::make_mut(pages.get_mut(&id).unwrap()).write(&delta);
                tx.write(delta).unwrap();
            }
            _ => {}
        }
    }

    /// What is held is as it was.
    pub fn held(&self) {
        for (state, pages, digest) in &self.states {
            check(state, pages, &mut Chance(7));
            assert_eq!(state.digest().unwrap(), *digest);
        }
        for (view, bytes) in &self.views {
            assert!(view.bytes() == bytes, "a view never changes");
        }
    }
}
