//! A day of churn in minutes: pages of heavy-tailed sizes are made, written, resized and dropped, states, views and
//! branches come, are held and go, until all memory has been handed out many times over. x is how many times.

use std::time::Instant;

use mmsb::base::ids::PageId;
use mmsb::base::limits::IDLE;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::Note;
use mmsb::bus::state::State;
use mmsb::bus::view::View;
use mmsb_benches::{MIB, delta, page, quiet};

use crate::measure::{Point, Scale, resident};

/// Bytes of pages that live at a time, about: up to here they grow, then shrink to a quarter.
const LIVE: u64 = 64 * MIB;
/// Bytes of log that are kept at most.
const LOG: u64 = 512 * MIB;

/// How many times all memory is to be turned over: one process does it all.
pub fn xs(scale: &Scale) -> Vec<u64> {
    vec![if scale.quick { 8 } else { 200 }]
}

/// Numbers that are the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Heavy-tailed (Pareto with the exponent 0.6): half of all are below 204 B, one in a hundred is above 135 KiB, and
    /// most bytes are in the few that are in the MiB, up to 8.
    fn size(&mut self) -> u64 {
        let uniform = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        ((64.0 * (1.0 - uniform).powf(-1.0 / 0.6)) as u64).min(8 * MIB)
    }
}

/// A bus and all that is held of it.
struct World {
    bus: Bus,
    random: Random,
    note: Note,
    pages: Vec<(PageId, u64)>,
    /// Bytes of the pages.
    live: u64,
    made: u64,
    /// Whether there are to be more of them; in turn more and less.
    grows: bool,
    states: Vec<State>,
    views: Vec<View>,
    branches: Vec<Bus>,
}

/// Removes one of many at random, so that there are no more than `most`.
fn let_go<T>(many: &mut Vec<T>, most: usize, random: &mut Random) -> Option<T> {
    (many.len() > most).then(|| many.swap_remove(random.below(many.len() as u64) as usize))
}

impl World {
    fn pick(&mut self) -> Option<usize> {
        (!self.pages.is_empty()).then(|| self.random.below(self.pages.len() as u64) as usize)
    }

    fn create(&mut self) {
        let bytes = self.random.size();
        self.made += 1;
        let id = page(&self.bus, &self.made.to_string(), bytes).unwrap();
        self.pages.push((id, bytes));
        self.live += bytes;
        self.write(self.pages.len() - 1, bytes);
    }

    fn drop_one(&mut self) {
        let Some(at) = self.pick() else { return };
        let (id, bytes) = self.pages.swap_remove(at);
        self.live -= bytes;
        self.bus.drop_page(id, &self.note).unwrap();
    }

    /// Writes `bytes` bytes at random into a page.
    fn write(&mut self, at: usize, bytes: u64) {
        let (id, size) = self.pages[at];
        let bytes = bytes.min(size);
        let from = self.random.below(size - bytes + 1);
        self.bus.write(delta(id, from, &vec![self.made as u8; bytes as usize]), &self.note).unwrap();
    }

    fn resize(&mut self) {
        let Some(at) = self.pick() else { return };
        let bytes = self.random.size();
        let (id, was) = self.pages[at];
        self.bus.resize(id, bytes, &self.note).unwrap();
        self.pages[at].1 = bytes;
        self.live = self.live - was + bytes;
        self.write(at, bytes / 2 + 1);
    }

    fn fork(&mut self) {
        let Some(at) = self.pick() else { return };
        let (id, size) = self.pages[at];
        self.made += 1;
        let branch = self.bus.branch(&self.made.to_string(), None).unwrap();
        let bytes = self.random.size().min(size);
        branch.write(delta(id, 0, &vec![9; bytes as usize]), &self.note).unwrap();
        self.branches.push(branch);
        if let Some(branch) = let_go(&mut self.branches, 8, &mut self.random) {
            branch.drop_branch().unwrap();
        }
    }

