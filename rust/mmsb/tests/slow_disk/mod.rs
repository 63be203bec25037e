//! A disk that takes its time to sync: what others do meanwhile.
#![allow(dead_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use mmsb::memory::disk::{Disk, DiskError, DiskFile, Lock, Open, Sim};

/// A simulated disk whose file syncs take a while, or until they are let end.
#[derive(Clone, Debug)]
pub struct Slow {
    sim: Sim,
    syncs: Arc<Syncs>,
}

#[derive(Debug)]
struct Syncs {
    take: Duration,
    begun: AtomicU64,
    held: Mutex<bool>,
    released: Condvar,
}

impl Slow {
    /// Each sync takes so long.
    pub fn new(sim: &Sim, take: Duration) -> Self {
        let (begun, held, released) = (AtomicU64::new(0), Mutex::new(false), Condvar::new());
        Slow { sim: sim.clone(), syncs: Arc::new(Syncs { take, begun, held, released }) }
    }

    /// How many syncs have begun.
    pub fn syncs(&self) -> u64 {
        self.syncs.begun.load(Ordering::SeqCst)
    }

    /// Lets no sync end until they are released.
    pub fn hold(&self) {
        *self.syncs.held.lock().unwrap() = true;
    }

    /// Lets the syncs that were held end.
    pub fn release(&self) {
        *self.syncs.held.lock().unwrap() = false;
        self.syncs.released.notify_all();
    }
}

#[derive(Debug)]
struct SlowFile(Arc<dyn DiskFile>, Arc<Syncs>);

impl Disk for Slow {
    fn create_dir(&self, path: &str) -> Result<(), DiskError> {
        self.sim.create_dir(path)
    }
    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        self.sim.list(dir)
    }
    fn open(&self, path: &str, how: Open) -> Result<Arc<dyn DiskFile>, DiskError> {
        Ok(Arc::new(SlowFile(self.sim.open(path, how)?, Arc::clone(&self.syncs))))
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
        self.1.begun.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(self.1.take);
        let held = self.1.held.lock().unwrap();
        drop(self.1.released.wait_while(held, |held| *held).unwrap());
        done
    }
    fn seal(&self) {
        self.0.seal();
    }
}
