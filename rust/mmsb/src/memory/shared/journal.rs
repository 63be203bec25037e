//! The journal: blocks that a commit let go of and that lie in another process's span, on their way to that process, which
//! alone hands out what is free there.
//!
//! ```text
//! the block before it in the list: address u64 | entries used u64
//! | of each: its address u64, 0 = taken | page u64 | born u64 | died u64 | bytes u64, 0 = a chunk
//! ```
//! All of it is guarded by the writer's lock. Entries are noted before the root is shown that lets the blocks go, and taken
//! when the process they are for has the lock next. Where a process dies in between, those of a commit that was never shown
//! are struck out by whoever repairs that: what they name is reached still.
#![allow(unsafe_code)]

use crate::base::fail;
use crate::base::limits::CHUNK;
use crate::base::sync::{AtomicU64, Ordering};
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::error::MemoryError;
use crate::memory::pinning::limbo::Retired;

/// Entries of one block.
const ENTRIES: usize = (CHUNK - 16) / size_of::<Entry>();

/// A block that was let go of.
#[repr(C)]
struct Entry {
    addr: AtomicU64,
    page: AtomicU64,
    born: AtomicU64,
    died: AtomicU64,
    bytes: AtomicU64,
}

/// A block of the list. All zero is an empty one.
#[repr(C)]
struct Block {
    before: AtomicU64,
    used: AtomicU64,
    entries: [Entry; ENTRIES],
}

#[cfg(not(mmsb_loom))]
const _: () = assert!(size_of::<Block>() <= CHUNK);

/// The head of the list. All zero is an empty one.
#[derive(Debug)]
#[repr(C)]
pub struct Journal {
    /// The address of the newest block, 0 = none.
    newest: AtomicU64,
    /// Grows with every entry.
    noted: AtomicU64,
}

impl Entry {
    fn write(&self, of: &Retired) {
        self.page.store(of.page, Ordering::Relaxed);
        self.born.store(of.born, Ordering::Relaxed);
        self.died.store(of.died, Ordering::Relaxed);
        self.bytes.store(of.bytes.into(), Ordering::Relaxed);
        self.addr.store(of.addr.0, Ordering::Relaxed);
    }

    fn read(&self) -> Option<Retired> {
        let addr = Addr(self.addr.load(Ordering::Relaxed));
        (!addr.is_null()).then(|| Retired {
            addr,
            bytes: self.bytes.load(Ordering::Relaxed) as u32,
            page: self.page.load(Ordering::Relaxed),
            born: self.born.load(Ordering::Relaxed),
            died: self.died.load(Ordering::Relaxed),
        })
    }

    fn take(&self) {
        self.addr.store(0, Ordering::Relaxed);
    }
}

impl Block {
    fn entries(&self) -> &[Entry] {
        &self.entries[..(self.used.load(Ordering::Relaxed) as usize).min(ENTRIES)]
    }
}

fn block(arena: &Arena, at: Addr) -> &Block {
    let at: *const Block = arena.write_ptr(at).cast();
    // SAFETY: only addresses of blocks are in the list, which were zero at first and stay blocks while they are in it.
    unsafe { &*at }
}

impl Arena {
    fn journal(&self) -> &Journal {
        &self.control().journal.0
    }

    fn blocks(&self) -> impl Iterator<Item = (Addr, &Block)> {
        let mut next = Addr(self.journal().newest.load(Ordering::Relaxed));
        std::iter::from_fn(move || {
            let at = next;
            let found = (!at.is_null()).then(|| block(self, at))?;
            next = Addr(found.before.load(Ordering::Relaxed));
            Some((at, found))
        })
    }

    /// Notes those of the blocks that lie in spans of other processes, and takes them out; those for which there is no memory
    /// wait in `unsent` for the next time. For whoever writes, before the root is shown that lets them go.
    pub fn note_foreign(&self, retired: &mut Vec<Retired>, unsent: &mut Vec<Retired>) {
        let is_foreign = |block: &mut Retired| !self.is_mine(block.addr);
        unsent.extend(retired.extract_if(.., is_foreign));
        let mut full = false;
        unsent.retain(|block| {
            full = full || self.note(block).is_err();
            full
        });
        if full {
            self.control().spans.lose();
        }
    }

