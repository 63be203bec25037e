//! Working an expression out: block by block, through registers that stay in the first cache.

use crate::algebra::error::AlgebraError;
use crate::algebra::kernel::widest;
use crate::base::wide::Wide;
use crate::page::dtype::DType;
use crate::propagation::error::RuleError;
use crate::propagation::expression::RULE;
use crate::propagation::expression::loops;
use crate::propagation::expression::program::{Call, Cells, Place, Program, Read, Spread, Step};

/// Where the cells of columns come from.
pub(super) trait Source<'a> {
    /// The bytes from `byte` on of a column, up to the end of the piece they lie in.
    fn piece(&self, read: &Read, byte: u64) -> &'a [u8];
}

/// Columns that are read where they are, of which a run keeps no list in memory.
const FEW: usize = 8;

/// The registers of a program.
#[derive(Debug)]
pub(super) struct Machine {
    words: Vec<u64>,
    /// Words of each register, which is how many cells are worked out at once.
    block: usize,
}

impl Machine {
    /// One in which the constants are.
    pub(super) fn new(program: &Program) -> Self {
        let block = program.block();
        let mut words = vec![0; block * program.registers()];
        for ((bits, size), register) in program.constants.iter().zip(words.chunks_exact_mut(block)) {
            let bytes = &bits.to_le_bytes()[..usize::from(*size)];
            bytemuck::cast_slice_mut(register).chunks_exact_mut(bytes.len()).for_each(|cell: &mut [u8]| {
                cell.copy_from_slice(bytes);
            });
        }
        Self { words, block }
    }

