//! A bus that loses power, its process, or its disk at every operation of a script, and again at every operation of the
//! recovery: what is found is a prefix of the commits with every acknowledged one in it, and goes on as if nothing were.
//!
//! `MMSB_CRASHES` sets how many random power cuts are tried at each operation; from 2 on, every way to stop the recovery of
//! every way to stop is tried, else they take turns.

use crate::model::script::{BRANCHES, COMMITS, Expected, Step, expected, kept, open, run, snapshot, step};
use crate::model::setting;
use mmsb::base::ids::Epoch;
use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::memory::disk::{Crash, Fault, Sim};

/// Which prefix of the script the bus is, at least `least` and at most `most` steps; everything about it compared.
fn prefix(bus: &Bus, expected: &Expected, least: usize, most: usize, about: &str) -> usize {
    let found = snapshot(bus).unwrap();
    let known = (least..=most).rev().find(|&n| expected.after.get(n) == Some(&found));
    let Some(n) = known else {
        let any = expected.after.iter().position(|after| *after == found);
        panic!("{about}: {least} to {most} steps wanted, found {any:?}: {found:?}")
    };
    for (name, &(epoch, digest)) in &found {
        let branch = bus.checkout(name).unwrap();
        for &(epoch, digest) in &expected.epochs[&(digest, epoch)] {
            assert_eq!(
                branch.at(Epoch(epoch)).unwrap().digest().unwrap(),
                digest,
                "{about}: {name} at {epoch}"
            );
        }
    }
    bus.audit().unwrap();
    n
}

fn files(sim: &Sim) -> Vec<(String, Option<Vec<u8>>)> {
    sim.paths().into_iter().map(|path| (path.clone(), sim.contents(&path))).collect()
}

/// Opens what a crash left, compares, opens it again, and finishes the script.
fn recover(sim: &Sim, steps: &[Step], expected: &Expected, least: usize, most: usize, about: &str) {
    let bus = open(sim).unwrap_or_else(|error| panic!("{about}: {error}"));
    let n = prefix(&bus, expected, least, most, about);
    drop(bus);
    let bytes = files(sim);
    let bus = open(sim).unwrap();
    assert!(files(sim) == bytes, "{about}: opening again changes bytes");
    assert_eq!(prefix(&bus, expected, n, n, about), n);
    // A step that makes no frame looks like the one before it: doing it again does no harm.
    let (done, error) = run(&bus, steps, n);
    assert!(done == steps.len(), "{about}: step {done} on: {error:?}");
    assert_eq!(snapshot(&bus).unwrap(), *expected.after.last().unwrap(), "{about}: finished");
}

/// What the death of the process and some power cuts leave of a disk, and whether it was a power cut.
fn left_of(sim: &Sim, crashes: u32, seed: u64) -> Vec<(Sim, bool)> {
    let random = (0..u64::from(crashes)).map(|n| (sim.crash(Crash::Random(seed * 1000 + n)), true));
    [(sim.kill(), false), (sim.crash(Crash::KeepNone), true), (sim.crash(Crash::KeepAll), true)]
        .into_iter()
        .chain(random)
        .collect()
}

fn crash_everywhere(steps: &[Step]) {
    let clean = Sim::new(1);
    let expected = expected(&clean, steps);
    let crashes = setting("MMSB_CRASHES", 1);
    let mut points = 0;
    for op in 0..clean.ops() {
        let sim = Sim::new(1);
        sim.stop_at(op);
        let done = match open(&sim) {
            Ok(bus) => run(&bus, steps, 0).0,
            Err(_) => 0,
        };
        let turn = |n: u64, i: usize| crashes > 1 || n % 4 == i as u64;
        for (i, (left, cut)) in left_of(&sim, crashes, op).into_iter().enumerate() {
            let (least, most) = (kept(steps, done, cut), done + 1);
            let about = format!("stopped at operation {op}, way {i}");
            // Depth two: recovery itself is stopped at each of its operations.
            let trial = left.kill();
            let before = trial.ops();
            drop(open(&trial));
            for again in (before..trial.ops()).filter(|_| turn(op, i)) {
                let second = left.kill();
                second.stop_at(again);
                drop(open(&second));
                let ways = left_of(&second, crashes, op + again).into_iter().enumerate();
                for (j, (left, _)) in ways.filter(|(j, _)| turn(op + again, *j)) {
                    let cut = cut || j > 0;
                    let least = if cut { kept(steps, done, true) } else { least };
                    recover(
                        &left,
                        steps,
                        &expected,
                        least,
                        most,
                        &format!("{about}, then at {again}, way {j}"),
                    );
                    points += 1;
                }
            }
            recover(&left, steps, &expected, least, most, &about);
            points += 1;
        }
    }
    println!("{points} crashes");
}

