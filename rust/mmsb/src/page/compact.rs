//! Compaction: chunks of a column that lie scattered, copied side by side, so that a view of it is few mappings again.
//!
//! The copies are made beside the writer. The next commit that changes the page puts them in the place of the chunks it
//! left as they were, so what is published is published by commits alone, and nothing but places changes.

use std::sync::{Arc, Weak};

use crate::base::ids::PageId;
use crate::base::limits::{CHUNK, COMPACT_AT_ONCE, COMPACT_GAIN};
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::error::MemoryError;
use crate::page::block;
use crate::page::column::{ColumnRef, FAN};
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

/// Copies of a page's scattered chunks, side by side; those that no commit took are given back when this is dropped.
#[derive(Debug)]
pub struct Compacted {
    arena: Arc<Arena>,
    page: PageId,
    /// Those that wait.
    moved: Vec<Moved>,
    /// There as long as this is.
    alive: Arc<()>,
}

impl Compacted {
    /// No copies yet.
    pub fn new(arena: &Arc<Arena>, page: PageId) -> Self {
        Compacted { arena: Arc::clone(arena), page, moved: Vec::new(), alive: Arc::default() }
    }

    /// The page.
    pub fn page(&self) -> PageId {
        self.page
    }

    /// What is there as long as this is.
    pub fn alive(&self) -> Weak<()> {
        Arc::downgrade(&self.alive)
    }

    /// How many copies wait.
    pub fn len(&self) -> usize {
        self.moved.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.moved.is_empty()
    }

    /// Copies what lies scattered in a version of the page, which the caller keeps pinned, a node of 64 chunks at a time.
    /// `go_on` is asked before each; what was copied until then is of use without the rest.
    pub fn copy(
        &mut self,
        page: PageRef<'_>,
        schema: &Schema,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<(), MemoryError> {
        for column in 0..schema.columns().len() {
            for chunks in scattered(&page.column(schema, column)) {
                if !go_on() {
                    return Ok(());
                }
                self.copy_node(column, &chunks)?;
            }
        }
        Ok(())
    }

    fn copy_node(&mut self, column: usize, chunks: &[Chunk]) -> Result<(), MemoryError> {
        let run = self.arena.alloc_chunks(chunks.len())?;
        for (i, chunk) in chunks.iter().enumerate() {
            let to = Addr(run.0 + (i * CHUNK) as u64);
            let bytes = block::bytes(&self.arena, chunk.from.0, 0, CHUNK);
            block::bytes_mut(&self.arena, to, 0, CHUNK).copy_from_slice(bytes);
            self.moved.push(Moved { column, index: chunk.index, from: chunk.from, to });
        }
        Ok(())
    }

    /// Hands over up to [`COMPACT_AT_ONCE`] copies; those that `take` says no to are given back.
    pub(crate) fn hand_over(&mut self, mut take: impl FnMut(&Moved) -> bool) {
        let rest = self.moved.len().saturating_sub(COMPACT_AT_ONCE);
        for moved in self.moved.drain(rest..) {
            if !take(&moved) {
                stage::free_chunk(&self.arena, moved.to);
            }
        }
    }
}

impl Drop for Compacted {
    fn drop(&mut self) {
        self.moved.iter().for_each(|moved| stage::free_chunk(&self.arena, moved.to));
    }
}

#[derive(Debug, Clone, Copy)]
struct Chunk {
    index: u64,
    from: (Addr, u64),
}

/// The chunks of every node over 64 of them that would be in fewer pieces side by side.
fn scattered(column: &ColumnRef<'_>) -> Vec<Vec<Chunk>> {
    let mut nodes: Vec<Vec<Chunk>> = Vec::new();
    if column.is_tree() {
        column.chunks(|byte, at, born| {
            let chunk = Chunk { index: byte / CHUNK as u64, from: (at, born) };
            match nodes.last_mut() {
                Some(node) if node[0].index / FAN == chunk.index / FAN => node.push(chunk),
                _ => nodes.push(vec![chunk]),
            }
        });
    }
    nodes.retain(|node| {
        let pairs = node.windows(2).map(|pair| (pair[0], pair[1]));
        let neighbours = pairs.filter(|(a, b)| a.index + 1 == b.index);
        neighbours.filter(|(a, b)| a.from.0.0 + CHUNK as u64 != b.from.0.0).count() >= COMPACT_GAIN
    });
    nodes
}
