//! Opening reads no cells: each page is read in once, when somebody wants it, and whatever is done before that gives what
//! it would have given afterwards.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use crate::common;
use crate::common::{
    CHUNKS, Epochs, ROWS, Step, all_cells, any_step, cells, check_epochs, made, note, open, quiet, row_bytes,
    run,
};
use mmsb::base::ids::Epoch;
use mmsb::base::limits::UNREAD_FILES;
use mmsb::bus::handle::Bus;
use mmsb::bus::merge::three_way::OnConflict;
use mmsb::bus::options::{Mode, Note, Options};
use mmsb::bus::state::State;
use mmsb::bus::transaction::Isolation;
use mmsb::memory::disk::Sim;
use mmsb::page::digest::Digest;
use mmsb::page::log::Durability;
use mmsb::page::select::Select;
use proptest::prelude::*;

/// The bytes of images that a page of so many rows may take: its cells, in whole chunks.
fn image_bytes(rows: u64) -> std::ops::RangeInclusive<u64> {
    row_bytes(rows)..=row_bytes(rows) + 2 * 16384
}

#[test]
fn opening_reads_no_cells_and_a_page_its_own_once() {
    let sim = Sim::new(1);
    let bus = made(&sim);
    let wanted = all_cells(&bus);
    bus.checkpoint(&mut |_| {}).unwrap();
    drop(bus);
    let before = sim.read_of(CHUNKS);
    let bus = open(&sim).unwrap();
    let state = bus.state().unwrap();
    for (id, rows) in state.ids().into_iter().zip(ROWS) {
        assert_eq!((state.info(id).unwrap().rows, state.version(id).unwrap().1), (rows, rows));
    }
    bus.branch("plan", None).unwrap();
    assert_eq!((sim.read_of(CHUNKS), bus.stats().unwrap().unread), (before, 4), "nothing was needed");
    for (i, id) in state.ids().into_iter().enumerate().rev() {
        let before = sim.read_of(CHUNKS);
        assert_eq!(cells(&state, id), wanted[i]);
        let read = sim.read_of(CHUNKS) - before;
        assert!(image_bytes(ROWS[i]).contains(&read), "{read} bytes for {} rows", ROWS[i]);
        assert_eq!(bus.stats().unwrap().unread, i as u64);
        bus.audit().unwrap();
        assert_eq!(cells(&bus.checkout("plan").unwrap().state().unwrap(), id), wanted[i]);
        assert_eq!(sim.read_of(CHUNKS) - before, read, "once");
    }
}

#[test]
fn the_tail_of_the_log_needs_the_pages_that_it_changes() {
    let sim = Sim::new(1);
    let bus = made(&sim);
    bus.checkpoint(&mut |_| {}).unwrap();
    run(&bus, Step::Write(0, 2, 7, 5), 200).unwrap();
    let wanted = all_cells(&bus);
    drop(bus);
    let before = sim.read_of(CHUNKS);
    let bus = open(&sim).unwrap();
    let read = sim.read_of(CHUNKS) - before;
    assert!(image_bytes(ROWS[2]).contains(&read), "{read}");
    assert_eq!(bus.stats().unwrap().unread, 3);
    bus.audit().unwrap();
    assert_eq!(all_cells(&bus), wanted);
}

#[test]
fn what_branches_share_is_read_and_kept_once() {
    let sim = Sim::new(1);
    let bus = made(&sim);
    run(&bus, Step::Fork(0, 0), 300).unwrap();
    let plan = bus.checkout("branch 300").unwrap();
    // The branch is the first by name.
    run(&bus, Step::Write(0, 3, 20_000, 10), 302).unwrap();
    let (ours, theirs) = (all_cells(&bus), all_cells(&plan));
    assert_ne!(ours, theirs);
    bus.checkpoint(&mut |_| {}).unwrap();
    drop((bus, plan));
    let before = sim.read_of(CHUNKS);
    let bus = open(&sim).unwrap();
    let plan = bus.checkout("branch 300").unwrap();
    let id = bus.state().unwrap().ids()[3];
    assert_eq!(cells(&plan.state().unwrap(), id), theirs[3]);
    let read = sim.read_of(CHUNKS) - before;
    assert!(image_bytes(ROWS[3]).contains(&(read - 16384)), "one chunk differs: {read}");
    let differs = bus.diff(&bus.state().unwrap(), &plan.state().unwrap()).unwrap();
    assert_eq!(differs.len(), 1);
    assert_eq!(sim.read_of(CHUNKS) - before, read, "the other version came with it, the other pages not");
    assert_eq!((all_cells(&bus), all_cells(&plan)), (ours, theirs));
    bus.audit().unwrap();
}

