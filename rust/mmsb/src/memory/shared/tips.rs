//! Tips: for each branch the few words that change when somebody commits to it, where every process finds them.
//!
//! A tip's memory is a tip's for good, and the branch whose it is stands in it. So whoever follows a branch that was dropped
//! finds that its tip is nobody's now, or another's, and never anything else. A branch that is coming to be has its tip, so
//! that nothing can fail when it is there, and is shown with it when its frame is in the log.
#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::sync::Arc;

use crate::base::limits::CHUNK;
use crate::base::sync::{AtomicU64, Ordering};
use crate::memory::addr::Addr;
use crate::memory::arena::{Arena, Links};
use crate::memory::error::MemoryError;
use crate::memory::heap::alloc::{addr_of, cell_of};
use crate::memory::heap::stack::FreeStack;

/// The words of one branch.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct TipWords {
    /// The root that readers see; of nobody's, the link of the free list.
    root: AtomicU64,
    /// 1 + the branch, and [`COMING`]; 0 = nobody's.
    owner: AtomicU64,
    /// The root that the next commit starts from.
    appended: AtomicU64,
    /// The highest page counter given out.
    counter: AtomicU64,
}

/// In an owner: no reader may see the branch yet.
const COMING: u64 = 1 << 63;

fn shown(branch: u32) -> u64 {
    1 + u64::from(branch)
}

impl TipWords {
    /// Nobody's.
    #[allow(clippy::new_without_default)] // as `FreeStack`
    pub fn new() -> TipWords {
        let zero = || AtomicU64::new(0);
        TipWords { owner: zero(), root: zero(), appended: zero(), counter: zero() }
    }

    /// Makes them those of a branch that is coming to be; the caller alone has them.
    pub fn take(&self, branch: u32, root: u64, counter: u32) {
        self.root.store(root, Ordering::Release);
        self.appended.store(root, Ordering::Relaxed);
        self.counter.store(u64::from(counter), Ordering::Release);
        self.owner.store(shown(branch) | COMING, Ordering::Release);
    }

    /// The branch is there: readers may see it.
    pub fn show(&self, branch: u32) {
        self.owner.store(shown(branch), Ordering::Release);
    }

    /// Makes them nobody's. Only then may they be given back.
    pub fn leave(&self) {
        self.owner.store(0, Ordering::Release);
    }

    /// Whether they are those of a branch that is there.
    #[inline]
    pub fn is_of(&self, branch: u32) -> bool {
        self.owner.load(Ordering::Acquire) == shown(branch)
    }

    /// Whether they are those of a branch that is there or coming to be.
    #[inline]
    fn is_taken_by(&self, branch: u32) -> bool {
        self.owner.load(Ordering::Acquire) & !COMING == shown(branch)
    }

    /// The root that readers of a branch see; `None` where they are not its yet, or no more.
    #[inline]
    pub fn root_of(&self, branch: u32) -> Option<u64> {
        // Whoever sees what was stored since the branch left sees that it has.
        let root = self.root.load(Ordering::Acquire);
        self.is_of(branch).then_some(root)
    }
}

/// Tips of one block: with the word before them a chunk.
const TIPS: usize = CHUNK / 64 - 1;

/// A block of tips. All zero is nobody's.
#[repr(C)]
struct Block {
    /// The block before it, 0 = none.
    before: AtomicU64,
    _reserved: [u64; 7],
    tips: [TipWords; TIPS],
}

#[cfg(not(mmsb_loom))]
const _: () = assert!(size_of::<TipWords>() == 64 && size_of::<Block>() == CHUNK);

/// Where tip `i` of a block lies.
fn place(block: Addr, i: usize) -> Addr {
    block.plus((std::mem::offset_of!(Block, tips) + i * size_of::<TipWords>()) as u64)
}

/// The tips of an arena. All zero is none.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Tips {
    free: FreeStack,
    /// The address of the newest block, 0 = none.
    newest: AtomicU64,
}

/// The tip of one branch, in an arena that it keeps.
#[derive(Debug)]
pub struct Tip {
    arena: Arc<Arena>,
    /// Its number, and what that stands for.
    cell: u64,
    words: NonNull<TipWords>,
    branch: u32,
}

// SAFETY: the pointer leads into the arena, which is kept, to atomics only.
unsafe impl Send for Tip {}
// SAFETY: as above.
unsafe impl Sync for Tip {}

/// The words of a tip, by its number.
fn words(arena: &Arena, cell: u64) -> &TipWords {
    let at: *const TipWords = arena.write_ptr(addr_of(cell)).cast();
    // SAFETY: only numbers of tips come to the free list, and tips stay tips; see `grow`.
    unsafe { &*at }
}

