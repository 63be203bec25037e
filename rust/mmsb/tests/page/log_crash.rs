//! The power goes, or the process dies, at every operation of a workload, and again at every operation of the recovery.

use crate::log_common::*;
use mmsb::memory::disk::{Crash, Sim};
use mmsb::page::log::{Log, LogError};
use std::sync::Arc;

/// What a run may rely on, whatever happens next.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    created: bool,
    /// Frames appended, and of those known durable.
    appended: u64,
    durable: u64,
}

/// Creates a log and uses everything it can do; stops at the first failure.
fn workload(sim: &Sim, known: &mut Known) -> Result<(), LogError> {
    let mut log = Log::create(Arc::new(sim.clone()), SMALL)?;
    known.created = true;
    let syncer = log.syncer();
    for n in 1..=34 {
        append(&mut log, n)?;
        known.appended = n;
        if matches!(n, 4 | 5 | 14 | 30) {
            syncer.sync_through(log.head())?;
        }
        if n == 20 {
            log.compress_sealed()?;
        }
        if n == 24 {
            let second = log.reader().segments()?[1].start;
            log.prune_before(second)?;
        }
        if n == 26 {
            log.checkpointed("c26", 26)?;
        }
        known.durable = durable(&log, known.durable);
    }
    log.close()?;
    known.durable = known.appended;
    Ok(())
}

/// Frames that end at or before the synced position.
fn durable(log: &Log, before: u64) -> u64 {
    let reader = log.reader();
    let mut frames = reader.frames(log.start_position(), log.synced());
    let mut last = before;
    while let Ok(Some((head, _))) = frames.next_frame() {
        last = head.seq.0;
    }
    last
}

/// Opens what a crash left and checks that it is a log with at least the durable frames and no others than were
/// appended (the one under way may be whole). The number of its last frame; `None` if it was never made.
fn recover(sim: &Sim, known: Known, what: &str) -> Option<u64> {
    let (log, found) = match open(sim, SMALL) {
        Err(LogError::NotABus { .. }) if !known.created => {
            // An unfinished creation does not stand in the way of another.
            drop(Log::create(Arc::new(sim.clone()), SMALL).unwrap_or_else(|e| panic!("{what}: {e}")));
            return None;
        }
        opened => opened.unwrap_or_else(|error| panic!("{what}: {error}; {known:?}; {:?}", sim.paths())),
    };
    let last = found.last.map_or(0, |last| last.seq.0);
    assert!(known.durable <= last && last <= known.appended + 1, "{what}: {known:?} but {found:?}");
    let reader = log.reader();
    let first = if last == 0 { 1 } else { reader.frame_head(reader.start()).unwrap().seq.0 };
    assert_eq!(read_all(&reader, first).unwrap(), last, "{what}");
    Some(last)
}

