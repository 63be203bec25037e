//! The kernel's side of memory: files for spans, and mappings of them, of nothing and of zeros.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::ptr::{self, NonNull};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};

use crate::memory::error::MemoryError;

/// What may be done through a mapping.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Access {
    /// Nothing: address space set aside.
    None,
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
}

impl Access {
    fn flags(self) -> ProtFlags {
        match self {
            Access::None => ProtFlags::empty(),
            Access::Read => ProtFlags::READ,
            Access::Write => ProtFlags::READ | ProtFlags::WRITE,
        }
    }
}

/// A range of this process's address space, unmapped when dropped. It gives pointers, never references: whoever reads
/// or writes through them answers for it.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a range of addresses belongs to the process, not to a thread, and this type itself accesses none of it.
unsafe impl Send for Mapping {}
// SAFETY: as above; through `&Mapping` only pointers can be had.
unsafe impl Sync for Mapping {}

fn refused(bytes: usize, error: Errno) -> MemoryError {
    MemoryError::Map { bytes: bytes as u64, source: error.into() }
}

#[cfg(target_os = "linux")]
const UNRESERVED: MapFlags = MapFlags::NORESERVE;
#[cfg(not(target_os = "linux"))]
const UNRESERVED: MapFlags = MapFlags::empty();

impl Mapping {
    /// Maps the first `len` bytes of `file`, shared. Bytes not allocated to the file yet must not be touched.
    pub fn of_file(file: &impl AsFd, len: usize, access: Access) -> Result<Mapping, MemoryError> {
        let flags = MapFlags::SHARED | UNRESERVED;
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let base = unsafe { rustix::mm::mmap(ptr::null_mut(), len, access.flags(), flags, file, 0) };
        Mapping::new(base.map_err(|e| refused(len, e))?, len)
    }

    /// Maps `len` bytes of private memory that read as zero.
    pub fn anonymous(len: usize, access: Access) -> Result<Mapping, MemoryError> {
        let flags = MapFlags::PRIVATE | if access == Access::Write { MapFlags::empty() } else { UNRESERVED };
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let base = unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), len, access.flags(), flags) };
        Mapping::new(base.map_err(|e| refused(len, e))?, len)
    }

    fn new(base: *mut std::ffi::c_void, len: usize) -> Result<Mapping, MemoryError> {
        let base = NonNull::new(base.cast()).ok_or_else(|| refused(len, Errno::NOMEM))?;
        Ok(Mapping { base, len })
    }

    /// The first byte.
    pub fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Length in bytes.
    #[allow(clippy::len_without_is_empty)] // the kernel makes no empty mapping
    pub fn len(&self) -> usize {
        self.len
    }

    fn inside(&self, offset: usize, len: usize) {
        assert!(
            len > 0 && offset <= self.len && len <= self.len - offset,
            "{len} bytes at {offset} do not lie in a mapping of {} bytes",
            self.len
        );
    }

    /// Replaces `len` bytes at `offset` by those of `file` at `from`, for reading. All three are whole memory pages.
    pub fn place_file(
        &mut self,
        offset: usize,
        len: usize,
        file: &impl AsFd,
        from: u64,
    ) -> Result<(), MemoryError> {
        self.inside(offset, len);
        // Touching a small piece is certain and costs a fault each time; a large one may be read in part only.
        #[cfg(target_os = "linux")]
        let ahead = if len <= 64 << 10 { MapFlags::POPULATE } else { MapFlags::empty() };
        #[cfg(not(target_os = "linux"))]
        let ahead = MapFlags::empty();
        let flags = MapFlags::SHARED | MapFlags::FIXED | UNRESERVED | ahead;
        // SAFETY: the range replaced lies inside this mapping, which is borrowed exclusively.
        let done = unsafe {
            rustix::mm::mmap(self.base().add(offset).cast(), len, ProtFlags::READ, flags, file, from)
        };
        done.map(|_| ()).map_err(|e| refused(len, e))
    }

    /// Replaces `len` bytes at `offset` by zeros, for reading. Both are whole memory pages.
    pub fn place_zeros(&mut self, offset: usize, len: usize) -> Result<(), MemoryError> {
        self.inside(offset, len);
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | UNRESERVED;
        // SAFETY: the range replaced lies inside this mapping, which is borrowed exclusively.
        let done = unsafe {
            rustix::mm::mmap_anonymous(self.base().add(offset).cast(), len, ProtFlags::READ, flags)
        };
        done.map(|_| ()).map_err(|e| refused(len, e))
    }

    /// Takes the right to write away, for good.
    pub fn protect(&mut self) -> Result<(), MemoryError> {
        // SAFETY: the whole range is this mapping's own; no access of this type is in progress.
        let done = unsafe { rustix::mm::mprotect(self.base().cast(), self.len, MprotectFlags::READ) };
        done.map_err(|e| refused(self.len, e))
    }

    /// Asks for huge pages. Where the machine has none to give, nothing happens.
    pub fn advise_huge(&self) {
        #[cfg(target_os = "linux")]
        // SAFETY: the advice changes how memory is backed, not what it holds.
        let _ = unsafe { rustix::mm::madvise(self.base().cast(), self.len, Advice::LinuxHugepage) };
    }

    /// Makes `len` bytes at `offset` present, so that the first touch does not fault. False where the kernel cannot.
    pub fn populate(&self, offset: usize, len: usize, access: Access) -> bool {
        self.inside(offset, len);
        #[cfg(target_os = "linux")]
        {
            let advice =
                if access == Access::Write { Advice::LinuxPopulateWrite } else { Advice::LinuxPopulateRead };
            // SAFETY: the range lies inside this mapping and its contents stay as they are.
            unsafe { rustix::mm::madvise(self.base().add(offset).cast(), len, advice) }.is_ok()
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = access;
            false
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is this mapping's own, and whoever holds pointers into it keeps the mapping.
        let _ = unsafe { rustix::mm::munmap(self.base().cast(), self.len) };
    }
}

/// Gives what is free on the heap back to the kernel. Of what came and went in small pieces the C library keeps as much as
/// the largest pieces it ever had, tens of MiB for each thread. Takes milliseconds.
pub fn trim_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        malloc_trim(0);
    }
}

/// A nameless file in memory.
#[cfg(target_os = "linux")]
pub fn memory_file(name: &str) -> io::Result<File> {
    use rustix::fs::MemfdFlags;
    Ok(File::from(rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?))
}

/// Gives `len` bytes at `offset` of `file` back: they read as zeros, and must be allocated again before they are touched.
/// False where the kernel or the file system cannot.
pub fn give_back(file: &File, offset: u64, len: u64) -> bool {
    #[cfg(target_os = "linux")]
    {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(file, flags, offset, len).is_ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, offset, len);
        false
    }
}

/// Allocates `len` bytes at `offset` to `file`, so that touching them cannot fail. Bytes allocated before stay.
pub fn allocate(file: &File, offset: u64, len: u64) -> io::Result<()> {
    loop {
        match rustix::fs::fallocate(file, FallocateFlags::empty(), offset, len) {
            Err(Errno::INTR) => {}
            done => return Ok(done?),
        }
    }
}
