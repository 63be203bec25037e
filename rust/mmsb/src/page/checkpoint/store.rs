//! The checkpoints of a bus on its disk: writing one so that it is there whole or not at all, finding them again.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, ThreadId};

use crate::base::ids::Seq;
use crate::memory::arena::Arena;
use crate::memory::disk::{Disk, DiskError, Lock, Open};
use crate::memory::machine::mapping::trim_heap;
use crate::page::checkpoint::chunks::{self, ChunkWriter};
use crate::page::checkpoint::error::CheckpointError;
use crate::page::checkpoint::known::Known;
use crate::page::checkpoint::record::{HEADER, Head, Record};
use crate::page::checkpoint::write::{Cut, tell};
use crate::page::draft::Tables;

/// The folder of checkpoints.
pub const DIR: &str = "ckpt";
/// Records kept in memory once read: a branch's past is often asked for again.
const RECENT: usize = 4;
/// Versions of pages that they may name together, 140 bytes each: those of a bus with very many pages would take more memory
/// than the pages. Such a record is read again when it is asked for, unless somebody has it still.
const RECENT_VERSIONS: usize = 1 << 16;
/// Bytes of a record that are compared at once with what was written.
const COMPARE: usize = 1 << 20;

/// The checkpoints of a bus.
#[derive(Debug)]
pub struct Store {
    pub(super) disk: Arc<dyn Disk>,
    inner: Mutex<Inner>,
    /// Held by whoever writes or removes checkpoints.
    one: Mutex<()>,
    /// The thread that does.
    by: Mutex<Option<ThreadId>>,
    /// Where other processes write and remove some as well, what says that one did.
    together: OnceLock<Box<dyn Together>>,
}

/// What the processes of one bus know of its checkpoints together.
pub trait Together: Send + Sync + Debug {
    /// A number that is another one whenever somebody has written or removed checkpoints.
    fn changes(&self) -> u64;
    /// Makes it another one.
    fn change(&self);
}

/// Nobody else writes or removes checkpoints for as long as this is there.
pub(super) struct Alone<'s> {
    store: &'s Store,
    /// Of all processes.
    _all: Option<Box<dyn Lock>>,
    _one: MutexGuard<'s, ()>,
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        // Whatever came of it: others look at what there is, and this one knows.
        if let Some(together) = self.store.together.get() {
            together.change();
            self.store.inner().seen = together.changes();
        }
        *self.store.by() = None;
    }
}

#[derive(Debug, Default)]
struct Inner {
    /// Ascending.
    heads: Vec<Head>,
    recent: VecDeque<Arc<Record>>,
    /// The last one that was too large for those.
    large: Weak<Record>,
    known: Arc<Known>,
    /// How many times records were replaced or went.
    changes: u64,
    /// No chunk file of this number or above was ever made.
    next: u64,
    /// Whether what an interrupted attempt left was looked for.
    swept: bool,
    /// Up to which change by other processes this is true.
    seen: u64,
}

/// A checkpoint that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// It holds the state after this frame.
    pub seq: Seq,
    /// Its root record, in the directory of the bus.
    pub name: String,
    /// Bytes written.
    pub bytes: u64,
    /// Bytes of the state that an earlier checkpoint had written already.
    pub reused: u64,
}

/// The path of a root record.
pub fn path(seq: Seq) -> String {
    format!("{DIR}/{:020}.root", seq.0)
}

fn seq_of(name: &str) -> Option<Seq> {
    let digits = name.strip_suffix(".root")?;
    (digits.len() == 20).then(|| digits.parse().ok().map(Seq)).flatten()
}

/// The seqs of all files that are named as root records, ascending.
pub fn list(disk: &dyn Disk) -> Result<Vec<Seq>, DiskError> {
    Ok(disk.list(DIR)?.iter().filter_map(|name| seq_of(name)).collect())
}

