//! Checkpoints: what is opened from one is what was, at every epoch, with what branches share shared.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::common::{Epochs, Step, any_step, check_epochs, note, open, quiet, run};
use mmsb::base::clock::ManualClock;
use mmsb::base::ids::Epoch;
use mmsb::bus::error::{Code, Error};
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::past::history::Filter;
use mmsb::bus::upkeep::verify::verify_disk;
use mmsb::memory::disk::{Disk, Fault, Sim};
use mmsb::page::checkpoint::store;
use proptest::prelude::*;

fn rows() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![0..30u64, 300..1500u64, 3000..9000u64, 530_000..540_000u64]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn every_epoch_is_what_it_was(steps in prop::collection::vec((any_step(rows()), prop::bool::weighted(0.1)), 1..40)) {
        let sim = Sim::new(1);
        let mut bus = open(&sim).unwrap();
        let mut epochs = Epochs::new();
        note(&bus, &mut epochs);
        for (number, (step, reopen)) in steps.iter().enumerate() {
            run(&bus, *step, number as u64).unwrap();
            note(&bus, &mut epochs);
            if *reopen {
                drop(bus);
                bus = open(&sim).unwrap();
            }
        }
        bus.audit().unwrap();
        let there = check_epochs(&bus, &epochs);
        let newest = bus.newest();
        drop(bus);
        let bus = open(&sim).unwrap();
        prop_assert_eq!(bus.newest(), newest);
        bus.audit().unwrap();
        let from_checkpoint = bus.replay_digest(false).unwrap();
        match bus.replay_digest(true) {
            Ok(from_zero) => prop_assert_eq!(&from_zero, &from_checkpoint),
            Err(error) => prop_assert!(matches!(error, Error::Pruned { .. }), "{}", error),
        }
        let exported = Sim::new(2);
        let disk: Arc<dyn Disk> = Arc::new(exported.clone());
        bus.export_to(&disk, &mut |_| {}).unwrap();
        let copy = open(&exported).unwrap();
        prop_assert_eq!(copy.replay_digest(false).unwrap(), from_checkpoint);
        copy.audit().unwrap();
        run(&copy, Step::Create(0, 100), 1_000_000).unwrap();
        run(&copy, Step::Fork(0, 1), 1_000_001).unwrap();
        prop_assert_eq!(check_epochs(&bus, &epochs), there);
        let mut after = Epochs::new();
        note(&bus, &mut after);
        prop_assert!(after.iter().all(|(key, digest)| epochs.get(key) == Some(digest)));
    }
}

#[test]
fn a_second_checkpoint_writes_what_is_new() {
    let sim = Sim::new(1);
    let bus = open(&sim).unwrap();
    run(&bus, Step::Create(0, 200_000), 0).unwrap();
    run(&bus, Step::Write(0, 0, 0, 200_000), 2).unwrap();
    let first = bus.checkpoint(&mut |_| {}).unwrap();
    assert!(first.bytes >= 1_600_000 && first.reused == 0, "{first:?}");
    run(&bus, Step::Write(0, 0, 100_000, 1), 4).unwrap();
    let second = bus.checkpoint(&mut |_| {}).unwrap();
    assert!(second.bytes < 20_000 && second.reused >= 1_590_000, "{second:?}");
    drop(bus);
    let bus = open(&sim).unwrap();
    run(&bus, Step::Write(0, 0, 5, 1), 6).unwrap();
    let third = bus.checkpoint(&mut |_| {}).unwrap();
    assert!(third.bytes < 20_000 && third.reused >= 1_590_000, "what was loaded is known: {third:?}");
    let pruned = bus.prune(1, &mut |_| {}).unwrap();
    assert_eq!(pruned.checkpoints, 2);
    assert_eq!(sim.list("ckpt").unwrap().iter().filter(|name| name.ends_with(".root")).count(), 1);
    for n in 0..8 {
        run(&bus, Step::Write(0, 0, n * 25_000, 25_000), n * 2).unwrap();
    }
    bus.squash(&mut |_| {}).unwrap();
    let chunks: u64 = sim
        .list("ckpt")
        .unwrap()
        .iter()
        .map(|name| sim.contents(&format!("ckpt/{name}")).unwrap().len() as u64)
        .sum();
    assert!(chunks < 2_000_000, "mostly dead files are rewritten: {chunks}");
    let digest = bus.state().unwrap().digest().unwrap();
    drop(bus);
    assert_eq!(open(&sim).unwrap().state().unwrap().digest().unwrap(), digest);
}

