//! Runs of cells as selections, and as parts of a delta that assigns them.

use std::borrow::Cow;
use std::sync::Arc;

use crate::page::delta::{self, Data, Part, Source};
use crate::page::schema::Column;
use crate::page::select::{Rows, Select};

/// Runs shorter than this on average are written as one list.
const LIST_BELOW: u64 = 8;

/// The selections that cover the runs of cells (first, how many), in their order.
#[must_use]
pub fn selections(runs: &[(u64, u64)], column: &Column) -> Vec<Select> {
    let width = column.cells_per_row();
    let total: u64 = runs.iter().map(|run| run.1).sum();
    if runs.len() > 1 && total / (runs.len() as u64) < LIST_BELOW * width {
        let all = || runs.iter().flat_map(|&(first, n)| first..first + n);
        if width == 1 {
            return vec![Select::Rows { rows: Rows::Index(Arc::new(all().collect())), inner: None }];
        }
        return vec![Select::Cells(Arc::new(all().collect()))];
    }
    runs.iter().flat_map(|&(first, n)| around_rows(first, first + n, width)).collect()
}

/// The cells `from..to` as whole rows, and what is left of a row before and behind them.
fn around_rows(from: u64, to: u64, width: u64) -> impl Iterator<Item = Select> {
    let cells = |from: u64, to: u64| (from < to).then(|| Select::Cells(Arc::new((from..to).collect())));
    let (start, stop) = (from.div_ceil(width), to / width);
    let pieces = if start < stop {
        [cells(from, start * width), Some(Select::range(start, stop)), cells(stop * width, to)]
    } else {
        [cells(from, to), None, None]
    };
    pieces.into_iter().flatten()
}

/// Bytes of a column from some byte on.
struct From<'b> {
    bytes: &'b [u8],
    first: u64,
}

impl Source for From<'_> {
    fn piece(&self, byte: u64) -> &[u8] {
        &self.bytes[(byte - self.first) as usize..]
    }
}

/// Parts that assign runs of cells of column `number`, ascending and apart, each of which has its bytes.
#[must_use]
pub fn gathered<'b>(
    runs: &[(u64, u64)],
    bytes: &[&'b [u8]],
    (number, column): (u16, &Column),
) -> Vec<Part<'b>> {
    let selects = selections(runs, column);
    let part = |select, data| Part { column: number, select, data: Data::Dense(data) };
    if selects.len() == runs.len() {
        // Each run is one selection of its own.
        return selects
            .into_iter()
            .zip(bytes)
            .map(|(select, bytes)| part(select, Cow::Borrowed(*bytes)))
            .collect();
    }
    let (all, mut at) = (bytes.concat(), 0);
    let taken = selects.into_iter().map(|select| {
        let from = at;
        at += (select.cells(column) * column.cell_bytes()) as usize;
        part(select, Cow::Owned(all[from..at].to_vec()))
    });
    taken.collect()
}

/// Parts that assign the runs of cells of column `number`, where `bytes` are its cells from `first` on; in one piece where
/// the runs have more than half of them: then their pieces cost more than they save.
#[must_use]
pub fn parts<'b>(
    runs: &[(u64, u64)],
    (number, column): (u16, &Column),
    first: u64,
    bytes: &'b [u8],
) -> Vec<Part<'b>> {
    let cell = column.cell_bytes();
    let (cells, changed) = (bytes.len() as u64 / cell, runs.iter().map(|run| run.1).sum::<u64>());
    let whole = [(first, cells)];
    let runs = if changed > cells / 2 { &whole } else { runs };
    let from = From { bytes, first: first * cell };
    let data = |select: &Select| match *select {
        Select::Rows { rows: Rows::Range { start, stop, step: 1 }, inner: None } => {
            let (start, stop) = (start * column.row_bytes(), stop * column.row_bytes());
            Cow::Borrowed(&bytes[(start - from.first) as usize..(stop - from.first) as usize])
        }
        ref select => {
            let mut data = vec![0; (select.cells(column) * cell) as usize];
            delta::read(select, column, &from, &mut data);
            Cow::Owned(data)
        }
    };
    let part = |select| Part { column: number, data: Data::Dense(data(&select)), select };
    selections(runs, column).into_iter().map(part).collect()
}