/// Reads a root record.
pub fn read(disk: &dyn Disk, seq: Seq) -> Result<Record, CheckpointError> {
    let path = path(seq);
    let file = disk.open(&path, Open::Read)?;
    let mut bytes = vec![0; file.len()? as usize];
    let read = file.read_full_at(&mut bytes, 0)?;
    bytes.truncate(read);
    let record = Record::decode(&path, &bytes)?;
    if record.head.seq == seq {
        Ok(record)
    } else {
        Err(CheckpointError::damaged(&path, "it has another's name"))
    }
}

/// Writes a root record so that it is there whole or, after a crash, not at all or as it was. What it refers to must be
/// durable.
pub(super) fn put(disk: &dyn Disk, record: &Record) -> Result<u64, CheckpointError> {
    let path = path(record.head.seq);
    let new = format!("{path}.new");
    let bytes = record.encode();
    if disk.exists(&new) {
        disk.remove(&new)?;
    }
    let file = disk.open(&new, Open::Create)?;
    file.write_at(&bytes, 0)?;
    file.sync_data()?;
    let mut same = file.len()? == bytes.len() as u64;
    let mut found = vec![0; COMPARE.min(bytes.len())];
    for (number, part) in bytes.chunks(COMPARE).enumerate() {
        let read = file.read_full_at(&mut found[..part.len()], (number * COMPARE) as u64)?;
        same &= found[..read] == *part;
    }
    if !same {
        return Err(CheckpointError::damaged(&new, "it does not read as it was written"));
    }
    disk.sync_dir(DIR)?;
    disk.rename(&new, &path)?;
    disk.sync_dir(DIR)?;
    Ok(bytes.len() as u64)
}

impl Inner {
    /// The record of a checkpoint, where it is in memory.
    fn held(&self, seq: Seq) -> Option<Arc<Record>> {
        let large = self.large.upgrade();
        self.recent.iter().chain(&large).find(|record| record.head.seq == seq).cloned()
    }

    fn remember(&mut self, record: &Arc<Record>) {
        self.release(record.head.seq);
        if record.versions.len() > RECENT_VERSIONS {
            self.large = Arc::downgrade(record);
            return;
        }
        self.recent.truncate(RECENT - 1);
        self.recent.push_front(Arc::clone(record));
        let mut versions = 0;
        self.recent.retain(|one| {
            versions += one.versions.len();
            versions <= RECENT_VERSIONS
        });
    }

    /// Lets go of the record of a checkpoint.
    fn release(&mut self, seq: Seq) {
        self.recent.retain(|record| record.head.seq != seq);
        if self.large.upgrade().is_some_and(|record| record.head.seq == seq) {
            self.large = Weak::new();
        }
    }
}

