//! Layer 0 (memory), the disk: all file I/O of a bus directory, behind a trait so that a power cut is a constructor.
//!
//! [`real::Real`] is the only code of the core that touches `std::fs` for a bus's files; [`sim::Sim`] keeps files in
//! memory and can lose what was not synced. Paths are relative to the bus directory, parts separated by `/`; the
//! directory itself is `""`.

use std::fmt::Debug;
use std::sync::Arc;

pub mod error;
mod lock;
mod map;
mod open;
pub mod real;
pub mod sim;
mod unsynced;

pub use error::DiskError;
pub use lock::Lock;
pub use open::Open;
pub use real::Real;
pub use sim::Sim;
pub use unsynced::{Crash, Fault};

/// The directory of one bus. Nothing is durable before it is synced: data by [`DiskFile::sync_data`], names by [`Disk::sync_dir`].
pub trait Disk: Send + Sync + Debug {
    /// Makes the directory and those above it. Fine if it is there.
    fn create_dir(&self, path: &str) -> Result<(), DiskError>;

    /// Names of the files in a directory, sorted; none if it is absent. Directories are not listed.
    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError>;

    /// Opens a file.
    fn open(&self, path: &str, how: Open) -> Result<Arc<dyn DiskFile>, DiskError>;

    /// Gives a file another name; what had that is gone.
    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError>;

    /// Removes a file. Those who have it open keep it.
    fn remove(&self, path: &str) -> Result<(), DiskError>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &str) -> Result<(), DiskError>;

    /// Whether there is such a file.
    fn exists(&self, path: &str) -> bool;

    /// Takes the exclusive advisory lock on the file `LOCK`, or fails with [`DiskError::Locked`].
    fn lock(&self) -> Result<Box<dyn Lock>, DiskError>;

    /// Has a file or directory alone among those who ask for it this way, whom it waits for, in all processes there may be.
    fn alone(&self, _path: &str) -> Result<Box<dyn Lock>, DiskError> {
        Ok(Box::new(()))
    }

    /// Whether nothing may be changed: every change fails with [`DiskError::Permission`].
    fn read_only(&self) -> bool;

    /// Bytes that this user may still write.
    fn free_bytes(&self) -> Result<u64, DiskError>;

    /// A number nobody can foretell (a simulated disk: from its seed).
    fn random(&self) -> u64;
}

/// An open file.
pub trait DiskFile: Send + Sync + Debug {
    /// Its length in bytes.
    fn len(&self) -> Result<u64, DiskError>;

    /// Whether it has no bytes.
    fn is_empty(&self) -> Result<bool, DiskError> {
        Ok(self.len()? == 0)
    }

    /// Reads some bytes from `at`, as many as `into` takes or fewer; 0 only at the end of the file.
    fn read_at(&self, into: &mut [u8], at: u64) -> Result<usize, DiskError>;

    /// Reads until `into` is full or the file ends; how many bytes were read.
    fn read_full_at(&self, into: &mut [u8], at: u64) -> Result<usize, DiskError> {
        let mut read = 0;
        while read < into.len() {
            match self.read_at(&mut into[read..], at + read as u64)? {
                0 => break,
                count => read += count,
            }
        }
        Ok(read)
    }

    /// Writes all of `bytes` at `at`.
    fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), DiskError>;

    /// Reserves room for `len` bytes and makes the file that long; new bytes read as zeros. Never shortens. A file of
    /// the log is allocated before it is appended to, so that a full disk is this error and not a signal.
    fn allocate(&self, len: u64) -> Result<(), DiskError>;

    /// Writes the parts one after the other at `at`, as one operation: the way into the log. Not durable before
    /// [`DiskFile::sync_data`], and a power cut may tear it at any 8 bytes and lose any page of 4 KiB.
    fn append(&self, at: u64, parts: &[&[u8]]) -> Result<(), DiskError>;

    /// As [`DiskFile::append`], not by the way that [`DiskFile::make_ready`] prepares: for what a sync follows at once, and
    /// for a part of what is long.
    fn append_by_write(&self, at: u64, parts: &[&[u8]]) -> Result<(), DiskError> {
        self.append(at, parts)
    }

    /// Makes appends to the bytes `from..to` fast, where that can be done ahead, and lets go of what served that before
    /// `appended`. Changes nothing; may be called from any thread while others append.
    fn make_ready(&self, _appended: u64, _from: u64, _to: u64) {}

    /// Cuts the file to `len` bytes, after [`DiskFile::seal`].
    fn trim(&self, len: u64) -> Result<(), DiskError>;

    /// Makes everything written so far durable, with the length.
    fn sync_data(&self) -> Result<(), DiskError>;

    /// Lets go of what made appends fast; later ones take the slow way.
    fn seal(&self);
}
