//! The disk of this machine.

use crate::memory::disk::error::DiskError;
use crate::memory::disk::map::Map;
use crate::memory::disk::{Disk, DiskFile, Lock, Open};
use crate::memory::machine::forked::Own;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{IoSlice, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Bytes that are made ready at once.
const READY_STEP: u64 = 256 << 10;

/// Parts of an append that one call writes.
const PARTS: usize = 16;

/// Only this user reads and writes a bus.
const MODE: u32 = 0o600;

/// The file whose lock says that the bus is open.
const LOCK: &str = "LOCK";

/// In that file: whoever has the lock does not share it.
const ALONE: &str = "alone";

/// Whether file systems of a kind (`statfs(2)`) are of a network: NFS, SMB and CIFS, AFS, Coda, NCP, 9P, Ceph, Lustre, GFS2,
/// OCFS2, OrangeFS, BeeGFS, and what programs make (FUSE), which may be anything.
#[cfg(target_os = "linux")]
fn is_network(kind: u64) -> bool {
    const KINDS: [u64; 16] = [
        0x6969,
        0x517b,
        0xff53_4d42,
        0xfe53_4d42,
        0x5346_414f,
        0x6b41_4653,
        0x7375_7245,
        0x564c,
        0x0102_1997,
        0x00c3_6400,
        0x0bd0_0bd0,
        0x0116_1970,
        0x7461_636f,
        0x2003_0528,
        0x1983_0326,
        0x6573_5546,
    ];
    KINDS.contains(&(kind & 0xffff_ffff))
}

/// A directory of a file system.
#[derive(Debug)]
pub struct Real {
    root: PathBuf,
    read_only: bool,
}

impl Real {
    /// The bus directory at `root`, which need not exist yet ([`Disk::create_dir`] of `""` makes it).
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, read_only: bool) -> Self {
        Self { root: root.into(), read_only }
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the directory, and those above it that are missing. Of several that try, one does.
    ///
    /// # Errors
    /// [`DiskError::Exists`] where there is anything of its name; after any error, this call has not made it.
    pub fn make(&self) -> Result<(), DiskError> {
        self.may_change("", "create")?;
        let above = self.root.parent().filter(|above| !above.as_os_str().is_empty());
        let made = above.map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::create_dir(&self.root));
        let made = made.and_then(|()| {
            above.map_or(Ok(()), sync_directory).inspect_err(|_| {
                let _ = fs::remove_dir(&self.root);
            })
        });
        made.map_err(|source| DiskError::of(source, "", "create", 0))
    }

    /// Removes the directory with everything in it.
    pub fn discard(&self) -> Result<(), DiskError> {
        self.may_change("", "remove")?;
        let removed = fs::remove_dir_all(&self.root);
        removed.map_err(|source| DiskError::of(source, "", "remove", 0))
    }

    /// Whether it lies on a file system that other machines may have mounted, which do not share this one's memory.
    #[must_use]
    pub fn is_on_network(&self) -> bool {
        #[cfg(target_os = "linux")]
        return rustix::fs::statfs(&self.root).is_ok_and(|answer| is_network(answer.f_type as u64));
        #[cfg(not(target_os = "linux"))]
        false
    }

    /// Says in the file `LOCK`, which this process has alone, that it will not share it.
    pub fn say_alone(&self) -> Result<(), DiskError> {
        let said = format!("{} {ALONE}", std::process::id());
        fs::write(self.path(LOCK), said).map_err(|source| DiskError::of(source, LOCK, "write", 0))
    }

    /// Whether whoever has the lock has said so.
    #[must_use]
    pub fn is_said_alone(&self) -> bool {
        fs::read_to_string(self.path(LOCK)).is_ok_and(|said| said.ends_with(ALONE))
    }

    /// Shares the lock on the file `LOCK` with others who have the bus open; `None` where somebody has it alone, or there is
    /// no such file, or it is not this user's.
    pub fn lock_shared(&self) -> Option<Box<dyn Lock>> {
        let file = Own::new(File::open(self.path(LOCK)).ok()?);
        file.file().try_lock_shared().ok()?;
        Some(Box::new(RealLock { file, process: std::process::id() }))
    }

    fn path(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }

    fn may_change(&self, path: &str, op: &'static str) -> Result<(), DiskError> {
        if self.read_only { Err(DiskError::Permission { path: path.to_owned(), op }) } else { Ok(()) }
    }
}

fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

