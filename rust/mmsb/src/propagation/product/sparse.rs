//! A matrix in compressed sparse rows times a vector, or a dense matrix.

use crate::algebra::family::Family;
use crate::algebra::linear::sparse_matrix;
use crate::algebra::renew::renews;
use crate::page::column::ColumnRef;
use crate::page::dtype::DType;
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Input, Kernel};
use crate::propagation::made::Made;
use crate::propagation::places::{NOWHERE, Places};
use crate::propagation::product::gather::Gather;
use crate::propagation::product::renewal::Renewal;
use crate::propagation::product::spec::{RULE, inputs};
use crate::propagation::runs::{Run, joined, push, union};

/// Rows that are multiplied at once.
const BLOCK: usize = 1024;

/// Rows side by side that are multiplied where their entries are; those of fewer are copied together first.
const LONG: u64 = 32;

/// Rows between others that it costs less to multiply too than to begin anew behind them.
const GAP: u64 = 2;

/// Rows that are marked rather than sorted: from so many on that is less work.
const MARKED: usize = 1024;

/// Rows that a change is about, in any order and more than once.
#[derive(Debug, Default)]
pub(super) struct Marked {
    pub runs: Vec<Run>,
    pub rows: Vec<u32>,
}

impl Marked {
    /// They as runs, ascending and apart, where there are `count` rows.
    pub fn joined(&mut self, count: usize) -> Vec<Run> {
        let mut runs = Vec::new();
        if self.rows.len() < MARKED {
            self.rows.sort_unstable();
            self.rows.iter().for_each(|&row| push(&mut runs, Run::new(row.into(), u64::from(row) + 1)));
        } else {
            let mut words = vec![0u64; count.div_ceil(64)];
            self.rows.iter().for_each(|&row| words[row as usize / 64] |= 1 << (row % 64));
            for (at, word) in (0u64..).zip(&mut words) {
                while *word != 0 {
                    let row = at * 64 + u64::from(word.trailing_zeros());
                    push(&mut runs, Run::new(row, row + 1));
                    *word &= *word - 1;
                }
            }
        }
        union(&[&runs, &self.runs])
    }
}

/// What is remembered of the matrix and of the vector; rows of a dense matrix are as its cells.
#[derive(Debug)]
pub(super) struct Known {
    /// Where each row's entries begin, and the last one's end.
    pub starts: Vec<u64>,
    /// The column of each entry.
    pub columns: Vec<u32>,
    /// For every column, where its rows begin among `rows`; and the end.
    pub at: Vec<u32>,
    /// The rows that have an entry in a column, column after column.
    pub rows: Vec<u32>,
    pub vector: Gather,
    /// What exchanging terms takes, where that is done.
    renewal: Option<Renewal>,
}

impl Known {
    /// Rows of the matrix.
    pub fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// Keeps what was made, of cells of so many bytes, where terms are exchanged.
    fn note(&mut self, made: &Made, size: usize) {
        if let Some(renewal) = &mut self.renewal {
            renewal.note(made, size);
        }
    }
}

/// The product. A run that goes into no commit makes it forget everything, for those are rare.
#[derive(Debug)]
pub struct Sparse {
    which: (Family, DType),
    /// Cells of a row of what it is multiplied with: 1 of a vector.
    width: usize,
    starts: Places,
    index: Places,
    value: u16,
    known: Option<Known>,
    /// Whether terms are exchanged in it.
    renews: bool,
    /// Whether it ran since it was last kept.
    ran: bool,
    values: Gather,
    offsets: Vec<u64>,
    picked: Picked,
    /// Rows made anew, until they go with those in which terms were exchanged: ascending, as one delta.
    mended: Made,
}

/// Rows that lie apart, with their entries side by side.
#[derive(Debug, Default)]
struct Picked {
    runs: Vec<Run>,
    /// Where each row's entries begin, and the last one's end; 0 where there are none.
    starts: Vec<u64>,
    columns: Vec<u32>,
    values: Gather,
    /// What comes of them.
    cells: Vec<u64>,
}

