//! A disk in memory that loses power, fails and lies, after SQLite's `test6.c`.
//!
//! Every change is kept in an ordered list until it is synced. [`Sim::crash`] builds the disk that a power cut could
//! leave: each change in the list independently applied, dropped, torn at 8 bytes, thinned by 4 KiB pages or turned into
//! garbage. [`Sim::kill`] builds the one that the death of the process leaves: everything written stays. Both leave this
//! disk as it is, so that one state can be crashed in many ways.

use crate::memory::disk::error::DiskError;
use crate::memory::disk::unsynced::{
    Change, Crash, Data, Fault, FileState, State, apply_name, below, next, parent,
};
use crate::memory::disk::{Disk, DiskFile, Lock, Open};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A simulated disk. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Sim {
    state: Arc<Mutex<State>>,
    read_only: bool,
}

impl Sim {
    /// An empty disk whose chances are drawn from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State { random: seed, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), read_only: false }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same disk, for reading only.
    #[must_use]
    pub fn for_reading(&self) -> Self {
        Self { state: Arc::clone(&self.state), read_only: true }
    }

    /// The disk that a power cut now leaves behind.
    #[must_use]
    pub fn crash(&self, how: Crash) -> Self {
        Self::restarted(self.state().clone().after_power_cut(how))
    }

    /// The disk after the process died now: all it has written is there, none of it is synced by that. Of a write that
    /// was under way, some first part is there.
    #[must_use]
    pub fn kill(&self) -> Self {
        Self::restarted(self.state().clone().after_death())
    }

    fn restarted(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)), read_only: false }
    }

    /// Operations so far: everything but reads and locks.
    #[must_use]
    pub fn ops(&self) -> u64 {
        self.state().ops
    }

    /// Syncs so far, of files and directories, the failed ones too.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Operation `op` (counted from 0 since the start) and all later ones fail: the point at which the power goes or
    /// the process dies. A write that is stopped is under way.
    pub fn stop_at(&self, op: u64) {
        self.state().stop = Some(op);
    }

    /// Operation `op` fails, or it and all later ones do. A write that fails has written some first part; after a sync
    /// that fails what it was to sync will never be, as after a failed `fsync` on Linux.
    pub fn fail(&self, op: u64, fault: Fault, forever: bool) {
        self.state().faults.push((op, fault, forever));
    }

    /// Nothing is made to fail any more.
    pub fn heal(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.stop = None;
    }

    /// From now on reads give back fewer bytes than asked for.
    pub fn short_reads(&self) {
        self.state().short_reads = true;
    }

    /// Bytes read so far of the files whose paths end so.
    #[must_use]
    pub fn read_of(&self, end: &str) -> u64 {
        let state = self.state();
        let files = state.names.iter().filter(|(path, _)| path.ends_with(end));
        files.filter_map(|(_, file)| state.read.get(file)).sum()
    }

    /// All paths.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// The bytes of a file.
    #[must_use]
    pub fn contents(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(path).map(|&file| state.files[file].live.clone())
    }

    /// Turns one bit of a file round, on the disk itself. Whether there is such a bit.
    pub fn flip(&self, path: &str, bit: u64) -> bool {
        let state = &mut *self.state();
        let Some(&file) = state.names.get(path) else { return false };
        let FileState { live, durable } = &mut state.files[file];
        let byte = (bit / 8) as usize;
        for bytes in [&mut *live, durable] {
            if let Some(byte) = bytes.get_mut(byte) {
                *byte ^= 1 << (bit % 8);
            }
        }
        byte < live.len()
    }

    fn may_change(&self, path: &str, op: &'static str) -> Result<(), DiskError> {
        if self.read_only { Err(DiskError::Permission { path: path.to_owned(), op }) } else { Ok(()) }
    }

    fn rename_or_remove(&self, path: &str, to: Option<&str>, op: &'static str) -> Result<(), DiskError> {
        self.may_change(path, op)?;
        let mut state = self.state();
        let Some(&file) = state.names.get(path) else {
            return Err(DiskError::NotFound { path: path.to_owned() });
        };
        if let Some(fault) = state.step() {
            return Err(state.error(fault, path, op, 0));
        }
        let change = match to {
            Some(to) => Change::Rename { from: path.to_owned(), to: to.to_owned(), file },
            None => Change::Name { path: path.to_owned(), now: None },
        };
        apply_name(&change, &mut state.names);
        state.pending.push(change);
        Ok(())
    }
}

