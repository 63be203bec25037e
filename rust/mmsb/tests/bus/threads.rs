//! The bus under many threads: no state is ever half of a commit, no view changes, nothing that was counted is lost.
//!
//! `MMSB_ROUNDS` sets how many times as many commits are made.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::model::{Chance, setting};
use mmsb::algebra::operator::Builtin;
use mmsb::base::clock::SystemClock;
use mmsb::base::ids::PageId;
use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::merge::three_way::OnConflict;
use mmsb::bus::options::{Mode, Note, Options};
use mmsb::bus::transaction::Isolation;
use mmsb::memory::disk::Sim;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::log::Durability;
use mmsb::page::operator::{Merge, OperatorId};
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

const ROWS: u64 = 60_000;

fn fill(page: PageId, op: OperatorId, from: u64, to: u64, value: u64) -> Delta<'static> {
    let data = Data::Fill(Cow::Owned(value.to_le_bytes().to_vec()));
    Delta::single(page, op, Part { column: 0, select: Select::range(from, to), data })
}

fn counters(bus: &Bus, names: &[&str], op: Option<OperatorId>) -> Vec<PageId> {
    let schema = || Schema::array(DType::U64, vec![], false, op).unwrap();
    names.iter().map(|name| bus.create_page(name, schema(), ROWS, &Note::default()).unwrap()).collect()
}

fn commits(n: u64) -> u64 {
    n * u64::from(setting("MMSB_ROUNDS", 1))
}

