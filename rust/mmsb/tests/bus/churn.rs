//! A bus that is used for long: after any coming and going of pages, versions, views, states and branches its memory is
//! there again, to the byte, and one who wants nearly all of it in one page gets it.

use std::borrow::Cow;
use std::time::Duration;

use mmsb::base::ids::PageId;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::state::State;
use mmsb::bus::view::View;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

const MIB: u64 = 1 << 20;
const BUDGET: u64 = 24 * MIB;
/// Bytes of pages that live at a time: up to here they grow, then shrink to a quarter.
const LIVE: u64 = 2 * MIB;

fn page(bus: &Bus, name: &str, bytes: u64) -> PageId {
    let schema = Schema::array(DType::U8, vec![], false, None).unwrap();
    bus.create_page(name, schema, bytes, &Note::default()).unwrap()
}

fn write(bus: &Bus, page: PageId, from: u64, bytes: u64, value: u8) {
    let data = Data::Dense(Cow::Owned(vec![value; bytes as usize]));
    let part = Part { column: 0, select: Select::range(from, from + bytes), data };
    bus.write(Delta::single(page, OperatorId::ASSIGN, part), &Note::default()).unwrap();
}

/// Numbers that are the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }

    /// Heavy-tailed: most are small, most bytes are in the few that are large.
    fn size(&mut self) -> u64 {
        let uniform = (self.below(1 << 53) as f64) / (1u64 << 53) as f64;
        ((64.0 * (1.0 - uniform).powf(-1.0 / 0.6)) as u64).min(MIB / 4)
    }
}

/// A bus and what is held of it.
struct World {
    bus: Bus,
    random: Random,
    pages: Vec<(PageId, u64)>,
    live: u64,
    made: u64,
    grows: bool,
    states: Vec<State>,
    views: Vec<View>,
    branches: Vec<Bus>,
}

fn let_go<T>(many: &mut Vec<T>, most: usize, random: &mut Random) -> Option<T> {
    (many.len() > most).then(|| many.swap_remove(random.below(many.len() as u64) as usize))
}

impl World {
    fn new(bus: Bus, seed: u64) -> Self {
        let (states, views, branches) = (vec![], vec![], vec![]);
        let random = Random(seed);
        World { bus, random, pages: vec![], live: 0, made: 0, grows: true, states, views, branches }
    }

    fn pick(&mut self) -> Option<usize> {
        (!self.pages.is_empty()).then(|| self.random.below(self.pages.len() as u64) as usize)
    }

    fn create(&mut self) {
        let bytes = self.random.size();
        self.made += 1;
        let id = page(&self.bus, &self.made.to_string(), bytes);
        write(&self.bus, id, 0, bytes, self.made as u8);
        self.pages.push((id, bytes));
        self.live += bytes;
    }

    fn drop_one(&mut self) {
        let Some(at) = self.pick() else { return };
        let (id, bytes) = self.pages.swap_remove(at);
        self.live -= bytes;
        self.bus.drop_page(id, &Note::default()).unwrap();
    }

    fn write(&mut self, at: usize, bytes: u64) {
        let (id, size) = self.pages[at];
        let bytes = bytes.min(size);
        let from = self.random.below(size - bytes + 1);
        write(&self.bus, id, from, bytes, self.made as u8);
    }

    fn resize(&mut self, at: usize) {
        let (bytes, (id, was)) = (self.random.size(), self.pages[at]);
        self.bus.resize(id, bytes, &Note::default()).unwrap();
        self.pages[at].1 = bytes;
        self.live = self.live - was + bytes;
        self.write(at, bytes / 2 + 1);
    }

    fn fork(&mut self, at: usize) {
        self.made += 1;
        let branch = self.bus.branch(&self.made.to_string(), None).unwrap();
        write(&branch, self.pages[at].0, 0, 64.min(self.pages[at].1), 9);
        self.branches.push(branch);
        if let Some(branch) = let_go(&mut self.branches, 4, &mut self.random) {
            branch.drop_branch().unwrap();
        }
    }

    fn hold(&mut self, at: usize) {
        let state = self.bus.state().unwrap();
        self.views.push(state.view(self.pages[at].0, 0, None).unwrap());
        self.states.push(state);
        let_go(&mut self.views, 8, &mut self.random);
        let_go(&mut self.states, 4, &mut self.random);
    }

    fn step(&mut self) {
        let what = self.random.below(100);
        match (what, self.pick()) {
            (0..45, _) if self.grows => self.create(),
            (_, None) => self.create(),
            (0..45, _) => self.drop_one(),
            (45..50, Some(at)) => self.resize(at),
            (50..55, Some(at)) => self.fork(at),
            (55..65, Some(at)) => self.hold(at),
            (_, Some(at)) => {
                let bytes = self.random.size();
                self.write(at, bytes);
            }
        }
        self.grows = self.live < if self.grows { LIVE } else { LIVE / 4 };
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
        // What was let go last is looked at with the next commit; the background may hold a state that it makes a checkpoint
        // of, or a page that it compacts.
        for _ in 0..1000 {
            let last = page(&self.bus, "last", 64);
            self.bus.drop_page(last, &Note::default()).unwrap();
            if self.bus.pins().unwrap().is_empty() && self.bus.stats().unwrap().held == 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("somebody holds something: {:?}", self.bus.pins().unwrap());
    }
}

#[test]
fn all_memory_comes_back() {
    let options = Options { budget: Some(BUDGET), history_budget: Some(MIB), ..Options::default() };
    let bus = Bus::memory(&options).unwrap();
    // What a bus takes that has had a page.
    bus.drop_page(page(&bus, "first", 64), &Note::default()).unwrap();
    bus.drop_page(page(&bus, "first", 64), &Note::default()).unwrap();
    let start = bus.stats().unwrap().arena.used_small;
    let mut world = World::new(bus.clone(), 7);
    for round in 0..3 {
        (0..15_000).for_each(|_| world.step());
        world.empty();
        let stats = bus.stats().unwrap();
        assert_eq!((stats.held, stats.pages, stats.branches), (0, 0, 1), "round {round}");
        assert_eq!(stats.arena.used_small, start, "small blocks stay in use after round {round}");
    }
    let stats = bus.stats().unwrap();
    assert!(stats.arena.recycled > 20 * LIVE, "only {} bytes came back into use", stats.arena.recycled);
    // No chunk is lost or left in pieces that nobody can use: what is out of use makes one large page. An eighth is not out of
    // use in every run: a slab of which not all was cut into blocks stays with its class.
    let bytes = BUDGET - BUDGET / 6;
    let id = page(&bus, "nearly all", bytes);
    write(&bus, id, 0, bytes, 3);
    let view = bus.state().unwrap().view(id, 0, None).unwrap();
    assert!(view.bytes().iter().all(|byte| *byte == 3));
}
