//! A magazine: small blocks that their one user got back and keeps to use again, without an atomic operation.
//!
//! Bonwick and Adams, "Magazines and Vmem" (2001): most blocks that a commit needs are of the sizes that the commit
//! before it gave back.
#![allow(unsafe_code)]

use std::sync::Arc;

use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::heap::classes::{CLASSES, class_of, size_of_class};

/// Blocks of one size that are kept at most, and bytes of them: a commit that changes hundreds of small pages finds blocks
/// for all, and one of large ones no more than those of a few.
const ROUNDS: usize = 512;
const BYTES: usize = 64 << 10;

/// Blocks of a size that are kept.
const fn rounds(class: usize) -> usize {
    let rounds = BYTES / size_of_class(class);
    if rounds < ROUNDS { rounds } else { ROUNDS }
}

/// The same, of each size.
const KEPT: [u16; SIZES] = {
    let (mut all, mut class) = ([0; SIZES], 0);
    while class < SIZES {
        all[class] = rounds(class) as u16;
        class += 1;
    }
    all
};

/// Sizes below a whole chunk: chunks have counts, which their own allocator sees to.
const SIZES: usize = CLASSES - 1;

/// Small blocks of an arena, kept for one user; they go back to the arena with it.
#[derive(Debug)]
pub struct Magazine {
    arena: Arc<Arena>,
    rounds: Box<Rounds>,
}

/// What is kept, by size.
#[derive(Debug)]
struct Rounds {
    counts: [u16; SIZES],
    blocks: [[Addr; ROUNDS]; SIZES],
}

impl Magazine {
    /// An empty one.
    pub fn new(arena: &Arc<Arena>) -> Self {
        let rounds = Rounds { counts: [0; SIZES], blocks: [[Addr::default(); ROUNDS]; SIZES] };
        Magazine { arena: Arc::clone(arena), rounds: Box::new(rounds) }
    }

    /// A block as [`Arena::alloc`] of so many bytes would give it, if one is kept.
    #[inline]
    pub fn take(&mut self, bytes: usize) -> Option<Addr> {
        let class = class_of(bytes);
        let Rounds { counts, blocks } = &mut *self.rounds;
        let left = counts.get(class)?.checked_sub(1)?;
        counts[class] = left;
        Some(blocks[class][usize::from(left)])
    }

    /// Gives a block back, here or to the arena.
    ///
    /// # Safety
    /// As [`Arena::free`], of the arena it was made for.
    #[inline]
    pub unsafe fn free(&mut self, addr: Addr, bytes: usize) {
        let class = class_of(bytes);
        let Rounds { counts, blocks } = &mut *self.rounds;
        match counts.get_mut(class) {
            Some(count) if *count < KEPT[class] => {
                blocks[class][usize::from(*count)] = addr;
                *count += 1;
            }
            // SAFETY: the caller's promise.
            _ => unsafe { self.arena.free(addr, bytes) },
        }
    }

    /// Bytes that are kept, which the arena counts as used.
    pub fn bytes(&self) -> u64 {
        let counts = self.rounds.counts.iter().enumerate();
        counts.map(|(class, &n)| u64::from(n) * size_of_class(class) as u64).sum()
    }

    /// Gives all that is kept to the arena.
    pub fn empty(&mut self) {
        let Rounds { counts, blocks } = &mut *self.rounds;
        for (class, count) in counts.iter_mut().enumerate() {
            for &addr in &blocks[class][..usize::from(std::mem::take(count))] {
                // SAFETY: it was given back by its user, who vouched for it, and is handed on once.
                unsafe { self.arena.free(addr, size_of_class(class)) };
            }
        }
    }
}

impl Drop for Magazine {
    fn drop(&mut self) {
        self.empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::CHUNK;
    use crate::memory::machine::place::Place;
    use std::collections::BTreeSet;

    #[test]
    fn a_block_is_never_handed_out_twice_and_all_come_back() {
        let arena = Arena::new(Place::Memory, 64 << 20).expect("an arena");
        let mut magazine = Magazine::new(&arena);
        let mut used: Vec<(Addr, usize)> = Vec::new();
        let mut random = 7u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bytes = 1 + (random >> 40) as usize % CHUNK;
            if random >> 33 & 1 == 0 || used.is_empty() {
                let at = magazine.take(bytes).unwrap_or_else(|| arena.alloc(bytes).expect("a block"));
                assert!(used.iter().all(|(other, _)| *other != at), "{at:?} is in use");
                used.push((at, bytes));
            } else {
                let (at, bytes) = used.swap_remove(random as usize % used.len());
                // SAFETY: allocated above with these bytes, given back once.
                unsafe { magazine.free(at, bytes) };
            }
            assert!(magazine.bytes() <= arena.stats().used_small);
        }
        // SAFETY: as above.
        used.drain(..).for_each(|(at, bytes)| unsafe { magazine.free(at, bytes) });
        assert!(magazine.bytes() > 0);
        assert_eq!(magazine.bytes(), arena.stats().used_small);
        drop(magazine);
        assert_eq!(arena.stats().used_small, 0);
    }

    #[test]
    fn it_keeps_a_few_of_each_size_and_no_chunk() {
        let arena = Arena::new(Place::Memory, 64 << 20).expect("an arena");
        let mut magazine = Magazine::new(&arena);
        let blocks: BTreeSet<Addr> = (0..2 * ROUNDS).map(|_| arena.alloc(200).expect("a block")).collect();
        let chunk = arena.alloc(CHUNK).expect("a chunk");
        // SAFETY: allocated above with these bytes, given back once.
        unsafe {
            blocks.iter().for_each(|&at| magazine.free(at, 200));
            magazine.free(chunk, CHUNK);
        }
        assert_eq!(magazine.bytes(), BYTES as u64);
        assert_eq!(magazine.take(CHUNK), None);
        let taken: BTreeSet<Addr> = std::iter::from_fn(|| magazine.take(250)).collect();
        assert_eq!((taken.len(), taken.is_subset(&blocks)), (BYTES / 256, true));
    }
}
