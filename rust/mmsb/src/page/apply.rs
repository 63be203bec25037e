//! Applying a part of a delta to the memory of its column.

use crate::page::delta::{Data, Part, Target};
use crate::page::operator::Merge;
use crate::page::schema::Column;
use std::ops::Range;

impl Part<'_> {
    /// Writes the part into the memory of its column: assigns when there is no operator, else merges cell by cell in the
    /// selection's order. The part must have passed [`Part::check`], and the operator must support the column's type.
    pub fn apply<T: Target + ?Sized>(&self, column: &Column, op: Option<&dyn Merge>, target: &mut T) {
        self.apply_data(&self.data, column, op, target);
    }

    /// As [`Part::apply`], with data of the same kind and length from somewhere else.
    pub(crate) fn apply_data<T: Target + ?Sized>(
        &self,
        data: &Data<'_>,
        column: &Column,
        op: Option<&dyn Merge>,
        target: &mut T,
    ) {
        let listed = if op.is_none() { self.select.listed(column) } else { self.select.single_cells(column) };
        if let Some(list) = listed
            && apply_singly(list, self.select.cells_per_row(column) as usize, data, column, op, target)
        {
            return;
        }
        let cell = column.dtype().size();
        match (data, op) {
            (Data::Dense(data), None) => self.select.runs(column, |run| {
                let from = run.source as usize * cell;
                copy_in(target, run.cell * cell as u64, &data[from..from + run.cells as usize * cell]);
            }),
            (Data::Fill(pattern), None) => self.select.runs(column, |run| {
                let phase = phase(run.source, cell, pattern);
                each_piece(target, run.cell * cell as u64, run.cells as usize * cell, |piece, at| {
                    repeat(piece, pattern, (phase + at) % pattern.len());
                });
            }),
            (Data::Dense(data), Some(op)) => self.select.runs(column, |run| {
                let from = run.source as usize * cell;
                let data = &data[from..from + run.cells as usize * cell];
                merge(target, run.cell * cell as u64, data, column, op);
            }),
            (Data::Fill(pattern), Some(op)) => self.select.runs(column, |run| {
                let at = run.cell * cell as u64;
                merge_fill(target, at..at + run.cells * cell as u64, pattern, run.source, column, op);
            }),
        }
    }
}

/// Applies to cells, or rows of so many cells, that are listed one by one, when they have the size of a few numbers and
/// the data is as many bytes for each.
fn apply_singly<T: Target + ?Sized>(
    list: &[u64],
    cells: usize,
    data: &Data<'_>,
    column: &Column,
    op: Option<&dyn Merge>,
    target: &mut T,
) -> bool {
    let size = cells * column.dtype().size();
    if matches!(data, Data::Fill(pattern) if pattern.len() != size) {
        return false;
    }
    match size {
        1 => scatter::<1, T>(list, data, column, op, target),
        2 => scatter::<2, T>(list, data, column, op, target),
        4 => scatter::<4, T>(list, data, column, op, target),
        8 => scatter::<8, T>(list, data, column, op, target),
        12 => scatter::<12, T>(list, data, column, op, target),
        16 => scatter::<16, T>(list, data, column, op, target),
        24 => scatter::<24, T>(list, data, column, op, target),
        32 => scatter::<32, T>(list, data, column, op, target),
        64 => scatter::<64, T>(list, data, column, op, target),
        128 => scatter::<128, T>(list, data, column, op, target),
        _ => return false,
    }
    true
}

/// Writes one cell after the other. Few instructions a cell, so that the processor waits for many of them at once.
fn scatter<const N: usize, T: Target + ?Sized>(
    list: &[u64],
    data: &Data<'_>,
    column: &Column,
    op: Option<&dyn Merge>,
    target: &mut T,
) {
    let cells = data.bytes().as_chunks::<N>().0;
    let one = match data {
        Data::Fill(_) => cells.first(),
        Data::Dense(_) => None,
    };
    let mut put = |cell: u64, new: &[u8; N]| {
        let byte = cell * N as u64;
        match (target.piece(byte).first_chunk_mut::<N>(), op) {
            (Some(old), None) => *old = *new,
            (Some(old), Some(op)) => op.apply(column.dtype(), old, new),
            (None, None) => copy_in(target, byte, new),
            (None, Some(op)) => merge(target, byte, new, column, op),
        }
    };
    match one {
        Some(new) => list.iter().for_each(|&cell| put(cell, new)),
        None => list.iter().zip(cells).for_each(|(&cell, new)| put(cell, new)),
    }
}

