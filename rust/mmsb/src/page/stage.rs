//! A stage: everything one commit makes and lets go of, before anybody sees it.
//!
//! Path copying with reference counts that are exact across forks. Copying a node that one parent holds hands its
//! children over to the copy; copying one that several hold adds a parent to each child. None of that is done until the
//! stage is settled, so forgetting a stage is undoing it.

use std::sync::Arc;

use crate::base::fail;
use crate::base::limits::CHUNK;
use crate::memory::addr::Addr;
use crate::memory::arena::{Arena, SMALL_MAX};
use crate::memory::error::MemoryError;
use crate::memory::heap::magazine::Magazine;
use crate::memory::pinning::limbo::{Limbo, Retired};
use crate::page::block::{self, Header, Kind, head};

/// The seqs from here on, up to twice as high, are of stages that make what a checkpoint holds: no two have the same one,
/// whenever they do it, and what they make was there before any frame to come.
pub const LOADED: u64 = 1 << 62;

/// The first seq at which somebody may look at what the stage `born` made.
fn since(born: u64) -> u64 {
    if born >> 62 == 1 { 0 } else { born }
}

/// A version is copied or let go only when its cells are in memory: whoever reads them in has them no parent to count
/// for otherwise.
fn check_read(header: &Header) {
    assert!(
        header.unread().is_none(),
        "a version of page {:#x} is changed before it was read in",
        header.key
    );
}

/// What a stage will do to the counts of blocks that were there before it, in order, parents before children.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// The node was copied, and the copy takes its place.
    Copied(Addr),
    /// A parent lets the node go.
    Release(Addr),
    /// A parent lets the chunk go; the seq it was made at and its page.
    ReleaseChunk(Addr, u64, u64),
    /// A new parent holds the node.
    Retain(Addr),
    /// A fresh block that turned out not to be needed.
    Discard(Addr, u32),
}

/// Pages whose fresh versions a stage finds again without walking the directory: a power of two.
const KNOWN: usize = 256;

/// The fresh version of a page, in the stage of a seq.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    seq: u64,
    page: u64,
    at: Addr,
}

/// Leaves that a stage finds again without walking a tree: a power of two.
const LEAVES: usize = 64;

/// A leaf of a column's tree: of which page and column, and which one it is.
pub type LeafKey = (u64, u16, u64);

fn leaf_slot((page, column, index): LeafKey) -> usize {
    (page as usize).wrapping_mul(7).wrapping_add(usize::from(column) * 3).wrapping_add(index as usize)
        % LEAVES
}

/// Everything one commit makes and lets go of.
#[derive(Debug)]
pub struct Stage<'a> {
    arena: &'a Arena,
    seq: u64,
    scratch: Box<Lists>,
}

/// The vectors of a stage, kept between commits so that a commit allocates nothing on the heap: a word to pass around.
#[derive(Debug, Default)]
pub struct Scratch(Option<Box<Lists>>);

#[derive(Debug, Default)]
struct Lists {
    /// Fresh blocks with their sizes; 0 for a chunk.
    fresh: Vec<(Addr, u32)>,
    changes: Vec<Change>,
    /// By the last bits of the page's id; empty until a stage wants it.
    known: Vec<Known>,
    /// By their keys, with the stage's seq; empty until a stage wants it.
    leaves: Vec<(u64, LeafKey, Addr)>,
    magazine: Option<Magazine>,
}

impl Scratch {
    /// Vectors for somebody who also keeps blocks of the arena from one stage to the next.
    pub fn with_magazine(arena: &Arc<Arena>) -> Self {
        Scratch(Some(Box::new(Lists { magazine: Some(Magazine::new(arena)), ..Lists::default() })))
    }

    /// Bytes of blocks that are kept, which the arena counts as used.
    pub fn kept_bytes(&self) -> u64 {
        self.0.as_ref().and_then(|lists| lists.magazine.as_ref()).map_or(0, Magazine::bytes)
    }

