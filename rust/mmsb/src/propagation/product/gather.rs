//! Bytes of a column side by side, wherever its pieces lie.

use std::ops::Range;

use crate::memory::words;
use crate::page::column::ColumnRef;

/// Copies bytes of a column, from `from` on.
pub fn copy(column: &ColumnRef<'_>, from: u64, out: &mut [u8]) {
    let mut at = 0;
    while at < out.len() {
        let piece = column.piece(from + at as u64);
        let n = piece.len().min(out.len() - at);
        out[at..at + n].copy_from_slice(&piece[..n]);
        at += n;
    }
}

/// Bytes that lie as any cell must.
#[derive(Debug, Default)]
pub struct Gather {
    words: Vec<u64>,
}

impl Gather {
    /// These bytes of a column: where they are, if that is in one piece, or copied.
    pub fn take<'a>(&'a mut self, column: &ColumnRef<'a>, bytes: Range<u64>) -> &'a [u8] {
        if bytes.is_empty() {
            return &[];
        }
        match column.together(bytes.start, (bytes.end - bytes.start) as usize) {
            Some(bytes) => bytes,
            None => self.fill(column, bytes),
        }
    }

    /// A copy of these bytes of a column.
    pub fn fill(&mut self, column: &ColumnRef<'_>, bytes: Range<u64>) -> &[u8] {
        let wanted = (bytes.end - bytes.start) as usize;
        self.words.clear();
        words::resize(&mut self.words, wanted.div_ceil(8));
        self.put(column, bytes, 0);
        self.bytes(wanted)
    }

    /// Copies these bytes of a column behind the first so many that are there.
    pub fn push(&mut self, column: &ColumnRef<'_>, bytes: Range<u64>, behind: u64) {
        let all = behind + (bytes.end - bytes.start);
        words::resize(&mut self.words, all.div_ceil(8) as usize);
        self.put(column, bytes, behind);
    }

    /// Copies these bytes of a column to where `to` is among those that are there.
    pub fn put(&mut self, column: &ColumnRef<'_>, bytes: Range<u64>, to: u64) {
        let all: &mut [u8] = bytemuck::cast_slice_mut(&mut self.words);
        let count = (bytes.end - bytes.start) as usize;
        copy(column, bytes.start, &mut all[to as usize..][..count]);
    }

    /// Copies cells of a column, each of so many bytes, to the places they have among those that are there.
    pub fn scatter(&mut self, column: &ColumnRef<'_>, size: usize, first: u64, places: &[u32]) {
        let all: &mut [u8] = bytemuck::cast_slice_mut(&mut self.words);
        let mut places = places.iter();
        let mut at = first * size as u64;
        while !places.as_slice().is_empty() {
            let piece = column.piece(at);
            at += piece.len() as u64;
            for (cell, &place) in piece.chunks_exact(size).zip(&mut places) {
                all[place as usize * size..][..size].copy_from_slice(cell);
            }
        }
    }

    /// Room for so many bytes; those that are there stay.
    pub fn room(&mut self, bytes: usize) -> &mut [u8] {
        if self.words.len() * 8 < bytes {
            words::resize(&mut self.words, bytes.div_ceil(8));
        }
        &mut bytemuck::cast_slice_mut(&mut self.words)[..bytes]
    }

    /// The first so many of the bytes that were copied.
    pub fn bytes(&self, count: usize) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..count]
    }
}