#[test]
fn commits_survive_a_crash_at_any_point() {
    crash_everywhere(COMMITS);
}

#[test]
fn branches_survive_a_crash_at_any_point() {
    crash_everywhere(BRANCHES);
}

/// One operation fails, or it and all later ones.
fn fail_everywhere(steps: &[Step], fault: Fault, forever: bool) {
    let clean = Sim::new(1);
    let expected = expected(&clean, steps);
    for op in 0..clean.ops() {
        let sim = Sim::new(1);
        sim.fail(op, fault, forever);
        let about = format!("{fault:?} at operation {op}, forever: {forever}");
        let (mut done, mut least, mut most) = (0, 0, 0);
        if let Ok(bus) = open(&sim) {
            let (reached, error) = run(&bus, steps, 0);
            done = reached;
            let Some(error) = error else {
                assert_eq!(snapshot(&bus).unwrap(), *expected.after.last().unwrap(), "{about}");
                continue;
            };
            let code = error.code();
            let full = fault == Fault::Full && code == Code::DiskFull;
            assert!(
                full || matches!(code, Code::Io | Code::CommitUnknown | Code::Poisoned),
                "{about}: {error}"
            );
            assert_eq!(snapshot(&bus).unwrap(), expected.after[done], "{about}: nothing is shown");
            bus.audit().unwrap();
            sim.heal();
            least = kept(steps, done, false);
            most = done + usize::from(code == Code::CommitUnknown);
            // It goes on, or says that it does not.
            let mut on = "main";
            match step(&bus, &mut on, Step::Create("later", 1)) {
                Ok(()) => continue,
                Err(error) => assert_eq!(error.code(), Code::Poisoned, "{about}: {error}"),
            }
        }
        sim.heal();
        recover(&sim.kill(), steps, &expected, least, most, &about);
        for (i, (left, cut)) in left_of(&sim, 2, op).into_iter().enumerate() {
            let least = if cut { kept(steps, done, true) } else { least };
            recover(&left, steps, &expected, least, most.max(least), &format!("{about}, way {i}"));
        }
    }
}

#[test]
fn a_full_disk_changes_nothing() {
    for steps in [COMMITS, BRANCHES] {
        fail_everywhere(steps, Fault::Full, false);
        fail_everywhere(steps, Fault::Full, true);
    }
}

#[test]
fn a_failing_disk_loses_nothing_it_acknowledged() {
    for steps in [COMMITS, BRANCHES] {
        fail_everywhere(steps, Fault::Io, false);
        fail_everywhere(steps, Fault::Io, true);
    }
}

/// The commit whose sync fails is the one error after which it may reappear; from then on the writer takes no more.
#[test]
fn a_failed_sync_leaves_the_commit_unknown_and_the_writer_poisoned() {
    use mmsb::page::log::Durability;
    let sim = Sim::new(1);
    let bus = open(&sim).unwrap();
    let mut on = "main";
    step(&bus, &mut on, Step::Create("a", 100)).unwrap();
    let before = snapshot(&bus).unwrap();
    // The append is the next operation, the sync the one after.
    sim.fail(sim.ops() + 1, Fault::Io, false);
    let write = Step::Write("a", 0, 10, 1, Durability::Disk);
    assert_eq!(step(&bus, &mut on, write).unwrap_err().code(), Code::CommitUnknown);
    assert_eq!(snapshot(&bus).unwrap(), before, "not shown");
    for durability in [Durability::Memory, Durability::Process, Durability::Disk] {
        let error = step(&bus, &mut on, Step::Write("a", 0, 10, 2, durability)).unwrap_err();
        assert_eq!(error.code(), Code::Poisoned);
    }
    assert_eq!(step(&bus, &mut on, Step::Branch("b", None)).unwrap_err().code(), Code::Poisoned);
    assert_eq!(snapshot(&bus).unwrap(), before);
    drop(bus);
    for left in [sim.kill(), sim.crash(Crash::KeepNone), sim.crash(Crash::KeepAll)] {
        let bus = open(&left).unwrap();
        assert!(matches!(bus.epoch().unwrap(), Epoch(0..=2)));
        step(&bus, &mut on, Step::Create("b", 100)).unwrap();
    }
}
