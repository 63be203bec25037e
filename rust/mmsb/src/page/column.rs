//! A column's bytes: behind its page's header, in a block of its own, or in a tree of chunks with fan-out 64.
//!
//! Absent chunks and subtrees are zeros, so a mostly empty column costs what was written. Bytes beyond the last row are
//! zeros too.

use crate::base::limits::CHUNK;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::error::MemoryError;
use crate::page::block::{self, HEADER, Kind, head, head_mut, is_null, words, words_mut};
use crate::page::stage::Stage;

/// Children of a node.
pub const FAN: u64 = 64;
/// A chunk of zeros, read wherever nothing was written.
pub static ZEROS: [u8; CHUNK] = [0; CHUNK];

/// Where a column's bytes are.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// In one piece: `offset` bytes into the block.
    Block(Addr, usize),
    /// A tree of chunks; null where nothing was written.
    Tree(Addr),
}

/// A column of one page version.
#[derive(Debug, Clone, Copy)]
pub struct ColumnRef<'a> {
    /// The arena it lies in.
    pub arena: &'a Arena,
    /// Where its bytes are.
    pub place: Place,
    /// How many bytes it has.
    pub bytes: u64,
}

/// Chunks that hold `bytes` bytes.
pub fn chunks_of(bytes: u64) -> u64 {
    bytes.div_ceil(CHUNK as u64)
}

/// Height of a tree over `chunks` chunks: 0 where the root is a leaf.
pub fn height(chunks: u64) -> u32 {
    let mut height = 0;
    while chunks > FAN.pow(height + 1) {
        height += 1;
    }
    height
}

/// A maximal run of a column's bytes that lie side by side in the arena; at null they are zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First byte in the column.
    pub start: u64,
    /// How many.
    pub bytes: u64,
    /// Where in the arena; null for zeros.
    pub at: Addr,
}