    /// Works out the cells from `first` on that `out` has room for.
    pub(super) fn run<'a>(
        &mut self,
        program: &Program,
        source: &impl Source<'a>,
        first: u64,
        out: &mut [u8],
    ) -> Result<(), RuleError> {
        let (mut few, mut many) = ([&[][..]; FEW], Vec::new());
        let views = match few.get_mut(..program.views.len()) {
            Some(few) => few,
            None => {
                many.resize(program.views.len(), &[][..]);
                &mut many[..]
            }
        };
        let cells = out.len() >> program.size.trailing_zeros();
        if cells == 0 {
            return Ok(());
        }
        let wide = widest(8 * cells);
        self.fill(program, source, cells.min(self.block))?;
        let mut done = 0;
        while done < cells {
            let mut n = self.block.min(cells - done);
            for (view, read) in views.iter_mut().zip(&program.views) {
                if view.is_empty() {
                    *view = aligned(source.piece(read, (first + done as u64) * read.size as u64), read)?;
                }
                n = n.min(view.len() >> read.size.trailing_zeros());
            }
            let (at, here) = (first + done as u64, &mut out[done * program.size..][..n * program.size]);
            self.spread(program, source, at, n)?;
            for step in &program.steps {
                self.step(step, wide, views, here, n).map_err(|(cell, power, dtype)| {
                    let row = (at + cell as u64) / program.cells;
                    let what = format!("row {row}: {dtype} to the power of {power}");
                    RuleError::Value { rule: RULE, what }
                })?;
            }
            for (view, read) in views.iter_mut().zip(&program.views) {
                *view = &view[n * read.size..];
            }
            done += n;
        }
        Ok(())
    }

    /// Takes one step; the cell, exponent and type of a power that is none.
    #[inline]
    fn step(
        &mut self,
        step: &Step,
        wide: Wide,
        views: &[&[u8]],
        result: &mut [u8],
        n: usize,
    ) -> Result<(), (usize, i64, DType)> {
        let block = self.block;
        let (before, out, after) = match step.out.place {
            Place::Register(register) => {
                let (before, rest) = self.words.split_at_mut(register as usize * block);
                let (out, after) = rest.split_at_mut(block);
                (before, &mut bytemuck::cast_slice_mut(out)[..n * usize::from(step.out.size)], after)
            }
            _ => (&mut self.words[..], result, &mut [][..]),
        };
        let (before, after) = (&*before, &*after);
        let get = |cells: Cells| -> &[u8] {
            let bytes = n * usize::from(cells.size);
            match cells.place {
                Place::Register(register) => {
                    let at = register as usize * block;
                    let words = if at < before.len() {
                        &before[at..]
                    } else {
                        // Its own register is not among those that a step reads.
                        &after[at - before.len() - block..]
                    };
                    &bytemuck::cast_slice(words)[..bytes]
                }
                Place::View(view) => &views[view as usize][..bytes],
                Place::Out => &[],
            }
        };
        let [a, b, c] = step.of;
        match step.call {
            Call::One(through) => through(wide, out, get(a)),
            Call::Two(through) => through(wide, out, get(a), get(b)),
            Call::Three(through) => through(wide, out, get(a), get(b), get(c)),
            Call::Power(through, dtype) => {
                let powers = get(b);
                if let Some((cell, power)) = loops::first_negative(dtype, powers) {
                    return Err((cell, power, dtype));
                }
                through(wide, out, get(a), powers);
            }
            Call::Copy => out.copy_from_slice(get(a)),
        }
        Ok(())
    }

    fn register(&mut self, register: usize) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.words[register * self.block..][..self.block])
    }

    /// Fills the registers that hold the same for all cells.
    fn fill<'a>(&mut self, program: &Program, source: &impl Source<'a>, n: usize) -> Result<(), RuleError> {
        for (i, (read, spread)) in program.spread.iter().enumerate() {
            if *spread == Spread::Fill {
                let cell = aligned(source.piece(read, 0), read)?.get(..read.size);
                let register = self.register(program.constants.len() + i);
                repeat(&mut register[..n * read.size], cell.unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Fills the registers that hold a column spread over rows, for the cells from `first` on.
    fn spread<'a>(
        &mut self,
        program: &Program,
        source: &impl Source<'a>,
        first: u64,
        n: usize,
    ) -> Result<(), RuleError> {
        for (i, (read, spread)) in program.spread.iter().enumerate() {
            let size = read.size;
            let mut left = match spread {
                Spread::Fill => continue,
                _ => &mut self.register(program.constants.len() + i)[..n * size],
            };
            let (mut row, mut inside) = (first / program.cells, first % program.cells);
            let mut piece: &[u8] = &[];
            while !left.is_empty() {
                let in_row = left
                    .len()
                    .min(usize::try_from(program.cells - inside).unwrap_or(usize::MAX).saturating_mul(size));
                let took = if *spread == Spread::Repeat {
                    if piece.is_empty() {
                        piece = aligned(source.piece(read, row * size as u64), read)?;
                    }
                    repeat(&mut left[..in_row], &piece[..size]);
                    piece = &piece[size..];
                    in_row
                } else {
                    piece = aligned(source.piece(read, inside * size as u64), read)?;
                    let took = in_row.min(piece.len());
                    left[..took].copy_from_slice(&piece[..took]);
                    took
                };
                inside += (took / size) as u64;
                if inside == program.cells {
                    (row, inside) = (row + 1, 0);
                }
                left = &mut left[took..];
            }
        }
        Ok(())
    }
}

/// One cell all over.
fn repeat(out: &mut [u8], cell: &[u8]) {
    match *cell {
        [byte] => out.fill(byte),
        [a, b] => bytemuck::cast_slice_mut(out).fill(u16::from_le_bytes([a, b])),
        [a, b, c, d] => bytemuck::cast_slice_mut(out).fill(u32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => {
            bytemuck::cast_slice_mut(out).fill(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
        }
        _ => {}
    }
}

/// Bytes in which cells lie as they must.
fn aligned<'a>(bytes: &'a [u8], read: &Read) -> Result<&'a [u8], RuleError> {
    // Sizes are powers of two, which saves divisions where there are few cells.
    let part = read.size - 1;
    let off = (bytes.as_ptr() as usize).wrapping_neg() & part;
    if off == 0 && bytes.len() > part {
        return Ok(&bytes[..bytes.len() & !part]);
    }
    Err(AlgebraError::Misaligned { bytes: bytes.len(), dtype: read.dtype, off }.into())
}