/// The checkpoints on a disk now.
fn look(disk: &dyn Disk) -> Result<Inner, CheckpointError> {
    let mut inner = Inner { next: 1, ..Inner::default() };
    for name in disk.list(DIR)? {
        if let Some(number) = chunks::number_of(&name) {
            inner.next = inner.next.max(number + 1);
        }
        let Some(seq) = seq_of(&name) else { continue };
        let path = path(seq);
        let mut bytes = [0; HEADER];
        let read = disk.open(&path, Open::Read)?.read_full_at(&mut bytes, 0)?;
        match Head::decode(&path, &bytes[..read]) {
            Ok(head) if head.seq == seq => inner.heads.push(head),
            Ok(_) => {}
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(inner)
}

impl Store {
    /// The checkpoints on a disk. Files that are none are passed over.
    pub fn open(disk: &Arc<dyn Disk>) -> Result<Self, CheckpointError> {
        let (one, by) = (Mutex::default(), Mutex::default());
        let inner = Mutex::new(look(&**disk)?);
        Ok(Store { disk: Arc::clone(disk), inner, one, by, together: OnceLock::new() })
    }

    /// Sees what other processes do to the checkpoints from now on.
    pub fn share(&self, together: impl Together + 'static) {
        self.inner().seen = together.changes();
        let _ = self.together.set(Box::new(together));
    }

    /// Looks at what there is on the disk where another process has changed it. What cannot be read is looked at again the next
    /// time.
    fn catch_up(&self) {
        let Some(together) = self.together.get() else { return };
        let changes = together.changes();
        if self.inner().seen == changes {
            return;
        }
        if let Ok(found) = look(&*self.disk) {
            let mut inner = self.inner();
            let (changed, next) = (inner.changes + 1, found.next.max(inner.next));
            *inner = Inner { changes: changed, seen: changes, next, ..found };
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn by(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.by.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps others from writing or removing checkpoints.
    pub(super) fn alone(&self) -> Result<Alone<'_>, CheckpointError> {
        self.outside()?;
        let one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let all = match self.together.get() {
            Some(_) => {
                self.disk.create_dir(DIR)?;
                Some(self.disk.alone(DIR)?)
            }
            None => None,
        };
        self.catch_up();
        *self.by() = Some(thread::current().id());
        Ok(Alone { store: self, _all: all, _one: one })
    }

    /// Fails in the middle of writing or removing checkpoints by this thread, which would wait for itself.
    pub fn outside(&self) -> Result<(), CheckpointError> {
        if *self.by() == Some(thread::current().id()) { Err(CheckpointError::Nested) } else { Ok(()) }
    }

    /// The checkpoints there are, oldest first.
    pub fn heads(&self) -> Vec<Head> {
        self.catch_up();
        self.inner().heads.clone()
    }

    /// The disk they are on.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Passes a checkpoint over from now on: it is damaged, or not of this log.
    pub fn forget(&self, seq: Seq) {
        let mut inner = self.inner();
        inner.heads.retain(|head| head.seq != seq);
        inner.changes += 1;
        inner.release(seq);
    }

    /// Notes that a record on disk may or may not be the one that was to take its place: it is read anew, and the next
    /// checkpoint relies on no image that it may have let go of.
    pub(super) fn doubt(&self, seq: Seq) {
        let mut inner = self.inner();
        inner.changes += 1;
        inner.release(seq);
        inner.known = Arc::default();
    }

    /// The record of a checkpoint.
    pub fn record(&self, seq: Seq) -> Result<Arc<Record>, CheckpointError> {
        let changes = {
            let inner = self.inner();
            if let Some(record) = inner.held(seq) {
                return Ok(record);
            }
            inner.changes
        };
        let record = Arc::new(read(&*self.disk, seq)?);
        let mut inner = self.inner();
        // What was read while records were replaced may be the one that was.
        if inner.changes == changes {
            inner.remember(&record);
        }
        Ok(record)
    }

    /// Remembers a record that took its place on the disk just now.
    pub(super) fn remember(&self, record: &Arc<Record>) {
        let mut inner = self.inner();
        inner.changes += 1;
        inner.remember(record);
    }

    /// Where blocks in memory lie on disk already, so that they are not written again.
    pub fn set_known(&self, known: Known) {
        self.inner().known = Arc::new(known);
    }

    pub(super) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.inner().known)
    }

    /// A number for a chunk file that none has had.
    pub(super) fn next_number(&self) -> u64 {
        let mut inner = self.inner();
        inner.next += 1;
        inner.next - 1
    }

    /// Writes a checkpoint of the cut, which the caller keeps pinned and whose log the caller has synced. `progress` is
    /// told the bytes written so far.
    pub fn write(
        &self,
        arena: &Arena,
        tables: Tables<'_>,
        cut: &Cut,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Written, CheckpointError> {
        let _alone = self.alone()?;
        let disk = &*self.disk;
        disk.create_dir(DIR)?;
        self.sweep_once();
        let number = self.next_number();
        let replaced = disk.exists(&path(cut.seq));
        let done = self.images(arena, tables, cut, number, progress);
        let done = done.and_then(|(told, bytes)| {
            let put = put(disk, &told.record).inspect_err(|_| self.doubt(cut.seq));
            Ok((bytes + put?, told))
        });
        let (bytes, told) = done.inspect_err(|_| self.clear(cut.seq, number))?;
        let (record, known) = (Arc::new(told.record), told.known.into_known());
        self.remember(&record);
        let mut inner = self.inner();
        inner.known = Arc::new(known);
        inner.heads.retain(|head| head.seq != cut.seq);
        inner.heads.push(record.head);
        inner.heads.sort_unstable_by_key(|head| head.seq);
        drop(inner);
        if record.versions.len() > RECENT_VERSIONS {
            drop(record);
            trim_heap();
        }
        if replaced && self.sweep().is_err() {
            // Nobody refers to what the record before it did: it is looked for again.
            self.inner().swept = false;
        }
        Ok(Written { seq: cut.seq, name: path(cut.seq), bytes, reused: told.reused })
    }

    /// Removes what an attempt left that failed. What cannot be removed now is swept before the next one.
    fn clear(&self, seq: Seq, number: u64) {
        self.inner().swept = false;
        let disk = &*self.disk;
        let refers = match read(disk, seq) {
            Ok(record) => record.files.contains_key(&number),
            Err(CheckpointError::Disk(DiskError::NotFound { .. })) => false,
            // One that cannot be read may.
            Err(_) => true,
        };
        let _ = disk.remove(&format!("{}.new", path(seq)));
        if !refers {
            let _ = disk.remove(&chunks::path(number));
        }
    }

    /// Looks for what an interrupted attempt left, the first time and after one that failed. Where that cannot be
    /// removed, there is a checkpoint all the same.
    fn sweep_once(&self) {
        if self.inner().swept {
            return;
        }
        let swept = self.is_interrupted().and_then(|left| if left { self.sweep() } else { Ok(()) });
        self.inner().swept = swept.is_ok();
    }

    fn images(
        &self,
        arena: &Arena,
        tables: Tables<'_>,
        cut: &Cut,
        number: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(super::write::Told, u64), CheckpointError> {
        let mut out = ChunkWriter::new(&*self.disk, number, progress);
        let told = tell(arena, tables, cut, &self.known(), &mut out)?;
        Ok((told, out.finish()?))
    }

    /// Whether something may be left of an interrupted attempt. Files are numbered in order, and the newest record nearly
    /// always refers to the newest of them: then nothing is, and the other records need not be read.
    fn is_interrupted(&self) -> Result<bool, CheckpointError> {
        let names = self.disk.list(DIR)?;
        let Some(newest) = names.iter().filter_map(|name| chunks::number_of(name)).max() else {
            return Ok(!names.is_empty());
        };
        let Some(last) = list(&*self.disk)?.pop() else { return Ok(true) };
        let refers = self.record(last).is_ok_and(|record| record.files.contains_key(&newest));
        Ok(!refers || names.iter().any(|name| name.ends_with(".new")))
    }

    /// Removes what an interrupted attempt left: files being made, and chunk files that no record refers to.
    pub(super) fn sweep(&self) -> Result<(), CheckpointError> {
        let disk = &*self.disk;
        let names = disk.list(DIR)?;
        let mut used = BTreeSet::new();
        for seq in list(disk)? {
            // From the disk: what is remembered may be what somebody read before it was replaced.
            match read(disk, seq) {
                Ok(record) => used.extend(record.files.keys().copied()),
                // Nobody knows what a damaged record refers to, so that nothing is removed.
                Err(error) if error.is_damage() => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        let dead = |name: &&String| {
            name.ends_with(".new") || chunks::number_of(name).is_some_and(|number| !used.contains(&number))
        };
        for name in names.iter().filter(dead) {
            disk.remove(&format!("{DIR}/{name}"))?;
        }
        Ok(())
    }

    /// Notes that these are all the checkpoints there are.
    pub(super) fn set_heads(&self, heads: Vec<Head>, known: Known) {
        let mut inner = self.inner();
        inner.changes += 1;
        inner.recent.retain(|record| heads.iter().any(|head| head.seq == record.head.seq));
        inner.large = Weak::new();
        (inner.heads, inner.known) = (heads, Arc::new(known));
    }
}
