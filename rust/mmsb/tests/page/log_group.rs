//! Group commit: many threads, few syncs, nobody acknowledged too early, and appends go on during a sync.

use crate::log_common::*;
use mmsb::memory::disk::{Crash, Sim};
use mmsb::page::log::{Log, LogConfig, LogError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::slow_disk::Slow;

/// How long a sync takes.
const SYNC: Duration = Duration::from_millis(2);

#[test]
fn threads_share_syncs() {
    const THREADS: u64 = 8;
    const COMMITS: u64 = 12;
    for background in [false, true] {
        let sim = Sim::new(1);
        let disk = Arc::new(Slow::new(&sim, SYNC));
        let config = LogConfig { background, ..SMALL };
        let log = Mutex::new(Log::create(disk, config).unwrap());
        let syncer = log.lock().unwrap().syncer();
        let (before, last) = (syncer.fsyncs(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..COMMITS {
                        let head = {
                            let mut log = log.lock().unwrap();
                            let n = last.fetch_add(1, Ordering::SeqCst) + 1;
                            append(&mut log, n).unwrap()
                        };
                        syncer.sync_through(head.end()).unwrap();
                        assert!(syncer.synced() >= head.end());
                    }
                });
            }
            scope.spawn(|| {
                // Whatever is acknowledged survives a power cut at any time.
                for _ in 0..10 {
                    let synced = syncer.synced();
                    let (log, _) = open(&sim.crash(Crash::KeepNone), SMALL).unwrap();
                    assert!(log.head() >= synced, "{} after {synced}", log.head());
                    std::thread::sleep(Duration::from_millis(3));
                }
            });
        });
        let (commits, fsyncs) = (THREADS * COMMITS, syncer.fsyncs() - before);
        println!("{commits} commits, {fsyncs} syncs");
        assert!(fsyncs < commits, "{fsyncs} syncs for {commits} commits");
        assert_eq!(read_all(&log.lock().unwrap().reader(), 1).unwrap(), commits);
        log.into_inner().unwrap().close().unwrap();
        let (log, found) = open(&sim.crash(Crash::KeepNone), SMALL).unwrap();
        assert_eq!((found.cut, found.removed.len()), (None, 0), "{found:?}");
        check_indexes(&log.reader(), 1, commits);
    }
}

#[test]
fn appends_go_on_during_a_sync() {
    let disk = Slow::new(&Sim::new(1), SYNC);
    let mut log = Log::create(Arc::new(disk.clone()), SMALL).unwrap();
    let end = append(&mut log, 1).unwrap().end();
    let before = disk.syncs();
    let syncer = log.syncer();
    std::thread::scope(|scope| {
        let syncing_thread = scope.spawn(|| syncer.sync_through(end).unwrap());
        while disk.syncs() == before {
            std::thread::yield_now();
        }
        append(&mut log, 2).unwrap();
        append(&mut log, 3).unwrap();
        syncing_thread.join().unwrap();
    });
    assert_eq!(log.synced(), end, "frames written meanwhile are not taken for durable");
    assert!(matches!(syncer.sync_through(u64::MAX), Err(LogError::NoSuchFrame { .. })));
    assert_eq!(log.synced(), log.head());
}

#[test]
fn readers_follow_the_writer() {
    let sim = Sim::new(1);
    let mut log = Log::create(Arc::new(sim), LogConfig { background: true, ..SMALL }).unwrap();
    let (reader, done) = (log.reader(), AtomicBool::new(false));
    let compressor = log.compressor();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut checked = 0;
                loop {
                    let finished = done.load(Ordering::SeqCst);
                    let last = read_all(&reader, 1).unwrap();
                    assert!(last >= checked);
                    if let Some(position) = reader.first_at(last / 2 * 1000).unwrap() {
                        reader.frame(position).unwrap();
                    }
                    let pages = reader.frames_of_page(page(1), 0, u64::MAX).unwrap();
                    assert!(pages.len() as u64 >= last / 5 && pages.is_sorted());
                    checked = last;
                    if finished {
                        break;
                    }
                }
                assert_eq!(checked, 300);
            });
        }
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                compressor.compress_one().unwrap();
            }
        });
        for n in 1..=300 {
            append(&mut log, n).unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
    check_indexes(&reader, 1, 300);
}
