//! A word that two processes share, and the clock that they share.

use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::measure::Failed;

/// The number of the newest state that the reader has seen.
pub struct Watched(*const AtomicU64);

impl Watched {
    /// Makes the file of the word.
    pub fn make(path: &Path) -> Result<Self, Failed> {
        std::fs::write(path, [0; 8])?;
        Watched::open(path)
    }

    /// Maps it.
    pub fn open(path: &Path) -> Result<Self, Failed> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping of a file of 8 bytes, which stays until the process ends.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), 8, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if at == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error().into());
        }
        Ok(Watched(at.cast()))
    }

    fn word(&self) -> &AtomicU64 {
        // SAFETY: mapped for good, aligned to a page, and looked at by atomic operations alone.
        unsafe { &*self.0 }
    }

    /// What has been seen.
    pub fn seen(&self) -> u64 {
        self.word().load(Ordering::Acquire)
    }

    /// This was seen.
    pub fn set(&self, number: u64) {
        self.word().store(number, Ordering::Release);
    }
}

/// Nanoseconds by CLOCK_MONOTONIC, which all processes of a machine share.
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills in the struct it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