    fn note(&self, retired: &Retired) -> Result<(), MemoryError> {
        let journal = self.journal();
        let newest = Addr(journal.newest.load(Ordering::Relaxed));
        let room = |at: Addr| block(self, at).used.load(Ordering::Relaxed) < ENTRIES as u64;
        let at = if !newest.is_null() && room(newest) { newest } else { self.add_block(newest)? };
        let block = block(self, at);
        let used = block.used.load(Ordering::Relaxed);
        block.entries[used as usize].write(retired);
        fail::at("noting");
        // Only now is it there, for whoever finds this process dead.
        block.used.store(used + 1, Ordering::Release);
        journal.noted.store(journal.noted.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Ok(())
    }

    fn add_block(&self, before: Addr) -> Result<Addr, MemoryError> {
        let at = self.alloc_chunks(1)?;
        // SAFETY: a fresh chunk, as large as a block, aligned, and nobody else's.
        unsafe { std::ptr::write_bytes(self.write_ptr(at).cast::<u8>(), 0, CHUNK) };
        block(self, at).before.store(before.0, Ordering::Relaxed);
        self.journal().newest.store(at.0, Ordering::Release);
        Ok(at)
    }

    /// How many entries there ever were: where that is as it was, there is nothing new.
    pub fn noted(&self) -> u64 {
        self.journal().noted.load(Ordering::Relaxed)
    }

    /// Takes the entries that `take` wants, and lets go of blocks of this process that have none left. For whoever writes.
    pub fn take_noted(&self, mut take: impl FnMut(&Retired) -> bool) {
        let (journal, mut later): (_, Option<&Block>) = (self.journal(), None);
        let mut next = Addr(journal.newest.load(Ordering::Relaxed));
        while !next.is_null() {
            let (at, found) = (next, block(self, next));
            next = Addr(found.before.load(Ordering::Relaxed));
            let mut left = 0;
            for entry in found.entries() {
                match entry.read() {
                    Some(retired) if take(&retired) => entry.take(),
                    Some(_) => left += 1,
                    None => {}
                }
            }
            if left > 0 {
                later = Some(found);
            } else if !self.is_mine(at) {
                found.used.store(0, Ordering::Relaxed);
                later = Some(found);
            } else {
                match later {
                    Some(later) => later.before.store(next.0, Ordering::Relaxed),
                    None => journal.newest.store(next.0, Ordering::Relaxed),
                }
                // SAFETY: a chunk of `add_block`'s, which is in no list any more; all of this is under the lock.
                unsafe { self.free_chunk(at) };
            }
        }
    }

    /// Where the journal itself lies.
    pub fn journal_blocks(&self) -> Vec<(Addr, usize)> {
        self.blocks().map(|(at, _)| (at, CHUNK)).collect()
    }

    /// Every entry there is.
    pub fn all_noted(&self) -> Vec<Retired> {
        self.blocks().flat_map(|(_, block)| block.entries()).filter_map(Entry::read).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::memory::arena::Options;
    use crate::memory::machine::place::Place;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    /// Two processes of one arena, as far as that can be had in one.
    fn two() -> (tempfile::TempDir, Arc<Arena>, Arc<Arena>) {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { budget: 1 << 30, prefault: false };
        let place = Place::Directory { dir: dir.path().join("arena") };
        let first = Arena::with(place, options.clone()).unwrap();
        let second = Arena::attach(&first.folder().unwrap(), options).unwrap();
        (dir, first, second)
    }

    fn retired(arena: &Arena, n: u64) -> Retired {
        Retired { addr: arena.alloc(64).unwrap(), bytes: 64, page: n % 3, born: n, died: n + 5 }
    }

    #[test]
    fn what_lies_in_anothers_span_comes_to_that_process_once() {
        let (_dir, first, second) = two();
        first.alloc(64).unwrap();
        second.alloc(64).unwrap();
        first.meet().unwrap();
        second.meet().unwrap();
        let (mut sent, mut got) = (BTreeSet::new(), BTreeSet::new());
        for round in 0..40u64 {
            let theirs: Vec<Retired> = (0..round * 7).map(|n| retired(&first, 100 * round + n)).collect();
            let mut all = theirs.clone();
            all.push(retired(&second, 1));
            second.note_foreign(&mut all, &mut Vec::new());
            assert_eq!(all.len(), 1, "its own it keeps");
            sent.extend(theirs.iter().map(|of| (of.addr, of.page, of.born, of.died)));
            let before = second.noted();
            first.meet().unwrap();
            if round % 3 == 0 {
                second.take_noted(|_| false);
                first.take_noted(|of| {
                    assert!(first.is_mine(of.addr) && of.bytes == 64);
                    got.insert((of.addr, of.page, of.born, of.died))
                });
                assert!(first.all_noted().is_empty());
                assert_eq!(got, sent);
            }
            assert_eq!(second.noted(), before);
        }
        // Of the blocks that are empty no more than one is left by a process that takes what is its own.
        second.take_noted(|_| false);
        assert!(second.journal_blocks().len() <= 1, "{}", second.journal_blocks().len());
    }

    #[test]
    fn those_of_a_commit_that_was_never_shown_are_struck_out() {
        let (_dir, first, second) = two();
        first.meet().unwrap();
        second.meet().unwrap();
        let mut all: Vec<Retired> = (0..300).map(|n| retired(&first, n)).collect();
        second.note_foreign(&mut all, &mut Vec::new());
        assert!(all.is_empty());
        second.take_noted(|of| of.died > 200);
        first.meet().unwrap();
        let mut got = Vec::new();
        first.take_noted(|of| {
            got.push(of.died);
            true
        });
        got.sort_unstable();
        assert!(got.into_iter().eq(5..=200));
    }
}
