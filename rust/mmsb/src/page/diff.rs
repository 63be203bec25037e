//! Which cells two versions of a page have different.

use crate::page::column::ColumnRef;
use crate::page::compare;
use crate::page::delta::Source;

/// Runs of cells, joined where they lie side by side.
struct Joined<'v> {
    run: Option<(u64, u64)>,
    visit: &'v mut dyn FnMut(u64, u64),
}

impl Joined<'_> {
    fn push(&mut self, first: u64, n: u64) {
        match &mut self.run {
            Some((start, count)) if *start + *count == first => *count += n,
            run => {
                if let Some((start, count)) = run.replace((first, n)) {
                    (self.visit)(start, count);
                }
            }
        }
    }

    fn finish(self) {
        if let Some((start, count)) = self.run {
            (self.visit)(start, count);
        }
    }
}

/// Calls `visit` with the runs of cells, first and how many, that differ between two versions of a column; cells that
/// only the longer one has are among them.
pub fn differing_cells(a: &ColumnRef<'_>, b: &ColumnRef<'_>, cell: usize, visit: &mut dyn FnMut(u64, u64)) {
    let both = a.bytes.min(b.bytes);
    let mut runs = Joined { run: None, visit };
    let cell_bytes = cell as u64;
    let mut compared = 0;
    a.differing(b, &mut |from, to| {
        // A cell may straddle the pieces that differ: whole cells are compared.
        let from = (from / cell_bytes * cell_bytes).max(compared);
        let to = to.div_ceil(cell_bytes) * cell_bytes;
        compare_range(a, b, from, to.min(both), cell, &mut |first, n| runs.push(first, n));
        compared = to.max(compared);
    });
    let end = a.bytes.max(b.bytes);
    if both < end {
        runs.push(both / cell_bytes, (end - both) / cell_bytes);
    }
    runs.finish();
}

/// Calls `visit` with the runs of cells, first and how many, in which a column differs from `bytes`, which are as long.
pub fn differing_from(column: &ColumnRef<'_>, bytes: &[u8], cell: usize, visit: &mut dyn FnMut(u64, u64)) {
    let mut runs = Joined { run: None, visit };
    compare_range(column, bytes, 0, column.bytes, cell, &mut |first, n| runs.push(first, n));
    runs.finish();
}

/// As [`differing_from`], where `bytes` are the column's cells from `first` on.
pub fn differing_at(
    column: &ColumnRef<'_>,
    first: u64,
    bytes: &[u8],
    cell: usize,
    visit: &mut dyn FnMut(u64, u64),
) {
    let mut runs = Joined { run: None, visit };
    let mut at = 0;
    while at < bytes.len() {
        let byte = first * cell as u64 + at as u64;
        let piece = column.piece(byte);
        let n = piece.len().min(bytes.len() - at) / cell * cell;
        let number = byte / cell as u64;
        if n > 0 {
            let (old, new) = (&piece[..n], &bytes[at..at + n]);
            compare::changed_runs(old, new, cell, 0, |start, count| runs.push(number + start, count));
            at += n;
        } else {
            // A cell across two chunks.
            let mut old = Vec::new();
            gather(column, byte, cell, &mut old);
            if old != bytes[at..at + cell] {
                runs.push(number, 1);
            }
            at += cell;
        }
    }
    runs.finish();
}

/// Compares whole cells of `from..to` piece by piece.
fn compare_range<A: Source + ?Sized, B: Source + ?Sized>(
    a: &A,
    b: &B,
    from: u64,
    to: u64,
    cell: usize,
    visit: &mut dyn FnMut(u64, u64),
) {
    let mut at = from;
    let (mut left, mut right) = (Vec::new(), Vec::new());
    while at < to {
        let (x, y) = (a.piece(at), b.piece(at));
        let n = x.len().min(y.len()).min((to - at) as usize) / cell * cell;
        let first = at / cell as u64;
        if n > 0 {
            compare::changed_runs(&x[..n], &y[..n], cell, 0, |start, count| visit(first + start, count));
            at += n as u64;
        } else {
            // A cell across two chunks.
            gather(a, at, cell, &mut left);
            gather(b, at, cell, &mut right);
            if left != right {
                visit(first, 1);
            }
            at += cell as u64;
        }
    }
}

fn gather<S: Source + ?Sized>(column: &S, at: u64, n: usize, out: &mut Vec<u8>) {
    out.clear();
    while out.len() < n {
        let piece = column.piece(at + out.len() as u64);
        out.extend_from_slice(&piece[..piece.len().min(n - out.len())]);
    }
}