#[test]
fn many_threads_read_a_page_in_once() {
    let sim = Sim::new(1);
    let bus = made(&sim);
    let wanted = all_cells(&bus);
    bus.checkpoint(&mut |_| {}).unwrap();
    drop(bus);
    for round in 0..20 {
        let before = sim.read_of(CHUNKS);
        let bus = open(&sim).unwrap();
        let start = Barrier::new(8);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (bus, wanted, start) = (&bus, &wanted, &start);
                scope.spawn(move || {
                    let state = bus.state().unwrap();
                    let ids = state.ids();
                    start.wait();
                    for i in 0..ids.len() {
                        let i = (i + if round % 2 == 0 { 0 } else { thread }) % ids.len();
                        assert_eq!(cells(&state, ids[i]), wanted[i]);
                    }
                });
            }
        });
        let read = sim.read_of(CHUNKS) - before;
        let all: u64 = ROWS.iter().map(|&rows| row_bytes(rows)).sum();
        assert!((all..all + 8 * 16384).contains(&read), "{read} of {all}");
        bus.audit().unwrap();
    }
}

#[test]
fn writers_and_readers_meet_on_pages_that_are_unread() {
    let sim = Sim::new(1);
    let bus = made(&sim);
    let wanted = all_cells(&bus);
    bus.checkpoint(&mut |_| {}).unwrap();
    drop(bus);
    for round in 0..20 {
        // Each round begins with what the disk was.
        let bus = open(&sim.kill()).unwrap();
        let start = Barrier::new(4);
        let held = bus.state().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let (bus, wanted, start, held) = (&bus, &wanted, &start, &held);
                scope.spawn(move || {
                    let ids = held.ids();
                    start.wait();
                    if thread == 0 {
                        for (i, rows) in ROWS.into_iter().enumerate() {
                            run(bus, Step::Write(0, i, round, 3), 1000 + round).unwrap();
                            run(bus, Step::Resize(0, i, rows + round), 1001).unwrap();
                        }
                        run(bus, Step::Drop(0, 1), 1002).unwrap();
                        return;
                    }
                    for (i, &id) in ids.iter().enumerate() {
                        assert_eq!(cells(held, id), wanted[i], "a state that is held is what it was");
                    }
                });
            }
        });
        drop(held);
        bus.audit().unwrap();
        let digests = bus.replay_digest(true).unwrap();
        assert_eq!(digests[0].digest, bus.state().unwrap().digest().unwrap());
    }
}

/// Does `act` right after opening, without anything having been read, and with everything read: both come to the same.
fn alike(what: &str, act: impl Fn(&Bus)) {
    let sim = Sim::new(1);
    let bus = made(&sim);
    run(&bus, Step::Fork(0, 2), 300).unwrap();
    run(&bus, Step::Write(0, 3, 20_000, 10), 302).unwrap();
    run(&bus, Step::Write(1, 2, 2000, 10), 303).unwrap();
    bus.checkpoint(&mut |_| {}).unwrap();
    drop(bus);
    let [lazy, eager] = [false, true].map(|first| {
        let bus = open(&sim.kill()).unwrap();
        assert!(bus.stats().unwrap().unread > 0);
        let held = bus.state().unwrap();
        if first {
            held.digest().unwrap();
            bus.checkout("branch 300").unwrap().state().unwrap().digest().unwrap();
            assert_eq!(bus.stats().unwrap().unread, 0);
        }
        act(&bus);
        bus.audit().unwrap();
        let mut epochs = Epochs::new();
        note(&bus, &mut epochs);
        assert!(check_epochs(&bus, &epochs) > 2);
        bus.audit().unwrap();
        (held.digest().unwrap(), epochs, bus.newest())
    });
    assert_eq!(lazy, eager, "{what}");
}

