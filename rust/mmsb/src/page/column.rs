//! A column's bytes: behind its page's header, in a block of its own, or in a tree of chunks with fan-out 64.
//!
//! Absent chunks and subtrees are zeros, so a mostly empty column costs what was written. Bytes beyond the last row are
//! zeros too.

use crate::base::limits::CHUNK;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::page::block::{self, HEADER, head, is_null, words};
use crate::page::lifted::{self, Lifted};

/// Children of a node.
pub const FAN: u64 = 64;
/// A chunk of zeros, which lies as cells of any type must.
#[repr(align(64))]
pub struct Zeros([u8; CHUNK]);

/// Read wherever nothing was written.
pub static ZEROS: Zeros = Zeros([0; CHUNK]);

impl std::ops::Deref for Zeros {
    type Target = [u8; CHUNK];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

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
#[inline]
pub fn chunks_of(bytes: u64) -> u64 {
    bytes.div_ceil(CHUNK as u64)
}

/// Height of a tree over `chunks` chunks: 0 where the root is a leaf.
pub fn height(chunks: u64) -> u32 {
    if chunks <= 1 { 0 } else { (chunks - 1).ilog2() / FAN.ilog2() }
}

/// How many chunks a node at height `h - 1` is over: `FAN` to the power of `h`.
pub const fn span(h: u32) -> u64 {
    1 << (FAN.ilog2() * h)
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
    #[inline]
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

    /// So many bytes from `byte` on, where they lie side by side.
    pub fn together(&self, byte: u64, wanted: usize) -> Option<&'a [u8]> {
        let piece = self.piece(byte);
        if piece.len() >= wanted {
            return Some(&piece[..wanted]);
        }
        let from = byte % CHUNK as u64;
        let first = self.chunk(byte);
        let chunks = (from + wanted as u64).div_ceil(CHUNK as u64);
        let lies = |i: u64| self.chunk(byte + i * CHUNK as u64 - from).0 == first.0 + i * CHUNK as u64;
        let together = matches!(self.place, Place::Tree(_))
            && byte + wanted as u64 <= self.bytes
            && !is_null(first)
            && (1..chunks).all(lies);
        together.then(|| block::bytes(self.arena, first, from as usize, wanted))
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
        let whole = span(h + 1);
        let until = end.min(first + whole);
        let start = first * CHUNK as u64;
        if is_null(at) {
            visit(Extent { start, bytes: (until - first) * CHUNK as u64, at });
            return;
        }
        let n = u64::from(head(self.arena, at).slots);
        let step = whole / FAN;
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
            let from = first + i as u64 * span(h);
            if h > 0 {
                self.tree_chunks(child(self.arena, at, h, i), h - 1, from, visit);
            } else if let (chunk, born) = entry(self.arena, at, i)
                && !is_null(chunk)
            {
                visit(from * CHUNK as u64, chunk, born);
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

    /// Whether it is a tree of chunks.
    pub fn is_tree(&self) -> bool {
        matches!(self.place, Place::Tree(_))
    }

    /// `n` bytes at an address that `extents` or `chunks` gave.
    pub fn slice(&self, at: Addr, n: usize) -> &'a [u8] {
        block::bytes(self.arena, at, 0, n)
    }

    /// The whole column of a published version in one piece of the arena, where it lies so. Each node is looked through
    /// once, by whoever asks first of a column that has it.
    pub fn contiguous(&self) -> Option<Addr> {
        self.contiguous_looking(&mut 0)
    }

    /// As that; adds how many nodes were looked through.
    fn contiguous_looking(&self, looked: &mut u64) -> Option<Addr> {
        match self.place {
            _ if self.bytes == 0 => None,
            Place::Block(at, offset) => (!is_null(at)).then(|| Addr(at.0 + offset as u64)),
            Place::Tree(root) => {
                let (chunks, top) = (chunks_of(self.bytes), height(chunks_of(self.bytes)));
                let whole =
                    solid(self.arena, root, top, looked) && solid_chunks(self.arena, root, top) >= chunks;
                whole.then(|| first_chunk(self.arena, root, top))
            }
        }
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
                lifted::differing(self.arena, pair, top, 0, &mut |from, to| {
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

/// Whether the chunks below a published node lie side by side, without a gap between the first and the last.
fn solid(arena: &Arena, at: Addr, h: u32, looked: &mut u64) -> bool {
    if is_null(at) {
        return false;
    }
    if let Some(found) = head(arena, at).solid() {
        return found;
    }
    *looked += 1;
    let (n, start) = (slots(arena, at), first_chunk(arena, at, h));
    let found = (0..n).all(|i| {
        let below = child(arena, at, h, i);
        let full = h == 0
            || solid(arena, below, h - 1, looked)
                && (i + 1 == n || solid_chunks(arena, below, h - 1) == span(h));
        let place = if h == 0 { below } else { first_chunk(arena, below, h - 1) };
        full && !is_null(place) && place.0 == start.0 + i as u64 * span(h) * CHUNK as u64
    });
    head(arena, at).note_solid(found);
    found
}

/// How many chunks are below a node that is solid.
fn solid_chunks(arena: &Arena, mut at: Addr, mut h: u32) -> u64 {
    let mut chunks = 0;
    while h > 0 {
        let last = slots(arena, at) - 1;
        chunks += last as u64 * span(h);
        (at, h) = (child(arena, at, h, last), h - 1);
    }
    chunks + slots(arena, at) as u64
}

/// The first chunk below a node; null where there is none.
fn first_chunk(arena: &Arena, mut at: Addr, h: u32) -> Addr {
    for h in (0..=h).rev() {
        if is_null(at) || slots(arena, at) == 0 {
            return Addr::default();
        }
        at = child(arena, at, h, 0);
    }
    at
}

fn follows(last: &Extent, next: &Extent) -> bool {
    if is_null(last.at) { is_null(next.at) } else { last.at.0 + last.bytes == next.at.0 }
}

/// The `i`-th child of a node at height `h`.
pub(super) fn child(arena: &Arena, at: Addr, h: u32, i: usize) -> Addr {
    let stride = if h == 0 { 16 } else { 8 };
    Addr(words(arena, at, HEADER + stride * i, 1)[0])
}

fn chunk_at(arena: &Arena, root: Addr, height: u32, index: u64) -> Addr {
    entry_at(arena, root, height, index).0
}

/// How many children a node has a place for.
pub(super) fn slots(arena: &Arena, at: Addr) -> usize {
    usize::from(head(arena, at).slots)
}

/// The `i`-th chunk of a node above chunks, and its birth.
pub(super) fn entry(arena: &Arena, at: Addr, i: usize) -> (Addr, u64) {
    let entry = words(arena, at, HEADER + 16 * i, 2);
    (Addr(entry[0]), entry[1])
}

/// A chunk and its birth.
pub(super) fn entry_at(arena: &Arena, root: Addr, height: u32, index: u64) -> (Addr, u64) {
    let mut at = root;
    for h in (0..=height).rev() {
        if is_null(at) {
            break;
        }
        let i = (index / span(h)) % FAN;
        if i >= u64::from(head(arena, at).slots) {
            break;
        }
        if h == 0 {
            return entry(arena, at, i as usize);
        }
        at = child(arena, at, h, i as usize);
    }
    Default::default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::memory::arena::Options;
    use crate::memory::machine::place::Place as ArenaPlace;
    use crate::page::stage::{Scratch, Stage};
    use crate::page::tree::{self, TreeWriter};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn arena() -> Arc<Arena> {
        Arena::with(ArenaPlace::Memory, Options { budget: 4 << 30, prefault: false }).unwrap()
    }

    fn column(arena: &Arena, root: Addr, chunks: u64) -> ColumnRef<'_> {
        ColumnRef { arena, place: Place::Tree(root), bytes: chunks * CHUNK as u64 }
    }

    /// By walking all of it.
    fn walked(column: &ColumnRef<'_>) -> Option<Addr> {
        let (mut n, mut at) = (0, Addr::default());
        column.extents(|extent| (n, at) = (n + 1, extent.at));
        (n == 1 && !is_null(at)).then_some(at)
    }

    /// So many bytes from one on, where a walk finds them in one piece, or in one chunk of zeros.
    fn side_by_side(column: &ColumnRef<'_>, byte: u64, wanted: usize) -> Option<Vec<u8>> {
        let end = byte + wanted as u64;
        let mut lies = column.piece(byte).len() >= wanted;
        column.extents(|of| lies |= !is_null(of.at) && of.start <= byte && end <= of.start + of.bytes);
        let (mut bytes, mut at) = (Vec::new(), byte);
        while lies && at < end {
            bytes.extend_from_slice(column.piece(at));
            at = byte + bytes.len() as u64;
        }
        bytes.truncate(wanted);
        lies.then_some(bytes)
    }

    /// The tree after a commit.
    fn commit(arena: &Arena, seq: u64, change: impl FnOnce(&mut Stage<'_>) -> Addr) -> Addr {
        let mut stage = Stage::new(arena, seq, Scratch::default());
        let root = change(&mut stage);
        // What goes is not given back: nothing of an old version may be looked at in a new one.
        stage.settle(&mut Vec::new());
        root
    }

    fn covered(arena: &Arena, seq: u64, root: Addr, chunks: u64, first: u64, end: u64) -> Addr {
        commit(arena, seq, |stage| {
            let mut writer = TreeWriter::new(stage, 1, root, chunks);
            writer.cover(first, end).unwrap();
            writer.root()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn lies_in_one_piece_where_a_walk_finds_one(
            chunks in prop_oneof![1u64..130, 4000u64..4200],
            steps in prop::collection::vec((0u8..4, any::<u64>(), 1u64..4200), 1..12),
        ) {
            let (arena, mut chunks, mut root) = (arena(), chunks, Addr::default());
            for (seq, (what, at, n)) in (1..).zip(steps) {
                let first = at % chunks;
                match what {
                    0 => root = covered(&arena, seq, root, chunks, 0, chunks),
                    1 => root = covered(&arena, seq, root, chunks, first, (first + n).min(chunks)),
                    2 => root = commit(&arena, seq, |stage| {
                        let mut writer = TreeWriter::new(stage, 1, root, chunks);
                        writer.chunk(first).unwrap()[0] = 1;
                        writer.root()
                    }),
                    _ => {
                        root = commit(&arena, seq, |stage| tree::resize(stage, root, chunks, n).unwrap());
                        chunks = n;
                    }
                }
                let column = column(&arena, root, chunks);
                prop_assert_eq!(column.contiguous(), walked(&column));
                prop_assert_eq!(column.contiguous(), walked(&column), "as it is remembered");
                let short = ColumnRef { bytes: column.bytes - at % 100, ..column };
                for many in 0..20 {
                    let byte = at.wrapping_mul(2 * many + 1) % short.bytes;
                    let wanted = (n * 97 * (many + 1)) as usize % (5 * CHUNK);
                    let walked = side_by_side(&short, byte, wanted);
                    prop_assert_eq!(short.together(byte, wanted), walked.as_deref());
                }
            }
        }
    }

    #[test]
    fn each_node_is_looked_through_once() {
        let (arena, chunks) = (arena(), 70 * FAN);
        let mut root = covered(&arena, 1, Addr::default(), chunks, 0, chunks);
        let looked = |root, expected: bool| {
            let mut looked = 0;
            assert_eq!(column(&arena, root, chunks).contiguous_looking(&mut looked).is_some(), expected);
            looked
        };
        // 70 leaves, 2 nodes above them, the root.
        assert_eq!(looked(root, true), 73);
        assert_eq!(looked(root, true), 0, "a second view looks at nothing");
        root = covered(&arena, 2, root, chunks, 100, 101);
        assert!(looked(root, false) <= 3, "of a changed page, the path to the change");
        assert_eq!(looked(root, false), 0);
    }
}
