//! What a kernel made: cells of its page, in pieces.

use crate::algebra::value::Value;

/// Some cells of a column, side by side.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// The column.
    pub column: u16,
    /// Its first cell.
    pub first: u64,
    /// Where its bytes are among all.
    from: usize,
    bytes: usize,
}

/// What a kernel made. Cells that it made not stay as they are.
#[derive(Debug, Default)]
pub struct Made {
    /// How many rows the page is to have, where that is for the kernel to say.
    rows: Option<u64>,
    pieces: Vec<Piece>,
    /// Words, so that every piece begins where any cell may lie.
    words: Vec<u64>,
}

impl Made {
    /// Forgets all, and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.rows = None;
        self.pieces.clear();
        self.words.clear();
    }

    /// Says how many rows the page has from now on; what is made is about those.
    pub fn resize(&mut self, rows: u64) {
        self.rows = Some(rows);
    }

    /// How many rows the page is to have; `None` as many as it has.
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        self.rows
    }

    /// Room for `cells` cells of a column from `first` on, of zeros, to be filled.
    #[inline]
    pub fn room<T: Value>(&mut self, column: u16, first: u64, cells: usize) -> &mut [T] {
        let bytes = self.room_of_bytes(column, first, cells * size_of::<T>());
        bytemuck::cast_slice_mut(bytes)
    }

    /// As [`Made::room`], for bytes, a whole number of cells of which the first is the column's cell `first`.
    #[inline]
    pub fn room_of_bytes(&mut self, column: u16, first: u64, bytes: usize) -> &mut [u8] {
        let start = self.words.len();
        self.words.resize(start + bytes.div_ceil(8), 0);
        self.pieces.push(Piece { column, first, from: start * 8, bytes });
        &mut bytemuck::cast_slice_mut(&mut self.words[start..])[..bytes]
    }

    /// These cells of a column, from `first` on.
    pub fn put<T: Value>(&mut self, column: u16, first: u64, cells: &[T]) {
        self.room::<T>(column, first, cells.len()).copy_from_slice(cells);
    }

    /// The piece and its bytes, where that is all.
    #[inline]
    pub(super) fn only_piece(&self) -> Option<(Piece, &[u8])> {
        match self.pieces.as_slice() {
            [_] => self.pieces().next(),
            _ => None,
        }
    }

    /// All pieces and their bytes, in the order in which they were made: a later one counts where two have the same cells.
    #[inline]
    pub fn pieces(&self) -> impl Iterator<Item = (Piece, &[u8])> {
        let bytes: &[u8] = bytemuck::cast_slice(&self.words);
        self.pieces.iter().map(|piece| (*piece, &bytes[piece.from..piece.from + piece.bytes]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_as_they_were_made_and_lie_as_their_cells_must() {
        let mut made = Made::default();
        made.put::<u8>(1, 5, &[1, 2, 3]);
        made.put::<f64>(0, 9, &[1.5]);
        made.room::<i32>(2, 0, 3)[1] = 7;
        let all: Vec<(u16, u64, Vec<u8>)> =
            made.pieces().map(|(piece, bytes)| (piece.column, piece.first, bytes.to_vec())).collect();
        assert_eq!(all[0], (1, 5, vec![1, 2, 3]));
        assert_eq!(all[1], (0, 9, 1.5f64.to_le_bytes().to_vec()));
        assert_eq!(all[2], (2, 0, vec![0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]));
        made.clear();
        assert_eq!(made.pieces().count(), 0);
    }
}
