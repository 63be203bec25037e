//! Writing a column's tree of chunks within a stage: the path to what is written is copied, all else is shared.

use crate::base::limits::CHUNK;
use crate::memory::addr::Addr;
use crate::memory::error::MemoryError;
use crate::page::block::{self, HEADER, Kind, head, head_mut, is_null, words, words_mut};
use crate::page::column::{FAN, child, entry_at, height, span};
use crate::page::stage::Stage;

/// Writes a column's tree within a stage.
#[derive(Debug)]
pub struct TreeWriter<'s, 'a> {
    stage: &'s mut Stage<'a>,
    page: u64,
    root: Addr,
    chunks: u64,
    /// The fresh leaf last used, and which one it is.
    leaf: Addr,
    leaf_index: u64,
}

impl<'s, 'a> TreeWriter<'s, 'a> {
    /// A writer of `page`'s tree at `root` over `chunks` chunks.
    pub fn new(stage: &'s mut Stage<'a>, page: u64, root: Addr, chunks: u64) -> Self {
        TreeWriter { stage, page, root, chunks, leaf: Addr::default(), leaf_index: u64::MAX }
    }

    /// The root now; to be hung where the old one was.
    pub fn root(&self) -> Addr {
        self.root
    }

    /// The leaf last written, if any was.
    pub fn leaf(&self) -> Addr {
        self.leaf
    }

    /// The writable bytes of chunk `index`: copied from before where it is not fresh yet.
    pub fn chunk(&mut self, index: u64) -> Result<&'s mut [u8], MemoryError> {
        let at = self.chunk_at(index)?;
        Ok(block::bytes_mut(self.stage.arena(), at, 0, CHUNK))
    }

    /// Where chunk `index` may be written, as [`TreeWriter::chunk`].
    pub fn chunk_at(&mut self, index: u64) -> Result<Addr, MemoryError> {
        self.enter(index)?;
        let arena = self.stage.arena();
        let entry = words_mut(arena, self.leaf, HEADER + 16 * (index % FAN) as usize, 2);
        let old = Addr(entry[0]);
        if is_null(old) || entry[1] != self.stage.seq() {
            let new = self.stage.chunks(1)?;
            let to = block::bytes_mut(arena, new, 0, CHUNK);
            if is_null(old) {
                to.fill(0);
            } else {
                to.copy_from_slice(block::bytes(arena, old, 0, CHUNK));
                self.stage.release_chunk(old, entry[1], self.page);
            }
            entry.copy_from_slice(&[new.0, self.stage.seq()]);
        }
        Ok(Addr(entry[0]))
    }

    /// Makes the chunks `first..end`, all of whose bytes are about to be written, fresh without copying them; those that
    /// were not fresh lie side by side, as far as memory has room for so many in a row.
    pub fn cover(&mut self, first: u64, end: u64) -> Result<(), MemoryError> {
        let mut from = first;
        while from < end {
            let mut until = from;
            while until < end && !self.is_fresh(until)? {
                until += 1;
            }
            let mut most = until - from;
            while from < until {
                let n = most.min(until - from);
                let run = match self.stage.chunks(n as usize) {
                    Err(_) if n > 1 => {
                        most = n / 2;
                        continue;
                    }
                    run => run?,
                };
                for i in 0..n {
                    self.exchange(from + i, Addr(run.0 + i * CHUNK as u64))?;
                }
                from += n;
            }
            from = until + 1;
        }
        Ok(())
    }

    fn is_fresh(&mut self, index: u64) -> Result<bool, MemoryError> {
        self.enter(index)?;
        let entry = words(self.stage.arena(), self.leaf, HEADER + 16 * (index % FAN) as usize, 2);
        Ok(entry[0] != 0 && entry[1] == self.stage.seq())
    }

    /// Puts a chunk of this stage in the place of the one at `index`.
    fn exchange(&mut self, index: u64, new: Addr) -> Result<(), MemoryError> {
        self.enter(index)?;
        let entry = words_mut(self.stage.arena(), self.leaf, HEADER + 16 * (index % FAN) as usize, 2);
        if entry[0] != 0 {
            self.stage.release_chunk(Addr(entry[0]), entry[1], self.page);
        }
        entry.copy_from_slice(&[new.0, self.stage.seq()]);
        Ok(())
    }

    /// Puts `copy`, a chunk nobody has yet, in the place of the one at `index` where that is still the one made there and
    /// then; false, and nothing was done, where it is not.
    pub fn replace(&mut self, index: u64, from: (Addr, u64), copy: Addr) -> Result<bool, MemoryError> {
        let arena = self.stage.arena();
        if index >= self.chunks || entry_at(arena, self.root, height(self.chunks), index) != from {
            return Ok(false);
        }
        self.enter(index)?;
        self.stage.adopt_chunk(copy);
        self.exchange(index, copy)?;
        Ok(true)
    }

    /// Makes the path to the leaf over chunk `index` fresh.
    fn enter(&mut self, index: u64) -> Result<(), MemoryError> {
        if self.leaf_index == index / FAN {
            return Ok(());
        }
        let arena = self.stage.arena();
        let top = height(self.chunks);
        self.root = self.own(self.root, top, 0)?;
        let mut at = self.root;
        for h in (1..=top).rev() {
            let i = (index / span(h) % FAN) as usize;
            let first = index / span(h) * span(h);
            let below = self.own(child(arena, at, h, i), h - 1, first)?;
            words_mut(arena, at, HEADER + 8 * i, 1)[0] = below.0;
            at = below;
        }
        (self.leaf, self.leaf_index) = (at, index / FAN);
        Ok(())
    }

    /// The node at height `h` over the chunks from `first` on, fresh and with a slot for each of them.
    fn own(&mut self, at: Addr, h: u32, first: u64) -> Result<Addr, MemoryError> {
        let arena = self.stage.arena();
        let slots = (self.chunks - first).div_ceil(span(h)).min(FAN) as usize;
        let stride = if h == 0 { 16 } else { 8 };
        let need = HEADER + stride * slots;
        let had = if is_null(at) { 0 } else { usize::from(head(arena, at).slots) };
        let fresh = if is_null(at) {
            let kind = if h == 0 { Kind::Leaf } else { Kind::Inner };
            let fresh = self.stage.node(kind, need, self.page)?;
            head_mut(arena, fresh).shift = h as u8;
            fresh
        } else if had >= slots {
            return self.stage.own(at);
        } else if self.stage.is_fresh(at) && need <= head(arena, at).bytes as usize {
            at
        } else {
            self.stage.copy(at, HEADER + stride * had, need)?
        };
        block::bytes_mut(arena, fresh, HEADER + stride * had, stride * (slots - had)).fill(0);
        head_mut(arena, fresh).slots = slots as u16;
        Ok(fresh)
    }
}