#[test]
fn small_pages_that_were_loaded_are_not_written_again() {
    let sim = Sim::new(1);
    let bus = open(&sim).unwrap();
    for page in 0..200 {
        run(&bus, Step::Create(0, 40), page).unwrap();
        run(&bus, Step::Write(0, page as usize, 0, 40), 1000).unwrap();
    }
    let first = bus.checkpoint(&mut |_| {}).unwrap();
    assert!(first.bytes > 200 * 440 && first.reused == 0, "{first:?}");
    // It comes with every checkpoint.
    let record = sim.contents(&first.path).unwrap().len() as u64;
    drop(bus);
    let bus = open(&sim).unwrap();
    run(&bus, Step::Write(0, 7, 0, 40), 1002).unwrap();
    let second = bus.checkpoint(&mut |_| {}).unwrap();
    assert!(second.bytes < record + 2000 && second.reused >= 199 * 440, "{second:?}, records of {record}");
    let digest = bus.state().unwrap().digest().unwrap();
    drop(bus);
    assert!(verify_disk(Arc::new(sim.for_reading()), &mut |_| {}).unwrap().ok);
    assert_eq!(open(&sim).unwrap().state().unwrap().digest().unwrap(), digest);
}

#[test]
fn squashing_lets_all_history_go_however_little_there_is() {
    let sim = Sim::new(2);
    let bus = open(&sim).unwrap();
    run(&bus, Step::Create(0, 100), 0).unwrap();
    run(&bus, Step::Write(0, 0, 0, 100), 2).unwrap();
    run(&bus, Step::Write(0, 0, 5, 1), 4).unwrap();
    let (epoch, digest) = (bus.epoch().unwrap(), bus.state().unwrap().digest().unwrap());
    let squashed = bus.squash(&mut |_| {}).unwrap();
    assert_eq!(squashed.first, epoch);
    assert_eq!(bus.at(Epoch(epoch.0 - 1)).unwrap_err().code(), Code::HistoryPruned);
    let mut told = 0;
    bus.log(&Filter::default(), |_| {
        told += 1;
        true
    })
    .unwrap();
    assert_eq!(told, 0, "the log has nothing that the past has not");
    run(&bus, Step::Write(0, 0, 7, 1), 6).unwrap();
    assert_eq!(bus.at(epoch).unwrap().digest().unwrap(), digest);
    let after = bus.state().unwrap().digest().unwrap();
    drop(bus);
    let bus = open(&sim).unwrap();
    assert_eq!(
        (bus.state().unwrap().digest().unwrap(), bus.at(epoch).unwrap().digest().unwrap()),
        (after, digest)
    );
    bus.squash(&mut |_| {}).unwrap();
    bus.squash(&mut |_| {}).unwrap();
    assert_eq!(bus.state().unwrap().digest().unwrap(), after);
}

/// The numbers of the chunk files there are, and of those that records refer to.
fn chunk_files(sim: &Sim) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let names = sim.list("ckpt").unwrap();
    let there = names.iter().filter_map(|name| name.strip_suffix(".chunks")?.parse().ok());
    let seqs = store::list(sim).unwrap();
    let records = seqs.into_iter().map(|seq| store::read(sim, seq).unwrap());
    (there.collect(), records.flat_map(|record| record.files.into_keys()).collect())
}