/// Where in the pattern of a fill the cell at `source` of the data begins.
fn phase(source: u64, cell: usize, pattern: &[u8]) -> usize {
    // A pattern is whole cells, so the remainder may be taken before the product, which then cannot overflow.
    (source % (pattern.len() / cell) as u64) as usize * cell
}

/// Hands out `length` bytes of the target from `byte` on, piece by piece, each with its distance from `byte`.
#[inline]
fn each_piece<T: Target + ?Sized>(
    target: &mut T,
    byte: u64,
    length: usize,
    mut f: impl FnMut(&mut [u8], usize),
) {
    let mut at = 0;
    while at < length {
        let piece = target.piece(byte + at as u64);
        let take = piece.len().min(length - at);
        f(&mut piece[..take], at);
        at += take;
    }
}

/// Copies `data` to the target from `byte` on.
fn copy_in<T: Target + ?Sized>(target: &mut T, byte: u64, data: &[u8]) {
    each_piece(target, byte, data.len(), |piece, at| piece.copy_from_slice(&data[at..at + piece.len()]));
}

/// Fills `to` with the pattern, beginning at `phase` of it.
fn repeat(to: &mut [u8], pattern: &[u8], phase: usize) {
    if let [first, rest @ ..] = pattern
        && rest.iter().all(|byte| byte == first)
    {
        return to.fill(*first);
    }
    let head = (pattern.len() - phase).min(to.len());
    to[..head].copy_from_slice(&pattern[phase..phase + head]);
    let tail = &mut to[head..];
    let mut done = pattern.len().min(tail.len());
    tail[..done].copy_from_slice(&pattern[..done]);
    // What is there doubles until it is enough.
    while done < tail.len() {
        let more = done.min(tail.len() - done);
        tail.copy_within(..more, done);
        done += more;
    }
}

/// Several repetitions of a short pattern, so that a merge gets more than a cell at a time.
struct Block(Vec<u8>);

impl Block {
    /// Enough of the pattern for `wanted` bytes, but no more than is useful.
    fn of(pattern: &[u8], wanted: u64) -> Self {
        const USEFUL: usize = 2048;
        let length = USEFUL.min(wanted as usize).next_multiple_of(pattern.len());
        if pattern.len() >= USEFUL || length == pattern.len() {
            return Self(Vec::new());
        }
        let mut block = vec![0; length];
        repeat(&mut block, pattern, 0);
        Self(block)
    }

    fn from<'a>(&'a self, phase: usize, pattern: &'a [u8]) -> &'a [u8] {
        if self.0.is_empty() { &pattern[phase..] } else { &self.0[phase..] }
    }
}

/// Merges a repeated pattern into a range of bytes; `source` is the first one's place among the cells selected.
fn merge_fill<T: Target + ?Sized>(
    target: &mut T,
    mut range: Range<u64>,
    pattern: &[u8],
    source: u64,
    column: &Column,
    op: &dyn Merge,
) {
    let mut phase = phase(source, column.dtype().size(), pattern);
    let block = Block::of(pattern, range.end - range.start);
    while range.start < range.end {
        let data = block.from(phase, pattern);
        let data = &data[..data.len().min((range.end - range.start) as usize)];
        merge(target, range.start, data, column, op);
        range.start += data.len() as u64;
        phase = (phase + data.len()) % pattern.len();
    }
}

/// Merges whole cells of `data` into the target from `byte` on. A cell that lies in two pieces is put together first.
fn merge<T: Target + ?Sized>(target: &mut T, byte: u64, data: &[u8], column: &Column, op: &dyn Merge) {
    let (dtype, cell) = (column.dtype(), column.dtype().size());
    let mut at = 0;
    while at < data.len() {
        let piece = target.piece(byte + at as u64);
        let whole = piece.len() / cell * cell;
        if whole > 0 {
            let take = whole.min(data.len() - at);
            op.apply(dtype, &mut piece[..take], &data[at..at + take]);
            at += take;
            continue;
        }
        let mut joined = vec![0; cell];
        each_piece(target, byte + at as u64, cell, |piece, at| {
            joined[at..at + piece.len()].copy_from_slice(piece)
        });
        op.apply(dtype, &mut joined, &data[at..at + cell]);
        each_piece(target, byte + at as u64, cell, |piece, at| {
            piece.copy_from_slice(&joined[at..at + piece.len()]);
        });
        at += cell;
    }
}
