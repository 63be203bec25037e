//! The lock-free parts under every interleaving that loom finds:
//! `RUSTFLAGS="--cfg mmsb_loom" cargo test -p mmsb --test loom_memory --release`.
#![cfg(mmsb_loom)]
#![allow(clippy::unwrap_used)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use loom::thread;
use mmsb::memory::heap::stack::{Cells, FreeStack};
use mmsb::memory::pinning::pins::{Entries, Entry, PIN_ALL, Pinned, Pins};
use mmsb::memory::shared::tips::TipWords;

/// Cells in a vector: link words, and whether somebody has the cell.
struct Vector {
    links: Vec<AtomicU64>,
    taken: Vec<AtomicBool>,
}

impl Cells for Vector {
    fn link(&self, cell: u64) -> &AtomicU64 {
        &self.links[cell as usize]
    }
}

impl Vector {
    fn new(n: usize) -> Vector {
        let links = (0..=n).map(|_| AtomicU64::new(0)).collect();
        Vector { links, taken: (0..=n).map(|_| AtomicBool::new(true)).collect() }
    }

    fn give(&self, stack: &FreeStack, cell: u64) {
        assert!(self.taken[cell as usize].swap(false, Ordering::AcqRel), "{cell} is given twice");
        stack.push(self, cell);
    }

    fn take(&self, stack: &FreeStack) -> Option<u64> {
        let cell = stack.pop(self)?;
        assert!(!self.taken[cell as usize].swap(true, Ordering::AcqRel), "{cell} is taken twice");
        // The new owner writes what it likes where the link was.
        self.links[cell as usize].store(u64::MAX, Ordering::Relaxed);
        Some(cell)
    }
}

fn drain(cells: &Vector, stack: &FreeStack) -> Vec<u64> {
    let mut all: Vec<u64> = std::iter::from_fn(|| cells.take(stack)).collect();
    all.sort_unstable();
    all
}

#[test]
fn the_stack_loses_and_doubles_nothing() {
    loom::model(|| {
        let shared = Arc::new((FreeStack::new(), Vector::new(2)));
        (1..=2).for_each(|cell| shared.1.give(&shared.0, cell));
        // Both take two and give them back in the other order: the pattern in which ABA bites.
        let churn = |shared: Arc<(FreeStack, Vector)>| {
            move || {
                let (stack, cells) = &*shared;
                let first = cells.take(stack);
                let second = cells.take(stack);
                first.into_iter().chain(second).for_each(|cell| cells.give(stack, cell));
            }
        };
        let other = thread::spawn(churn(Arc::clone(&shared)));
        churn(Arc::clone(&shared))();
        other.join().unwrap();
        assert_eq!(drain(&shared.1, &shared.0), [1, 2]);
    });
}

#[test]
fn a_chain_arrives_whole_and_is_taken_whole() {
    loom::model(|| {
        let shared = Arc::new((FreeStack::new(), Vector::new(3)));
        let other = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let (stack, cells) = &*shared;
                (1..=2).for_each(|cell| cells.taken[cell].store(false, Ordering::Release));
                FreeStack::link_cells(cells, 1, 2);
                stack.push_chain(cells, 1, 2);
                cells.take(stack)
            }
        });
        let (stack, cells) = &*shared;
        cells.give(stack, 3);
        let mut all = Vec::new();
        let mut next = stack.take_all();
        while let Some(cell) = next {
            next = FreeStack::next(cells, cell);
            assert!(!cells.taken[cell as usize].swap(true, Ordering::AcqRel));
            all.push(cell);
        }
        all.extend(other.join().unwrap());
        all.extend(drain(cells, stack));
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
    });
}

/// Pin entries in a vector.
struct Slots {
    entries: Vec<Entry>,
    used: AtomicUsize,
    changes: AtomicU64,
}

impl Entries for Slots {
    fn entry(&self, index: u32) -> &Entry {
        &self.entries[index as usize]
    }

    fn fresh(&self) -> Option<u32> {
        let used = self.used.load(Ordering::Relaxed);
        (used < self.entries.len()).then(|| {
            self.used.store(used + 1, Ordering::Release);
            used as u32
        })
    }

    fn each(&self, mut visit: impl FnMut(u32, &Entry)) {
        for index in 0..self.used.load(Ordering::Acquire) {
            visit(index as u32, &self.entries[index]);
        }
    }

    fn changes(&self) -> &AtomicU64 {
        &self.changes
    }
}

/// A bus of roots 1, 2, ..., each alive from its own seq to the next.
struct Bus {
    pins: Pins<Slots>,
    head: AtomicU64,
    freed: Vec<AtomicBool>,
}

impl Bus {
    fn new() -> Arc<Bus> {
        let entries = (0..3).map(|_| Entry::new()).collect();
        let slots = Slots { entries, used: AtomicUsize::new(0), changes: AtomicU64::new(0) };
        let freed = (0..4).map(|_| AtomicBool::new(false)).collect();
        Arc::new(Bus { pins: Pins::new(slots), head: AtomicU64::new(1), freed })
    }

