//! Damage: a torn tail is cut, a hole in what was never synced is cut, damage in what was durable is named.

use crate::log_common::*;
use mmsb::base::ids::Seq;
use mmsb::memory::disk::{Disk, Open, Sim};
use mmsb::page::log::{Cut, Log, LogConfig, LogError};
use std::sync::Arc;

/// Byte of segment 1's file at which a position of it lies.
const HEADER: u64 = 4096;

fn filled(sim: &Sim, frames: u64) -> Log {
    let mut log = Log::create(Arc::new(sim.clone()), SMALL).unwrap();
    for n in 1..=frames {
        append(&mut log, n).unwrap();
    }
    log
}

fn write(sim: &Sim, path: &str, at: u64, bytes: &[u8]) {
    sim.open(path, Open::Write).unwrap().write_at(bytes, at).unwrap();
}

fn position(log: &Log, n: u64) -> u64 {
    let mut frames = log.reader().frames(0, u64::MAX);
    loop {
        let at = frames.position();
        match frames.next_frame().unwrap() {
            Some((head, _)) if head.seq == Seq(n) => return at,
            Some(_) => {}
            None => panic!("no frame {n}"),
        }
    }
}

#[test]
fn a_torn_tail_is_cut_and_the_log_goes_on_elsewhere() {
    let (sim, first) = (Sim::new(1), "log/0000000001.seg");
    let log = filled(&sim, 5);
    let (at, end) = (position(&log, 5), log.head());
    drop(log);
    for keep in (0..end - at).step_by(8) {
        let sim = sim.kill();
        write(&sim, first, HEADER + at + keep, &vec![0; (end - at - keep) as usize]);
        let torn = sim.contents(first).unwrap();
        let whole = open(&sim.for_reading(), SMALL).unwrap().1.last.unwrap().seq == Seq(5);
        let (mut log, found) = open(&sim, SMALL).unwrap();
        // Frame 5 ends in bytes that a tear leaves as they were only if they are zero.
        assert_eq!(found.last.unwrap().seq, Seq(if whole { 5 } else { 4 }), "{keep} bytes kept");
        let dirty = keep > 0 && !whole;
        assert_eq!(found.cut.is_some(), dirty, "{keep} bytes kept: {found:?}");
        let last = found.last.unwrap().seq.0;
        append(&mut log, last + 1).unwrap();
        assert_eq!(read_all(&log.reader(), 1).unwrap(), last + 1);
        assert_eq!(sim.exists("log/0000000002.seg"), dirty);
        if dirty {
            let now = sim.contents(first).unwrap();
            assert_eq!(now[..torn.len()], torn, "what was written is not written over");
        }
        drop(log);
        let (log, found) = open(&sim.kill(), SMALL).unwrap();
        assert_eq!((found.cut, found.last.unwrap().seq), (None, Seq(last + 1)));
        check_indexes(&log.reader(), 1, last + 1);
    }
}

#[test]
fn a_hole_in_what_was_never_synced_is_cut() {
    let sim = Sim::new(1);
    let wide = LogConfig { first_segment: 16_384, max_segment: 16_384, ..SMALL };
    let mut log = Log::create(Arc::new(sim.clone()), wide).unwrap();
    (1..=3).for_each(|n| drop(append(&mut log, n)));
    log.syncer().sync_through(log.head()).unwrap();
    for n in 4..=6 {
        append(&mut log, n).unwrap();
    }
    let (hole, end) = (position(&log, 4), log.head());
    drop(log);
    let sim = sim.kill();
    write(&sim, "log/0000000001.seg", HEADER + hole, &[0; 64]);
    let (mut log, found) = open(&sim, wide).unwrap();
    // Frame 6 ends in zeros, which nobody can tell from nothing.
    let Cut { position, bytes } = found.cut.unwrap();
    assert!(position == hole && bytes > (end - hole) / 2 && bytes <= end - hole, "{found:?} {hole} {end}");
    assert_eq!((found.last.unwrap().seq, log.head()), (Seq(3), hole));
    // Frames 5 and 6 still lie behind the new frame 4 in the old segment, whole: they must not come back.
    append(&mut log, 4).unwrap();
    drop(log);
    let (log, found) = open(&sim.kill(), wide).unwrap();
    assert_eq!(found.last.unwrap().seq, Seq(4));
    assert_eq!(read_all(&log.reader(), 1).unwrap(), 4);
}

