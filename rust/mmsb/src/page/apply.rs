//! Applying a part of a delta to the memory of its column.

use crate::page::delta::{Data, Part, Target, first_whole};
use crate::page::operator::Merge;
use crate::page::schema::Column;
use crate::page::select::Select;
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
        if let Some(cells) = self.select.listed(column)
            && apply_listed(&self.select, cells, data, column, op, target)
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
/// the data is as many bytes for each. Rows are not merged so: an operator works on cells.
fn apply_listed<T: Target + ?Sized>(
    select: &Select,
    cells: u64,
    data: &Data<'_>,
    column: &Column,
    op: Option<&dyn Merge>,
    target: &mut T,
) -> bool {
    let size = cells as usize * column.dtype().size();
    if matches!(data, Data::Fill(pattern) if pattern.len() != size) || (op.is_some() && cells > 1) {
        return false;
    }
    match size {
        1 => scatter_all::<1, T>(select, data, column, op, target),
        2 => scatter_all::<2, T>(select, data, column, op, target),
        4 => scatter_all::<4, T>(select, data, column, op, target),
        8 => scatter_all::<8, T>(select, data, column, op, target),
        12 => scatter_all::<12, T>(select, data, column, op, target),
        16 => scatter_all::<16, T>(select, data, column, op, target),
        24 => scatter_all::<24, T>(select, data, column, op, target),
        32 => scatter_all::<32, T>(select, data, column, op, target),
        64 => scatter_all::<64, T>(select, data, column, op, target),
        128 => scatter_all::<128, T>(select, data, column, op, target),
        _ => return false,
    }
    true
}

fn scatter_all<const N: usize, T: Target + ?Sized>(
    select: &Select,
    data: &Data<'_>,
    column: &Column,
    op: Option<&dyn Merge>,
    target: &mut T,
) {
    match data {
        Data::Dense(data) => {
            let mut rest = data.as_chunks::<N>().0;
            select.entries(|list| {
                let (now, later) = rest.split_at(list.len());
                scatter(list, now, column, op, target);
                rest = later;
            });
        }
        Data::Fill(pattern) => {
            let one: [u8; N] = pattern.first_chunk().copied().unwrap_or([0; N]);
            let block = [one; 64];
            select.entries(|list| {
                for list in list.chunks(block.len()) {
                    scatter(list, &block[..list.len()], column, op, target);
                }
            });
        }
    }
}

/// Writes one cell after the other, as many as lie in one piece without looking for it again.
fn scatter<const N: usize, T: Target + ?Sized>(
    mut list: &[u64],
    mut data: &[[u8; N]],
    column: &Column,
    op: Option<&dyn Merge>,
    target: &mut T,
) {
    while let Some(&cell) = list.first() {
        let byte = cell * N as u64;
        let (start, piece) = target.around(byte);
        let (first, skip) = first_whole::<N>(start);
        let piece = piece.get_mut(skip..).unwrap_or_default();
        let mut taken = match op {
            None => place(piece.as_chunks_mut::<N>().0, (list, first), data),
            Some(op) => op.apply_at(column.dtype(), piece, (list, first), data.as_flattened()),
        };
        if taken == 0 {
            match op {
                None => copy_in(target, byte, &data[0]),
                Some(op) => merge(target, byte, &data[0], column, op),
            }
            taken = 1;
        }
        list = &list[taken..];
        data = &data[taken..];
    }
}

/// `to[list[i] - first] = data[i]`, in order, up to the first that is not in `to`; how many there were.
fn place<const N: usize>(to: &mut [[u8; N]], (list, first): (&[u64], u64), data: &[[u8; N]]) -> usize {
    let mut cells = list.iter().zip(data);
    let outside = cells.position(|(cell, data)| {
        let Some(to) = to.get_mut(cell.wrapping_sub(first) as usize) else { return true };
        *to = *data;
        false
    });
    outside.unwrap_or(list.len())
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