#[test]
fn whatever_comes_first_finds_the_cells() {
    let quiet = Note::default;
    let plan = |bus: &Bus| bus.checkout("branch 300").unwrap();
    let first = |bus: &Bus| bus.state().unwrap().ids()[3];
    for which in 0..4 {
        alike("write", |bus| run(bus, Step::Write(1, which, 5, 5), 400).unwrap());
        alike("drop", |bus| run(bus, Step::Drop(1, which), 400).unwrap());
        alike("resize", |bus| run(bus, Step::Resize(1, which, 1234), 400).unwrap());
    }
    alike("drop a branch", |bus| plan(bus).drop_branch().unwrap());
    alike("branch", |bus| run(bus, Step::Fork(0, 0), 400).unwrap());
    alike("branch in the past", |bus| run(bus, Step::Fork(1, 3), 400).unwrap());
    alike("merge", |bus| {
        let _ = bus.merge(&plan(bus), OnConflict::Theirs, &quiet()).unwrap();
    });
    alike("merge back", |bus| {
        let _ = plan(bus).merge(bus, OnConflict::Theirs, &quiet()).unwrap();
    });
    alike("revert", |bus| {
        let _ = bus.revert(Epoch(3), &quiet()).unwrap();
    });
    alike("checkpoint", |bus| drop(bus.checkpoint(&mut |_| {}).unwrap()));
    alike("update", |bus| {
        let _ = bus.update(first(bus), 0, &vec![9; 320_000], &quiet()).unwrap();
    });
    alike("digest", |bus| {
        let _ = bus.state().unwrap().digest().unwrap();
    });
    alike("the past", |bus| {
        let _ = bus.at(Epoch(8)).unwrap().digest().unwrap();
    });
    alike("diff", |bus| {
        let (now, then) = (bus.state().unwrap(), bus.at(Epoch(8)).unwrap());
        assert!(!bus.diff(&now, &then).unwrap().is_empty());
    });
    alike("a transaction", |bus| {
        let mut tx = bus.begin(Isolation::Serializable, quiet()).unwrap();
        let id = first(bus);
        let bytes = tx.view(id, 1).unwrap().bytes().to_vec();
        tx.resize(id, 41_000).unwrap();
        assert_eq!(&tx.view(id, 1).unwrap().bytes()[..bytes.len()], bytes);
        tx.update(id, 1, &vec![3; 123_000]).unwrap();
        tx.commit().unwrap().unwrap();
    });
    alike("export", |bus| {
        let sim = Sim::new(9);
        bus.export_to(&(Arc::new(sim.clone()) as _), &mut |_| {}).unwrap();
        let copy = open(&sim).unwrap();
        assert_eq!(copy.stats().unwrap().unread, 4);
        assert_eq!(all_cells(&copy), all_cells(bus));
    });
}

#[test]
fn pruning_takes_nothing_from_a_page_that_is_unread() {
    let sim = Sim::new(1);
    let bus = made(&sim);
    bus.checkpoint(&mut |_| {}).unwrap();
    run(&bus, Step::Write(0, 3, 0, 39_000), 400).unwrap();
    bus.checkpoint(&mut |_| {}).unwrap();
    let wanted = all_cells(&bus);
    drop(bus);
    let reader = Options { mode: Mode::Read, ..quiet() };
    let clock = || Arc::new(mmsb::base::clock::ManualClock::new(1));
    let beside = Bus::on_disk(Arc::new(sim.for_reading()), &reader, clock()).unwrap();
    assert_eq!(beside.stats().unwrap().unread, 4);
    let bus = open(&sim).unwrap();
    assert!(bus.prune(1, &mut |_| {}).unwrap().checkpoints == 1);
    assert_eq!(all_cells(&bus), wanted);
    assert_eq!(all_cells(&beside), wanted, "who reads beside the writer holds on to what it may need");
    let third = bus.checkpoint(&mut |_| {}).unwrap();
    assert!(third.bytes < 20_000, "what was read in is known: {third:?}");
}

#[test]
fn memory_that_is_used_again_is_not_taken_for_what_it_was() {
    let sim = Sim::new(1);
    let bus = open(&sim).unwrap();
    let plan = bus.branch("plan", None).unwrap();
    for (i, branch) in [&bus, &plan].into_iter().enumerate() {
        let id = branch.create_page("a", common::schema(), 40_000, &Note::default()).unwrap();
        let cells: Vec<f64> = (0..40_000).map(|row| f64::from(row) + i as f64 / 4.0).collect();
        branch.assign(id, 0, Select::range(0, 40_000), &cells, &Note::default()).unwrap();
    }
    let wanted = plan.state().unwrap().digest().unwrap();
    bus.checkpoint(&mut |_| {}).unwrap();
    drop((bus, plan));
    let bus = open(&sim).unwrap();
    let state = bus.state().unwrap();
    let before = state.digest().unwrap();
    assert_eq!(bus.stats().unwrap().unread, 1, "of the other branch");
    let id = state.ids()[0];
    drop(state);
    for i in 0..3 {
        bus.assign(id, 0, Select::range(0, 40_000), &[f64::from(i); 40_000], &Note::default()).unwrap();
    }
    assert_ne!(bus.state().unwrap().digest().unwrap(), before);
    let plan = bus.checkout("plan").unwrap();
    assert_eq!(plan.state().unwrap().digest().unwrap(), wanted);
    bus.checkpoint(&mut |_| {}).unwrap();
    drop((bus, plan));
    let plan = open(&sim).unwrap().checkout("plan").unwrap();
    assert_eq!(plan.state().unwrap().digest().unwrap(), wanted);
}