#[test]
fn pruning_that_fails_anywhere_leaves_what_is_there_in_use() {
    let (mut in_time, mut late) = (0, 0);
    for op in 0.. {
        let sim = Sim::new(5);
        let bus = open(&sim).unwrap();
        let mut epochs = Epochs::new();
        for (number, step) in [
            Step::Create(0, 60_000),
            Step::Write(0, 0, 0, 60_000),
            Step::Checkpoint,
            Step::Write(0, 0, 0, 50_000),
            Step::Checkpoint,
            Step::Write(0, 0, 20_000, 1),
            Step::Checkpoint,
        ]
        .into_iter()
        .enumerate()
        {
            run(&bus, step, number as u64 & !1).unwrap();
            note(&bus, &mut epochs);
        }
        let (before, used) = chunk_files(&sim);
        assert_eq!((before.len(), &before), (3, &used));
        sim.fail(sim.ops() + op, Fault::Full, false);
        let done = bus.prune(2, &mut |_| {});
        sim.heal();
        let roots = store::list(&sim).unwrap();
        if roots.len() == 3 {
            // The log's own part comes first.
            assert!(done.is_err());
            continue;
        }
        let what = format!("at {op}: {done:?}");
        assert_eq!(bus.stats().unwrap().checkpoints, 2, "{what}");
        check_epochs(&bus, &epochs);
        let (there, used) = chunk_files(&sim);
        assert!(used.is_subset(&there), "{what}: {used:?} of {there:?}");
        assert!(there.difference(&used).all(|file| before.contains(file)), "{what}: {used:?} of {there:?}");
        let moved = !used.is_subset(&before);
        *(if moved { &mut late } else { &mut in_time }) += u32::from(done.is_err());
        run(&bus, Step::Write(0, 0, 7, 1), 8).unwrap();
        bus.checkpoint(&mut |_| {}).unwrap();
        bus.prune(1, &mut |_| {}).unwrap();
        let (there, used) = chunk_files(&sim);
        assert_eq!(there, used, "{what}");
        bus.checkpoint(&mut |_| {}).unwrap();
        let digest = bus.state().unwrap().digest().unwrap();
        drop(bus);
        assert!(verify_disk(Arc::new(sim.for_reading()), &mut |_| {}).unwrap().ok, "{what}");
        assert_eq!(open(&sim).unwrap().state().unwrap().digest().unwrap(), digest, "{what}");
        if done.is_ok() {
            break;
        }
    }
    assert!(in_time > 4 && late > 4, "failed before records were told anew {in_time} times, later {late}");
}

#[test]
fn a_checkpoint_that_was_taken_away_is_missed() {
    let sim = Sim::new(3);
    let bus = open(&sim).unwrap();
    run(&bus, Step::Create(0, 100), 0).unwrap();
    bus.checkpoint(&mut |_| {}).unwrap();
    let newest = bus.checkpoint(&mut |_| {}).unwrap();
    drop(bus);
    assert!(verify_disk(Arc::new(sim.clone()), &mut |_| {}).unwrap().ok);
    sim.remove(&newest.path).unwrap();
    let report = verify_disk(Arc::new(sim.clone()), &mut |_| {}).unwrap();
    assert!(!report.ok && report.findings[0].contains(&newest.path), "{report:?}");
}

#[test]
fn memory_that_was_let_go_of_is_there_for_the_next_commit() {
    let options = Options { budget: Some(48 << 20), ..quiet() };
    let bus = Bus::on_disk(Arc::new(Sim::new(4)), &options, Arc::new(ManualClock::new(1))).unwrap();
    run(&bus, Step::Create(0, 1_000_000), 0).unwrap();
    let mut held = Vec::new();
    let refused = (0..20).find_map(|n| {
        held.push(bus.state().unwrap());
        run(&bus, Step::Write(0, 0, 0, 1_000_000), n).err()
    });
    assert_eq!(refused.unwrap().code(), Code::MemoryBudget);
    held.clear();
    run(&bus, Step::Write(0, 0, 0, 1_000_000), 21).unwrap();
}

#[test]
fn memory_that_was_let_go_of_is_there_for_an_update_that_has_to_read_its_page() {
    const ROWS: u64 = 1_000_000;
    let disk = Arc::new(Sim::new(4));
    let options = Options { budget: Some(48 << 20), ..quiet() };
    let open = || Bus::on_disk(disk.clone(), &options, Arc::new(ManualClock::new(1))).unwrap();
    let bus = open();
    for which in 0..2 {
        run(&bus, Step::Create(0, ROWS), which).unwrap();
        run(&bus, Step::Write(0, which as usize, 0, ROWS), 0).unwrap();
    }
    bus.checkpoint(&mut |_| {}).unwrap();
    drop(bus);
    let bus = open();
    let (mut held, page) = (Vec::new(), bus.state().unwrap().ids()[1]);
    let refused = (0..20).find_map(|n| {
        held.push(bus.state().unwrap());
        run(&bus, Step::Write(0, 0, 0, ROWS), n).err()
    });
    assert_eq!(refused.unwrap().code(), Code::MemoryBudget);
    let (bytes, epoch) = (vec![7; 8 * ROWS as usize], bus.epoch().unwrap());
    let update = || bus.update(page, 0, &bytes, &Note::default());
    assert_eq!(update().unwrap_err().code(), Code::MemoryBudget, "nothing was let go of");
    assert_eq!(bus.epoch().unwrap(), epoch);
    held.clear();
    update().unwrap();
    assert_eq!(bus.state().unwrap().view(page, 0, None).unwrap().bytes(), bytes);
    bus.audit().unwrap();
}