impl Picked {
    /// Takes rows of a matrix whose values are cells of so many bytes.
    fn add(&mut self, known: &Known, rows: Run, (values, size): (&ColumnRef<'_>, u64)) {
        let starts = &known.starts[rows.start as usize..=rows.stop as usize];
        let (from, to) = (starts[0], starts[starts.len() - 1]);
        let before = self.columns.len() as u64;
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        self.starts.extend(starts[1..].iter().map(|start| before + start - from));
        self.columns.extend_from_slice(&known.columns[from as usize..to as usize]);
        self.values.push(values, from * size..to * size, before * size);
        self.runs.push(rows);
    }

    /// Multiplies them, and forgets them.
    fn give(
        &mut self,
        which: (Family, DType),
        (right, width): (&[u8], usize),
        made: &mut Made,
    ) -> Result<(), RuleError> {
        let (rows, size) = (self.starts.len().saturating_sub(1), which.1.size());
        if rows > 0 {
            let row = size * width;
            self.cells.clear();
            self.cells.resize((rows * row).div_ceil(8), 0);
            let out = &mut bytemuck::cast_slice_mut(&mut self.cells)[..rows * row];
            let values = self.values.bytes(self.columns.len() * size);
            sparse_matrix(which, (&self.starts, &self.columns, values), (right, width), 0..rows, out)?;
            let mut out: &[u8] = out;
            for run in &self.runs {
                let (cells, left) = out.split_at(run.rows() as usize * row);
                made.room_of_bytes(0, run.start * width as u64, cells.len()).copy_from_slice(cells);
                out = left;
            }
        }
        self.forget();
        Ok(())
    }

    fn forget(&mut self) {
        self.runs.clear();
        self.starts.clear();
        self.columns.clear();
    }
}

fn wrong(what: String) -> RuleError {
    RuleError::Value { rule: RULE, what }
}

impl Sparse {
    /// The product of what these columns say with a vector, or with rows of `width` cells.
    ///
    /// # Errors
    /// Where there is no such semiring on cells of this type.
    pub fn new(
        which: (Family, DType),
        width: usize,
        (starts, index): (Places, Places),
        value: u16,
    ) -> Result<Self, RuleError> {
        let (renews, known, ran) = (renews(which)?, None, false);
        let (values, offsets, picked, mended) = Default::default();
        Ok(Self { which, width, starts, index, value, renews, known, ran, values, offsets, picked, mended })
    }

