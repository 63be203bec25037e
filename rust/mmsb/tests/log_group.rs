//! Group commit: many threads, few syncs, nobody acknowledged too early, and appends go on during a sync.
#![allow(clippy::unwrap_used)]

mod log_common;

use log_common::*;
use mmsb::memory::disk::{Crash, Disk, DiskError, DiskFile, Lock, Open, Sim};
use mmsb::page::log::{Log, LogConfig, LogError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A simulated disk whose file syncs take a while.
#[derive(Clone, Debug)]
struct Slow {
    sim: Sim,
    syncing: Arc<AtomicBool>,
}

#[derive(Debug)]
struct SlowFile(Arc<dyn DiskFile>, Arc<AtomicBool>);

impl Disk for Slow {
    fn create_dir(&self, path: &str) -> Result<(), DiskError> {
        self.sim.create_dir(path)
    }
    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        self.sim.list(dir)
    }
    fn open(&self, path: &str, how: Open) -> Result<Arc<dyn DiskFile>, DiskError> {
        Ok(Arc::new(SlowFile(self.sim.open(path, how)?, Arc::clone(&self.syncing))))
    }
    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.sim.rename(from, to)
    }
    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.sim.remove(path)
    }
    fn sync_dir(&self, dir: &str) -> Result<(), DiskError> {
        self.sim.sync_dir(dir)
    }
    fn exists(&self, path: &str) -> bool {
        self.sim.exists(path)
    }
    fn lock(&self) -> Result<Box<dyn Lock>, DiskError> {
        self.sim.lock()
    }
    fn read_only(&self) -> bool {
        false
    }
    fn free_bytes(&self) -> Result<u64, DiskError> {
        self.sim.free_bytes()
    }
    fn random(&self) -> u64 {
        self.sim.random()
    }
}

impl DiskFile for SlowFile {
    fn len(&self) -> Result<u64, DiskError> {
        self.0.len()
    }
    fn read_at(&self, into: &mut [u8], at: u64) -> Result<usize, DiskError> {
        self.0.read_at(into, at)
    }
    fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), DiskError> {
        self.0.write_at(bytes, at)
    }
    fn allocate(&self, len: u64) -> Result<(), DiskError> {
        self.0.allocate(len)
    }
    fn append(&self, at: u64, parts: &[&[u8]]) -> Result<(), DiskError> {
        self.0.append(at, parts)
    }
    fn trim(&self, len: u64) -> Result<(), DiskError> {
        self.0.trim(len)
    }
    fn sync_data(&self) -> Result<(), DiskError> {
        // What is written while the sync is under way is not covered by it: the disk syncs first, then it takes long.
        let done = self.0.sync_data();
        self.1.store(true, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(2));
        done
    }
    fn seal(&self) {
        self.0.seal();
    }
}

#[test]
fn threads_share_syncs() {
    const THREADS: u64 = 8;
    const COMMITS: u64 = 12;
    for background in [false, true] {
        let (sim, syncing) = (Sim::new(1), Arc::new(AtomicBool::new(false)));
        let disk = Arc::new(Slow { sim: sim.clone(), syncing });
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
    let (sim, syncing) = (Sim::new(1), Arc::new(AtomicBool::new(false)));
    let disk = Arc::new(Slow { sim, syncing: Arc::clone(&syncing) });
    let mut log = Log::create(disk, SMALL).unwrap();
    let end = append(&mut log, 1).unwrap().end();
    syncing.store(false, Ordering::SeqCst);
    let syncer = log.syncer();
    std::thread::scope(|scope| {
        let syncing_thread = scope.spawn(|| syncer.sync_through(end).unwrap());
        while !syncing.load(Ordering::SeqCst) {
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