/// Adds a block and gives one of its tips.
fn grow(arena: &Arena) -> Result<u64, MemoryError> {
    let (tips, links) = (&arena.control().tips, Links(arena));
    let at = arena.alloc_within_reach()?;
    let block: *mut Block = arena.write_ptr(at).cast();
    // SAFETY: a fresh chunk, as large as a block, aligned, and nobody else's; all zero is a block of nobody's.
    let block = unsafe {
        ptr::write_bytes(block, 0, 1);
        &*block
    };
    let mut before = tips.newest.load(Ordering::Relaxed);
    loop {
        block.before.store(before, Ordering::Relaxed);
        match tips.newest.compare_exchange(before, at.0, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => before = now,
        }
    }
    let cell = |i: usize| cell_of(place(at, i));
    (1..TIPS - 1).for_each(|i| FreeStack::link_cells(&links, cell(i), cell(i + 1)));
    tips.free.push_chain(&links, cell(1), cell(TIPS - 1));
    Ok(cell(0))
}

/// The blocks of tips, newest first.
fn each(arena: &Arena) -> impl Iterator<Item = (Addr, &Block)> {
    let mut next = Addr(arena.control().tips.newest.load(Ordering::Acquire));
    std::iter::from_fn(move || {
        let at = next;
        let block: *const Block = arena.write_ptr(at).cast();
        // SAFETY: only addresses of blocks are in the list, and they stay blocks; see `grow`.
        let block = (!at.is_null()).then(|| unsafe { &*block })?;
        next = Addr(block.before.load(Ordering::Relaxed));
        Some((at, block))
    })
}

/// Where the tips of an arena lie, and how many bytes each block has.
pub fn blocks(arena: &Arena) -> Vec<(Addr, usize)> {
    each(arena).map(|(at, _)| (at, CHUNK)).collect()
}

/// The roots that readers see, of all branches that are there.
pub fn roots(arena: &Arena) -> Vec<Addr> {
    let shown = |tip: &TipWords| {
        let owner = tip.owner.load(Ordering::Acquire);
        (owner != 0 && owner & COMING == 0).then(|| Addr(tip.root.load(Ordering::Acquire)))
    };
    each(arena).flat_map(|(_, block)| block.tips.iter().filter_map(shown)).collect()
}

/// Puts right what a process left that died with the writer's lock: branches that were coming to be are none, and the next
/// commit of all others starts from what readers see. For whoever has the lock now.
pub fn repair(arena: &Arena) {
    let (tips, links) = (&arena.control().tips, Links(arena));
    // Those that it had taken, and that were nobody's yet, are in no list.
    while tips.free.pop(&links).is_some() {}
    for (at, block) in each(arena) {
        for (i, tip) in block.tips.iter().enumerate() {
            let owner = tip.owner.load(Ordering::Acquire);
            if owner != 0 && owner & COMING == 0 {
                tip.appended.store(tip.root.load(Ordering::Acquire), Ordering::Relaxed);
            } else {
                tip.leave();
                tips.free.push(&links, cell_of(place(at, i)));
            }
        }
    }
}

impl Tip {
    /// A tip for a branch that is coming to be.
    pub fn new(arena: &Arc<Arena>, branch: u32, root: Addr, counter: u32) -> Result<Tip, MemoryError> {
        let cell = match arena.control().tips.free.pop(&Links(arena)) {
            Some(cell) => cell,
            None => grow(arena)?,
        };
        words(arena, cell).take(branch, root.0, counter);
        Ok(Tip::at(arena, cell, branch))
    }

    fn at(arena: &Arc<Arena>, cell: u64, branch: u32) -> Tip {
        let words = NonNull::from(words(arena, cell));
        Tip { arena: Arc::clone(arena), cell, words, branch }
    }

    /// The tip of a number that was a branch's: it may be gone, or another's by now.
    pub fn of_number(arena: &Arc<Arena>, number: u64, branch: u32) -> Tip {
        Tip::at(arena, number, branch)
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.cell
    }

    /// The branch is there: readers may see it. For whoever writes.
    pub fn show(&self) {
        self.words().show(self.branch);
    }

    #[inline]
    fn words(&self) -> &TipWords {
        // SAFETY: see `Send`.
        unsafe { self.words.as_ref() }
    }

    /// The root that readers see, where the branch is there. Pin before you follow it.
    #[inline]
    pub fn root(&self) -> Option<Addr> {
        self.words().root_of(self.branch).map(Addr)
    }

