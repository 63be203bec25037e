//! Bytes of a column side by side, wherever its pieces lie.

use std::ops::Range;

use crate::memory::words;
use crate::page::column::ColumnRef;

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
        let mut at = bytes.start;
        while at < bytes.end {
            let piece = column.piece(at);
            let n = piece.len().min((bytes.end - at) as usize);
            let start = (to + at - bytes.start) as usize;
            all[start..start + n].copy_from_slice(&piece[..n]);
            at += n as u64;
        }
    }

    /// The first so many of the bytes that were copied.
    pub fn bytes(&self, count: usize) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..count]
    }
}
