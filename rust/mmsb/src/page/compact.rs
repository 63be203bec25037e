//! Compaction: chunks of a column that lie scattered, copied side by side, so that a view of it is few mappings again.
//!
//! The copies are made beside the writer. The next commits that change the page put them in the place of the chunks they
//! left as they were, so what is published is published by commits alone, and nothing but places changes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::ids::PageId;
use crate::base::limits::{CHUNK, COMPACT_AT_ONCE, COMPACT_GAIN};
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::error::MemoryError;
use crate::page::block::{self, head, is_null};
use crate::page::column::{ColumnRef, Place, child, chunks_of, entry, height, slots, span};
use crate::page::schema::Schema;
use crate::page::stage;
use crate::page::version::PageRef;

/// A chunk and its copy. Where and when the chunk was made names its contents for ever: a block is never both at once anew.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moved {
    /// Its column.
    pub column: usize,
    /// Its number there.
    pub index: u64,
    /// Its place and birth.
    pub from: (Addr, u64),
    /// The copy.
    pub to: Addr,
}

/// Up to 64 chunks of a column that one node is over, and that would be in fewer pieces side by side.
#[derive(Debug)]
pub struct Scattered {
    column: usize,
    chunks: Vec<Chunk>,
}

#[derive(Debug, Clone, Copy)]
struct Chunk {
    index: u64,
    from: (Addr, u64),
}

/// What lies scattered in a published version of a page that no other branch has. What is shared with another version that
/// lives is left alone: a copy would end that.
pub fn scattered(page: PageRef<'_>, schema: &Schema) -> Vec<Scattered> {
    let mut found = Vec::new();
    for column in 0..schema.columns().len() {
        let tree = page.column(schema, column);
        if let Place::Tree(root) = tree.place {
            let mut walk = Walk { tree: &tree, column, found: &mut found };
            walk.node(root, height(chunks_of(tree.bytes)), 0);
        }
    }
    found
}

struct Walk<'w> {
    tree: &'w ColumnRef<'w>,
    column: usize,
    found: &'w mut Vec<Scattered>,
}

impl Walk<'_> {
    fn node(&mut self, at: Addr, h: u32, first: u64) {
        let arena = self.tree.arena;
        if is_null(at) || head(arena, at).count() > 1 {
            return;
        }
        if h > 0 {
            let step = span(h);
            (0..slots(arena, at))
                .for_each(|i| self.node(child(arena, at, h, i), h - 1, first + i as u64 * step));
            return;
        }
        let chunks =
            (0..slots(arena, at)).map(|i| Chunk { index: first + i as u64, from: entry(arena, at, i) });
        let alone = |chunk: &Chunk| {
            let at = chunk.from.0;
            !is_null(at) && arena.chunk_rc(at).load(std::sync::atomic::Ordering::Relaxed) == 1
        };
        let chunks: Vec<Chunk> = chunks.filter(alone).collect();
        let neighbours = chunks.windows(2).filter(|pair| pair[0].index + 1 == pair[1].index);
        if neighbours.filter(|pair| pair[0].from.0.0 + CHUNK as u64 != pair[1].from.0.0).count()
            >= COMPACT_GAIN
        {
            self.found.push(Scattered { column: self.column, chunks });
        }
    }
}

/// Copies of a page's scattered chunks, side by side; those that no commit took are given back with this.
#[derive(Debug)]
pub struct Compacted {
    arena: Arc<Arena>,
    page: PageId,
    copies: Mutex<Copies>,
}

#[derive(Debug, Default)]
struct Copies {
    /// Those that wait.
    moved: Vec<Moved>,
    /// Whether there will be no more, so that commits may take them.
    offered: bool,
    /// Whether none is wanted any more.
    over: bool,
}

impl Compacted {
    /// No copies yet.
    pub fn new(arena: &Arc<Arena>, page: PageId) -> Self {
        Compacted { arena: Arc::clone(arena), page, copies: Mutex::default() }
    }

    fn copies(&self) -> MutexGuard<'_, Copies> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page.
    pub fn page(&self) -> PageId {
        self.page
    }

    /// Copies chunks of a version that the caller keeps pinned; false where none is wanted any more.
    pub fn copy(&self, scattered: &Scattered) -> Result<bool, MemoryError> {
        if self.copies().over {
            return Ok(false);
        }
        let run = self.arena.alloc_chunks(scattered.chunks.len())?;
        // Without the lock, which every commit takes to see what is offered.
        let moved = scattered.chunks.iter().enumerate().map(|(i, chunk)| {
            let to = Addr(run.0 + (i * CHUNK) as u64);
            let bytes = block::bytes(&self.arena, chunk.from.0, 0, CHUNK);
            block::bytes_mut(&self.arena, to, 0, CHUNK).copy_from_slice(bytes);
            Moved { column: scattered.column, index: chunk.index, from: chunk.from, to }
        });
        let moved: Vec<Moved> = moved.collect();
        let mut copies = self.copies();
        if copies.over {
            moved.iter().for_each(|moved| stage::free_chunk(&self.arena, moved.to));
            return Ok(false);
        }
        copies.moved.extend(moved);
        Ok(true)
    }

    /// Lets commits take the copies.
    pub fn offer(&self) {
        self.copies().offered = true;
    }

    /// Gives back what was copied, and has no more copied.
    pub fn give_up(&self) {
        let mut copies = self.copies();
        copies.over = true;
        copies.moved.drain(..).for_each(|moved| stage::free_chunk(&self.arena, moved.to));
    }

    /// Whether there is nothing to take, now or later.
    pub fn is_over(&self) -> bool {
        let copies = self.copies();
        copies.over || copies.offered && copies.moved.is_empty()
    }

    /// Hands over up to [`COMPACT_AT_ONCE`] copies; those that `take` says no to are given back.
    pub(crate) fn hand_over(&self, mut take: impl FnMut(&Moved) -> bool) {
        let mut copies = self.copies();
        if !copies.offered {
            return;
        }
        let rest = copies.moved.len().saturating_sub(COMPACT_AT_ONCE);
        for moved in copies.moved.drain(rest..) {
            if !take(&moved) {
                stage::free_chunk(&self.arena, moved.to);
            }
        }
    }
}

impl Drop for Compacted {
    fn drop(&mut self) {
        self.give_up();
    }
}
