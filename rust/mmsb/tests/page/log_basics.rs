//! The log as its users see it: what is appended is read back, by position and by every index, now and after a reopen.

use crate::log_common::*;
use mmsb::base::ids::Seq;
use mmsb::base::limits::MAX_FRAME;
use mmsb::memory::disk::{Disk, DiskError, Fault, Open, Real, Sim};
use mmsb::page::log::{FrameNotes, Log, LogConfig, LogError, NewFrame};
use std::sync::Arc;

fn filled(sim: &Sim, frames: u64) -> Log {
    let mut log = Log::create(Arc::new(sim.clone()), SMALL).unwrap();
    for n in 1..=frames {
        append(&mut log, n).unwrap();
    }
    log
}

#[test]
fn what_is_appended_is_read_back() {
    let sim = Sim::new(1);
    sim.short_reads();
    let log = filled(&sim, 60);
    assert_eq!(read_all(&log.reader(), 1).unwrap(), 60);
    check_indexes(&log.reader(), 1, 60);
    assert!(log.reader().segments().unwrap().len() > 3);
    log.close().unwrap();

    let (mut log, found) = open(&sim, SMALL).unwrap();
    assert_eq!((found.cut, found.last.unwrap().seq), (None, Seq(60)));
    assert!(found.scanned < 30, "{} frames read again", found.scanned);
    assert!(found.removed.is_empty(), "{:?}", found.removed);
    for n in 61..=90 {
        append(&mut log, n).unwrap();
    }
    assert_eq!(read_all(&log.reader(), 1).unwrap(), 90);
    check_indexes(&log.reader(), 1, 90);
    drop(log);
    let (log, found) = open(&sim.kill(), SMALL).unwrap();
    assert_eq!((found.cut, found.last.unwrap().seq), (None, Seq(90)));
    check_indexes(&log.reader(), 1, 90);
}