#[test]
fn damage_in_what_was_synced_is_named() {
    let sim = Sim::new(1);
    let mut log = filled(&sim, 3);
    log.syncer().sync_through(log.head()).unwrap();
    let damaged = position(&log, 2);
    // Only a later frame knows that frame 2 is durable: the superblock was not written since.
    append(&mut log, 4).unwrap();
    assert_eq!(log.superblock().synced, 0);
    drop(log);
    let check = |sim: &Sim| {
        let expected = |error: LogError| {
            matches!(error, LogError::CorruptLog { segment: 1, position, offset, .. }
                if position == damaged && offset == HEADER + damaged)
        };
        let before: Vec<_> = sim.paths().iter().map(|path| sim.contents(path)).collect();
        assert!(expected(open(sim, SMALL).unwrap_err()));
        assert!(expected(open(&sim.for_reading(), SMALL).unwrap_err()));
        let after: Vec<_> = sim.paths().iter().map(|path| sim.contents(path)).collect();
        assert_eq!(before, after, "a refused log is left as it is");
    };
    for byte in [0, 8, 16, 60, 64, 70] {
        let sim = sim.kill();
        sim.flip("log/0000000001.seg", (HEADER + damaged + byte) * 8);
        check(&sim);
    }
    // Only the superblock knows.
    let sim = sim.kill();
    let (log, _) = open(&sim, SMALL).unwrap();
    log.close().unwrap();
    write(&sim, "log/0000000001.seg", HEADER + damaged, &[0; 2000]);
    check(&sim);
}

#[test]
fn a_lost_segment_is_named() {
    let sim = Sim::new(1);
    filled(&sim, 60).close().unwrap();
    for path in sim.paths().iter().filter(|path| path.starts_with("log/")) {
        let sim = sim.kill();
        sim.remove(path).unwrap();
        let error = open(&sim, SMALL).unwrap_err();
        assert!(matches!(error, LogError::CorruptLog { .. }), "{path}: {error}");
    }
}

#[test]
fn damage_in_a_sealed_segment_is_found_when_it_is_read() {
    for compressed in [false, true] {
        let sim = Sim::new(1);
        let log = filled(&sim, 60);
        if compressed {
            log.compress_sealed().unwrap();
        }
        let wanted = position(&log, 3);
        log.close().unwrap();
        let (path, at) = if compressed {
            ("log/0000000001.zseg", 80)
        } else {
            ("log/0000000001.seg", HEADER + wanted + 70)
        };
        sim.flip(path, at * 8);
        let (log, _) = open(&sim, SMALL).unwrap();
        let error = log.reader().frame(wanted).unwrap_err();
        assert!(matches!(error, LogError::CorruptLog { segment: 1, .. }), "{error}");
        assert!(read_all(&log.reader(), 1).is_err());
    }
}

/// Opens and reads everything: the number of frames, or why not.
fn survey(sim: &Sim) -> Result<u64, LogError> {
    let (log, _) = open(sim, SMALL)?;
    let reader = log.reader();
    let first = if reader.head() == reader.start() { 1 } else { reader.frame_head(reader.start())?.seq.0 };
    assert_eq!(first, 1);
    read_all(&reader, first)
}

/// Turns each bit round, except that of long runs of zeros only every `stride`th is tried.
fn flip_every_bit(sim: &Sim, stride: u64, check: impl Fn(&str, u64, Result<u64, LogError>)) {
    for path in sim.paths() {
        let bytes = sim.contents(&path).unwrap();
        for bit in 0..bytes.len() as u64 * 8 {
            let byte = (bit / 8) as usize;
            let around = &bytes[byte.saturating_sub(16)..(byte + 16).min(bytes.len())];
            if around.iter().all(|&byte| byte == 0) && bit % stride != 0 {
                continue;
            }
            let sim = sim.kill();
            sim.flip(&path, bit);
            check(&path, bit, survey(&sim));
        }
    }
}

fn flips(stride: u64) {
    let sim = Sim::new(1);
    let mut log = filled(&sim, 9);
    log.syncer().sync_through(log.head()).unwrap();
    append(&mut log, 10).unwrap();
    append(&mut log, 11).unwrap();
    assert!(log.reader().segments().unwrap().len() > 1);
    drop(log);
    flip_every_bit(&sim.kill(), stride, |path, bit, found| match found {
        // Frames 10 and 11 were never synced, and nothing behind frame 11 says more.
        Ok(last) => assert!((9..=11).contains(&last), "{path} bit {bit}: {last} frames"),
        Err(LogError::CorruptLog { .. }) => {}
        Err(error) => panic!("{path} bit {bit}: {error}"),
    });
    let (log, _) = open(&sim, SMALL).unwrap();
    log.compress_sealed().unwrap();
    log.close().unwrap();
    flip_every_bit(&sim.kill(), stride, |path, bit, found| match found {
        Ok(last) => assert_eq!(last, 11, "{path} bit {bit}"),
        Err(LogError::CorruptLog { .. }) => {}
        Err(error) => panic!("{path} bit {bit}: {error}"),
    });
}

#[test]
fn a_flipped_bit_is_an_error_or_an_exact_prefix() {
    flips(997);
}

#[test]
#[ignore = "a minute: the bits of long runs of zeros too"]
fn every_flipped_bit_is_an_error_or_an_exact_prefix() {
    flips(1);
}
