//! A checkpoint that cannot be written leaves nothing behind, on a disk that fails once or until it is repaired.

use std::collections::BTreeSet;

use crate::common::{CHUNKS, Step, open, run};
use mmsb::base::ids::Seq;
use mmsb::bus::handle::Bus;
use mmsb::memory::disk::{Disk, Fault, Sim};
use mmsb::page::checkpoint::store;

/// A bus with a checkpoint, and something to tell in a second one.
fn changed() -> (Sim, Bus) {
    let sim = Sim::new(9);
    let bus = open(&sim).unwrap();
    run(&bus, Step::Create(0, 3000), 0).unwrap();
    run(&bus, Step::Write(0, 0, 0, 3000), 0).unwrap();
    bus.checkpoint(&mut |_| {}).unwrap();
    run(&bus, Step::Write(0, 0, 0, 3000), 2).unwrap();
    (sim, bus)
}

/// Files among the checkpoints that belong to none of them.
fn of_no_use(sim: &Sim) -> Vec<String> {
    let used = |seq: Seq| store::read(sim, seq).unwrap().files.into_keys();
    let used: BTreeSet<u64> = store::list(sim).unwrap().into_iter().flat_map(used).collect();
    let mut names = sim.list("ckpt").unwrap();
    names.retain(|name| match name.strip_suffix(CHUNKS) {
        Some(number) => !used.contains(&number.parse().unwrap()),
        None => name.ends_with(".new"),
    });
    names
}

/// Operations of the disk that the second checkpoint takes.
fn operations() -> std::ops::Range<u64> {
    let (sim, bus) = changed();
    let before = sim.ops();
    bus.checkpoint(&mut |_| {}).unwrap();
    before..sim.ops()
}

#[test]
fn a_checkpoint_that_fails_leaves_nothing() {
    let mut failed = 0;
    for op in operations() {
        for fault in [Fault::Io, Fault::Full] {
            let (sim, bus) = changed();
            sim.fail(op, fault, false);
            failed += usize::from(bus.checkpoint(&mut |_| {}).is_err());
            assert_eq!(of_no_use(&sim), [""; 0], "{fault:?} at operation {op}");
        }
    }
    assert!(failed > 8, "{failed}");
}

#[test]
fn what_could_not_be_removed_goes_with_the_next_checkpoint() {
    let mut left = 0;
    for op in operations() {
        let (sim, bus) = changed();
        sim.fail(op, Fault::Full, true);
        if bus.checkpoint(&mut |_| {}).is_ok() {
            continue;
        }
        left += of_no_use(&sim).len();
        sim.heal();
        // What is appended after the log itself failed is another matter.
        if bus.checkpoint(&mut |_| {}).is_ok() {
            assert_eq!(of_no_use(&sim), [""; 0], "operation {op}");
        }
    }
    assert!(left > 3, "{left}");
}

/// The first attempt gets as far as its record, so that the second one takes that one's place; where that fails, it may
/// have done so all the same. Whatever is removed from then on, every record there is has what it refers to.
#[test]
fn a_record_whose_place_was_taken_by_an_attempt_that_failed_is_whole() {
    let refers = |sim: &Sim| {
        for seq in store::list(sim).unwrap() {
            for number in store::read(sim, seq).unwrap().files.into_keys() {
                assert!(sim.exists(&format!("ckpt/{number:010}{CHUNKS}")), "{seq:?} refers to {number}");
            }
        }
    };
    let (operations, mut replaced) = (operations(), 0);
    let count = operations.end - operations.start;
    for first in operations {
        let begin = || {
            let (sim, bus) = changed();
            sim.fail(first, Fault::Full, false);
            let failed = bus.checkpoint(&mut |_| {}).is_err();
            (failed && store::list(&sim).unwrap().len() == 2).then_some((sim, bus))
        };
        for second in 0..count {
            for third in 0..count {
                let Some((sim, bus)) = begin() else { break };
                sim.fail(sim.ops() + second, Fault::Io, false);
                let failed = bus.checkpoint(&mut |_| {}).is_err();
                refers(&sim);
                if !failed {
                    continue;
                }
                replaced += 1;
                sim.stop_at(sim.ops() + third);
                let _ = bus.checkpoint(&mut |_| {});
                refers(&sim);
            }
        }
    }
    assert!(replaced > 0);
}
