//! A delta: what one commit assigns or merges into one page. Checking it, applying it, and reading what it selects.

use crate::base::ids::PageId;
use crate::page::error::PageError;
use crate::page::operator::{Merge, OperatorId};
use crate::page::schema::{Column, Schema};
use crate::page::select::Select;
use std::borrow::Cow;

/// A patch of one page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delta<'a> {
    /// The page.
    pub page: PageId,
    /// Assignment, or the operator that merges the data into what is there.
    pub op: OperatorId,
    /// What to write, in order.
    pub parts: Vec<Part<'a>>,
}

/// A patch of one column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part<'a> {
    /// The column's number.
    pub column: u16,
    /// Which cells.
    pub select: Select,
    /// What goes into them.
    pub data: Data<'a>,
}

/// The cells of a part, little endian, unaligned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Data<'a> {
    /// Every cell selected, in the selection's order.
    Dense(Cow<'a, [u8]>),
    /// One cell for all, or the cells selected of one row for every row.
    Fill(Cow<'a, [u8]>),
}

/// Memory of a column that may be written, in pieces.
pub trait Target {
    /// The bytes of the column from `byte` to the end of the piece that holds it; at least one when the column has it.
    fn piece(&mut self, byte: u64) -> &mut [u8];
}

/// Memory of a column that may be read, in pieces.
pub trait Source {
    /// The bytes of the column from `byte` to the end of the piece that holds it; at least one when the column has it.
    fn piece(&self, byte: u64) -> &[u8];
}

/// A column in one piece.
impl Target for [u8] {
    #[inline]
    fn piece(&mut self, byte: u64) -> &mut [u8] {
        &mut self[byte as usize..]
    }
}

/// A column in one piece.
impl Source for [u8] {
    #[inline]
    fn piece(&self, byte: u64) -> &[u8] {
        &self[byte as usize..]
    }
}

impl Data<'_> {
    /// The bytes there are, whether they repeat or not.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Dense(bytes) | Self::Fill(bytes) => bytes,
        }
    }

    /// The same data on its own.
    #[must_use]
    pub fn into_owned(self) -> Data<'static> {
        match self {
            Self::Dense(bytes) => Data::Dense(Cow::Owned(bytes.into_owned())),
            Self::Fill(bytes) => Data::Fill(Cow::Owned(bytes.into_owned())),
        }
    }
}

impl<'a> Delta<'a> {
    /// A delta of one part.
    #[must_use]
    pub fn single(page: PageId, op: OperatorId, part: Part<'a>) -> Self {
        Self { page, op, parts: vec![part] }
    }

    /// Whether every part fits a page of this schema and as many rows.
    ///
    /// # Errors
    /// [`PageError::NoSuchColumn`], and those of [`Part::check`].
    pub fn check(&self, schema: &Schema, rows: u64) -> Result<(), PageError> {
        self.parts.iter().try_for_each(|part| part.check(schema.column(part.column)?, rows))
    }

    /// The same delta on its own.
    #[must_use]
    pub fn into_owned(self) -> Delta<'static> {
        Delta { page: self.page, op: self.op, parts: self.parts.into_iter().map(Part::into_owned).collect() }
    }
}

impl Part<'_> {
    /// Whether the selection and the data fit `column` of a page of `rows` rows.
    ///
    /// # Errors
    /// [`PageError::IndexOutOfRange`], [`PageError::BadSelection`], [`PageError::DataLength`].
    pub fn check(&self, column: &Column, rows: u64) -> Result<(), PageError> {
        self.select.check(column, rows)?;
        let (cells, cell) = (self.select.cells(column), column.cell_bytes());
        let got = self.data.bytes().len() as u64;
        let wanted = match self.data {
            Data::Dense(_) => cells * cell,
            Data::Fill(_) if got == cell => cell,
            Data::Fill(_) => self.select.cells_per_row(column) * cell,
        };
        // A fill of nothing would have nothing to repeat; nothing asks for it either.
        let empty_fill = matches!(self.data, Data::Fill(_)) && got == 0;
        if got != wanted || (empty_fill && cells > 0) {
            return Err(PageError::DataLength { got, wanted, cells, dtype: column.dtype() });
        }
        Ok(())
    }

    /// The same part on its own.
    #[must_use]
    pub fn into_owned(self) -> Part<'static> {
        Part { column: self.column, select: self.select, data: self.data.into_owned() }
    }

    /// Writes the part into the memory of its column: assigns when there is no operator, else merges cell by cell in the
    /// selection's order. The part must have passed [`Part::check`], and the operator must support the column's type.
    pub fn apply<T: Target + ?Sized>(&self, column: &Column, op: Option<&dyn Merge>, target: &mut T) {
        let cell = column.dtype().size();
        match (&self.data, op) {
            (Data::Dense(data), None) => self.select.runs(column, |run| {
                let from = run.source as usize * cell;
                let data = &data[from..from + run.cells as usize * cell];
                each_piece(target, run.cell * cell as u64, data.len(), |piece, at| {
                    copy_cells(piece, &data[at..at + piece.len()]);
                });
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
                let mut at = run.cell * cell as u64;
                let end = at + run.cells * cell as u64;
                let mut phase = phase(run.source, cell, pattern);
                let block = Block::of(pattern, end - at);
                while at < end {
                    let data = block.from(phase, pattern);
                    let data = &data[..data.len().min((end - at) as usize)];
                    merge(target, at, data, column, op);
                    at += data.len() as u64;
                    phase = (phase + data.len()) % pattern.len();
                }
            }),
        }
    }
}

/// Reads the cells selected into `out`, which has room for exactly those. The selection must have passed [`Select::check`].
pub fn read<S: Source + ?Sized>(select: &Select, column: &Column, source: &S, out: &mut [u8]) {
    let cell = column.dtype().size();
    select.runs(column, |run| {
        let to = run.source as usize * cell;
        let mut out = &mut out[to..to + run.cells as usize * cell];
        let mut byte = run.cell * cell as u64;
        while !out.is_empty() {
            let piece = source.piece(byte);
            let (now, later) = out.split_at_mut(piece.len().min(out.len()));
            copy_cells(now, &piece[..now.len()]);
            byte += now.len() as u64;
            out = later;
        }
    });
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

/// Copies equally long slices; the sizes of single cells without a call.
#[inline]
fn copy_cells(to: &mut [u8], from: &[u8]) {
    fn fixed<const N: usize>(to: &mut [u8], from: &[u8]) {
        if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk::<N>()) {
            *to = *from;
        }
    }
    match to.len() {
        1 => fixed::<1>(to, from),
        2 => fixed::<2>(to, from),
        4 => fixed::<4>(to, from),
        8 => fixed::<8>(to, from),
        _ => to.copy_from_slice(from),
    }
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
