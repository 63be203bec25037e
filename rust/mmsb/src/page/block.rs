//! Typed access to the blocks of the arena that make up a state: one header for every node, slots behind it.
//!
//! A block that a published root can reach is never written, except for its reference count, which only the writer
//! touches; for the cells of a version that come from a checkpoint, once, before anybody reads them; and for what a reader
//! found out about a column's node and all below, which is as true for whoever reads it next. A block is
//! *fresh* while the stage that allocated it has not been published; only fresh blocks are written.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering};

use crate::memory::addr::Addr;
use crate::memory::arena::Arena;

/// What a node block is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// The state of one branch at one epoch.
    Root = 1,
    /// An inner node of the page directory or of the name index.
    Trie = 2,
    /// One version of a page whose columns lie behind its header.
    Packed = 3,
    /// One version of a page whose columns are blocks or trees of their own.
    Split = 4,
    /// A column of at most one chunk: its bytes behind the header.
    Data = 5,
    /// A leaf of a column's tree: its children are chunks.
    Leaf = 6,
    /// An inner node of a column's tree.
    Inner = 7,
    /// A page's unchanging part: its id, name and schema.
    Def = 8,
    /// An encoded schema, shared by every page that has it.
    Schema = 9,
    /// What does not change of a branch.
    Branch = 10,
    /// What merges brought into a state.
    Merged = 11,
}

/// The 32 bytes every node block starts with.
#[repr(C)]
#[derive(Debug)]
pub struct Header {
    /// How many parents in the trees of published roots refer to this block.
    count: AtomicU32,
    /// Bytes this block was allocated with.
    pub bytes: u32,
    /// The seq of the frame that made it; for a tree also the newest anything below was made.
    pub born: u64,
    /// Page id; of a definition the key of its name; of a trie node the prefix of its keys.
    pub key: u64,
    /// What it is.
    pub kind: Kind,
    /// Of a trie node: the lowest of the six bits it decides. Of a column's node: its height above the chunks. Of a version:
    /// its marks.
    pub shift: u8,
    /// How many slots it has.
    pub slots: u16,
    /// Of a version: 0, or 1 + the number of its page among those whose cells are on disk still. Of a column's node: see
    /// [`Header::solid`]. Of other kinds, free for their own use.
    extra: AtomicU32,
}

/// See [`Header::solid`].
const SOLID: u32 = 1;
/// See [`Header::solid`].
const SCATTERED: u32 = 2;

/// Size of [`Header`]: where a block's slots start.
pub const HEADER: usize = size_of::<Header>();
const _: () = assert!(HEADER == 32 && align_of::<Header>() == 8);

/// Where the bytes of a packed page or of a data block start: behind the header and its slots, on a cache line.
pub const PAYLOAD: usize = 64;

impl Header {
    /// A header of a block that nothing refers to but the one parent it is made for.
    #[inline]
    pub fn new(kind: Kind, bytes: usize, born: u64, key: u64) -> Self {
        let bytes = u32::try_from(bytes).expect("a node block is a few KiB");
        Header {
            count: AtomicU32::new(1),
            bytes,
            born,
            key,
            kind,
            shift: 0,
            slots: 0,
            extra: AtomicU32::new(0),
        }
    }

    /// The number that the kind has for its own use.
    #[inline]
    pub fn extra(&self) -> u32 {
        self.extra.load(Ordering::Relaxed)
    }

    /// Sets that number, in a fresh block.
    #[inline]
    pub fn set_extra(&mut self, number: u32) {
        *self.extra.get_mut() = number;
    }

    /// Of a version whose cells are on disk still, the number of its page among those; see
    /// [`crate::page::checkpoint::lazy`].
    #[inline]
    pub fn unread(&self) -> Option<u32> {
        let version = matches!(self.kind, Kind::Packed | Kind::Split);
        if version { self.extra.load(Ordering::Acquire).checked_sub(1) } else { None }
    }

    /// Notes that a version's cells are in memory from now on: whoever sees this sees them.
    pub(crate) fn set_read(&self) {
        self.extra.store(0, Ordering::Release);
    }

    /// Of a column's node: whether the chunks below were found to lie side by side; `None` where nobody has looked.
    pub fn solid(&self) -> Option<bool> {
        match self.extra() {
            0 => None,
            found => Some(found == SOLID),
        }
    }

    /// Notes that for a node that is published: nothing of it changes any more.
    pub fn note_solid(&self, solid: bool) {
        self.extra.store(if solid { SOLID } else { SCATTERED }, Ordering::Relaxed);
    }

    /// How many parents refer to the block.
    #[inline]
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Sets that, for whoever writes and has counted.
    pub fn set_count(&self, count: u32) {
        self.count.store(count, Ordering::Relaxed);
    }

    /// One parent more. Only the writer calls this, so plain loads and stores suffice.
    #[inline]
    pub fn retain(&self) {
        self.count.store(self.count() + 1, Ordering::Relaxed);
    }

    /// One parent less; the new count.
    #[inline]
    pub fn release(&self) -> u32 {
        let left = self.count().checked_sub(1).expect("a block is released once per parent");
        self.count.store(left, Ordering::Relaxed);
        left
    }
}

/// The low bit of an address in a trie's slot: set where the child is a leaf (a page version or a definition).
const LEAF_TAG: u64 = 1;