    fn magazine(&mut self) -> Option<&mut Magazine> {
        self.0.as_mut().and_then(|lists| lists.magazine.as_mut())
    }
}

impl<'a> Stage<'a> {
    /// An empty stage for the frame `seq`.
    pub fn new(arena: &'a Arena, seq: u64, scratch: Scratch) -> Self {
        Stage { arena, seq, scratch: scratch.0.unwrap_or_default() }
    }

    /// The arena it works in.
    #[inline]
    pub fn arena(&self) -> &'a Arena {
        self.arena
    }

    /// The seq its blocks are born at.
    #[inline]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The fresh version of a page, where it was noted and still is remembered.
    #[inline]
    pub fn known(&self, page: u64) -> Option<Addr> {
        let known = self.scratch.known.get(page as usize % KNOWN)?;
        (known.seq == self.seq && known.page == page).then_some(known.at)
    }

    /// Notes where the fresh version of a page is, null where there is none any more.
    #[inline]
    pub fn note(&mut self, page: u64, at: Addr) {
        if self.scratch.known.is_empty() {
            self.scratch.known.resize(KNOWN, Known::default());
        }
        let seq = if block::is_null(at) { 0 } else { self.seq };
        self.scratch.known[page as usize % KNOWN] = Known { seq, page, at };
    }

    /// A fresh leaf that was noted and still is remembered.
    pub fn leaf(&self, key: LeafKey) -> Option<Addr> {
        let &(seq, known, at) = self.scratch.leaves.get(leaf_slot(key))?;
        (seq == self.seq && known == key).then_some(at)
    }

    /// Notes where a fresh leaf is, until [`Stage::forget_leaves`].
    pub fn note_leaf(&mut self, key: LeafKey, at: Addr) {
        if self.scratch.leaves.is_empty() {
            self.scratch.leaves.resize(LEAVES, (0, LeafKey::default(), Addr::default()));
        }
        self.scratch.leaves[leaf_slot(key)] = (self.seq, key, at);
    }

    /// Remembers no leaf any more: a page is about to lose some.
    pub fn forget_leaves(&mut self) {
        self.scratch.leaves.clear();
    }

    /// Whether this stage made the node, so that it may be written in place.
    #[inline]
    pub fn is_fresh(&self, at: Addr) -> bool {
        head(self.arena, at).born == self.seq
    }

    /// A new node block of at least `bytes` bytes with its header; what lies behind the header is arbitrary.
    pub fn node(&mut self, kind: Kind, bytes: usize, key: u64) -> Result<Addr, MemoryError> {
        let bytes = bytes.next_multiple_of(64);
        let at = match self.scratch.magazine.as_mut().and_then(|magazine| magazine.take(bytes)) {
            Some(kept) => kept,
            None => alloc(self.arena, bytes)?,
        };
        self.scratch.fresh.push((at, bytes as u32));
        block::init(self.arena, at, Header::new(kind, bytes, self.seq, key));
        Ok(at)
    }

    /// `n` new chunks side by side, each with one parent; their bytes are arbitrary.
    pub fn chunks(&mut self, n: usize) -> Result<Addr, MemoryError> {
        let first = self.arena.alloc_chunks(n)?;
        (0..n).for_each(|i| self.adopt_chunk(Addr(first.0 + (i * CHUNK) as u64)));
        Ok(first)
    }

    /// Takes over a chunk that nobody has yet, for one parent.
    pub fn adopt_chunk(&mut self, at: Addr) {
        self.arena.chunk_rc(at).store(1, std::sync::atomic::Ordering::Relaxed);
        self.scratch.fresh.push((at, 0));
    }

    /// The node itself where it is fresh, else a fresh copy that takes its place under its parent.
    #[inline]
    pub fn own(&mut self, at: Addr) -> Result<Addr, MemoryError> {
        if self.is_fresh(at) {
            return Ok(at);
        }
        let bytes = head(self.arena, at).bytes as usize;
        self.copy(at, bytes, bytes)
    }

    /// A fresh copy of the node's first `used` bytes in a block of `bytes`, which takes its place under its parent.
    pub fn copy(&mut self, at: Addr, used: usize, bytes: usize) -> Result<Addr, MemoryError> {
        let old = head(self.arena, at);
        check_read(old);
        let copy = self.node(old.kind, bytes, old.key)?;
        let new = block::head_mut(self.arena, copy);
        (new.shift, new.slots) = (old.shift, old.slots);
        // What was found out about a column's node does not hold for what becomes of it.
        new.set_extra(if matches!(old.kind, Kind::Leaf | Kind::Inner) { 0 } else { old.extra() });
        let n = used - block::HEADER;
        block::bytes_mut(self.arena, copy, block::HEADER, n).copy_from_slice(block::bytes(
            self.arena,
            at,
            block::HEADER,
            n,
        ));
        self.replaced(at);
        Ok(copy)
    }

    /// A parent now holds a copy of the node in its place: the copy has the node's children.
    pub fn replaced(&mut self, at: Addr) {
        if self.is_fresh(at) {
            self.scratch.changes.push(Change::Discard(at, head(self.arena, at).bytes));
        } else {
            self.scratch.changes.push(Change::Copied(at));
        }
    }

    /// A parent lets go of the node and, where it was the last, of all below.
    pub fn release(&mut self, at: Addr) {
        self.scratch.changes.push(Change::Release(block::untag(at)));
    }

    /// A parent lets go of a chunk of `page` made at `born`.
    pub fn release_chunk(&mut self, at: Addr, born: u64, page: u64) {
        self.scratch.changes.push(Change::ReleaseChunk(at, born, page));
    }

    /// One more parent holds the node.
    pub fn retain(&mut self, at: Addr) {
        self.scratch.changes.push(Change::Retain(block::untag(at)));
    }

    /// Makes the counts true; blocks nobody refers to any more go to `retired`. Call when the frame is in the log.
    pub fn settle(mut self, retired: &mut Vec<Retired>) -> Scratch {
        let mut changes = std::mem::take(&mut self.scratch.changes);
        for change in changes.drain(..) {
            fail::at("settling");
            match change {
                Change::Copied(at) => self.settle_copy(at, retired),
                Change::Release(at) => self.let_go(at, retired),
                Change::ReleaseChunk(at, born, page) => self.let_go_chunk(at, born, page, retired),
                Change::Retain(at) => head(self.arena, at).retain(),
                Change::Discard(at, bytes) => self.retire(at, bytes as usize, self.seq, 0, retired),
            }
        }
        self.scratch.fresh.clear();
        self.scratch.changes = changes;
        Scratch(Some(self.scratch))
    }

    /// Forgets the stage: what it made is given back, and everything is as before.
    pub fn abort(mut self) -> Scratch {
        for (at, bytes) in self.scratch.fresh.drain(..) {
            free(self.arena, at, bytes);
        }
        self.scratch.changes.clear();
        // The next stage may have the same seq.
        self.scratch.known.clear();
        self.scratch.leaves.clear();
        Scratch(Some(self.scratch))
    }

    fn settle_copy(&self, at: Addr, retired: &mut Vec<Retired>) {
        let header = head(self.arena, at);
        if header.count() == 1 {
            let page = page_of(header);
            self.retire(at, header.bytes as usize, header.born, page, retired);
            return;
        }
        header.release();
        block::for_children(self.arena, at, |child, is_chunk, _| retain(self.arena, child, is_chunk));
    }

    fn let_go(&self, at: Addr, retired: &mut Vec<Retired>) {
        let mut stack = vec![at];
        while let Some(at) = stack.pop() {
            let header = head(self.arena, at);
            if header.release() > 0 {
                continue;
            }
            check_read(header);
            let page = page_of(header);
            block::for_children(self.arena, at, |child, is_chunk, born| {
                if is_chunk {
                    self.let_go_chunk(child, born, page, retired);
                } else {
                    stack.push(child);
                }
            });
            self.retire(at, header.bytes as usize, header.born, page, retired);
        }
    }

    fn let_go_chunk(&self, at: Addr, born: u64, page: u64, retired: &mut Vec<Retired>) {
        let count = self.arena.chunk_rc(at);
        let left = count.load(std::sync::atomic::Ordering::Relaxed) - 1;
        count.store(left, std::sync::atomic::Ordering::Relaxed);
        if left == 0 {
            retired.push(Retired { addr: at, bytes: 0, page, born: since(born), died: self.seq });
        }
    }

    fn retire(&self, at: Addr, bytes: usize, born: u64, page: u64, retired: &mut Vec<Retired>) {
        let (born, died) = (since(born), self.seq);
        if bytes <= SMALL_MAX {
            retired.push(Retired { addr: at, bytes: bytes as u32, page, born, died });
            return;
        }
        for i in 0..bytes.div_ceil(CHUNK) {
            let addr = Addr(at.0 + (i * CHUNK) as u64);
            retired.push(Retired { addr, bytes: 0, page, born, died });
        }
    }
}