impl<'a> ColumnRef<'a> {
    /// The bytes from `byte` to the end of the piece they lie in; at least one where `byte` is inside the column.
    pub fn piece(&self, byte: u64) -> &'a [u8] {
        let left = self.bytes - byte;
        match self.place {
            Place::Block(at, _) if is_null(at) => &ZEROS[..(left as usize).min(CHUNK)],
            Place::Block(at, offset) => block::bytes(self.arena, at, offset + byte as usize, left as usize),
            Place::Tree(root) => {
                let at = chunk_at(self.arena, root, height(chunks_of(self.bytes)), byte / CHUNK as u64);
                let from = (byte % CHUNK as u64) as usize;
                let n = (left as usize).min(CHUNK - from);
                if is_null(at) { &ZEROS[from..from + n] } else { block::bytes(self.arena, at, from, n) }
            }
        }
    }

    /// The chunk of a tree that holds a byte; null for zeros.
    pub fn chunk(&self, byte: u64) -> Addr {
        match self.place {
            Place::Block(at, _) => at,
            Place::Tree(root) => {
                chunk_at(self.arena, root, height(chunks_of(self.bytes)), byte / CHUNK as u64)
            }
        }
    }

    /// Calls `visit` with the column's extents, in order.
    pub fn extents(&self, mut visit: impl FnMut(Extent)) {
        match self.place {
            _ if self.bytes == 0 => {}
            Place::Block(at, offset) => {
                let at = if is_null(at) { at } else { Addr(at.0 + offset as u64) };
                visit(Extent { start: 0, bytes: self.bytes, at });
            }
            Place::Tree(root) => {
                let chunks = chunks_of(self.bytes);
                let mut joined: Option<Extent> = None;
                self.tree_extents(root, height(chunks), 0, chunks, &mut |extent| match &mut joined {
                    Some(last) if follows(last, &extent) => last.bytes += extent.bytes,
                    _ => {
                        if let Some(last) = joined.replace(extent) {
                            visit(last);
                        }
                    }
                });
                if let Some(mut last) = joined {
                    last.bytes = last.bytes.min(self.bytes - last.start);
                    visit(last);
                }
            }
        }
    }

    fn tree_extents(&self, at: Addr, h: u32, first: u64, end: u64, visit: &mut dyn FnMut(Extent)) {
        let span = FAN.pow(h + 1);
        let until = end.min(first + span);
        let start = first * CHUNK as u64;
        if is_null(at) {
            visit(Extent { start, bytes: (until - first) * CHUNK as u64, at });
            return;
        }
        let n = u64::from(head(self.arena, at).slots);
        let step = span / FAN;
        let mut from = first;
        for i in 0..FAN {
            if from >= until {
                return;
            }
            let child = if i < n { child(self.arena, at, h, i as usize) } else { Addr::default() };
            if h == 0 {
                visit(Extent { start: from * CHUNK as u64, bytes: CHUNK as u64, at: child });
            } else {
                self.tree_extents(child, h - 1, from, until, visit);
            }
            from += step;
        }
    }

    /// Calls `visit` with the first byte, place and birth of every chunk that is not zeros throughout; of a column in one
    /// piece, of each part of it as long as a chunk, with a birth of 0.
    pub fn chunks(&self, mut visit: impl FnMut(u64, Addr, u64)) {
        match self.place {
            Place::Block(at, offset) => {
                for byte in (0..self.bytes).step_by(CHUNK) {
                    visit(byte, if is_null(at) { at } else { Addr(at.0 + offset as u64 + byte) }, 0);
                }
            }
            Place::Tree(root) => self.tree_chunks(root, height(chunks_of(self.bytes)), 0, &mut visit),
        }
    }

    fn tree_chunks(&self, at: Addr, h: u32, first: u64, visit: &mut dyn FnMut(u64, Addr, u64)) {
        if is_null(at) {
            return;
        }
        for i in 0..usize::from(head(self.arena, at).slots) {
            let from = first + i as u64 * FAN.pow(h);
            if h > 0 {
                self.tree_chunks(child(self.arena, at, h, i), h - 1, from, visit);
            } else if child(self.arena, at, 0, i) != Addr::default() {
                let entry = words(self.arena, at, HEADER + 16 * i, 2);
                visit(from * CHUNK as u64, Addr(entry[0]), entry[1]);
            }
        }
    }

    /// Calls `visit` with the number, place and birth of every chunk of a tree that `base`, a tree over as many chunks,
    /// has otherwise; at null it is zeros. Skips what they share.
    pub fn changed_chunks(&self, base: &ColumnRef<'_>, visit: &mut dyn FnMut(u64, Addr, u64)) {
        let (Place::Tree(root), chunks) = (self.place, chunks_of(self.bytes)) else { return };
        self.differing(base, &mut |from, to| {
            for index in from / CHUNK as u64..to.div_ceil(CHUNK as u64).min(chunks) {
                let (at, born) = entry_at(self.arena, root, height(chunks), index);
                visit(index, at, born);
            }
        });
    }

    /// `n` bytes at an address that `extents` or `chunks` gave.
    pub fn slice(&self, at: Addr, n: usize) -> &'a [u8] {
        block::bytes(self.arena, at, 0, n)
    }

    /// The whole column in one piece of the arena, where it lies so.
    pub fn contiguous(&self) -> Option<Addr> {
        let (mut n, mut at) = (0, Addr::default());
        self.extents(|extent| (n, at) = (n + 1, extent.at));
        (n == 1 && !is_null(at)).then_some(at)
    }

    /// Copies the whole column into `out`.
    pub fn copy_to(&self, out: &mut [u8]) {
        self.extents(|extent| {
            let to = &mut out[extent.start as usize..(extent.start + extent.bytes) as usize];
            if is_null(extent.at) {
                to.fill(0);
            } else {
                to.copy_from_slice(block::bytes(self.arena, extent.at, 0, to.len()));
            }
        });
    }

    /// Calls `visit` with byte ranges that may differ between two versions of a column, skipping what they share.
    pub fn differing(&self, other: &ColumnRef<'_>, visit: &mut dyn FnMut(u64, u64)) {
        let end = self.bytes.max(other.bytes);
        match (self.place, other.place) {
            (Place::Tree(a), Place::Tree(b)) => {
                let (a_height, b_height) = (height(chunks_of(self.bytes)), height(chunks_of(other.bytes)));
                let top = a_height.max(b_height);
                let pair = [Lifted { at: a, height: a_height }, Lifted { at: b, height: b_height }];
                differing(self.arena, pair, top, 0, &mut |from, to| {
                    if from < end {
                        visit(from, to.min(end));
                    }
                });
            }
            (Place::Block(a, x), Place::Block(b, y)) if a == b && x == y && self.bytes == other.bytes => {}
            _ if end > 0 => visit(0, end),
            _ => {}
        }
    }
}