/// Marks a child of a trie as a leaf.
#[inline]
pub fn tag_leaf(at: Addr) -> Addr {
    Addr(at.0 | LEAF_TAG)
}

/// Whether a trie's child is a leaf.
#[inline]
pub fn is_leaf(at: Addr) -> bool {
    at.0 & LEAF_TAG != 0
}

/// The address without its tag.
#[inline]
pub fn untag(at: Addr) -> Addr {
    Addr(at.0 & !LEAF_TAG)
}

/// Whether the address refers to nothing (all zeros, or absent).
#[inline]
pub fn is_null(at: Addr) -> bool {
    at.0 == 0
}

/// The header of the node block at `at`.
#[inline]
pub fn head(arena: &Arena, at: Addr) -> &Header {
    // SAFETY: addresses of node blocks come only from a stage, which wrote a header there before it handed them out;
    // pins and the writer's lock keep a block from being given back while somebody holds its address.
    unsafe { &*arena.write_ptr(untag(at)).cast::<Header>() }
}

/// The header of a fresh block.
#[inline]
#[allow(clippy::mut_from_ref)]
pub fn head_mut(arena: &Arena, at: Addr) -> &mut Header {
    // SAFETY: the block is fresh: only the stage that calls this knows its address, and it holds no other borrow of it.
    unsafe { &mut *arena.write_ptr(untag(at)).cast::<Header>() }
}

/// Puts a header at the start of a fresh block.
#[inline]
pub fn init(arena: &Arena, at: Addr, header: Header) {
    // SAFETY: a fresh block of at least HEADER bytes, aligned to 64.
    unsafe { arena.write_ptr(at).cast::<Header>().write(header) }
}

/// `n` words of a block from byte `offset` on.
#[inline]
pub fn words(arena: &Arena, at: Addr, offset: usize, n: usize) -> &[u64] {
    // SAFETY: callers stay inside the block's `bytes`; blocks are 64-byte aligned and offsets multiples of 8; a
    // published block is immutable and a fresh one is written only between such borrows.
    unsafe { std::slice::from_raw_parts(arena.write_ptr(untag(at)).add(offset).cast::<u64>(), n) }
}

/// `n` words of a fresh block, or of what is unread of a version, from byte `offset` on.
#[inline]
#[allow(clippy::mut_from_ref)]
pub fn words_mut(arena: &Arena, at: Addr, offset: usize, n: usize) -> &mut [u64] {
    // SAFETY: as `words`, and the block is fresh, so nobody else sees it; or it is a version's part that nobody looks at
    // before `Header::set_read`, which the one thread that reads it in calls when it is done.
    unsafe { std::slice::from_raw_parts_mut(arena.write_ptr(untag(at)).add(offset).cast::<u64>(), n) }
}

/// `n` bytes of a block or of a run of chunks from byte `offset` on.
#[inline]
pub fn bytes(arena: &Arena, at: Addr, offset: usize, n: usize) -> &[u8] {
    // SAFETY: as `words`, without its alignment.
    unsafe { std::slice::from_raw_parts(arena.write_ptr(untag(at)).add(offset), n) }
}

/// `n` bytes of a fresh block or run of chunks, or of what is unread of a version, from byte `offset` on.
#[inline]
#[allow(clippy::mut_from_ref)]
pub fn bytes_mut(arena: &Arena, at: Addr, offset: usize, n: usize) -> &mut [u8] {
    // SAFETY: as `words_mut`, without its alignment.
    unsafe { std::slice::from_raw_parts_mut(arena.write_ptr(untag(at)).add(offset), n) }
}

/// Has the processor fetch the first of `n` bytes of a fresh block, from byte `offset` on, that will be written soon.
#[inline]
pub fn prefetch(arena: &Arena, at: Addr, offset: usize, n: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..n.min(256)).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: a hint, for bytes inside the block: nothing is read, and nothing faults.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(arena.write_ptr(untag(at)).add(offset + line).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (arena, at, offset, n);
}

/// Calls `visit` with every child of a node that counts it as a parent: nodes with `false`, chunks with `true`.
pub fn for_children(arena: &Arena, at: Addr, mut visit: impl FnMut(Addr, bool, u64)) {
    let header = head(arena, at);
    // A version whose cells are on disk still has nothing but its definition.
    let n = if header.unread().is_some() { 1 } else { usize::from(header.slots) };
    match header.kind {
        Kind::Data | Kind::Def | Kind::Schema | Kind::Branch | Kind::Merged => {}
        Kind::Root | Kind::Trie | Kind::Inner | Kind::Packed | Kind::Split => {
            let skip = first_child(header.kind);
            for &slot in &words(arena, at, HEADER, skip + n)[skip..] {
                if slot != 0 {
                    visit(untag(Addr(slot)), false, header.born);
                }
            }
        }
        Kind::Leaf => {
            for pair in words(arena, at, HEADER, 2 * n).chunks_exact(2) {
                if pair[0] != 0 {
                    visit(Addr(pair[0]), true, pair[1]);
                }
            }
        }
    }
}

/// How many words of a node lie between its header and its children.
pub const fn first_child(kind: Kind) -> usize {
    match kind {
        Kind::Root => 4,
        Kind::Trie => 1,
        Kind::Packed | Kind::Split => 2,
        _ => 0,
    }
}