/// Which page a node's bytes belong to for a view's pin: nodes of the tries belong to none.
fn page_of(header: &Header) -> u64 {
    match header.kind {
        Kind::Packed | Kind::Split | Kind::Data | Kind::Leaf | Kind::Inner => header.key,
        Kind::Root | Kind::Trie | Kind::Def | Kind::Schema | Kind::Branch | Kind::Merged => 0,
    }
}

fn retain(arena: &Arena, at: Addr, is_chunk: bool) {
    if is_chunk {
        let count = arena.chunk_rc(at);
        count.store(
            count.load(std::sync::atomic::Ordering::Relaxed) + 1,
            std::sync::atomic::Ordering::Relaxed,
        );
    } else {
        head(arena, at).retain();
    }
}

/// Gives what settled stages let go of back to the allocator, except for what a pin still covers; some blocks stay with
/// the scratch for the next stage.
#[allow(unsafe_code)]
pub fn recycle(limbo: &mut Limbo, arena: &Arena, scratch: &mut Scratch, retired: &mut Vec<Retired>) {
    // SAFETY: blocks come here from `settle` alone, once each, when no published root refers to them any more.
    unsafe { limbo.reclaim(arena, scratch.magazine(), retired) };
}

/// As [`recycle`], of all that can go: nothing stays with the scratch.
pub fn recycle_all(limbo: &mut Limbo, arena: &Arena, scratch: &mut Scratch) {
    recycle(limbo, arena, scratch, &mut Vec::new());
    if let Some(magazine) = scratch.magazine() {
        magazine.empty();
    }
}

/// Gives a chunk that no stage has published back to the allocator at once.
pub(crate) fn free_chunk(arena: &Arena, at: Addr) {
    free(arena, at, 0);
}

/// A block of at least so many bytes: a small one, or chunks side by side.
#[inline]
pub(super) fn alloc(arena: &Arena, bytes: usize) -> Result<Addr, MemoryError> {
    if bytes <= SMALL_MAX { arena.alloc(bytes) } else { arena.alloc_chunks(bytes.div_ceil(CHUNK)) }
}

/// Gives a block that nobody refers to back to the allocator at once.
#[allow(unsafe_code)]
pub(super) fn free(arena: &Arena, at: Addr, bytes: u32) {
    let bytes = bytes as usize;
    // SAFETY: whoever calls this allocated these blocks with these sizes and never published them.
    unsafe {
        if bytes == 0 {
            arena.free_chunk(at);
        } else if bytes <= SMALL_MAX {
            arena.free(at, bytes);
        } else {
            for i in 0..bytes.div_ceil(CHUNK) {
                arena.free_chunk(Addr(at.0 + (i * CHUNK) as u64));
            }
        }
    }
}
