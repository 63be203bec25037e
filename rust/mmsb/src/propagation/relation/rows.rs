//! Copying rows of a column, whatever their type, from wherever they lie.

use crate::base::limits::CHUNK;
use crate::page::column::{ColumnRef, chunks_of};

/// The number of a row that there is not: its cells are zeros.
pub const ABSENT: u64 = u64::MAX;

/// The rows of a column as bytes.
pub struct Rows<'a> {
    column: ColumnRef<'a>,
    width: usize,
    /// Where each chunk lies, where so many rows are asked for that finding each costs more than finding all.
    chunks: Vec<&'a [u8]>,
}

impl<'a> Rows<'a> {
    /// The rows of a column, each so many bytes wide, of which about so many are going to be copied.
    pub fn new(column: ColumnRef<'a>, width: u64, asked: u64) -> Self {
        let count = chunks_of(column.bytes);
        let some = if count > 1 && asked > count { 0..count } else { 0..0 };
        let chunks = some.map(|chunk| column.piece(chunk * CHUNK as u64)).collect();
        Self { column, width: width as usize, chunks }
    }

    #[inline]
    fn piece(&self, byte: u64) -> &'a [u8] {
        match self.chunks.get((byte / CHUNK as u64) as usize) {
            Some(chunk) => &chunk[(byte % CHUNK as u64) as usize..],
            None => self.column.piece(byte),
        }
    }

    /// Copies the rows from `first` on, as many as there is room for.
    pub fn copy(&self, first: u64, mut to: &mut [u8]) {
        let mut byte = first * self.width as u64;
        while !to.is_empty() {
            let piece = self.piece(byte);
            let n = piece.len().min(to.len());
            let (head, tail) = to.split_at_mut(n);
            head.copy_from_slice(&piece[..n]);
            (byte, to) = (byte + n as u64, tail);
        }
    }

    /// Copies these rows, one behind the other, to where zeros are.
    pub fn gather(&self, rows: &[u64], to: &mut [u8]) {
        match self.width {
            1 => self.gather_of::<1>(rows, to),
            2 => self.gather_of::<2>(rows, to),
            4 => self.gather_of::<4>(rows, to),
            8 => self.gather_of::<8>(rows, to),
            _ => {
                for (&row, to) in rows.iter().zip(to.chunks_exact_mut(self.width)) {
                    if row != ABSENT {
                        self.copy(row, to);
                    }
                }
            }
        }
    }

    /// As that, where no row lies in two chunks.
    fn gather_of<const WIDTH: usize>(&self, rows: &[u64], to: &mut [u8]) {
        for (&row, to) in rows.iter().zip(to.as_chunks_mut::<WIDTH>().0) {
            if row != ABSENT {
                to.copy_from_slice(&self.piece(row * WIDTH as u64)[..WIDTH]);
            }
        }
    }
}
