//! A delta: what one commit assigns or merges into one page. Checking it, and reading what a selection selects.

use crate::base::ids::PageId;
use crate::page::error::PageError;
use crate::page::operator::OperatorId;
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

    /// All of the piece that holds `byte`, as far as it is known, and the byte of the column that it begins with.
    fn around(&mut self, byte: u64) -> (u64, &mut [u8]) {
        (byte, self.piece(byte))
    }
}

/// Memory of a column that may be read, in pieces.
pub trait Source {
    /// The bytes of the column from `byte` to the end of the piece that holds it; at least one when the column has it.
    fn piece(&self, byte: u64) -> &[u8];

    /// All of the piece that holds `byte`, as far as it is known, and the byte of the column that it begins with.
    fn around(&self, byte: u64) -> (u64, &[u8]) {
        (byte, self.piece(byte))
    }
}

/// A column in one piece.
impl Target for [u8] {
    #[inline]
    fn piece(&mut self, byte: u64) -> &mut [u8] {
        &mut self[byte as usize..]
    }

    #[inline]
    fn around(&mut self, _: u64) -> (u64, &mut [u8]) {
        (0, self)
    }
}

/// A column in one piece.
impl Source for [u8] {
    #[inline]
    fn piece(&self, byte: u64) -> &[u8] {
        &self[byte as usize..]
    }

    #[inline]
    fn around(&self, _: u64) -> (u64, &[u8]) {
        (0, self)
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
}

/// Reads the cells selected into `out`, which has room for exactly those. The selection must have passed [`Select::check`].
pub fn read<S: Source + ?Sized>(select: &Select, column: &Column, source: &S, out: &mut [u8]) {
    let cell = column.dtype().size();
    if let Some(cells) = select.listed(column) {
        match cells as usize * cell {
            1 => return gather_all::<1, S>(select, source, out),
            2 => return gather_all::<2, S>(select, source, out),
            4 => return gather_all::<4, S>(select, source, out),
            8 => return gather_all::<8, S>(select, source, out),
            12 => return gather_all::<12, S>(select, source, out),
            16 => return gather_all::<16, S>(select, source, out),
            24 => return gather_all::<24, S>(select, source, out),
            32 => return gather_all::<32, S>(select, source, out),
            64 => return gather_all::<64, S>(select, source, out),
            128 => return gather_all::<128, S>(select, source, out),
            _ => {}
        }
    }
    select.runs(column, |run| {
        let to = run.source as usize * cell;
        let out = &mut out[to..to + run.cells as usize * cell];
        copy_out(source, run.cell * cell as u64, out);
    });
}

fn copy_out<S: Source + ?Sized>(source: &S, mut byte: u64, mut out: &mut [u8]) {
    while !out.is_empty() {
        let piece = source.piece(byte);
        let (now, later) = out.split_at_mut(piece.len().min(out.len()));
        now.copy_from_slice(&piece[..now.len()]);
        byte += now.len() as u64;
        out = later;
    }
}

fn gather_all<const N: usize, S: Source + ?Sized>(select: &Select, source: &S, out: &mut [u8]) {
    let mut rest = out.as_chunks_mut::<N>().0;
    select.entries(|list| {
        let (now, later) = std::mem::take(&mut rest).split_at_mut(list.len());
        gather(list, source, now);
        rest = later;
    });
}

/// Reads one cell after the other, as many as lie in one piece without looking for it again.
fn gather<const N: usize, S: Source + ?Sized>(mut list: &[u64], source: &S, mut out: &mut [[u8; N]]) {
    while let Some(&cell) = list.first() {
        let (start, piece) = source.around(cell * N as u64);
        let (first, skip) = first_whole::<N>(start);
        let cells = piece.get(skip..).unwrap_or_default().as_chunks::<N>().0;
        let mut found = list.iter().map_while(|cell| cells.get(cell.wrapping_sub(first) as usize));
        let mut taken = 0;
        for (out, found) in out.iter_mut().zip(&mut found) {
            *out = *found;
            taken += 1;
        }
        if taken == 0 {
            copy_out(source, cell * N as u64, &mut out[0]);
            taken = 1;
        }
        list = &list[taken..];
        out = &mut out[taken..];
    }
}

/// The first cell of `N` bytes that begins in a piece, and the bytes before it, where the piece begins at `start`.
pub(crate) fn first_whole<const N: usize>(start: u64) -> (u64, usize) {
    let first = start.div_ceil(N as u64);
    (first, (first * N as u64 - start) as usize)
}