/// The chunk at `index` under a leaf of a stage, where that stage made it.
pub fn fresh_chunk(stage: &Stage<'_>, leaf: Addr, index: u64) -> Option<Addr> {
    let entry = words(stage.arena(), leaf, HEADER + 16 * (index % FAN) as usize, 2);
    (entry[0] != 0 && entry[1] == stage.seq()).then_some(Addr(entry[0]))
}

/// The tree over `old` chunks as one over `new`: what lies beyond is let go, what was not there is zeros.
pub fn resize(stage: &mut Stage<'_>, root: Addr, old: u64, new: u64) -> Result<Addr, MemoryError> {
    if is_null(root) || old == new {
        return Ok(root);
    }
    let (mut at, arena) = (root, stage.arena());
    if new > old {
        let page = head(arena, root).key;
        for h in height(old) + 1..=height(new) {
            let above = stage.node(Kind::Inner, HEADER + 8, page)?;
            (head_mut(arena, above).shift, head_mut(arena, above).slots) = (h as u8, 1);
            words_mut(arena, above, HEADER, 1)[0] = at.0;
            at = above;
        }
        return Ok(at);
    }
    at = trim(stage, at, height(old), new)?;
    for _ in height(new)..height(old) {
        if is_null(at) {
            break;
        }
        let below = child(arena, at, 1, 0);
        stage.replaced(at);
        at = below;
    }
    Ok(at)
}

/// The node at height `h` without what lies beyond its first `keep` chunks; null where nothing is kept.
fn trim(stage: &mut Stage<'_>, at: Addr, h: u32, keep: u64) -> Result<Addr, MemoryError> {
    if is_null(at) || keep >= span(h + 1) {
        return Ok(at);
    }
    if keep == 0 {
        stage.release(at);
        return Ok(Addr::default());
    }
    let arena = stage.arena();
    let at = stage.own(at)?;
    let step = span(h);
    let had = u64::from(head(arena, at).slots);
    let slots = keep.div_ceil(step).min(had);
    for i in slots..had {
        let gone = child(arena, at, h, i as usize);
        match (is_null(gone), h) {
            (true, _) => {}
            (false, 0) => {
                let born = words(arena, at, HEADER + 16 * i as usize, 2)[1];
                stage.release_chunk(gone, born, head(arena, at).key);
            }
            (false, _) => stage.release(gone),
        }
    }
    if h > 0 && !keep.is_multiple_of(step) && keep / step < had {
        let i = (keep / step) as usize;
        let kept = trim(stage, child(arena, at, h, i), h - 1, keep % step)?;
        words_mut(arena, at, HEADER + 8 * i, 1)[0] = kept.0;
    }
    head_mut(arena, at).slots = slots as u16;
    Ok(at)
}
