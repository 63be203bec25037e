//! A product kept as it was made, so that terms are exchanged in it where its semiring allows that.

use crate::algebra::error::AlgebraError;
use crate::algebra::family::Family;
use crate::algebra::renew::{Renewed, Terms, renew};
use crate::base::ahead;
use crate::page::column::ColumnRef;
use crate::page::dtype::DType;
use crate::propagation::kernel::Input;
use crate::propagation::made::Made;
use crate::propagation::product::gather::{Gather, copy};
use crate::propagation::product::sparse::{Known, Marked};
use crate::propagation::runs::Run;

/// Runs of the vector before their turn, the processor is told where their terms are.
const AHEAD: usize = 16;

/// The product, and room for what exchanging takes.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    product: Gather,
    /// From the first time that terms are exchanged on.
    turned: Option<Turned>,
    terms: Buffers,
    renewed: Renewed,
}

/// Terms side by side: as [`Terms`].
#[derive(Debug, Default)]
struct Buffers {
    starts: Vec<u32>,
    rows: Vec<u32>,
    values: Gather,
    old: Gather,
    new: Gather,
}

/// The values of the matrix, column after column.
#[derive(Debug)]
struct Turned {
    /// The first entry of a row, and where it and those behind it are.
    first: u64,
    places: Vec<u32>,
    values: Gather,
}

impl Turned {
    fn new(known: &Known, values: &ColumnRef<'_>, size: usize) -> Self {
        let (first, mut next) = (known.starts[0], known.at.clone());
        let place = |column: &u32| {
            let next = &mut next[*column as usize];
            *next += 1;
            *next - 1
        };
        let places: Vec<u32> = known.columns[first as usize..].iter().map(place).collect();
        let mut turned = Gather::default();
        turned.room(places.len() * size);
        turned.scatter(values, size, first, &places);
        Self { first, places, values: turned }
    }
}

impl Renewal {
    /// Of a product of so many bytes.
    pub fn new(bytes: usize) -> Self {
        let mut made = Self::default();
        made.product.room(bytes);
        made
    }

    /// Takes over what was made, of cells of so many bytes.
    pub fn note(&mut self, made: &Made, size: usize) {
        for (piece, bytes) in made.pieces() {
            let first = piece.first as usize * size;
            let end = first + bytes.len();
            self.product.room(end)[first..].copy_from_slice(bytes);
        }
    }

    /// Copies values of a run of entries anew.
    pub fn revalue(&mut self, run: Run, values: &ColumnRef<'_>, size: usize) {
        if let Some(Turned { first, places, values: turned }) = &mut self.turned {
            let place = |entry: u64| (entry.max(*first) - *first).min(places.len() as u64) as usize;
            let start = run.start.max(*first);
            turned.scatter(values, size, start, &places[place(start)..place(run.stop)]);
        }
    }

    /// Exchanges the terms of what changed in the vector, so many in all, and copies it anew there. Rows that must be made
    /// anew go to `dirty`; so must those be of which values changed.
    pub fn exchange(
        &mut self,
        (which, width): ((Family, DType), usize),
        known: &mut Known,
        (values, vector): (&ColumnRef<'_>, &Input<'_>),
        count: usize,
        dirty: &mut Marked,
    ) -> Result<(), AlgebraError> {
        let (size, runs) = (which.1.size(), vector.changed(0));
        let turned = self.turned.get_or_insert_with(|| Turned::new(known, values, size));
        self.terms.fill(known, turned, vector, (runs, count), (size, width));
        self.renewed.changed.clear();
        self.renewed.lost.clear();
        let product = self.product.room(known.count() * size * width);
        renew(which, self.terms.all(count, size, width), (product, width), &mut self.renewed)?;
        dirty.rows.append(&mut self.renewed.lost);
        Ok(())
    }

    /// The rows that are others now for what was exchanged, and these.
    pub fn changed(&mut self, others: Vec<Run>, rows: usize) -> Vec<Run> {
        let mut marked = Marked { runs: others, rows: std::mem::take(&mut self.renewed.changed) };
        let runs = marked.joined(rows);
        self.renewed.changed = marked.rows;
        runs
    }

    /// Gives these rows of `width` cells of so many bytes.
    pub fn give(&self, rows: impl Iterator<Item = Run>, (size, width): (usize, usize), made: &mut Made) {
        for run in rows {
            let bytes = run.start as usize * size * width..run.stop as usize * size * width;
            let cells = &self.product.bytes(bytes.end)[bytes];
            made.room_of_bytes(0, run.start * width as u64, cells.len()).copy_from_slice(cells);
        }
    }
}

impl Buffers {
    /// Takes the terms of runs of the vector, `count` of them, and the vector as it was and is there; it is copied anew.
    fn fill(
        &mut self,
        known: &mut Known,
        turned: &Turned,
        vector: &Input<'_>,
        (runs, count): (&[Run], usize),
        (size, width): (usize, usize),
    ) {
        let (column, row) = (vector.column(0), size * width);
        let cells_known = known.vector.room(vector.rows() as usize * row);
        let cells: usize = runs.iter().map(|run| run.rows() as usize * row).sum();
        let (old, new) = (self.old.room(cells), self.new.room(cells));
        let (all, values) = (turned.values.bytes(turned.places.len() * size), self.values.room(count * size));
        self.starts.clear();
        self.starts.push(0);
        self.rows.clear();
        let mut at = 0;
        for (i, run) in runs.iter().enumerate() {
            if let Some(later) = runs.get(i + 2 * AHEAD) {
                ahead::read(&known.at, later.start as usize);
                ahead::read(cells_known, later.start as usize * row);
            }
            if let Some(later) = runs.get(i + AHEAD) {
                let first = known.at[later.start as usize] as usize;
                ahead::read(&known.rows, first);
                ahead::read(all, first * size);
            }
            let bytes = run.start as usize * row..run.stop as usize * row;
            let to = at..at + bytes.len();
            old[to.clone()].copy_from_slice(&cells_known[bytes.clone()]);
            copy(&column, bytes.start as u64, &mut new[to.clone()]);
            cells_known[bytes].copy_from_slice(&new[to.clone()]);
            at = to.end;
            let starts = &known.at[run.start as usize..=run.stop as usize];
            let of = starts[0] as usize..starts[starts.len() - 1] as usize;
            let before = self.rows.len();
            self.starts.extend(starts[1..].iter().map(|start| start - starts[0] + before as u32));
            self.rows.extend_from_slice(&known.rows[of.clone()]);
            values[before * size..self.rows.len() * size]
                .copy_from_slice(&all[of.start * size..of.end * size]);
        }
    }

    fn all(&self, count: usize, size: usize, width: usize) -> Terms<'_> {
        let cells = (self.starts.len() - 1) * size * width;
        Terms {
            starts: &self.starts,
            rows: &self.rows,
            values: self.values.bytes(count * size),
            old: self.old.bytes(cells),
            new: self.new.bytes(cells),
        }
    }
}
