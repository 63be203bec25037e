//! Whether two selections of a column share a cell. Exact, because a commit that is refused for a conflict that is none
//! makes the writer repeat its work.

use crate::page::schema::Column;
use crate::page::select::{Axis, Inner, Rows, Select};

impl Select {
    /// Whether some cell is in both selections. Both must have passed [`Select::check`] for this column.
    #[must_use]
    pub fn overlaps(&self, other: &Self, column: &Column) -> bool {
        let (Some(ours), Some(theirs)) = (self.bounds(column), other.bounds(column)) else { return false };
        if ours.1 < theirs.0 || theirs.1 < ours.0 {
            return false;
        }
        match (self, other) {
            (Self::Cells(ours), Self::Cells(theirs)) => lists_meet(ours, theirs),
            (Self::Cells(cells), Self::Rows { rows, inner })
            | (Self::Rows { rows, inner }, Self::Cells(cells)) => {
                cells_meet(cells, rows, inner.as_ref(), column)
            }
            (Self::Rows { rows: ours, inner: our_box }, Self::Rows { rows: theirs, inner: their_box }) => {
                // Both select the same box of each of their rows, so rows and boxes may be compared apart.
                boxes_meet(our_box.as_ref(), their_box.as_ref()) && rows_meet(ours, theirs)
            }
        }
    }
}

fn boxes_meet(ours: Option<&Inner>, theirs: Option<&Inner>) -> bool {
    match (ours, theirs) {
        (Some(Inner(ours)), Some(Inner(theirs))) => ours.iter().zip(theirs).all(|(a, b)| axes_meet(*a, *b)),
        // An absent box is everything, and the bounds have shown that the other is not empty.
        _ => true,
    }
}

fn rows_meet(ours: &Rows, theirs: &Rows) -> bool {
    match (ours, theirs) {
        (Rows::Index(ours), Rows::Index(theirs)) => lists_meet(ours, theirs),
        (Rows::Index(list), &Rows::Range { start, stop, step })
        | (&Rows::Range { start, stop, step }, Rows::Index(list)) => {
            let axis = Axis { start, stop, step };
            list.iter().any(|&row| axis.contains(row))
        }
        (
            &Rows::Range { start, stop, step },
            &Rows::Range { start: other_start, stop: other_stop, step: other_step },
        ) => axes_meet(
            Axis { start, stop, step },
            Axis { start: other_start, stop: other_stop, step: other_step },
        ),
    }
}

fn cells_meet(cells: &[u64], rows: &Rows, inner: Option<&Inner>, column: &Column) -> bool {
    let row = column.cells_per_row();
    let in_box = |cell: u64| inner.is_none_or(|inner| box_has(inner, column, cell % row));
    match *rows {
        Rows::Range { start, stop, step } => {
            let axis = Axis { start, stop, step };
            cells.iter().any(|&cell| axis.contains(cell / row) && in_box(cell))
        }
        Rows::Index(ref list) => {
            let list = sorted(list);
            cells.iter().any(|&cell| list.binary_search(&(cell / row)).is_ok() && in_box(cell))
        }
    }
}

/// Whether the cell at `place` of a row is in the box.
fn box_has(inner: &Inner, column: &Column, mut place: u64) -> bool {
    inner.0.iter().zip(column.inner()).rev().all(|(axis, &size)| {
        let index = place % size;
        place /= size;
        axis.contains(index)
    })
}

fn sorted(list: &[u64]) -> Vec<u64> {
    let mut list = list.to_vec();
    list.sort_unstable();
    list
}

fn lists_meet(ours: &[u64], theirs: &[u64]) -> bool {
    let (few, many) = if ours.len() <= theirs.len() { (ours, theirs) } else { (theirs, ours) };
    if few.len() <= 4 {
        return many.iter().any(|index| few.contains(index));
    }
    let few = sorted(few);
    many.iter().any(|index| few.binary_search(index).is_ok())
}

/// Whether two arithmetic progressions share an index: the Chinese remainder theorem, then one look at the bounds.
fn axes_meet(a: Axis, b: Axis) -> bool {
    let (Some(a_last), Some(b_last)) = (a.last(), b.last()) else { return false };
    let (first, last) = (a.start.max(b.start), a_last.min(b_last));
    if first > last {
        return false;
    }
    if a.count() == 1 {
        return b.contains(a.start);
    }
    if b.count() == 1 {
        return a.contains(b.start);
    }
    let (divisor, inverse) = gcd_and_inverse(i128::from(a.step), i128::from(b.step));
    let distance = i128::from(b.start) - i128::from(a.start);
    if distance % divisor != 0 {
        return false;
    }
    let (step, modulus) = (i128::from(a.step), i128::from(b.step) / divisor);
    // The indices in both are `meet` modulo the least common multiple of the steps. Nothing here overflows: starts and
    // steps of a checked selection of more than one index are below 2^40.
    let times = (distance / divisor % modulus * inverse).rem_euclid(modulus);
    let meet = i128::from(a.start) + times * step;
    let period = step * modulus;
    let first = i128::from(first);
    first + (meet - first).rem_euclid(period) <= i128::from(last)
}

/// The greatest common divisor `d` of two positive numbers, and `x` with `a * x = d` modulo `b` (extended Euclid).
fn gcd_and_inverse(a: i128, b: i128) -> (i128, i128) {
    let (mut r, mut x) = ((a, b), (1, 0));
    while r.1 != 0 {
        let quotient = r.0 / r.1;
        r = (r.1, r.0 - quotient * r.1);
        x = (x.1, x.0 - quotient * x.1);
    }
    (r.0, x.0)
}