    fn hold(&mut self) {
        let state = self.bus.state().unwrap();
        if let Some(at) = self.pick() {
            self.views.push(state.view(self.pages[at].0, 0, None).unwrap());
            let_go(&mut self.views, 64, &mut self.random);
        }
        self.states.push(state);
        let_go(&mut self.states, 16, &mut self.random);
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..45 if self.grows => self.create(),
            0..45 => self.drop_one(),
            45..50 => self.resize(),
            50..55 => self.fork(),
            55..65 => self.hold(),
            _ => {
                let bytes = self.random.size();
                if let Some(at) = self.pick() {
                    self.write(at, bytes);
                }
            }
        }
        self.grows = self.live < if self.grows { LIVE } else { LIVE / 4 };
    }

    /// How many times the memory in use has been handed out.
    fn turned(&self, handed: &mut (u64, f64)) -> f64 {
        let arena = self.bus.stats().unwrap().arena;
        let size = arena.used_chunks.max(LIVE / 2) as f64;
        handed.1 += (arena.recycled - handed.0) as f64 / size;
        handed.0 = arena.recycled;
        handed.1
    }

    fn tell(&self, point: &Point, x: u64) {
        let arena = self.bus.stats().unwrap().arena;
        let tell = |what: &str, bytes: u64| point.at(x, what, bytes as f64);
        tell("bytes of the pages that live", self.live);
        tell("memory in use", arena.used_chunks);
        tell("of it in small blocks", arena.used_small);
        tell("memory taken from the machine", arena.committed);
        tell("memory that waits for who holds it", self.bus.stats().unwrap().held);
    }

    /// Everything goes.
    fn empty(&mut self) {
        self.views.clear();
        self.states.clear();
        for branch in self.branches.drain(..) {
            branch.drop_branch().unwrap();
        }
        while !self.pages.is_empty() {
            self.drop_one();
        }
        // What was let go last is looked at with the next commits.
        for _ in 0..4 {
            let id = page(&self.bus, "last", 64).unwrap();
            self.bus.drop_page(id, &self.note).unwrap();
        }
    }
}

pub fn run(point: &Point) {
    let (bus, before) = (quiet(point.dir()).unwrap(), resident());
    let start = bus.stats().unwrap().arena;
    let mut world = World {
        bus,
        random: Random(2013),
        note: Note::default(),
        pages: vec![],
        live: 0,
        made: 0,
        grows: true,
        states: vec![],
        views: vec![],
        branches: vec![],
    };
    let (clock, mut steps, mut handed, mut told) = (Instant::now(), 0u64, (0, 0.0), 0.0);
    let limit = if point.scale.quick { 10.0 } else { 240.0 };
    while handed.1 < point.x as f64 && clock.elapsed().as_secs_f64() < limit {
        (0..250).for_each(|_| world.step());
        steps += 250;
        if world.turned(&mut handed) >= told + 1.0 {
            told = handed.1.floor();
            world.tell(point, told as u64);
        }
        if world.bus.stats().unwrap().log > LOG {
            world.bus.squash(&mut |_| {}).unwrap();
        }
    }
    let last = told as u64 + 1;
    point.at(last, "memory resident before everything goes", resident() - before);
    world.empty();
    let end = world.bus.stats().unwrap();
    point.at(last, "steps", steps as f64);
    point.at(last, "small blocks still in use when all is dropped", end.arena.used_small as f64);
    point.at(last, "small blocks in use at the start", start.used_small as f64);
    point.at(last, "memory in use when all is dropped", end.arena.used_chunks as f64);
    point.at(last, "memory in use at the start", start.used_chunks as f64);
    point.at(last, "memory that waits when all is dropped", end.held as f64);
    point.at(last, "memory taken from the machine when all is dropped", end.arena.committed as f64);
    std::thread::sleep(4 * IDLE);
    let end = world.bus.stats().unwrap();
    point.at(last, "memory taken from the machine, seconds later", end.arena.committed as f64);
    point.at(last, "memory resident, seconds later", resident() - before);
    point.at(last, "memory given back to the machine meanwhile and before", end.arena.given_back as f64);
}
