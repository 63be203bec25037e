//! Checkpoints, pruning and export under power cuts and deaths: at every operation, and again at every operation of the
//! recovery. What is opened is a prefix of the steps, it holds every one that was acknowledged, at every epoch it is what
//! it was, it opens twice to the same, and it can be written to.
//!
//! The default run takes every few operations; `MMSB_CAMPAIGN=1` takes them all.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::{Epochs, Step, check_epochs, note, quiet, run};
use mmsb::base::clock::ManualClock;
use mmsb::bus::error::{Code, Error};
use mmsb::bus::handle::Bus;
use mmsb::bus::options::Options;
use mmsb::memory::disk::{Crash, Disk, Sim};
use mmsb::page::log::{Durability, LogConfig};

const STEPS: [Step; 22] = [
    Step::Create(0, 3000),
    Step::Write(0, 0, 0, 3000),
    Step::Create(0, 20),
    Step::Checkpoint,
    Step::Write(0, 1, 0, 20),
    Step::Fork(0, 0),
    Step::Write(0, 0, 700, 9),
    Step::Write(1, 0, 2100, 400),
    Step::Checkpoint,
    Step::Resize(1, 0, 4000),
    Step::Fork(1, 2),
    Step::Drop(1, 1),
    Step::Prune(1),
    Step::Write(0, 0, 2500, 300),
    Step::Merge(1),
    Step::Checkpoint,
    Step::Write(2, 0, 0, 3000),
    Step::DropBranch(0),
    Step::Checkpoint,
    Step::Write(0, 0, 0, 3000),
    Step::Prune(1),
    Step::Write(0, 1, 3, 4),
];

/// The states of the living branches: name to epoch.
type Heads = BTreeMap<String, u64>;

fn options() -> Options {
    let log = LogConfig { first_segment: 6144, max_segment: 8192, background: false };
    Options { durability: Durability::Disk, log, ..quiet() }
}

fn open(disk: &Sim) -> Result<Bus, Error> {
    Bus::on_disk(Arc::new(disk.clone()), &options(), Arc::new(ManualClock::new(1_000)))
}

fn heads(bus: &Bus) -> Heads {
    bus.branches().unwrap().into_iter().map(|info| (info.name, info.epoch.0)).collect()
}

/// What the whole workload makes: the heads after each step, and every epoch's digest.
struct Truth {
    heads: Vec<Heads>,
    epochs: Epochs,
    ops: (u64, u64),
}

fn start() -> Sim {
    let sim = Sim::new(7);
    drop(open(&sim).unwrap());
    sim
}

fn truth() -> Truth {
    let sim = start();
    let bus = open(&sim).unwrap();
    let first = sim.ops();
    let mut epochs = Epochs::new();
    note(&bus, &mut epochs);
    let mut all = vec![heads(&bus)];
    for (number, step) in STEPS.into_iter().enumerate() {
        run(&bus, step, number as u64).unwrap();
        note(&bus, &mut epochs);
        all.push(heads(&bus));
    }
    let roots = sim.list("ckpt").unwrap().into_iter().filter(|name| name.ends_with(".root"));
    assert_eq!(roots.count(), 1, "old checkpoints went");
    Truth { heads: all, epochs, ops: (first, sim.ops()) }
}

/// Runs until the disk stops; how many steps were acknowledged.
fn run_until(sim: &Sim, stop: u64) -> usize {
    let Ok(bus) = open(sim) else { return 0 };
    sim.stop_at(stop);
    STEPS
        .into_iter()
        .enumerate()
        .take_while(|(number, step)| run(&bus, *step, *number as u64).is_ok())
        .count()
}

/// Checks what was recovered; `acked` steps must be there, and at most the one after them.
fn check(truth: &Truth, bus: &Bus, acked: usize, what: &str) -> Heads {
    let found = heads(bus);
    let there = truth.heads.iter().enumerate().skip(acked).take(2).any(|(_, heads)| *heads == found);
    assert!(
        there,
        "{what}: {found:?} is not what steps {acked} or one more make: {:?}",
        truth.heads.get(acked)
    );
    check_epochs(bus, &truth.epochs);
    bus.audit().unwrap();
    found
}

