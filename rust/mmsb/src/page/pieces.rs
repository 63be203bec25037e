//! A range of a column's bytes as slices, as few as it lies in.

use crate::base::limits::CHUNK;
use crate::page::block::{self, is_null};
use crate::page::column::{ColumnRef, Place};

impl<'a> ColumnRef<'a> {
    /// Calls `visit` with the bytes from `from` up to `to`, in order and in pieces as long as they lie side by side.
    pub fn pieces(&self, from: u64, to: u64, mut visit: impl FnMut(&'a [u8])) {
        let mut at = from;
        while at < to {
            let start = at;
            let piece = self.piece(start);
            at = to.min(start + piece.len() as u64);
            let chunk = self.chunk(start);
            if matches!(self.place, Place::Block(..)) || is_null(chunk) {
                visit(&piece[..(at - start) as usize]);
                continue;
            }
            let first = start - start % CHUNK as u64;
            while at < to && self.chunk(at).0 == chunk.0 + (at - first) {
                at = to.min(at + CHUNK as u64);
            }
            visit(block::bytes(self.arena, chunk, (start - first) as usize, (at - start) as usize));
        }
    }
}