fn follows(last: &Extent, next: &Extent) -> bool {
    if is_null(last.at) { is_null(next.at) } else { last.at.0 + last.bytes == next.at.0 }
}

/// A tree seen as if it were as high as another: the missing roots have it as their first child.
#[derive(Clone, Copy)]
struct Lifted {
    at: Addr,
    height: u32,
}

impl Lifted {
    fn child(self, arena: &Arena, h: u32, i: u64) -> Lifted {
        let none = Lifted { at: Addr::default(), height: h.saturating_sub(1) };
        if is_null(self.at) {
            none
        } else if self.height < h {
            if i == 0 { self } else { none }
        } else if i < u64::from(head(arena, self.at).slots) {
            Lifted { at: child(arena, self.at, h, i as usize), height: h.saturating_sub(1) }
        } else {
            none
        }
    }
}

fn differing(arena: &Arena, pair: [Lifted; 2], h: u32, first: u64, visit: &mut dyn FnMut(u64, u64)) {
    let [a, b] = pair;
    if a.at == b.at {
        return;
    }
    let step = FAN.pow(h);
    for i in 0..FAN {
        let (x, y) = (a.child(arena, h, i), b.child(arena, h, i));
        let from = first + i * step;
        if x.at == y.at {
            continue;
        }
        if h == 0 {
            visit(from * CHUNK as u64, (from + 1) * CHUNK as u64);
        } else {
            differing(arena, [x, y], h - 1, from, visit);
        }
    }
}

/// The `i`-th child of a node at height `h`.
fn child(arena: &Arena, at: Addr, h: u32, i: usize) -> Addr {
    let stride = if h == 0 { 16 } else { 8 };
    Addr(words(arena, at, HEADER + stride * i, 1)[0])
}

fn chunk_at(arena: &Arena, root: Addr, height: u32, index: u64) -> Addr {
    entry_at(arena, root, height, index).0
}

/// A chunk and its birth.
fn entry_at(arena: &Arena, root: Addr, height: u32, index: u64) -> (Addr, u64) {
    let mut at = root;
    for h in (0..=height).rev() {
        if is_null(at) {
            break;
        }
        let i = (index / FAN.pow(h)) % FAN;
        if i >= u64::from(head(arena, at).slots) {
            break;
        }
        if h == 0 {
            let entry = words(arena, at, HEADER + 16 * i as usize, 2);
            return (Addr(entry[0]), entry[1]);
        }
        at = child(arena, at, h, i as usize);
    }
    Default::default()
}

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

    /// The writable bytes of chunk `index`: copied from before where it is not fresh yet.
    pub fn chunk(&mut self, index: u64) -> Result<&'s mut [u8], MemoryError> {
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
        Ok(block::bytes_mut(arena, Addr(entry[0]), 0, CHUNK))
    }

    /// Makes the chunks `first..end`, all of whose bytes are about to be written, fresh without copying them; those that
    /// were not fresh lie side by side.
    pub fn cover(&mut self, first: u64, end: u64) -> Result<(), MemoryError> {
        let mut from = first;
        while from < end {
            let mut until = from;
            while until < end && !self.is_fresh(until)? {
                until += 1;
            }
            if until > from {
                let run = self.stage.chunks((until - from) as usize)?;
                for index in from..until {
                    self.exchange(index, Addr(run.0 + (index - from) * CHUNK as u64))?;
                }
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
            let i = (index / FAN.pow(h) % FAN) as usize;
            let first = index / FAN.pow(h) * FAN.pow(h);
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
        let slots = (self.chunks - first).div_ceil(FAN.pow(h)).min(FAN) as usize;
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
    if is_null(at) || keep >= FAN.pow(h + 1) {
        return Ok(at);
    }
    if keep == 0 {
        stage.release(at);
        return Ok(Addr::default());
    }
    let arena = stage.arena();
    let at = stage.own(at)?;
    let step = FAN.pow(h);
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