#[test]
fn the_same_on_a_real_disk_with_a_thread() {
    let folder = std::env::temp_dir().join(format!("mmsb-log-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let disk = || Arc::new(Real::new(&folder, false)) as Arc<dyn Disk>;
    let config = LogConfig { background: true, ..SMALL };
    let mut log = Log::create(disk(), config).unwrap();
    assert!(matches!(Log::create(disk(), config), Err(LogError::Disk(DiskError::Locked { .. }))));
    for n in 1..=200 {
        append(&mut log, n).unwrap();
    }
    log.syncer().sync_through(log.head()).unwrap();
    log.close().unwrap();
    assert!(matches!(Log::create(disk(), config), Err(LogError::Exists)));
    let (mut log, found) = Log::open(disk(), config, &describe).unwrap();
    assert_eq!((found.cut, found.removed.len()), (None, 0), "{found:?}");
    for n in 201..=400 {
        append(&mut log, n).unwrap();
    }
    log.compress_sealed().unwrap();
    check_indexes(&log.reader(), 1, 400);
    drop(log);
    let reading = Arc::new(Real::new(&folder, true));
    let (log, _) = Log::open(reading, config, &describe).unwrap();
    check_indexes(&log.reader(), 1, 400);
    drop(log);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn an_empty_log_opens_again() {
    let sim = Sim::new(1);
    drop(filled(&sim, 0));
    for _ in 0..3 {
        let (log, found) = open(&sim, SMALL).unwrap();
        assert_eq!((found.last, found.cut, log.head(), log.start_position()), (None, None, 0, 0));
        assert_eq!(log.reader().first_at(0).unwrap(), None);
        assert_eq!(read_all(&log.reader(), 1).unwrap(), 0);
    }
    assert_eq!(sim.paths().len(), 2);
}

#[test]
fn a_frame_is_found_by_its_number() {
    let sim = Sim::new(1);
    let reader = filled(&sim, 40).reader();
    let mut frames = reader.frames(0, u64::MAX);
    let mut last = 0;
    while let Some((head, _)) = frames.next_frame().unwrap() {
        assert_eq!(reader.head_of(head.seq).unwrap().map(|found| found.position), Some(head.position));
        last = head.seq.0;
    }
    assert!(last >= 40);
    for none in [0, last + 1, u64::MAX] {
        assert_eq!(reader.head_of(Seq(none)).unwrap().map(|found| found.seq), None);
    }
}

#[test]
fn opening_is_refused_by_name() {
    let sim = Sim::new(1);
    assert!(matches!(open(&sim, SMALL), Err(LogError::NotABus { .. })));
    assert!(matches!(open(&sim.for_reading(), SMALL), Err(LogError::NotABus { .. })));
    let log = filled(&sim, 3);
    assert!(matches!(open(&sim, SMALL), Err(LogError::Disk(DiskError::Locked { .. }))));
    open(&sim.for_reading(), SMALL).unwrap();
    drop(log);
    sim.remove("bus").unwrap();
    let again = Log::create(Arc::new(sim.clone()), SMALL);
    assert!(matches!(again, Err(LogError::NotABus { .. })), "frames are not thrown away: {again:?}");
}

#[test]
fn reading_changes_nothing_and_writes_nothing() {
    let sim = Sim::new(1);
    drop(filled(&sim, 40));
    let sim = sim.kill();
    let (ops, before) = (sim.ops(), sim.paths());
    let (mut log, found) = open(&sim.for_reading(), SMALL).unwrap();
    assert_eq!(found.last.unwrap().seq, Seq(40));
    check_indexes(&log.reader(), 1, 40);
    assert!(matches!(append(&mut log, 41), Err(LogError::ReadOnly)));
    assert!(matches!(log.syncer().sync_through(1), Err(LogError::ReadOnly)));
    assert!(matches!(log.prune_before(9), Err(LogError::ReadOnly)));
    assert!(matches!(log.compress_sealed(), Err(LogError::ReadOnly)));
    assert!(matches!(log.checkpointed("c", 1), Err(LogError::ReadOnly)));
    log.close().unwrap();
    assert_eq!((sim.ops(), sim.paths()), (ops, before));
}

#[test]
fn frames_are_numbered_and_timed_in_order() {
    let sim = Sim::new(1);
    let mut log = filled(&sim, 3);
    assert!(matches!(append(&mut log, 3), Err(LogError::OutOfOrder { seq: 3, last: 3 })));
    let frame = NewFrame {
        seq: Seq(9),
        epoch: epoch(4),
        branch: branch(4),
        durability: Default::default(),
        kind: kind(4),
        time: 5,
    };
    let head = log.append(frame, &[], FrameNotes::default()).unwrap();
    assert_eq!((head.time, head.length, head.end() - head.position), (3001, 0, 64));
    assert_eq!(log.reader().frame_head(head.position).unwrap(), head);
    assert!(log.reader().frame(head.position).unwrap().body.is_empty());
    assert!(matches!(log.reader().frame(head.end()), Err(LogError::NoSuchFrame { .. })));
    assert!(matches!(log.reader().frame(8), Err(LogError::CorruptLog { segment: 1, position: 8, .. })));
}

#[test]
fn many_parts_are_one_body() {
    let sim = Sim::new(1);
    let mut log = filled(&sim, 0);
    for parts in 0..20usize {
        let bytes: Vec<Vec<u8>> = (0..parts).map(|part| vec![part as u8; part]).collect();
        let slices: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        let n = parts as u64 + 1;
        let frame = NewFrame {
            seq: Seq(n),
            epoch: epoch(n),
            branch: branch(n),
            durability: Default::default(),
            kind: kind(n),
            time: n,
        };
        let head = log.append(frame, &slices, FrameNotes::default()).unwrap();
        assert_eq!(log.reader().frame(head.position).unwrap().body, bytes.concat());
    }
}

#[test]
fn a_large_frame_has_a_segment_of_its_own() {
    let sim = Sim::new(1);
    let mut log = filled(&sim, 2);
    let large = vec![7; 100_000];
    let head = append_body(&mut log, 3, &large).unwrap();
    append(&mut log, 4).unwrap();
    let quarter = append_body(&mut log, 5, &vec![8; 1900]).unwrap();
    append(&mut log, 6).unwrap();
    let segments = log.reader().segments().unwrap();
    let own = |at: u64, end: u64| segments.iter().any(|segment| (segment.start, segment.end) == (at, end));
    assert!(own(head.position, head.end()), "{segments:?}");
    assert!(!own(quarter.position, quarter.end()), "1900 bytes are less than a quarter of 8192");
    let sealed = segments.iter().find(|segment| segment.start == head.position).unwrap();
    assert!(sealed.file_bytes < 105_000, "cut behind its footer");
    assert_eq!(log.reader().frame(head.position).unwrap().body, large);
    drop(log);
    let (mut log, _) = open(&sim, SMALL).unwrap();
    assert_eq!(log.reader().frame(head.position).unwrap().body, large);
    append(&mut log, 7).unwrap();

    let sim = Sim::new(1);
    let mut log = filled(&sim, 0);
    append_body(&mut log, 1, &large).unwrap();
    assert_eq!(log.reader().segments().unwrap().len(), 1, "an empty segment is made larger");
    append(&mut log, 2).unwrap();
    assert_eq!(log.reader().segments().unwrap().len(), 2);
}

#[test]
fn a_frame_beyond_the_limit_is_refused_before_anything_is_written() {
    let sim = Sim::new(1);
    let mut log = filled(&sim, 2);
    let (ops, piece) = (sim.ops(), vec![0u8; 1 << 20]);
    let parts: Vec<&[u8]> = std::iter::repeat_n(&piece[..], (MAX_FRAME >> 20) as usize + 1).collect();
    let frame = NewFrame {
        seq: Seq(3),
        epoch: epoch(3),
        branch: branch(3),
        durability: Default::default(),
        kind: kind(3),
        time: 0,
    };
    let error = log.append(frame, &parts, FrameNotes::default()).unwrap_err();
    assert!(matches!(error, LogError::FrameTooLarge { length, limit: MAX_FRAME } if length > MAX_FRAME));
    assert_eq!(sim.ops(), ops);
    append(&mut log, 3).unwrap();
}

#[test]
fn a_full_disk_refuses_a_segment_and_then_takes_it() {
    let sim = Sim::new(1);
    let mut log = filled(&sim, 1);
    let mut n = 2;
    // Fill up to the first roll.
    let (mut before, mut ops) = (log.reader().segments().unwrap().len(), sim.ops());
    assert_eq!(before, 1);
    while log.reader().segments().unwrap().len() == before {
        ops = sim.ops();
        append(&mut log, n).unwrap();
        n += 1;
    }
    drop(log);
    // The same again, with no room for the next segment.
    let sim = Sim::new(1);
    let mut log = filled(&sim, n - 2);
    assert_eq!(sim.ops(), ops);
    for op in 0..3 {
        sim.fail(sim.ops() + op, Fault::Full, false);
        let error = append(&mut log, n - 1).unwrap_err();
        assert!(matches!(error, LogError::Disk(DiskError::Full { .. })), "{error}");
        assert!(log.poisoned().is_none());
        assert_eq!(read_all(&log.reader(), 1).unwrap(), n - 2);
    }
    append(&mut log, n - 1).unwrap();
    before += 1;
    assert_eq!(log.reader().segments().unwrap().len(), before);
}

#[test]
fn a_failed_write_poisons() {
    let sim = Sim::new(1);
    let mut log = filled(&sim, 2);
    sim.fail(sim.ops(), Fault::Io, false);
    assert!(matches!(append(&mut log, 3), Err(LogError::Disk(DiskError::Io { op: "append", .. }))));
    assert!(matches!(append(&mut log, 3), Err(LogError::Poisoned { .. })));
    assert!(matches!(log.poisoned(), Some(LogError::Poisoned { .. })));
    assert_eq!(read_all(&log.reader(), 1).unwrap(), 2, "reading goes on");
    log.syncer().sync_through(log.head()).unwrap();
    assert!(matches!(log.close(), Err(LogError::Poisoned { .. })));
    let (log, found) = open(&sim, SMALL).unwrap();
    assert_eq!(found.last.unwrap().seq, Seq(2));
    drop(log);
}

#[test]
fn a_failed_sync_leaves_the_commit_unknown() {
    let sim = Sim::new(1);
    let mut log = filled(&sim, 2);
    let syncer = log.syncer();
    syncer.sync_through(log.head()).unwrap();
    let durable = log.head();
    append(&mut log, 3).unwrap();
    sim.fail(sim.ops(), Fault::Io, false);
    for _ in 0..2 {
        let error = syncer.sync_through(log.head()).unwrap_err();
        assert!(matches!(error, LogError::CommitUnknown { synced, .. } if synced == durable), "{error}");
    }
    syncer.sync_through(durable).unwrap();
    assert!(matches!(append(&mut log, 4), Err(LogError::Poisoned { .. })));
    assert!(matches!(log.checkpointed("c", 1), Err(LogError::Poisoned { .. })));
}

/// A sync that follows one that failed may say yes of what the failed one lost.
#[test]
fn a_failed_sync_is_remembered_after_a_failed_append_too() {
    let sim = Sim::new(1);
    let mut log = filled(&sim, 2);
    let syncer = log.syncer();
    sim.fail(sim.ops(), Fault::Io, false);
    assert!(append(&mut log, 3).is_err());
    sim.fail(sim.ops(), Fault::Io, false);
    for _ in 0..2 {
        let error = syncer.sync_through(log.head()).unwrap_err();
        assert!(matches!(error, LogError::CommitUnknown { .. }), "{error}");
    }
}

#[test]
fn pruning_takes_whole_segments_from_the_front() {
    let sim = Sim::new(1);
    let mut log = filled(&sim, 60);
    let segments = log.reader().segments().unwrap();
    assert_eq!(log.prune_before(segments[0].end - 8).unwrap(), 0, "its last frame is wanted");
    let start = log.prune_before(segments[2].start + 8).unwrap();
    assert_eq!(start, segments[2].start);
    let first = log.reader().frame_head(start).unwrap().seq.0;
    check_indexes(&log.reader(), first, 60);
    assert!(matches!(log.reader().frame(0), Err(LogError::HistoryPruned { position: 0, .. })));
    assert!(log.reader().frames(0, 99).next_frame().is_err());
    assert_eq!(log.prune_before(u64::MAX).unwrap(), log.reader().segments().unwrap()[0].start);
    assert_eq!(log.reader().segments().unwrap().len(), 1);
    let first = log.reader().frame_head(log.start_position()).unwrap().seq.0;
    append(&mut log, 61).unwrap();
    drop(log);
    let (log, found) = open(&sim, SMALL).unwrap();
    assert_eq!((found.last.unwrap().seq, found.removed.len()), (Seq(61), 0));
    check_indexes(&log.reader(), first, 61);
}

#[test]
fn compressed_segments_read_the_same() {
    let sim = Sim::new(1);
    let mut log = filled(&sim, 60);
    let mut old = log.reader().frames(0, u64::MAX);
    old.next_frame().unwrap();
    assert!(log.compress_sealed().unwrap() > 3);
    assert_eq!(log.compress_sealed().unwrap(), 0);
    while old.next_frame().unwrap().is_some() {}
    check_indexes(&log.reader(), 1, 60);
    let segments = log.reader().segments().unwrap();
    assert!(segments.iter().rev().skip(1).all(|segment| segment.compressed && segment.sealed));
    let plain: u64 = segments.iter().filter(|s| s.compressed).map(|s| s.end - s.start).sum();
    let packed: u64 = segments.iter().filter(|s| s.compressed).map(|s| s.file_bytes).sum();
    assert!(packed < plain, "{packed} for {plain}");
    for n in 61..=80 {
        append(&mut log, n).unwrap();
    }
    drop(log);
    let (mut log, found) = open(&sim, SMALL).unwrap();
    assert_eq!((found.removed.len(), found.cut), (0, None));
    check_indexes(&log.reader(), 1, 80);
    log.compress_sealed().unwrap();
    let start = log.prune_before(log.reader().segments().unwrap()[3].start).unwrap();
    let first = log.reader().frame_head(start).unwrap().seq.0;
    check_indexes(&log.reader(), first, 80);
    open(&sim.for_reading(), SMALL).unwrap();
}

#[test]
fn a_checkpoint_is_noted() {
    let sim = Sim::new(1);
    let log = filled(&sim, 5);
    assert_eq!(log.superblock().checkpoint, None);
    log.checkpointed("checkpoint-3", 3).unwrap();
    assert!(matches!(log.checkpointed("", 3), Err(LogError::CheckpointName { length: 0 })));
    assert!(matches!(log.checkpointed(&"x".repeat(256), 3), Err(LogError::CheckpointName { length: 256 })));
    let uuid = log.superblock().uuid;
    drop(log);
    let (log, _) = open(&sim, SMALL).unwrap();
    let now = log.superblock();
    assert_eq!((now.checkpoint.unwrap().name.as_str(), now.uuid), ("checkpoint-3", uuid));
    assert_ne!(uuid, [0; 16]);
}

#[test]
fn strange_files_are_left_alone_and_leftovers_go() {
    let sim = Sim::new(1);
    drop(filled(&sim, 60));
    sim.open("log/notes.txt", Open::Create).unwrap();
    sim.open("log/0000000099.seg", Open::Create).unwrap().allocate(9000).unwrap();
    sim.open("log/0000000003.zseg.new", Open::Create).unwrap();
    let (log, found) = open(&sim, SMALL).unwrap();
    assert_eq!(found.removed, ["log/0000000003.zseg.new", "log/0000000099.seg"]);
    assert!(sim.exists("log/notes.txt"));
    assert_eq!(read_all(&log.reader(), 1).unwrap(), 60);
}

#[test]
fn where_a_whole_segment_has_no_room_a_smaller_one_does() {
    let config = LogConfig { first_segment: 256 << 10, max_segment: 256 << 10, background: false };
    let sim = Sim::new(1);
    let mut log = Log::create(Arc::new(sim.clone()), config).unwrap();
    let bodies = |n: u64| [n.to_le_bytes().to_vec(), vec![7; 20_000]].concat();
    let mut n = 0;
    while log.head() < 230_000 {
        n += 1;
        append_body(&mut log, n, &bodies(n)).unwrap();
    }
    // The name is made, and then its room is not to be had.
    sim.fail(sim.ops() + 1, Fault::Full, false);
    append_body(&mut log, n + 1, &bodies(n + 1)).unwrap();
    let segments = log.reader().segments().unwrap();
    assert_eq!(segments.len(), 2);
    assert_eq!(segments[1].file_bytes, 128 << 10);
    append_body(&mut log, n + 2, &bodies(n + 2)).unwrap();
}
