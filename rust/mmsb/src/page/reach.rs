//! What roots reach, and by how many ways: what is in use, whatever anybody's account says.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;

use crate::base::limits::CHUNK;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::error::MemoryError;
use crate::memory::shared::tips;
use crate::page::block::{self, head};
use crate::page::{branches, schemas};

/// The blocks that roots reach, with how many parents each has: a root has one, which is its branch.
#[derive(Debug, Default)]
pub struct Reached {
    nodes: HashMap<Addr, u32>,
    chunks: HashMap<Addr, u32>,
}

impl Reached {
    /// What these roots reach.
    pub fn by(arena: &Arena, roots: impl IntoIterator<Item = Addr>) -> Self {
        let mut reached = Reached::default();
        let mut stack: Vec<Addr> = roots.into_iter().collect();
        stack.iter().for_each(|&root| *reached.nodes.entry(root).or_default() += 1);
        while let Some(at) = stack.pop() {
            block::for_children(arena, at, |child, is_chunk, _| {
                let of = if is_chunk { &mut reached.chunks } else { &mut reached.nodes };
                let count = of.entry(child).or_default();
                *count += 1;
                if *count == 1 && !is_chunk {
                    stack.push(child);
                }
            });
        }
        reached
    }

    /// The first block, if there is one, that says it has another number of parents: that number, and the true one.
    pub fn mistaken(&self, arena: &Arena) -> Option<(Addr, u32, u32)> {
        let node = |(&at, &count): (&Addr, &u32)| (at, head(arena, at).count(), count);
        let chunk = |(&at, &count): (&Addr, &u32)| (at, arena.chunk_rc(at).load(Ordering::Relaxed), count);
        let says = self.nodes.iter().map(node).chain(self.chunks.iter().map(chunk));
        says.into_iter().find(|(_, says, count)| says != count)
    }

    /// Has every block say how many parents it has. For whoever writes.
    pub fn set_counts(&self, arena: &Arena) {
        self.nodes.iter().for_each(|(&at, &count)| head(arena, at).set_count(count));
        self.chunks.iter().for_each(|(&at, &count)| arena.chunk_rc(at).store(count, Ordering::Relaxed));
    }

    /// All blocks of the arena that are in use or on their way to the process whose they are: where they begin, and how many
    /// bytes they have.
    ///
    /// # Errors
    /// A span cannot be mapped.
    pub fn in_use(&self, arena: &Arena) -> Result<BTreeMap<Addr, usize>, MemoryError> {
        let mut blocks = lists(arena)?;
        blocks.extend(self.nodes.keys().map(|&at| (at, head(arena, at).bytes as usize)));
        blocks.extend(self.chunks.keys().map(|&at| (at, CHUNK)));
        let bytes = |bytes: u32| if bytes == 0 { CHUNK } else { bytes as usize };
        blocks.extend(arena.all_noted().into_iter().map(|noted| (noted.addr, bytes(noted.bytes))));
        Ok(blocks)
    }
}

/// The blocks that no root reaches, and that are in use for as long as the arena is there.
///
/// # Errors
/// A span cannot be mapped.
pub fn lists(arena: &Arena) -> Result<BTreeMap<Addr, usize>, MemoryError> {
    let mut blocks: BTreeMap<Addr, usize> = schemas::blocks(arena)?.into_iter().collect();
    blocks.extend(branches::blocks(arena));
    blocks.extend(tips::blocks(arena));
    blocks.extend(arena.journal_blocks());
    Ok(blocks)
}