impl Disk for Real {
    fn create_dir(&self, path: &str) -> Result<(), DiskError> {
        let full = self.path(path);
        if full.is_dir() {
            return Ok(());
        }
        self.may_change(path, "create")?;
        let made = fs::create_dir_all(&full).and_then(|()| match full.parent() {
            Some(above) if !above.as_os_str().is_empty() => sync_directory(above),
            _ => Ok(()),
        });
        made.map_err(|source| DiskError::of(source, path, "create", 0))
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        let error = |source| DiskError::of(source, dir, "list", 0);
        let entries = match fs::read_dir(self.path(dir)) {
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(error)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(error)?;
            if entry.file_type().map_err(error)?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, path: &str, how: Open) -> Result<Arc<dyn DiskFile>, DiskError> {
        if how != Open::Read {
            self.may_change(path, "open for writing")?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(how != Open::Read).create_new(how == Open::Create).mode(MODE);
        let file = options.open(self.path(path)).map_err(|source| DiskError::of(source, path, "open", 0))?;
        Ok(Arc::new(RealFile { path: path.to_owned(), file, map: RwLock::new(None) }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.may_change(from, "rename")?;
        fs::rename(self.path(from), self.path(to)).map_err(|source| DiskError::of(source, from, "rename", 0))
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.may_change(path, "remove")?;
        fs::remove_file(self.path(path)).map_err(|source| DiskError::of(source, path, "remove", 0))
    }

    fn sync_dir(&self, dir: &str) -> Result<(), DiskError> {
        sync_directory(&self.path(dir)).map_err(|source| DiskError::of(source, dir, "sync", 0))
    }

    fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    fn lock(&self) -> Result<Box<dyn Lock>, DiskError> {
        self.may_change(LOCK, "lock")?;
        let error = |source| DiskError::of(source, LOCK, "lock", 0);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(MODE);
        let owned = Own::new(options.open(self.path(LOCK)).map_err(error)?);
        let mut file = owned.file();
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = file.read_to_string(&mut text);
                let by = read.ok().and_then(|_| text.split_whitespace().next()?.parse().ok());
                return Err(DiskError::Locked { by });
            }
            Err(TryLockError::Error(source)) => return Err(error(source)),
        }
        // The process id is for messages only: a disk too full to take it still locks.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Box::new(RealLock { file: owned, process: std::process::id() }))
    }

    fn alone(&self, path: &str) -> Result<Box<dyn Lock>, DiskError> {
        let error = |source| DiskError::of(source, path, "lock", 0);
        let file = Own::new(File::open(self.path(path)).map_err(error)?);
        file.file().lock().map_err(error)?;
        Ok(Box::new(RealLock { file, process: std::process::id() }))
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn free_bytes(&self) -> Result<u64, DiskError> {
        let answer = rustix::fs::statvfs(&self.root)
            .map_err(|errno| DiskError::of(errno.into(), "", "measure the room of", 0))?;
        Ok(answer.f_bavail.saturating_mul(answer.f_frsize))
    }

    fn random(&self) -> u64 {
        // Keyed by the system's entropy once per thread, then counted on: differs at each call.
        RandomState::new().hash_one(std::process::id())
    }
}

#[derive(Debug)]
struct RealLock {
    file: Own,
    process: u32,
}

impl Lock for RealLock {
    fn share(&self) -> Result<(), DiskError> {
        self.file.file().lock_shared().map_err(|source| DiskError::of(source, LOCK, "share", 0))
    }
}

impl Drop for RealLock {
    fn drop(&mut self) {
        // Closing the file is not enough where a child is forked at this moment; and what a child drops is the parent's.
        if self.process == std::process::id() {
            let _ = self.file.file().unlock();
        }
    }
}

#[derive(Debug)]
struct RealFile {
    path: String,
    file: File,
    map: RwLock<Option<Map>>,
}

impl RealFile {
    fn error(&self, source: std::io::Error, op: &'static str, wanted: u64) -> DiskError {
        DiskError::of(source, &self.path, op, wanted)
    }

    /// Whether an allocated byte of this file can be stored to without ever being refused.
    fn allocation_is_a_guarantee(&self) -> bool {
        #[cfg(target_os = "linux")]
        {
            const EXT4: i64 = 0xEF53;
            const XFS: i64 = 0x5846_5342;
            const TMPFS: i64 = 0x0102_1994;
            rustix::fs::fstatfs(&self.file).is_ok_and(|answer| [EXT4, XFS, TMPFS].contains(&answer.f_type))
        }
        #[cfg(not(target_os = "linux"))]
        {
            false
        }
    }

    /// Writes the parts one after the other at `at`, several by one call.
    fn write_parts(&self, mut at: u64, parts: &[&[u8]]) -> Result<(), DiskError> {
        for some in parts.chunks(PARTS) {
            let mut slices = [IoSlice::new(&[]); PARTS];
            slices.iter_mut().zip(some).for_each(|(slice, part)| *slice = IoSlice::new(part));
            // What it does not take now is written below, or is the error there.
            let mut wrote = rustix::io::pwritev(&self.file, &slices[..some.len()], at).unwrap_or(0);
            for part in some {
                let taken = wrote.min(part.len());
                if taken < part.len() {
                    self.write_at(&part[taken..], at + taken as u64)?;
                }
                wrote -= taken;
                at += part.len() as u64;
            }
        }
        Ok(())
    }

    /// Reserves room. Whether the file system really did, and did not just note the length.
    fn reserve(&self, len: u64) -> Result<bool, DiskError> {
        #[cfg(target_os = "linux")]
        loop {
            use rustix::io::Errno;
            match rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), 0, len) {
                Ok(()) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => break,
                Err(errno) => return Err(self.error(errno.into(), "allocate", len)),
            }
        }
        if self.len()? < len {
            self.file.set_len(len).map_err(|source| self.error(source, "allocate", len))?;
        }
        Ok(false)
    }
}

impl DiskFile for RealFile {
    fn len(&self) -> Result<u64, DiskError> {
        self.file.metadata().map(|data| data.len()).map_err(|source| self.error(source, "measure", 0))
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> Result<usize, DiskError> {
        loop {
            match self.file.read_at(into, at) {
                Err(source) if source.kind() == std::io::ErrorKind::Interrupted => {}
                answer => return answer.map_err(|source| self.error(source, "read", 0)),
            }
        }
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), DiskError> {
        self.file.write_all_at(bytes, at).map_err(|source| self.error(source, "write", bytes.len() as u64))
    }

    fn allocate(&self, len: u64) -> Result<(), DiskError> {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let guaranteed = self.reserve(len)? && self.allocation_is_a_guarantee();
        *map = match usize::try_from(len) {
            // Without a map (address space spent, say) appends go by pwrite.
            Ok(len) if guaranteed && len > 0 => Map::new(&self.file, len).ok(),
            _ => None,
        };
        Ok(())
    }

    fn append(&self, at: u64, parts: &[&[u8]]) -> Result<(), DiskError> {
        let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        let mut at = at;
        match &*map {
            Some(map) if map.covers(at, length) => {
                for part in parts {
                    map.store(part, at);
                    at += part.len() as u64;
                }
            }
            _ => self.write_parts(at, parts)?,
        }
        Ok(())
    }

    /// By `pwrite`, which need not clear the pages that it fills. And a sync makes every page that was stored to read-only
    /// again, on all processors at once, which in a virtual machine takes them longer than the write.
    fn append_by_write(&self, at: u64, parts: &[&[u8]]) -> Result<(), DiskError> {
        self.write_parts(at, parts)
    }

    fn make_ready(&self, appended: u64, from: u64, to: u64) {
        if let Some(map) = &*self.map.read().unwrap_or_else(PoisonError::into_inner) {
            map.let_go(appended);
        }
        let mut at = from;
        while at < to {
            // A little at a time: who takes the map away waits for it.
            let end = to.min(at + READY_STEP);
            let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
            let Some(map) = &*map else { return };
            map.populate(at, end);
            at = end;
        }
    }

    fn trim(&self, len: u64) -> Result<(), DiskError> {
        self.seal();
        self.file.set_len(len).map_err(|source| self.error(source, "trim", 0))
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.file.sync_data().map_err(|source| self.error(source, "sync", 0))
    }

    fn seal(&self) {
        *self.map.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_a_network_are_told_from_those_of_this_machine() {
        // ext4, xfs, tmpfs, btrfs, overlayfs, zfs.
        for kind in [0xef53, 0x5846_5342, 0x0102_1994, 0x9123_683e, 0x794c_7630, 0x2fc1_2fc1] {
            assert!(!is_network(kind), "{kind:#x}");
        }
        assert!(
            is_network(0x6969) && is_network(0xffff_ffff_ff53_4d42),
            "NFS, and CIFS as a negative number"
        );
        assert!(!Real::new(std::env::temp_dir(), true).is_on_network());
    }
}