#[test]
fn a_snapshot_outlives_its_bus_with_pages_that_are_unread() {
    let sim = Sim::new(1);
    let bus = made(&sim);
    bus.checkpoint(&mut |_| {}).unwrap();
    let wanted = all_cells(&bus);
    drop(bus);
    let bus = open(&sim).unwrap();
    let state = bus.state().unwrap();
    assert_eq!(cells(&state, state.ids()[1]), wanted[1]);
    bus.close();
    let next = open(&sim).unwrap();
    for which in 0..4 {
        run(&next, Step::Write(0, which, 0, 40_000), 400).unwrap();
    }
    next.squash(&mut |_| {}).unwrap();
    for (i, id) in state.ids().into_iter().enumerate() {
        assert_eq!(cells(&state, id), wanted[i], "from files that are gone for others");
    }
}

#[test]
fn a_checkpoint_in_too_many_files_is_read_at_once() {
    let sim = Sim::new(1);
    let bus = open(&sim).unwrap();
    for i in 0..UNREAD_FILES {
        run(&bus, Step::Create(0, 9), i as u64).unwrap();
        run(&bus, Step::Write(0, i, 0, 9), 100).unwrap();
        bus.checkpoint(&mut |_| {}).unwrap();
    }
    assert_eq!(open(&sim.kill()).unwrap().stats().unwrap().unread, UNREAD_FILES as u64);
    run(&bus, Step::Create(0, 9), 1000).unwrap();
    run(&bus, Step::Write(0, UNREAD_FILES, 0, 9), 100).unwrap();
    bus.checkpoint(&mut |_| {}).unwrap();
    let wanted = all_cells(&bus);
    let bus = open(&sim.kill()).unwrap();
    assert_eq!(bus.stats().unwrap().unread, 0);
    assert_eq!(all_cells(&bus), wanted);
}

#[test]
fn the_background_reads_in_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let options = Options { durability: Durability::Memory, ..quiet() };
    let bus = Bus::open(&path, &options).unwrap();
    for (i, rows) in ROWS.into_iter().enumerate() {
        run(&bus, Step::Create(0, rows), i as u64).unwrap();
        run(&bus, Step::Write(0, i, 0, rows), 100).unwrap();
    }
    let wanted = all_cells(&bus);
    bus.checkpoint(&mut |_| {}).unwrap();
    drop(bus);
    let reader = Bus::open(&path, &Options { mode: Mode::Read, ..options.clone() }).unwrap();
    let bus = Bus::open(&path, &options).unwrap();
    let give_up = Instant::now() + Duration::from_secs(60);
    while bus.stats().unwrap().unread > 0 {
        assert!(Instant::now() < give_up, "{:?}", bus.stats().unwrap());
        std::thread::sleep(Duration::from_millis(1));
    }
    bus.audit().unwrap();
    assert_eq!(all_cells(&bus), wanted);
    assert_eq!(reader.stats().unwrap().unread, 4, "a reader reads what it is asked for");
    assert_eq!(all_cells(&reader), wanted);
    for _ in 0..20 {
        drop(bus.clone());
    }
    drop((bus, reader));
    // Closed at once: the thread ends, whatever it is at.
    (0..20).for_each(|_| Bus::open(&path, &options).unwrap().close());
}

fn heads(bus: &Bus) -> Epochs {
    let mut epochs = Epochs::new();
    note(bus, &mut epochs);
    epochs
}

fn rows() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![0..30u64, 300..1500u64, 3000..9000u64]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    /// One bus is never closed; the other is opened again and again, and looked at only at the end.
    #[test]
    fn a_bus_that_was_never_read_is_what_it_would_be(
        steps in prop::collection::vec((any_step(rows()), prop::bool::weighted(0.3), prop::bool::weighted(0.2)), 1..60)
    ) {
        let (plain, sim) = (Sim::new(1), Sim::new(1));
        let steady = open(&plain).unwrap();
        let mut bus = open(&sim).unwrap();
        let mut epochs = heads(&steady);
        let mut held: Vec<(State, Digest)> = Vec::new();
        for (number, (step, reopen, hold)) in steps.iter().enumerate() {
            run(&steady, *step, number as u64).unwrap();
            epochs.extend(heads(&steady));
            run(&bus, *step, number as u64).unwrap();
            bus.audit().unwrap();
            if *reopen {
                for (state, digest) in held.drain(..) {
                    prop_assert_eq!(state.digest().unwrap(), digest);
                }
                drop(bus);
                bus = open(&sim).unwrap();
                bus.audit().unwrap();
            }
            if *hold {
                for info in bus.branches().unwrap() {
                    let digest = epochs[&(info.name.clone(), info.epoch.0)];
                    held.push((bus.checkout(&info.name).unwrap().state().unwrap(), digest));
                }
            }
        }
        prop_assert_eq!(heads(&bus), heads(&steady));
        for (state, digest) in held {
            prop_assert_eq!(state.digest().unwrap(), digest);
        }
        check_epochs(&bus, &epochs);
        bus.audit().unwrap();
    }
}