impl Disk for Sim {
    fn create_dir(&self, path: &str) -> Result<(), DiskError> {
        // Directories are there, durable, once something is in them: Real syncs their parents when it makes them.
        self.may_change(path, "create")
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        let state = self.state();
        let here = state.names.keys().filter(|path| parent(path) == dir);
        Ok(here.map(|path| path.rsplit('/').next().unwrap_or(path).to_owned()).collect())
    }

    fn open(&self, path: &str, how: Open) -> Result<Arc<dyn DiskFile>, DiskError> {
        if how != Open::Read {
            self.may_change(path, "open for writing")?;
        }
        let mut state = self.state();
        let file = match (state.names.get(path), how) {
            (Some(_), Open::Create) => return Err(DiskError::Exists { path: path.to_owned() }),
            (Some(&file), _) => file,
            (None, Open::Read | Open::Write) => return Err(DiskError::NotFound { path: path.to_owned() }),
            (None, Open::Create) => {
                if let Some(fault) = state.step() {
                    return Err(state.error(fault, path, "create", 0));
                }
                let file = state.files.len();
                state.files.push(FileState::default());
                state.names.insert(path.to_owned(), file);
                state.pending.push(Change::Name { path: path.to_owned(), now: Some(file) });
                file
            }
        };
        drop(state);
        Ok(Arc::new(SimFile { disk: self.clone(), path: path.to_owned(), file, writable: how != Open::Read }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.rename_or_remove(from, Some(to), "rename")
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.rename_or_remove(path, None, "remove")
    }

    fn sync_dir(&self, dir: &str) -> Result<(), DiskError> {
        self.state().sync_names(dir)
    }

    fn exists(&self, path: &str) -> bool {
        self.state().names.contains_key(path)
    }

    fn lock(&self) -> Result<Box<dyn Lock>, DiskError> {
        self.may_change("LOCK", "lock")?;
        if std::mem::replace(&mut self.state().locked, true) {
            return Err(DiskError::Locked { by: None });
        }
        Ok(Box::new(SimLock { disk: self.clone() }))
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn free_bytes(&self) -> Result<u64, DiskError> {
        Ok(u64::MAX)
    }

    fn random(&self) -> u64 {
        next(&mut self.state().random)
    }
}

#[derive(Debug)]
struct SimLock {
    disk: Sim,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state().locked = false;
    }
}

#[derive(Debug)]
struct SimFile {
    disk: Sim,
    path: String,
    file: usize,
    writable: bool,
}

impl SimFile {
    fn change(&self, data: Data, op: &'static str) -> Result<(), DiskError> {
        if !self.writable {
            return Err(DiskError::Permission { path: self.path.clone(), op });
        }
        self.disk.state().change(self.file, data, &self.path, op)
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> Result<u64, DiskError> {
        Ok(self.disk.state().files[self.file].live.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> Result<usize, DiskError> {
        let state = &mut *self.disk.state();
        let live = &state.files[self.file].live;
        let start = (at as usize).min(live.len());
        let mut count = into.len().min(live.len() - start);
        if state.short_reads && count > 1 {
            count = 1 + below(&mut state.random, count as u64) as usize;
        }
        into[..count].copy_from_slice(&live[start..start + count]);
        *state.read.entry(self.file).or_default() += count as u64;
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), DiskError> {
        self.change(Data::Write { at, bytes: bytes.to_vec() }, "write")
    }

    fn allocate(&self, len: u64) -> Result<(), DiskError> {
        self.change(Data::Extend { len }, "allocate")
    }

    fn append(&self, at: u64, parts: &[&[u8]]) -> Result<(), DiskError> {
        self.change(Data::Write { at, bytes: parts.concat() }, "append")
    }

    fn trim(&self, len: u64) -> Result<(), DiskError> {
        self.change(Data::Trim { len }, "trim")
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.disk.state().sync(self.file, &self.path)
    }

    fn seal(&self) {}
}
