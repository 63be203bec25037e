//! Making a column's tree of chunks that are there already: what loading a checkpoint does.

use crate::memory::addr::Addr;
use crate::memory::error::MemoryError;
use crate::page::block::{HEADER, Kind, head, head_mut, is_null, words, words_mut};
use crate::page::column::{FAN, height, span};
use crate::page::stage::Stage;
use std::sync::atomic::Ordering;

/// A chunk for a tree: its number there, its place (null for zeros) and its birth.
pub type Listed = (u64, Addr, u64);

/// A tree of `page` over `chunks` chunks that has these, ascending, and elsewhere what the tree `base` of as many chunks
/// has, or zeros where that is null. Takes over one count of each chunk listed.
pub fn graft(
    stage: &mut Stage<'_>,
    page: u64,
    base: Addr,
    chunks: u64,
    listed: &[Listed],
) -> Result<Addr, MemoryError> {
    Graft { page, chunks }.node(stage, base, height(chunks), 0, listed)
}

struct Graft {
    page: u64,
    chunks: u64,
}

impl Graft {
    /// The node at height `h` over the chunks from `first` on.
    fn node(
        &self,
        stage: &mut Stage<'_>,
        base: Addr,
        h: u32,
        first: u64,
        listed: &[Listed],
    ) -> Result<Addr, MemoryError> {
        if listed.is_empty() {
            if !is_null(base) {
                stage.retain(base);
            }
            return Ok(base);
        }
        let (arena, step) = (stage.arena(), span(h));
        let slots = (self.chunks - first).div_ceil(step).min(FAN);
        let (kind, stride) = if h == 0 { (Kind::Leaf, 16) } else { (Kind::Inner, 8) };
        let at = stage.node(kind, HEADER + stride * slots as usize, self.page)?;
        (head_mut(arena, at).shift, head_mut(arena, at).slots) = (h as u8, slots as u16);
        let had = if is_null(base) { 0 } else { u64::from(head(arena, base).slots) };
        let mut rest = listed;
        for i in 0..slots {
            let end = first + (i + 1) * step;
            let (here, behind) = rest.split_at(rest.partition_point(|(index, ..)| *index < end));
            rest = behind;
            let offset = HEADER + stride * i as usize;
            if h > 0 {
                let below = if i < had { Addr(words(arena, base, offset, 1)[0]) } else { Addr::default() };
                let child = self.node(stage, below, h - 1, first + i * step, here)?;
                words_mut(arena, at, offset, 1)[0] = child.0;
                continue;
            }
            let entry = match here.first() {
                Some((_, chunk, _)) if is_null(*chunk) => [0, 0],
                Some((_, chunk, born)) => [chunk.0, *born],
                None if i < had => {
                    let old = words(arena, base, offset, 2);
                    if old[0] != 0 {
                        arena.chunk_rc(Addr(old[0])).fetch_add(1, Ordering::Relaxed);
                    }
                    [old[0], old[1]]
                }
                None => [0, 0],
            };
            words_mut(arena, at, offset, 2).copy_from_slice(&entry);
        }
        Ok(at)
    }
}
