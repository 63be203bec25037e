//! Slots: one for each process that shares an arena, and the lock on a byte of a file that says it lives.
//!
//! The lock is one of an open file description (`fcntl(2)`, "open file description locks"): the kernel lets it go when the
//! description is closed, at the latest when its process dies, however that is and in whatever namespace of processes. It
//! can be asked after without being taken, so that asking cannot be mistaken for living. A child that is forked lets go of
//! its parent's description (see `forked`): it has no slot, and its parent does not live on in it.
//!
//! What a parent holds its children look at as well, for as long as they live. So a second byte for each slot is locked by
//! a description that children keep: while that is, nothing is taken that the slot's process held.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::limits::SLOTS_MAX;
use crate::base::sync::AtomicU64;
use crate::memory::error::MemoryError;
use crate::memory::machine::forked::Own;
#[cfg(not(mmsb_loom))]
use crate::memory::machine::futex;
use crate::memory::machine::place::io_error;
use crate::memory::shared::lock::Waits;

/// Bytes that the file has for each slot: the process's id u32, whether it writes u8.
const RECORD: usize = 8;

/// A process that has a slot.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Owner {
    /// Which slot.
    pub slot: u32,
    /// Its id, as it is in its own namespace of processes.
    pub process: u32,
    /// Whether it writes, or only reads.
    pub writes: bool,
}

/// The slot of this process in an arena, held for as long as this is.
#[derive(Debug)]
pub struct Slot {
    number: u32,
    /// A description of its own, which holds the lock.
    file: Own,
    /// Another one, which holds that of what the process holds.
    _held: File,
    path: PathBuf,
    /// A forked child lets go of the first one, and finds nothing out by what it has then.
    process: u32,
}

impl Slot {
    /// Takes the lowest slot that no living process has and that is `free`, which is asked while nobody else can take it:
    /// one whose last owner died with a lock must stay dead until that was taken over. What else it may have left in the
    /// arena is the new owner's to clear.
    ///
    /// # Errors
    /// The file cannot be opened or locked, or all [`SLOTS_MAX`] slots have owners.
    pub fn claim(path: &Path, free: impl Fn(u32) -> bool) -> Result<Slot, MemoryError> {
        let (file, held) = (Own::new(open(path)?), open(path)?);
        let lock = |file: &File, byte| lock(file, byte).map_err(io_error("lock a byte of", path));
        for number in 0..SLOTS_MAX {
            if lock(file.file(), number)? {
                if free(number) && lock(&held, number + SLOTS_MAX)? {
                    let (path, process) = (path.to_path_buf(), std::process::id());
                    return Ok(Slot { number, file, _held: held, path, process });
                }
                ofd::set(file.file(), number, false).map_err(io_error("unlock a byte of", path))?;
            }
        }
        Err(MemoryError::TooManyProcesses { limit: SLOTS_MAX })
    }

    /// Says to whoever lists the processes which one has this slot, and whether it writes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn describe(&self, writes: bool) -> Result<(), MemoryError> {
        let (process, mut said) = (std::process::id(), [0; RECORD]);
        said[..4].copy_from_slice(&process.to_le_bytes());
        said[4] = writes.into();
        let at = u64::from(self.number) * RECORD as u64;
        self.file.file().write_all_at(&said, at).map_err(io_error("write", &self.path))
    }

    /// The processes that have said so and live: their slots, ids, and whether they write.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn list(&self) -> Result<Vec<Owner>, MemoryError> {
        let said = std::fs::read(&self.path).map_err(io_error("read", &self.path))?;
        let records = said.chunks_exact(RECORD).zip(0u32..);
        let owner = |(said, slot): (&[u8], u32)| {
            let process = u32::from_le_bytes([said[0], said[1], said[2], said[3]]);
            let lives = process != 0 && (slot == self.number || !self.is_dead(slot));
            lives.then_some(Owner { slot, process, writes: said[4] != 0 })
        };
        Ok(records.filter_map(owner).collect())
    }

    /// Its number, which in a forked child is another process's.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether this is the process that took it, and not one that was forked from it.
    pub fn is_own(&self) -> bool {
        self.process == std::process::id()
    }

    /// Whether any other process has a slot.
    pub fn has_others(&self) -> bool {
        ofd::is_any_taken(self.file.file(), SLOTS_MAX).unwrap_or(true)
    }

    /// Whether no living process has a slot; where that cannot be found out, one is taken to live.
    pub fn is_dead(&self, other: u32) -> bool {
        let asked = other != self.number && other < SLOTS_MAX && self.is_own();
        asked && ofd::is_free(self.file.file(), other).unwrap_or(false)
    }

    /// Calls `clear` for a slot that no living process has, nor a child of the last one that had it, and that nobody takes or
    /// clears meanwhile; `None` where somebody has it.
    ///
    /// # Errors
    /// The file cannot be opened or locked.
    pub fn clear<T>(&self, other: u32, clear: impl FnOnce() -> T) -> Result<Option<T>, MemoryError> {
        if !self.is_dead(other) {
            return Ok(None);
        }
        // One's own description would be let in beside itself. This one lets go when it is closed.
        let file = Own::new(open(&self.path)?);
        let lock = |byte| lock(file.file(), byte).map_err(io_error("lock a byte of", &self.path));
        Ok((lock(other)? && lock(other + SLOTS_MAX)?).then(clear))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Closing does not unlock where a child was forked at this moment. A child's own copy holds nothing by now.
        let _ = ofd::set(self.file.file(), self.number, false);
    }
}

