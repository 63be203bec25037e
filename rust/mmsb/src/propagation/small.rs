//! The short way into a page for a few cells that lie side by side, which is what most nodes of a large graph make.

use crate::page::block;
use crate::page::column::Place;
use crate::page::draft::Draft;
use crate::page::schema::Schema;
use crate::page::state_error::StateError;
use crate::page::version::PageRef;
use crate::propagation::apply::{Applied, Sink};
use crate::propagation::made::Piece;
use crate::propagation::runs::{Run, push};

/// As many cells as a mask has bits.
const CELLS: usize = 64;

/// Puts a piece into a page, where that is quickly done: the rows that changed go to `changed`. `None` where it is not, and
/// nothing is done.
#[inline(always)]
pub(super) fn apply(
    draft: &mut Draft<'_>,
    page: PageRef<'_>,
    schema: &Schema,
    (piece, bytes): (Piece, &[u8]),
    changed: &mut [Vec<Run>],
    sink: &mut dyn Sink,
) -> Result<Option<Applied>, StateError> {
    let column = schema.column(piece.column)?;
    let (cell, cells) = (column.cell_bytes() as usize, bytes.len() / column.cell_bytes() as usize);
    let now = page.column(schema, usize::from(piece.column));
    let Place::Block(block, offset) = now.place else { return Ok(None) };
    let fits = piece.first.checked_add(cells as u64).is_some_and(|end| end <= now.bytes / cell as u64);
    if block != page.at
        || column.cells_per_row() != 1
        || cells > CELLS
        || cells * cell != bytes.len()
        || !fits
    {
        return Ok(None);
    }
    let offset = offset + piece.first as usize * cell;
    let mask = differing(block::bytes(page.arena, block, offset, bytes.len()), bytes, cell);
    if mask == 0 {
        return Ok(Some(Applied { rows: 0, at: page.at }));
    }
    let (start, stop) = (mask.trailing_zeros() as usize, CELLS - mask.leading_zeros() as usize);
    let count = mask.count_ones() as usize;
    let (most, apart) = (count > cells / 2, count < stop - start);
    if apart && !most {
        return Ok(None);
    }
    let (list, row) = (&mut changed[usize::from(piece.column)], |cell: usize| piece.first + cell as u64);
    if apart {
        let new = (start..stop).filter(|cell| mask >> cell & 1 == 1);
        new.for_each(|cell| push(list, Run::new(row(cell), row(cell + 1))));
    } else {
        push(list, Run::new(row(start), row(stop)));
    }
    // All where more than half changed, as everywhere.
    let (from, to) = if most { (0, cells) } else { (start, stop) };
    let bytes = &bytes[from * cell..to * cell];
    let at = draft.overwrite(page.id(), offset + from * cell, bytes)?;
    sink.assigned(page.id(), piece.column, (row(from), row(to)), bytes);
    Ok(Some(Applied { rows: count as u64, at }))
}

/// A bit for each cell that differs.
fn differing(old: &[u8], new: &[u8], cell: usize) -> u64 {
    fn by<const N: usize>(old: &[u8], new: &[u8]) -> u64 {
        let pairs = old.as_chunks::<N>().0.iter().zip(new.as_chunks::<N>().0);
        pairs.enumerate().fold(0, |mask, (i, (old, new))| mask | u64::from(old != new) << i)
    }
    match cell {
        1 => by::<1>(old, new),
        2 => by::<2>(old, new),
        4 => by::<4>(old, new),
        8 => by::<8>(old, new),
        _ => {
            let pairs = old.chunks_exact(cell).zip(new.chunks_exact(cell));
            pairs.enumerate().fold(0, |mask, (i, (old, new))| mask | u64::from(old != new) << i)
        }
    }
}
