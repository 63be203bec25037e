//! What an append and a sync cost on this machine. Prints figures; run with `--release -- --ignored --nocapture`.

use mmsb::base::ids::{BranchId, Epoch, PageId, Seq};
use mmsb::memory::disk::Real;
use mmsb::page::log::{Durability, FrameNotes, Kind, Log, LogConfig, NewFrame};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

fn folder(name: &str) -> PathBuf {
    let base = std::env::var_os("MMSB_FIGURES_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let path = base.join(format!("mmsb-figures-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

fn frame(n: u64) -> NewFrame {
    NewFrame {
        seq: Seq(n),
        epoch: Epoch(n),
        branch: BranchId::MAIN,
        durability: Durability::Process,
        kind: Kind::Commit,
        time: n,
    }
}

#[test]
#[ignore = "a measurement"]
fn appends_of_200_bytes() {
    for name in ["tmp", "shm"] {
        let path = if name == "shm" { PathBuf::from("/dev/shm/mmsb-figures") } else { folder("append") };
        let disk = Arc::new(Real::new(&path, false));
        let mut log = Log::create(disk.clone(), LogConfig::default()).unwrap();
        let body = [7u8; 200];
        let (batch, mut n) = (100_000u64, 0);
        let mut best = f64::MAX;
        for round in 0..10 {
            let start = Instant::now();
            for _ in 0..batch {
                n += 1;
                let notes = FrameNotes { pages: &[PageId(n % 1000)], source: None, catalog: false };
                log.append(frame(n), &[&body], notes).unwrap();
            }
            let ns = start.elapsed().as_nanos() as f64 / batch as f64;
            best = best.min(ns);
            println!("{name} round {round}: {ns:.0} ns per append");
        }
        let start = Instant::now();
        let mut frames = log.reader().frames(0, u64::MAX);
        while frames.next_frame().unwrap().is_some() {}
        let read = log.head() as f64 / start.elapsed().as_secs_f64() / 1e9;
        println!("{name}: best {best:.0} ns per append; frames read at {read:.2} GB/s");
        let start = Instant::now();
        drop(log);
        println!("{name}: drop {:?}", start.elapsed());
        let start = Instant::now();
        let describe = |_: &_, body: &[u8]| mmsb::page::log::Notes {
            pages: vec![PageId(u64::from(body[0]))],
            ..Default::default()
        };
        let (log, found) = Log::open(disk, LogConfig::default(), &describe).unwrap();
        println!("{name}: open {:?}, {} of {n} frames read", start.elapsed(), found.scanned);
        log.close().unwrap();
        std::fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
#[ignore = "a measurement"]
fn synced_commits() {
    let path = folder("sync");
    let log = Log::create(Arc::new(Real::new(&path, false)), LogConfig::default()).unwrap();
    let (syncer, log) = (log.syncer(), Mutex::new((log, 0u64)));
    for threads in [1u64, 4, 16] {
        let commits = 200;
        let (before, start) = (syncer.fsyncs(), Instant::now());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..commits {
                        let end = {
                            let (log, n) = &mut *log.lock().unwrap();
                            *n += 1;
                            log.append(frame(*n), &[&[7; 200]], FrameNotes::default()).unwrap().end()
                        };
                        syncer.sync_through(end).unwrap();
                    }
                });
            }
        });
        let (time, fsyncs) = (start.elapsed().as_secs_f64(), syncer.fsyncs() - before);
        let total = threads * commits;
        println!(
            "{threads} threads: {total} commits, {fsyncs} fdatasyncs, {:.0} us per commit of each, {:.0} commits/s",
            time * 1e6 / commits as f64,
            total as f64 / time
        );
    }
    drop(log);
    std::fs::remove_dir_all(&path).unwrap();
}