fn recovers(truth: &Truth, disk: &Sim, acked: usize, what: &str) {
    let bus = open(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = check(truth, &bus, acked, what);
    let digests = bus.replay_digest(false).unwrap();
    if let Ok(from_zero) = bus.replay_digest(true) {
        assert_eq!(from_zero, digests, "{what}");
    }
    drop(bus);
    let bus = open(disk).unwrap();
    assert_eq!((heads(&bus), bus.replay_digest(false).unwrap()), (found, digests), "{what}: opened again");
    run(&bus, Step::Create(0, 50), 1000).unwrap();
    bus.checkpoint(&mut |_| {}).unwrap();
    drop(bus);
    open(disk).unwrap();
}

fn campaign() -> bool {
    std::env::var_os("MMSB_CAMPAIGN").is_some()
}

#[test]
fn a_crash_at_any_operation_leaves_a_bus() {
    let truth = truth();
    let (every, inner) = if campaign() { (1, 1) } else { (3, 7) };
    let mut cut = 0;
    for stop in (truth.ops.0..=truth.ops.1).step_by(every) {
        let sim = start();
        let acked = run_until(&sim, stop);
        for (seed, dead) in [(stop, sim.kill()), (stop, sim.crash(Crash::Random(stop)))] {
            recovers(&truth, &dead, acked, &format!("stop at {stop}, seed {seed}"));
        }
        // And again while it recovers.
        let probe = sim.crash(Crash::Random(stop));
        let before = probe.ops();
        drop(open(&probe).unwrap());
        for op in (before..probe.ops()).step_by(inner) {
            let again = sim.crash(Crash::Random(stop));
            again.stop_at(op);
            drop(open(&again));
            let dead = again.crash(Crash::Random(op));
            recovers(&truth, &dead, acked, &format!("stop at {stop}, then at {op} of the recovery"));
            cut += 1;
        }
    }
    assert!(cut > 50, "recoveries were cut: {cut}");
}

#[test]
fn an_export_is_a_whole_bus_or_none() {
    let sim = start();
    let bus = open(&sim).unwrap();
    for (number, step) in STEPS.into_iter().enumerate().take(12) {
        run(&bus, step, number as u64).unwrap();
    }
    let digests = bus.replay_digest(false).unwrap();
    let mut whole = 0;
    for stop in 0.. {
        let target = Sim::new(stop);
        target.stop_at(stop);
        let disk: Arc<dyn Disk> = Arc::new(target.clone());
        let done = bus.export_to(&disk, &mut |_| {}).is_ok();
        for dead in [target.kill(), target.crash(Crash::Random(stop))] {
            let exported = dead.exists("bus");
            assert!(exported || !done, "stop at {stop}");
            if exported {
                let copy = open(&dead).unwrap_or_else(|error| panic!("stop at {stop}: {error}"));
                assert_eq!(copy.replay_digest(false).unwrap(), digests, "stop at {stop}");
                run(&copy, Step::Create(0, 50), 1000).unwrap();
                whole += 1;
            } else if !dead.list("ckpt").unwrap().is_empty() || !dead.list("log").unwrap().is_empty() {
                assert_eq!(open(&dead).unwrap_err().code(), Code::NotABus, "stop at {stop}");
            }
        }
        if done {
            break;
        }
    }
    assert!(whole > 0);
}

#[test]
fn damage_is_an_error_or_the_same_state() {
    let sim = start();
    let bus = open(&sim).unwrap();
    let mut epochs = Epochs::new();
    for (number, step) in STEPS.into_iter().enumerate().take(14) {
        run(&bus, step, number as u64).unwrap();
        note(&bus, &mut epochs);
    }
    let found = heads(&bus);
    let digests = bus.replay_digest(false).unwrap();
    drop(bus);
    let (mut refused, mut opened) = (0, 0);
    for name in sim.list("ckpt").unwrap() {
        let path = format!("ckpt/{name}");
        let bits = sim.contents(&path).unwrap().len() as u64 * 8;
        let step = (bits / if campaign() { 20_000 } else { 150 }) | 1;
        for bit in (0..bits).step_by(step as usize) {
            let hurt = sim.kill();
            assert!(hurt.flip(&path, bit));
            match open(&hurt) {
                Ok(bus) => {
                    assert_eq!(heads(&bus), found);
                    assert_eq!(bus.replay_digest(false).unwrap(), digests, "bit {bit} of {path}");
                    opened += 1;
                }
                Err(error) => {
                    assert_eq!(error.code(), Code::CorruptLog, "bit {bit} of {path}: {error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 100 && opened > 0, "refused {refused}, opened {opened}");
}