/// Tells the others that it is over, also when it panics.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Two pages that every transaction writes alike are alike in every state, and in views of one state held for long.
#[test]
fn no_state_is_half_of_a_commit() {
    let bus = Bus::memory(&Options::default()).unwrap();
    let pages = counters(&bus, &["a", "b"], None);
    let over = AtomicBool::new(false);
    let seen = AtomicU64::new(0);
    thread::scope(|scope| {
        for reader in 0..3 {
            let (bus, pages, over, seen) = (&bus, &pages, &over, &seen);
            scope.spawn(move || {
                let (mut held, mut chance) = (Vec::new(), Chance(reader));
                while !over.load(Ordering::Relaxed) {
                    let state = bus.state().unwrap();
                    let (a, b) =
                        (state.view(pages[0], 0, None).unwrap(), state.view(pages[1], 0, None).unwrap());
                    assert!(a.bytes() == b.bytes(), "half of a commit at {:?}", state.epoch());
                    seen.fetch_add(1, Ordering::Relaxed);
                    held.push((state.digest().unwrap(), state, a.bytes().to_vec(), a));
                    if held.len() > 8 {
                        let (digest, state, bytes, view) = held.swap_remove(chance.below(8) as usize);
                        assert!(view.bytes() == bytes, "a view changed");
                        assert_eq!(state.digest().unwrap(), digest);
                    }
                }
                for (_, state, bytes, view) in held {
                    drop(state);
                    assert!(view.bytes() == bytes, "a view outlives its state");
                }
            });
        }
        let _done = Done(&over);
        let mut chance = Chance(9);
        for n in 0.. {
            // As many commits as asked for, and enough states seen between them.
            if n >= commits(1500) && seen.load(Ordering::Relaxed) >= commits(300) {
                break;
            }
            let from = chance.below(ROWS);
            let to = from + chance.below(if n % 50 == 0 { ROWS - from } else { 300.min(ROWS - from) });
            let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
            pages.iter().for_each(|&page| tx.write(fill(page, OperatorId::ASSIGN, from, to, n)).unwrap());
            tx.commit().unwrap();
        }
    });
    println!("{} states seen", seen.load(Ordering::Relaxed));
    bus.audit().unwrap();
    // The background may hold a page that it is just putting together; a pin that is lost stays.
    let end = Instant::now() + Duration::from_secs(5);
    while !bus.pins().unwrap().is_empty() {
        assert!(Instant::now() < end, "every pin was given back");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Read, add one, write: with conflicts retried the sum is exact; so it is with merge deltas, which never conflict.
#[test]
fn nothing_that_was_counted_is_lost() {
    let bus = Bus::memory(&Options::default()).unwrap();
    let pages = counters(&bus, &["read and written", "merged"], Some(Builtin::Add.id()));
    let conflicts = AtomicU64::new(0);
    let each = commits(150);
    thread::scope(|scope| {
        for writer in 0..4 {
            let (bus, pages, conflicts) = (&bus, &pages, &conflicts);
            scope.spawn(move || {
                let mut chance = Chance(writer);
                for _ in 0..each {
                    let row = chance.below(3);
                    bus.write(fill(pages[1], Builtin::Add.id(), row, row + 1, 1), &Note::default()).unwrap();
                    loop {
                        let mut tx = bus.begin(Isolation::Serializable, Note::default()).unwrap();
                        let mut cell = [0; 8];
                        tx.read(pages[0], 0, &Select::range(row, row + 1), &mut cell).unwrap();
                        let next = u64::from_le_bytes(cell) + 1;
                        thread::yield_now();
                        tx.write(fill(pages[0], OperatorId::ASSIGN, row, row + 1, next)).unwrap();
                        match tx.commit() {
                            Ok(_) => break,
                            Err(error) => assert_eq!(error.code(), Code::Conflict, "{error}"),
                        }
                        conflicts.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let state = bus.state().unwrap();
    for page in pages {
        let view = state.view(page, 0, None).unwrap();
        let sum: u64 = view.bytes().as_chunks().0.iter().map(|cell| u64::from_le_bytes(*cell)).sum();
        assert_eq!(sum, 4 * each);
    }
    println!("{} conflicts", conflicts.load(Ordering::Relaxed));
}

/// Branches come, are written, merged and dropped in each thread while others look at all of them.
#[test]
fn branches_come_and_go_while_others_look() {
    let bus = Bus::memory(&Options::default()).unwrap();
    let page = counters(&bus, &["a"], Some(Builtin::Add.id()))[0];
    let over = AtomicBool::new(false);
    let each = commits(40);
    thread::scope(|scope| {
        let looker = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for info in bus.branches().unwrap() {
                    // It may be gone by now.
                    let Ok(branch) = bus.checkout(&info.name) else { continue };
                    match branch.state() {
                        Ok(state) => assert_eq!(state.digest().unwrap(), state.digest().unwrap()),
                        Err(error) => assert_eq!(error.code(), Code::BranchNotFound),
                    }
                }
            }
        });
        let done = Done(&over);
        thread::scope(|scope| {
            for writer in 0..3 {
                let bus = &bus;
                scope.spawn(move || {
                    for n in 0..each {
                        let plan = bus.branch(&format!("plan {writer} {n}"), None).unwrap();
                        plan.write(fill(page, Builtin::Add.id(), 5, 6, 1), &Note::default()).unwrap();
                        let merge = || bus.merge(&plan, OnConflict::Raise, &Note::default());
                        // Another thread's merge of the same cell comes first.
                        while let Err(error) = merge() {
                            assert_eq!(error.code(), Code::Conflict, "{error}");
                        }
                        plan.drop_branch().unwrap();
                    }
                });
            }
        });
        drop(done);
        looker.join().unwrap();
    });
    let view = bus.state().unwrap().view(page, 0, None).unwrap();
    assert_eq!(view.bytes()[40..48], (3 * each).to_le_bytes());
    assert_eq!(bus.branches().unwrap().len(), 1);
    bus.audit().unwrap();
}

/// Commits that must reach the disk share syncs, are visible in the order of the log, and are all there afterwards.
#[test]
fn commits_to_the_disk_are_synced_in_groups() {
    let sim = Sim::new(3);
    let options = Options { durability: Durability::Disk, ..Options::default() };
    let open =
        |options: &Options| Bus::on_disk(Arc::new(sim.clone()), options, Arc::new(SystemClock)).unwrap();
    let bus = open(&options);
    let page = counters(&bus, &["a"], Some(Builtin::Add.id()))[0];
    let each = commits(60);
    thread::scope(|scope| {
        for writer in 0..4u64 {
            let (bus, sim) = (&bus, &sim);
            scope.spawn(move || {
                for n in 0..each {
                    let durability = if n % 5 == writer { Durability::Process } else { Durability::Disk };
                    let note = Note { durability: Some(durability), ..Note::default() };
                    let made =
                        bus.write(fill(page, Builtin::Add.id(), writer, writer + 1, 1), &note).unwrap();
                    assert!(bus.epoch().unwrap() >= made.epoch, "what was acknowledged can be seen");
                    if durability == Durability::Disk && n % 16 == 0 {
                        let cut = sim.crash(mmsb::memory::disk::Crash::KeepNone);
                        let clock = Arc::new(SystemClock);
                        let left = Bus::on_disk(Arc::new(cut), &Options::default(), clock).unwrap();
                        assert!(left.epoch().unwrap() >= made.epoch, "what was acknowledged is on the disk");
                    }
                }
            });
        }
    });
    let digest = bus.state().unwrap().digest().unwrap();
    assert_eq!(bus.epoch().unwrap().0, 1 + 4 * each);
    drop(bus);
    let bus = open(&Options { mode: Mode::ReadWrite, ..Options::default() });
    assert_eq!(bus.state().unwrap().digest().unwrap(), digest);
}

#[test]
fn one_name_is_given_to_one_branch() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { durability: Durability::Disk, ..Options::default() };
    let bus = Bus::open(dir.path().join("names"), &options).unwrap();
    for n in 0..20 {
        let name = format!("branch {n}");
        let made = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..4).map(|_| scope.spawn(|| bus.branch(&name, None).is_ok())).collect();
            tries.into_iter().map(|made| made.join().unwrap()).filter(|made| *made).count()
        });
        assert_eq!(made, 1, "{name}");
    }
    assert_eq!(bus.branches().unwrap().len(), 21);
}

#[test]
fn the_end_of_history_is_no_conflict() {
    let bus = Bus::memory(&Options { history_budget: None, ..Options::default() }).unwrap();
    let schema = Schema::array(DType::U8, vec![], false, None).unwrap();
    let page = bus.create_page("p", schema, 10, &Note::default()).unwrap();
    bus.squash(&mut |_| {}).unwrap();
    let write = |row: u64| {
        let mut tx = bus.begin(Isolation::Serializable, Note::default()).unwrap();
        let data = Data::Dense(Cow::Owned(vec![row as u8]));
        let part = Part { column: 0, select: Select::range(row, row + 1), data };
        tx.write(Delta::single(page, OperatorId::ASSIGN, part)).unwrap();
        tx
    };
    let (first, second, third) = (write(1), write(2), write(1));
    first.commit().unwrap();
    second.commit().unwrap();
    assert_eq!(third.commit().unwrap_err().code(), Code::Conflict);
}