    /// Reads where the entries are, and the vector.
    fn build(&self, [starts, entries, vector]: [&Input<'_>; 3]) -> Result<Known, RuleError> {
        let mut cells = Vec::new();
        self.starts.read(&starts.column(0), 0, starts.rows(), &mut cells)?;
        if let Some(row) = cells.iter().position(|start| *start == NOWHERE) {
            return Err(wrong(format!("the start -1 of row {row} is none of 0 to {}", entries.rows())));
        }
        if let Some(row) = cells.windows(2).position(|pair| pair[0] > pair[1]) {
            let (start, end) = (cells[row], cells[row + 1]);
            return Err(wrong(format!("row {row} of the matrix starts at {start} and ends at {end}")));
        }
        let starts: Vec<u64> = cells.into_iter().map(u64::from).collect();
        let (first, last) = (starts[0], starts[starts.len() - 1]);
        let mut columns = Vec::new();
        self.index.read(&entries.column(self.index.column), 0, last, &mut columns)?;
        let used = &columns[first as usize..];
        if let Some(entry) = used.iter().position(|column| *column == NOWHERE) {
            let (row, end) = (first + entry as u64, self.index.count - 1);
            return Err(wrong(format!("the column -1 of row {row} is none of 0 to {end}")));
        }
        let mut at = vec![0u32; self.index.count as usize + 1];
        used.iter().for_each(|column| at[*column as usize + 1] += 1);
        (1..at.len()).for_each(|i| at[i] += at[i - 1]);
        let (mut next, mut rows) = (at.clone(), vec![0; used.len()]);
        for (row, pair) in (0u32..).zip(starts.windows(2)) {
            for column in &columns[pair[0] as usize..pair[1] as usize] {
                let place = &mut next[*column as usize];
                rows[*place as usize] = row;
                *place += 1;
            }
        }
        let (mut copy, column) = (Gather::default(), vector.column(0));
        copy.fill(&column, 0..column.bytes);
        let renewal =
            self.renews.then(|| Renewal::new((starts.len() - 1) * self.which.1.size() * self.width));
        Ok(Known { starts, columns, at, rows, vector: copy, renewal })
    }

    /// Multiplies the rows that a change of values and of the vector is about, or exchanges terms in them; the vector is copied
    /// anew where it changed.
    fn follow(
        &mut self,
        known: &mut Known,
        given: [&Input<'_>; 3],
        made: &mut Made,
    ) -> Result<(), RuleError> {
        let [_, entries, vector] = given;
        let (rows, size, width) = (known.count(), self.which.1.size(), self.width);
        let (mut dirty, values) = (Marked::default(), entries.column(self.value));
        for run in entries.changed(self.value) {
            let first = known.starts.partition_point(|start| *start <= run.start).saturating_sub(1);
            let stop = known.starts.partition_point(|start| *start < run.stop).min(rows);
            dirty.runs.push(Run::new(first as u64, stop as u64));
            if let Some(renewal) = &mut known.renewal {
                renewal.revalue(*run, &values, size);
            }
        }
        let of = |run: &Run| known.at[run.start as usize] as usize..known.at[run.stop as usize] as usize;
        let touched: usize = vector.changed(0).iter().map(|run| of(run).len()).sum();
        // Where no term is another, nothing is to be exchanged.
        if (1..rows).contains(&touched)
            && let Some(mut renewal) = known.renewal.take()
        {
            renewal.exchange((self.which, width), known, (&values, vector), touched, &mut dirty)?;
            let dirty = dirty.joined(rows);
            let mut mended = std::mem::take(&mut self.mended);
            mended.clear();
            self.mend(known, joined(&dirty, GAP), given, &mut mended)?;
            renewal.note(&mended, size);
            let changed = renewal.changed(dirty, rows);
            renewal.give(joined(&changed, GAP), (size, width), made);
            (self.mended, known.renewal) = (mended, Some(renewal));
            return Ok(());
        }
        if touched < rows {
            vector.changed(0).iter().for_each(|run| dirty.rows.extend_from_slice(&known.rows[of(run)]));
        } else {
            // To say which costs more than the few that could be left out.
            dirty.runs.push(Run::new(0, rows as u64));
        }
        let (row, column) = ((size * width) as u64, vector.column(0));
        for run in vector.changed(0) {
            known.vector.put(&column, run.start * row..run.stop * row, run.start * row);
        }
        self.mend(known, joined(&dirty.joined(rows), GAP), given, made)?;
        known.note(made, size);
        Ok(())
    }

    /// Multiplies these rows.
    fn mend(
        &mut self,
        known: &Known,
        rows: impl Iterator<Item = Run>,
        given: [&Input<'_>; 3],
        made: &mut Made,
    ) -> Result<(), RuleError> {
        let [_, entries, vector] = given;
        let size = self.which.1.size();
        let values = (&entries.column(self.value), size as u64);
        let right = (known.vector.bytes(vector.rows() as usize * size * self.width), self.width);
        // Of a run that failed some may be left.
        self.picked.forget();
        for run in rows {
            let is_long = run.rows() >= LONG;
            if !is_long {
                self.picked.add(known, run, values);
            }
            if is_long || self.picked.starts.len() > BLOCK {
                self.picked.give(self.which, right, made)?;
            }
            if is_long {
                self.give(known, run.start as usize..run.stop as usize, given, made)?;
            }
        }
        self.picked.give(self.which, right, made)
    }

    /// Multiplies rows that lie side by side.
    fn give(
        &mut self,
        known: &Known,
        rows: std::ops::Range<usize>,
        given: [&Input<'_>; 3],
        made: &mut Made,
    ) -> Result<(), RuleError> {
        let [_, entries, vector] = given;
        let size = self.which.1.size();
        let (width, row) = (self.width, size * self.width);
        let right = known.vector.bytes(vector.rows() as usize * row);
        let mut first = rows.start;
        while first < rows.end {
            let stop = (first + BLOCK).min(rows.end);
            let (from, to) = (known.starts[first], known.starts[stop]);
            self.offsets.clear();
            self.offsets.extend(known.starts[first..=stop].iter().map(|start| start - from));
            let bytes = from * size as u64..to * size as u64;
            let values = self.values.take(&entries.column(self.value), bytes);
            let columns = &known.columns[from as usize..to as usize];
            let out = made.room_of_bytes(0, (first * width) as u64, (stop - first) * row);
            let matrix = (self.offsets.as_slice(), columns, values);
            sparse_matrix(self.which, matrix, (right, width), 0..stop - first, out)?;
            first = stop;
        }
        Ok(())
    }
}

impl Kernel for Sparse {
    fn run(&mut self, given: &[Input<'_>], made: &mut Made) -> Result<(), RuleError> {
        let given = inputs(given)?;
        let [starts, entries, _] = given;
        self.ran = true;
        let stays =
            given.iter().all(|input| input.before.is_some_and(|before| before.rows() == input.rows()))
                && starts.changed(0).is_empty()
                && entries.changed(self.index.column).is_empty();
        // Where it fails midway, nothing is known afterwards.
        let known = match self.known.take() {
            Some(mut known) if stays => {
                self.follow(&mut known, given, made)?;
                known
            }
            _ => {
                let mut known = self.build(given)?;
                self.give(&known, 0..known.count(), given, made)?;
                known.note(made, self.which.1.size());
                known
            }
        };
        self.known = Some(known);
        Ok(())
    }

    fn keep(&mut self) {
        self.ran = false;
    }

    fn undo(&mut self) {
        if std::mem::take(&mut self.ran) {
            self.known = None;
        }
    }
}