    /// Shows a root to readers, unless the branch was dropped; for whoever writes.
    #[inline]
    pub fn publish(&self, root: Addr) {
        if self.lives() {
            self.words().root.store(root.0, Ordering::Release);
        }
    }

    /// The root that the next commit starts from, where the branch lives; for whoever writes.
    #[inline]
    pub fn appended(&self) -> Option<Addr> {
        self.lives().then(|| Addr(self.words().appended.load(Ordering::Relaxed)))
    }

    /// Sets that, for whoever writes.
    #[inline]
    pub fn set_appended(&self, root: Addr) {
        debug_assert!(self.lives(), "{} was dropped", self.branch);
        self.words().appended.store(root.0, Ordering::Relaxed);
    }

    /// A page counter that was never given out on this branch; `None` where there is none left, or no branch. Where it is
    /// dropped at this moment, the one that has its tip next may leave out a number.
    pub fn next_counter(&self) -> Option<u32> {
        let next = |n: u64| (n < u64::from(u32::MAX)).then_some(n + 1);
        let before = self.words().counter.fetch_update(Ordering::Acquire, Ordering::Acquire, next).ok()?;
        self.lives().then_some(before as u32 + 1)
    }

    /// Gives out no page counter up to this one any more; for whoever writes.
    pub fn raise_counter(&self, counter: u32) {
        self.words().counter.fetch_max(counter.into(), Ordering::AcqRel);
    }

    /// The highest page counter given out, where the branch lives.
    pub fn counter(&self) -> Option<u32> {
        let counter = self.words().counter.load(Ordering::Acquire) as u32;
        self.lives().then_some(counter)
    }

    /// Whether the branch is there or coming to be.
    #[inline]
    pub fn lives(&self) -> bool {
        self.words().is_taken_by(self.branch)
    }

    /// The branch is dropped, or did not come to be: the tip may be another's from now on. For whoever writes.
    pub fn leave(&self) {
        if self.lives() {
            self.words().leave();
            self.arena.control().tips.free.push(&Links(&self.arena), self.cell);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::memory::arena::Options;
    use crate::memory::machine::place::Place;
    use std::collections::BTreeMap;

    fn arena() -> Arc<Arena> {
        Arena::with(Place::Memory, Options { budget: 1 << 30, prefault: false }).unwrap()
    }

    #[test]
    fn branches_come_and_go_as_in_a_map() {
        let arena = arena();
        let mut living: BTreeMap<u32, (Tip, u64)> = BTreeMap::new();
        let mut random = 11u64;
        for step in 1..4000u32 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let some = living.keys().nth((random >> 33) as usize % living.len().max(1)).copied();
            match (random >> 60, some) {
                (0..4, Some(branch)) => {
                    let (tip, _) = living.remove(&branch).unwrap();
                    tip.leave();
                    assert_eq!((tip.root(), tip.appended(), tip.counter()), (None, None, None));
                    assert_eq!(tip.next_counter(), None);
                    tip.publish(Addr(64));
                    tip.leave();
                    assert!(Tip::of_number(&arena, tip.number(), branch).root().is_none());
                }
                (4..8, Some(branch)) => {
                    let (tip, root) = living.get_mut(&branch).unwrap();
                    *root = u64::from(step) * 64;
                    tip.publish(Addr(*root));
                    assert_eq!(tip.next_counter(), tip.counter());
                }
                _ => {
                    let root = u64::from(step) * 64;
                    let tip = Tip::new(&arena, step, Addr(root), 7).unwrap();
                    assert_eq!((tip.root(), tip.appended()), (None, Some(Addr(root))), "not there yet");
                    assert_eq!(Tip::of_number(&arena, tip.number(), step).root(), None);
                    tip.show();
                    living.insert(step, (tip, root));
                }
            }
            assert!(living.values().all(|(tip, root)| tip.root() == Some(Addr(*root))));
        }
        assert!(living.len() > TIPS, "several blocks");
        for (&branch, (tip, root)) in &living {
            let found = Tip::of_number(&arena, tip.number(), branch);
            assert_eq!((found.cell, found.root()), (tip.cell, Some(Addr(*root))));
        }
        assert!(living.values().all(|(tip, _)| tip.counter() >= Some(7)));
    }

    #[test]
    fn counters_end() {
        let tip = Tip::new(&arena(), 3, Addr(64), u32::MAX - 1).unwrap();
        assert_eq!([(); 3].map(|()| tip.next_counter()), [Some(u32::MAX), None, None]);
        assert_eq!(tip.counter(), Some(u32::MAX));
    }
}