/// After the recovery everything found is durable, opening again changes nothing, and the log goes on.
fn goes_on(sim: &Sim, last: u64, what: &str) {
    let dark = sim.crash(Crash::KeepNone);
    let all = Known { created: true, appended: last, durable: last };
    assert_eq!(recover(&dark, all, what), Some(last), "{what}");
    let paths = dark.paths();
    let (mut log, found) = open(&dark, SMALL).unwrap();
    assert_eq!((found.cut, found.removed.len()), (None, 0), "{what}: {found:?}");
    assert_eq!(dark.paths(), paths, "{what}");
    for n in last + 1..=last + 12 {
        append(&mut log, n).unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    log.syncer().sync_through(log.head()).unwrap();
    append(&mut log, last + 13).unwrap();
    let known = Known { created: true, appended: last + 13, durable: last + 12 };
    recover(&dark.crash(Crash::KeepNone), known, what);
    recover(&dark.crash(Crash::Random(last)), known, what);
    drop(log);
    let (log, _) = open(&dark.kill(), SMALL).unwrap();
    let reader = log.reader();
    let first = reader.frame_head(reader.start()).unwrap().seq.0;
    check_indexes(&reader, first, last + 13);
}

/// A way to lose what a disk has not synced, and its name.
type Way = (String, Box<dyn Fn(&Sim) -> Sim>);

fn ways(stop: u64) -> Vec<Way> {
    let mut ways: Vec<Way> = vec![
        ("death".into(), Box::new(Sim::kill)),
        ("nothing reached the disk".into(), Box::new(|sim: &Sim| sim.crash(Crash::KeepNone))),
        ("everything reached the disk".into(), Box::new(|sim: &Sim| sim.crash(Crash::KeepAll))),
    ];
    for seed in 0..4 {
        let seed = stop * 31 + seed;
        ways.push((format!("seed {seed}"), Box::new(move |sim: &Sim| sim.crash(Crash::Random(seed)))));
    }
    ways
}

/// Runs the workload until operation `stop`.
fn stopped(stop: u64) -> (Sim, Known, bool) {
    let (sim, mut known) = (Sim::new(stop), Known::default());
    sim.stop_at(stop);
    let done = workload(&sim, &mut known).is_ok();
    (sim, known, done)
}

#[test]
fn every_operation_may_be_the_last() {
    let mut stop = 0;
    loop {
        let (sim, known, done) = stopped(stop);
        for (way, crash) in ways(stop) {
            let what = format!("stop at {stop}, {way}");
            let left = crash(&sim);
            if let Some(last) = recover(&left, known, &what) {
                if way == "death" {
                    assert!(last >= known.appended, "{what}: death loses nothing");
                }
                goes_on(&left, last, &what);
            }
        }
        if done {
            break;
        }
        stop += 1;
    }
    assert!(stop > 100, "{stop} operations");
}

#[test]
fn every_operation_of_the_recovery_may_be_the_last() {
    let mut deepest = 0;
    for stop in (0..).step_by(3) {
        let (sim, known, done) = stopped(stop);
        for (way, crash) in ways(stop).into_iter().skip((stop % 3) as usize).step_by(3) {
            for again in 0.. {
                let what = format!("stop at {stop}, {way}, again at {again}");
                let left = crash(&sim);
                left.stop_at(again);
                let _ = open(&left, SMALL);
                let finished = left.ops() <= again;
                deepest = deepest.max(again);
                for (way, crash) in ways(again).into_iter().skip((again % 2) as usize).step_by(2) {
                    let what = format!("{what}, {way}");
                    let left = crash(&left);
                    if let Some(last) = recover(&left, known, &what) {
                        let all = Known { created: true, appended: last, durable: last };
                        assert_eq!(recover(&left.crash(Crash::KeepNone), all, &what), Some(last));
                    }
                }
                if finished {
                    break;
                }
            }
        }
        if done {
            break;
        }
    }
    assert!(deepest > 8, "{deepest} operations");
}

/// A log that was cut, went on, and was cut again, many times over.
#[test]
fn crashes_do_not_add_up() {
    for seed in 0..12 {
        let mut sim = Sim::new(seed);
        let mut known = Known { created: true, ..Known::default() };
        drop(Log::create(Arc::new(sim.clone()), SMALL).unwrap());
        for round in 0..25 {
            let what = format!("seed {seed} round {round}");
            let (mut log, found) = open(&sim, SMALL).unwrap_or_else(|error| panic!("{what}: {error}"));
            let mut last = found.last.map_or(0, |last| last.seq.0);
            assert!(known.durable <= last && last <= known.appended, "{what}: {known:?} {found:?}");
            for step in 0..(round * 7 + seed) % 11 {
                last += 1;
                append(&mut log, last).unwrap();
                if step % 4 == 3 {
                    log.syncer().sync_through(log.head()).unwrap();
                }
            }
            if round % 6 == 5 {
                log.compress_sealed().unwrap();
            }
            known = Known { created: true, appended: last, durable: durable(&log, 0) };
            assert_eq!(read_all(&log.reader(), 1).unwrap(), last, "{what}");
            sim = sim.crash(Crash::Random(seed * 1000 + round));
        }
        let (log, found) = open(&sim, SMALL).unwrap();
        check_indexes(&log.reader(), 1, found.last.map_or(0, |last| last.seq.0));
    }
}
