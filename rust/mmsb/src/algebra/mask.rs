//! Writing a result where a mask lets it, by GraphBLAS's rule `C<M, replace> accum= T` (GraphBLAS C API 2.1, section 2.3).
//!
//! First the result is accumulated: `Z = C accum T`, or `Z = T` without an accumulator. Then where the mask is true, turned
//! round where it is complemented, `C` becomes `Z`; elsewhere it stays, or with `replace` becomes the zero of the monoid,
//! which stands for "nothing there". A dense page has every cell, so that the structure of a mask is true everywhere.

use crate::algebra::error::AlgebraError;
use crate::algebra::ladder::CommutativeMonoid;
use crate::algebra::value::{Truth, Value};

/// Where a result is written.
#[derive(Copy, Clone, Debug, Default)]
pub struct Mask<'a> {
    /// One truth for each cell; without it all are true.
    pub values: Option<&'a [Truth]>,
    /// Whether its structure counts and not its values.
    pub structure: bool,
    /// Whether it is turned round.
    pub complement: bool,
    /// Whether cells outside it become zeros.
    pub replace: bool,
}

impl Mask<'_> {
    #[inline(always)]
    fn lets(&self, cell: usize) -> bool {
        let inside = match self.values {
            Some(values) if !self.structure => values[cell].is_true(),
            _ => true,
        };
        inside != self.complement
    }
}

/// Writes `result` into `cells`, accumulated by the monoid where `accumulate` is set.
///
/// # Errors
/// [`AlgebraError::Length`] where result or mask are not as long as the cells. Nothing is written then.
pub fn write<T: Value, M: CommutativeMonoid<T>>(
    cells: &mut [T],
    result: &[T],
    mask: Mask<'_>,
    accumulate: bool,
) -> Result<(), AlgebraError> {
    let wanted = cells.len();
    let of = |what, cells: usize| {
        if cells == wanted { Ok(()) } else { Err(AlgebraError::Length { what, cells, wanted }) }
    };
    of("result", result.len())?;
    if let Some(values) = mask.values {
        of("mask", values.len())?;
    }
    for (at, (cell, result)) in cells.iter_mut().zip(result).enumerate() {
        if mask.lets(at) {
            *cell = if accumulate { M::op(*cell, *result) } else { *result };
        } else if mask.replace {
            *cell = M::ZERO;
        }
    }
    Ok(())
}
