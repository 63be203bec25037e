//! Files of the log that are compressed or removed while somebody else opens and reads it: at every moment there is.

use crate::log_common;
use crate::log_common::{SMALL, append, describe, read_all};
use mmsb::memory::disk::{Disk, DiskError, DiskFile, Lock, Open, Sim};
use mmsb::page::log::{Log, LogConfig, LogError};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const FRAMES: u64 = 40;

/// What the writer does in between.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    /// Compresses one segment more each time.
    CompressOne,
    CompressAll,
    /// Lets go of half of the log.
    Prune,
}

/// A disk for reading on which somebody writes between one look at the log's directory or files and the next.
#[derive(Debug)]
struct Shared {
    disk: Sim,
    writer: Mutex<Log>,
    does: Does,
    /// Looks before the writer gets its turn.
    left: AtomicUsize,
}

impl Shared {
    fn new(does: Does, left: usize) -> Arc<Self> {
        let sim = Sim::new(1);
        let mut log = Log::create(Arc::new(sim.clone()), SMALL).unwrap();
        for n in 1..=FRAMES {
            append(&mut log, n).unwrap();
        }
        log.syncer().sync_through(log.head()).unwrap();
        Arc::new(Self { disk: sim.for_reading(), writer: Mutex::new(log), does, left: left.into() })
    }

    fn look(&self) {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        let mut log = self.writer.lock().unwrap();
        match self.does {
            Does::CompressOne if left <= 1 => {
                log.compressor().compress_one().unwrap();
            }
            Does::CompressAll if left == 1 => {
                log.compress_sealed().unwrap();
            }
            Does::Prune if left == 1 => {
                let middle = log.head() / 2;
                assert!(log.prune_before(middle).unwrap() > 0);
            }
            _ => {}
        }
    }
}

impl Disk for Shared {
    fn create_dir(&self, path: &str) -> Result<(), DiskError> {
        self.disk.create_dir(path)
    }
    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        self.look();
        self.disk.list(dir)
    }
    fn open(&self, path: &str, how: Open) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.look();
        self.disk.open(path, how)
    }
    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.disk.remove(path)
    }
    fn sync_dir(&self, dir: &str) -> Result<(), DiskError> {
        self.disk.sync_dir(dir)
    }
    fn exists(&self, path: &str) -> bool {
        self.disk.exists(path)
    }
    fn lock(&self) -> Result<Box<dyn Lock>, DiskError> {
        self.disk.lock()
    }
    fn read_only(&self) -> bool {
        true
    }
    fn free_bytes(&self) -> Result<u64, DiskError> {
        self.disk.free_bytes()
    }
    fn random(&self) -> u64 {
        self.disk.random()
    }
}

/// Opens the log and reads all of it and of its indexes; the number of its first frame.
fn read(disk: &Arc<Shared>) -> Result<u64, LogError> {
    let (log, _) = Log::open(Arc::clone(disk) as Arc<dyn Disk>, LogConfig::default(), &describe)?;
    let reader = log.reader();
    let position = reader.first_at(0)?.unwrap();
    let first = reader.frame_head(position)?.seq.0;
    assert_eq!(read_all(&reader, first)?, FRAMES);
    for segment in reader.segments()? {
        reader.frame(segment.start)?;
    }
    reader.frames_of_page(log_common::page(1), 0, u64::MAX)?;
    Ok(first)
}

#[test]
fn segments_may_be_compressed_between_any_two_looks() {
    for does in [Does::CompressOne, Does::CompressAll] {
        let mut left = 1;
        loop {
            let disk = Shared::new(does, left);
            let first = read(&disk).unwrap_or_else(|error| panic!("{does:?} at look {left}: {error}"));
            assert_eq!(first, 1);
            if disk.left.load(Ordering::Relaxed) > 0 {
                break;
            }
            left += 1;
        }
        assert!(left > 12, "{left} looks");
    }
}

#[test]
fn segments_may_be_pruned_between_any_two_looks() {
    let (mut left, mut gone) = (1, 0);
    loop {
        let disk = Shared::new(Does::Prune, left);
        match read(&disk) {
            Ok(_) => {}
            // Opened before and read after.
            Err(LogError::HistoryPruned { start, .. }) if start > 0 => gone += 1,
            Err(error) => panic!("at look {left}: {error}"),
        }
        if disk.left.load(Ordering::Relaxed) > 0 {
            break;
        }
        left += 1;
    }
    assert!(gone > 0 && left > 12, "{gone} of {left}");
}
