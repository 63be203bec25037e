//! A shared writable map of a file that is fully allocated: appends are stores, 15 to 60 times cheaper than `pwrite`.
#![allow(unsafe_code)]

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::fs::File;
use std::ptr::NonNull;

/// The first `len` bytes of a file, mapped. One writer at a time; bytes not yet published are nobody else's.
#[derive(Debug)]
pub struct Map {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the map is a plain range of memory without an owner thread; `store` is called by one writer at a time (it takes
// bytes that no reader knows of), and readers of the file go through `pread`.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    /// Maps the first `len` bytes of `file`, which must be allocated that far: a store to a hole of a full disk is a
    /// signal.
    pub fn new(file: &File, len: usize) -> std::io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe { mmap(std::ptr::null_mut(), len, protection, MapFlags::SHARED, file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(std::io::ErrorKind::InvalidData)?;
        Ok(Self { start, len })
    }

    /// Whether `count` bytes at `at` lie in the map.
    pub fn covers(&self, at: u64, count: u64) -> bool {
        at.checked_add(count).is_some_and(|end| end <= self.len as u64)
    }

    /// Makes the bytes `from..to` present and writable, as far as they lie in the map, so that the first store to each page
    /// does not fault: that costs as much as ten commits.
    pub fn populate(&self, from: u64, to: u64) {
        let page = rustix::param::page_size();
        let from = from as usize / page * page;
        let to = usize::try_from(to).unwrap_or(usize::MAX).min(self.len);
        #[cfg(target_os = "linux")]
        if from < to {
            // SAFETY: the range lies in the map, and its bytes stay what they are. Where the kernel cannot, stores fault.
            let _ = unsafe {
                let start = self.start.as_ptr().add(from).cast();
                rustix::mm::madvise(start, to - from, rustix::mm::Advice::LinuxPopulateWrite)
            };
        }
    }

    /// Lets go of the memory of the bytes before `end`, which stay in the file: nobody stores to them any more, and what is
    /// mapped counts as this process's.
    pub fn let_go(&self, end: u64) {
        let len =
            (end.min(self.len as u64) as usize) / rustix::param::page_size() * rustix::param::page_size();
        #[cfg(target_os = "linux")]
        if len > 0 {
            // SAFETY: the range lies in the map. It is shared, so what was stored is the file's already, and a store to it
            // all the same would only fault.
            let _ = unsafe {
                rustix::mm::madvise(self.start.as_ptr().cast(), len, rustix::mm::Advice::LinuxDontNeed)
            };
        }
    }

    /// Copies `bytes` to `at`. Panics outside the map.
    pub fn store(&self, bytes: &[u8], at: u64) {
        assert!(self.covers(at, bytes.len() as u64), "store outside the map");
        // SAFETY: the range lies in the map (just asserted), which lives as long as self, and cannot overlap `bytes`:
        // no slice into the map is ever given out.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().add(at as usize), bytes.len());
        }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the range is ours and nothing points into it any more. An error would mean it was not mapped.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    const LEN: usize = 1 << 20;

    /// KiB of the map that are present in this process.
    #[cfg(target_os = "linux")]
    fn present(map: &Map) -> u64 {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let begin = format!("{:x}-", map.start.as_ptr() as usize);
        let mut lines = smaps.lines().skip_while(|line| !line.starts_with(&begin));
        let rss = lines.find(|line| line.starts_with("Rss:")).unwrap();
        rss.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn what_was_let_go_is_in_the_file_and_not_in_this_process() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[0; LEN], 0).unwrap();
        let map = Map::new(&file, LEN).unwrap();
        let bytes: Vec<u8> = (0..LEN).map(|n| (n % 251) as u8).collect();
        map.store(&bytes[..LEN / 2], 0);
        #[cfg(target_os = "linux")]
        assert!(present(&map) >= 512);
        map.let_go(LEN as u64 / 2 - 1);
        #[cfg(target_os = "linux")]
        assert!(present(&map) <= 64, "{} KiB are present", present(&map));
        map.store(&bytes[LEN / 2..], LEN as u64 / 2);
        map.let_go(u64::MAX);
        let mut found = vec![0; LEN];
        file.read_exact_at(&mut found, 0).unwrap();
        assert!(found == bytes);
    }
}