    /// Publishes `seq` and frees the root before it unless a pin covers that. False when it has to wait.
    fn publish(&self, seq: u64) -> bool {
        self.head.store(seq, Ordering::Release);
        fence(Ordering::SeqCst);
        self.reclaim(seq - 1, 7)
    }

    /// Frees root `old`, of page `page`, unless a pin covers it.
    fn reclaim(&self, old: u64, page: u64) -> bool {
        let mut found = Vec::new();
        let covers =
            |pin: &Pinned| pin.seq == PIN_ALL || (pin.seq == old && (pin.page == 0 || pin.page == page));
        let free = self.pins.scan(&mut found) && !found.iter().any(covers);
        if free {
            self.freed[old as usize].store(true, Ordering::Relaxed);
        }
        free
    }

    fn check(&self, root: u64) {
        assert!(!self.freed[root as usize].load(Ordering::Relaxed), "root {root} is freed under a pin");
    }
}

#[test]
fn nothing_is_reclaimed_under_a_pin() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(4);
    model.check(|| {
        let bus = Bus::new();
        let reader = thread::spawn({
            let bus = Arc::clone(&bus);
            move || {
                let mut root = 0;
                let place = bus.pins.take().unwrap();
                let pin = bus.pins.pin(place, || {
                    root = bus.head.load(Ordering::Acquire);
                    bus.check(root);
                    root
                });
                bus.check(root);
                bus.pins.unpin(pin);
            }
        });
        bus.publish(2);
        bus.publish(3);
        reader.join().unwrap();
        // With the reader gone nothing is held.
        assert!(bus.reclaim(2, 7));
    });
}

#[test]
fn an_entry_is_used_again_while_scans_go_on() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let bus = Bus::new();
        let reader = thread::spawn({
            let bus = Arc::clone(&bus);
            move || {
                for _ in 0..2 {
                    let mut root = 0;
                    let place = bus.pins.take().unwrap();
                    let pin = bus.pins.pin(place, || {
                        root = bus.head.load(Ordering::Acquire);
                        root
                    });
                    bus.pins.narrow(pin, 7);
                    bus.check(root);
                    bus.pins.unpin(pin);
                }
            }
        });
        bus.publish(2);
        reader.join().unwrap();
        assert!(bus.reclaim(1, 7));
    });
}

/// A lease on root 1, which is out of use, and a reader that reads under it; the place of its second pin comes before the
/// lease's in the order of a scan.
fn leased(bus: &Arc<Bus>) -> (thread::JoinHandle<()>, Pinned) {
    let (second, place) = (bus.pins.take().unwrap(), bus.pins.take().unwrap());
    let lease = bus.pins.lease(place, || 1);
    bus.head.store(2, Ordering::Release);
    let reading = Arc::clone(bus);
    let reader = thread::spawn(move || {
        if let Some(held) = reading.pins.hold(lease, second) {
            reading.check(1);
            reading.pins.unpin(held);
        }
    });
    (reader, Pinned { seq: 1, page: 0, pin: lease, leased: true })
}

#[test]
fn a_lease_is_read_under_or_was_let_go_of() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(4);
    model.check(|| {
        let bus = Bus::new();
        let (reader, lease) = leased(&bus);
        assert!(bus.pins.let_go(&lease));
        bus.reclaim(1, 7);
        reader.join().unwrap();
        assert!(!bus.pins.let_go(&lease), "once");
        assert!(bus.reclaim(1, 7), "nothing is held any more");
    });
}

#[test]
fn a_lease_is_not_let_go_of_behind_a_scan_of_somebody_else() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(4);
    model.check(|| {
        let bus = Bus::new();
        let (reader, lease) = leased(&bus);
        let other = thread::spawn({
            let bus = Arc::clone(&bus);
            move || bus.reclaim(1, 7)
        });
        bus.pins.let_go(&lease);
        reader.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn a_hand_over_is_never_missed() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let bus = Bus::new();
        let reader = thread::spawn({
            let bus = Arc::clone(&bus);
            move || {
                let root = 1;
                // The view's place comes before the snapshot's in the order of the scan.
                let view_place = bus.pins.take().unwrap();
                let place = bus.pins.take().unwrap();
                let mut seen = 0;
                let snapshot = bus.pins.pin(place, || {
                    seen = bus.head.load(Ordering::Acquire);
                    seen
                });
                if seen == root {
                    let view = bus.pins.pin_at(view_place, root, 7);
                    bus.pins.unpin(snapshot);
                    bus.check(root);
                    bus.pins.unpin(view);
                }
            }
        });
        bus.publish(2);
        bus.reclaim(1, 7);
        reader.join().unwrap();
    });
}

#[test]
fn a_tip_that_is_anothers_now_is_nobodys_root() {
    loom::model(|| {
        let words = Arc::new(TipWords::new());
        words.take(1, 64, 0);
        words.show(1);
        let reader = thread::spawn({
            let words = Arc::clone(&words);
            move || words.root_of(1)
        });
        words.leave();
        words.take(2, 128, 0);
        assert_eq!(words.root_of(2), None, "it is not there yet");
        words.show(2);
        assert!(matches!(reader.join().unwrap(), None | Some(64)));
        assert_eq!((words.root_of(1), words.root_of(2)), (None, Some(128)));
    });
}