impl Waits for Slot {
    #[cfg(not(mmsb_loom))]
    fn sleep(&self, word: &AtomicU64, low: u32, at_most: Duration) {
        futex::sleep(word, low, at_most);
    }

    #[cfg(not(mmsb_loom))]
    fn wake(&self, word: &AtomicU64) {
        futex::wake(word, 1);
    }

    // loom's atomics are no words of memory, which a kernel could wait for; its tests sleep otherwise.
    #[cfg(mmsb_loom)]
    fn sleep(&self, _word: &AtomicU64, _low: u32, _at_most: Duration) {
        std::thread::yield_now();
    }

    #[cfg(mmsb_loom)]
    fn wake(&self, _word: &AtomicU64) {}

    fn is_dead(&self, slot: u32) -> bool {
        Slot::is_dead(self, slot)
    }
}

/// A description of its own.
fn open(path: &Path) -> Result<File, MemoryError> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(io_error("open", path))
}

/// Locks the byte of a slot; false where another description has it.
fn lock(file: &File, number: u32) -> io::Result<bool> {
    match ofd::set(file, number, true) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        done => done.map(|()| true),
    }
}

/// The system calls.
#[cfg(target_os = "linux")]
mod ofd {
    use super::{File, io};
    use std::os::fd::AsRawFd;

    fn range(number: u32, exclusive: bool) -> libc::flock {
        let kind = if exclusive { libc::F_WRLCK } else { libc::F_UNLCK };
        libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: libc::off_t::from(number),
            l_len: 1,
            l_pid: 0,
        }
    }

    fn call(file: &File, command: libc::c_int, range: &mut libc::flock) -> io::Result<()> {
        // SAFETY: the descriptor is open for as long as the file is borrowed, and these commands read and write one
        // `flock`, which is this function's own.
        match unsafe { libc::fcntl(file.as_raw_fd(), command, std::ptr::from_mut(range)) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    pub fn set(file: &File, number: u32, exclusive: bool) -> io::Result<()> {
        call(file, libc::F_OFD_SETLK, &mut range(number, exclusive))
    }

    pub fn is_free(file: &File, number: u32) -> io::Result<bool> {
        let mut found = range(number, true);
        call(file, libc::F_OFD_GETLK, &mut found)?;
        Ok(found.l_type == libc::F_UNLCK as libc::c_short)
    }

    /// Whether another description has any of the first so many bytes.
    pub fn is_any_taken(file: &File, numbers: u32) -> io::Result<bool> {
        let mut found = libc::flock { l_len: libc::off_t::from(numbers), ..range(0, true) };
        call(file, libc::F_OFD_GETLK, &mut found)?;
        Ok(found.l_type != libc::F_UNLCK as libc::c_short)
    }
}

/// Elsewhere no two processes share an arena.
#[cfg(not(target_os = "linux"))]
mod ofd {
    use super::{File, io};

    pub fn set(_file: &File, _number: u32, _exclusive: bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn is_free(_file: &File, _number: u32) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn is_any_taken(_file: &File, _numbers: u32) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_process_has_one_and_the_lowest_free_is_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slots");
        // Descriptions are apart as processes are.
        let claim = || Slot::claim(&path, |_| true).unwrap();
        let (first, second, third) = (claim(), claim(), claim());
        assert_eq!([&first, &second, &third].map(Slot::number), [0, 1, 2]);
        assert!([0, 1, 2].iter().all(|&slot| !first.is_dead(slot) && !third.is_dead(slot)));
        assert!(first.is_dead(3) && !first.is_dead(SLOTS_MAX));
        drop(second);
        assert!(first.is_dead(1) && third.is_dead(1));
        assert!(first.is_dead(1), "asking takes nothing");
        assert_eq!(claim().number(), 1);
    }

    #[test]
    fn one_is_cleared_only_when_it_is_dead_and_nobody_takes_it_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slots");
        let claim = || Slot::claim(&path, |_| true).unwrap();
        let (first, second) = (claim(), claim());
        assert_eq!(first.clear(1, || "cleared").unwrap(), None);
        assert_eq!(first.clear(0, || "cleared").unwrap(), None, "its own");
        drop(second);
        let taken = first.clear(1, || claim().number()).unwrap();
        assert_eq!(taken, Some(2), "who comes while it is cleared takes another");
        assert_eq!(first.clear(1, || first.clear(1, || ()).unwrap()).unwrap(), Some(None), "one at a time");
        assert_eq!(claim().number(), 1);
        // What it held is a child's still, which has a copy of that description.
        let third = claim();
        let held = third._held.try_clone().unwrap();
        let number = third.number();
        drop(third);
        assert_eq!((first.is_dead(number), first.clear(number, || ()).unwrap()), (true, None));
        assert_ne!(claim().number(), number);
        drop(held);
        assert_eq!(first.clear(number, || ()).unwrap(), Some(()));
        let other = Slot::claim(&path, |slot| slot > 1).unwrap();
        assert_eq!((other.number(), first.is_dead(1)), (2, true), "one that is not free is left dead");
    }
}
